"""From a call to the accesses that must all be allowed for it."""

from dataclasses import replace

import pytest

from gateway.pipeline.chain import chain_of, environment, inspection
from gateway.policy.terms import MAIN, SYSTEM, Subject
from tests.fakes import tool

AMY = Subject("user:amy@example.com", groups=frozenset({"group:corp/a"}), claims={"amr": "mfa"})
LENA, OTTO = "user:lena@example.com", "user:otto@example.com"
ITEM = replace(tool("send"), connector="slack")
ENV = environment(1_000, offset=60, address="203.0.113.7")


def asked(**more):
    given = {"domain": "side", "owner": AMY.name, "args": {"n": 1}, "env": ENV, **more}
    return chain_of(ITEM, "slack/send", AMY, **given)


@pytest.mark.parametrize("owner", [AMY.name, SYSTEM])
def test_on_ones_own_or_the_operators_connection_only_the_caller_is_asked_about(owner: str):
    (access,) = asked(owner=owner)
    assert (access.subject, access.domain, access.owner) == (AMY.name, "side", owner)
    assert (access.object, access.action) == ("slack/send", "write")
    context = access.context
    assert (context.args, context.claims, context.groups, context.tool) == (
        {"n": 1},
        AMY.claims,
        AMY.groups,
        ITEM.facts,
    )
    assert context.env == {"now": 1_000, "offset": 60, "address": "203.0.113.7"}
    assert context.client == {}


def test_a_lender_is_asked_about_for_himself_in_main_and_absent():
    caller, lender = asked(owner=LENA)
    assert (caller.subject, caller.owner) == (AMY.name, LENA)
    assert (lender.subject, lender.domain, lender.owner, lender.object) == (LENA, MAIN, LENA, "slack/send")
    assert (lender.context.args, lender.context.claims, lender.context.groups) == ({"n": 1}, {}, None)


def test_the_owner_of_the_server_is_asked_about_too_but_nobody_twice():
    assert [access.subject for access in asked(server_owner=OTTO)] == [AMY.name, OTTO]
    assert [access.subject for access in asked(owner=LENA, server_owner=OTTO)] == [AMY.name, LENA, OTTO]
    assert [access.subject for access in asked(owner=OTTO, server_owner=OTTO)] == [AMY.name, OTTO]


def test_the_owner_of_a_server_who_calls_on_it_himself_is_not_absent():
    _, owner = asked(server_owner=AMY.name)
    assert (owner.domain, owner.context.claims, owner.context.groups) == (MAIN, AMY.claims, AMY.groups)


def test_unknown_arguments_stay_unknown_for_everybody():
    assert [access.context.args for access in asked(owner=LENA, server_owner=OTTO, args=None)] == [None] * 3


def test_inspecting_is_asked_in_main_of_what_is_the_operators():
    (access,) = inspection(AMY, ENV)
    assert (access.domain, access.owner, access.object, access.action) == (MAIN, SYSTEM, "gateway/policy", "inspect")
