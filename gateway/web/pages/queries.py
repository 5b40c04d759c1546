"""A query as it came: every parameter, in order, with doubles, within bounds. Pure."""

from typing import Final
from urllib.parse import parse_qsl

from gateway.errors import Malformed

MOST_BYTES: Final = 16_384
MOST_FIELDS: Final = 50


def query_of(raw: bytes) -> tuple[tuple[str, str], ...]:
    """The parameters of a query. Raises ``Malformed``."""
    try:
        if len(raw) > MOST_BYTES:
            raise ValueError
        text = raw.decode("ascii")
        return tuple(parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=MOST_FIELDS))
    except ValueError:
        raise Malformed("the query cannot be read; begin again") from None
