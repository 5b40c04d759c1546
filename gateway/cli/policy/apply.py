"""``ostiary policy apply``: put a policy folder in force."""

import asyncio
from pathlib import Path

import click

from gateway.cli.operation import OPERATOR, Given, operation
from gateway.cli.output import Failure
from gateway.cli.policy.asking import folder_path, size_text, valid_bundle
from gateway.manage.policies import LockedOut, apply_policy
from gateway.policy.bundle import Bundle
from gateway.records import PolicyHead
from gateway.settings import Mode


@click.command()
@click.argument("folder", type=folder_path, metavar="DIR")
@click.option("--why", required=True, help="The reason, kept in the history.")
@click.pass_obj
def apply(given: Given, *, folder: Path, why: str) -> None:
    """Put the policy in DIR in force, on every node."""
    settings = given.settings()
    found = valid_bundle(folder, "not applied")

    async def work(bundle: Bundle) -> tuple[int, PolicyHead]:
        entry = {"folder": folder.name, "why": why}
        async with operation(settings, "policy.apply", "gateway/policy", "manage", **entry) as desk:
            before = await desk.store.bundles.head()
            version = before.version if before else 0
            return version, await apply_policy(
                desk.store, bundle, author=OPERATOR, why=why, now=desk.now, expected=version
            )

    try:
        before, head = asyncio.run(work(found))
    except LockedOut as locked:
        raise Failure(f"{folder}: not applied: {locked}, such as `ostiary users give-role EMAIL security`") from None
    if head.version == before:
        click.echo(f"version {before} is this policy already; nothing to apply")
        return
    click.echo(f"version {head.version} is in force, {size_text(found)}")
    if settings.mode is Mode.DEVELOPMENT:
        click.echo(f"development mode: the next edit of {settings.policy_folder.name}/ replaces it")
