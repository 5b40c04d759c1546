"""Plain Casbin over our store: it loads what is in force, answers like our own engine, and changes nothing."""

from pathlib import Path

import casbin
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given

from gateway.manage.casbin_adapter import ReadOnly, StoreAdapter
from gateway.manage.policies import Untrusted, apply_policy
from gateway.policy.bundle import Bundle, bundle_hash, encode
from gateway.policy.engine import BadPolicy, Policy
from gateway.policy.floor import ROWS
from gateway.policy.functions import matcher_functions
from gateway.policy.rules import read
from gateway.policy.signature import TrustedKey, public_text, read_public, sign
from gateway.policy.terms import Access, Context, Link, Place, Rule
from gateway.records import Grant
from gateway.store.base import Store
from tests.policy.worlds import World, cases

MODEL = (Path(__file__).parents[2] / "policies" / "model.conf").read_text()
NOW = 1_800_000_000_000
KEEPER = "p, user:root@example.com, main, system, gateway/policy, manage, , allow\n"
ROWS_OF_FILES = (
    KEEPER
    + """\
p, role:user, main, self, shop/pay, write, args.text in ['a, b', 'c'] or args.n > 0, allow
p, *, *, *, shop/*, write, not (args.n < 10), deny
# @expires 2020-01-31
p, user:*, *, self, git/*, read, , allow
g, role:admin, role:user, *
"""
)


def bundle(rows: str) -> Bundle:
    found = read({"model.conf": MODEL, "rules.csv": rows})
    assert isinstance(found, Bundle), found
    return found


def enforcer(adapter: StoreAdapter | None = None) -> casbin.AsyncEnforcer:
    model = casbin.Model()
    model.load_model_from_text(MODEL)
    made = casbin.AsyncEnforcer(model, adapter)
    made.enable_auto_build_role_links(False)
    return made


def know(plain: casbin.Enforcer, policy: Policy) -> None:
    for name, function in matcher_functions(policy).items():
        plain.add_function(name, function)


def question(access: Access) -> tuple[object, ...]:
    return access.subject, access.domain, access.owner, access.object, access.action, access.context


def asked(subject: str, object: str, action: str, now: int = NOW, **args: object) -> Access:
    return Access(subject, "main", subject, object, action, Context(args=args, env={"now": now}))


QUESTIONS = [
    asked(subject, object, action, **args)
    for subject in (
        "user:ann@example.com",
        "user:bob@example.com",
        "user:root@example.com",
        "server:s",
        "nobody",
        "role:user",
    )
    for object, action in (
        ("shop/pay", "write"),
        ("shop/pay", "read"),
        ("git/log", "read"),
        ("gateway/policy", "manage"),
    )
    for args in ({}, {"n": 5}, {"n": 50}, {"n": 5, "text": "a, b"}, {"text": "c"})
]


async def grant(store: Store, id: str, *row: str, expires_at: int | None = None) -> None:
    await store.grants.add(Grant(id=id, kind="x", row=row, made_by="x", expires_at=expires_at))


async def test_plain_casbin_answers_like_our_engine(store: Store):
    await apply_policy(store, bundle(ROWS_OF_FILES), author="x", why="x", now=NOW)
    await grant(store, "role", "user:ann@example.com", "role:admin", "*")
    await grant(store, "ended", "user:bob@example.com", "role:admin", "*", expires_at=NOW - 1)
    await grant(store, "share", "user:bob@example.com", "main", "self", "git/*", "read", "", "allow")
    adapter = StoreAdapter(store, clock=lambda: NOW)
    plain = enforcer(adapter)
    await plain.load_policy()
    know(plain, adapter.policy)
    answers = [plain.enforce(*question(access)) for access in QUESTIONS]
    assert answers == [adapter.policy.decide((access,)).allowed for access in QUESTIONS]
    assert {True, False} == set(answers)
    assert adapter.policy.version == f"1.{(await store.heads()).changes}"


async def test_a_value_never_becomes_a_row_and_what_ended_is_left_out(store: Store):
    await apply_policy(store, bundle(ROWS_OF_FILES), author="x", why="x", now=NOW)
    await grant(store, "ended", "user:bob@example.com", "role:admin", "*", expires_at=NOW)
    smuggled = "args.text == 'x, *, *, *, *, , allow'"
    await grant(store, "share", "user:bob@example.com", "main", "self", "git/*", "read", smuggled, "allow")
    plain = enforcer(StoreAdapter(store, clock=lambda: NOW))
    await plain.load_policy()
    await plain.load_policy()
    rows = plain.get_policy()
    assert len(rows) == len(ROWS) + 4
    assert all(len(row) == 7 for row in rows)
    assert rows[-1][5] == smuggled
    assert rows[len(ROWS) + 1][5] == "args.text in ['a, b', 'c'] or args.n > 0"
    assert plain.get_grouping_policy() == [["role:admin", "role:user", "*"]]


async def test_before_the_first_apply_plain_casbin_knows_no_row(store: Store):
    adapter = StoreAdapter(store, clock=lambda: NOW)
    plain = enforcer(adapter)
    await plain.load_policy()
    assert plain.get_policy() == []
    assert adapter.policy.bundle is None


async def test_a_model_without_roles_can_be_loaded_too(store: Store):
    await apply_policy(store, bundle(ROWS_OF_FILES), author="x", why="x", now=NOW)
    model = casbin.Model()
    model.load_model_from_text(MODEL.replace("[role_definition]\ng = _, _, _\n", ""))
    plain = casbin.AsyncEnforcer(model, StoreAdapter(store, clock=lambda: NOW))
    await plain.load_policy()
    assert len(plain.get_policy()) == len(ROWS) + 3


async def test_nothing_can_be_written_through_casbin(store: Store):
    await apply_policy(store, bundle(ROWS_OF_FILES), author="x", why="x", now=NOW)
    adapter = StoreAdapter(store, clock=lambda: NOW)
    plain = enforcer(adapter)
    await plain.load_policy()
    row = plain.get_policy()[-1]
    writes = (
        lambda: plain.save_policy(),
        lambda: plain.add_policy("user:x@example.com", "*", "*", "*", "read", "", "allow"),
        lambda: plain.add_policies([["user:x@example.com", "*", "*", "*", "read", "", "allow"]]),
        lambda: plain.update_policy(row, [*row[:-1], "deny"]),
        lambda: adapter.update_policies("p", "p", [row], [row]),
        lambda: adapter.update_filtered_policies("p", "p", [row], 0, "user:x"),
        lambda: adapter.remove_policy("p", "p", row),
        lambda: adapter.remove_policies("p", "p", [row]),
        lambda: plain.remove_filtered_policy(0, "role:user"),
    )
    before = await store.heads()
    for write in writes:
        with pytest.raises(ReadOnly, match="this adapter only reads; `ostiary policy apply DIR` changes the policy"):
            await write()
    assert await store.heads() == before


async def test_what_cannot_be_trusted_or_read_is_not_loaded(store: Store):
    key = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
    trusted = [TrustedKey("k", read_public(public_text(key)))]
    what = bundle(ROWS_OF_FILES)
    await apply_policy(store, what, author="x", why="x", now=NOW)
    plain = enforcer(StoreAdapter(store, clock=lambda: NOW, trusted=trusted))
    with pytest.raises(Untrusted, match="policy 1: it is not signed"):
        await plain.load_policy()
    await apply_policy(store, what, author="x", why="x", now=NOW, signature=sign(key, bundle_hash(encode(what))))
    await plain.load_policy()
    await grant(store, "bad", "what", "is", "this?")
    with pytest.raises(BadPolicy):
        await plain.load_policy()


@given(cases())
def test_the_functions_of_the_matcher_say_what_the_engine_says(case: tuple[World, list[Access]]):
    world, questions = case
    policy = world.policy(2)
    model = casbin.Model()
    model.load_model_from_text(MODEL)
    plain = casbin.Enforcer(model)
    know(plain, policy)
    for access in questions:
        living = [rule for rule in policy.rules if lives(rule, access.context.env.get("now"))]
        plain.get_model()["p"]["p"].policy = [
            [rule.subject, rule.domain, rule.owner, rule.object, rule.action, rule.when, rule.effect.value]
            for rule in living
        ]
        assert plain.enforce(*question(access)) == policy.decide((access,)).allowed


def test_where_the_time_is_unknown_an_expiring_role_counts_for_a_deny_alone():
    given = Link("user:ann@example.com", "role:user", "*", Place("grant:x"), expires=NOW)
    functions = matcher_functions(Policy.build(bundle(ROWS_OF_FILES), [given], ""))
    asked = ("user:ann@example.com", "main", Context(), "role:user")
    assert functions["subMatch"](*asked, "deny")
    assert not functions["subMatch"](*asked, "allow")


def lives(rule: Rule, now: int | None) -> bool:
    """Where the time is unknown, an expiring row counts for a deny alone."""
    return rule.expires is None or (rule.effect == "deny" if now is None else now < rule.expires)
