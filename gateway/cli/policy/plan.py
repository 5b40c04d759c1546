"""``ostiary policy plan``: what a folder would change for whom, before it is applied."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click

from gateway.analysis.inventory import Inventory
from gateway.analysis.plan import Plan
from gateway.analysis.plan import plan as planned
from gateway.analysis.plan.text import COLUMNS, lines, markdown, plain, summary
from gateway.cli.inventory import LIVE, inventory_of, tools_option
from gateway.cli.operation import Given, now_ms, operation
from gateway.cli.output import Failure, progress, show_json, show_table
from gateway.cli.policy.asking import folder_path, json_option, refuse_untrusted, valid_bundle
from gateway.manage.policies import policy_in_force, policy_of
from gateway.manage.proving import living
from gateway.policy.bundle import Bundle
from gateway.policy.engine import Policy
from gateway.servers.rows import all_grants
from gateway.settings import Settings
from gateway.store.base import NotFound, Store

MEASURES: Final = ("cells", "users")


class BeyondBudget(Failure):
    """Rights widen further than the budget allows."""

    exit_code = 3


@dataclass(frozen=True, slots=True)
class Compared:
    """A policy of the store (version 0: none was applied) and that of a folder, with the same grants."""

    version: int
    old: Policy
    new: Policy
    inventory: Inventory


class Budget(click.ParamType[tuple[str, int]]):
    """``N`` or ``cells=N``, ``users=N``."""

    name = "N|users=N"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, int]:
        measure, equals, count = value.rpartition("=")
        measure = measure if equals else MEASURES[0]
        if measure not in MEASURES or not (count.isascii() and count.isdecimal()):
            self.fail(f"`{value}` is not a number of cells, `cells=N` or `users=N`", param, ctx)
        return measure, int(count)


@click.command()
@click.argument("folder", type=folder_path, metavar="DIR")
@click.option("--against", type=click.IntRange(min=1), metavar="VERSION", help="Compare with this version.")
@tools_option(LIVE)
@click.option(
    "--budget",
    "budgets",
    type=Budget(),
    multiple=True,
    help="Fail with exit code 3 when rights widen in more cells, or for more users.",
)
@click.option("--markdown", "as_markdown", is_flag=True, help="Print Markdown for a pull request.")
@json_option
@click.pass_obj
def plan(
    given: Given,
    *,
    folder: Path,
    against: int | None,
    tools: str,
    budgets: tuple[tuple[str, int], ...],
    as_markdown: bool,
    as_json: bool,
) -> None:
    """Tell exactly how rights change between the policy in force and the one in DIR."""
    bundle = valid_bundle(folder, "not planned")
    compared = asyncio.run(_compared(given.settings(), folder.resolve().name, bundle, against, tools))
    with progress("comparing") as told:
        found = planned(compared.old, compared.new, compared.inventory, now_ms(), told)
    if as_json:
        show_json(plain(found))
    elif as_markdown:
        click.echo(markdown(found), nl=False)
    else:
        _tell(found, folder, compared.version, newest=against is None)
    _hold(found, budgets)


async def _compared(settings: Settings, folder: str, bundle: Bundle, against: int | None, tools: str) -> Compared:
    async with operation(settings, "policy.plan", "gateway/policy", "inspect", folder=folder) as desk:
        version, old = await _stored(desk.store, settings, against)
        grants = living(all_grants(await desk.store.changes(0)), desk.now)
        inventory = await inventory_of(settings, desk.store, tools)
    # without a bundle nothing is allowed, whatever was granted
    before = Policy.build(old, grants if old else (), str(version))
    return Compared(version, before, Policy.build(bundle, grants, f"{folder}/"), inventory)


async def _stored(store: Store, settings: Settings, against: int | None) -> tuple[int, Bundle | None]:
    """A version and its bundle; 0 and none when nothing was applied yet. Raises ``Failure``, for the newest also
    when it decides nowhere.
    """
    try:
        found = await policy_in_force(store) if against is None else await policy_of(store, against)
    except NotFound as missing:
        raise Failure(f"not planned: {missing}") from None
    if found is not None and against is None:
        refuse_untrusted(found.head, settings)
    return (0, None) if found is None else (found.head.version, found.bundle)


def _tell(found: Plan, folder: Path, version: int, *, newest: bool) -> None:
    click.echo(f"{folder} against version {version}: {summary(found)}")
    if found.groups:
        show_table(COLUMNS, lines(found))
    for note in found.notes:
        click.echo(note)
    if newest:
        click.echo(f"to apply just this: `ostiary policy apply {folder} --planned {version} --why REASON`")


def _hold(found: Plan, budgets: Sequence[tuple[str, int]]) -> None:
    """Raises ``BeyondBudget``."""
    widened: Mapping[str, int] = dict(zip(MEASURES, (found.widened, len(found.users_widened)), strict=True))
    beyond = [f"{widened[measure]} {measure} (budget {most})" for measure, most in budgets if widened[measure] > most]
    if beyond:
        raise BeyondBudget(f"rights widen beyond the budget: {', '.join(beyond)}")
