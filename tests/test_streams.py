"""News for open streams: each gets its own, each is asked about once, and one that cannot be told does not silence
the others.
"""

import asyncio
import logging
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import groupby

import pytest
from msgspec.structs import replace

from connectors.base import Change, Event
from gateway.catalogue import Server
from gateway.custom.known import Custom, Made
from gateway.errors import Unknown
from gateway.follower import Follower
from gateway.identity import Identities
from gateway.manage.users import add_user, delete_user, give_role, withdraw_role
from gateway.mcp.jsonrpc import encode
from gateway.mcp.terms import Notification
from gateway.pipeline.news import News
from gateway.policy.terms import MAIN, Subject
from gateway.policy.turn import Turn
from gateway.records import User
from gateway.sessions import Sessions, Stream
from gateway.snapshot import Snapshot
from gateway.streams import TOGETHER, Announcer
from gateway.web.listening import asked_by, subscribed_by
from tests.builders import Door, policy
from tests.fakes import FakeConnector, prompt, resource, tool
from tests.following import KEEPER, RING, apply, bundle
from tests.pipeline.making import letter, schema, targets, wrapper

NEWS = Notification("notifications/tools/list_changed")
ROW = "p, user:*, main, self, c/t, read, , allow"


@dataclass
class Told:
    """A pipeline that tells the same to everybody, but fails for those whose name says so."""

    asked: list[tuple[str, str, str]] = field(default_factory=list)
    formers: list[Snapshot | None] = field(default_factory=list)
    lost: frozenset[str] = frozenset()

    async def changes(self, change, subject, domain, *, address, breath) -> list[Notification]:
        self.asked.append((subject.name, domain, address))
        if subject.name == "user:broken":
            raise RuntimeError("a mistake")
        if subject.name == "user:unknown":
            raise Unknown("there is no such server")
        await breath()
        return [NEWS, NEWS]

    async def turned(self, difference, subject, domain, *, former, address, followed, breath) -> News:
        self.formers.append(former)
        return News(tuple(await self.changes(None, subject, domain, address=address, breath=breath)), self.lost)


def stream(name: str, domain: str = MAIN, address: str = "", credential: str = "", subscribed=frozenset()) -> Stream:
    made = Stream(Subject(f"user:{name}", credential=credential), domain, lambda message: message, subscribed)
    made.address = address
    return made


async def heard(listening: Stream, wait: float = 5) -> list[bytes]:
    return [event.data for event in await listening.take(wait)]


@asynccontextmanager
async def announcing(pipeline, sessions):
    announcer = Announcer(pipeline, sessions)
    running = asyncio.create_task(announcer.run())
    yield announcer
    assert not running.done()
    running.cancel()
    await asyncio.wait({running})


def turn() -> Turn:
    return Turn(policy(""), policy(ROW))


async def test_a_stream_that_cannot_be_told_does_not_silence_the_others_nor_what_comes_later(
    caplog: pytest.LogCaptureFixture,
):
    sessions = Sessions()
    streams = [stream(name) for name in ("broken", "unknown", "ann")]
    for each in streams:
        sessions.attach(each)
    async with announcing(Told(), sessions) as announcer:
        with caplog.at_level(logging.ERROR):
            for say in (lambda: announcer.changed(Change("c", Event.TOOLS)), lambda: announcer.turned(turn())) * 2:
                say()
                say()
                assert await heard(streams[-1]) == [encode(NEWS)]
        assert "a mistake" in caplog.text


async def test_streams_that_hear_the_same_are_asked_about_once():
    sessions, pipeline = Sessions(), Told()
    streams = [
        *(stream("ann") for _ in range(5)),
        *(stream("ann", "side"), stream("ann", address="192.0.2.9"), stream("ann", credential="k2"), stream("bob")),
    ]
    for each in streams:
        sessions.attach(each)
    async with announcing(pipeline, sessions) as announcer:
        announcer.changed(Change("c", Event.TOOLS))
        for each in streams:
            assert await heard(each) == [encode(NEWS)]
        assert len(pipeline.asked) == 5
        pipeline.asked.clear()
        announcer.turned(turn())
        for each in streams:
            assert await heard(each) == [encode(NEWS)]
        assert sorted(pipeline.asked) == [
            *[("user:ann", "main", "")] * 2,
            *(("user:ann", "main", "192.0.2.9"), ("user:ann", "side", ""), ("user:bob", "main", "")),
        ]


async def test_a_policy_that_says_the_same_is_no_news():
    sessions, pipeline = Sessions(), Told()
    sessions.attach(listening := stream("ann"))
    async with announcing(pipeline, sessions) as announcer:
        announcer.turned(Turn(policy(ROW), policy(f"# another word\n{ROW}")))
        announcer.changed(Change("c", Event.TOOLS))
        assert await heard(listening) == [encode(NEWS)]
        assert len(pipeline.asked) == 1


async def test_what_users_made_meanwhile_is_told_once_from_how_it_was_at_first():
    sessions, pipeline = Sessions(), Told()
    sessions.attach(listening := stream("ann"))
    identities, policy_ = Identities.of(RING), policy("")
    snapshots = [
        Snapshot(identities, policy_, 0, custom=Custom(Made().changed([wrapper(description=text)])))
        for text in ("first", "second", "third")
    ]
    async with announcing(pipeline, sessions) as announcer:
        for each in snapshots:
            announcer.swapped(each)
        assert await heard(listening) == [encode(NEWS)]
        announcer.turned(turn())
        assert await heard(listening) == [encode(NEWS)]
    assert pipeline.formers == [snapshots[0], None]


async def test_accounts_and_keys_that_come_and_go_are_no_news():
    sessions, pipeline = Sessions(), Told()
    sessions.attach(listening := stream("ann"))
    ann, bob = User(id="ann@example.com", hidden=("c:t",)), User(id="bob@example.com")
    many = [
        Identities.of(RING, users)
        for users in ([], [ann], [ann, bob], [replace(ann, name="Ann"), bob], [replace(ann, hidden=()), bob])
    ]
    async with announcing(pipeline, sessions) as announcer:
        for each in many[1:4]:
            announcer.swapped(Snapshot(each, policy(""), 0))
        announcer.changed(Change("c", Event.TOOLS))
        assert await heard(listening) == [encode(NEWS)]
        assert pipeline.formers == []
        announcer.swapped(Snapshot(many[4], policy(""), 0))
        assert await heard(listening) == [encode(NEWS)]


async def test_subscriptions_to_what_may_not_be_read_any_longer_end_and_the_others_stay():
    released: list[tuple[str, list[str]]] = []
    sessions = Sessions(lambda subject, domain, uris: released.append((subject.name, sorted(uris))))
    sessions.attach(listening := stream("ann", subscribed=frozenset(("a://1", "a://2"))))
    session = sessions.open(Subject("user:ann"), MAIN, "mcp", 0)
    session.subscribed.update(("a://2", "a://3"))
    sessions.attach(stream("ann"))
    async with announcing(Told(lost=frozenset(("a://2", "b://1"))), sessions) as announcer:
        announcer.turned(turn())
        await heard(listening)
        async with asyncio.timeout(5):
            while len(released) < 2:
                await asyncio.sleep(0)
    assert released == [("user:ann", ["a://2"])] * 2
    assert (listening.subscribed, session.subscribed) == ({"a://1"}, {"a://3"})
    sessions.detach(listening)
    assert released[2:] == [("user:ann", ["a://1"])]


async def test_the_loop_goes_on_while_thousands_are_told():
    sessions, pipeline = Sessions(), Told()
    streams = [stream(f"u{number}") for number in range(1_000)]
    for each in streams:
        sessions.attach(each)

    async def ticking() -> None:
        while True:
            pipeline.asked.append(("tick", "", ""))
            await asyncio.sleep(0)

    async with announcing(pipeline, sessions) as announcer:
        ticker = asyncio.create_task(ticking())
        announcer.turned(turn())
        for each in streams:
            assert await heard(each, 30) == [encode(NEWS)]
        ticker.cancel()
    runs = [len(list(run)) for name, run in groupby(pipeline.asked, lambda asked: asked[0] == "tick") if not name]
    assert sum(runs) == len(streams)
    assert max(runs) <= TOGETHER


# -- with the follower and the pipeline as they are

RULES = bundle(
    KEEPER
    + "p, role:tools, main, self, c/t, read, , allow\n"
    + "p, role:prompts, *, self, c/prompt:p, read, , allow\n"
    + "p, role:files, main, self, c/resource:a://*, read, , allow\n"
    + "p, user:*, main, self, c/always, read, , allow\n"
    + "p, user:ann@example.com, *, self, custom/*, write, , allow\n"
)
TOOLS, PROMPTS, RESOURCES = (f"notifications/{kind}/list_changed" for kind in ("tools", "prompts", "resources"))


class Hall:
    """People with one legacy and one modern stream each, before a gateway with a real store and follower."""

    def __init__(self, store):
        self.store = store
        offered = [tool("t", "read"), tool("always", "read"), prompt("p"), resource("a://1")]
        self.connector = FakeConnector("c", offered, answer=lambda _: {})
        self.follower = Follower(store, RING, poll_s=0.01, clock=lambda: 1_000)
        side = Server("side", ("c",), prefixed=False)
        self.door = Door(
            connectors=[self.connector],
            servers=[side],
            follower=self.follower,
            now=1_000,
            custom=True,
            targets=targets(),
        )
        self.released: list[list[str]] = []
        self.sessions = Sessions(lambda _, __, uris: self.released.append(uris))
        self.streams: dict[str, tuple[Stream, Stream]] = {}

    async def person(self, name: str, domain: str = MAIN) -> None:
        issued = await add_user(self.store, RING, f"{name}@example.com", author="operator", now=1_000)
        await self.follower.catch_up()
        subject = self.follower.current.identities.authenticate(issued.key.reveal(), 1_000)
        wish = {"toolsListChanged": True, "promptsListChanged": True, "resourcesListChanged": True}
        pair = Stream(subject, domain, subscribed_by(set())), Stream(subject, domain, asked_by("L", wish))
        for each in pair:
            self.sessions.attach(each)
        self.streams[name] = pair

    async def told(self, name: str, *methods: str) -> None:
        """Both streams of ``name`` are told that these lists have changed, and nothing else."""
        wanted = sorted(methods)
        for each in self.streams[name]:
            found: list[str] = []
            while len(found) < len(wanted):
                events = await heard(each)
                assert events, f"{name} was told {found} only"
                found += [event.decode().split('"method":"')[1].split('"')[0] for event in events]
            assert sorted(found) == wanted

    async def silent(self, name: str) -> None:
        """Whoever is told of a later change has not been told before."""
        for each in self.streams[name]:
            assert await heard(each, 0) == []


@pytest.fixture
async def hall(store):
    hall = Hall(store)
    await apply(store, RULES)
    for name in ("ann", "bob"):
        await hall.person(name)
    await hall.person("cid", "side")
    async with announcing(hall.door.pipeline, hall.sessions) as announcer:
        hall.door.directory.watch(announcer.changed)
        announcer.swapped(hall.follower.current)
        hall.follower.on_swap(announcer.swapped)
        hall.follower.on_turn(announcer.turned)
        yield hall


@pytest.mark.parametrize(("role", "method"), [("tools", TOOLS), ("prompts", PROMPTS), ("files", RESOURCES)])
async def test_a_role_given_and_withdrawn_reaches_the_streams_of_exactly_the_one_who_has_it(hall, role, method):
    for change in (
        give_role(hall.store, "ann@example.com", role, author="operator", now=1_000),
        withdraw_role(hall.store, "ann@example.com", role),
    ):
        await change
        await hall.follower.catch_up()
        await hall.told("ann", method)
    for name in ("bob", "cid"):
        await hall.silent(name)


async def test_a_role_in_another_domain_or_for_what_is_seen_already_is_no_news(hall):
    for role, domain in (("tools", "side"), ("nothing", "*")):
        await give_role(hall.store, "ann@example.com", role, author="operator", now=1_000, domain=domain)
        await hall.follower.catch_up()
    await give_role(hall.store, "cid@example.com", "prompts", author="operator", now=1_000)
    await hall.follower.catch_up()
    await hall.told("cid", PROMPTS)
    for name in ("ann", "bob"):
        await hall.silent(name)


async def test_a_policy_that_is_applied_reaches_all_who_see_more_or_less_and_nobody_else(hall):
    rows = (
        KEEPER
        + "p, user:*, main, self, c/t, read, , allow\np, user:bob@example.com, main, self, c/always, read, , allow\n"
    )
    await apply(hall.store, bundle(rows))
    await hall.follower.catch_up()
    for name in ("ann", "bob"):
        await hall.told(name, TOOLS)
    await hall.silent("cid")
    await apply(hall.store, bundle(rows + "p, user:ann@example.com, main, self, c/t, read, args.n == 1, allow\n"))
    await hall.follower.catch_up()
    await apply(hall.store, bundle(rows + "p, user:ann@example.com, main, *, c/t, read, , deny\n"))
    await hall.follower.catch_up()
    await hall.told("ann", TOOLS)
    await hall.silent("bob")


async def test_who_is_gone_is_told_nothing(hall):
    await give_role(hall.store, "ann@example.com", "tools", author="operator", now=1_000)
    await delete_user(hall.store, "ann@example.com")
    await hall.follower.catch_up()
    await give_role(hall.store, "bob@example.com", "tools", author="operator", now=1_000)
    await hall.follower.catch_up()
    await hall.told("bob", TOOLS)
    await hall.silent("ann")


async def test_nobody_is_asked_what_he_is_offered_whom_a_grant_does_not_concern(hall):
    for number in range(50):
        await hall.person(f"u{number}")
    hall.connector.asked = 0
    await give_role(hall.store, "ann@example.com", "tools", author="operator", now=1_000)
    await hall.follower.catch_up()
    await hall.told("ann", TOOLS)
    assert hall.connector.asked == 1


async def test_a_subscription_ends_with_the_right_to_read(hall):
    await give_role(hall.store, "ann@example.com", "files", author="operator", now=1_000)
    await hall.follower.catch_up()
    await hall.told("ann", RESOURCES)
    subject = hall.streams["ann"][0].subject
    session = hall.sessions.open(subject, MAIN, "mcp", 1_000)
    session.subscribed.add("a://1")
    hall.sessions.attach(Stream(subject, MAIN, subscribed=frozenset(("a://1", "b://not-ours"))))
    await withdraw_role(hall.store, "ann@example.com", "files")
    await hall.follower.catch_up()
    await hall.told("ann", RESOURCES)
    async with asyncio.timeout(5):
        while len(hall.released) < 2:
            await asyncio.sleep(0)
    assert hall.released == [["a://1"], ["a://1"]]
    assert session.subscribed == set()


async def test_a_tool_and_a_prompt_that_somebody_made_reach_the_streams_of_exactly_who_sees_them(hall):
    made = await hall.store.tools.add(wrapper(maker="ann@example.com", calls="c/always", takes=schema()))
    await hall.follower.catch_up()
    await hall.told("ann", TOOLS)
    await hall.store.tools.replace(replace(made, description="better"))
    await hall.store.prompts.add(letter(maker="ann@example.com"))
    await hall.follower.catch_up()
    await hall.told("ann", TOOLS, PROMPTS)
    await hall.store.tools.remove(made.id)
    await hall.follower.catch_up()
    await hall.told("ann", TOOLS)
    for name in ("bob", "cid"):
        await hall.silent(name)


async def test_what_somebody_hides_reaches_his_own_streams_alone_and_his_name_none(hall):
    bob = await hall.store.users.get("bob@example.com")
    named = await hall.store.users.replace(replace(bob, name="Bob"))
    await hall.follower.catch_up()
    await hall.store.users.replace(replace(named, hidden=("c:always",)))
    await hall.follower.catch_up()
    await hall.told("bob", TOOLS)
    for name in ("ann", "cid"):
        await hall.silent(name)
