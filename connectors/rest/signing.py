"""A request with the credential on it. Pure; the only place of this room that reveals one.

The credential goes to hosts that the definition allows, and to no other: what a base URL becomes is checked after it
was filled, and the URL of a further page must lie where the page before it lay.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl, quote, unquote, urlsplit, urlunsplit

from connectors.base import Credential
from connectors.definition.platform import Platform
from connectors.definition.templates import Values, allowed_hosts, authorization, filled, filled_url, values_of
from connectors.outgoing import same_origin
from connectors.rest.request import Draft

ACCEPTED: Final = "application/json"


@dataclass(frozen=True, slots=True, repr=False)
class Signed:
    """A request as it goes out; it prints nothing, for it holds the credential. ``hidden`` are the values that must not
    stand in any answer.
    """

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None
    hidden: tuple[str, ...] = ()


def signed(draft: Draft, platform: Platform, credential: Credential, *, url: str = "") -> Signed:
    """The request to the platform's API, or to ``url`` when it is that of a further page.

    Raises ``ValueError`` with a sentence that repeats no value: something is missing, or it would leave the allowed
    hosts.
    """
    api = platform.definition.api
    values = values_of(platform, credential)
    all_values = values.all()
    base = filled_url(api.base_url, values.plain, allowed_hosts(platform, values.plain))
    secrets = [(name, filled(template, all_values)) for name, template in api.auth_query.items()]
    here = base + draft.path + _query(draft.query, secrets)
    target = _with_query(same_origin(base, url), secrets) if url else here
    headers = _headers(draft, platform, values)
    return Signed(draft.method, target, headers, draft.body, _hidden(values, headers, platform))


def whole(url: str, platform: Platform, credential: Credential, draft: Draft) -> Signed:
    """A request to ``url``, a template of the definition's own such as that of ``identity``. Raises ``ValueError``."""
    values = values_of(platform, credential)
    target = filled_url(url, values.plain, allowed_hosts(platform, values.plain))
    secrets = [(name, filled(each, values.all())) for name, each in platform.definition.api.auth_query.items()]
    headers = _headers(draft, platform, values)
    return Signed(draft.method, _with_query(target, secrets), headers, draft.body, _hidden(values, headers, platform))


def _headers(draft: Draft, platform: Platform, values: Values) -> dict[str, str]:
    """What stands later counts, whatever its case: nothing takes the place of the credential."""
    api, all_values = platform.definition.api, values.all()
    layers: list[tuple[str, str]] = [("Accept", ACCEPTED)]
    layers += [(name, filled(template, values.plain)) for name, template in api.headers.items()]
    layers += draft.headers.items()
    layers += [("Content-Type", draft.content_type)] if draft.body is not None else []
    layers += [(name, filled(template, all_values)) for name, template in api.auth.items()]
    if api.basic is not None:
        user, password = (filled(template, all_values) for template in api.basic)
        layers.append(("Authorization", authorization(user, password)))
    by_name = {name.lower(): (name, value) for name, value in layers}
    return {name: value for name, value in by_name.values() if value}


def _query(pairs: Iterable[tuple[str, str]], secrets: list[tuple[str, str]]) -> str:
    taken = {name for name, _ in secrets}
    kept = [f"{name}={value}" for name, value in pairs if unquote(name) not in taken]
    written = "&".join([*kept, *(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in secrets)])
    return f"?{written}" if written else ""


def _with_query(url: str, secrets: list[tuple[str, str]]) -> str:
    """``url`` with the credential's own parameters instead of those of the same names."""
    if not secrets:
        return url
    parts = urlsplit(url)
    taken = {name for name, _ in secrets}
    pairs = [(name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True) if name not in taken]
    encoded = [(quote(name, safe=""), quote(value, safe="")) for name, value in pairs]
    return urlunsplit(parts._replace(query=_query(encoded, secrets)[1:]))


def _hidden(values: Values, headers: Mapping[str, str], platform: Platform) -> tuple[str, ...]:
    """Each part of the credential, and what basic authentication makes of them, however somebody may repeat it."""
    basic = headers.get("Authorization", "").removeprefix("Basic ") if platform.definition.api.basic else ""
    return tuple(each for each in (*values.secret.values(), basic) if each)
