"""``ostiary connectors doctor``: why a connector does not work, or what is still to be done before it does."""

import asyncio
from collections.abc import Sequence

import click

from connectors.egress import Egress
from gateway.checkup import Finding, State, checkup
from gateway.cli.operation import Given, now_ms
from gateway.cli.output import Failure, progress, show_json, show_table
from gateway.platforms import Platforms
from gateway.settings import Settings
from gateway.settings.values import suggestion


@click.command()
@click.argument("ids", nargs=-1, metavar="[ID]...")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
@click.pass_obj
def doctor(given: Given, *, ids: tuple[str, ...], as_json: bool) -> None:
    """Look at each connector: its definition and client, whether its endpoints answer, and what to register with the
    platform. Nothing secret is sent.
    """
    settings = given.settings()
    chosen = _chosen(settings, ids)
    found = asyncio.run(_found(settings, chosen))
    if as_json:
        show_json([{"connector": id, "checks": [_plain(each) for each in checks]} for id, checks in found])
    else:
        show_table(
            ("connector", "", "found"), [(id, each.state.value, each.sentence) for id, all in found for each in all]
        )
    faults = sum(each.state is State.FAULT for _, checks in found for each in checks)
    if faults:
        raise Failure(f"{faults} {'fault' if faults == 1 else 'faults'}")


def _chosen(settings: Settings, ids: Sequence[str]) -> list[str]:
    known = [each.id for each in settings.connectors]
    if not known:
        raise Failure(f"no connector is set up in {settings.folder.name}/connectors.toml")
    for id in ids:
        if id not in known:
            raise Failure(f"there is no connector `{id}`{suggestion(id, known)}")
    return list(dict.fromkeys(ids)) or known


async def _found(settings: Settings, ids: Sequence[str]) -> list[tuple[str, list[Finding]]]:
    platforms, egress = Platforms(settings), Egress()
    try:
        with progress("asking platforms") as told:
            looks = [asyncio.ensure_future(checkup(id, platforms, settings, egress, now_ms())) for id in ids]
            for done, each in enumerate(asyncio.as_completed(looks), 1):
                await each
                told(done, len(ids))
            return [(id, look.result()) for id, look in zip(ids, looks, strict=True)]
    finally:
        await egress.close()


def _plain(finding: Finding) -> dict[str, str]:
    return {"state": finding.state.value, "found": finding.sentence}
