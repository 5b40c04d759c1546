"""``ostiary connectors try``: one action, run now, on the operator's own connection or as an account of the gateway."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import click

from connectors.base import QUIET, Item, UpstreamError
from connectors.definition.platform import Platform
from connectors.egress import Egress
from connectors.oauth.legs import Legs
from connectors.rest.connector import RestConnector
from connectors.rest.tools import catalogue_of
from gateway.assembly.held import Held, held, vault_of
from gateway.cli.operation import OPERATOR, Desk, Given, now_ms, operation
from gateway.cli.output import Failure, failed, show_json, shown
from gateway.cli.question import values_of
from gateway.errors import Refusal, Unknown
from gateway.follower import POLL_SQLITE_S, Follower
from gateway.identity import normal_email
from gateway.mcp.schema import Arguments
from gateway.mcp.terms import Kind, Params
from gateway.pipeline.accounts import account_of
from gateway.pipeline.chain import chain_of, environment
from gateway.platforms import Platforms
from gateway.policy.terms import MAIN, SYSTEM, Json, Subject
from gateway.settings import Settings
from gateway.settings.values import suggestion

READ: Final = "read"


@dataclass(frozen=True, slots=True)
class _Trial:
    """Which action with which arguments, as whom (``""``: the operator himself), on whose connection."""

    platform: Platform
    item: Item
    args: Mapping[str, Json]
    user: str
    owner: str
    connection: str


@click.command("try")
@click.argument("connector")
@click.argument("action")
@click.argument("words", nargs=-1, metavar="[NAME=VALUE]...")
@click.option("--as", "email", default="", metavar="EMAIL", help="As this account, if the policy lets it.")
@click.option("--own", default="", metavar="OWNER", help="On whose connection: `self`, `system` or a subject.")
@click.option("--connection", default="", metavar="ID", help="On this connection of the owner.")
@click.option("--yes", is_flag=True, help="Do not ask before something is changed.")
@click.option("--json", "as_json", is_flag=True, help="Print the whole result as JSON.")
@click.pass_obj
def try_(
    given: Given,
    *,
    connector: str,
    action: str,
    words: tuple[str, ...],
    email: str,
    own: str,
    connection: str,
    yes: bool,
    as_json: bool,
) -> None:
    """Run ACTION of CONNECTOR now and show what the platform answers.

    Without --as it runs on the operator's own connection.
    """
    settings = given.settings()
    platform = _platform(settings, connector)
    user = f"user:{normal_email(email)}" if email else ""
    owner = {"": user or SYSTEM, "self": user or SYSTEM}.get(own, own)
    trial = _Trial(platform, _item(platform, action), values_of(words), user, owner, connection)
    if wrong := Arguments(trial.item.definition["inputSchema"]).problems(trial.args):
        raise Failure("; ".join(wrong))
    if trial.item.level != READ and not yes:
        click.confirm(f"This changes something at {platform.definition.title}. Go on?", abort=True)
    told: dict[str, object] = {"as": user or OPERATOR, "own": owner, "arguments": sorted(trial.args)}

    async def work() -> Params:
        async with operation(settings, "connectors.try", f"{connector}/{action}", trial.item.level, **told) as desk:
            return await _tried(settings, desk, trial)

    result = asyncio.run(work())
    if as_json:
        show_json(result)
    else:
        click.echo(shown(_text(result)))
    if result.get("isError"):
        raise Failure(f"{platform.definition.title} did not do it")


def _platform(settings: Settings, id: str) -> Platform:
    """Raises ``Failure`` for a connector that is not there, or cannot be used."""
    platforms = Platforms(settings)
    if (platform := platforms.current.get(id)) is not None:
        return platform
    known = [each.id for each in settings.connectors]
    if id in known:
        raise failed(platforms.problems, f"`{id}` cannot be used")
    raise Failure(f"there is no connector `{id}`{suggestion(id, known)}")


def _item(platform: Platform, action: str) -> Item:
    items = {item.name: item for item in catalogue_of(platform).items[Kind.TOOL]}
    if action not in items:
        raise Failure(f"`{platform.id}` has no action `{action}`{suggestion(action, items)}")
    return items[action]


async def _tried(settings: Settings, desk: Desk, trial: _Trial) -> Params:
    """The result of the call. Raises ``Failure`` with why there is none."""
    follower = Follower(desk.store, desk.ring, poll_s=POLL_SQLITE_S, trusted=settings.trusted_keys)
    await follower.catch_up()
    egress = Egress()
    kept = _held(settings, desk, follower, egress, trial.platform)
    credentials = kept.wallet.of(trial.platform)
    connector = RestConnector(trial.platform, egress=egress, credentials=credentials, clock=now_ms)
    try:
        if trial.user:
            await _ask(desk, follower, connector, trial)
        opened = await connector.open(trial.user, trial.owner, credential=trial.connection)
        params: Params = {"name": trial.item.name, "arguments": dict(trial.args)}
        return await opened.send("tools/call", params, QUIET)
    except (Refusal, UpstreamError) as refused:
        raise Failure(refused.text if isinstance(refused, Refusal) else refused.message) from None
    finally:
        await connector.close()
        await kept.close()
        await egress.close()


async def _ask(desk: Desk, follower: Follower, connector: RestConnector, trial: _Trial) -> None:
    """Raises ``Failure`` where the policy does not allow it, as it would refuse a call of his."""
    if await desk.store.users.get(trial.user.removeprefix("user:")) is None:
        raise Failure(f"there is no account `{trial.user.removeprefix('user:')}`")
    account = account_of(connector, trial.owner, trial.connection, follower.current.connections)
    chain = chain_of(
        trial.item,
        f"{connector.id}/{trial.item.name}",
        Subject(trial.user),
        domain=MAIN,
        owner=trial.owner,
        args=trial.args,
        env=environment(desk.now, offset=0, address=""),
        connection=account.facts,
    )
    decision = follower.current.policy.decide(chain)
    if not decision.allowed:
        rule = "" if decision.rule is None else f", by {decision.rule.place}"
        raise Failure(f"the policy does not allow it ({decision.reason}{rule}); `ostiary policy explain` says more")


def _held(settings: Settings, desk: Desk, follower: Follower, egress: Egress, platform: Platform) -> Held:
    async def platform_of(id: str) -> Platform:
        if id != platform.id:
            raise Unknown(f"there is no connector `{id}` here")
        return platform

    return held(
        settings,
        store=desk.store,
        vault=vault_of(desk.ring),
        follower=follower,
        platform_of=platform_of,
        egress=egress,
        legs=Legs(egress, now_ms),
        clock=now_ms,
    )


def _text(result: Params) -> str:
    content = result.get("content")
    texts = [each.get("text") for each in content if isinstance(each, dict)] if isinstance(content, list) else []
    return "\n".join(each for each in texts if isinstance(each, str))
