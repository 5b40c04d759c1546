"""``ostiary policy validate``: every problem of a policy folder."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import click

from gateway.analysis.fitting import Remark, unfitting, unknown_connectors
from gateway.analysis.inventory import Inventory
from gateway.analysis.severity import Severity
from gateway.cli.inventory import LIVE, things_from, tools_option
from gateway.cli.operation import Given
from gateway.cli.output import Failure, failed, progress, show_json
from gateway.cli.policy.asking import folder_path, json_option, size_text
from gateway.folder_mode import read_valid
from gateway.policy.bundle import Bundle
from gateway.settings import Settings


@click.command()
@click.argument("folder", required=False, type=folder_path, metavar="[DIR]")
@tools_option(None)
@json_option
@click.pass_obj
def validate(given: Given, *, folder: Path | None, tools: str | None, as_json: bool) -> None:
    """Check the policy in DIR (default: the folder that the settings name) and tell every problem."""
    settings = given.settings() if folder is None or tools == LIVE else None
    chosen = folder or given.settings().policy_folder
    found = read_valid(chosen)
    if isinstance(found, Bundle):
        inventory = things_from(given.settings, tools)
        remarks = [*_about_connectors(found, _known(settings, inventory)), *_about_tools(found, inventory)]
    else:
        remarks = [Remark(Severity.ERROR, problem) for problem in found]
    errors = [each.problem for each in remarks if each.severity is Severity.ERROR]
    if as_json:
        show_json([_plain(each) for each in remarks])
    else:
        _tell(each for each in remarks if each.severity is not Severity.ERROR)
    if errors:
        raise Failure(f"{chosen}: not valid") if as_json else failed(errors, f"{chosen}: not valid")
    if isinstance(found, Bundle) and not as_json:
        click.echo(f"{chosen}: valid, {size_text(found)}")


def _known(settings: Settings | None, inventory: Inventory) -> set[str]:
    """The connectors that there are, as far as the settings and the tools tell."""
    upstreams = () if settings is None else (spec.id for spec in settings.upstreams)
    offered = (thing.object.partition("/")[0] for things in inventory.things.values() for thing in things)
    return {*upstreams, *offered}


def _about_connectors(bundle: Bundle, known: set[str]) -> Iterator[Remark]:
    """Notes on connectors that nobody knows, where anything is known of them."""
    return unknown_connectors(bundle.rules, known) if known else iter(())


def _about_tools(bundle: Bundle, inventory: Inventory) -> list[Remark]:
    with progress("holding rows against tools") as told:
        return list(unfitting(bundle.rules, inventory, told))


def _tell(remarks: Iterable[Remark]) -> None:
    for remark in remarks:
        click.echo(f"{remark.problem.place}: {remark.severity}: {remark.problem.sentence}", err=True)


def _plain(remark: Remark) -> dict[str, object]:
    place = remark.problem.place
    return {
        "severity": remark.severity.value,
        "file": place.file,
        "line": place.line,
        "problem": remark.problem.sentence,
    }
