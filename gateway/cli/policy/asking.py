"""What the commands on a policy share: their options, and the policy that they ask."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import click

from gateway.analysis.inventory import Inventory
from gateway.cli.inventory import inventory_of
from gateway.cli.operation import operation
from gateway.cli.output import Failure, failed
from gateway.folder_mode import read_valid
from gateway.manage.policies import policy_in_force
from gateway.manage.proving import rows_of
from gateway.policy.bundle import Bundle
from gateway.policy.engine import Policy
from gateway.policy.rows import as_written
from gateway.policy.signature import distrust
from gateway.policy.terms import Link, Rule
from gateway.records import PolicyHead
from gateway.servers.rows import all_grants
from gateway.settings import Mode, Settings
from gateway.store.base import Store

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
folder_path = click.Path(path_type=Path, exists=True, file_okay=False)
from_option = click.option(
    "--from", "folder", type=folder_path, metavar="DIR", help="Ask the policy in DIR instead of the one in force."
)


def policy_to_ask(settings: Settings, folder: Path | None, *, method: str) -> Policy:
    """The policy in force with its grants, or that of a folder with the same grants; leaves one audit entry."""
    return asyncio.run(_policy(settings, folder, method))


def policy_and_inventory(
    settings: Settings, folder: Path | None, tools: str | None, *, method: str
) -> tuple[Policy, Inventory]:
    """The same, and what it is held against: the accounts, and the things of ``tools`` (see ``tools_option``)."""

    async def work() -> tuple[Policy, Inventory]:
        async with operation(settings, method, "gateway/policy", "inspect") as desk:
            policy = await _asked(desk.store, settings, folder)
            return policy, await inventory_of(settings, desk.store, tools)

    return asyncio.run(work())


async def _policy(settings: Settings, folder: Path | None, method: str) -> Policy:
    async with operation(settings, method, "gateway/policy", "inspect") as desk:
        return await _asked(desk.store, settings, folder)


async def _asked(store: Store, settings: Settings, folder: Path | None) -> Policy:
    in_force = await policy_in_force(store)
    changes = await store.changes(0)
    rows = rows_of(all_grants(changes))
    if folder is None and in_force is not None:
        refuse_untrusted(in_force.head, settings)
        return Policy.build(in_force.bundle, rows, f"{in_force.head.version}.{changes.seq}")
    return _of_folder(settings, folder, rows)


def _of_folder(settings: Settings, folder: Path | None, rows: Sequence[Rule | Link]) -> Policy:
    """The policy of a folder; without one, that of development mode, which the first start would apply."""
    if folder is None and settings.mode is Mode.PRODUCTION:
        raise Failure("no policy is in force, so everything is denied; `ostiary policy apply DIR` applies one")
    chosen = folder or settings.policy_folder
    return Policy.build(valid_bundle(chosen, "not valid"), rows, f"{chosen.resolve().name}/")


def refuse_untrusted(head: PolicyHead, settings: Settings) -> None:
    """Raises ``Failure`` for a version that no node takes, because no trusted key signed it."""
    if sentence := distrust(head.signature, head.bundle, settings.trusted_keys):
        raise Failure(f"policy {head.version} decides nowhere: {sentence}")


def valid_bundle(folder: Path, otherwise: str) -> Bundle:
    """The policy in ``folder``. Raises ``Failure``, after every problem was told, with ``otherwise`` as its verdict."""
    found = read_valid(folder)
    if not isinstance(found, Bundle):
        raise failed(found, f"{folder}: {otherwise}")
    return found


def row_text(rule: Rule) -> str:
    """A rule for people: its place and the row as files write it."""
    return f"{rule.place}: `{as_written(rule)}`"


def size_text(bundle: Bundle) -> str:
    return f"{len(bundle.rules)} rules, {len(bundle.links)} links"
