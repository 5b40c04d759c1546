"""A credential out of what a platform answers, should it ever repeat one. Pure."""

import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import unquote_to_bytes

STAR: Final = b"***"

SHORTEST: Final = 6
"""Characters of a value that is looked for; shorter ones are no secrets, and would be found everywhere."""

_UNICODE: Final = re.compile(rb"\\u00([0-9A-Fa-f]{2})")


def without(secrets: Iterable[str], body: bytes) -> bytes:
    """``body`` with stars instead of each secret, also where some of its signs are written as URLs or JSON may."""
    for secret in secrets:
        plain = secret.encode(errors="replace")
        if len(secret) < SHORTEST:
            continue
        if not secret.isascii() or _simplified(plain) in _simplified(body):
            body = _in_any_spelling(secret).sub(STAR, body)
    return body


def _simplified(body: bytes) -> bytes:
    """Bytes that may be spellings of the same ASCII text become the same; so may others."""
    if not any(sign in body for sign in (b"%", b"\\", b"+")):
        return body
    plain = _UNICODE.sub(lambda sign: bytes.fromhex(sign[1].decode()), unquote_to_bytes(body))
    return plain.replace(b"\\", b"").replace(b"+", b" ")


def _in_any_spelling(secret: str) -> re.Pattern[bytes]:
    return re.compile(b"".join(map(_spellings, secret)))


def _spellings(sign: str) -> bytes:
    """Each way in which one sign may be written: as it is, as JSON may, as URLs may."""
    content = sign.encode(errors="replace")
    ways = [re.escape(content), rb"(?i:%s)" % b"".join(b"%%%02x" % byte for byte in content)]
    units = sign.encode("utf-16-be", errors="replace")
    ways.append(
        rb"(?i:%s)" % b"".join(rb"\\u%02x%02x" % (high, low) for high, low in zip(units[::2], units[1::2], strict=True))
    )
    if sign in '"\\/':
        ways.append(rb"\\" + re.escape(content))
    if sign == " ":
        ways.append(rb"\+")
    return b"(?:" + b"|".join(ways) + b")"
