"""``ostiary import``: users, tools and prompts of another system, from a dump or from its database."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import click

from connectors.addresses import PUBLIC_ONLY, Exceptions, parse
from connectors.packages.finding import package_names
from gateway.cli.operation import Desk, Given, operation
from gateway.cli.output import Failure, progress, show_json, shown_in_line
from gateway.cli.users import warn_of_unknown
from gateway.imports.documents import DumpError
from gateway.imports.planning import Given as Material
from gateway.imports.planning import Plan, plan
from gateway.imports.sources import Dump, is_address, read_database, read_path
from gateway.imports.telling import Remark
from gateway.imports.writing import Writing, Written, write
from gateway.manage.policies import policy_in_force
from gateway.manage.proving import prove
from gateway.manage.users import IssuedKey
from gateway.policy.bundle import Bundle
from gateway.policy.folder import read_folder
from gateway.store.base import Changes


@click.group("import")
def import_() -> None:
    """Take over what another system keeps."""


@import_.command("dynamic-mcp-server")
@click.argument("source", envvar="OSTIARY_IMPORT")
@click.option("--reset-keys", is_flag=True, help="Give every account that is made a new key, printed once.")
@click.option("--existing", is_flag=True, help="Give accounts that are here already their key, roles and shares, too.")
@click.option("--dry-run", is_flag=True, help="Tell what would be done, and write nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
@click.pass_obj
def dynamic_mcp_server(
    given: Given, *, source: str, reset_keys: bool, existing: bool, dry_run: bool, as_json: bool
) -> None:
    """Import the collections `users`, `tools` and `prompts` from SOURCE: a folder or file of mongoexport (JSON) or
    mongodump (BSON), or a `mongodb://` address with the database's name at its end.

    Keys go on working, as their hashes alone. What is unsafe there is refused and told. To be repeated at will.
    """
    telling = _Telling(as_json=as_json, dry=dry_run)

    async def work() -> None:
        dump = await _read(source)
        settings = given.settings()
        counts = {name: len(found) for name, found in dump.documents.items()}
        async with operation(settings, "users.import", "gateway/users", "manage", dry_run=dry_run, **counts) as desk:
            there = await desk.store.changes(0)
            packages = package_names(omit=settings.handlers.omit)
            listed = parse(settings.http.private_hosts)
            private = listed if isinstance(listed, Exceptions) else PUBLIC_ONLY
            planned = plan(Material(dump.documents, there, packages, desk.now, private, existing))
            telling.planned(planned, await _broken(planned, there, desk, settings.policy_folder))
            await warn_of_unknown(_roles(planned), settings, desk.store)
            if not dry_run:
                telling.written(await _write(planned, there, desk, reset=reset_keys, issued=telling.issued))

    try:
        asyncio.run(work())
    finally:
        telling.end()


async def _read(source: str) -> Dump:
    """Raises ``Failure``."""
    try:
        if not is_address(source):
            return read_path(Path(source))
        with progress("reading the database"):
            return await read_database(source)
    except DumpError as error:
        raise Failure(str(error)) from None


def _roles(planned: Plan) -> set[str]:
    """The roles that rows of the plan name."""
    return {name for grant in planned.grants for name in grant.row[:2] if name.startswith("role:")}


async def _broken(planned: Plan, there: Changes, desk: Desk, folder: Path) -> tuple[str, ...]:
    """What stands against the policy with the rows of the plan, and did not before, as sentences: which of its own
    tests fail, and that nobody could change it any more.
    """
    in_force = await policy_in_force(desk.store)
    bundle = in_force.bundle if in_force else read_folder(folder)
    if not isinstance(bundle, Bundle):
        return ()
    users = {user.id: user for user in (*there.users, *(each.user for each in planned.people))}
    grants = {grant.id: grant for grant in (*there.grants, *planned.grants)}
    after = replace(there, users=tuple(users.values()), grants=tuple(grants.values()))
    before, then = (prove(bundle, each, desk.now) for each in (there, after))
    known = {before.lock_out, *map(str, before.failed), *map(str, before.by_grants)}
    told = (then.lock_out, *map(str, then.failed), *map(str, then.by_grants))
    return tuple(each for each in told if each and each not in known)


async def _write(
    planned: Plan, there: Changes, desk: Desk, *, reset: bool, issued: Callable[[IssuedKey], None]
) -> Written:
    of = len(planned.people) + len(planned.tools) + len(planned.prompts)
    through = 0
    with progress("importing") as tell:

        def done(more: int) -> None:
            nonlocal through
            tell(through := through + more, of)

        return await write(planned, there, Writing(desk.store, desk.ring, desk.now, reset, issued, done))


@dataclass(slots=True)
class _Telling:
    """What is shown, as it comes about: a key that was made is never lost to what fails after it."""

    as_json: bool
    dry: bool
    _counts: dict[str, int] = field(default_factory=dict)
    _remarks: list[Remark] = field(default_factory=list)
    _warnings: tuple[str, ...] = ()
    _issued: list[IssuedKey] = field(default_factory=list)

    def planned(self, planned: Plan, warnings: tuple[str, ...]) -> None:
        arrivals = [each for each in planned.people if not each.there]
        self._counts = {
            "users": len(arrivals),
            "keys": sum(each.key is not None for each in planned.people),
            "tools": len(planned.tools),
            "prompts": len(planned.prompts),
            "rows": len(planned.grants),
        }
        self._remarks += planned.remarks
        self._warnings = warnings

    def issued(self, key: IssuedKey) -> None:
        if self.as_json:
            self._issued.append(key)
        else:
            click.echo(f"{key.user} has a new key, shown this once:  {key.key.reveal()}")

    def written(self, written: Written) -> None:
        self._counts = {
            "users": written.users,
            "keys": written.keys,
            "tools": written.tools,
            "prompts": written.prompts,
            "rows": written.grants,
        }
        self._remarks += written.remarks.all

    def end(self) -> None:
        if self.as_json:
            self._show_json()
            return
        for each in self._remarks:
            click.echo(shown_in_line(f"{each.verdict}: {each.what}: {each.sentence}"))
        for sentence in self._warnings:
            click.echo(shown_in_line(f"warning: {sentence}; the next apply will refuse it"), err=True)
        if self._counts:
            users, keys, tools, prompts, rows = self._counts.values()
            told = f"{users} users, {keys} old keys, {tools} tools, {prompts} prompts, {rows} rows of the policy"
            click.echo(f"{'would be imported' if self.dry else 'imported'}: {told}")

    def _show_json(self) -> None:
        keys = [{"email": each.user, "key": each.key.reveal()} for each in self._issued]
        remarks = [{"verdict": each.verdict, "what": each.what, "why": each.sentence} for each in self._remarks]
        told = {"dry_run": self.dry, **self._counts, "issued": keys, "remarks": remarks, "warnings": self._warnings}
        show_json(told)
