"""``ostiary policy shadow``: a candidate beside the policy in force, on live traffic and without any effect."""

import asyncio
from pathlib import Path
from typing import Final

import click

from gateway.analysis.replay import NO_ROW, Change, Report, summed
from gateway.audit import AuditEntry
from gateway.audit.entry import Shadowed
from gateway.cli.operation import OPERATOR, Given, operation
from gateway.cli.output import moment, show_json
from gateway.cli.policy.asking import folder_path, json_option, size_text, valid_bundle
from gateway.cli.policy.differences import report_json, tell_report
from gateway.cli.trail import Span, from_store, when
from gateway.policy.bundle import Bundle, bundle_hash, encode
from gateway.records import ShadowHead
from gateway.settings import Settings

SHORT: Final = 12
"""Characters of a hash that people are shown."""


@click.command()
@click.argument("folder", required=False, type=folder_path, metavar="[DIR]")
@click.option("--off", is_flag=True, help="End it.")
@click.option("--report", "reporting", is_flag=True, help="Where the candidate answered otherwise.")
@click.option("--since", callback=when, help="With --report: from then on; by default since it was set.")
@click.option("--why", default="", help="The reason, kept with it.")
@json_option
@click.pass_obj
def shadow(
    given: Given, *, folder: Path | None, off: bool, reporting: bool, since: int | None, why: str, as_json: bool
) -> None:
    """Ask the policy in DIR what live calls ask, beside the one in force; without DIR, tell which is asked.

    Its answers have no effect. Where they differ, audit entries tell so, and `--report` counts them.
    """
    if sum((folder is not None, off, reporting)) > 1:
        raise click.UsageError("give one of DIR, `--off`, `--report`")
    if since is not None and not reporting:
        raise click.UsageError("`--since` goes with `--report`")
    settings = given.settings()
    if reporting:
        _show_report(*asyncio.run(_reported(settings, since)), as_json=as_json)
    elif folder is not None:
        found = valid_bundle(folder, "not set as shadow")
        _show(asyncio.run(_set(settings, found, why)), size_text(found), as_json=as_json)
    else:
        _show(asyncio.run(_set(settings, None, why) if off else _standing(settings)), "", as_json=as_json)


async def _set(settings: Settings, bundle: Bundle | None, why: str) -> ShadowHead:
    """Put the bundle beside the policy in force; without one, end the shadow."""
    async with operation(settings, "policy.shadow", "gateway/policy", "manage", why=why) as desk:
        name = ""
        if bundle is not None:
            body = encode(bundle)
            name = bundle_hash(body)
            await desk.store.bundles.put(name, body)
        return await desk.store.bundles.set_shadow(ShadowHead(bundle=name, author=OPERATOR, at=desk.now, why=why))


async def _standing(settings: Settings) -> ShadowHead:
    async with operation(settings, "policy.shadow", "gateway/policy", "inspect") as desk:
        return await desk.store.bundles.shadow() or ShadowHead()


async def _reported(settings: Settings, since: int | None) -> tuple[int, Report]:
    """From when on (ms since the epoch), and what was found."""
    async with operation(settings, "policy.shadow", "gateway/policy", "inspect") as desk:
        standing = await desk.store.bundles.shadow() or ShadowHead()
        start = standing.at if since is None else since
        decisions, changes = 0, []
        async for page in from_store(desk.store.audit, Span(since=start)):
            decisions += sum(entry.asked is not None for entry in page)
            changes += [_change(entry, entry.shadow) for entry in page if entry.shadow is not None]
        return start, summed(decisions, decisions - len(changes), changes)


def _change(entry: AuditEntry, other: Shadowed) -> Change:
    return Change(entry.id, entry.subject, entry.object, other.allowed, entry.rule or NO_ROW, other.rule or NO_ROW)


def _show(head: ShadowHead, size: str, *, as_json: bool) -> None:
    if as_json:
        show_json(
            {
                "bundle": head.bundle or None,
                "author": head.author,
                "at": moment(head.at) if head.at else None,
                "why": head.why,
            }
        )
    elif not head.bundle:
        click.echo("no shadow: nothing is asked beside the policy in force")
    else:
        text = f"shadow: policy {head.bundle[:SHORT]} is asked beside the one in force, without effect"
        click.echo(f"{text}; {size}" if size else f"{text}; since {moment(head.at)}, by {head.author}, {head.why!r}")


def _show_report(start: int, report: Report, *, as_json: bool) -> None:
    if as_json:
        show_json({"since": moment(start), **report_json(report)})
        return
    click.echo(f"since {moment(start)}")
    tell_report(report)
