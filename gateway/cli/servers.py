"""``ostiary servers``: the servers that users offer. The operator sees them, ends their tokens and ends them.

Who comes in to a server, and to what, its owner alone writes (over the management API): nothing here opens one.
"""

import asyncio
from typing import Final

import click
import msgspec
from msgspec import structs

from gateway.cli.operation import OPERATOR, Desk, Given, operation
from gateway.cli.output import show_json, show_table
from gateway.identity import normal_email
from gateway.manage.remains import clear, every, of_servers
from gateway.manage.servers import OBJECT
from gateway.manage.servers_told import ServerTold, server_told
from gateway.records import Server
from gateway.store.base import NotFound

_COLUMNS: Final = ("server", "owner", "name", "mode", "public", "token", "until")

_json = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")


@click.group()
def servers() -> None:
    """Servers that users offer; those of the operator stand in servers.toml."""


@servers.command("list")
@click.option("--owner", default="", metavar="EMAIL", help="Only those of this account.")
@_json
@click.pass_obj
def list_(given: Given, *, owner: str, as_json: bool) -> None:
    """Show the servers that users offer. A token is known by its first characters; nobody can show it again."""

    async def work() -> list[ServerTold]:
        settings = given.settings()
        async with operation(settings, "servers.list", OBJECT, "inspect", owner=owner) as desk:
            whose = owner and f"user:{normal_email(owner)}"
            there = [each async for each in every(desk.store.servers) if whose in ("", each.owner)]
            there.sort(key=lambda each: (each.owner, each.name.casefold(), each.id))
            return [server_told(each, settings.public_url) for each in there]

    listed = asyncio.run(work())
    if as_json:
        show_json([msgspec.to_builtins(each) for each in listed])
        return
    show_table(_COLUMNS, map(_row, listed))


@servers.command("show")
@click.argument("server")
@_json
@click.pass_obj
def show(given: Given, *, server: str, as_json: bool) -> None:
    """Show everything of SERVER but its secrets."""

    async def work() -> ServerTold:
        settings = given.settings()
        async with operation(settings, "servers.read", OBJECT, "inspect", server=server) as desk:
            return server_told(await _found(desk, server), settings.public_url)

    told = msgspec.to_builtins(asyncio.run(work()))
    if as_json:
        show_json(told)
        return
    show_table(("", ""), ((name, _cell(value)) for name, value in told.items() if value not in (None, "", [])))


@servers.command("revoke")
@click.argument("server")
@click.pass_obj
def revoke(given: Given, *, server: str) -> None:
    """End every token of SERVER, with all that is open under it. Its owner can make a new one."""

    async def work() -> None:
        async with operation(given.settings(), "servers.revoke", OBJECT, "revoke", server=server) as desk:
            known = await _found(desk, server)
            await desk.store.servers.replace(structs.replace(known, tokens=(), by=OPERATOR, updated_at=desk.now))

    asyncio.run(work())
    click.echo(f"{server}: every token revoked")


@servers.command("delete")
@click.argument("server")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def delete(given: Given, *, server: str, yes: bool) -> None:
    """End SERVER, with the connections of its end users, the keys for it alone and every grant that names it."""
    if not yes:
        click.confirm(f"Delete {server} with all that its end users connected?", abort=True)

    async def work() -> None:
        async with operation(given.settings(), "servers.delete", OBJECT, "manage", server=server) as desk:
            await desk.store.servers.remove((await _found(desk, server)).id)
            await clear(desk.store, await of_servers(desk.store, (server,)))

    asyncio.run(work())
    click.echo(f"{server} deleted")


async def _found(desk: Desk, id: str) -> Server:
    try:
        known = await desk.store.servers.get(id)
    except ValueError:  # no store can hold such an id
        known = None
    if known is None:
        raise NotFound(f"no user offers a server `{id}`")
    return known


def _row(told: ServerTold) -> tuple[str, ...]:
    public, token, until = "yes" if told.is_public else "", told.access_token or "", told.token_expires_at or ""
    return told.server_id, told.owner, told.name, told.mode.value, public, token, until


def _cell(value: object) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
