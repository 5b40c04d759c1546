"""The desk: whom each way lets in, how often anybody may try, and what nobody learns from it."""

import asyncio
import logging

import pytest

from gateway.errors import Limited, Unauthenticated, Unavailable
from gateway.identity import credential
from gateway.mail import NotMailed
from gateway.manage.sign_ins import LASTS_MS
from gateway.records import ApiKey
from gateway.signing_in.desk import CODES, MAILS_WAITING, MOST_CODES, TRIES, Desk, WrongCode
from gateway.signing_in.openid import NotSignedIn, Returned
from tests.builders import AMY, BOB, RING, Door
from tests.following import Between, until

HERE = "203.0.113.7"


class Box:
    """Keeps the mails; ``fails`` is what happens instead, ``waits`` holds them back."""

    def __init__(self):
        self.mails, self.fails, self.waits = [], None, asyncio.Event()
        self.waits.set()

    async def __call__(self, to, code):
        await self.waits.wait()
        if self.fails is not None:
            raise self.fails
        self.mails.append((to, code.reveal()))


class Vouching:
    """The operator's provider, which vouches for one address."""

    name = "Example"
    email = AMY

    async def come_back(self, query, kept):
        return Returned(self.email, "/connect/x")


@pytest.fixture
def door():
    door = Door()
    door.person(AMY)
    return door


@pytest.fixture
def box():
    return Box()


@pytest.fixture
async def desk(store, door, box):
    desk = desk_of(store, door, post=box)
    yield desk
    await desk.close()


def desk_of(store, door, **more):
    return Desk(store, door.follower, RING, stale_after=60, clock=lambda: door.now, **more)


async def code_for(desk, box, email=AMY):
    cookie = await desk.ask_code(email, address=HERE)
    await until(lambda: box.mails)
    return cookie.reveal(), box.mails.pop()[1]


# -- by key


async def test_a_key_signs_in_whom_it_proves_and_names_itself_as_the_proof(desk, door):
    signed = await desk.by_key(f"  {door.keys[AMY]}\n", address=HERE, former="")
    subject = await desk.who(signed.cookie.reveal())
    assert subject == signed.subject
    assert (subject.name, subject.credential) == (f"user:{AMY}", credential(RING.hash(door.keys[AMY])))
    assert signed.cookie.reveal() not in repr(signed)


@pytest.mark.parametrize("key", ["", "ost_x", "x" * 5000, "ö", "\ud800"])
async def test_no_other_key_signs_anybody_in(desk, key):
    with pytest.raises(Unauthenticated):
        await desk.by_key(key, address=HERE, former="")


async def test_signing_in_again_ends_what_was_before_in_this_browser(desk, door):
    first = await desk.by_key(door.keys[AMY], address=HERE, former="")
    second = await desk.by_key(door.keys[AMY], address=HERE, former=first.cookie.reveal())
    assert await desk.who(first.cookie.reveal()) is None
    assert await desk.who(second.cookie.reveal())
    assert first.cookie.reveal() != second.cookie.reveal()


async def test_a_sign_in_ends_with_its_key_with_its_account_and_by_signing_out(desk, door):
    cookies = [(await desk.by_key(door.keys[AMY], address=HERE, former="")).cookie.reveal() for _ in range(2)]
    await desk.out(cookies[0])
    assert [await desk.who(each) is None for each in cookies] == [True, False]
    reset = ApiKey(id="f" * 64, secret_id="k1", user=AMY, prefix="ost_", created_at=door.now + 1)
    gone = [("keys", RING.hash(door.keys[AMY]))]
    door._swap(identities=door.follower.current.identities.changed(keys=[reset], removed=gone))
    assert await desk.who(cookies[1]) is None


async def test_a_key_signs_nobody_in_that_does_not_count_on_the_main_server(desk, door):
    known = door.follower.current.identities
    elsewhere, here = (
        ApiKey(
            id=RING.hash(f"ost_for-{each}"),
            secret_id="k1",
            user=AMY,
            prefix="ost_",
            servers=(each,),
            created_at=door.now,
        )
        for each in ("shop", "main")
    )
    door._swap(identities=known.changed(keys=[elsewhere, here]))
    with pytest.raises(Unauthenticated):
        await desk.by_key("ost_for-shop", address=HERE, former="")
    assert (await desk.by_key("ost_for-main", address=HERE, former="")).subject.name == f"user:{AMY}"


async def test_who_has_an_account_must_be_confirmed_lately(desk, door):
    signed = await desk.by_key(door.keys[AMY], address=HERE, former="")
    door.now += 61_000
    for ask in (
        lambda: desk.who(signed.cookie.reveal()),
        lambda: desk.by_key(door.keys[AMY], address=HERE, former=""),
        lambda: desk.ask_code(AMY, address=HERE),
    ):
        with pytest.raises(Unavailable):
            await ask()


async def test_a_store_that_is_down_signs_nobody_in(store, door):
    between = Between(store)
    desk = desk_of(between, door)
    signed = await desk.by_key(door.keys[AMY], address=HERE, former="")
    between.down = True
    with pytest.raises(Unavailable):
        await desk.who(signed.cookie.reveal())
    assert await desk.who("") is None


# -- by mail


async def test_a_code_signs_in_whoever_reads_the_mail(desk, box):
    cookie, code = await code_for(desk, box, f" {AMY.upper()} ")
    signed = await desk.by_code(cookie, code, address=HERE, former="")
    assert (await desk.who(signed.cookie.reveal())).name == f"user:{AMY}"
    with pytest.raises(WrongCode):
        await desk.by_code(cookie, code, address=HERE, former="")


async def test_nobody_learns_who_has_an_account(desk, box, store):
    known = await desk.ask_code(AMY, address=HERE)
    unknown = await desk.ask_code(BOB, address=HERE)
    assert len(known.reveal()) == len(unknown.reveal())
    await until(lambda: box.mails)
    assert [to for to, _ in box.mails] == [AMY]
    said = []
    for cookie in (known, unknown):
        with pytest.raises(WrongCode) as wrong:
            await desk.by_code(cookie.reveal(), "x", address=HERE, former="")
        said.append(str(wrong.value))
    assert said[0] == said[1]
    assert len(await store.mailed_codes.page()) == 2


async def test_a_code_of_somebody_who_was_dismissed_meanwhile_signs_nobody_in(desk, box, door):
    cookie, code = await code_for(desk, box)
    door.dismiss(AMY)
    with pytest.raises(NotSignedIn):
        await desk.by_code(cookie, code, address=HERE, former="")


async def test_the_answer_does_not_wait_for_the_mail_and_a_failure_is_logged_without_code_or_address(desk, box, caplog):
    box.waits.clear()
    box.fails = NotMailed("mail.example.com:587: the mail was not taken (SMTPDataError)")
    await asyncio.wait_for(desk.ask_code(AMY, address=HERE), 5)
    with caplog.at_level(logging.ERROR):
        box.waits.set()
        await until(lambda: caplog.messages)
    assert "mail.example.com" in caplog.text
    assert AMY not in caplog.text


async def test_mails_are_bounded_for_one_person_and_altogether(desk, box, door, caplog):
    for _ in range(CODES.calls):
        await desk.ask_code(AMY, address=HERE)
    with pytest.raises(Limited):
        await desk.ask_code(AMY, address=HERE)
    for number in range(MOST_CODES.calls - CODES.calls):
        await desk.ask_code(AMY, address=f"198.51.100.{number}")
    with pytest.raises(Limited) as often:
        await desk.ask_code(AMY, address="192.0.2.1")
    assert often.value.retry_after > 60
    box.waits.clear()
    people = [f"p{number}@example.com" for number in range(MAILS_WAITING + 1)]
    for at, each in enumerate(people):
        door.person(each)
        await desk.ask_code(each, address=f"10.0.{at}.1")
    assert "wait already" in caplog.text


async def test_trying_is_bounded_for_one_address_whatever_the_way(desk, door):
    for _ in range(TRIES.calls):
        with pytest.raises((Unauthenticated, WrongCode)):
            await desk.by_key("ost_wrong", address=HERE, former="")
    for way in (
        lambda: desk.by_key(door.keys[AMY], address=HERE, former=""),
        lambda: desk.by_code("x", "1", address=HERE, former=""),
        lambda: desk.ask_code(AMY, address=HERE),
    ):
        with pytest.raises(Limited):
            await way()
    assert await desk.by_key(door.keys[AMY], address="203.0.113.8", former="")
    door.now += TRIES.window_ms
    door._swap(confirmed_at_ms=door.now)
    assert await desk.by_key(door.keys[AMY], address=HERE, former="")


async def test_what_is_not_set_up_is_not_offered(store, door):
    desk = desk_of(store, door)
    assert (desk.mails, desk.provider) == (False, "")
    for way in (
        lambda: desk.ask_code(AMY, address=HERE),
        lambda: desk.leave("/connections", address=HERE),
        lambda: desk.come_back((), "", address=HERE, former=""),
    ):
        with pytest.raises(NotSignedIn):
            await way()


async def test_what_is_no_address_is_told_so(desk):
    with pytest.raises(NotSignedIn, match="is not an e-mail address"):
        await desk.ask_code("amy at example", address=HERE)


async def test_what_has_ended_is_forgotten_every_ten_minutes(desk, door, store):
    await desk.by_key(door.keys[AMY], address=HERE, former="")
    await desk.ask_code(AMY, address=HERE)
    assert await desk.sweep() == 0
    door.now += LASTS_MS
    assert await desk.sweep() == 2
    door._swap(confirmed_at_ms=door.now)
    await desk.by_key(door.keys[AMY], address=HERE, former="")
    assert await desk.sweep() == 0
    assert len(await store.sign_ins.page()) == 1


# -- by the operator's provider


async def test_the_provider_lets_accounts_in_and_makes_none(store, door):
    vouching = Vouching()
    desk = desk_of(store, door, openid=vouching)
    signed = await desk.come_back((), "kept", address=HERE, former="")
    assert (signed.subject.name, signed.next) == (f"user:{AMY}", "/connect/x")
    vouching.email = "eve@example.com"
    with pytest.raises(NotSignedIn, match="no account"):
        await desk.come_back((), "kept", address=HERE, former="")
