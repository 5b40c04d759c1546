"""Stock Casbin as a judge: its own loop, evaluator, effect and role manager over every row.

The functions that the model's matcher names are those of the reference; nothing of our engine is used.
"""

import casbin

from gateway.policy.floor import ROWS
from tests.policy import reference
from tests.policy.builders import MODEL
from tests.policy.condition_strategies import scope_of, truth
from tests.policy.pools import MEANING


class Rows(casbin.persist.Adapter):
    def __init__(self, rules):
        self.rules = rules

    def load_policy(self, model):
        for rule in self.rules:
            row = [rule.subject, rule.domain, rule.owner, rule.object, rule.action, rule.when, rule.effect.value]
            model["p"]["p"].policy.append(row)


def roles_of(links, now, *, deny):
    manager = casbin.rbac.default_role_manager.DomainManager(reference.HOPS + 1)  # counts names, not links
    manager.add_domain_matching_func(lambda asked, row: row in ("*", asked))
    for link in links:
        if reference.lives(link.expires, now, deny=deny):
            manager.add_link(link.member, link.role, link.domain)
    return manager


def stock(world, access) -> bool:
    """What ``casbin.Enforcer`` answers."""
    now = reference.moment(access)
    managers = {deny: roles_of(world.links, now, deny=deny) for deny in (False, True)}
    spoken = {row.subject for row in world.rules} | {link.member for link in world.links}
    every = [name for name in spoken if name.startswith("group:")]

    def sub_match(subject, domain, ctx, row, effect):
        deny = effect == "deny"
        groups = ctx.groups if ctx.groups is not None else every if deny else ()
        has = managers[deny].has_link
        known = (subject, *(name for name in groups if name.startswith("group:")))
        return reference.crowd(subject, row) or any(has(name, row, domain) for name in known)

    def cond(when, ctx, effect):
        outcome = truth(MEANING[when], scope_of(ctx))
        return outcome is not False if effect == "deny" else outcome is True

    model = casbin.Model()
    model.load_model_from_text(MODEL)
    living = [
        rule for rule in (*ROWS, *world.rules) if reference.lives(rule.expires, now, deny=rule.effect.value == "deny")
    ]
    enforcer = casbin.Enforcer(model, Rows(living))
    enforcer.add_function("subMatch", sub_match)
    enforcer.add_function("domMatch", reference.domain_matches)
    enforcer.add_function("ownMatch", reference.owner_matches)
    enforcer.add_function("objMatch", lambda asked, row, eft: reference.object_matches(asked, row, deny=eft == "deny"))
    enforcer.add_function("actMatch", lambda asked, row, eft: reference.action_matches(asked, row, deny=eft == "deny"))
    enforcer.add_function("cond", cond)
    return enforcer.enforce(access.subject, access.domain, access.owner, access.object, access.action, access.context)
