"""What becomes of an API key that was just issued: whether its user is told, and how that went.

What a letter says and how it is handed in is known elsewhere.
"""

from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import TypeAlias

from gateway.manage.users import IssuedKey


class Occasion(StrEnum):
    """Why a key was issued: an account was made, or its former key ended."""

    WELCOME = "welcome"
    RENEWED = "renewed"


class Delivery(StrEnum):
    """How the letter went. ``off``: none is written here."""

    OFF = "off"
    SENT = "sent"
    FAILED = "failed"


Letters: TypeAlias = Callable[[IssuedKey, str, Occasion], Awaitable[Delivery]]
"""Tells of a key its user, who is called so (``""``: not known). It never raises: what was done stands."""


async def no_letters(_key: IssuedKey, _name: str, _occasion: Occasion) -> Delivery:
    """Where nothing is set up."""
    return Delivery.OFF
