"""What a server may ask of a client: capabilities are passed on in part, and never made larger."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mcp.questions import QUESTIONS, TASKS, lacking, relayable, relayable_modern, words_of

ALL = {"roots": {}, "sampling": {"context": {}, "tools": {}}, "elicitation": {"form": {}, "url": {}}}

values = st.sampled_from([{}, {"x": 1}, True, None, [], "form", 5])
given_to = {
    "roots": ("listChanged",),
    "sampling": ("tools", "context", "x"),
    "elicitation": ("form", "url", "voice"),
    "x": (),
}
capabilities = st.fixed_dictionaries(
    {},
    optional={
        name: values | st.fixed_dictionaries({}, optional=dict.fromkeys(words, values))
        for name, words in given_to.items()
    },
)
modes = st.sampled_from(["form", "url", "voice", "", None, 5])
params = st.fixed_dictionaries(
    {}, optional={"mode": modes, "tools": st.just([]), "toolChoice": st.just({}), "message": st.text(max_size=3)}
)


@pytest.mark.parametrize(
    ("declared", "relayed"),
    [
        ({}, {}),
        (ALL, ALL),
        ({"roots": {"listChanged": True}}, {"roots": {}}),
        ({"elicitation": {}}, {"elicitation": {}}),
        ({"elicitation": {"form": {"applyDefaults": True}}}, {"elicitation": {}}),
        ({"elicitation": {"url": {}}}, {"elicitation": {"url": {}}}),
        ({"elicitation": {"voice": {}}}, {}),
        ({"sampling": {"voice": {}, "tools": True}}, {"sampling": {}}),
        ({"roots": True, "sampling": None, "elicitation": []}, {}),
        ({"tasks": {"list": {}}, "experimental": {"x": {}}, "extensions": {TASKS: {}}}, {}),
    ],
)
def test_only_what_can_be_brought_to_the_client_is_declared(declared, relayed):
    assert relayable(declared) == relayed


def test_extensions_that_are_known_are_declared_to_modern_servers_only():
    declared = {"roots": {}, "extensions": {TASKS: {"x": 1}, "com.example/other": {}}}
    assert relayable_modern(declared) == {"roots": {}, "extensions": {TASKS: {}}}
    assert relayable_modern({"extensions": {"com.example/other": {}}}) == {}
    assert relayable_modern({"extensions": [TASKS]}) == {}


@pytest.mark.parametrize(
    ("method", "params", "declared", "missing"),
    [
        ("roots/list", {}, {}, {"roots": {}}),
        ("roots/list", {}, {"roots": {}}, {}),
        ("sampling/createMessage", {}, {"sampling": {}}, {}),
        ("sampling/createMessage", {}, {"roots": {}}, {"sampling": {}}),
        ("sampling/createMessage", {"includeContext": "thisServer"}, {"sampling": {}}, {}),
        ("sampling/createMessage", {"tools": []}, {"sampling": {}}, {"sampling": {"tools": {}}}),
        ("sampling/createMessage", {"toolChoice": {}}, {"sampling": {}}, {"sampling": {"tools": {}}}),
        ("sampling/createMessage", {"tools": []}, {}, {"sampling": {"tools": {}}}),
        ("sampling/createMessage", {"tools": []}, ALL, {}),
        ("elicitation/create", {}, {"elicitation": {}}, {}),
        ("elicitation/create", {"mode": "form"}, {"elicitation": {}}, {}),
        ("elicitation/create", {}, {"elicitation": {"url": {}}}, {"elicitation": {"form": {}}}),
        ("elicitation/create", {"mode": "url"}, {"elicitation": {}}, {"elicitation": {"url": {}}}),
        ("elicitation/create", {"mode": "url"}, ALL, {}),
        ("elicitation/create", {"mode": "voice"}, ALL, {"elicitation": {"voice": {}}}),
        ("elicitation/create", {"mode": "voice"}, {"elicitation": {"voice": {}}}, {"elicitation": {"voice": {}}}),
    ],
)
def test_what_a_client_lacks_for_a_question_is_said_in_the_words_of_the_protocol(method, params, declared, missing):
    assert lacking(method, params, declared) == missing


@given(capabilities)
def test_declaring_again_what_was_declared_changes_nothing(declared):
    once = relayable(declared)
    assert relayable(once) == once
    assert words_of(once) == words_of(declared)
    assert {word.partition(".")[0] for word in words_of(declared)} == once.keys()


@given(capabilities, st.sampled_from(sorted(QUESTIONS)), params)
def test_a_question_can_be_asked_exactly_if_what_is_declared_for_the_client_says_so(declared, method, params):
    assert lacking(method, params, declared) == lacking(method, params, relayable(declared))


@given(capabilities, capabilities)
def test_clients_with_the_same_words_are_declared_alike(one, other):
    assert (words_of(one) == words_of(other)) == (relayable(one) == relayable(other))
