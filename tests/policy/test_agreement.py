"""Three answers to each question: a definition of ten lines, stock Casbin over all rows, and our engine."""

from dataclasses import replace

import casbin
from hypothesis import given
from hypothesis import strategies as st

from gateway.policy.conditions import parse
from gateway.policy.floor import ROWS
from gateway.policy.model import act_match, dom_match, obj_match, own_match
from gateway.policy.terms import Access, Effect, Reason
from tests.policy.builders import MODEL
from tests.policy.worlds import ARGUMENTS, CONDITIONS, GROUPS, MISSING, World, cases, listings, rules

LADDERS = (["read", "write"], ["inspect", "revoke", "manage"])


# the definition: shares no code with the engine


def defined(world: World, access: Access) -> bool:
    """Floor aside: some allow matches, and no deny does."""
    ctx, gateway = access.context, access.object.startswith("gateway/")
    if gateway and (access.domain != "main" or not access.subject.startswith("user:") or access.action == "share"):
        return False
    now, effects = ctx.env.get("now"), set()
    for rule in world.rules:
        deny = rule.effect == "deny"
        known_until = rule.expires is None or (deny if now is None else now < rule.expires)
        names = known_as(world, access, deny)
        subject = rule.subject in names or (
            rule.subject[-2:] in (":*", "/*") and access.subject.startswith(rule.subject[:-1])
        )
        own = rule.owner in ("*", access.owner) or (rule.owner == "self" and access.owner == access.subject)
        object = rule.object == access.object or (rule.object[-1] == "*" and access.object.startswith(rule.object[:-1]))
        reach = deny or rule.object != "*" or not gateway
        outcome = CONDITIONS[rule.when](lambda key, c=ctx: c.args.get(key, MISSING), ctx.claims, ctx.tool)
        met = outcome is not False if deny else outcome is True
        if (
            known_until
            and subject
            and rule.domain in ("*", access.domain)
            and own
            and object
            and reach
            and met
            and steps(rule, access, deny)
        ):
            effects.add(rule.effect)
    return effects == {"allow"}


def steps(rule, access, deny):
    for ladder in LADDERS:
        if rule.action in ladder and access.action in ladder:
            higher = ladder.index(access.action) - ladder.index(rule.action)
            return higher >= 0 if deny else higher <= 0
    return rule.action == access.action or (deny and rule.action == "*")


def known_as(world, access, deny):
    ctx, now = access.context, access.context.env.get("now")
    groups = ctx.groups if ctx.groups is not None else (GROUPS if deny else ())
    names = {"*", access.subject, *groups}
    for _ in range(len(world.links)):
        for link in world.links:
            lives = link.expires is None or (deny if now is None else now < link.expires)
            if lives and link.member in names and link.domain in ("*", access.domain):
                names.add(link.role)
    return names


# stock Casbin: its own loop, evaluator, effect and role manager over every row


class Rows(casbin.persist.Adapter):
    def __init__(self, rules, links):
        self.rules, self.links = rules, links

    def load_policy(self, model):
        for rule in self.rules:
            row = [rule.subject, rule.domain, rule.owner, rule.object, rule.action, rule.when, rule.effect.value]
            model["p"]["p"].policy.append(row)
        for link in self.links:
            model["g"]["g"].policy.append([link.member, link.role, link.domain])


def stock(world: World, access: Access) -> bool:
    now = access.context.env.get("now")
    lives = lambda row, deny: row.expires is None or (deny if now is None else now < row.expires)  # noqa: E731
    managers = {}
    for deny in (False, True):
        manager = casbin.rbac.default_role_manager.DomainManager(10)
        manager.add_domain_matching_func(lambda asked, row: row in ("*", asked))
        for link in world.links:
            if lives(link, deny):
                manager.add_link(link.member, link.role, link.domain)
        managers[deny] = manager

    def sub_match(subject, domain, ctx, row, effect):
        if row[-1] == "*":
            return subject.startswith(row[:-1])
        deny = effect == "deny"
        names = (subject, *(ctx.groups if ctx.groups is not None else GROUPS if deny else ()))
        return any(managers[deny].has_link(name, row, domain) for name in names)

    model = casbin.Model()
    model.load_model_from_text(MODEL)
    living = [rule for rule in (*ROWS, *world.rules) if lives(rule, rule.effect is Effect.DENY)]
    enforcer = casbin.Enforcer(model, Rows(living, ()))
    enforcer.add_function("subMatch", sub_match)
    enforcer.add_function("domMatch", dom_match)
    enforcer.add_function("ownMatch", own_match)
    enforcer.add_function("objMatch", obj_match)
    enforcer.add_function("actMatch", act_match)
    conditions = {rule.when: parse(rule.when) for rule in living}
    enforcer.add_function(
        "cond",
        lambda when, ctx, effect: conditions[when].bites(ctx) if effect == "deny" else conditions[when].holds(ctx),
    )
    return enforcer.enforce(access.subject, access.domain, access.owner, access.object, access.action, access.context)


@given(cases(), st.integers(0, 3))
def test_definition_casbin_and_engine_agree(case, split):
    world, asked = case
    policy = world.policy(split)
    for access in asked:
        decision = policy.decide((access,))
        assert decision.reason is not Reason.FAULT
        assert decision.allowed == defined(world, access) == stock(world, access), access
    for chain in (asked[:2], asked[2:5], asked):
        assert policy.decide(tuple(chain)).allowed == all(defined(world, access) for access in chain)


@given(cases(), st.integers(0, 3))
def test_the_deciding_rule_is_the_first_that_counts(case, split):
    world, asked = case
    policy = world.policy(split)
    for access in asked:
        decision, explained = policy.decide((access,)), policy.explain(access)
        assert explained.decision == decision
        counted = [each.rule for each in explained.spoke if each.applies]
        denies = [rule for rule in counted if rule.effect is Effect.DENY]
        assert decision.allowed == bool(counted and not denies)
        assert decision.rule == next(iter(denies or counted), None)


@given(cases())
def test_the_rows_that_spoke_give_the_same_answer_alone(case):
    world, asked = case
    policy = world.policy()
    for access in asked:
        spoken = tuple(each.rule for each in policy.explain(access).spoke if each.rule.place.file != "builtin")
        alone = replace(world, rules=spoken).policy()
        assert alone.decide((access,)).allowed == policy.decide((access,)).allowed


@given(listings(), st.integers(0, 3))
def test_a_tool_is_listed_exactly_when_some_arguments_are_allowed(listing, split):
    world, chain = listing
    policy = world.policy(split)

    def with_arguments(args):
        return tuple(replace(access, context=replace(access.context, args=args)) for access in chain)

    assert policy.possible(chain) == any(policy.decide(with_arguments(args)).allowed for args in ARGUMENTS)


@given(cases(), rules((Effect.DENY,)))
def test_a_deny_never_opens(case, deny):
    world, asked = case
    before, after = world.policy(), replace(world, rules=(*world.rules, deny)).policy()
    assert all(after.decide((access,)).allowed <= before.decide((access,)).allowed for access in asked)


@given(cases(), rules((Effect.ALLOW,)))
def test_an_allow_never_closes(case, allow):
    world, asked = case
    before, after = world.policy(), replace(world, rules=(*world.rules, allow)).policy()
    assert all(after.decide((access,)).allowed >= before.decide((access,)).allowed for access in asked)


@given(cases(), st.randoms(use_true_random=False))
def test_order_and_repetition_of_rows_do_not_matter(case, random):
    world, asked = case
    rows, links = list(world.rules) * 2, list(world.links) * 2
    random.shuffle(rows)
    random.shuffle(links)
    before, after = world.policy(), World(tuple(rows), tuple(links)).policy(random.randrange(4))
    assert all(after.decide((access,)).allowed == before.decide((access,)).allowed for access in asked)


@given(cases())
def test_what_was_asked_before_changes_no_answer(case):
    world, asked = case
    forwards, backwards = world.policy(), world.policy()
    answers = [forwards.decide((access,)).allowed for access in asked]
    assert [backwards.decide((access,)).allowed for access in reversed(asked)] == answers[::-1]
    assert [forwards.possible((access,)) for access in asked] == answers
