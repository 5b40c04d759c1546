"""What is said between workers is whole, in order, once, and by one of us; everything else is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.workers.envelopes import GOOD_MS, Exchanges, Forged, Handed, Once, Said

NOON = 1_800_000_000_000
OURS = Exchanges([b"k" * 32])
REQUEST = Handed("POST", "/mcp", b"a=b", ((b"x-apikey", b"ost_secret"),), "203.0.113.7", b"{}")


def test_a_request_and_its_answer_come_through_whole():
    exchange, preamble = OURS.begin("n.0-a", NOON)
    taken = Exchanges([b"o" * 32, b"k" * 32]).taken(preamble, NOON)
    assert taken.preamble == exchange.preamble
    assert taken.request.open_request(exchange.request.close(REQUEST)) == REQUEST
    parts = [Said(200, ((b"a", b"b"),)), Said(body=b"x"), Said(more=False)]
    assert [exchange.answer.open_answer(taken.answer.close(each)) for each in parts] == parts


def test_nothing_of_a_request_can_be_read_on_the_way_or_in_a_log():
    exchange, preamble = OURS.begin("n.0-a", NOON)
    sealed = preamble + exchange.request.close(REQUEST)
    assert not [each for each in (b"n.0-a", b"ost_secret", b"/mcp", b"203.0.113.7") if each in sealed]
    assert "ost_secret" not in f"{REQUEST!r}{OURS!r}"


@given(st.binary(max_size=200))
def test_a_made_up_preamble_is_refused(sealed: bytes):
    with pytest.raises(Forged):
        OURS.taken(sealed, NOON)


@given(st.integers(0, 1000), st.integers(1, 255))
def test_an_altered_preamble_is_refused(place: int, change: int):
    _, preamble = OURS.begin("n.0-a", NOON)
    with pytest.raises(Forged):
        OURS.taken(altered(preamble, place, change), NOON)


@given(st.integers(0, 1000), st.integers(1, 255))
def test_an_altered_request_is_refused(place: int, change: int):
    exchange, preamble = OURS.begin("n.0-a", NOON)
    sealed = altered(exchange.request.close(REQUEST), place, change)
    with pytest.raises(Forged):
        OURS.taken(preamble, NOON).request.open_request(sealed)


def altered(sealed: bytes, place: int, change: int) -> bytes:
    place %= len(sealed)
    return sealed[:place] + bytes([sealed[place] ^ change]) + sealed[place + 1 :]


def test_what_another_gateway_seals_is_refused():
    _, preamble = Exchanges([b"x" * 32]).begin("n.0-a", NOON)
    with pytest.raises(Forged):
        OURS.taken(preamble, NOON)


@pytest.mark.parametrize("off", [-GOOD_MS - 1, GOOD_MS + 1])
def test_a_preamble_counts_for_half_a_minute_only(off: int):
    _, preamble = OURS.begin("n.0-a", NOON)
    assert OURS.taken(preamble, NOON + (off - 1 if off > 0 else off + 1))
    with pytest.raises(Forged):
        OURS.taken(preamble, NOON + off)


def test_an_exchange_is_taken_in_once_as_long_as_its_preamble_counts():
    once, (exchange, preamble) = Once(), OURS.begin("n.0-a", NOON)
    once.take(OURS.taken(preamble, NOON).preamble, NOON)
    for now in (NOON, NOON + GOOD_MS):
        with pytest.raises(Forged):
            once.take(OURS.taken(preamble, now).preamble, now)
    later, _ = OURS.begin("n.0-a", NOON + 4 * GOOD_MS)
    once.take(later.preamble, NOON + 4 * GOOD_MS)
    assert len(once._seen) == 1
    assert exchange.preamble.exchange not in once._seen


def test_the_request_of_one_exchange_is_none_of_another():
    first, _ = OURS.begin("n.0-a", NOON)
    _, second = OURS.begin("n.0-a", NOON)
    with pytest.raises(Forged):
        OURS.taken(second, NOON).request.open_request(first.request.close(REQUEST))


def test_parts_of_an_answer_cannot_be_left_out_changed_in_order_or_said_again():
    exchange, preamble = OURS.begin("n.0-a", NOON)
    behind = OURS.taken(preamble, NOON).answer
    first, second = behind.close(Said(200)), behind.close(Said(body=b"x"))
    with pytest.raises(Forged):
        OURS_answer(preamble).open_answer(second)
    answer = OURS_answer(preamble)
    answer.open_answer(first)
    with pytest.raises(Forged):
        answer.open_answer(first)
    assert exchange.answer.open_answer(first).status == 200


def OURS_answer(preamble: bytes):  # noqa: N802
    return OURS.taken(preamble, NOON).answer


def test_a_question_cannot_be_sent_back_as_its_answer():
    exchange, preamble = OURS.begin("n.0-a", NOON)
    with pytest.raises(Forged):
        OURS.taken(preamble, NOON).answer.open_answer(exchange.request.close(REQUEST))
