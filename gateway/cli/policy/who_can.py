"""``ostiary policy who-can`` and ``what-can``: who may do one thing, and what one subject may do."""

from collections.abc import Iterable
from pathlib import Path

import click

from gateway.analysis.rights import told
from gateway.analysis.who import Ability, Holder, Who
from gateway.analysis.wording import who_text, whose_text
from gateway.cli.inventory import LIVE, tools_option
from gateway.cli.operation import Given, now_ms
from gateway.cli.output import Failure, show_json, show_table
from gateway.cli.policy.asking import from_option, json_option, policy_and_inventory
from gateway.manage.rulebook_told import ability_told, holder_told
from gateway.policy.rows import rule_sentences
from gateway.policy.terms import MAIN, Effect, Rule

NAMED = 10
"""Known subjects that are named one by one; more are counted, and named in JSON."""


@click.command()
@click.argument("object")
@click.argument("action")
@click.option("--domain", default=MAIN, show_default=True, help="`main` or a server's id.")
@click.option(
    "--own", default="self", show_default=True, help="Whose: `self`, `system`, a subject, or `*` for anybody else's."
)
@tools_option(LIVE)
@from_option
@json_option
@click.pass_obj
def who_can(
    given: Given, *, object: str, action: str, domain: str, own: str, tools: str, folder: Path | None, as_json: bool
) -> None:
    """Tell exactly who may do ACTION with OBJECT, by which rows and under which conditions."""
    if sentences := rule_sentences(("*", domain, own, object, action, "", Effect.DENY.value)):
        raise Failure("; ".join(sentences))
    policy, inventory = policy_and_inventory(given.settings(), folder, tools, method="policy.who-can")
    holders = Who(policy, inventory, now_ms()).can(object, action, domain=domain, owner=own)
    if as_json:
        show_json([holder_told(each) for each in holders])
    elif holders:
        show_table(("who", "may", "rows"), ((_who(each), told(each.right), _rows(each.rules)) for each in holders))
    else:
        click.echo("nobody")


@click.command()
@click.argument("subject")
@click.option("--domain", help="`main` or a server's id; all of them without.")
@tools_option(LIVE)
@from_option
@json_option
@click.pass_obj
def what_can(given: Given, *, subject: str, domain: str | None, tools: str, folder: Path | None, as_json: bool) -> None:
    """Tell exactly what SUBJECT may do. A role, a group or a crowd (`user:*`) stands for somebody new in it."""
    policy, inventory = policy_and_inventory(given.settings(), folder, tools, method="policy.what-can")
    who = Who(policy, inventory, now_ms())
    if not who.knows(subject):
        raise Failure(f"`{subject}` has no account and stands in no row; for whoever is new, ask about `user:*`")
    domains = who.domains if domain is None else (domain,)
    abilities = [each for asked in domains for each in who.may(subject, domain=asked)]
    if as_json:
        show_json([ability_told(each) for each in abilities])
    elif abilities:
        show_table(("where", "what", "whose", "may", "rows"), map(_cells, abilities))
    else:
        click.echo("nothing")


def _who(holder: Holder) -> str:
    return who_text(holder.parties, NAMED)


def _rows(rules: Iterable[Rule]) -> str:
    return ", ".join(str(rule.place) for rule in rules)


def _cells(ability: Ability) -> tuple[str, ...]:
    what = f"{ability.action} {ability.object}"
    return ability.domain, what, whose_text(ability.owner), told(ability.right), _rows(ability.rules)
