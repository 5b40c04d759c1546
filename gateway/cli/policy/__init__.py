"""``ostiary policy``: one module for each command or pair of commands."""

import click

from gateway.cli.policy.apply import apply
from gateway.cli.policy.explain import explain
from gateway.cli.policy.validate import validate

__all__ = ["policy"]


@click.group()
def policy() -> None:
    """What the policy says, and changing it."""


for _command in (validate, explain, apply):
    policy.add_command(_command)
