"""A policy's life over both stores: applied, applied again, back, and what is kept of it."""

from dataclasses import replace
from pathlib import Path

import pytest

from gateway.manage.policies import apply_policy, policy_in_force, policy_of, rollback
from gateway.policy.bundle import Bundle
from gateway.policy.rules import read
from gateway.records import CaseCounts, PolicyHead, RightsChange
from gateway.store.base import Conflict, Store
from gateway.store.kinds import HEAD, content_hash

MODEL = (Path(__file__).parents[2] / "policies" / "model.conf").read_text()
KEEPER = "p, role:security, main, system, gateway/policy, manage, , allow\n"
OPERATOR = {"author": "operator", "why": "x"}


def bundle(rows: str) -> Bundle:
    found = read({"model.conf": MODEL, "rules.csv": KEEPER + rows})
    assert isinstance(found, Bundle), found
    return replace(found, cases={"tests/none.yaml": "cases: []\n"})


FIRST = bundle("")
SECOND = bundle("p, role:user, main, self, git/*, read, , allow\n")


async def test_a_policy_comes_goes_and_comes_back(store: Store):
    assert await policy_in_force(store) is None
    one = await apply_policy(store, FIRST, now=1, commit="c1", signature="s1", **OPERATOR)
    two = await apply_policy(store, SECOND, now=2, expected=1, **OPERATOR)
    with pytest.raises(Conflict):
        await apply_policy(store, FIRST, now=3, expected=1, **OPERATOR)
    three = await rollback(store, 1, now=4, **OPERATOR)
    assert list(await store.bundles.history()) == [three, two, one]
    assert (await policy_in_force(store)).bundle == (await policy_of(store, 1)).bundle == FIRST
    assert (await policy_of(store, 2)).head == two
    assert (three.commit, three.signature, three.tests) == ("c1", "s1", one.tests)


async def test_everything_that_is_told_of_a_version_is_kept(store: Store):
    await store.bundles.put(content_hash(b"x"), b"x")
    head = PolicyHead(
        version=1,
        bundle=content_hash(b"x"),
        author="ann",
        at=5,
        why="ü",
        commit="c-dirty",
        tests=CaseCounts(passed=1, failed=2, covered=3, rows=4),
        plan=RightsChange(widened=1, narrowed=2, users=3),
        signature="s",
    )
    await store.bundles.move_head(0, head)
    assert await store.bundles.head() == head


def test_a_version_that_an_older_program_wrote_can_be_read():
    older = '{"version":1,"bundle":"b","author":"a","at":2,"why":"w"}'
    assert HEAD.decode(older) == PolicyHead(version=1, bundle="b", author="a", at=2, why="w")
