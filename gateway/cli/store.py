"""``ostiary store``: a whole store into another one, into a file, and back."""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import click

from gateway.cli.operation import Given, operation, record
from gateway.cli.output import progress, show_json
from gateway.moving.copying import copy
from gateway.moving.files import export, import_
from gateway.moving.sums import Sums
from gateway.settings.values import read_secret
from gateway.store.base import Store
from gateway.store.opening import open_store

OBJECT: Final = "gateway/store"
PLACE: Final = "`sqlite:PATH`, `mongodb://…`, `mongodb+srv://…`, `env:NAME` or `file:PATH`"

_json = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")


@click.group()
def store() -> None:
    """Move, save and restore the whole store."""


@store.command("copy")
@click.option("--from", "source", required=True, help=f"The store to read: {PLACE} (which hold one of the others).")
@click.option("--to", "target", required=True, help="The empty store to fill, likewise.")
@click.option("--from-database", default="ostiary", show_default=True, help="Its name in MongoDB.")
@click.option("--to-database", default="ostiary", show_default=True, help="Its name in MongoDB.")
@_json
@click.pass_obj
def copy_(given: Given, *, source: str, target: str, from_database: str, to_database: str, as_json: bool) -> None:
    """Copy everything, the audit too, and compare both by count and hash. Stop all gateways first.

    What was interrupted goes on when the same command is run again; until it ended, the target cannot be opened.
    """
    reading = open_store(_existing(_place(source, given.environ)), database=from_database)
    filled = open_store(_place(target, given.environ), database=to_database, filling=True)
    _show(asyncio.run(_copy(reading, filled)), "copied and compared", as_json=as_json)


@store.command("export")
@click.option("--out", required=True, type=click.Path(path_type=Path, dir_okay=False), help="The file to write.")
@click.option("--audit", is_flag=True, help="Take the audit entries, too.")
@_json
@click.pass_obj
def export_(given: Given, *, out: Path, audit: bool, as_json: bool) -> None:
    """Write the store of the settings into one file, also while gateways go on.

    Credentials stand in it as they do in the store, sealed or hashed: keep the secrets of the settings with it.
    """

    async def work() -> Sums:
        async with operation(given.settings(), "store.export", OBJECT, "inspect", out=str(out), audit=audit) as desk:
            with progress("exporting") as tell:
                header = await export(desk.store.contents, out, desk.now, _told(tell), audit=audit)
            return Sums(header.counts, header.hash)

    _show(asyncio.run(work()), f"written to {out}", as_json=as_json)


@store.command("import")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@_json
@click.pass_obj
def import_command(given: Given, *, file: Path, as_json: bool) -> None:
    """Fill the store of the settings, which has to be empty, with an exported file.

    All of the file is checked before the first write. What was interrupted goes on when it is run again.
    """
    settings = given.settings().store
    filled = open_store(settings.target.reveal(), database=settings.database, filling=True)

    async def work() -> Sums:
        await filled.open()
        try:
            with progress("importing") as tell:
                header = await import_(filled.contents, file, _told(tell))
            sums = Sums(header.counts, header.hash)
            await record(filled, "store.import", OBJECT, "manage", file=str(file), hash=sums.hash)
            return sums
        finally:
            await filled.close()

    _show(asyncio.run(work()), "imported and compared", as_json=as_json)


async def _copy(reading: Store, filled: Store) -> Sums:
    await reading.open()
    try:
        await filled.open()
        try:
            with progress("copying") as tell:
                sums = await copy(reading.contents, filled.contents, _told(tell))
            await record(filled, "store.copy", OBJECT, "manage", hash=sums.hash)
            return sums
        finally:
            await filled.close()
    finally:
        await reading.close()


def _place(text: str, environ: Mapping[str, str]) -> str:
    """What ``open_store`` takes. ``ValueError``; no address is repeated, since it may hold a password."""
    kind, _, rest = text.partition(":")
    if kind == "env":
        if not environ.get(rest):
            raise ValueError(f"environment variable `{rest}` is not set")
        text = environ[rest]
    elif kind == "file":
        text = read_secret(Path(rest), rest).reveal()
    elif _shows_password(text):
        click.echo(
            "warning: others on this machine can read the password of a command line: use env: or file:", err=True
        )
    kind, _, rest = text.partition(":")
    if kind == "sqlite" and rest:
        return rest
    if kind in ("mongodb", "mongodb+srv"):
        return text
    raise ValueError(f"a store is not named so: give {PLACE}")


def _shows_password(text: str) -> bool:
    return ":" in text.partition("://")[2].rpartition("@")[0]


def _existing(target: str) -> str:
    """The target; ``ValueError`` for a file that is not there: opening it would make it."""
    if "://" not in target and not Path(target).is_file():
        raise ValueError(f"{target}: there is no such file: name the store that is in use")
    return target


def _told(tell: Callable[..., None]) -> Callable[[int, str], None]:
    return lambda done, step: tell(done, None, step)


def _show(sums: Sums, what: str, *, as_json: bool) -> None:
    if as_json:
        show_json({"counts": sums.counts, "hash": sums.hash})
        return
    counts = ", ".join(f"{count} {part}" for part, count in sums.counts.items())
    click.echo(f"{what}: {counts}\nsha256 {sums.hash}")
