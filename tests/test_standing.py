"""Grants as they are followed: whatever comes, goes and ends, the policy is told what a look at all of them would tell."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.policy.terms import Effect, Link, Place, Rule
from gateway.standing import NEVER, Standing

IDS = st.sampled_from("abcdef")
ENDS = st.none() | st.integers(1, 9)


def rule(id, expires, object):
    return Rule(
        "user:a@example.com", "main", "self", object, "read", "", Effect.ALLOW, Place(f"grant:{id}"), expires=expires
    )


def link(id, expires):
    return Link("user:a@example.com", "role:r", "*", Place(f"grant:{id}"), expires=expires)


@st.composite
def changes(draw):
    rows = {
        id: link(id, end) if object is None else rule(id, end, object)
        for id, (end, object) in draw(
            st.dictionaries(IDS, st.tuples(ENDS, st.sampled_from(("a/*", "b/*", None))), max_size=4)
        ).items()
    }
    gone = {each for each in draw(st.lists(IDS, max_size=3)) if each not in rows}
    return rows, gone, draw(st.integers(0, 10))


@given(st.lists(changes(), max_size=12))
def test_each_step_says_what_a_look_at_all_grants_would(steps):
    standing, everything, policy = Standing(), {}, {}
    for rows, gone, now in steps:
        step = standing.step(rows, gone, now)
        assert standing.rows == everything, "nothing changes before it is settled"
        everything = {id: row for id, row in {**everything, **rows}.items() if id not in gone}
        living = {id: row for id, row in everything.items() if row.expires is None or now < row.expires}
        assert all(policy.get(id) != row for id, row in step.put.items()), "what stands already is not put again"
        assert step.drop <= policy.keys()
        former = policy
        policy = {id: row for id, row in policy.items() if id not in step.drop} | dict(step.put)
        assert policy == living
        assert sorted(map(str, step.turned)) == sorted(
            str(each) for id in former.keys() | living.keys() if former.get(id) != living.get(id)
            for each in (former.get(id), living.get(id)) if each is not None
        )  # fmt: skip
        standing.settle(step, rows, gone, now)
        assert standing.rows == everything
        assert standing.next_end(now) == min(
            (row.expires for row in everything.values() if row.expires is not None and row.expires > now), default=NEVER
        )
