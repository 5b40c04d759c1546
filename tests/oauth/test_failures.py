"""What platforms say when they refuse: which kind it is, and that nothing secret is told again."""

from urllib.parse import quote, quote_plus

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from connectors.oauth.failures import Leg, failed, kind_of, known_word, masked
from connectors.oauth.terms import Failure

texts = st.text(max_size=200)
visible = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=4, max_size=80)


@given(st.sampled_from(Leg), st.integers(100, 599), texts, texts)
def test_every_refusal_is_of_some_kind(leg, status, word, message):
    kind = kind_of(leg, status, word, message)
    assert kind in Failure
    assert kind not in (Failure.WRONG_ISSUER, Failure.BAD_CALLBACK, Failure.MISCONFIGURED, Failure.BAD_ANSWER)


@given(st.sampled_from(Leg), st.sampled_from([408, 429, 500, 502, 503, 599]), texts, texts)
def test_an_outage_never_ends_a_connection(leg, status, word, message):
    assert kind_of(leg, status, word, message) is Failure.UNAVAILABLE
    assert kind_of(leg, status, "invalid_grant", "the refresh_token is invalid") is Failure.UNAVAILABLE


@pytest.mark.parametrize("leg", [Leg.AUTHORIZATION, Leg.CODE, Leg.CLIENT])
def test_only_a_renewal_takes_a_refusal_of_the_client_for_a_dead_token(leg):
    said = ("unauthorized_client", "refresh_token is invalid")
    assert kind_of(leg, 403, *said) is Failure.INVALID_CLIENT
    assert kind_of(Leg.RENEWAL, 403, *said) is Failure.INVALID_GRANT


@pytest.mark.parametrize(
    "message", ["", "client is invalid", "Unknown client, wants a refresh", "refresh_token required"]
)
def test_a_client_that_is_refused_does_not_end_a_connection(message):
    assert kind_of(Leg.RENEWAL, 401, "invalid_client", message) is Failure.INVALID_CLIENT


@pytest.mark.parametrize("word", ["invalid_scope", "temporarily_unavailable"])
def test_a_word_that_is_known_counts_more_than_what_is_said_beside_it(word):
    assert kind_of(Leg.RENEWAL, 400, word, "the refresh token is unknown") is kind_of(Leg.CODE, 400, word)


def test_words_are_known_in_capitals_too():
    assert kind_of(Leg.RENEWAL, 400, "BAD_REFRESH_TOKEN") is Failure.INVALID_GRANT


@pytest.mark.parametrize("word", ["invalid_request", "unsupported_grant_type", "no_such_word", ""])
def test_a_word_that_means_nothing_to_us_does_not_end_a_connection(word):
    assert kind_of(Leg.RENEWAL, 400, word, "try again") is Failure.PROVIDER_ERROR


def test_a_person_who_refuses_is_told_apart_from_a_token_that_died():
    assert kind_of(Leg.AUTHORIZATION, 0, "access_denied") is Failure.ACCESS_DENIED
    assert kind_of(Leg.AUTHORIZATION, 0, "consent_required") is Failure.ACCESS_DENIED
    assert kind_of(Leg.RENEWAL, 400, "consent_required") is Failure.INVALID_GRANT


@given(visible, texts, texts)
def test_what_was_sent_is_never_told_again(secret, before, after):
    for written in (secret, quote(secret, safe=""), quote_plus(secret)):
        told = masked(f"{before} {written} {after}", [secret])
        assert written not in told or written in masked(f"{before} *** {after}", [])


@pytest.mark.parametrize(
    "token",
    [
        "gho_16C7e42F292c6912E7710c838347Ae178B4a",
        "xoxb-17653672481-19874698323-pdFZKVeTuE8sk7oOcHrzqqgy",
        "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.NHVaYe26MbtOYhSKkoKYdFVomg4i8ZJd8_-RU8VNbft",
        "ya29.a0AfH6SMBx-abcdefghijklmnop1",
        "1//0gFabcdefGHIJKLMnopqrst",
        "A" * 48,
    ],
)
def test_what_looks_like_a_token_is_never_told(token):
    told = masked(f"the token {token} is bad", [])
    assert token not in told
    assert told == "the token *** is bad"


@pytest.mark.parametrize("words", ["HTTP 400 invalid_grant: AADSTS70008 expired", "HTTP 403 bad_refresh_token: again"])
def test_what_helps_an_operator_stays(words):
    assert masked(words, ["rt-1"]) == words


@given(texts)
@example("some words ")
def test_a_detail_is_one_short_line(text):
    told = masked(text * 50, [])
    assert len(told) <= 300
    assert all(" " <= each <= "~" for each in told)


@given(st.sampled_from(Failure), texts)
def test_a_failure_says_what_to_do_and_nothing_of_what_was_said(kind, detail):
    failure = failed("Sample", kind, detail)
    assert str(failure) == failure.sentence == failed("Sample", kind).sentence
    assert "Sample" in failure.sentence
    assert not failure.sentence.endswith(".")


@given(texts)
def test_only_known_words_of_a_stranger_are_repeated(word):
    assert known_word(word) in ("", word)
    assert known_word("access_denied") == "access_denied"
    assert known_word(word + " <b>") == ""
