"""``ostiary connections``: whose accounts are connected, what is wrong with one, and the end of some."""

import asyncio
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import click

from connectors.definition.platform import Platform
from connectors.egress import Egress
from connectors.oauth.legs import Legs
from gateway.assembly.held import vault_of, webhook_of
from gateway.cli.operation import Desk, Given, now_ms, operation
from gateway.cli.output import Failure, moment, progress, show_json, show_table, shown_in_line
from gateway.connections.ending import end
from gateway.connections.keeping import ended_record
from gateway.connections.material import context_of_connection, unpack
from gateway.connections.reasons import SENTENCES
from gateway.connections.upstreams import UpstreamPlatforms
from gateway.errors import Refusal
from gateway.platforms import Platforms
from gateway.records import Connected, Status
from gateway.settings import Settings
from gateway.store.base import NotFound, Store
from gateway.vault import Unsealable, Vault

PAGE: Final = 200
PATIENCE_S: Final = (1.0, 3.0)
"""Between the attempts to tell the webhook: somebody is waiting."""

_json = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
_owner = click.option("--owner", default="", metavar="SUBJECT", help="Only of this subject, as `user:ada@example.com`.")
_connector = click.option("--connector", default="", metavar="ID", help="Only to this connector.")


@click.group()
def connections() -> None:
    """The accounts that people connected."""


@connections.command("list")
@_owner
@_connector
@click.option("--status", type=click.Choice(["active", "needs_reauth"]), help="Only those that stand so.")
@_json
@click.pass_obj
def list_(given: Given, *, owner: str, connector: str, status: str | None, as_json: bool) -> None:
    """Show connections; nothing secret of them can be shown."""
    settings = given.settings()

    async def work() -> list[Connected]:
        entry = {"owner": owner, "connector": connector, "status": status}
        async with operation(settings, "connections.list", "gateway/connectors", "inspect", **entry) as desk:
            return [each for each in await _of(desk.store, owner, connector) if status in (None, each.status)]

    found = asyncio.run(work())
    if as_json:
        show_json([_plain(record) for record in found])
        return
    show_table(("id", "owner", "connector", "account", "status", "used"), [_row(record) for record in found])


@connections.command("show")
@click.argument("id")
@_json
@click.pass_obj
def show(given: Given, *, id: str, as_json: bool) -> None:
    """Show the connection ID, and what is wrong with it if anything is."""
    settings = given.settings()

    async def work() -> Connected:
        async with operation(settings, "connections.show", "gateway/connectors", "inspect", connection=id) as desk:
            return await _known(desk.store, id)

    record = asyncio.run(work())
    vault = vault_of(settings.key_ring())
    facts = _plain(record) | {"secret": _secret(record, vault), "wrong": list(_wrong(record, settings, vault))}
    if as_json:
        show_json(facts)
        return
    for name, value in facts.items():
        for each in value if isinstance(value, list) else [value]:
            if each is not None and each != "":
                click.echo(f"{name}: {shown_in_line(str(each))}")


@connections.command("end")
@click.argument("ids", nargs=-1, metavar="[ID]...")
@_owner
@_connector
@click.option("--yes", is_flag=True, help="Do not ask.")
@_json
@click.pass_obj
def end_(given: Given, *, ids: tuple[str, ...], owner: str, connector: str, yes: bool, as_json: bool) -> None:
    """Disconnect accounts: forget their credentials, and tell the platforms to.

    Name connections by ID, or all of an owner, to a connector, or both. Calls that need them are refused at once.
    """
    if bool(ids) == bool(owner or connector):
        raise click.UsageError("name connections by ID, or give `--owner` or `--connector`")
    settings = given.settings()
    told: list[dict[str, object]] = []

    async def work() -> None:
        async with operation(settings, "connections.end", "gateway/connectors", "revoke", ended=told) as desk:
            found = [await _known(desk.store, id) for id in ids] or await _of(desk.store, owner, connector)
            if found:
                _confirm(found, yes=yes, as_json=as_json)
                with progress("disconnecting") as tell:
                    await _end(settings, desk, found, told, tell)

    asyncio.run(work())
    if as_json:
        show_json(told)
        return
    for each in told:
        there = "revoked at the platform" if each["revoked"] else "not revoked at the platform"
        click.echo(f"{each['connection']} of {each['owner']} to {each['connector']} is ended, {there}")
    if not told:
        click.echo("there are no such connections")


async def _end(
    settings: Settings, desk: Desk, found: Sequence[Connected], told: list[dict[str, object]], tell: Callable[..., None]
) -> None:
    """End them one after the other; ``told`` grows with each, so that the audit entry knows how far it came."""
    egress = Egress()
    try:
        platforms, legs, vault = _Platforms(settings, desk, egress), Legs(egress, now_ms), vault_of(desk.ring)
        webhook = webhook_of(settings, egress, pauses=PATIENCE_S)
        for number, record in enumerate(found, 1):
            platform = await platforms.of(record.connector)
            try:
                revoked = await end(desk.store, vault, legs, platform, record)
            except NotFound:  # its owner was faster
                continue
            told.append(_who(record) | {"revoked": revoked})
            if webhook is not None:
                webhook.changed(ended_record(record))
            tell(number, len(found))
        if webhook is not None:
            await webhook.drain()
    finally:
        await egress.close()


class _Platforms:
    """The platforms of connectors, and of upstreams that let users in, as far as they are to be had."""

    def __init__(self, settings: Settings, desk: Desk, egress: Egress) -> None:
        self._known = Platforms(settings).current
        self._upstreams = UpstreamPlatforms(
            settings.upstreams,
            egress,
            desk.store.registrations,
            vault_of(desk.ring),
            name=settings.name,
            public_url=settings.public_url,
            clock=now_ms,
        )

    async def of(self, connector: str) -> Platform | None:
        if connector in self._known:
            return self._known[connector]
        try:
            return await self._upstreams.of(connector)
        except Refusal:
            return None


async def _of(store: Store, owner: str, connector: str) -> list[Connected]:
    """Those of one owner and connector (``""``: of all), by owner."""
    found, after = [], ""
    while page := await store.connections.page(after, PAGE):
        found += [each for each in page if owner in ("", each.owner) and connector in ("", each.connector)]
        after = page[-1].id
    return sorted(found, key=lambda each: (each.owner, each.connector, each.created_at, each.id))


async def _known(store: Store, id: str) -> Connected:
    record = await store.connections.get(id) if id else None
    if record is None:
        raise Failure(f"there is no connection `{id}`: `ostiary connections list` shows all")
    return record


def _confirm(found: Sequence[Connected], *, yes: bool, as_json: bool) -> None:
    """Raises ``Failure`` where nobody can be asked, ``Abort`` where somebody says no."""
    if yes:
        return
    if as_json or not sys.stdin.isatty():
        raise Failure("not ended: nobody can be asked here; add `--yes`")
    for record in found:
        click.echo(shown_in_line(" ".join(_row(record))))
    click.confirm(f"End {len(found)} {'connection' if len(found) == 1 else 'connections'}?", abort=True)


def _secret(record: Connected, vault: Vault) -> str | None:
    """The id of the secret that its credential is sealed under."""
    try:
        return vault.key_of(record.sealed)
    except Unsealable:
        return None


def _wrong(record: Connected, settings: Settings, vault: Vault) -> Iterator[str]:
    """What stands against using it, a sentence each, with what to do."""
    if record.status is not Status.ACTIVE:
        why = SENTENCES.get(record.reason, "it does not serve any more")
        yield f"{why}: its owner has to connect the account again"
    try:
        unpack(vault.open(record.sealed, context_of_connection(record)))
    except Unsealable as closed:
        yield f"its credential cannot be opened: {closed}"
    ids = {each.id for each in settings.connectors} | {each.id for each in settings.upstreams if each.personal}
    if record.connector not in ids:
        yield f"the connector `{record.connector}` is not set up: put it back, or end the connection"
    if record.attempts:
        failed = f"the platform did not renew its access {record.attempts} times in a row"
        yield f"{failed}: tried again after {moment(record.retry_at)}; the log of the gateway says why"


def _row(record: Connected) -> tuple[str, ...]:
    account = record.label or record.account
    status = f"{record.status.value} ({record.reason})" if record.reason else record.status.value
    return record.id, record.owner, record.connector, account, status, moment(record.used_at or None) or "never"


def _plain(record: Connected) -> dict[str, object]:
    return _who(record) | {
        "account": record.account,
        "label": record.label,
        "status": record.status.value,
        "reason": record.reason,
        "scopes": list(record.scopes),
        "renewable": record.renewable,
        "expires_at": moment(record.expires_at),
        "created_at": moment(record.created_at),
        "changed_at": moment(record.updated_at),
        "used_at": moment(record.used_at or None),
    }


def _who(record: Connected) -> dict[str, object]:
    return {"connection": record.id, "owner": record.owner, "connector": record.connector}
