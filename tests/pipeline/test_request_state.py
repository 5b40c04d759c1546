"""A state counts once, for a short time, for one request, and for nobody else."""

import json
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from gateway.errors import Limited, Malformed
from gateway.pipeline.request_state import LIVES_MS, Claim, Tickets, What, digest
from gateway.sealing import Seal
from tests.builders import NOON

SEAL = Seal([b"k" * 32])
CLAIM = Claim("user:amy", "main", "slack", "user:amy", "tools/call", "slack__send", digest({"name": "slack__send"}))


@dataclass
class Book:
    tickets: Tickets
    now: int = NOON

    def issue(self, claim: Claim = CLAIM, what: What = What.RELAYED) -> str:
        return self.tickets.issue(what, claim, {"a": "roots/list"}, self.now, "theirs")[1]

    def redeem(self, text: str, claim: Claim = CLAIM) -> None:
        self.tickets.spend(self.tickets.read(text, claim, self.now), self.now)


def book(**caps: int) -> Book:
    return Book(Tickets(SEAL, **caps))


def test_a_state_tells_nothing_in_the_clear_and_everything_to_us():
    ours = book()
    text = ours.issue()
    assert not any(word in text for word in ("theirs", "amy", "slack", "roots"))
    ticket = ours.tickets.read(text, CLAIM, NOON)
    assert (ticket.what, ticket.asked, ticket.state) == (What.RELAYED, {"a": "roots/list"}, "theirs")
    assert ticket.expires == NOON + LIVES_MS


@pytest.mark.parametrize("field", Claim.__struct_fields__)
def test_a_state_is_refused_wherever_the_request_is_another(field: str):
    ours = book()
    other: Any = b"" if field == "digest" else "another"
    with pytest.raises(Malformed) as caught:
        ours.redeem(ours.issue(), structs.replace(CLAIM, **{field: other}))
    assert caught.value.code == -32602


def test_a_state_counts_until_it_expires():
    ours = book()
    text = ours.issue()
    ours.now += LIVES_MS - 1
    ours.tickets.read(text, CLAIM, ours.now)
    ours.now += 1
    with pytest.raises(Malformed):
        ours.redeem(text)


def test_a_state_counts_once_even_when_it_was_read_twice_before():
    ours = book()
    text = ours.issue()
    first, second = (ours.tickets.read(text, CLAIM, NOON) for _ in range(2))
    ours.tickets.spend(first, NOON)
    with pytest.raises(Malformed):
        ours.tickets.spend(second, NOON)
    with pytest.raises(Malformed):
        ours.redeem(text)


def test_what_was_used_is_remembered_for_as_long_as_it_could_count_and_no_longer():
    ours = book(per_subject=2, most=3)
    for _ in range(2):
        ours.redeem(ours.issue())
    with pytest.raises(Limited):
        ours.redeem(ours.issue())
    bob = structs.replace(CLAIM, principal="user:bob")
    ours.redeem(ours.issue(bob), bob)
    with pytest.raises(Limited):
        ours.redeem(ours.issue(bob), bob)
    ours.now += LIVES_MS
    for claim in (CLAIM, bob):
        ours.redeem(ours.issue(claim), claim)


def test_another_process_with_the_same_secret_reads_the_state():
    assert book().tickets.read(book().issue(), CLAIM, NOON).claim == CLAIM
    with pytest.raises(Malformed):
        Tickets(Seal([b"x" * 32])).read(book().issue(), CLAIM, NOON)


@pytest.mark.parametrize("plain", [msgspec.msgpack.encode(["x", "another", [], {}, 1]), b"\xc1", b""])
def test_a_sealed_state_of_another_layout_is_refused_like_any_other(plain: bytes):
    tickets = Tickets(SEAL)
    text = SEAL.close(plain)
    assert tickets.peek(text) is None
    with pytest.raises(Malformed, match="not valid here any more"):
        tickets.read(text, CLAIM, NOON)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-100, 100) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=6,
)


@given(st.dictionaries(st.text(max_size=3), JSON, max_size=3), st.dictionaries(st.text(max_size=3), JSON, max_size=3))
def test_parameters_have_one_digest_whatever_their_order_and_whatever_stands_beside_them(one: Any, other: Any):
    beside = {"_meta": {"x": 1}, "inputResponses": {"a": {}}, "requestState": "s"}
    assert digest({**one, **beside}) == digest(dict(reversed(one.items())))
    assert (digest(one) == digest(other)) == (json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True))
