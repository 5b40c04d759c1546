"""``ostiary upstreams``: what is approved of the servers behind the gateway, and what waits for approval."""

import asyncio
import sys
from collections.abc import Sequence
from typing import Final

import click

from connectors.base import UpstreamSpec
from gateway.cli.operation import OPERATOR, Given, operation
from gateway.cli.output import Failure, moment, show_json, show_table, shown_in_line
from gateway.manage.pins import Pending, approve, pending
from gateway.mcp.definitions import Absent, Difference, lines
from gateway.records import Pins
from gateway.settings import Settings
from gateway.settings.values import suggestion

COLOURS: Final = {"-": "red", "+": "green"}

_json = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")


@click.group()
def upstreams() -> None:
    """The servers behind the gateway, and which of their tools are approved."""


@upstreams.command("list")
@_json
@click.pass_obj
def list_(given: Given, *, as_json: bool) -> None:
    """Show every upstream, how many of its tools are approved, and which wait for approval."""
    settings = given.settings()

    async def work() -> list[tuple[UpstreamSpec, Pins | None]]:
        async with operation(settings, "upstreams.list", "gateway/upstreams", "inspect") as desk:
            return [(spec, await desk.store.pins.get(spec.id)) for spec in settings.upstreams]

    found = asyncio.run(work())
    if as_json:
        show_json([_plain(spec, pins) for spec, pins in found])
        return
    show_table(("upstream", "tools", "approved", "waiting"), [_row(spec, pins) for spec, pins in found])


@upstreams.command("approve")
@click.argument("id")
@click.option("--tool", "tools", multiple=True, metavar="NAME", help="Only this tool; may be repeated.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@_json
@click.pass_obj
def approve_(given: Given, *, id: str, tools: tuple[str, ...], yes: bool, as_json: bool) -> None:
    """Show how the tools of ID that wait differ from what was approved, and approve them."""
    settings = given.settings()
    _known(settings, id)
    told: dict[str, object] = {}

    async def work() -> None:
        entry: dict[str, object] = {"upstream": id, "tools": told}
        async with operation(settings, "upstreams.approve", "gateway/upstreams", "manage", **entry) as desk:
            waiting = _chosen(await desk.store.pins.get(id), id, tools)
            told.update({each.tool: {"old": each.old or None, "new": each.new} for each in waiting})
            if as_json:
                show_json({"upstream": id, "approved": yes, "tools": [_difference(each) for each in waiting]})
            else:
                _show(id, waiting)
            if waiting:
                _confirm(waiting, yes=yes, as_json=as_json)
                await approve(desk.store, id, {each.tool: each.new for each in waiting}, by=OPERATOR, now=desk.now)

    asyncio.run(work())
    if told and not as_json:
        click.echo(f"{_counted(len(told))} of {id} approved")


def _known(settings: Settings, id: str) -> None:
    """Raises ``Failure`` for what is no upstream."""
    known = [spec.id for spec in settings.upstreams]
    if id not in known:
        raise Failure(f"there is no upstream `{id}`{suggestion(id, known)}")


def _chosen(pins: Pins | None, id: str, tools: Sequence[str]) -> list[Pending]:
    """What waits, of ``tools`` where some are named. Raises ``Failure``."""
    if pins is None:
        raise Failure(f"nothing of `{id}` is pinned yet: its tools are approved as they are when it is first listed")
    waiting = {each.tool: each for each in pending(pins)}
    for tool in tools:
        if tool not in waiting:
            raise Failure(f"tool `{tool}` of `{id}` does not wait for approval{suggestion(tool, list(waiting))}")
    return [each for each in waiting.values() if not tools or each.tool in tools]


def _confirm(waiting: Sequence[Pending], *, yes: bool, as_json: bool) -> None:
    """Raises ``Failure`` where nobody can be asked, ``Abort`` where somebody says no."""
    if yes:
        return
    if as_json or not sys.stdin.isatty():
        raise Failure("not approved: nobody can be asked here; look at the difference, then add `--yes`")
    click.confirm(f"Approve {_counted(len(waiting))}?", abort=True)


def _show(id: str, waiting: Sequence[Pending]) -> None:
    if not waiting:
        click.echo(f"nothing of {id} waits for approval")
    for each in waiting:
        click.secho(f"{shown_in_line(each.tool)} {'changed' if each.old else 'is new'}", bold=True)
        click.echo(f"  {each.old or 'nothing'} -> {each.new}, seen {moment(each.seen_at)}")
        for difference in each.differences:
            click.echo(f"  {shown_in_line(difference.pointer)}")
            for line in lines(difference):
                click.secho(f"    {shown_in_line(line)}", fg=COLOURS.get(line[0]))
        click.echo()


def _counted(tools: int) -> str:
    return f"{tools} {'tool' if tools == 1 else 'tools'}"


def _row(spec: UpstreamSpec, pins: Pins | None) -> tuple[str, ...]:
    if spec.trust:
        return spec.id, "trusted", "", ""
    if pins is None:
        return spec.id, "not listed yet", "", ""
    waiting = (f"{name} ({'changed' if name in pins.tools else 'new'})" for name in sorted(pins.waiting))
    return spec.id, "pinned", str(len(pins.tools)), ", ".join(waiting)


def _plain(spec: UpstreamSpec, pins: Pins | None) -> dict[str, object]:
    tools, waiting = ({}, {}) if pins is None else (pins.tools, pins.waiting)
    return {
        "upstream": spec.id,
        "trust": spec.trust,
        "listed": pins is not None,
        "approved": [
            {"tool": name, "digest": each.digest, "at": moment(each.at), "by": each.by}
            for name, each in sorted(tools.items())
        ],
        "waiting": [
            {
                "tool": name,
                "old": tools[name].digest if name in tools else None,
                "new": each.digest,
                "seen_at": moment(each.at),
            }
            for name, each in sorted(waiting.items())
        ],
    }


def _difference(pending: Pending) -> dict[str, object]:
    return {
        "tool": pending.tool,
        "old": pending.old or None,
        "new": pending.new,
        "seen_at": moment(pending.seen_at),
        "differences": [_place(each) for each in pending.differences],
    }


def _place(difference: Difference) -> dict[str, object]:
    """What is absent is left out, since ``null`` is a value."""
    sides = {"old": difference.old, "new": difference.new}
    return {"path": difference.pointer} | {side: each for side, each in sides.items() if not isinstance(each, Absent)}
