"""Stores full of something: a sample of every kind, random plans of what was done to a store, and what to ask of it."""

from hypothesis import strategies as st
from msgspec import structs

from gateway.audit import AuditEntry
from gateway.policy.bundle import Bundle, bundle_hash, encode
from gateway.policy.terms import Access
from gateway.records import (
    Checkpoint,
    EndUser,
    Grant,
    MailedCode,
    PolicyHead,
    Registration,
    ShadowHead,
    SignIn,
    Tally,
    User,
    Worker,
)
from gateway.store.base import Store
from tests.policy.builders import access, bundle
from tests.store import test_contract as contract

SAMPLES = {
    "users": User(id="u", name="ü\x00"),
    "keys": contract.KEY,
    "grants": contract.GRANT,
    "pins": contract.PINS,
    "connections": contract.CONNECTED,
    "tools": contract.TOOL,
    "prompts": contract.PROMPT,
    "servers": contract.SERVER,
    "end_users": EndUser(id="user:a@x.example/00ff", tenant="user:a@x.example", username="ö"),
    "flows": contract.FLOW,
    "sign_ins": SignIn(id="h1", subject="user:a", how="key"),
    "mailed_codes": MailedCode(id="h1", subject="user:a", code="h2", tries=2**53),
    "registrations": Registration(id="r1", issuer="https://i", client_id="c", redirect_uri="https://r"),
    "workers": Worker(id="w1", node="n1", socket="/run/w1", address="10.0.0.5:4101"),
    "checkpoints": Checkpoint(
        id="c1", start=2, start_link="ab", number=2**53, link="cd", at=7, key="k1", signature="ef"
    ),
    "tallies": Tally(id="n1", until=2**53, counts={"a.$b": ((2**53, 3),)}),
}
PEOPLE = ("user:alice@example.com", "user:bob@example.com")
OBJECTS = ("git/log", "git/reset", "shop/pay")
ACTIONS = ("read", "write")


def questions() -> list[Access]:
    return [access(thing, action, subject=who) for who in PEOPLE for thing in OBJECTS for action in ACTIONS]


def a_policy(rows: tuple[tuple[str, str, str, str], ...]) -> Bundle:
    return bundle(
        "".join(f"p, {who}, main, self, {thing}, {action}, , {effect}\n" for who, thing, action, effect in rows)
    )


ROWS = st.tuples(
    st.sampled_from(PEOPLE), st.sampled_from(OBJECTS), st.sampled_from(ACTIONS), st.sampled_from(["allow", "deny"])
)
IDS = st.sampled_from(["a", "b", "$where", "a.b", "ä", "\uffff", "😀", "a/b", "0", "x\x00"])
STEPS = st.one_of(
    st.tuples(st.just("record"), st.sampled_from(sorted(SAMPLES)), IDS, st.sampled_from(["keep", "remove"])),
    st.tuples(st.just("grant"), IDS, ROWS),
    st.tuples(st.just("policy"), st.lists(ROWS, max_size=4).map(tuple)),
    st.tuples(st.just("shadow"), st.booleans()),
    st.tuples(st.just("audit"), IDS, st.integers(0, 2**53)),
)


def plans() -> st.SearchStrategy[list]:
    return st.lists(STEPS, min_size=1, max_size=25).map(lambda steps: [("policy", ()), *steps])


async def fill(store: Store, plan: list) -> None:
    """Do to a store what the plan says."""
    for what, *words in plan:
        await DOING[what](store, *words)


async def _record(store: Store, kind: str, id: str, action: str) -> None:
    records = getattr(store, kind)
    known = await records.get(id)
    if known is None:
        await records.add(structs.replace(SAMPLES[kind], id=id))
    elif action == "remove":
        await records.remove(id)
    else:
        await records.replace(known)


async def _grant(store: Store, id: str, row: tuple[str, str, str, str]) -> None:
    who, thing, action, effect = row
    made = Grant(id=id, kind="p", row=(who, "main", "self", thing, action, "", effect), made_by="operator")
    known = await store.grants.get(id)
    await (store.grants.add(made) if known is None else store.grants.replace(structs.replace(made, rev=known.rev)))


async def _policy(store: Store, rows: tuple) -> None:
    made = a_policy(rows)
    body = encode(made)
    await store.bundles.put(bundle_hash(body), body)
    version = (await store.heads()).policy
    await store.bundles.move_head(
        version, PolicyHead(version=version + 1, bundle=bundle_hash(body), author="ann", at=version, why="ü")
    )


async def _shadow(store: Store, on: bool) -> None:
    head = await store.bundles.head()
    await store.bundles.set_shadow(ShadowHead(bundle=head.bundle if on else "", author="ann", at=1))


async def _audit(store: Store, id: str, at: int) -> None:
    await store.audit.append([AuditEntry(id=id, at=at, subject="user:ä", arguments={"/a.b": "1", "$where": "2"})])


DOING = {"record": _record, "grant": _grant, "policy": _policy, "shadow": _shadow, "audit": _audit}


async def everything(store: Store) -> None:
    """One of each, some of them changed and removed since."""
    for kind, sample in SAMPLES.items():
        records = getattr(store, kind)
        await records.replace(await records.add(sample))
        await records.add(structs.replace(sample, id="gone"))
        await records.remove("gone")
    for rows in ((), ((PEOPLE[0], OBJECTS[0], "read", "allow"),)):
        await _policy(store, rows)
    await _shadow(store, on=True)
    for number in range(3):
        await _audit(store, f"{number}", number)
