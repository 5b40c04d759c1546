"""``ostiary policy lint``: rows of a valid policy that say nothing, too much, or what nobody meant."""

import asyncio
from pathlib import Path

import click

from gateway.analysis.lint import Finding, Lint
from gateway.analysis.lint import lint as linted
from gateway.analysis.severity import Severity
from gateway.cli.inventory import things_from, tools_option
from gateway.cli.operation import Given, now_ms, operation
from gateway.cli.output import Failure, progress, show_json
from gateway.cli.policy.asking import folder_path, json_option, valid_bundle
from gateway.manage.proving import rows_of
from gateway.policy.terms import Link, Rule
from gateway.servers.rows import all_grants
from gateway.settings import Settings


@click.command()
@click.argument("folder", required=False, type=folder_path, metavar="[DIR]")
@tools_option(None)
@click.option("--grants", is_flag=True, help="Count what was given at run time as well.")
@click.option("--strict", is_flag=True, help="Fail on warnings, too.")
@json_option
@click.pass_obj
def lint(given: Given, *, folder: Path | None, tools: str | None, grants: bool, strict: bool, as_json: bool) -> None:
    """Tell what is odd in the policy in DIR (default: the folder that the settings name)."""
    chosen = folder or given.settings().policy_folder
    bundle = valid_bundle(chosen, "not valid")
    rows = asyncio.run(_given_rows(given.settings())) if grants else None
    inventory = None if tools is None else things_from(given.settings, tools)
    with progress() as told:
        found = linted(
            bundle,
            now=now_ms(),
            grants=rows,
            inventory=inventory,
            progress=lambda step, done, of: told(done, of, step),
        )
    if as_json:
        show_json({"findings": [_plain(finding) for finding in found.findings], "accepted": found.accepted})
    else:
        for finding in found.findings:
            click.echo(str(finding))
    if found.count(Severity.ERROR) or (strict and found.count(Severity.WARNING)):
        raise Failure(f"{chosen}: {_sum(found)}")
    if not as_json:
        click.echo(f"{chosen}: {_sum(found)}")


async def _given_rows(settings: Settings) -> list[Rule | Link]:
    """The rows made at run time."""
    async with operation(settings, "policy.lint", "gateway/policy", "inspect") as desk:
        return rows_of(all_grants(await desk.store.changes(0)))


def _plain(finding: Finding) -> dict[str, object]:
    return {
        "code": finding.code.value,
        "severity": finding.severity.value,
        "file": finding.place.file,
        "line": finding.place.line,
        "finding": finding.sentence,
        "rows": [str(place) for place in finding.others],
    }


def _sum(found: Lint) -> str:
    counts = (f"{found.count(each)} {each}{'s' if found.count(each) != 1 else ''}" for each in Severity)
    return f"{', '.join(counts)}, {found.accepted} accepted"
