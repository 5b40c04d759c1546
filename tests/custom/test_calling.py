"""What a tool made at run time calls: read out of its handler, or every fault with its place."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.custom.calling import TYPES, Called, declared_by, is_id, read_call
from gateway.records import Handler

URL = "https://api.example.com/v1/{{id}}"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from(["{{x}}", "slack", URL]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def read(type, config, declared="", packages=None):
    return read_call(Handler(type=type, config=config), tuple(declared), packages)


def called(*args, **more):
    found = read(*args, **more)
    assert isinstance(found, Called), found
    return found


def faults(*args, **more):
    found = read(*args, **more)
    assert isinstance(found, list), found
    return found


# -- what is called


def test_a_tool_of_a_connector_is_called_by_the_object_that_rows_name():
    found = called(
        "connector", {"connector": "slack", "action": "send_message", "args": {"to": "#a", "text": "{{x}}"}}, "xy"
    )
    assert found.object == "slack/send_message"
    assert found.told == {"type": "connector", "connector": "slack", "tool": "send_message"}
    assert found.mapping.filled({"x": "hi", "y": 1}) == {"to": "#a", "text": "hi", "y": 1}
    assert found.secrets == ()


def test_what_is_fixed_cannot_be_overridden_by_an_argument_of_that_name():
    found = called("upstream", {"upstream": "git", "tool": "git_log", "argMappings": {"x": "fixed"}}, "xy")
    assert found.object == "git/git_log"
    assert found.mapping.filled({"x": "mine", "y": 1}) == {"x": "fixed", "y": 1}


def test_a_tool_with_a_strange_name_is_spelled_as_rows_spell_it():
    assert called("upstream", {"upstream": "git", "tool": "a/b:c"}).object == "git/a%2Fb%3Ac"


def test_an_http_host_is_an_object_and_its_port_is_part_of_it():
    plain = called("http", {"url": URL}, ["id"])
    assert (plain.object, plain.told) == (
        "http/api.example.com",
        {"type": "http", "host": "api.example.com", "method": "GET"},
    )
    assert plain.mapping.filled({"id": "7"}) == {"method": "GET", "path": "/v1/7", "query": {}, "headers": {}}
    assert called("http", {"url": "https://a.example:8443"}).object == "http/a.example%3A8443"
    assert called("http", {"url": "https://a.example?k={{secret.KEY}}"}).secrets == ("KEY",)


def test_a_handler_package_gets_the_rest_of_the_configuration():
    found = called("weather", {"action": "forecast", "args": {"city": "{{x}}"}, "unit": "C"}, "x", packages=["weather"])
    assert (found.object, found.config) == ("weather/forecast", {"unit": "C"})
    assert found.told == {"type": "weather", "connector": "weather", "tool": "forecast"}


def test_the_arguments_that_a_schema_declares_are_its_properties():
    assert set(declared_by({"properties": {"a": {}, "b": True}})) == {"a", "b"}
    for schema in (None, True, {}, {"properties": []}):
        assert set(declared_by(schema)) == set()


# -- faults


@pytest.mark.parametrize(
    ("type", "config", "sentence"),
    [
        ("connector", {}, "handler.config.connector: is to be the id of a connector or upstream"),
        ("connector", {"connector": "slack"}, "handler.config.action: is to be the name of one of its tools"),
        ("connector", {"connector": "slack", "action": ""}, "handler.config.action: is to be the name"),
        ("connector", {"connector": "slack", "action": "a" * 257}, "handler.config.action: is to be the name"),
        ("connector", {"connector": "Slack", "action": "a"}, "handler.config.connector: is to be the id"),
        ("connector", {"connector": "a/b", "action": "a"}, "handler.config.connector: is to be the id"),
        ("connector", {"connector": "custom", "action": "post"}, "handler.config.connector: is to be the id"),
        ("upstream", {"upstream": "gateway", "tool": "add-user"}, "handler.config.upstream: is to be the id"),
        ("upstream", {"upstream": "http", "tool": "a.example"}, "handler.config.upstream: is to be the id"),
        ("upstream", {"upstream": "git", "tool": "log", "unit": 1}, "handler.config.unit: is not known"),
        (
            "upstream",
            {"upstream": "git", "tool": "log", "args": {}, "argMappings": {}},
            "handler.config.args: is to be one",
        ),
        ("upstream", {"upstream": "git", "tool": "log", "args": []}, "handler.config.args: is to be one object"),
        (
            "upstream",
            {"upstream": "git", "tool": "log", "args": {"a": "{{w}}"}},
            "handler.config.args.a: `{{w}}` is no",
        ),
        (
            "connector",
            {"connector": "a", "action": "b", "argMappings": {"a": "{{"}},
            "handler.config.argMappings.a: the",
        ),
        ("http", {"url": "https://a.example/{{w}}"}, "handler.config.url: `{{w}}` is no argument"),
        ("http", {"url": "https://a.example/", "query": {"q": ["{{w}}"]}}, "handler.config.query.q[0]: `{{w}}` is no"),
        ("http", {"url": "https://a.example/{{x}}"}, "handler.config: no template reads the argument `y`"),
        (
            "http",
            {"url": "https://a.example/", "method": "POST", "body": {"k": "{{ secret.KEY }}"}},
            (
                "handler.config.body.k: `{{secret.KEY}}` is no argument that the tool declares; only whole arguments can be "
                "read, by their names; secrets stand in values of `headers` and `query` alone"
            ),
        ),
        ("http", {"url": "https://a.example/{{secret.KEY}}"}, "handler.config.url: `{{secret.KEY}}` is no argument"),
        (
            "gateway",
            {"action": "add-user"},
            "handler.type: `gateway` is no type of handler; there are `http`, `connector`",
        ),
        ("custom", {"action": "post"}, "handler.type: `custom` is no type of handler"),
        ("", {}, "handler.type: `` is no type"),
        ("Weather", {"action": "a"}, "handler.type: `Weather` is no type"),
        ("user-management", {"action": "add"}, "handler.type: `user-management` is no type"),
    ],
)
def test_a_handler_that_cannot_be_is_refused_with_its_place(type, config, sentence):
    assert any(each.startswith(sentence) for each in faults(type, config, "xy", packages=["weather"]))


def test_without_a_list_of_packages_any_name_could_be_one():
    assert isinstance(read("weather", {"action": "a"}), Called)
    assert not is_id("custom")


def test_no_template_reads_the_environment_or_the_session():
    for name in ("HOME", "MCP_ADMIN_EMAIL", "apiKey", "process.env.HOME", "env.HOME", "x.y"):
        assert faults("upstream", {"upstream": "git", "tool": "log", "args": {"a": f"{{{{{name}}}}}"}}, ["x"])


@given(
    st.sampled_from([*TYPES, "weather", "", "gateway"]),
    st.dictionaries(
        st.sampled_from(["connector", "action", "upstream", "tool", "args", "argMappings", "url", "headers", "z"]), JSON
    ),
    st.sets(st.sampled_from("xyz")),
)
def test_any_handler_is_read_or_refused_and_never_calls_what_is_ours(type, config, declared):
    found = read(type, config, declared)
    if isinstance(found, Called):
        assert not found.object.startswith(("gateway/", "custom/"))
        assert found.object.startswith("http/") == (type == "http")
        assert found.mapping.names <= declared
    else:
        assert found
        assert all(each.startswith("handler.") for each in found)
