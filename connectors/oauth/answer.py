"""What a token endpoint answered, read by the definition: tokens, or a failure that is named (RFC 6749 §5).

Pure: bytes in, values out. Libraries take a refusal without the word `error` for a token, fail on form-encoded answers
and on times that are no whole number; platforms send all of these. This file opens nothing.
"""

import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import parse_qsl

import msgspec

from connectors.base import Secret
from connectors.definition.paths import found, text_at
from connectors.definition.terms import Definition, Expiry, OAuth, TokenAnswer
from connectors.oauth.failures import Leg, failed, kind_of
from connectors.oauth.terms import Failure, Tokens
from gateway.mcp.terms import Params
from gateway.policy.terms import Json

_TOKEN: Final = re.compile(r"[\x20-\x7e]{1,16384}")  # RFC 6749 appendix A.12
_SCOPE: Final = re.compile(r"[\x21-\x7e]{1,256}")
_BETWEEN_SCOPES: Final = re.compile(r"[\s,]+")  # some answer with commas although they are asked with spaces
_MOST_SCOPES: Final = 256
_LONGEST_KEPT: Final = 16_384
_LONGEST_LIFE: Final = 10 * 366 * 86_400.0
_LONGEST_WAIT: Final = 86_400.0
_MS_ABOVE: Final = 1e11  # as seconds the year 5138, as milliseconds 1973
_FIELDS: Final = 100
_ERROR_KEYS: Final = ("error", "type", "code", "title", "status")
_MESSAGE_KEYS: Final = ("error_description", "message", "detail", "reason", "error_message")


@dataclass(frozen=True, slots=True, repr=False)
class Reply:
    """An answer of a platform, read to its end."""

    status: int
    content_type: str = ""
    retry_after: str = ""
    body: bytes = b""


def tokens_of(
    reply: Reply, definition: Definition, oauth: OAuth, leg: Leg, *, now: int, hidden: Collection[str] = ()
) -> Tokens:
    """The tokens in ``reply``, ``now`` (ms) being when they were asked for. Raises ``OAuthFailed``; nothing of
    ``hidden``, what the request held, is told again.
    """
    said = decoded(reply)
    check(reply, said, definition, oauth.answer, leg, now=now, hidden=hidden)
    access = _first_token(said, oauth.answer.access)
    if access is None:
        raise failed(definition.title, Failure.BAD_ANSWER, f"HTTP {reply.status} without an access token")
    return Tokens(
        access=access,
        refresh=_first_token(said, oauth.answer.refresh),
        expires_at=_expiry(said, oauth.answer.expires, now),
        scopes=_scopes(_first(said, oauth.answer.scope)),
        kept=_kept(said, oauth.answer.keep),
    )


def merged(old: Tokens, new: Tokens) -> Tokens:
    """``new`` with whatever a renewal does not say again: it replaces the tokens, not what we know of the account."""
    return Tokens(
        access=new.access,
        refresh=new.refresh or old.refresh,
        expires_at=new.expires_at,
        scopes=old.scopes if new.scopes is None else new.scopes,
        kept={**old.kept, **new.kept},
    )


def check(
    reply: Reply,
    said: Params,
    definition: Definition,
    how: TokenAnswer,
    leg: Leg,
    *,
    now: int,
    hidden: Collection[str] = (),
) -> None:
    """Raises ``OAuthFailed`` when the platform refused, by its status or, as some do, in a body with status 200."""
    good = 200 <= reply.status < 300
    error = found(said, how.error_path)
    if good and not error and (how.ok_when is None or _same(found(said, how.ok_when.path), how.ok_when.equals)):
        return
    word, message = _word(error, said), _message(error, said)
    raise failed(
        definition.title,
        kind_of(leg, reply.status, word, message),
        f"HTTP {reply.status} {word}: {message}",
        retry_after=_wait(reply.retry_after, now),
        hidden=hidden,
    )


def decoded(reply: Reply) -> Params:
    """The object that is the body, JSON or form; ``{}`` for anything else."""
    try:
        said = msgspec.json.decode(reply.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {} if "json" in reply.content_type.lower() else _form(reply.body)
    return said if isinstance(said, dict) else {}


def _form(body: bytes) -> Params:
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=_FIELDS)
    except ValueError:
        return {}
    fields = dict(pairs)
    return dict(fields) if len(fields) == len(pairs) else {}  # said twice, it may mean either


def _first_token(said: Params, paths: tuple[str, ...]) -> Secret | None:
    """The first that is there and not empty; one that could not stand in a header is none."""
    values = (found(said, path) for path in paths)
    value = next((each for each in values if isinstance(each, str) and each), "")
    return Secret(value) if _TOKEN.fullmatch(value) else None


def _first(said: Params, paths: tuple[str, ...]) -> Json:
    return next((value for value in (found(said, path) for path in paths) if value is not None), None)


def _kept(said: Params, paths: tuple[str, ...]) -> Mapping[str, str]:
    values = ((path, text_at(said, path)) for path in paths)
    return {path: value for path, value in values if 0 < len(value) <= _LONGEST_KEPT}


def _scopes(value: Json) -> tuple[str, ...] | None:
    if isinstance(value, str):
        value = _BETWEEN_SCOPES.split(value)
    if not isinstance(value, list):
        return None
    texts = (each for each in value if isinstance(each, str) and _SCOPE.fullmatch(each))
    return tuple(dict.fromkeys(texts))[:_MOST_SCOPES]


def _expiry(said: Params, how: Expiry, now: int) -> int | None:
    """When the access token ends, in ms since the epoch. What is no time says nothing."""
    value = _first(said, how.path)
    left = _until(value, now) if how.unit == "at" else _number(value) / (1000 if how.unit == "ms" else 1)
    if not 0 < left < math.inf:  # nothing sensible, not a number included
        if how.default is None:
            return None
        left = float(how.default)
    return now + int(min(left, _LONGEST_LIFE) * 1000)


def _until(value: Json, now: int) -> float:
    """Seconds from ``now`` until a time of day: seconds or milliseconds since the epoch, or ISO 8601."""
    number = _number(value)
    if math.isnan(number) and isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value.strip())
            number = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        except ValueError:
            return math.nan
    return (number if number > _MS_ABOVE else number * 1000) / 1000 - now / 1000


def _number(value: Json) -> float:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return math.nan
    try:
        return float(value)
    except (ValueError, OverflowError):
        return math.nan


def _wait(header: str, now: int) -> int | None:
    """Seconds that a ``Retry-After`` asks for (RFC 9110 §10.2.3)."""
    left = _number(header.strip())
    if math.isnan(left):
        try:
            left = parsedate_to_datetime(header).timestamp() - now / 1000
        except (ValueError, OverflowError):
            return None
    return math.ceil(min(max(left, 0.0), _LONGEST_WAIT))


def _word(error: Json, said: Params) -> str:
    """The name of an error, wherever it stands: alone, in an object of its own, or beside what it says."""
    if isinstance(error, dict):
        return _text(error, _ERROR_KEYS)
    return text_at(error, "") or _text(said, _ERROR_KEYS)


def _message(error: Json, said: Params) -> str:
    return (_text(error, _MESSAGE_KEYS) if isinstance(error, dict) else "") or _text(said, _MESSAGE_KEYS)


def _text(said: Params, keys: tuple[str, ...]) -> str:
    return next((text for text in (text_at(said, key) for key in keys) if text), "")


def _same(value: Json, expected: Json) -> bool:
    """Equal as JSON: ``true`` is not 1."""
    return isinstance(value, bool) == isinstance(expected, bool) and value == expected
