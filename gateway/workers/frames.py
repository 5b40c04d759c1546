"""Frames of bytes over a stream: four bytes of length, and as many bytes."""

import asyncio
from typing import Final

_LENGTH: Final = 4


class Broken(Exception):
    """The other side has closed, or says more than it may."""


def framed(data: bytes) -> bytes:
    return len(data).to_bytes(_LENGTH, "big") + data


async def read_frame(reader: asyncio.StreamReader, most: int) -> bytes:
    """The next frame, of ``most`` bytes at most. Raises ``Broken``."""
    try:
        length = int.from_bytes(await reader.readexactly(_LENGTH), "big")
        if length > most:
            raise Broken
        return await reader.readexactly(length)
    except (asyncio.IncompleteReadError, OSError):
        raise Broken from None
