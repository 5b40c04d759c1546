"""``ostiary policy``: one module for each command or pair of commands."""

import click

from gateway.cli.policy.apply import apply
from gateway.cli.policy.diff import diff
from gateway.cli.policy.explain import explain
from gateway.cli.policy.history import history
from gateway.cli.policy.inventory import inventory
from gateway.cli.policy.keygen import keygen
from gateway.cli.policy.lint import lint
from gateway.cli.policy.plan import plan
from gateway.cli.policy.replay import replay
from gateway.cli.policy.rollback import rollback
from gateway.cli.policy.serve_check import serve_check
from gateway.cli.policy.shadow import shadow
from gateway.cli.policy.test import test
from gateway.cli.policy.validate import validate
from gateway.cli.policy.who_can import what_can, who_can

__all__ = ["policy"]


@click.group()
def policy() -> None:
    """What the policy says, and changing it."""


for _command in (
    validate,
    lint,
    test,
    explain,
    who_can,
    what_can,
    inventory,
    diff,
    plan,
    apply,
    rollback,
    history,
    keygen,
    serve_check,
    replay,
    shadow,
):
    policy.add_command(_command)
