"""Whether a connector can work: its definition and settings, and whether the places it names answer.

Asks platforms what anybody may ask them: no credential is opened, and none is sent.
"""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

import msgspec

from connectors.base import Credential
from connectors.definition.platform import Platform
from connectors.definition.remarks import stale
from connectors.definition.templates import fields, filled, values_of
from connectors.definition.terms import AuthKind, OAuth, Pkce
from connectors.egress import Egress, EgressError, Fault, Limits
from connectors.oauth.metadata import server_places
from gateway.connections.redirects import callback_uri
from gateway.platforms import Platforms
from gateway.policy.terms import MAIN
from gateway.settings import ConnectorSettings, Settings

LIMITS: Final = Limits(connect=5.0, idle=5.0, total=15.0, max_bytes=256 * 1024)


class State(StrEnum):
    FINE = "fine"
    TODO = "to do"
    WARNING = "warning"
    FAULT = "fault"


@dataclass(frozen=True, slots=True)
class Finding:
    state: State
    sentence: str


async def checkup(id: str, platforms: Platforms, settings: Settings, egress: Egress, now: int) -> list[Finding]:
    """What there is to say about connector ``id`` of the settings at ``now`` (ms since the epoch)."""
    platform = platforms.current.get(id)
    if platform is None:
        return [Finding(State.FAULT, str(each)) for each in platforms.problems_of(id)]
    use = next(each for each in settings.connectors if each.id == id)
    local = list(_local(platform, use, settings, now))
    places = _places(platform)
    told = await asyncio.gather(*(_answers(egress, platform, *place) for place in places.items()))
    return [*local, *_open_places(platform), *told, *await _discovered(egress, platform)]


def _local(platform: Platform, use: ConnectorSettings, settings: Settings, now: int) -> Iterator[Finding]:
    definition = platform.definition
    yield Finding(State.FINE, f"definition `{definition.id}`, {len(definition.actions)} actions")
    if sentence := stale(definition, datetime.fromtimestamp(now / 1000, UTC).strftime("%Y-%m")):
        yield Finding(State.WARNING, sentence)
    if definition.auth.kind is AuthKind.OAUTH2 and platform.client_id:
        yield Finding(State.TODO, f"register with the platform: {callback_uri(settings.public_url, MAIN, platform.id)}")
        if scopes := " ".join(platform.scopes):
            yield Finding(State.FINE, f"asks for the scopes {scopes}")
    if use.credential or definition.auth.kind is AuthKind.CLIENT_CREDENTIALS:
        yield Finding(State.FINE, "the operator's own connection serves whom the policy lends it to (`own` = `system`)")


def _urls(platform: Platform) -> dict[str, str]:
    """The URLs that can be asked without a credential, by what they are for."""
    oauth = platform.definition.auth.oauth
    urls = {"API": platform.definition.api.base_url}
    if oauth is not None:
        urls |= {"authorization": oauth.authorize_url, "tokens": oauth.token_url, "renewal": oauth.refresh_url}
    return {what: url for what, url in urls.items() if url}


def _values(platform: Platform) -> Mapping[str, str]:
    return {**values_of(platform, Credential()).plain, "client_id": platform.client_id}


def _places(platform: Platform) -> dict[str, str]:
    values = _values(platform)
    return {what: filled(url, values) for what, url in _urls(platform).items() if set(fields(url)) <= values.keys()}


def _open_places(platform: Platform) -> Iterator[Finding]:
    values = _values(platform)
    for what, url in _urls(platform).items():
        if missing := [name for name in fields(url) if name not in values]:
            yield Finding(State.FINE, f"{what}: where that is depends on `{'`, `'.join(missing)}` of each connection")


async def _answers(egress: Egress, platform: Platform, what: str, url: str) -> Finding:
    try:
        async with egress.request("GET", url, limits=LIMITS, allow=platform.exceptions) as answer:
            state = State.WARNING if answer.status >= 500 else State.FINE
            return Finding(state, f"{what}: {_host(url)} answers (HTTP {answer.status})")
    except EgressError as error:
        if error.kind is Fault.REDIRECT:
            return Finding(State.FINE, f"{what}: {_host(url)} answers (with a redirect)")
        return Finding(State.FAULT, f"{what}: {error}")


async def _discovered(egress: Egress, platform: Platform) -> list[Finding]:
    """Whether the issuer says the same of its endpoints as the definition does."""
    oauth, values = platform.definition.auth.oauth, _values(platform)
    if oauth is None or not oauth.issuer or not set(fields(oauth.issuer)) <= values.keys():
        return []
    issuer = filled(oauth.issuer, values)
    for place in server_places(issuer):
        if (said := await _metadata(egress, platform, place)) is not None:
            return list(_compared(oauth, values, issuer, said))
    return [Finding(State.WARNING, f"discovery: {_host(issuer)} publishes no metadata")]


async def _metadata(egress: Egress, platform: Platform, url: str) -> Mapping[str, object] | None:
    try:
        async with egress.request("GET", url, limits=LIMITS, allow=platform.exceptions) as answer:
            said = msgspec.json.decode(await answer.read()) if answer.status == 200 else None
    except (EgressError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return said if isinstance(said, dict) else None


def _compared(oauth: OAuth, values: Mapping[str, str], issuer: str, said: Mapping[str, object]) -> Iterator[Finding]:
    templates = {"authorization_endpoint": oauth.authorize_url, "token_endpoint": oauth.token_url}
    known = {name: filled(url, values) for name, url in templates.items() if url and set(fields(url)) <= values.keys()}
    expected = {"issuer": issuer, **known}
    differing = [name for name, value in expected.items() if said.get(name) != value]
    for name in differing:
        yield Finding(State.FAULT, f"discovery: `{name}` is `{str(said.get(name))[:200]}`, not `{expected[name]}`")
    methods = said.get("code_challenge_methods_supported")
    if oauth.pkce is Pkce.REQUIRED and isinstance(methods, list) and "S256" not in methods:
        yield Finding(State.FAULT, "discovery: it does not support PKCE with S256, which the definition requires")
    elif not differing:
        yield Finding(State.FINE, f"discovery: {_host(issuer)} agrees with the definition")


def _host(url: str) -> str:
    return url.split("://", 1)[-1].split("/", 1)[0].split("?", 1)[0]
