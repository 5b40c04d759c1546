"""``ostiary connectors``: one module for each command."""

import click

from gateway.cli.connectors.doctor import doctor
from gateway.cli.connectors.importing import import_
from gateway.cli.connectors.lint import lint
from gateway.cli.connectors.listing import list_
from gateway.cli.connectors.trying import try_

__all__ = ["connectors"]


@click.group()
def connectors() -> None:
    """The platforms whose accounts people connect, and how they are reached."""


for _command in (list_, lint, doctor, try_, import_):
    connectors.add_command(_command)
