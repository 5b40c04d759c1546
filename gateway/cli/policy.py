"""``ostiary policy``: check a folder, ask the policy a question, put a folder in force."""

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from gateway.cli.operation import OPERATOR, Given, now_ms, operation
from gateway.cli.output import Failure, failed, show_json
from gateway.cli.question import facts_of, values_of
from gateway.folder_mode import read_valid
from gateway.manage.policies import LockedOut, apply_policy, policy_in_force
from gateway.pipeline.chain import environment
from gateway.policy.bundle import Bundle
from gateway.policy.engine import Policy, grant_rows
from gateway.policy.explain import Explanation
from gateway.policy.model import is_subject
from gateway.policy.rows import rule_sentences
from gateway.policy.terms import MAIN, Access, Context, Effect, Link, Rule
from gateway.records import PolicyHead
from gateway.settings import Mode, Settings

_json = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
_folder = click.Path(path_type=Path, exists=True, file_okay=False)


@click.group()
def policy() -> None:
    """What the policy says, and changing it."""


@policy.command()
@click.argument("folder", required=False, type=_folder, metavar="[DIR]")
@_json
@click.pass_obj
def validate(given: Given, *, folder: Path | None, as_json: bool) -> None:
    """Check the policy in DIR (default: the folder that the settings name) and tell every problem."""
    chosen = folder or given.settings().policy_folder
    found = read_valid(chosen)
    problems = [] if isinstance(found, Bundle) else found
    if as_json:
        show_json([{"file": each.place.file, "line": each.place.line, "problem": each.sentence} for each in problems])
    if not isinstance(found, Bundle):
        raise Failure(f"{chosen}: not valid") if as_json else failed(problems, f"{chosen}: not valid")
    if not as_json:
        click.echo(f"{chosen}: valid, {_size(found)}")


@policy.command()
@click.argument("folder", type=_folder, metavar="DIR")
@click.option("--why", required=True, help="The reason, kept in the history.")
@click.pass_obj
def apply(given: Given, *, folder: Path, why: str) -> None:
    """Put the policy in DIR in force, on every node."""
    settings = given.settings()
    found = read_valid(folder)
    if not isinstance(found, Bundle):
        raise failed(found, f"{folder}: not applied")

    async def work(bundle: Bundle) -> tuple[int, PolicyHead]:
        entry = {"folder": folder.name, "why": why}
        async with operation(settings, "policy.apply", "gateway/policy", "manage", **entry) as desk:
            before = await desk.store.bundles.head()
            version = before.version if before else 0
            return version, await apply_policy(
                desk.store, bundle, author=OPERATOR, why=why, now=desk.now, expected=version
            )

    try:
        before, head = asyncio.run(work(found))
    except LockedOut as locked:
        raise Failure(f"{folder}: not applied: {locked}, such as `ostiary users give-role EMAIL security`") from None
    if head.version == before:
        click.echo(f"version {before} is this policy already; nothing to apply")
        return
    click.echo(f"version {head.version} is in force, {_size(found)}")
    if settings.mode is Mode.DEVELOPMENT:
        click.echo(f"development mode: the next edit of {settings.policy_folder.name}/ replaces it")


@policy.command()
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
@click.option(
    "--from", "folder", type=_folder, metavar="DIR", help="Ask the policy in DIR instead of the one in force."
)
@_json
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
    judging = asyncio.run(_policy(settings, folder))
    owner = subject if own == "self" else own
    context = Context(
        args=values_of(args),
        claims=values_of(claims),
        tool=facts_of(object, settings.upstreams),
        env=environment(now, offset=0, address=address),
        owner_roles=tuple(sorted(judging.roles_of(owner, MAIN, now))),
    )
    access = Access(subject, domain, owner, object, action, context)
    explanation = judging.explain(access)
    if as_json:
        show_json(_plain(explanation))
        return
    for line in _told(access, explanation):
        click.echo(line)


async def _policy(settings: Settings, folder: Path | None) -> Policy:
    """The policy to ask: in force with its grants, or that of a folder with the same grants."""
    async with operation(settings, "policy.explain", "gateway/policy", "inspect") as desk:
        in_force = await policy_in_force(desk.store)
        changes = await desk.store.changes(0)
        rows = [grant_rows(grant) for grant in changes.grants]
        if folder is None and in_force is not None:
            return Policy.build(in_force.bundle, rows, f"{in_force.head.version}.{changes.seq}")
        return _of_folder(settings, folder, rows)


def _of_folder(settings: Settings, folder: Path | None, rows: Sequence[Rule | Link]) -> Policy:
    """The policy of a folder; without one, that of development mode, which the first start would apply."""
    if folder is None and settings.mode is Mode.PRODUCTION:
        raise Failure("no policy is in force, so everything is denied; `ostiary policy apply DIR` applies one")
    chosen = folder or settings.policy_folder
    found = read_valid(chosen)
    if not isinstance(found, Bundle):
        raise failed(found, f"{chosen}: not valid")
    return Policy.build(found, rows, f"{chosen.resolve().name}/")


def _size(bundle: Bundle) -> str:
    return f"{len(bundle.rules)} rules, {len(bundle.links)} links"


def _told(access: Access, explanation: Explanation) -> Iterator[str]:
    """The explanation for people, line by line."""
    decision = explanation.decision
    verdict = "allowed" if decision.allowed else "denied"
    yield f"{verdict}: {access.subject} {access.action} {access.object} in {access.domain}, of {access.owner}"
    yield f"reason {decision.reason}, policy {decision.version}"
    if decision.rule is not None:
        yield f"decided by {_row(decision.rule)}"
    for spoke in explanation.spoke:
        if spoke.rule is not decision.rule:
            effect = "applies as well" if spoke.applies else "does not apply: its condition is not met"
            yield f"{_row(spoke.rule)} {effect}"
    if explanation.nearest is not None:
        yield f"nearest {_row(explanation.nearest.rule)}: {explanation.nearest.sentence}"


def _row(rule: Rule) -> str:
    columns = (rule.subject, rule.domain, rule.owner, rule.object, rule.action, rule.when, rule.effect)
    return f"{rule.place}: `p, {', '.join(columns)}`"


def _plain(explanation: Explanation) -> dict[str, object]:
    decision, nearest = explanation.decision, explanation.nearest
    return {
        "allowed": decision.allowed,
        "reason": decision.reason.value,
        "policy": decision.version,
        "rule": None if decision.rule is None else _row(decision.rule),
        "spoke": [
            {"rule": _row(spoke.rule), "applies": spoke.applies, "condition": spoke.outcome, "through": spoke.path}
            for spoke in explanation.spoke
        ],
        "nearest": None
        if nearest is None
        else {"rule": _row(nearest.rule), "part": nearest.part, "why": nearest.sentence},
    }
