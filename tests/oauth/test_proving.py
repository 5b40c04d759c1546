"""How a request proves who we are."""

import base64
import json
from urllib.parse import parse_qsl, unquote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.base import Secret
from connectors.definition.terms import ClientAuth, Coding
from connectors.oauth.proving import body_of, proven
from connectors.oauth.terms import Client

texts = st.text(st.characters(codec="utf-8"), max_size=30)


@given(texts, texts)
def test_a_server_that_keeps_to_the_rfc_reads_back_id_and_secret(id, secret):
    headers, fields = proven(Client(id, Secret(secret), ""), ClientAuth.BASIC_RFC6749)
    user, password = base64.b64decode(headers["Authorization"].removeprefix("Basic ")).decode().split(":")
    assert (unquote_plus(user), unquote_plus(password)) == (id, secret)
    assert fields == []


@given(texts, texts)
def test_a_server_that_does_not_decode_reads_them_as_they_are(id, secret):
    headers, _ = proven(Client(id, Secret(secret), ""), ClientAuth.BASIC)
    assert base64.b64decode(headers["Authorization"].removeprefix("Basic ")).decode() == f"{id}:{secret}"


@given(st.lists(st.tuples(texts, texts), max_size=5, unique_by=lambda pair: pair[0]))
def test_a_body_says_the_same_in_either_coding(pairs):
    kind, form = body_of(pairs, Coding.FORM)
    assert kind == "application/x-www-form-urlencoded"
    assert parse_qsl(form.decode(), keep_blank_values=True) == pairs
    kind, text = body_of(pairs, Coding.JSON)
    assert kind == "application/json"
    assert json.loads(text) == dict(pairs)


@pytest.mark.parametrize("how", ClientAuth)
def test_a_secret_that_is_missing_is_no_empty_secret(how):
    public = Client("id", None, "")
    if how is ClientAuth.NONE:
        assert proven(public, how) == ({}, [("client_id", "id")])
    else:
        with pytest.raises(ValueError, match="the client secret is missing"):
            proven(public, how)
