"""``ostiary keys``: several API keys of one account, each with a name, servers and an end."""

import asyncio

import click

from gateway.cli.operation import Desk, Given, operation
from gateway.cli.output import moment, show_json, show_table
from gateway.identity import Identities, normal_email
from gateway.manage.issuing import Made, found, issue, succeed
from gateway.manage.key_bounds import MOST_DAYS, MOST_NAME, MOST_OVERLAP_S, end_of, key_name
from gateway.manage.keys import Key
from gateway.manage.remains import every
from gateway.policy.terms import MAIN
from gateway.records import User
from gateway.settings import Settings
from gateway.settings.values import suggestion
from gateway.store.base import NotFound

_json = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
_days = click.option("--days", type=click.IntRange(1, MOST_DAYS), help="Let it end after so many days.")


@click.group()
def keys() -> None:
    """API keys: several of one account, each with a name, servers and an end."""


@keys.command("list")
@click.argument("email")
@_json
@click.pass_obj
def list_(given: Given, *, email: str, as_json: bool) -> None:
    """Show the keys of EMAIL that count. A key is known by its first characters; nobody can show it again."""

    async def work() -> list[Key]:
        async with operation(given.settings(), "keys.list", "gateway/keys", "inspect", email=email) as desk:
            user = await _user(desk, email)
            there = Identities.of(desk.ring, [user], [each async for each in every(desk.store.keys)])
            return [Key.of(each) for each in there.keys_of(user.id, desk.now)]

    listed = asyncio.run(work())
    if as_json:
        show_json([each.shown for each in listed])
        return
    show_table(("id", "key", "name", "servers", "since", "until"), map(_row, listed))


@keys.command("add")
@click.argument("email")
@click.option("--name", default="", help=f"What it is for, in {MOST_NAME} characters.")
@click.option("--server", "servers", multiple=True, help="Let it count there alone (`main` too); may be repeated.")
@_days
@_json
@click.pass_obj
def add(given: Given, *, email: str, name: str, servers: tuple[str, ...], days: int | None, as_json: bool) -> None:
    """Make a further key of EMAIL and print it, once."""

    async def work() -> None:
        settings = given.settings()
        entry = {"email": email, "name": name, "servers": servers, "days": days}
        async with operation(settings, "keys.add", "gateway/keys", "manage", **entry) as desk:
            user = await _user(desk, email)
            await _check_known(settings, desk, servers)
            made = await issue(
                desk.store,
                desk.ring,
                user,
                now=desk.now,
                name=key_name(name),
                servers=tuple(dict.fromkeys(servers)),
                expires_at=end_of(days, desk.now),
            )
            _show(made, "has a further key", as_json)

    asyncio.run(work())


@keys.command("rotate")
@click.argument("key")
@click.option(
    "--overlap",
    type=click.IntRange(0, MOST_OVERLAP_S),
    default=0,
    show_default=True,
    metavar="SECONDS",
    help="Let the former key count for so long.",
)
@_days
@_json
@click.pass_obj
def rotate(given: Given, *, key: str, overlap: int, days: int | None, as_json: bool) -> None:
    """Make a key in place of KEY (the id that `list` shows), under its name and for its servers, and print it, once.

    It ends when the former one would have, unless --days says.
    """

    async def work() -> None:
        entry = {"key": key, "overlap": overlap, "days": days}
        async with operation(given.settings(), "keys.rotate", "gateway/keys", "manage", **entry) as desk:
            former = await found(desk.store, key)
            made = await succeed(
                desk.store,
                desk.ring,
                former,
                await _user(desk, former.user),
                now=desk.now,
                ends_at=desk.now + overlap * 1000,
                expires_at=former.expires_at if days is None else end_of(days, desk.now),
            )
            _show(made, f"has a key in place of {key}", as_json)

    asyncio.run(work())


@keys.command("revoke")
@click.argument("key")
@click.pass_obj
def revoke(given: Given, *, key: str) -> None:
    """End KEY (the id that `list` shows), with all that is open under it."""

    async def work() -> str:
        async with operation(given.settings(), "keys.revoke", "gateway/keys", "revoke", key=key) as desk:
            ending = await found(desk.store, key)
            await desk.store.keys.remove(ending.id)
            return ending.user

    click.echo(f"{key} of {asyncio.run(work())} revoked")


async def _user(desk: Desk, email: str) -> User:
    id = normal_email(email)
    user = await desk.store.users.get(id)
    if user is None:
        raise NotFound(f"there is no user `{id}`")
    return user


async def _check_known(settings: Settings, desk: Desk, servers: tuple[str, ...]) -> None:
    ours = [MAIN, *(each.id for each in settings.servers)]
    for each in servers:
        if each not in ours and await desk.store.servers.get(each) is None:
            raise NotFound(f"there is no server `{each}`{suggestion(each, ours)}")


def _show(made: Made, what: str, as_json: bool) -> None:
    """To be called before anything else can fail: nobody can show the key again."""
    key, text = Key.of(made.record), made.key.reveal()
    if as_json:
        show_json({**key.shown, "key": text})
        return
    click.echo(f"{key.email} {what} ({key.id})\n\n  API key, shown this once:  {text}\n")


def _row(key: Key) -> tuple[str, ...]:
    until = moment(key.expires_at) or ""
    return key.id, f"{key.prefix}…", key.name, ", ".join(key.servers), moment(key.created_at) or "", until
