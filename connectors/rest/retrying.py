"""When a request may be sent again, and after how long. Pure: the time comes in."""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from connectors.definition.terms import Action, Retry, Risk

MOST: Final = 3
"""Times that one request is sent again."""

_MILLISECONDS_FROM: Final = 10**11
"""Numbers from here on are times in milliseconds: in seconds, they lie thousands of years ahead."""


def repeatable(action: Action) -> bool:
    """Whether doing it twice is the same as doing it once."""
    return action.risk is Risk.READ or action.idempotent or bool(action.idempotency_header)


def pause(headers: Mapping[str, str], retry: Retry, *, attempt: int, now: int) -> float:
    """Seconds to wait before attempt ``attempt`` + 1 (counted from 1): as the platform says, else longer each time.
    ``now`` is in milliseconds since the epoch.
    """
    told = told_pause(headers, retry, now=now)
    return float(2 ** (attempt - 1)) if told is None else told


def told_pause(headers: Mapping[str, str], retry: Retry, *, now: int) -> float | None:
    """Seconds until the platform wants to be asked again, ``None`` where it does not say."""
    for name in retry.after:
        if (value := headers.get(name)) and (seconds := _after(value, now)) is not None:
            return seconds
    for name in retry.at:
        if (value := headers.get(name)) and (moment := _moment(value)) is not None:
            return max(0.0, moment - now / 1000)
    return None


def _after(value: str, now: int) -> float | None:
    number = _number(value)
    if number is not None:
        return number
    moment = _moment(value)
    return None if moment is None else max(0.0, moment - now / 1000)


def _moment(value: str) -> float | None:
    """Seconds since the epoch: a number of them or of milliseconds, a date of HTTP, or one of ISO 8601."""
    number = _number(value)
    if number is not None:
        return number / 1000 if number >= _MILLISECONDS_FROM else number
    for reading in (parsedate_to_datetime, datetime.fromisoformat):
        try:
            found = reading(value.strip())
        except (ValueError, OverflowError):
            continue
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    return None


def _number(value: str) -> float | None:
    text = value.strip()
    plain = text.replace(".", "", 1)
    return float(text) if plain.isascii() and plain.isdecimal() and len(plain) < 20 else None
