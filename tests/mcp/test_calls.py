"""Messages to calls: eras, the table of methods, headers against bodies."""

import base64

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from mcp_types.methods import CLIENT_NOTIFICATIONS, CLIENT_REQUESTS, INPUT_REQUIRED_METHODS

from gateway.errors import Malformed, Unknown
from gateway.mcp.calls import ASSUMED_VERSION, MAX_TARGET, METHODS, SUPPORTED_VERSIONS, classify, decoded
from gateway.mcp.terms import (
    CAPABILITIES_KEY,
    LEGACY_VERSIONS,
    LOG_LEVEL_KEY,
    MODERN_VERSIONS,
    PROGRESS_KEY,
    VERSION_KEY,
    Call,
    Era,
    Kind,
    Notification,
    Request,
    Response,
    Step,
)

MODERN = MODERN_VERSIONS[0]
META = {VERSION_KEY: MODERN, CAPABILITIES_KEY: {}}

PARAMS = {
    "initialize": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}},
    "logging/setLevel": {"level": "info"},
    "tools/call": {"name": "t", "arguments": {"a": 1}},
    "prompts/get": {"name": "p"},
    "resources/read": {"uri": "file:///a"},
    "resources/subscribe": {"uri": "file:///a"},
    "resources/unsubscribe": {"uri": "file:///a"},
    "completion/complete": {"ref": {"type": "ref/prompt", "name": "p"}, "argument": {"name": "x", "value": ""}},
    "subscriptions/listen": {"notifications": {"toolsListChanged": True}},
    "tasks/get": {"taskId": "k"},
    "tasks/cancel": {"taskId": "k"},
    "tasks/result": {"taskId": "k"},
    "tasks/update": {"taskId": "k", "inputResponses": {}},
}
EXPECTED = {
    "initialize": (Step.OPEN, None, ""),
    "server/discover": (Step.OPEN, None, ""),
    "ping": (Step.PING, None, ""),
    "logging/setLevel": (Step.PING, None, ""),
    "tools/list": (Step.LIST, Kind.TOOL, ""),
    "prompts/list": (Step.LIST, Kind.PROMPT, ""),
    "resources/list": (Step.LIST, Kind.RESOURCE, ""),
    "resources/templates/list": (Step.LIST, Kind.TEMPLATE, ""),
    "tools/call": (Step.USE, Kind.TOOL, "t"),
    "prompts/get": (Step.USE, Kind.PROMPT, "p"),
    "resources/read": (Step.USE, Kind.RESOURCE, "file:///a"),
    "resources/subscribe": (Step.USE, Kind.RESOURCE, "file:///a"),
    "resources/unsubscribe": (Step.USE, Kind.RESOURCE, "file:///a"),
    "completion/complete": (Step.USE, Kind.PROMPT, "p"),
    "subscriptions/listen": (Step.LISTEN, None, ""),
    "tasks/get": (Step.USE, None, "k"),
    "tasks/cancel": (Step.USE, None, "k"),
    "tasks/result": (Step.USE, None, "k"),
    "tasks/update": (Step.USE, None, "k"),
    "tasks/list": (Step.LIST, None, ""),
}
TASKS = {name for name in EXPECTED if name.startswith("tasks/")}
"""Of the experimental part of 2025-11-25 and of an extension, which the models of the SDK leave out."""


def call(message, headers=None, transport="mcp", **more) -> Call:
    return classify(message, headers=headers or {}, domain="main", transport=transport, **more)


def modern_headers(method, name=None, version=MODERN):
    headers = {"mcp-protocol-version": version, "mcp-method": method}
    return headers if name is None else {**headers, "mcp-name": name}


def modern(method="tools/call", params=None, headers=None, meta=META) -> Call:
    """A well-formed modern request, but for what the test changes."""
    params = PARAMS.get(method, {}) if params is None else params
    name = params.get(METHODS[method].target) if method in METHODS and METHODS[method].mirrored else None
    given_headers = modern_headers(method, name) if headers is None else headers
    body = params if meta is None else {**params, "_meta": meta}
    return call(Request(1, method, body), given_headers)


def refusal(expected, what, *args, **kwargs):
    with pytest.raises(expected) as caught:
        what(*args, **kwargs)
    return caught.value


# -- the table


def test_the_table_names_every_method_of_every_revision_and_no_other():
    for version in SUPPORTED_VERSIONS:
        era = Era.MODERN if version in MODERN_VERSIONS else Era.LEGACY
        ours = {name for name, method in METHODS.items() if era in method.eras} - TASKS
        assert ours == {name for name, of in CLIENT_REQUESTS if of == version}


@pytest.mark.parametrize("method", METHODS)
def test_each_method_is_classified_in_its_eras_and_unknown_in_the_other(method):
    legacy = Request(1, method, PARAMS.get(method, {}))
    for era, classified in ((Era.LEGACY, lambda: call(legacy)), (Era.MODERN, lambda: modern(method))):
        if era in METHODS[method].eras:
            made = classified()
            assert (made.era, made.step, made.kind, made.target) == (era, *EXPECTED[method])
        else:
            refused = refusal(Unknown, classified)
            assert (refused.code, refused.status) == (-32601, 404 if era is Era.MODERN else 200)


UNKNOWN = "unknown/method tasks/watch tasks TOOLS/CALL tools/call/ notifications/initialized sampling/createMessage"


@pytest.mark.parametrize("method", UNKNOWN.split())
def test_a_method_that_the_table_does_not_name_does_not_exist(method):
    assert refusal(Unknown, call, Request(1, method)).status == 200
    refused = refusal(Unknown, modern, method)
    assert (refused.code, refused.status) == (-32601, 404)


@pytest.mark.parametrize("method", [*sorted({name for name, _ in CLIENT_NOTIFICATIONS}), "notifications/of/tomorrow"])
def test_notifications_ask_only_who_is_there(method):
    for headers, era in (({}, Era.LEGACY), ({"mcp-protocol-version": MODERN}, Era.MODERN)):
        made = call(Notification(method), headers)
        assert (made.step, made.era, made.kind, made.target) == (Step.PING, era, None, "")


@pytest.mark.parametrize("headers", [{}, {"mcp-protocol-version": MODERN}])
@pytest.mark.parametrize("method", ["tools/call", "initialize", "whatever"])
def test_a_request_without_an_id_is_not_run(method, headers):
    refused = refusal(Malformed, call, Notification(method, {"name": "t"}), headers)
    assert (refused.code, refused.status) == (-32600, 400)


def test_a_posted_response_is_for_legacy_clients_only():
    made = call(Response(1, result={}), session_version="2025-11-25", session="s")
    assert (made.step, made.era, made.version, made.session) == (Step.PING, Era.LEGACY, "2025-11-25", "s")
    assert refusal(Malformed, call, Response(1, result={}), {"mcp-protocol-version": MODERN}).code == -32600


# -- legacy


def test_what_a_call_knows():
    message = Request("x", "tools/call", {"name": "t", "arguments": {}})
    assert call(message, session_version="2025-06-18", session="s") == Call(
        message, Step.USE, Era.LEGACY, "2025-06-18", "main", "mcp", Kind.TOOL, "t", "s"
    )


@pytest.mark.parametrize(
    ("headers", "session", "version"),
    [
        ({}, None, ASSUMED_VERSION),
        ({}, "2025-11-25", "2025-11-25"),
        ({"mcp-protocol-version": "2025-06-18"}, None, "2025-06-18"),
        ({"mcp-protocol-version": "2024-11-05"}, "2025-11-25", "2025-11-25"),
    ],
)
def test_the_version_of_a_legacy_call(headers, session, version):
    assert call(Request(1, "ping"), headers, session_version=session).version == version


@pytest.mark.parametrize(
    ("asked", "agreed"),
    [*[(each, each) for each in LEGACY_VERSIONS], ("1999-01-01", "2025-11-25"), (MODERN, "2025-11-25")],
)
@pytest.mark.parametrize("header", [None, "2025-06-18", MODERN, "nonsense"])
def test_initialize_selects_the_legacy_era_and_its_version(asked, agreed, header):
    message = Request(1, "initialize", {"protocolVersion": asked})
    made = call(message, {} if header is None else {"mcp-protocol-version": header})
    assert (made.era, made.version) == (Era.LEGACY, agreed)


def test_initialize_in_a_modern_envelope_does_not_exist():
    assert refusal(Unknown, modern, "initialize").status == 404


def test_messages_on_the_old_transport_are_always_legacy():
    message = Request(1, "tools/list", {"_meta": META})
    assert call(message, transport="sse", session_version="2024-11-05").version == "2024-11-05"
    for version in (MODERN, "nonsense"):
        refused = refusal(Malformed, call, message, {"mcp-protocol-version": version}, transport="sse")
        assert (refused.code, refused.status) == (-32600, 400)


@pytest.mark.parametrize(
    ("method", "params", "says"),
    [
        ("initialize", {}, "protocolVersion"),
        ("initialize", {"protocolVersion": 1}, "protocolVersion"),
        ("initialize", {"protocolVersion": "2025-06-18", "capabilities": []}, "capabilities"),
        ("logging/setLevel", {}, "level"),
        ("logging/setLevel", {"level": "loud"}, "debug, info"),
        ("tools/list", {"cursor": 1}, "cursor"),
        ("tools/call", {}, "name"),
        ("tools/call", {"name": ""}, "name"),
        ("tools/call", {"name": ["t"]}, "name"),
        ("tools/call", {"name": "t" * (MAX_TARGET + 1)}, "name"),
        ("tools/call", {"name": "t", "arguments": None}, "arguments"),
        ("tools/call", {"name": "t", "arguments": []}, "arguments"),
        ("tools/call", {"name": "t", "_meta": {PROGRESS_KEY: None}}, PROGRESS_KEY),
        ("tools/call", {"name": "t", "_meta": {PROGRESS_KEY: True}}, PROGRESS_KEY),
        ("prompts/get", {"name": "p", "arguments": "x"}, "arguments"),
        ("tools/call", {"name": "t", "inputResponses": None}, "inputResponses"),
        ("prompts/get", {"name": "p", "inputResponses": []}, "inputResponses"),
        ("resources/read", {"uri": "file:///x", "requestState": {}}, "requestState"),
        ("resources/read", {"uri": 1}, "uri"),
        ("resources/read", {"uri": "file:///a/../b"}, "steps"),
        ("resources/subscribe", {"uri": "file:///a/%2E%2e/b"}, "steps"),
        ("completion/complete", {"argument": {}}, "ref"),
        ("completion/complete", {"argument": {}, "ref": {"type": "ref/tool", "name": "t"}}, "ref"),
        ("completion/complete", {"argument": {}, "ref": {"type": "ref/prompt"}}, "ref.name"),
        ("completion/complete", {"argument": {}, "ref": {"type": "ref/resource", "uri": "a/.."}}, "ref.uri"),
        ("completion/complete", {"ref": {"type": "ref/prompt", "name": "p"}}, "argument"),
    ],
)
def test_wrong_parameters_are_told_as_such_in_either_era(method, params, says):
    refused = refusal(Malformed, call, Request(1, method, params))
    assert (refused.code, refused.status) == (-32602, 200)
    assert says in refused.text
    if Era.MODERN in METHODS[method].eras:
        mirror = str(params.get("name", params.get("uri", "")))
        meta = {**META, **params.get("_meta", {})}
        refused = refusal(Malformed, modern, method, params, headers=modern_headers(method, mirror), meta=meta)
        assert (refused.code, refused.status) == (-32602, 400)


def test_a_tool_may_be_called_without_arguments():
    assert call(Request(1, "tools/call", {"name": "t"})).target == "t"
    assert modern(params={"name": "t"}).target == "t"


@pytest.mark.parametrize(("uri", "kind"), [("file:///a", Kind.RESOURCE), ("file:///{name}", Kind.TEMPLATE)])
def test_completion_names_a_prompt_a_resource_or_a_template(uri, kind):
    params = {"ref": {"type": "ref/resource", "uri": uri}, "argument": {"name": "x", "value": ""}}
    made = modern("completion/complete", params)
    assert (made.kind, made.target) == (kind, uri)
    assert modern("completion/complete").target == "p"


# -- modern


def test_a_modern_call():
    made = modern()
    assert (made.era, made.version, made.kind, made.target, made.session) == (Era.MODERN, MODERN, Kind.TOOL, "t", "")


def test_a_modern_call_has_no_session():
    message = Request(1, "tools/list", {"_meta": META})
    assert call(message, modern_headers("tools/list"), session_version="2025-11-25", session="s").session == ""


@pytest.mark.parametrize(
    "meta",
    [
        None,
        {},
        {CAPABILITIES_KEY: {}},
        {VERSION_KEY: MODERN},
        {VERSION_KEY: MODERN, CAPABILITIES_KEY: []},
        {VERSION_KEY: 20260728, CAPABILITIES_KEY: {}},
        {**META, LOG_LEVEL_KEY: "loud"},
        {**META, LOG_LEVEL_KEY: ["info"]},
    ],
)
def test_an_incomplete_envelope_is_invalid_params(meta):
    refused = refusal(Malformed, modern, meta=meta)
    assert (refused.code, refused.status) == (-32602, 400)


def test_client_info_and_log_level_are_optional():
    assert modern(meta={**META, LOG_LEVEL_KEY: "info", "com.example/x": 1}).era is Era.MODERN


@pytest.mark.parametrize("method", ["server/discover", "tools/call"])
def test_a_version_that_is_not_served_is_told_with_those_that_are(method):
    headers = modern_headers(method, "t", version="v999")
    refused = refusal(Malformed, modern, method, headers=headers, meta={**META, VERSION_KEY: "v999"})
    assert (refused.code, refused.status) == (-32022, 400)
    assert refused.data == {"supported": list(SUPPORTED_VERSIONS), "requested": "v999"}


@pytest.mark.parametrize("message", [Request(1, "tools/list"), Notification("notifications/cancelled")])
def test_a_foreign_version_in_the_header_alone_is_told_likewise(message):
    assert refusal(Malformed, call, message, {"mcp-protocol-version": "2031-01-01"}).code == -32022


@pytest.mark.parametrize("version", [None, "2025-11-25", "v999", MODERN + ", " + MODERN])
def test_the_version_in_header_and_body_must_agree(version):
    headers = modern_headers("tools/call", "t")
    if version is None:
        del headers["mcp-protocol-version"]
    else:
        headers["mcp-protocol-version"] = version
    refused = refusal(Malformed, modern, headers=headers)
    assert (refused.code, refused.status) == (-32020, 400)


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("mcp-method", None),
        ("mcp-method", "tools/list"),
        ("mcp-method", "TOOLS/CALL"),
        ("mcp-method", "tools/call, tools/call"),
        ("mcp-name", None),
        ("mcp-name", ""),
        ("mcp-name", "T"),
        ("mcp-name", "t, t"),
        ("mcp-name", "=?base64?dA=?="),
        ("mcp-name", "=?base64?dB==?="),
        ("mcp-name", "=?base64?/w==?="),
        ("mcp-name", "=?BASE64?dA==?="),
    ],
)
def test_headers_that_differ_from_the_body_are_a_mismatch(header, value):
    headers = modern_headers("tools/call", "t")
    if value is None:
        del headers[header]
    else:
        headers[header] = value
    refused = refusal(Malformed, modern, headers=headers)
    assert (refused.code, refused.status) == (-32020, 400)


@pytest.mark.parametrize("method", [name for name, method in METHODS.items() if method.mirrored])
def test_the_name_header_stands_for_the_parameter_that_names_the_target(method):
    wrong = modern_headers(method, "other")
    assert refusal(Malformed, modern, method, headers=wrong).code == -32020
    assert modern(method).target == EXPECTED[method][2]
    assert set(INPUT_REQUIRED_METHODS) == {name for name, row in METHODS.items() if row.mirrored} - TASKS


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20))
@example("=?base64?literal?=")
@example(" padded ")
@example("line1\nline2")
def test_a_wrapped_name_is_compared_with_what_it_says(name):
    wrapped = f"=?base64?{base64.b64encode(name.encode()).decode()}?="
    assert decoded(wrapped) == name
    assert modern(params={"name": name}, headers=modern_headers("tools/call", f" {wrapped}\t")).target == name


def test_a_plain_header_says_itself():
    assert decoded(" us-west1 ") == "us-west1"
    assert decoded(None) is None


# -- properties

words = st.sampled_from([*METHODS, "notifications/x", "x", ""])
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from([MODERN, "2025-06-18", "ref/prompt", "info"])
)
names = "name uri arguments argument ref type cursor level _meta notifications protocolVersion"
keys = st.sampled_from([*names.split(), VERSION_KEY, CAPABILITIES_KEY, LOG_LEVEL_KEY, PROGRESS_KEY])
trees = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=5), max_leaves=12
)
params = st.dictionaries(keys, trees, max_size=6)
header_maps = st.dictionaries(
    st.sampled_from(["mcp-protocol-version", "mcp-method", "mcp-name"]),
    st.sampled_from([MODERN, "2025-06-18", "x", "", "tools/call", "=?base64?eA==?="]) | st.text(max_size=5),
)
messages = (
    st.builds(Request, st.integers(), words, params)
    | st.builds(Notification, words, params)
    | st.builds(Response, st.integers(), params)
)


@given(messages, header_maps, st.sampled_from(["mcp", "sse"]), st.none() | st.sampled_from(LEGACY_VERSIONS))
def test_any_message_with_any_headers_is_a_call_or_a_refusal(message, headers, transport, session_version):
    made = outcome(message, headers, transport, session_version)
    if isinstance(made, Call):
        assert made.message is message
        assert made.version in SUPPORTED_VERSIONS
        assert (made.version in MODERN_VERSIONS) == (made.era is Era.MODERN)
        assert (made.step is Step.USE) == bool(made.target)
        return
    assert made.code in (-32600, -32601, -32602, -32020, -32022)


def outcome(message, headers, transport, session_version):
    try:
        return call(message, headers, transport, session_version=session_version)
    except (Malformed, Unknown) as refused:
        return refused


@given(st.sampled_from(sorted(METHODS)), params, header_maps)
def test_headers_never_change_what_a_call_names(method, extra, headers):
    """The target and the method are the body's: whatever the headers say, they only refuse."""
    message = Request(1, method, {**extra, **PARAMS.get(method, {}), "_meta": META})
    made = outcome(message, headers, "mcp", None)
    if isinstance(made, Call) and METHODS[method].target in ("name", "uri"):
        assert made.target == message.params[METHODS[method].target]


@pytest.mark.parametrize("transport", ["mcp", "sse"])
def test_two_headers_say_whose_connection_is_used_and_where_the_browser_goes_back_to(transport):
    headers = {"x-credential-id": "5f0c", "x-redirect-uri": "https://app.example.com/back"}
    asked = Request(1, "tools/call", {"name": "a__b"})
    found = classify(asked, headers=headers, domain="main", transport=transport)
    assert (found.credential, found.back) == ("5f0c", "https://app.example.com/back")
    bare = classify(asked, headers={}, domain="main", transport=transport)
    assert (bare.credential, bare.back) == ("", "")
