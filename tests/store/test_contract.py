"""What both stores promise about records: one text, two databases."""

import asyncio
import random
import traceback

import msgspec
import pytest

from gateway.audit import AuditEntry
from gateway.records import (
    ApiKey,
    Approved,
    Connected,
    CustomPrompt,
    CustomTool,
    EndUser,
    Flow,
    Grant,
    Handler,
    Listing,
    MailedCode,
    Mode,
    Permission,
    Pins,
    PromptArgument,
    PromptMessage,
    Registration,
    Restrictions,
    Server,
    Signer,
    SignIn,
    Stage,
    Status,
    Tally,
    Token,
    User,
    Waiting,
    Worker,
)
from gateway.store.base import Conflict, Heads, NotFound, Unavailable

ODD = [
    "users/x", "$where", "a.b", "a", "A", "Z", "ä", "a\u0308", "\uffff", "😀", "日本語", " ", "\ufeff", "x'; DROP TABLE records--",
    "%", "_", "\\", '"', "\n", "\x00nul", "a\x00", "0", "{}", "null", "k" * 900,
]  # fmt: skip
GRANT = Grant(
    id="g1", kind="p", row=("user:a", "main", "self", "x/*", "read", "", "allow"), made_by="user:b", note="nö"
)
KEY = ApiKey(id="hash1", secret_id="s1", user="a@example.com", prefix="ost_ab", created_at=1, expires_at=2**53)


PINS = Pins(
    id="git",
    tools={"log": Approved("d1", 1, "first use"), "a.$b": Approved("d2", 2, "operator")},
    waiting={"log": Waiting("d3", 2**53)},
    definitions=bytes(range(256)),
)


CONNECTED = Connected(
    id="0123456789abcdef01234567", owner="user:a@example.com", connector="slack", status=Status.NEEDS_REAUTH,
    scopes=("a", "b"), inputs={"a.$b": "ö"}, sealed=bytes(range(256)), expires_at=2**53,
)  # fmt: skip
TOOL = CustomTool(
    id="user:a@example.com/look", owner="user:a@example.com", name="look", schema={"type": "object", "a.$b": [1, None]},
    handler=Handler(type="http", config={"$url": "ö", "deep": {"x": [True, 2.5]}}), always_visible=True,
)  # fmt: skip
SERVER = Server(
    id="my-server-a1b2c3d4", owner="user:a@example.com", name="My server", mode=Mode.DIRECT, public=True,
    tokens=(Token(id="h", secret_id="1", prefix="mcp_token_ab", created_at=1, expires_at=2**53),),
    signers=(Signer(id="s", issuer="https://i", algorithm="HS256", sealed=b"\x00\xff"),),
    restrictions=Restrictions(
        actions=Listing(allow=False, names=("slack:*",)), permissions=(Permission(connector="slack", actions=("a.$b",)),)
    ),
)  # fmt: skip
PROMPT = CustomPrompt(
    id="system/greet", owner="system", name="greet", arguments=(PromptArgument(name="who", required=True),),
    messages=(PromptMessage(role="user", text="Hello {{who}}"),),
)  # fmt: skip
FLOW = Flow(id="f1", owner="user:a", connector="slack", binding="session", stage=Stage.ASKING, sealed=b"\x00")


@pytest.mark.parametrize(
    ("kind", "record"),
    [
        ("users", User(id="a@example.com")), ("keys", KEY), ("grants", GRANT), ("pins", PINS),
        ("connections", CONNECTED), ("flows", FLOW), ("sign_ins", SignIn(id="h1", subject="user:a", how="key")),
        ("tools", TOOL), ("prompts", PROMPT), ("servers", SERVER),
        ("end_users", EndUser(id="user:a@x.example/00ff", tenant="user:a@x.example", username="ö", full_name="a.$b")),
        ("mailed_codes", MailedCode(id="h1", subject="user:a", code="h2", tries=2**53)),
        ("registrations", Registration(id="r1", issuer="https://i", client_id="c", redirect_uri="https://r")),
        ("tallies", Tally(id="n1", until=2**53, counts={"a.$b": ((2**53, 3),)})),
        ("workers", Worker(id="n1.0-a", node="n1", socket="/run/x.sock", address="10.0.0.5:4101")),
    ],
)  # fmt: skip
async def test_a_record_lives_from_add_to_remove(store, kind, record):
    records = getattr(store, kind)
    assert await records.get(record.id) is None
    first = await records.add(record)
    assert first == msgspec.structs.replace(record, rev=1)
    assert await records.get(record.id) == first
    second = await records.replace(first)
    assert second.rev == 2
    assert await records.get(record.id) == second
    await records.remove(record.id)
    assert await records.get(record.id) is None
    assert list(await records.page()) == []


async def test_what_exists_is_not_added_again(store):
    await store.users.add(User(id="a", name="first"))
    with pytest.raises(Conflict, match="`a` exists"):
        await store.users.add(User(id="a", name="second"))
    assert (await store.users.get("a")).name == "first"


async def test_a_record_can_come_back_after_its_removal(store):
    await store.users.add(User(id="a", name="first"))
    await store.users.remove("a")
    assert await store.users.add(User(id="a", name="second", rev=7)) == User(id="a", name="second", rev=3)
    assert (await store.users.get("a")).name == "second"
    with pytest.raises(Conflict):
        await store.users.add(User(id="a"))


async def test_a_stale_revision_replaces_nothing(store):
    first = await store.users.add(User(id="a"))
    await store.users.replace(msgspec.structs.replace(first, name="second"))
    with pytest.raises(Conflict, match="changed meanwhile"):
        await store.users.replace(msgspec.structs.replace(first, name="lost"))
    assert (await store.users.get("a")).name == "second"


async def test_what_is_gone_is_neither_replaced_nor_removed(store):
    with pytest.raises(NotFound):
        await store.users.remove("a")
    with pytest.raises(NotFound):
        await store.users.replace(User(id="a", rev=1))
    first = await store.users.add(User(id="a"))
    await store.users.remove("a")
    with pytest.raises(NotFound):
        await store.users.replace(first)
    with pytest.raises(NotFound):
        await store.users.remove("a")


async def test_a_failed_change_leaves_no_trace(store):
    await store.users.add(User(id="a"))
    before = await store.changes(0)
    for attempt in (store.users.add(User(id="a")), store.users.replace(User(id="b", rev=1)), store.users.remove("c")):
        with pytest.raises((Conflict, NotFound)):
            await attempt
    after = await store.changes(0)
    assert (after.users, after.removed) == (before.users, before.removed)


async def test_who_read_a_record_before_it_was_removed_and_made_anew_does_not_overwrite_the_new_one(store):
    before = await store.users.add(User(id="a", name="old"))
    await store.users.remove("a")
    again = await store.users.add(User(id="a", name="new"))
    with pytest.raises(Conflict):
        await store.users.replace(msgspec.structs.replace(before, name="late"))
    assert await store.users.get("a") == again


async def test_kinds_do_not_mix(store):
    await store.users.add(User(id="same", name="u"))
    await store.keys.add(msgspec.structs.replace(KEY, id="same"))
    assert await store.grants.get("same") is None
    await store.users.remove("same")
    assert (await store.keys.get("same")).id == "same"
    assert [key.id for key in await store.keys.page()] == ["same"]


async def test_odd_ids_and_texts_come_back_as_they_went_in(store):
    for id in random.Random(7).sample(ODD, len(ODD)):
        await store.users.add(User(id=id, name=f"<{id}>\x00\u2028"))
    everyone = await store.users.page(limit=1000)
    assert [user.id for user in everyone] == sorted(ODD)
    assert all(user.name == f"<{user.id}>\x00\u2028" for user in everyone)
    assert (await store.users.get("\x00nul")).id == "\x00nul"
    changes = await store.changes(0)
    assert {user.id for user in changes.users} == set(ODD)


async def test_pages_follow_each_other_without_gap_or_overlap(store):
    ids = sorted(f"u{number:02}" for number in range(23))
    for id in random.Random(1).sample(ids, len(ids)):
        await store.users.add(User(id=id))
    await store.users.remove("u05")
    await store.keys.add(KEY)
    seen: list[str] = []
    while page := await store.users.page(after=seen[-1] if seen else "", limit=5):
        assert len(page) <= 5
        seen += [user.id for user in page]
    assert seen == [id for id in ids if id != "u05"]
    assert [user.id for user in await store.users.page(after="u04", limit=1)] == ["u06"]


async def test_an_expiry_is_kept_as_it_is_and_judged_by_the_reader(store):
    expiries = [None, 0, 1, 2**31, 2**40]
    for number, expires_at in enumerate(expiries):
        await store.keys.add(msgspec.structs.replace(KEY, id=str(number), expires_at=expires_at))
        await store.grants.add(msgspec.structs.replace(GRANT, id=str(number), expires_at=expires_at))
    assert [key.expires_at for key in await store.keys.page()] == expiries
    assert [grant.expires_at for grant in (await store.changes(0)).grants] == expiries


IMPOSSIBLE = [
    lambda store: store.users.add(User(id="")),
    lambda store: store.users.get(""),
    lambda store: store.users.remove(""),
    lambda store: store.users.add(User(id="\ud800")),
    lambda store: store.users.add(User(id="a", name="\udfff")),
    lambda store: store.users.get("\ud800"),
    lambda store: store.users.page(after="\ud800"),
    lambda store: store.users.page(limit=0),
    lambda store: store.users.page(limit=-1),
    lambda store: store.users.add(User(id="a", name="x" * 1_000_001)),
    lambda store: store.bundles.history(limit=0),
    lambda store: store.audit.scan(limit=0),
    lambda store: store.audit.append([AuditEntry(id="", at=1)]),
    lambda store: store.audit.append([AuditEntry(id="a", at=2**64)]),
    lambda store: store.audit.append([AuditEntry(id="\ud800", at=1)]),
]


async def test_what_no_store_can_hold_is_refused(store):
    for attempt in IMPOSSIBLE:
        with pytest.raises(ValueError):
            await attempt(store)
    assert (await store.heads()) == Heads(policy=0, changes=0)
    assert list(await store.audit.scan()) == []


async def test_a_record_just_below_the_limit_is_kept(store):
    user = await store.users.add(User(id="a", name="ü" * 499_000))
    assert await store.users.get("a") == user


async def test_many_tasks_on_one_record_lose_no_update(store):
    await store.users.add(User(id="a", created_at=0))

    async def increment() -> int:
        attempts = 0
        while True:
            attempts += 1
            user = await store.users.get("a")
            try:
                await store.users.replace(msgspec.structs.replace(user, created_at=user.created_at + 1))
            except Conflict:
                await asyncio.sleep(random.random())
                continue
            return attempts

    tries = await asyncio.gather(*(increment() for _ in range(20)))
    user = await store.users.get("a")
    assert (user.created_at, user.rev) == (20, 21)
    assert sum(tries) > 20, "the tasks never met: the test proves nothing"


async def test_of_many_tasks_that_add_one_record_one_succeeds(store):
    outcomes = await asyncio.gather(
        *(store.users.add(User(id="a", name=str(number))) for number in range(20)), return_exceptions=True
    )
    added = [each for each in outcomes if isinstance(each, User)]
    assert len(added) == 1
    assert sum(isinstance(each, Conflict) for each in outcomes) == 19
    assert await store.users.get("a") == added[0]


async def test_of_many_that_remove_a_record_one_succeeds(store):
    await store.users.add(User(id="a"))
    outcomes = await asyncio.gather(*(store.users.remove("a") for _ in range(10)), return_exceptions=True)
    assert sorted(type(each).__name__ for each in outcomes) == ["NoneType"] + ["NotFound"] * 9


async def test_everything_is_there_after_a_restart(opened):
    first = await opened()
    user = await first.users.add(User(id="a"))
    await first.keys.add(KEY)
    await first.keys.remove(KEY.id)
    await first.audit.append([AuditEntry(id="e", at=1)])
    heads = await first.heads()
    await first.close()
    await first.close()
    second = await opened()
    assert await second.users.get("a") == user
    assert await second.heads() == heads
    assert (await second.changes(1)).removed == (("keys", KEY.id),)
    assert [entry.id for entry in await second.audit.scan()] == ["e"]
    await first.open()
    await first.open()
    assert await first.users.get("a") == user


async def test_a_closed_store_is_unavailable(opened):
    store = await opened()
    await store.close()
    for attempt in (store.heads(), store.users.get("a"), store.users.add(User(id="a")), store.changes(0)):
        with pytest.raises(Unavailable):
            await attempt
    for attempt in (store.bundles.head(), store.audit.append([AuditEntry(id="a", at=1)]), store.audit.scan()):
        with pytest.raises(Unavailable):
            await attempt


async def test_a_cancelled_caller_leaves_a_whole_record_or_none(store):
    tasks = [asyncio.create_task(store.users.add(User(id=f"u{number:02}", name="n" * 50))) for number in range(40)]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert sum(isinstance(each, asyncio.CancelledError) for each in outcomes) > 0
    kept = {user.id for user in outcomes if isinstance(user, User)}
    await store.users.add(User(id="after"))
    present = await store.users.page(limit=100)
    assert kept <= {user.id for user in present}
    assert all(user.name == "n" * 50 for user in present if user.id != "after")


async def test_neither_store_nor_error_prints_a_secret(store):
    with pytest.raises(NotFound) as refused:
        await store.keys.remove("some-hash")
    text = "".join(traceback.format_exception(refused.value)) + repr(store) + str(store)
    assert "mongodb://" not in text
    assert "127.0.0.1" not in text


async def refused(users, action, id, known):
    """Do what cannot be done: add what is there, change or remove what is not, or change it from a stale revision."""
    if action == "add" and known:
        await users.add(User(id=id))
    elif action == "remove":
        await users.remove(id)
    else:
        await users.replace(User(id=id, rev=known.rev - 1 if known else 1))


async def test_a_store_does_what_a_dictionary_does(store):
    chance = random.Random(0)
    model: dict[str, User] = {}
    for step in range(50):
        id = chance.choice("abcd")
        known = model.get(id)
        action = chance.choice(["add", "replace", "stale", "remove", "get", "page"])
        if action == "add" and known is None:
            model[id] = await store.users.add(User(id=id, created_at=step))
        elif action == "replace" and known is not None:
            model[id] = await store.users.replace(msgspec.structs.replace(known, created_at=step))
        elif action == "remove" and known is not None:
            await store.users.remove(id)
            del model[id]
        elif action in ("add", "replace", "stale", "remove"):
            with pytest.raises(Conflict if known else NotFound):
                await refused(store.users, action, id, known)
        assert await store.users.get(id) == model.get(id)
        assert list(await store.users.page()) == [model[each] for each in sorted(model)]
