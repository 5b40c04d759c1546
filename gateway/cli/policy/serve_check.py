"""``ostiary policy serve-check``: what a node would do with these settings and this folder."""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import click

from gateway.cli.operation import Desk, Given, now_ms, operation
from gateway.cli.output import Failure, failed, show_json
from gateway.cli.policy.asking import folder_path, json_option, size_text
from gateway.folder_mode import read_valid
from gateway.manage.proving import prove
from gateway.policy.bundle import Bundle, decode
from gateway.policy.engine import Policy
from gateway.policy.signature import distrust
from gateway.policy.terms import Place, Problem
from gateway.settings import Mode, Settings, SettingsError
from gateway.store.base import Changes, NotFound, Unavailable

NO_POLICY: Final = "no policy is in force, so everything is denied; `ostiary policy apply DIR` applies one"


@dataclass(slots=True)
class Found:
    """``said`` is what is fine, in words; ``problems`` what keeps a node from serving as it is meant to."""

    said: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def wrong(self, place: str, sentence: str) -> None:
        self.problems.append(Problem(Place(place), sentence))


@click.command("serve-check")
@click.argument("folder", required=False, type=folder_path, metavar="[DIR]")
@json_option
@click.pass_obj
def serve_check(given: Given, *, folder: Path | None, as_json: bool) -> None:
    """Tell every reason for which a node would not serve, with the policy in DIR if one is named.

    Without DIR it is the folder that development watches, and in production the policy in force.
    """
    found = asyncio.run(_checked(given, folder))
    if as_json:
        show_json({"serves": not found.problems, "said": found.said, "problems": list(map(_plain, found.problems))})
    else:
        for line in found.said:
            click.echo(line)
    if found.problems:
        raise Failure("would not serve") if as_json else failed(found.problems, "would not serve")
    if not as_json:
        click.echo("would serve")


def _plain(problem: Problem) -> dict[str, object]:
    return {"file": problem.place.file, "line": problem.place.line, "problem": problem.sentence}


async def _checked(given: Given, folder: Path | None) -> Found:
    found = Found()
    settings = _settings(given, found)
    watched = settings.policy_folder if settings is not None and settings.mode is Mode.DEVELOPMENT else None
    bundle = _folder(folder or watched, found)
    if settings is not None:
        await _store(settings, bundle, found, in_force=folder is None and watched is None)
    return found


def _settings(given: Given, found: Found) -> Settings | None:
    try:
        settings = given.settings()
    except SettingsError as wrong:
        found.problems += wrong.problems
        return None
    found.said.append(f"settings: {settings.mode}, {settings.bind}")
    return settings


def _folder(folder: Path | None, found: Found) -> Bundle | None:
    read = None if folder is None else read_valid(folder)
    if isinstance(read, list):
        found.problems += read
        return None
    if read is not None:
        found.said.append(f"{folder}: {size_text(read)}")
    return read


async def _store(settings: Settings, bundle: Bundle | None, found: Found, *, in_force: bool) -> None:
    if settings.store.uri is None and not settings.store.path.exists():
        found.said.append("store: none yet; the first start makes it")
        if in_force:
            found.wrong("policy", NO_POLICY)
        _prove(bundle, Changes(0), now_ms(), found)
        return
    try:
        async with operation(settings, "policy.serve-check", "gateway/policy", "inspect") as desk:
            found.said.append("store: open")
            if in_force:
                await _in_force(settings, desk, found)
            _prove(bundle, await desk.store.changes(0), desk.now, found)
    except (Unavailable, ValueError) as wrong:
        found.wrong("store", str(wrong))


async def _in_force(settings: Settings, desk: Desk, found: Found) -> None:
    """What a node does with the policy that the store names: it is taken, or nothing is allowed."""
    head = await desk.store.bundles.head()
    if head is None:
        found.wrong("policy", NO_POLICY)
        return
    place = f"policy {head.version}"
    if sentence := distrust(head.signature, head.bundle, settings.trusted_keys):
        found.wrong(place, sentence)
    try:
        bundle = decode(await desk.store.bundles.get(head.bundle))
        Policy.build(bundle, (), "")
    except (NotFound, ValueError) as wrong:
        found.wrong(place, str(wrong))
    else:
        found.said.append(f"{place}: {size_text(bundle)}")


def _prove(bundle: Bundle | None, people: Changes, now: int, found: Found) -> None:
    """What an apply would refuse."""
    if bundle is None:
        return
    proof = prove(bundle, people, now)
    if proof.lock_out:
        found.wrong("policy", proof.lock_out)
    found.problems += (*proof.failed, *proof.by_grants)
