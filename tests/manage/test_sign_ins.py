"""Who is signed in at a browser, and codes that are mailed: good once, for a while, for one browser."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from gateway.errors import Unauthenticated
from gateway.identity import Identities, KeyRing, credential
from gateway.manage import sign_ins
from gateway.manage.sign_ins import CODE_LASTS_MS, CODE_TRIES, LASTS_MS
from gateway.records import ApiKey, SignIn, User

RING = KeyRing([("a", b"a" * 32)])
TURNED = KeyRing([("b", b"b" * 32), ("a", b"a" * 32)])
ANN = "user:ann@example.com"
NOW = 1_000_000


async def everything(store):
    return [*await store.sign_ins.page(), *await store.mailed_codes.page()]


async def test_a_sign_in_is_found_by_its_cookie_alone_and_for_eight_hours(store):
    cookie = (await sign_ins.sign_in(store, RING, ANN, how="key", key="c1", now=NOW)).reveal()
    found = await sign_ins.find_sign_in(store, RING, cookie, now=NOW + LASTS_MS - 1)
    assert (found.subject, found.how, found.key) == (ANN, "key", "c1")
    assert await sign_ins.find_sign_in(store, RING, cookie, now=NOW + LASTS_MS) is None
    for other in ("", cookie[:-1], cookie + "x", cookie * 20, "ö", "\ud800"):
        assert await sign_ins.find_sign_in(store, RING, other, now=NOW) is None


async def test_signing_out_ends_this_browser_and_no_other(store):
    one, two = [(await sign_ins.sign_in(store, RING, ANN, how="mail", now=NOW)).reveal() for _ in range(2)]
    await sign_ins.sign_out(store, RING, one)
    await sign_ins.sign_out(store, RING, one)
    assert await sign_ins.find_sign_in(store, RING, one, now=NOW) is None
    assert await sign_ins.find_sign_in(store, RING, two, now=NOW)


async def test_what_is_stored_opens_nothing(store):
    cookie = (await sign_ins.sign_in(store, RING, ANN, how="key", now=NOW)).reveal()
    asked, code = await sign_ins.mail_code(store, RING, ANN, now=NOW)
    kept = " ".join(map(repr, await everything(store)))
    for secret in (cookie, asked.reveal(), code.reveal()):
        assert secret not in kept
    for record in await everything(store):
        assert await sign_ins.find_sign_in(store, RING, record.id, now=NOW) is None
        assert await sign_ins.take_code(store, RING, record.id, code.reveal(), now=NOW) == ""


async def test_a_turned_secret_ends_no_sign_in_and_no_code(store):
    cookie = (await sign_ins.sign_in(store, RING, ANN, how="key", now=NOW)).reveal()
    asked, code = await sign_ins.mail_code(store, RING, ANN, now=NOW)
    assert await sign_ins.find_sign_in(store, TURNED, cookie, now=NOW)
    assert await sign_ins.take_code(store, TURNED, asked.reveal(), code.reveal(), now=NOW) == ANN


# -- codes


async def test_a_code_is_good_once_in_the_browser_that_asked_for_it(store):
    asked, code = await sign_ins.mail_code(store, RING, ANN, now=NOW)
    other, _ = await sign_ins.mail_code(store, RING, ANN, now=NOW)
    assert await sign_ins.take_code(store, RING, other.reveal(), code.reveal(), now=NOW) == ""
    assert await sign_ins.take_code(store, RING, asked.reveal(), code.reveal(), now=NOW) == ANN
    assert await sign_ins.take_code(store, RING, asked.reveal(), code.reveal(), now=NOW) == ""


@pytest.mark.parametrize("shape", ["{0} {1}", " {0}-{1}\n", "{0}{1}"])
async def test_a_code_may_be_typed_as_it_is_read(store, shape):
    asked, code = await sign_ins.mail_code(store, RING, ANN, now=NOW)
    digits = code.reveal()
    assert len(digits) == 8
    typed = shape.format(digits[:4], digits[4:])
    assert await sign_ins.take_code(store, RING, asked.reveal(), typed, now=NOW) == ANN


async def test_the_right_code_after_five_wrong_ones_is_wrong(store):
    asked, code = await sign_ins.mail_code(store, RING, ANN, now=NOW)
    wrong = f"{(int(code.reveal()) + 1) % 10**8:08}"
    for _ in range(CODE_TRIES - 1):
        assert await sign_ins.take_code(store, RING, asked.reveal(), wrong, now=NOW) == ""
    kept = await sign_ins.take_code(store, RING, asked.reveal(), code.reveal(), now=NOW)
    assert kept == ANN

    asked, code = await sign_ins.mail_code(store, RING, ANN, now=NOW)
    for _ in range(CODE_TRIES):
        assert (
            await sign_ins.take_code(store, RING, asked.reveal(), "0" if code.reveal() != "0" * 8 else "1", now=NOW)
            == ""
        )
    assert await sign_ins.take_code(store, RING, asked.reveal(), code.reveal(), now=NOW) == ""


async def test_many_tries_at_once_are_no_more_than_five(store):
    """Each try is counted before it is compared, so that who asks in parallel gains nothing."""
    asked, code = await sign_ins.mail_code(store, RING, ANN, now=NOW)
    wrong = [f"{(int(code.reveal()) + step) % 10**8:08}" for step in range(1, 41)]
    await asyncio.gather(*(sign_ins.take_code(store, RING, asked.reveal(), each, now=NOW) for each in wrong))
    [record] = await store.mailed_codes.page()
    assert 1 <= record.tries <= CODE_TRIES
    tries = CODE_TRIES - record.tries
    for each in wrong[:tries]:
        await sign_ins.take_code(store, RING, asked.reveal(), each, now=NOW)
    assert await sign_ins.take_code(store, RING, asked.reveal(), code.reveal(), now=NOW) == ""


async def test_two_who_bring_the_same_right_code_at_once_are_not_both_signed_in(store):
    asked, code = await sign_ins.mail_code(store, RING, ANN, now=NOW)
    both = await asyncio.gather(
        *(sign_ins.take_code(store, RING, asked.reveal(), code.reveal(), now=NOW) for _ in range(4))
    )
    assert set(both) <= {"", ANN}
    assert both.count(ANN) <= 1


async def test_a_code_ends_after_ten_minutes_and_one_for_nobody_never_holds(store):
    asked, code = await sign_ins.mail_code(store, RING, ANN, now=NOW)
    assert await sign_ins.take_code(store, RING, asked.reveal(), code.reveal(), now=NOW + CODE_LASTS_MS) == ""
    asked, code = await sign_ins.mail_code(store, RING, "", now=NOW)
    assert await sign_ins.take_code(store, RING, asked.reveal(), code.reveal(), now=NOW) == ""


async def test_what_has_ended_is_forgotten_and_nothing_else(store):
    await sign_ins.sign_in(store, RING, ANN, how="key", now=NOW)
    late = (await sign_ins.sign_in(store, RING, ANN, how="key", now=NOW + 1)).reveal()
    await sign_ins.mail_code(store, RING, ANN, now=NOW)
    assert await sign_ins.sweep(store, now=NOW + LASTS_MS) == 2
    assert await sign_ins.find_sign_in(store, RING, late, now=NOW + LASTS_MS)
    assert len(await everything(store)) == 1


# -- whom a sign-in proves


def identities(*keys: tuple[str, int], user: int = 1, reset: int = 0) -> Identities:
    made = [ApiKey(id=id, secret_id="a", user="ann@example.com", prefix="ost_", created_at=at) for id, at in keys]
    return Identities.of(RING, [User(id="ann@example.com", created_at=user, reset_at=reset)], made)


def signed(**changed) -> SignIn:
    return structs.replace(SignIn(id="f" * 64, subject=ANN, how="mail", created_at=10, expires_at=100), **changed)


def holds(known: Identities, sign_in: SignIn, now: int = 20) -> bool:
    try:
        subject = known.signed_in(sign_in, now)
    except Unauthenticated:
        return False
    assert subject.name == sign_in.subject
    assert known.still_valid(subject, now)
    return True


def test_a_sign_in_proves_its_subject_until_it_ends():
    assert holds(identities(("k1", 1)), signed())
    assert holds(identities(), signed())
    assert not holds(identities(("k1", 1)), signed(), now=100)


def test_resetting_the_key_ends_every_sign_in_however_it_came_about():
    assert not holds(identities(("k2", 11), reset=11), signed())
    assert holds(identities(("k2", 11), reset=10), signed())
    by_key = signed(how="key", key=credential("k1" * 10))
    assert holds(identities(("k1" * 10, 1)), by_key)
    assert not holds(identities(("k2" * 10, 11)), by_key)
    assert not holds(identities(("k0" * 10, 1)), by_key)


def test_deleting_the_account_ends_it_and_a_later_one_of_that_address_inherits_nothing():
    assert not holds(Identities.of(RING), signed())
    assert not holds(identities(user=11), signed())
    assert not holds(identities(("k1", 1), user=2), signed(how="key", key=credential("k1")))


def test_a_leftover_key_of_an_earlier_account_keeps_no_sign_in_alive():
    assert not holds(identities(("old", 1), ("new", 11), user=5, reset=11), signed())


def test_a_sign_in_without_a_key_outlives_what_becomes_of_single_keys():
    assert holds(identities(("first", 11)), signed())
    assert holds(identities(("second", 12)), signed())
    assert holds(identities(), signed())


@given(st.sampled_from(["end:s/ann@example.com", "server:s", "ann@example.com", "user:", "system", ""]))
def test_only_accounts_sign_in(name):
    assert not holds(identities(("k1", 1)), signed(subject=name))
