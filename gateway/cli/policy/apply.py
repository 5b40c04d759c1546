"""``ostiary policy apply``: put a policy folder in force."""

import asyncio
from pathlib import Path

import click

from gateway.cli.operation import OPERATOR, Given, operation
from gateway.cli.output import Failure, failed
from gateway.cli.policy.asking import folder_path, json_option, size_text, valid_bundle
from gateway.cli.policy.heads import show_moved, warn
from gateway.cli.policy.keygen import private_key
from gateway.manage.commit import commit_of
from gateway.manage.policies import CasesFailed, LockedOut, apply_policy
from gateway.policy.bundle import Bundle, bundle_hash, encode
from gateway.policy.signature import sign
from gateway.policy.terms import Problem
from gateway.records import PolicyHead
from gateway.settings import Mode, Settings


@click.command()
@click.argument("folder", type=folder_path, metavar="DIR")
@click.option("--why", required=True, help="The reason, kept in the history.")
@click.option(
    "--planned",
    type=click.IntRange(min=0),
    metavar="VERSION",
    help="The version it was planned against; refuse if another one is in force by now.",
)
@click.option(
    "--sign",
    "key",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="FILE",
    help="Sign it with the private key in FILE.",
)
@click.option("--despite-grants", is_flag=True, help="Only warn of cases that nothing but living grants break.")
@json_option
@click.pass_obj
def apply(
    given: Given, *, folder: Path, why: str, planned: int | None, key: Path | None, despite_grants: bool, as_json: bool
) -> None:
    """Put the policy in DIR in force, on every node."""
    settings = given.settings()
    found = valid_bundle(folder, "not applied")
    signature = "" if key is None else sign(private_key(key), bundle_hash(encode(found)))
    told: list[Problem] = []

    async def work(bundle: Bundle) -> tuple[int, PolicyHead]:
        entry = {"folder": folder.name, "why": why}
        async with operation(settings, "policy.apply", "gateway/policy", "manage", **entry) as desk:
            before = await desk.store.bundles.head()
            version = before.version if before else 0
            return version, await apply_policy(
                desk.store,
                bundle,
                author=OPERATOR,
                why=why,
                now=desk.now,
                expected=version if planned is None else planned,
                commit=await commit_of(folder),
                signature=signature,
                trusted=settings.trusted_keys,
                despite_grants=despite_grants,
                tell=told.append,
            )

    try:
        before, head = asyncio.run(work(found))
    except LockedOut as locked:
        raise Failure(f"{folder}: not applied: {locked}, such as `ostiary users give-role EMAIL security`") from None
    except CasesFailed as failure:
        raise _failed(failure, folder) from None
    if as_json:
        show_moved(head, settings.trusted_keys, told, moved=head.version != before)
        return
    warn(told)
    _tell(settings, head, before, found)


def _tell(settings: Settings, head: PolicyHead, before: int, bundle: Bundle) -> None:
    if head.version == before:
        click.echo(f"version {before} is this policy already; nothing to apply")
        return
    click.echo(f"version {head.version} is in force, {size_text(bundle)}")
    if settings.mode is Mode.DEVELOPMENT:
        click.echo(f"development mode: the next edit of {settings.policy_folder.name}/ replaces it")


def _failed(failure: CasesFailed, folder: Path) -> Failure:
    summary = failed((*failure.problems, *failure.by_grants), f"{folder}: not applied, its own tests fail")
    if not failure.problems:
        hint = "; only grants break them: withdraw those grants, or add `--despite-grants`"
        return Failure(summary.message + hint)
    return summary
