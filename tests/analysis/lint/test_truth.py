"""What lint says is so: held against the reference model over random worlds, by asking with and without."""

from itertools import product

from hypothesis import event, given
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.analysis.lint import Code, Finding, lint
from gateway.policy.terms import MAIN, SYSTEM, Access, Context, Effect, Link, Place
from tests.policy import reference
from tests.policy.builders import ALICE, BOB, NOW
from tests.policy.pools import (
    ACTIONS,
    CLAIMS,
    CLIENTS,
    CONNECTIONS,
    DEEP,
    DOMAINS,
    GROUPS,
    LIKELY,
    OBJECTS,
    OWNER_ROLES,
    OWNERS,
    ROLES,
    SUBJECTS,
    TOOLS,
)
from tests.policy.worlds import World, cases, environment, more, worlds

REMOVABLE = {
    Code.REDUNDANT_ROW,
    Code.ALWAYS_DENIED,
    Code.NEVER_ALLOWS,
    Code.NEVER_DENIES,
    Code.EXPIRED,
    Code.REDUNDANT_LINK,
    Code.LINK_GIVES_NOTHING,
    Code.ROLE_WITHOUT_ROWS,
}
OF_MANY = {Code.NEVER_ALLOWS, Code.NEVER_DENIES, Code.ROLE_WITHOUT_ROWS}
"""Told at the first row of several of which all the same is true."""


def numbered(world: World) -> World:
    """The rows of a world that files may hold, each at a line of its own."""
    world = world.for_files()
    rules = (replace(row, place=Place("rules.csv", line)) for line, row in enumerate(world.rules, start=1))
    links = (replace(row, place=Place("roles.csv", line)) for line, row in enumerate(world.links, start=1))
    return World(tuple(rules), tuple(links))


def found(world: World, *codes: Code) -> list[Finding]:
    result = lint(world.bundle(), now=NOW, grants=())
    return [each for each in result.findings if each.code in (codes or REMOVABLE)]


def places(findings: list[Finding]) -> set[Place]:
    return {place for each in findings for place in (each.place, *(each.others if each.code in OF_MANY else ()))}


def without(world: World, gone: set[Place]) -> World:
    rules = tuple(row for row in world.rules if row.place not in gone)
    return World(rules, tuple(row for row in world.links if row.place not in gone))


def from_now_on(access: Access) -> Access:
    """The question as the gateway asks it: the time is known, and not past."""
    env = access.context.env
    return replace(
        access, context=replace(access.context, env=environment(max(env.get("now", 0), NOW), env["address"]))
    )


@more(10)
@given(cases())
def test_what_may_be_removed_changes_no_answer_when_all_of_it_is(case):
    world, talk = numbered(case[0]), case[1]
    findings = found(world)
    for each in findings:
        event(each.code.value)
    rest = without(world, places(findings))
    for access in map(from_now_on, talk):
        assert world.allows(access) == rest.allows(access), (access, [str(each) for each in findings])


PLAIN = tuple(
    Access(
        subject, domain, owner, object, action, Context(args=args, groups=frozenset(GROUPS), env=environment(NOW, "x"))
    )
    for subject, domain, owner, object, action, args in product(
        SUBJECTS[:3], DOMAINS[:2], (*OWNERS[:1], SYSTEM), OBJECTS, ACTIONS[:5], LIKELY[:3]
    )
)


@more(3)
@given(worlds())
def test_each_row_that_may_be_removed_changes_no_answer_alone(world):
    world = numbered(world)
    for finding in found(world, Code.REDUNDANT_ROW, Code.ALWAYS_DENIED)[:2]:
        rest = without(world, {finding.place})
        row = next(each for each in world.rules if each.place == finding.place)
        for access in PLAIN:
            if reference.speaks(row, world.rules, world.links, access):
                assert world.allows(access) == rest.allows(access), (str(finding), access)


@more(3)
@given(worlds(), st.booleans())
def test_a_role_that_is_never_given_is_in_nobodys_names(world, as_grants):
    world = numbered(world)
    grants = world.links if as_grants else ()
    bundle = World(world.rules, () if as_grants else world.links).bundle()
    findings = lint(bundle, now=NOW, grants=grants).findings
    never = {each.sentence.split("`")[1] for each in findings if each.code is Code.ROLE_NEVER_GIVEN}
    assert never <= {*ROLES, *DEEP}
    policy = world.policy()
    for subject, domain in product(SUBJECTS, DOMAINS):
        assert not never & policy.known_as(subject, domain, NOW, frozenset(GROUPS))


@more(3)
@given(worlds())
def test_a_role_that_a_row_names_and_nobody_has_is_told(world):
    world = numbered(world)
    never = {each.sentence.split("`")[1] for each in found(world, Code.ROLE_NEVER_GIVEN)}
    policy = world.policy()
    had = {
        name
        for subject, domain in product((*SUBJECTS, *GROUPS), (*DOMAINS, "*"))
        for name in policy.known_as(subject, domain, NOW, frozenset(GROUPS))
    }
    named = {row.subject for row in world.rules if row.expires is None or row.expires > NOW}
    deep = {DEEP[-1]}  # whom nobody has because it is too far is told otherwise
    assert {name for name in named if name.startswith("role:")} - had - deep <= never


@more(3)
@given(worlds())
def test_where_an_overlap_is_told_both_rows_speak_of_one_question(world):
    world = numbered(world)
    for finding in found(world, Code.OVERLAP)[:2]:
        rows = {each.place: each for each in world.rules}
        deny, allow = rows[finding.place], rows[finding.others[0]]
        assert (deny.effect, allow.effect) == (Effect.DENY, Effect.ALLOW)
        known = {*ROLES, *DEEP} & {deny.subject, allow.subject}
        links = world.links + tuple(Link("user:someone@example.com", role, "*", Place("x")) for role in known)
        asked = product(
            (*SUBJECTS, "user:someone@example.com"),
            (*DOMAINS, "s3"),
            (*OWNERS, "self"),
            (*OBJECTS, "*"),
            (*ACTIONS, "act-as"),
        )
        assert any(
            all(reference.speaks(row, world.rules, links, access) for row in (deny, allow))
            for access in (
                Access(subject, domain, subject if owner == "self" else owner, object, action, PLAIN[0].context)
                for subject, domain, owner, object, action in asked
            )
        ), str(finding)


@more(3)
@given(worlds())
def test_whoever_can_change_the_policy_is_on_a_path(world):
    world = numbered(world)
    told = {each.sentence.split("`")[1] for each in found(world, Code.PATH_TO_POLICY)}
    contexts = [
        Context(args=args, claims=claims, owner_roles=roles, groups=groups, env=environment(NOW, "192.0.2.1"))
        for args, claims, roles, groups in product(
            LIKELY[1:3], CLAIMS[1:3], OWNER_ROLES[1:3], (frozenset(), frozenset(GROUPS))
        )
    ]
    for user, context in product((ALICE, BOB), contexts):
        full = replace(context, tool=TOOLS[0], client=CLIENTS[0], connection=CONNECTIONS[0])
        access = Access(user, MAIN, SYSTEM, "gateway/policy", "manage", full)
        if world.allows(access):
            assert told & {user, "*", "user:*", *(full.groups or ())}


@more(3)
@given(worlds(), st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_places_only(world, random):
    shuffled = list(world.rules)
    random.shuffle(shuffled)
    one, other = (
        lint(World(tuple(rows), world.links).bundle(), now=NOW, grants=()) for rows in (world.rules, shuffled)
    )
    told = {Code.BROAD_ALLOW, Code.DENY_WITHOUT_ID, Code.ALWAYS_DENIED, Code.EXPIRED, Code.DENY_OF_SELF}
    assert sorted(each.code for each in one.findings if each.code in told) == sorted(
        each.code for each in other.findings if each.code in told
    )
