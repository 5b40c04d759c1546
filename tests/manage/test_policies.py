"""Putting a policy in force, and back: compare-and-set, idempotent, mending, tested, signed."""

import sqlite3
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.identity import KeyRing
from gateway.manage.policies import (
    CasesFailed,
    LockedOut,
    Untrusted,
    apply_policy,
    policy_in_force,
    policy_of,
    rollback,
)
from gateway.manage.proving import change
from gateway.manage.users import add_user, bootstrap_admin, give_role, withdraw_role
from gateway.policy.bundle import Bundle, bundle_hash, encode
from gateway.policy.rules import read
from gateway.policy.signature import TrustedKey, public_text, read_public, sign
from gateway.records import CaseCounts, Grant, PolicyHead, RightsChange
from gateway.store.base import Conflict, NotFound

MODEL = (Path(__file__).parents[2] / "policies" / "model.conf").read_text()
KEEPER = "p, role:security, main, system, gateway/policy, manage, , allow\n"


def bundle(rows: str, tests: str = "") -> Bundle:
    cases = {"tests/own.yaml": tests} if tests else {}
    found = read({"model.conf": MODEL, "rules.csv": rows, **cases})
    assert isinstance(found, Bundle), found
    return found


ONE, TWO = bundle(KEEPER), bundle(KEEPER + "p, role:user, main, self, git/*, read, , allow\n")


async def test_before_the_first_apply_no_policy_is_in_force(store):
    assert await policy_in_force(store) is None


async def test_an_applied_policy_is_in_force_with_its_author_and_reason(store):
    head = await apply_policy(store, ONE, author="operator", why="first", now=7)
    assert (head.version, head.author, head.why, head.at) == (1, "operator", "first", 7)
    found = await policy_in_force(store)
    assert (found.head, found.bundle) == (head, ONE)
    assert (await apply_policy(store, TWO, author="operator", why="second", now=8, expected=1)).version == 2
    assert (await policy_in_force(store)).bundle == TWO


async def test_applying_what_is_in_force_moves_nothing(store):
    head = await apply_policy(store, ONE, author="operator", why="first", now=7)
    assert await apply_policy(store, ONE, author="folder", why="again", now=9) == head
    assert len(await store.bundles.history()) == 1


async def test_a_policy_planned_against_another_version_is_not_applied(store):
    await apply_policy(store, ONE, author="operator", why="first", now=7)
    for bundle in (ONE, TWO):
        with pytest.raises(Conflict):
            await apply_policy(store, bundle, author="operator", why="late", now=8, expected=0)
    assert (await policy_in_force(store)).bundle == ONE


async def test_applying_a_damaged_policy_again_mends_it(store, tmp_path):
    await apply_policy(store, ONE, author="operator", why="first", now=7)
    with sqlite3.connect(tmp_path / "store.db") as connection:
        connection.execute("UPDATE bundles SET body = x'00'")
    connection.close()
    with pytest.raises(NotFound):
        await policy_in_force(store)
    await apply_policy(store, ONE, author="operator", why="mend", now=8)
    assert (await policy_in_force(store)).bundle == ONE


async def test_before_the_first_account_the_roles_it_will_get_count(store):
    with pytest.raises(LockedOut, match="no `user:` would manage `gateway/policy`"):
        await apply_policy(store, bundle(""), author="operator", why="x", now=7)
    assert (await apply_policy(store, ONE, author="operator", why="x", now=7)).version == 1


async def test_a_policy_that_nobody_could_change_any_more_is_not_applied_whatever_grants_there_were(store):
    ring = KeyRing([("a", b"a" * 32)])
    await bootstrap_admin(store, ring, "root@example.com", now=1)
    await apply_policy(store, ONE, author="operator", why="x", now=7)
    await store.grants.add(Grant(id="bad", kind="x", row=("what", "is", "this?"), made_by="x"))
    await withdraw_role(store, "root@example.com", "security")
    await apply_policy(store, ONE, author="operator", why="in force already", now=7)
    with pytest.raises(LockedOut):
        await apply_policy(store, TWO, author="operator", why="x", now=7)
    await add_user(store, ring, "ada@example.com", author="root", now=1, roles=["security"])
    assert (await apply_policy(store, TWO, author="operator", why="x", now=7)).version == 2


# -- its own tests


GIT = KEEPER + "p, role:user, main, self, git/log, read, , allow\n"
NOBODY_READS = """
tools:
  git/log: read
cases:
  - {name: strangers do not read the log, as: "user:*", do: read, on: git/log, expect: deny}
never:
  - {name: bob never reads the log, who: "user:bob@example.com", do: read, on: git/log}
"""
RING = KeyRing([("a", b"a" * 32)])


async def people(store):
    await bootstrap_admin(store, RING, "root@example.com", now=1)
    await add_user(store, RING, "bob@example.com", author="operator", now=1)


async def test_how_the_tests_ended_is_kept_with_the_version(store):
    await people(store)
    head = await apply_policy(store, bundle(GIT, NOBODY_READS), author="operator", why="x", now=7)
    assert head.tests == CaseCounts(passed=2, failed=0, covered=0, rows=2)
    assert (await policy_in_force(store)).head == head
    assert (await apply_policy(store, ONE, author="operator", why="x", now=8)).tests is None


async def test_a_policy_whose_own_tests_fail_is_not_applied(store):
    await people(store)
    wrong = bundle(GIT + "p, user:*, main, self, git/log, read, , allow\n", NOBODY_READS)
    with pytest.raises(CasesFailed) as refused:
        await apply_policy(store, wrong, author="operator", why="x", now=7, despite_grants=True)
    assert [problem.place.file for problem in refused.value.problems] == ["tests/own.yaml"] * 2
    assert "strangers do not read the log" in str(refused.value)
    assert refused.value.by_grants == ()
    assert await policy_in_force(store) is None


async def test_tests_that_cannot_be_read_are_as_bad_as_tests_that_fail(store):
    with pytest.raises(CasesFailed, match=r"tests/own\.yaml"):
        await apply_policy(store, bundle(GIT, "cases: [{nonsense: 1}]"), author="operator", why="x", now=7)


async def test_a_grant_that_breaks_a_test_is_named_with_the_way_out(store):
    await people(store)
    for email, role, domain in (("bob", "other", "*"), ("bob", "user", "main"), ("root", "zoo", "*")):
        await give_role(store, f"{email}@example.com", role, author="operator", now=1, domain=domain)
    with pytest.raises(CasesFailed) as refused:
        await apply_policy(store, bundle(GIT, NOBODY_READS), author="operator", why="x", now=7)
    assert refused.value.problems == ()
    (told,) = map(str, refused.value.by_grants)
    assert told.startswith("tests/own.yaml:")
    way_out = "`ostiary users withdraw-role bob@example.com user --domain main` takes it back"
    assert f"`grant:role:user/main/bob@example.com` makes it fail; {way_out}" in told
    assert "grant:role:other" not in told
    assert "grant:role:zoo" not in told
    await withdraw_role(store, "bob@example.com", "user", domain="main")
    assert (await apply_policy(store, bundle(GIT, NOBODY_READS), author="operator", why="x", now=7)).version == 1


async def test_of_several_grants_that_break_a_test_each_is_named(store):
    await people(store)
    row = ("user:bob@example.com", "main", "self", "git/log", "read", "", "allow")
    await store.grants.add(Grant(id="one", kind="x", row=row, made_by="x"))
    await store.grants.add(Grant(id="two", kind="x", row=row, made_by="x"))
    await store.grants.add(Grant(id="gone", kind="x", row=row, made_by="x", expires_at=7))
    with pytest.raises(CasesFailed) as refused:
        await apply_policy(store, bundle(GIT, NOBODY_READS), author="operator", why="x", now=7)
    (told,) = map(str, refused.value.by_grants)
    assert "`grant:one` makes it fail; withdraw it" in told
    assert "`grant:two` makes it fail; withdraw it" in told
    assert "grant:gone" not in told


async def test_a_grant_that_has_ended_breaks_no_test_about_an_earlier_time(store):
    await people(store)
    row = ("user:bob@example.com", "main", "self", "git/log", "read", "", "allow")
    await store.grants.add(Grant(id="gone", kind="x", row=row, made_by="x", expires_at=7))
    earlier = (
        '{name: bob, as: "user:bob@example.com", do: read, on: git/log, expect: deny, now: "1970-01-01T00:00:00Z"}'
    )
    tests = f"tools: {{git/log: read}}\ncases: [{earlier}]"
    head = await apply_policy(store, bundle(GIT, tests), author="operator", why="x", now=7)
    assert head.tests.passed == 1


async def test_an_operator_can_apply_in_spite_of_what_grants_break(store):
    await people(store)
    await give_role(store, "bob@example.com", "user", author="operator", now=1)
    told = []
    head = await apply_policy(
        store,
        bundle(GIT, NOBODY_READS),
        author="operator",
        why="x",
        now=7,
        despite_grants=True,
        tell=lambda problem: told.append(str(problem)),
    )
    assert (head.version, head.tests.failed) == (1, 1)
    assert "grant:role:user/*/bob@example.com" in told[0]


# -- signatures


ANN, EVE = (Ed25519PrivateKey.from_private_bytes(bytes([each]) * 32) for each in (1, 2))
TRUSTED = [TrustedKey("ann", read_public(public_text(ANN)))]


def signed(key: Ed25519PrivateKey, what: Bundle) -> str:
    return sign(key, bundle_hash(encode(what)))


async def test_with_trusted_keys_only_what_one_of_them_signed_is_applied(store):
    how = {"author": "operator", "why": "x", "now": 7, "trusted": TRUSTED}
    for signature in ("", signed(EVE, ONE), signed(ANN, TWO)):
        with pytest.raises(Untrusted):
            await apply_policy(store, ONE, signature=signature, **how)
    assert await policy_in_force(store) is None
    head = await apply_policy(store, ONE, signature=signed(ANN, ONE), **how)
    assert (head.version, head.signature) == (1, signed(ANN, ONE))
    assert await apply_policy(store, ONE, **how) == head, "it is in force already, and well signed"


async def test_what_is_in_force_already_can_be_signed_afterwards(store):
    how = {"author": "operator", "why": "x", "now": 7}
    await apply_policy(store, ONE, **how)
    with pytest.raises(Untrusted, match="not signed"):
        await apply_policy(store, ONE, trusted=TRUSTED, **how)
    head = await apply_policy(store, ONE, signature=signed(ANN, ONE), trusted=TRUSTED, **how)
    assert (head.version, head.signature) == (2, signed(ANN, ONE))
    assert await apply_policy(store, ONE, signature=signed(ANN, ONE), **how) == head
    assert (await apply_policy(store, ONE, signature=signed(EVE, ONE), **how)).version == 3


# -- back


async def history(store) -> list[PolicyHead]:
    return list(await store.bundles.history())


async def test_an_earlier_policy_comes_back_as_a_new_version_and_grants_stay(store):
    await people(store)
    first = await apply_policy(
        store, ONE, author="operator", why="first", now=7, commit="c1", signature=signed(ANN, ONE)
    )
    await apply_policy(store, TWO, author="operator", why="second", now=8)
    await give_role(store, "bob@example.com", "user", author="operator", now=9)
    grants = list(await store.grants.page())
    head = await rollback(store, 1, author="ann", why="it hurt", now=10)
    assert (head.version, head.author, head.at, head.why) == (3, "ann", 10, "back to version 1: it hurt")
    assert (head.bundle, head.commit, head.signature) == (first.bundle, "c1", first.signature)
    assert (await policy_in_force(store)).bundle == ONE
    assert list(await store.grants.page()) == grants
    assert [each.version for each in await history(store)] == [3, 2, 1]


async def test_going_back_to_what_is_in_force_moves_nothing(store):
    await apply_policy(store, ONE, author="operator", why="first", now=7)
    await apply_policy(store, TWO, author="operator", why="second", now=7)
    await rollback(store, 1, author="operator", why="back", now=8)
    head = await rollback(store, 1, author="operator", why="again", now=9)
    assert (head.version, head.why) == (3, "back to version 1: back")


async def test_a_signature_that_was_taken_away_comes_back(store):
    await apply_policy(store, ONE, author="operator", why="signed", now=7, signature=signed(ANN, ONE))
    naked = PolicyHead(version=2, bundle=bundle_hash(encode(ONE)), author="eve", at=7)
    await store.bundles.move_head(1, naked)
    head = await rollback(store, 1, author="operator", why="x", now=8, trusted=TRUSTED)
    assert (head.version, head.signature) == (3, signed(ANN, ONE))


@pytest.mark.parametrize("version", [0, -1, 3])
async def test_there_is_no_way_back_to_a_version_that_never_was(store, version):
    with pytest.raises(NotFound, match="no policy was applied yet"):
        await rollback(store, 1, author="operator", why="x", now=8)
    await apply_policy(store, ONE, author="operator", why="first", now=7)
    await apply_policy(store, TWO, author="operator", why="second", now=7)
    with pytest.raises(NotFound, match="the versions are 1 to 2"):
        await rollback(store, version, author="operator", why="x", now=8)
    assert (await policy_of(store, 1)).bundle == ONE


async def test_the_way_back_locks_nobody_out_and_takes_nothing_unsigned(store):
    await people(store)
    await apply_policy(store, ONE, author="operator", why="first", now=7)
    lasting = bundle("p, user:root@example.com, main, system, gateway/policy, manage, , allow\n")
    await apply_policy(store, lasting, author="operator", why="second", now=7)
    with pytest.raises(Untrusted):
        await rollback(store, 1, author="operator", why="x", now=8, trusted=TRUSTED)
    await withdraw_role(store, "root@example.com", "security")
    with pytest.raises(LockedOut):
        await rollback(store, 1, author="operator", why="x", now=8)
    assert (await policy_in_force(store)).head.version == 2


async def test_failing_tests_do_not_bar_the_way_back_but_are_told(store):
    await people(store)
    await apply_policy(store, bundle(GIT, NOBODY_READS), author="operator", why="first", now=7)
    await apply_policy(store, TWO, author="operator", why="second", now=7)
    await give_role(store, "bob@example.com", "user", author="operator", now=1)
    told = []
    head = await rollback(store, 1, author="operator", why="x", now=8, tell=lambda problem: told.append(str(problem)))
    assert (head.version, head.tests.failed) == (3, 1)
    assert "bob never reads the log" in told[0]


async def test_of_two_ways_back_at_once_one_is_refused(store):
    await apply_policy(store, ONE, author="operator", why="first", now=7)
    await apply_policy(store, TWO, author="operator", why="second", now=7)

    class Late:
        """Another operator rolls back while our rollback is being tested."""

        bundles = store.bundles

        @staticmethod
        async def changes(after):
            await rollback(store, 1, author="another", why="first", now=8)
            return await store.changes(after)

    with pytest.raises(Conflict):
        await rollback(Late, 1, author="operator", why="late", now=8)
    assert (await store.bundles.head()).author == "another"


# -- how far rights change


async def test_how_far_rights_change_is_kept_with_the_version(store):
    await people(store)
    await apply_policy(store, bundle(KEEPER), author="operator", why="x", now=7)
    await give_role(store, "bob@example.com", "user", author="operator", now=7)
    wider = await apply_policy(store, bundle(GIT), author="operator", why="x", now=7)
    assert (wider.plan.widened > 0, wider.plan.narrowed, wider.plan.users) == (True, 0, 1)
    back = await rollback(store, 1, author="operator", why="x", now=7)
    assert back.plan == RightsChange(widened=0, narrowed=wider.plan.widened, users=1)


async def test_an_apply_does_not_wait_for_what_can_not_be_compared(store, tmp_path):
    await people(store)
    await apply_policy(store, ONE, author="operator", why="x", now=7)
    older = encode(Bundle("no model"))
    await store.bundles.put(bundle_hash(older), older)
    await store.bundles.move_head(1, PolicyHead(version=2, bundle=bundle_hash(older), author="x", at=7))
    head = await apply_policy(store, TWO, author="operator", why="x", now=7)
    assert (head.version, head.plan) == (3, None)
    with sqlite3.connect(tmp_path / "store.db") as connection:
        connection.execute("UPDATE bundles SET body = x'00' WHERE id = ?", (head.bundle,))
    connection.close()
    head = await apply_policy(store, ONE, author="operator", why="x", now=7)
    assert (head.version, head.plan) == (4, None)
    everybody = await store.changes(0)
    assert change(ONE, TWO, everybody, 7) is not None
    assert change(ONE, TWO, everybody, 7, patience_s=-1) is None
