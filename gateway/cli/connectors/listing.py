"""``ostiary connectors list``: the definitions that there are, and the connectors that use them."""

import click

from connectors.definition.folder import SHIPPED, read_folders
from connectors.definition.terms import Definition
from gateway.cli.operation import Given
from gateway.cli.output import failed, show_json, show_table
from gateway.platforms import Platforms
from gateway.settings import ConnectorSettings


@click.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
@click.pass_obj
def list_(given: Given, *, as_json: bool) -> None:
    """Show every definition, and under which ids it is used."""
    settings = given.settings()
    platforms = Platforms(settings)
    used = [(each, each.id in platforms.current) for each in settings.connectors]
    definitions = read_folders((SHIPPED, *settings.definition_folders)).by_id.values()
    rows = [(each, [(use, works) for use, works in used if use.definition == each.id]) for each in definitions]
    rows.sort(key=lambda row: (not row[1], row[0].id))
    if as_json:
        show_json([_plain(definition, uses) for definition, uses in rows])
    else:
        columns = ("definition", "title", "signs in by", "actions", "checked", "connectors")
        show_table(columns, [_row(definition, uses) for definition, uses in rows])
    if platforms.problems:
        raise failed(platforms.problems, "not everything can be used")


def _row(definition: Definition, uses: list[tuple[ConnectorSettings, bool]]) -> tuple[str, ...]:
    told = ", ".join(f"{use.id}{_how(use, works=works)}" for use, works in uses)
    actions = str(len(definition.actions))
    return definition.id, definition.title, definition.auth.kind.value, actions, definition.checked, told


def _how(use: ConnectorSettings, *, works: bool) -> str:
    return f" ({use.tools.value})" if works else " (cannot be used)"


def _plain(definition: Definition, uses: list[tuple[ConnectorSettings, bool]]) -> dict[str, object]:
    return {
        "definition": definition.id,
        "title": definition.title,
        "auth": definition.auth.kind.value,
        "checked": definition.checked or None,
        "tested": definition.tested or None,
        "actions": [{"id": each.id, "risk": each.risk.value} for each in definition.actions],
        "connectors": [{"id": use.id, "tools": use.tools.value, "usable": works} for use, works in uses],
    }
