"""What is odd in a definition."""

import pytest

from connectors.definition.reading import read_definition
from connectors.definition.remarks import MANY, remarks, stale

TODAY = "2026-11"
HEAD = """\
id: shop
title: Shop
checked: "2026-11"
auth: {kind: bearer}
inputs: {token: {label: Token, secret: true}}
api: {base_url: "https://api.shop.example", allowed_hosts: [api.shop.example], auth: {Authorization: "Bearer {token}"}}
"""


def action(id, request, risk, more=""):
    return f"  {id}: {{title: T, description: D, risk: {risk}, request: {request}{more}}}\n"


def definition(*actions, head=HEAD):
    return read_definition(head + ("actions:\n" + "".join(actions) if actions else ""), "shop.yaml")


@pytest.mark.parametrize(
    ("request_", "risk", "odd"),
    [
        ("GET /a", "read", False),
        ("GET /a", "write", True),
        ("GET /a", "destructive", True),
        ("POST /a", "read", False),
        ("POST /a", "write", False),
        ("PUT /a", "read", True),
        ("PATCH /a", "read", True),
        ("PUT /a", "write", False),
        ("DELETE /a", "destructive", False),
        ("DELETE /a", "write", True),
    ],
)
def test_a_risk_that_does_not_go_with_its_method_is_odd(request_, risk, odd):
    told = list(remarks(definition(action("a", request_, risk)), TODAY))
    assert bool(told) == odd
    assert all(each.startswith(f"action `a`: `risk: {risk}` for a {request_.split()[0]}") for each in told)


@pytest.mark.parametrize(
    ("checked", "today", "said"),
    [
        ("2026-11", "2026-11", ""),
        ("2025-11", "2026-11", ""),
        ("2025-10", "2026-11", "was last compared with the documents of the platform in 2025-10"),
        ("2026-12", "2026-11", "lies in the future"),
        ("2025-12", "2026-01", ""),
        ("", "2026-11", "no `checked:"),
    ],
)
def test_a_comparison_with_the_platform_grows_old(checked, today, said):
    line = f'checked: "{checked}"\n' if checked else ""
    told = stale(definition(head=HEAD.replace('checked: "2026-11"\n', line)), today)
    assert said in told
    assert bool(told) == bool(said)


def test_too_many_actions_and_too_large_ones_are_odd():
    many = definition(*(action(f"a{n}", "GET /a", "read") for n in range(MANY + 1)))
    assert list(remarks(many, TODAY)) == [
        f'{MANY + 1} actions are many for a model; use it with `tools = "meta"`, or keep fewer'
    ]
    words = ", ".join(f'"{"x" * 60}{n}"' for n in range(500))
    (told,) = remarks(definition(action("a", "GET /a", "read", f", query: {{b: {{enum: [{words}]}}}}")), TODAY)
    assert told.startswith("action `a`: it is ")
    assert told.endswith(" bytes large as a tool; cut its schemas")


def test_accounts_that_cannot_be_told_apart_are_odd():
    oauth = """\
id: shop
title: Shop
checked: "2026-11"
auth: {kind: oauth2, authorize_url: "https://shop.example/a", token_url: "https://shop.example/t"}
api: {base_url: "https://shop.example", allowed_hosts: [shop.example]}
"""
    (told,) = remarks(definition(head=oauth), TODAY)
    assert told.startswith("no `identity` tells accounts apart")
    assert not list(
        remarks(definition(head=oauth + 'identity: {url: "https://shop.example/me", id: id, label: "{name}"}\n'), TODAY)
    )
