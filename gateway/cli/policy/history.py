"""``ostiary policy history``: which policies were in force, and why."""

import asyncio
from collections.abc import Sequence

import click

from gateway.cli.operation import Given, operation
from gateway.cli.output import show_json, show_table
from gateway.cli.policy.asking import json_option
from gateway.cli.policy.heads import COLUMNS, head_json, head_row
from gateway.records import PolicyHead


@click.command()
@click.option("--limit", type=click.IntRange(1, 10_000), default=20, show_default=True, help="How many versions.")
@json_option
@click.pass_obj
def history(given: Given, *, limit: int, as_json: bool) -> None:
    """Show the latest versions of the policy, the newest first."""
    settings = given.settings()

    async def work() -> Sequence[PolicyHead]:
        async with operation(settings, "policy.history", "gateway/policy", "inspect") as desk:
            return await desk.store.bundles.history(limit)

    heads = asyncio.run(work())
    if as_json:
        show_json([head_json(head, settings.trusted_keys) for head in heads])
        return
    show_table(COLUMNS, [head_row(head, settings.trusted_keys) for head in heads])
