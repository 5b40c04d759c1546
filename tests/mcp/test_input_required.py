"""Questions and answers as both eras write them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import Malformed, UpstreamFailed
from gateway.mcp import input_required as asked
from gateway.mcp.input_required import InputRequired, Question
from gateway.mcp.questions import ELICITATION, QUESTIONS, ROOTS, SAMPLING, relayable
from gateway.mcp.terms import META_KEYS

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
OBJECT = st.dictionaries(st.text(max_size=5), JSON, max_size=3)
META = st.fixed_dictionaries({}, optional={"progressToken": st.just(1), "vendor/key": JSON})
PARAMS = st.fixed_dictionaries({}, optional={"mode": st.sampled_from(["form", "url"]), "tools": JSON, "_meta": META})
QUESTION = st.builds(Question, st.sampled_from(sorted(QUESTIONS)), PARAMS)
CAPABILITIES = st.fixed_dictionaries(
    {},
    optional={
        "roots": st.just({}),
        "sampling": st.sampled_from([{}, {"tools": {}}]),
        "elicitation": st.sampled_from([{}, {"form": {}}, {"url": {}}, {"form": {}, "url": {}}]),
    },
)


@given(st.dictionaries(st.text(max_size=5), QUESTION, max_size=4), st.none() | st.text(max_size=5), OBJECT)
def test_what_is_written_is_read_as_the_same(questions: Any, state: str | None, more: dict[str, Any]):
    more = {key: value for key, value in more.items() if key not in ("resultType", "inputRequests", "requestState")}
    bare = {key: Question(each.method, asked.bare(each.params)) for key, each in questions.items()}
    told = InputRequired(bare, state, more)
    if not questions and state is None:
        with pytest.raises(UpstreamFailed):
            asked.read(asked.written(told))
        return
    assert asked.asks(asked.written(told))
    assert asked.read(asked.written(told)) == told


def test_what_a_server_says_of_its_own_hop_is_not_read_as_part_of_its_question():
    meta = {**dict.fromkeys(META_KEYS, 1), "vendor/key": 2}
    request = {"method": ELICITATION, "params": {"message": "?", "_meta": meta}}
    found = asked.read({"resultType": "input_required", "inputRequests": {"k": request}})
    assert found.questions == {"k": Question(ELICITATION, {"message": "?", "_meta": {"vendor/key": 2}})}


@given(st.lists(QUESTION, max_size=4), CAPABILITIES, CAPABILITIES)
def test_a_client_lacks_nothing_exactly_when_it_declares_what_every_question_needs(questions: Any, one: Any, more: Any):
    missing = asked.lacking(questions, one)
    assert (missing == {}) == all(not asked.lacking([each], one) for each in questions)
    assert missing == asked.required_of({"requiredCapabilities": missing})
    assert missing.keys() <= relayable({"roots": {}, "sampling": {}, "elicitation": {}}).keys()
    assert (
        asked.lacking(questions, {"roots": {}, "sampling": {"tools": {}}, "elicitation": {"form": {}, "url": {}}}) == {}
    )


@given(QUESTION)
def test_a_question_says_the_same_in_the_other_era_but_for_what_concerns_one_hop(question: Question):
    for told in (asked.in_modern(question), asked.in_legacy(question, "id")):
        assert told.method == question.method
        assert told.params.get("_meta") != {}
        assert "progressToken" not in told.params.get("_meta", {})  # type: ignore[operator]
        assert told.params.get("_meta", {}).get("vendor/key") == question.params.get("_meta", {}).get("vendor/key")  # type: ignore[union-attr]
    assert ("elicitationId" in asked.in_legacy(question, "id").params) == question.by_url
    assert asked.in_modern(asked.in_legacy(question, "id")) == asked.in_modern(question)


@given(OBJECT | st.dictionaries(st.sampled_from(["inputResponses", "requestState"]), JSON))
def test_any_parameters_at_all_are_replies_or_refused(params: dict[str, Any]):
    try:
        replies = asked.replies(params)
    except Malformed:
        answers = params.get("inputResponses", {})
        shaped = isinstance(answers, dict) and all(isinstance(each, dict) for each in answers.values())
        assert not (shaped and isinstance(params.get("requestState"), str | None))
        return
    assert replies.state == params.get("requestState")
    assert all(isinstance(each, dict) for each in replies.answers.values())


def test_a_state_that_is_too_long_to_be_ours_is_not_looked_at():
    ours = "x" * asked.MAX_SEALED
    assert asked.replies({"requestState": ours}).state == ours
    with pytest.raises(Malformed, match="characters"):
        asked.replies({"requestState": ours + "x"})


@given(
    st.dictionaries(st.text(max_size=3), OBJECT, max_size=3),
    st.dictionaries(st.text(max_size=3), st.sampled_from(sorted(QUESTIONS)), max_size=3),
)
def test_no_answer_is_chosen_that_was_not_asked_for(answers: Any, questions: dict[str, str]):
    try:
        chosen = asked.chosen(answers, questions)
    except Malformed:
        assert any(asked.problem_of(answers[key], questions[key]) for key in answers.keys() & questions.keys())
        return
    assert chosen == {key: answers[key] for key in answers if key in questions}


@pytest.mark.parametrize(
    ("method", "answer", "about"),
    [
        (ELICITATION, {"action": "accept", "content": {"a": 1}}, ""),
        (ELICITATION, {"action": "accept"}, ""),
        (ELICITATION, {"action": "decline"}, ""),
        (ELICITATION, {"action": "cancel"}, ""),
        (ELICITATION, {}, "action"),
        (ELICITATION, {"action": ["accept"]}, "action"),
        (ELICITATION, {"action": "accept", "content": []}, "content"),
        (SAMPLING, {"role": "assistant", "model": "m", "content": {}}, ""),
        (SAMPLING, {"role": "user", "model": "m", "content": []}, ""),
        (SAMPLING, {"role": "system", "model": "m", "content": {}}, "role"),
        (SAMPLING, {"role": "user", "content": {}}, "model"),
        (SAMPLING, {"role": "user", "model": "m"}, "content"),
        (ROOTS, {"roots": []}, ""),
        (ROOTS, {"roots": [{"uri": "file:///x"}]}, ""),
        (ROOTS, {}, "roots"),
        (ROOTS, {"roots": [{"uri": 1}]}, "uri"),
        (ROOTS, {"roots": ["file:///x"]}, "uri"),
    ],
)
def test_an_answer_has_the_shape_of_its_kind(method: str, answer: dict[str, Any], about: str):
    problem = asked.problem_of(answer, method)
    assert (f"`{about}`" in problem) if about else problem == ""


def test_a_request_that_is_repeated_carries_answers_and_state_only_where_there_are_some():
    assert asked.retried({"name": "x"}, {}, None) == {"name": "x"}
    assert asked.retried({"name": "x"}, {"a": {}}, "") == {"name": "x", "inputResponses": {"a": {}}, "requestState": ""}


def test_an_answer_goes_to_the_server_without_what_the_client_says_of_its_own_hop():
    meta = {"io.modelcontextprotocol/clientCapabilities": {}, "progressToken": 1}
    answer = {"roots": [], "_meta": {**meta, "vendor/key": 2}}
    assert asked.chosen({"a": answer, "b": answer}, {"a": ROOTS}) == {"a": {"roots": [], "_meta": {"vendor/key": 2}}}
