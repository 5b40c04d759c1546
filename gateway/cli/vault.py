"""``ostiary vault``: the keys under which credentials are sealed."""

import asyncio

import click

from gateway.assembly.held import vault_of
from gateway.cli.operation import Given, operation
from gateway.cli.output import Failure, progress, show_json, show_table
from gateway.connections.resealing import Tally, reseal, survey
from gateway.vault import Vault

_json = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")


@click.group()
def vault() -> None:
    """The keys under which credentials are sealed."""


@vault.command("list")
@_json
@click.pass_obj
def list_(given: Given, *, as_json: bool) -> None:
    """Show every secret of the settings, and how much is sealed under each."""
    settings = given.settings()
    keys = vault_of(settings.key_ring())

    async def work() -> Tally:
        async with operation(settings, "vault.list", "gateway/connectors", "inspect") as desk:
            return await survey(desk.store, keys)

    tally = asyncio.run(work())
    ids = [*dict.fromkeys([*settings.key_ring().ids, *sorted(tally.keys)])]
    if as_json:
        show_json([{"secret": id, "state": _state(keys, id), "sealed": tally.keys[id]} for id in ids])
        return
    show_table(("secret", "state", "sealed"), [(id, _state(keys, id), str(tally.keys[id])) for id in ids])


@vault.command("rotate")
@_json
@click.pass_obj
def rotate(given: Given, *, as_json: bool) -> None:
    """Wrap everything anew that is sealed under another secret than the first one of the settings.

    Gateways go on serving meanwhile. What was done stays done: run it again when it was interrupted.
    """
    settings = given.settings()
    keys = vault_of(settings.key_ring())
    told: dict[str, object] = {}

    async def work() -> Tally:
        async with operation(settings, "vault.rotate", "gateway/connectors", "manage", rotated=told) as desk:
            with progress("sealing anew") as tell:
                tally = await reseal(desk.store, keys, tell)
            told.update(_told(tally, keys))
            return tally

    tally = asyncio.run(work())
    if as_json:
        show_json(told)
    else:
        click.echo(f"{tally.rewrapped} sealed anew under {keys.current}, {tally.keys[keys.current]} in all")
    if left := _left(tally, keys):
        sentence = "a gateway that still seals under one of them has to be restarted with the present settings"
        raise Failure(f"{_counted(left)} still sealed under other secrets: {sentence}; then run this again")
    if tally.unopened:
        raise Failure(f"what cannot be opened, and has to be connected anew: {', '.join(tally.unopened[:20])}")


def _left(tally: Tally, keys: Vault) -> dict[str, int]:
    """How much is sealed under which secrets beside the current one."""
    return {id: count for id, count in sorted(tally.keys.items()) if id != keys.current}


def _told(tally: Tally, keys: Vault) -> dict[str, object]:
    return {
        "secret": keys.current,
        "rewrapped": tally.rewrapped,
        "sealed": tally.keys[keys.current],
        "others": _left(tally, keys),
        "unopened": tally.unopened,
    }


def _counted(left: dict[str, int]) -> str:
    return ", ".join(f"{count} under {id}" for id, count in left.items())


def _state(keys: Vault, id: str) -> str:
    if id == keys.current:
        return "current"
    return "known" if keys.knows(id) else "missing"
