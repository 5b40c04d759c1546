"""Which scopes a flow asks for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.definition.platform import Platform
from connectors.definition.terms import Api, Auth, AuthKind, Definition
from gateway.connections.rights import LONGEST, MOST, asked_for
from gateway.errors import UpstreamFailed
from gateway.records import Connected

API = Api(base_url="https://d.example", allowed_hosts=("d.example",))
WORDS = st.lists(st.sampled_from("abcdef"), max_size=6, unique=True).map(tuple)


def platform(scopes):
    definition = Definition(id="docs", title="Docs", auth=Auth(AuthKind.OAUTH2), api=API)
    return Platform(id="docs", definition=definition, scopes=scopes)


def connection(scopes):
    return Connected(id="a" * 24, owner="user:a", connector="docs", scopes=scopes)


@given(WORDS, WORDS, st.booleans())
def test_nothing_missing_asks_for_what_the_platform_has_set(own, given_before, reconnects):
    assert asked_for(platform(own), connection(given_before) if reconnects else None, ()) == own


@given(WORDS, WORDS, WORDS.filter(bool))
def test_what_is_missing_is_asked_for_besides_everything_that_was_and_each_once(own, before, missing):
    if set(missing) <= set(before):
        with pytest.raises(UpstreamFailed, match="that the account has"):
            asked_for(platform(own), connection(before), missing)
        return
    asked = asked_for(platform(own), connection(before), missing)
    assert set(asked) == {*own, *before, *missing}
    assert len(set(asked)) == len(asked)
    assert asked[: len(own)] == own


@pytest.mark.parametrize(
    "missing", [tuple(map(str, range(MOST))), tuple(f"{each:0200}" for each in range(LONGEST // 200))]
)
def test_nobody_is_asked_for_ever_more(missing):
    assert asked_for(platform(()), connection(()), missing) == missing
    with pytest.raises(UpstreamFailed, match="more rights than"):
        asked_for(platform(("one-more",)), connection(()), missing)
