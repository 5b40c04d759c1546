"""What is sealed of a connection comes back as it was, and goes where it belongs."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.base import Secret
from connectors.oauth.terms import Tokens
from gateway.connections.material import (
    Material,
    context_of_connection,
    context_of_flow,
    context_of_registration,
    credential,
    inputs_of,
    of_tokens,
    pack,
    tokens_of,
    unpack,
)
from gateway.records import Flow, Registration
from gateway.vault import Unsealable
from tests.connections.renewal import NOON, connection, keyed, platform

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
materials = st.builds(Material, st.dictionaries(texts, texts.map(Secret), max_size=4), st.dictionaries(texts, texts))


def told(material):
    return {name: each.reveal() for name, each in material.secrets.items()}, dict(material.plain)


@given(materials)
def test_what_is_packed_is_unpacked(material):
    assert told(unpack(pack(material))) == told(material)


@given(st.binary(max_size=200))
def test_other_bytes_are_refused(anything):
    try:
        assert pack(unpack(anything))
    except Unsealable:
        return


@given(st.none() | texts.map(Secret), st.none() | st.integers(0, 2**50), st.dictionaries(texts, texts))
def test_tokens_come_back_as_they_were(refresh, expires_at, kept):
    tokens = Tokens(Secret("access"), refresh, expires_at, ("read",), kept)
    record = connection(expires_at=expires_at, scopes=("read",))
    back = tokens_of(unpack(pack(of_tokens(tokens))), record)
    assert (back.access.reveal(), back.expires_at, back.scopes, back.kept) == ("access", expires_at, ("read",), kept)
    assert (back.refresh and back.refresh.reveal()) == (refresh and refresh.reveal())


def test_typed_secrets_stand_beside_tokens():
    material = of_tokens(Tokens(Secret("a"), Secret("r")), {"pin": Secret("p")})
    assert told(material)[0] == {"pin": "p", "access_token": "a", "refresh_token": "r"}
    assert (material.access, material.refresh, Material().access, Material().refresh) == ("a", "r", "", "")


def test_a_credential_never_holds_the_refresh_token():
    whole = Material({"access_token": Secret("a"), "refresh_token": Secret("r")}, {"site": "kept"})
    made = credential(whole, "id", {"site": "typed"})
    assert list(made.secrets) == ["access_token"]
    assert made.plain == {"site": "typed"}


def test_the_operators_inputs_are_the_last_word_and_defaults_the_first():
    whole = keyed()
    inputs = (replace(whole.definition.inputs[0], name="site", secret=False, default="www"), *whole.definition.inputs)
    given = replace(whole, definition=replace(whole.definition, inputs=inputs))
    assert inputs_of(given, {}) == {"site": "www", "region": "eu"}
    assert inputs_of(given, {"site": "typed", "region": "us"}) == {"site": "typed", "region": "eu"}
    assert inputs_of(platform(), {}) == {"region": "eu"}


def test_no_two_kinds_of_places_are_the_same():
    record = connection()
    flow = Flow(id=record.id, owner=record.owner, connector=record.connector, binding="session")
    registration = Registration(id=record.id, issuer="i", client_id="c", redirect_uri="r")
    places = {context_of_connection(record), context_of_flow(flow), context_of_registration(registration)}
    assert len(places) == 3
    assert context_of_connection(record) == ("connection/1", "main", record.owner, "slack", record.id)
    assert context_of_flow(flow) == ("flow/1", "main", record.owner, "slack", record.id)


@pytest.mark.parametrize("shown", [repr, str, "{}".format])
def test_nothing_of_it_can_be_printed(shown):
    material = of_tokens(Tokens(Secret("canary"), Secret("canary"), NOON, (), {"id_token": "canary"}))
    assert "canary" not in shown(material)
