"""``ostiary policy validate``: every problem of a policy folder."""

from pathlib import Path

import click

from gateway.cli.operation import Given
from gateway.cli.output import Failure, failed, show_json
from gateway.cli.policy.asking import folder_path, json_option, size_text
from gateway.folder_mode import read_valid
from gateway.policy.bundle import Bundle


@click.command()
@click.argument("folder", required=False, type=folder_path, metavar="[DIR]")
@json_option
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
        click.echo(f"{chosen}: valid, {size_text(found)}")
