"""The one spelling in which the policy knows a thing: what rows hold, and what questions ask about.

Names and URIs come from foreign servers and may hold anything, rows may not. So what a row cannot hold, and what
would read like something else, is percent-encoded (UTF-8, RFC 3986 section 2.1). This file knows no rows and no
connectors.
"""

import re
import unicodedata
from typing import Final
from urllib.parse import quote, unquote

_SIGNS: Final = frozenset("/:*%,()[]\"'`#")
_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp", "Zs"})
_OUTER_SPACE: Final = re.compile(r"^ | $|(?<= ) | (?= )")

_IN_URIS: Final = ":/?#@!$&+;=%"
"""What stands as it is in a URI, beside the unreserved signs: its other signs (``,()*'[]``) mean something in a row."""
_ESCAPE: Final = re.compile(r"%([0-9A-Fa-f]{2})?")
_UNRESERVED: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_BEGINNING: Final = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]*:)(?:(//(?:[^/?#]*@)?)([^/?#]*))?")


def spelled_name(name: str) -> str:
    """A tool's or prompt's name as objects hold it; different names are spelled differently."""
    spelled = "".join(_escaped(sign) if _is_strange(sign) else sign for sign in name)
    if not unicodedata.is_normalized("NFC", spelled):  # it looks like another name, which a row could hold
        spelled = "".join(sign if sign.isascii() else _escaped(sign) for sign in spelled)
    return _OUTER_SPACE.sub("%20", spelled)


def read_name(spelled: str) -> str:
    """The name that ``spelled_name`` spelled so."""
    return unquote(spelled)


def spelled_uri(uri: str) -> str:
    """A URI, or the beginning of one, as objects hold it: the same for all its spellings (RFC 3986 section 6.2.2,
    RFC 3987 section 3.1; steps with dots aside).
    """
    escaped = _ESCAPE.sub(_normal_escape, quote(uri, safe=_IN_URIS, errors="surrogatepass"))
    return _ESCAPE.sub(_normal_escape, _BEGINNING.sub(_lowered, escaped))


def _is_strange(sign: str) -> bool:
    return sign in _SIGNS or (sign != " " and unicodedata.category(sign) in _UNSEEN)


def _escaped(sign: str) -> str:
    return quote(sign, safe="", errors="surrogatepass")


def _lowered(beginning: re.Match[str]) -> str:
    """Scheme and host without capital letters; who is named before the host keeps them."""
    scheme, user, host = beginning.groups(default="")
    return f"{scheme.lower()}{user}{host.lower()}"


def _normal_escape(escape: re.Match[str]) -> str:
    if escape[1] is None:
        return "%25"
    sign = chr(int(escape[1], 16))
    return sign if sign in _UNRESERVED else escape[0].upper()
