"""What differs between eras; the official types are the judge of what we produce."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp_types import methods as types

from gateway.errors import UpstreamFailed
from gateway.mcp import eras
from gateway.mcp.calls import METHODS, SUPPORTED_VERSIONS
from gateway.mcp.input_required import InputRequired, Question
from gateway.mcp.questions import ASKING
from gateway.mcp.terms import (
    CAPABILITIES_KEY,
    CLIENT_INFO_KEY,
    LEGACY_VERSIONS,
    LOG_LEVEL_KEY,
    LOG_LEVELS,
    MODERN_VERSIONS,
    PROGRESS_KEY,
    SERVER_INFO_KEY,
    SUBSCRIPTION_KEY,
    VERSION_KEY,
    Call,
    Era,
    Kind,
    Notification,
    Request,
    Step,
)

INFO = {"name": "ostiary", "version": "1"}
TOOL = {"name": "t", "inputSchema": {"type": "object"}, "vendor": 1}
RESULTS = {
    "tools/list": {"tools": [TOOL], "nextCursor": "c"},
    "prompts/list": {"prompts": [{"name": "p"}]},
    "resources/list": {"resources": [{"name": "r", "uri": "file:///r"}]},
    "resources/templates/list": {"resourceTemplates": [{"name": "t", "uriTemplate": "file:///{x}"}]},
    "tools/call": {
        "content": [{"type": "text", "text": "x", "vendor": 1}],
        "structuredContent": {"a": 1},
        "isError": False,
    },
    "prompts/get": {"messages": [{"role": "user", "content": {"type": "text", "text": "x"}}]},
    "resources/read": {"contents": [{"uri": "file:///r", "text": "x"}]},
    "completion/complete": {"completion": {"values": ["a"]}},
}


def call(method="tools/call", era=Era.MODERN, params=None, version=None) -> Call:
    version = version or (MODERN_VERSIONS if era is Era.MODERN else LEGACY_VERSIONS)[0]
    row = METHODS.get(method)
    message = Request(1, method, params or {})
    return Call(message, Step.USE, era, version, "main", "mcp", row.kind if row else None, "file:///r")


def shaped(method, era, result=None, **more):
    return eras.to_client(RESULTS[method] if result is None else result, call(method, era), server_info=INFO, **more)


# -- openings


@pytest.mark.parametrize("version", [*LEGACY_VERSIONS, "1999-01-01", 5])
def test_initialize_agrees_on_the_version_asked_for_or_our_newest(version):
    result = eras.initialize_result({"protocolVersion": version}, capabilities={"tools": {}}, server_info=INFO)
    agreed = version if version in LEGACY_VERSIONS else "2025-11-25"
    assert result == {"protocolVersion": agreed, "capabilities": {"tools": {}}, "serverInfo": INFO}
    types.validate_server_result("initialize", agreed, result)


def test_openings_carry_instructions_when_there_are_any():
    assert eras.initialize_result({}, capabilities={}, server_info=INFO, instructions="do")["instructions"] == "do"
    assert eras.discover_result(capabilities={}, server_info=INFO, instructions="do")["instructions"] == "do"


def test_discover_tells_all_versions_and_who_we_are():
    result = eras.discover_result(capabilities={"tools": {}}, server_info=INFO)
    assert result == {
        "supportedVersions": list(SUPPORTED_VERSIONS),
        "capabilities": {"tools": {}},
        "resultType": "complete",
        "ttlMs": 0,
        "cacheScope": "private",
        "_meta": {SERVER_INFO_KEY: INFO},
    }
    types.validate_server_result("server/discover", MODERN_VERSIONS[0], result)
    assert eras.to_client(result, call("server/discover"), server_info=INFO) == result


# -- results


@pytest.mark.parametrize("method", RESULTS)
@pytest.mark.parametrize("version", SUPPORTED_VERSIONS)
def test_what_goes_to_a_client_is_valid_in_its_version_whatever_era_it_came_from(method, version):
    era = Era.MODERN if version in MODERN_VERSIONS else Era.LEGACY
    for came_in in Era:
        result = shaped(method, era, shaped(method, came_in))
        types.validate_server_result(method, version, result)
        assert {key: result[key] for key in RESULTS[method]} == RESULTS[method]


@pytest.mark.parametrize("method", RESULTS)
def test_the_modern_envelope(method):
    result = shaped(method, Era.MODERN)
    assert result["resultType"] == "complete"
    assert result["_meta"] == {SERVER_INFO_KEY: INFO}
    caching = {key: result[key] for key in ("ttlMs", "cacheScope") if key in result}
    assert caching == ({"ttlMs": 0, "cacheScope": "private"} if method in eras.CACHEABLE else {})


@pytest.mark.parametrize("method", RESULTS)
def test_a_legacy_client_sees_nothing_of_it(method):
    assert shaped(method, Era.LEGACY, shaped(method, Era.MODERN)) == RESULTS[method]


def test_the_methods_with_cache_hints_are_the_official_ones():
    assert eras.CACHEABLE == types.CACHEABLE_METHODS


def test_what_a_server_says_about_itself_and_about_sharing_is_replaced():
    said = {
        "contents": [],
        "cacheScope": "public",
        "ttlMs": 7,
        "_meta": {SERVER_INFO_KEY: {"name": "x"}, SUBSCRIPTION_KEY: 1, "v/k": 2},
    }
    result = shaped("resources/read", Era.MODERN, said)
    assert result["cacheScope"] == "private"
    assert result["ttlMs"] == 7
    assert result["_meta"] == {SERVER_INFO_KEY: INFO, "v/k": 2}
    assert shaped("resources/read", Era.LEGACY, said) == {"contents": [], "_meta": {"v/k": 2}}


@pytest.mark.parametrize("ttl", [-1, 1.5, True, "7", None])
def test_a_nonsensical_time_to_live_is_not_passed_on(ttl):
    assert shaped("resources/read", Era.MODERN, {"contents": [], "ttlMs": ttl}, ttl_ms=3)["ttlMs"] == 3


def test_lists_have_the_gateways_own_time_to_live():
    assert shaped("tools/list", Era.MODERN, {"tools": [], "ttlMs": 99_999}, ttl_ms=5)["ttlMs"] == 5


def test_a_tool_may_answer_with_a_field_named_like_a_hint():
    said = {"content": [], "ttlMs": 1, "cacheScope": "x"}
    assert shaped("tools/call", Era.LEGACY, said) == said


@pytest.mark.parametrize("meta", [None, 1, [], "x"])
def test_meta_that_is_no_object_is_dropped(meta):
    assert shaped("tools/call", Era.LEGACY, {"content": [], "_meta": meta}) == {"content": []}
    assert shaped("tools/call", Era.MODERN, {"content": [], "_meta": meta})["_meta"] == {SERVER_INFO_KEY: INFO}


@pytest.mark.parametrize("kind", ["input_required", "task", None, 1])
def test_a_result_that_is_not_complete_is_a_failure(kind):
    with pytest.raises(UpstreamFailed):
        eras.from_upstream({"resultType": kind}, "tools/call")


@pytest.mark.parametrize("method", sorted(ASKING))
def test_a_result_that_asks_is_one_in_the_eyes_of_the_official_types(method):
    questions = {
        "f": Question("elicitation/create", {"message": "m", "requestedSchema": {"type": "object", "properties": {}}}),
        "r": Question("roots/list", {}),
    }
    more = {"_meta": {"vendor": 1, SERVER_INFO_KEY: {"name": "theirs", "version": "9"}}, "vendor": 2}
    told = eras.asking(InputRequired(questions, "s", more), server_info=INFO)
    types.validate_server_result(method, MODERN_VERSIONS[0], told)
    assert types.is_input_required(told)
    assert told["_meta"] == {"vendor": 1, SERVER_INFO_KEY: INFO}
    assert (told["vendor"], told["requestState"]) == (2, "s")
    assert not told.keys() & {"ttlMs", "cacheScope"}


@pytest.mark.parametrize("era", list(Era))
@pytest.mark.parametrize(("method", "kept"), [("tools/call", False), ("resources/read", False), ("tasks/get", True)])
def test_only_a_task_asks_for_input_in_a_complete_result(method, kept, era):
    asking = {"inputRequests": {"k": {"method": "roots/list"}}, "requestState": "theirs"}
    told = eras.to_client({"resultType": "complete", "x": 1, **asking}, call(method, era), server_info=INFO)
    assert {key: value for key, value in told.items() if key in asking} == (asking if kept else {})
    assert told["x"] == 1


@pytest.mark.parametrize("content", [[1], "x", None, 1])
def test_structured_content_that_is_no_object_is_only_for_modern_clients(content):
    result = {"content": [], "structuredContent": content}
    assert shaped("tools/call", Era.LEGACY, result) == {"content": []}
    assert shaped("tools/call", Era.MODERN, result)["structuredContent"] == content


@pytest.mark.parametrize("schema", [{"type": "array"}, {}, True])
def test_an_output_schema_that_is_not_of_an_object_is_only_for_modern_clients(schema):
    tools = [{**TOOL, "outputSchema": schema}, {**TOOL, "outputSchema": {"type": "object"}}, TOOL]
    assert shaped("tools/list", Era.LEGACY, {"tools": tools})["tools"] == [TOOL, *tools[1:]]
    assert shaped("tools/list", Era.MODERN, {"tools": tools})["tools"] == tools


@pytest.mark.parametrize("tools", [None, {}, [1, None]])
def test_a_list_that_is_none_passes_without_harm(tools):
    assert shaped("tools/list", Era.LEGACY, {"tools": tools}) == {"tools": tools}


json_values = st.recursive(
    st.none() | st.integers() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["tools", "_meta", "x", "ttlMs"]), inner)
    ),
    max_leaves=8,
)


@given(
    st.dictionaries(
        st.sampled_from(["tools", "content", "_meta", "ttlMs", "cacheScope", "structuredContent", "vendor"]),
        json_values,
    ),
    st.sampled_from([*RESULTS, "x"]),
    st.sampled_from(Era),
)
def test_vendor_fields_survive_and_the_given_result_is_not_changed(result, method, era):
    before = repr(result)
    shaped_result = eras.to_client(result, call(method, era), server_info=INFO)
    assert repr(result) == before
    assert ("vendor" in result) == ("vendor" in shaped_result)
    assert shaped_result.get("vendor") == result.get("vendor")
    assert ("resultType" in shaped_result) == (era is Era.MODERN)


def test_a_notification_has_a_result_too():
    notified = Call(Notification("notifications/x"), Step.PING, Era.LEGACY, "2025-11-25", "main", "mcp")
    assert eras.to_client({}, notified, server_info=INFO) == {}


# -- errors


@pytest.mark.parametrize("data", [None, "x", {"uri": "other"}, {"uri": "file:///r"}])
def test_a_missing_resource_in_each_era(data):
    legacy = {"code": -32002, "message": "Resource not found", "data": data}
    told = eras.error_to_client(legacy, call("resources/read", Era.MODERN))
    assert (told["code"], told["data"]) == (-32602, {"uri": "file:///r"})
    assert eras.error_to_client(legacy, call("resources/read", Era.LEGACY)) == legacy


def test_other_data_of_a_missing_resource_is_kept():
    error = {"code": -32002, "message": "", "data": {"hint": 1}}
    assert eras.error_to_client(error, call("resources/read"))["data"] == {"hint": 1, "uri": "file:///r"}


def test_a_modern_missing_resource_is_told_to_legacy_clients_by_their_code():
    error = {"code": -32602, "message": "m", "data": {"uri": "file:///r"}}
    assert eras.error_to_client(error, call("resources/read", Era.LEGACY)) == {**error, "code": -32002}
    assert eras.error_to_client(error, call("resources/read", Era.MODERN)) == error
    assert eras.error_to_client(error, call("tools/call", Era.LEGACY)) == error
    for other in ({"uri": "other"}, None, "file:///r"):
        wrong = {**error, "data": other}
        assert eras.error_to_client(wrong, call("resources/read", Era.LEGACY)) == wrong


@pytest.mark.parametrize("code", [-32020, -32021, -32022, -32099])
@pytest.mark.parametrize("era", Era)
def test_what_a_server_says_of_our_request_is_not_told_as_if_of_the_clients(code, era):
    told = eras.error_to_client({"code": code, "message": "secret", "data": {"supported": []}}, call(era=era))
    assert told["code"] == UpstreamFailed.code
    assert "secret" not in repr(told)


def test_url_elicitation_is_never_demanded_of_a_modern_client():
    error = {"code": -32042, "message": "go there", "data": {"elicitations": []}}
    assert eras.error_to_client(error, call(era=Era.LEGACY)) == error
    assert eras.error_to_client(error, call(era=Era.MODERN))["code"] == UpstreamFailed.code


@pytest.mark.parametrize("code", [-32603, -32601, -32000, 1, -32100, -32019, True, "x", None])
@pytest.mark.parametrize("era", Era)
def test_other_errors_pass_as_they_are(code, era):
    error = {"code": code, "message": "m", "data": [1]}
    assert eras.error_to_client(error, call("tools/call", era)) == error


# -- parameters


def test_the_clients_envelope_ends_here():
    meta = {VERSION_KEY: "x", CLIENT_INFO_KEY: {}, CAPABILITIES_KEY: {}, SERVER_INFO_KEY: {}, SUBSCRIPTION_KEY: 1}
    kept = {PROGRESS_KEY: 1, LOG_LEVEL_KEY: "info", "traceparent": "00-", "com.example/x": {}}
    params = {"name": "t", "arguments": {"task": 1}, "vendor": 1, "task": {}, "inputResponses": {}, "requestState": "s"}
    neutral = {"name": "t", "arguments": {"task": 1}, "vendor": 1}
    assert eras.to_upstream({**params, "_meta": {**meta, **kept}}) == {**neutral, "_meta": kept}
    assert eras.to_upstream({**params, "_meta": meta}) == neutral
    assert eras.to_upstream(neutral) == neutral


# -- log lines


def logged(level="info"):
    return Notification("notifications/message", {"level": level, "data": "x"})


@pytest.mark.parametrize("asked", [None, *LOG_LEVELS, "loud", 5])
@pytest.mark.parametrize("level", [*LOG_LEVELS, "loud", None])
def test_log_lines_go_to_those_who_asked_for_them(asked, level):
    severe = asked in LOG_LEVELS and level in LOG_LEVELS and LOG_LEVELS.index(level) >= LOG_LEVELS.index(asked)
    meta = {"_meta": {} if asked is None else {LOG_LEVEL_KEY: asked}}
    assert eras.may_say(logged(level), call(params=meta)) is severe
    assert eras.may_say(logged(level), call(era=Era.LEGACY), None) is True
    if asked in LOG_LEVELS:
        assert eras.may_say(logged(level), call(era=Era.LEGACY), asked) is severe


@pytest.mark.parametrize("level", [None, *LOG_LEVELS])
def test_a_legacy_request_says_to_modern_servers_which_log_lines_its_client_hears(level):
    own = {"name": "t", "_meta": {"progressToken": 1, LOG_LEVEL_KEY: "loud"}}
    sent = eras.with_log_level(Request(7, "tools/call", own), level)
    meta = {"progressToken": 1, LOG_LEVEL_KEY: level or "info"}
    assert sent == Request(7, "tools/call", {"name": "t", "_meta": meta})
    assert eras.to_upstream(sent.params) == sent.params
    assert eras.with_log_level(Request(7, "ping"), level).params == {"_meta": {LOG_LEVEL_KEY: level or "info"}}


def test_a_modern_request_without_envelope_wants_no_log_lines():
    assert eras.log_level({}) is None
    notified = Call(Notification("notifications/x"), Step.PING, Era.MODERN, MODERN_VERSIONS[0], "main", "mcp")
    assert eras.may_say(logged(), notified) is False


@pytest.mark.parametrize("era", Era)
def test_progress_may_always_be_told_and_changes_do_not_belong_to_a_request(era):
    assert eras.may_say(Notification("notifications/progress"), call(era=era)) is True
    for method in ("notifications/tools/list_changed", "notifications/cancelled"):
        assert eras.may_say(Notification(method), call(era=era)) is False


@pytest.mark.parametrize("era", Era)
def test_the_end_of_an_elicitation_by_url_is_told_in_the_era_that_knows_it(era):
    told = eras.may_say(Notification("notifications/elicitation/complete"), call(era=era))
    assert told is (era is Era.LEGACY)


def test_the_kinds_of_call_used_here_are_those_of_the_table():
    assert call("resources/read").kind is Kind.RESOURCE
