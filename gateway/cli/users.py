"""``ostiary users``: accounts, their keys and their roles."""

import asyncio
from collections.abc import Iterable
from typing import Final

import click

from gateway.cli.operation import OPERATOR, Desk, Given, operation
from gateway.cli.output import moment, show_json, show_table
from gateway.identity import normal_email
from gateway.manage.granting import never_broken
from gateway.manage.policies import policy_in_force
from gateway.manage.proving import known, living
from gateway.manage.users import (
    EVERYWHERE,
    Account,
    IssuedKey,
    add_user,
    delete_user,
    give_role,
    list_users,
    reset_key,
    withdraw_role,
)
from gateway.policy.bundle import Bundle
from gateway.policy.engine import Policy
from gateway.policy.folder import read_folder
from gateway.servers.rows import all_grants
from gateway.settings import Settings
from gateway.settings.values import suggestion
from gateway.store.base import Store

DAY_MS: Final = 24 * 60 * 60 * 1000

_json = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
_days = click.option(
    "--days", type=click.IntRange(1, 3650), help="Let the key end after so many days (default: never)."
)
_domain = click.option("--domain", default=EVERYWHERE, show_default=True, help="`main`, a server's id, or `*`.")


@click.group()
def users() -> None:
    """Accounts, their keys and their roles."""


@users.command("list")
@_json
@click.pass_obj
def list_(given: Given, *, as_json: bool) -> None:
    """Show every account. A key is known by its first characters; nobody can show it again."""

    async def work() -> list[Account]:
        async with operation(given.settings(), "users.list", "gateway/users", "inspect") as desk:
            return await list_users(desk.store)

    accounts = asyncio.run(work())
    if as_json:
        show_json([_plain(account) for account in accounts])
        return
    show_table(("user", "name", "roles", "keys", "since"), [_row(account) for account in accounts])


@users.command("add")
@click.argument("email")
@click.option("--name", default="", help="What the person is called.")
@click.option("--role", "roles", multiple=True, help="A role to give, everywhere; may be repeated.")
@_days
@_json
@click.pass_obj
def add(given: Given, *, email: str, name: str, roles: tuple[str, ...], days: int | None, as_json: bool) -> None:
    """Create the account EMAIL and print its API key, once."""

    async def work() -> None:
        settings = given.settings()
        async with operation(settings, "users.add", "gateway/users", "manage", email=email, roles=roles) as desk:
            ends = _ends(desk, days)
            issued = await add_user(
                desk.store, desk.ring, email, author=OPERATOR, now=desk.now, name=name, roles=roles, expires_at=ends
            )
            _show_key(issued, "added", as_json)
            await warn_of_unknown(roles, settings, desk.store)
            await _warn_of_never(email, roles, EVERYWHERE, desk)

    asyncio.run(work())


@users.command("reset-key")
@click.argument("email")
@_days
@_json
@click.pass_obj
def reset(given: Given, *, email: str, days: int | None, as_json: bool) -> None:
    """End every key of EMAIL, with all that it has open, and print a new one, once."""

    async def work() -> None:
        async with operation(given.settings(), "users.reset-key", "gateway/keys", "manage", email=email) as desk:
            issued = await reset_key(desk.store, desk.ring, email, now=desk.now, expires_at=_ends(desk, days))
            _show_key(issued, "has a new key; the old one ends now", as_json)

    asyncio.run(work())


@users.command("delete")
@click.argument("email")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def delete(given: Given, *, email: str, yes: bool) -> None:
    """End the account EMAIL, its keys and everything granted to it."""
    if not yes:
        click.confirm(f"Delete {email} with keys and roles?", abort=True)

    async def work() -> None:
        async with operation(given.settings(), "users.delete", "gateway/users", "manage", email=email) as desk:
            await delete_user(desk.store, email)

    asyncio.run(work())
    click.echo(f"{email} deleted")


@users.command("give-role")
@click.argument("email")
@click.argument("role")
@_domain
@click.option("--days", type=click.IntRange(1, 3650), help="Take it back after so many days (default: never).")
@click.pass_obj
def give(given: Given, *, email: str, role: str, domain: str, days: int | None) -> None:
    """Give EMAIL a role."""

    async def work() -> None:
        settings = given.settings()
        entry = {"email": email, "role": role, "domain": domain}
        async with operation(settings, "users.give-role", "gateway/users", "manage", **entry) as desk:
            ends = _ends(desk, days)
            await give_role(desk.store, email, role, author=OPERATOR, now=desk.now, domain=domain, expires_at=ends)
            await warn_of_unknown((role,), settings, desk.store)
            await _warn_of_never(email, (role,), domain, desk)

    asyncio.run(work())
    click.echo(f"{email} has role {role} in {domain}")


@users.command("withdraw-role")
@click.argument("email")
@click.argument("role")
@_domain
@click.pass_obj
def withdraw(given: Given, *, email: str, role: str, domain: str) -> None:
    """Take a role back that was given to EMAIL."""

    async def work() -> None:
        settings = given.settings()
        entry = {"email": email, "role": role, "domain": domain}
        async with operation(settings, "users.withdraw-role", "gateway/users", "manage", **entry) as desk:
            await withdraw_role(desk.store, email, role, domain=domain)

    asyncio.run(work())
    click.echo(f"{email} no longer has role {role} in {domain}")


def _ends(desk: Desk, days: int | None) -> int | None:
    return None if days is None else desk.now + days * DAY_MS


async def warn_of_unknown(roles: Iterable[str], settings: Settings, store: Store) -> None:
    """Tell of roles that the policy (before the first one is applied: its folder) and grants do not know."""
    in_force = await policy_in_force(store)
    bundle = in_force.bundle if in_force else read_folder(settings.policy_folder)
    if not isinstance(bundle, Bundle):
        return
    grants = (await store.changes(0)).grants
    named = {rule.subject for rule in bundle.rules} | {grant.row[0] for grant in grants if grant.row}
    named |= {name for link in bundle.links for name in (link.member, link.role)}
    known = {name.removeprefix("role:") for name in named if name.startswith("role:")}
    for role in (role.removeprefix("role:") for role in roles):
        if role not in known:
            told = f"neither the policy nor a grant knows the role `{role}`{suggestion(role, known)}"
            click.echo(f"warning: {told}", err=True)


async def _warn_of_never(email: str, roles: Iterable[str], domain: str, desk: Desk) -> None:
    """Tell of roles just given that allow what the policy's own tests say must never be."""
    in_force = await policy_in_force(desk.store)
    if in_force is None or not in_force.bundle.cases:
        return
    people, member = await desk.store.changes(0), f"user:{normal_email(email)}"
    given = {(member, f"role:{role.removeprefix('role:')}", domain) for role in roles}
    rows = living([grant for grant in all_grants(people) if grant.row not in given], desk.now)
    policy = Policy.build(in_force.bundle, rows, "")
    for row in living([grant for grant in people.grants if grant.row in given], desk.now):
        sentence = never_broken(policy, row, known(people), desk.now)
        rows.append(row)
        policy = policy.with_grants(rows, "")
        if sentence:
            click.echo(f"warning: {row.place}: {sentence}; the next apply will refuse it", err=True)


def _show_key(issued: IssuedKey, what: str, as_json: bool) -> None:
    """To be called before anything else can fail: nobody can show the key again."""
    key = issued.key.reveal()
    if as_json:
        show_json({"email": issued.user, "key": key, "prefix": issued.prefix, "expires_at": moment(issued.expires_at)})
        return
    click.echo(f"{issued.user} {what}\n\n  API key, shown this once:  {key}\n")


def _row(account: Account) -> tuple[str, ...]:
    roles = ", ".join(
        role.name if role.domain == EVERYWHERE else f"{role.name} in {role.domain}" for role in account.roles
    )
    keys = ", ".join(f"{key.prefix}…" for key in account.keys)
    return account.user.id, account.user.name, roles, keys, moment(account.user.created_at) or ""


def _plain(account: Account) -> dict[str, object]:
    return {
        "email": account.user.id,
        "name": account.user.name,
        "created_at": moment(account.user.created_at),
        "roles": [
            {"role": role.name, "domain": role.domain, "expires_at": moment(role.expires_at)} for role in account.roles
        ],
        "keys": [
            {"prefix": key.prefix, "created_at": moment(key.created_at), "expires_at": moment(key.expires_at)}
            for key in account.keys
        ],
    }
