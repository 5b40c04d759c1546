"""``ostiary policy rollback``: put an earlier version in force again."""

import asyncio

import click

from gateway.cli.operation import OPERATOR, Given, operation
from gateway.cli.output import Failure
from gateway.cli.policy.asking import json_option
from gateway.cli.policy.heads import show_moved, warn
from gateway.manage.policies import LockedOut
from gateway.manage.policies import rollback as roll_back
from gateway.policy.terms import Problem
from gateway.records import PolicyHead
from gateway.settings import Mode


@click.command()
@click.argument("version", type=click.IntRange(min=1))
@click.option("--why", required=True, help="The reason, kept in the history.")
@json_option
@click.pass_obj
def rollback(given: Given, *, version: int, why: str, as_json: bool) -> None:
    """Put the policy that was VERSION in force again, as a new version. Grants stay as they are.

    Its own tests are run, but do not stop it: those that fail are told.
    """
    settings = given.settings()
    told: list[Problem] = []

    async def work() -> tuple[int, PolicyHead]:
        entry = {"version": version, "why": why}
        async with operation(settings, "policy.rollback", "gateway/policy", "manage", **entry) as desk:
            before = await desk.store.bundles.head()
            return before.version if before else 0, await roll_back(
                desk.store,
                version,
                author=OPERATOR,
                why=why,
                now=desk.now,
                trusted=settings.trusted_keys,
                tell=told.append,
            )

    try:
        before, head = asyncio.run(work())
    except LockedOut as locked:
        raise Failure(f"not rolled back: {locked}, such as `ostiary users give-role EMAIL security`") from None
    if as_json:
        show_moved(head, settings.trusted_keys, told, moved=head.version != before)
        return
    warn(told)
    if head.version == before:
        click.echo(f"version {before} is the policy of version {version} already; nothing to do")
        return
    click.echo(f"version {head.version} is in force: the policy of version {version}")
    if settings.mode is Mode.DEVELOPMENT:
        click.echo(f"development mode: the next edit of {settings.policy_folder.name}/ replaces it")
