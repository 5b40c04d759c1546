"""What a policy is held against, collected: accounts from the store, things from the servers behind us or a file."""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

import click
import msgspec

from gateway.analysis.inventory import Inventory, Thing
from gateway.assembly.rules import things_of as offered_things
from gateway.assembly.servers import views_of
from gateway.cli.output import Failure
from gateway.policy.terms import Subject, Tool
from gateway.settings import Settings
from gateway.store.base import Store

LIVE: Final = "live"
NOBODY: Final = "user:inventory@localhost"
"""In whose name servers behind us are asked that keep a session for each user; no account has it."""

F = TypeVar("F", bound=Callable[..., object])

Things = Mapping[str, tuple[Thing, ...]]


class _Told(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One thing as the file tells it."""

    object: str
    action: str
    tool: Tool
    schema: Any = None


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    things: dict[str, list[_Told]]


def tools_option(default: str | None) -> Callable[[F], F]:
    """``--tools live|FILE``; without a ``default`` no tools are looked at."""
    return click.option(
        "--tools",
        "tools",
        metavar="live|FILE",
        default=default,
        show_default=default is not None,
        help="The tools to hold it against: asked of the upstreams now, or what `ostiary policy inventory` wrote.",
    )


async def inventory_of(settings: Settings, store: Store, source: str | None) -> Inventory:
    """The accounts of ``store``, and the things of ``source``: ``live``, the path of a file, or none."""
    users = (await store.changes(0)).users
    return Inventory(tuple(Subject(f"user:{user.id}") for user in users), await things_of(settings, source))


def things_from(given: Callable[[], Settings], source: str | None) -> Inventory:
    """An inventory of things alone; settings are read only where upstreams are asked."""
    if source is None:
        return Inventory()
    return Inventory(things=asyncio.run(things_of(given(), source)) if source == LIVE else read_things(Path(source)))


async def things_of(settings: Settings, source: str | None) -> Things:
    """What each server offers. An upstream that does not answer is told on standard error and left out.

    Raises ``Failure`` when a file cannot be used.
    """
    if source is None:
        return {}
    if source != LIVE:
        return read_things(Path(source))
    views = await views_of(settings, NOBODY)
    for id in sorted({id for view in views.values() for id in view.missing}):
        click.echo(f"upstream `{id}` does not answer, and is left out", err=True)
    return {server: offered_things(view) for server, view in views.items()}


def read_things(path: Path) -> Things:
    """What ``written`` wrote. Raises ``Failure``."""
    try:
        found = msgspec.json.decode(path.read_bytes(), type=_File)
    except OSError as error:
        raise Failure(f"{path}: the file cannot be read: {(error.strerror or 'no reason given').lower()}") from None
    except (msgspec.MsgspecError, RecursionError) as error:
        raise Failure(f"{path}: not an inventory: {error}; `ostiary policy inventory` writes one") from None
    return {server: tuple(map(_thing, things)) for server, things in found.things.items()}


def written(things: Things) -> bytes:
    """The things as JSON for people and for ``read_things``."""
    told = {
        server: [_Told(each.object, each.action, each.tool, each.schema) for each in offered]
        for server, offered in things.items()
    }
    return msgspec.json.format(msgspec.json.encode(_File(told)), indent=2)


def _thing(told: _Told) -> Thing:
    return Thing(told.object, told.action, told.tool, told.schema)
