"""Could an operation be allowed of which neither whose record it is nor its name are known: as trying all of them says."""

from itertools import chain as joined
from itertools import combinations, product

from hypothesis import example, given
from hypothesis import strategies as st

from gateway.pipeline.chain import operation_chain
from gateway.policy.engine import Policy
from gateway.policy.openings import SOMEBODY, Opening
from gateway.policy.schema import Schema
from gateway.policy.terms import MAIN, SYSTEM, Effect, Place, Rule, Subject
from tests.builders import NOON
from tests.builders import policy as policy_of

AMY = Subject("user:amy@example.com")
ANN, STRANGER = "user:ann@example.com", "user:stranger@example.com"
ENV = {"now": NOON, "offset": 0, "address": ""}

ROLE_SETS = [list(each) for each in joined(*(combinations("xyz", many) for many in range(4)))]
NAMES = ["report", "other", "reports", "unforeseen"]
ARGS = [{}, {"operation": "add"}, {"operation": "update"}]
CONDITIONS = [
    "",
    "some(owner.roles, it == 'x')",
    "some(owner.roles, it in ['y', 'z'])",
    "not some(owner.roles, it == 'x')",
    "every(owner.roles, it == 'y')",
    "tool.name == 'report'",
    "not tool.name in ['report', 'other']",
    "starts(tool.name, 'reports')",
    "args.operation == 'add'",
    "args.operation == 'update' and some(owner.roles, it == 'z')",
]
OBJECTS = ["custom/*", "custom/report", "custom/prompt:*", "custom/prompt:report", "gateway/users", "*"]
ROWS = st.lists(
    st.tuples(
        st.sampled_from([AMY.name, "role:r", "user:*", ANN]),
        st.sampled_from(["main", "*", "side"]),
        st.sampled_from(["self", "*", ANN, SYSTEM]),
        st.sampled_from(OBJECTS),
        st.sampled_from(["inspect", "manage", "share"]),
        st.sampled_from(CONDITIONS),
        st.sampled_from(["allow", "allow", "deny"]),
    ),
    max_size=5,
)


def opens(policy: Policy, object: str, action: str, schema: Schema) -> bool:
    """As whoever lists asks."""
    for each in policy.openings(AMY, MAIN, object, action, NOON):
        roles = ("r",) if each.roles is None and each.owner == AMY.name else each.roles or ()
        asked = operation_chain(
            each.object, action, AMY, domain=MAIN, owner=each.owner, args=None, env=ENV, owner_roles=roles
        )
        if policy.possible(asked, schema):
            return True
    return False


def allowed(policy: Policy, objects: list[str], action: str) -> bool:
    """As whoever tries all there is."""
    records = [(AMY.name, ("r",)), (ANN, ()), (SYSTEM, ()), *((STRANGER, tuple(roles)) for roles in ROLE_SETS)]
    return any(
        policy.decide(
            operation_chain(object, action, AMY, domain=MAIN, owner=owner, args=args, env=ENV, owner_roles=roles)
        ).allowed
        for object, (owner, roles), args in product(objects, records, ARGS)
    )


@given(ROWS, st.sampled_from(["inspect", "manage", "share"]))
@example([("user:*", "main", "*", "custom/*", "manage", CONDITIONS[1], "allow")], "manage")
@example(
    [
        ("user:*", "main", "*", "custom/*", "manage", CONDITIONS[1], "allow"),
        ("user:*", "*", "*", "*", "manage", "not some(owner.roles, it in ['y', 'z'])", "deny"),
    ],
    "manage",
)
@example([("user:*", "main", "*", "custom/prompt:*", "manage", "", "allow")], "manage")
def test_it_is_possible_exactly_when_some_record_of_somebody_would_be_allowed(rows, action):
    text = [", ".join(("p", *row)) for row in rows if not is_refused(row)]
    policy = policy_of("\n".join([*text, f"g, {AMY.name}, role:r, *"]))
    for judge in (policy, policy.plainly()):
        anything = Schema({"type": "object"})
        tools = [f"custom/{name}" for name in NAMES]
        assert opens(judge, "custom/*", action, anything) is allowed(judge, tools, action)
        prompts = [f"custom/prompt:{name}" for name in NAMES]
        assert opens(judge, "custom/prompt:*", action, anything) is allowed(judge, prompts, action)
        assert opens(judge, "*", action, anything) is allowed(judge, [*tools, "c/unforeseen"], action)
        if action != "share":
            assert opens(judge, "gateway/users", action, anything) is allowed(judge, ["gateway/users"], action)


def is_refused(row: tuple[str, ...]) -> bool:
    """Rows that no file may hold: administration is not shared, and nobody shares what is everybody's."""
    _, _, owner, object, action, _, effect = row
    return action == "share" and (object == "gateway/users" or (effect == "allow" and owner == "*"))


def test_an_owner_and_a_name_that_rows_foresee_are_asked_about_as_they_are():
    policy = policy_of(f"p, {AMY.name}, main, {ANN}, custom/report, manage, , allow")
    assert list(policy.openings(AMY, MAIN, "custom/*", "manage", NOON)) == [Opening("custom/report", ANN, None)]
    assert list(policy.openings(AMY, MAIN, "custom/prompt:*", "manage", NOON)) == []
    assert list(policy.openings(AMY, "side", "custom/*", "manage", NOON)) == []
    assert list(policy.openings(Subject(ANN), MAIN, "custom/*", "manage", NOON)) == []


def test_whose_record_is_open_is_asked_about_somebody_whom_no_row_foresees_first():
    policy = policy_of("p, user:*, main, *, gateway/users, manage, , allow")
    assert next(policy.openings(AMY, MAIN, "gateway/users", "manage", NOON)) == Opening("gateway/users", SOMEBODY, ())


def test_a_grant_that_has_ended_opens_nothing():
    row = Rule(AMY.name, MAIN, "self", "gateway/users", "manage", "", Effect.ALLOW, Place("grant:1"), expires=NOON)
    policy = policy_of("").with_grants((row,), "2")
    for judge in (policy, policy.plainly()):
        assert len(list(judge.openings(AMY, MAIN, "gateway/users", "manage", NOON - 1))) == 1
        assert list(judge.openings(AMY, MAIN, "gateway/users", "manage", NOON)) == []


def test_so_many_roles_that_trying_them_all_would_take_long_take_no_longer():
    roles = ", ".join(f"'r{number}'" for number in range(200))
    policy = policy_of(f"p, user:*, main, *, gateway/users, manage, every(owner.roles, it in [{roles}]), allow")
    assert len(list(policy.openings(AMY, MAIN, "gateway/users", "manage", NOON))) < 100
