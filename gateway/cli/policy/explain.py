"""``ostiary policy explain``: one question, its answer, and every row that had a word in it."""

from collections.abc import Iterator
from pathlib import Path

import click

from gateway.cli.inventory import tools_option
from gateway.cli.operation import Given, now_ms
from gateway.cli.output import Failure, show_json
from gateway.cli.policy.asking import from_option, json_option, policy_and_inventory, row_text
from gateway.cli.question import facts_of, values_of
from gateway.manage.rulebook_told import explanation_told
from gateway.pipeline.chain import environment
from gateway.policy.explain import Explanation, Spoke
from gateway.policy.model import is_subject
from gateway.policy.rows import rule_sentences
from gateway.policy.terms import MAIN, Access, Context, Effect


@click.command()
@click.argument("subject")
@click.argument("object")
@click.argument("action")
@click.option("--domain", default=MAIN, show_default=True, help="`main` or a server's id.")
@click.option(
    "--own", default="self", show_default=True, help="Whose connection or record: `self`, `system` or a subject."
)
@click.option(
    "--arg", "args", multiple=True, metavar="NAME=VALUE", help="An argument of the call; `a.b=1` goes deeper."
)
@click.option("--claim", "claims", multiple=True, metavar="NAME=VALUE", help="A verified claim of SUBJECT.")
@click.option("--address", default="", help="The address the call comes from.")
@tools_option(None)
@from_option
@json_option
@click.pass_obj
def explain(
    given: Given,
    *,
    subject: str,
    object: str,
    action: str,
    domain: str,
    own: str,
    args: tuple[str, ...],
    claims: tuple[str, ...],
    address: str,
    tools: str | None,
    folder: Path | None,
    as_json: bool,
) -> None:
    """Tell whether SUBJECT may do ACTION with OBJECT, and which rows say so."""
    if not is_subject(subject):
        raise Failure(f"`{subject}` is not a subject; write `user:EMAIL`, `end:SERVER/SUB` or `server:ID`")
    if sentences := rule_sentences((subject, domain, own, object, action, "", Effect.DENY.value)):
        raise Failure("; ".join(sentences))  # a question that no row could ever answer
    settings = given.settings()
    now = now_ms()
    judging, inventory = policy_and_inventory(settings, folder, tools, method="policy.explain")
    thing = next((each for each in inventory.things.get(domain, ()) if each.object == object), None)
    owner = subject if own == "self" else own
    context = Context(
        args=values_of(args),
        claims=values_of(claims),
        tool=thing.tool if thing else facts_of(object, settings),
        env=environment(now, offset=0, address=address),
        owner_roles=tuple(sorted(judging.roles_of(owner, MAIN, now))),
    )
    access = Access(subject, domain, owner, object, action, context)
    explanation = judging.explain(access)
    if as_json:
        show_json(explanation_told(explanation))
        return
    for line in _told(access, explanation):
        click.echo(line)


def _told(access: Access, explanation: Explanation) -> Iterator[str]:
    """The explanation for people, line by line."""
    decision = explanation.decision
    verdict = "allowed" if decision.allowed else "denied"
    yield f"{verdict}: {access.subject} {access.action} {access.object} in {access.domain}, of {access.owner}"
    yield f"reason {decision.reason}, policy {decision.version}"
    yield from (f"decided by {_row(spoke)}" for spoke in explanation.spoke if spoke.rule is decision.rule)
    yield from (f"{_row(spoke)} {_effect(spoke)}" for spoke in explanation.spoke if spoke.rule is not decision.rule)
    if explanation.nearest is not None:
        yield f"nearest {row_text(explanation.nearest.rule)}: {explanation.nearest.sentence}"


def _row(spoke: Spoke) -> str:
    """A row with the way from the subject to the name that it is written for."""
    return row_text(spoke.rule) + (f" (through {' > '.join(spoke.path)})" if len(spoke.path) > 1 else "")


def _effect(spoke: Spoke) -> str:
    effect = "applies as well" if spoke.applies else "does not apply"
    if spoke.outcome is None:
        return f"{effect}: its condition cannot be judged"
    return effect if spoke.applies else f"{effect}: its condition is not met"
