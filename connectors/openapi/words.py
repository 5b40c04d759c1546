"""Texts of a document, cut to what a model needs, and names that every client takes. Pure."""

import re
import unicodedata
from functools import lru_cache
from typing import Final

LONGEST_NAME: Final = 64

_HIDDEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})
"""Signs that nobody sees and a model reads."""
_CONTROL: Final = re.compile(r"[^\t\n\r\x20-\x7e]")


@lru_cache(maxsize=4096)
def shortened(text: str, most: int) -> str:
    """The text in one line, without markup and invisible signs, of at most ``most`` characters."""
    plain = _seen(text[: most * 4])
    plain = re.sub(r"<[^<>]{0,300}>", " ", plain)
    plain = " ".join(re.sub(r"\[([^\]]{1,200})\]\([^)]{0,500}\)", r"\1", plain).split())
    if len(plain) <= most:
        return plain
    sentences = plain[:most].rpartition(". ")[0]
    return f"{sentences}." if len(sentences) > most // 2 else f"{plain[: most - 1].rstrip()}…"


def _seen(text: str) -> str:
    if text.isascii():
        return _CONTROL.sub("", text)
    return "".join(each for each in text if each in "\r\n\t" or unicodedata.category(each) not in _HIDDEN)


def argument_name(wire: str) -> str:
    """What clients call ``wire``: letters, digits and ``_``."""
    name = re.sub(r"[^A-Za-z0-9]+", "_", wire.replace("[]", "")).strip("_")[:LONGEST_NAME]
    return name if name and not name[0].isdigit() else f"_{name}"[:LONGEST_NAME]


def heading(words: str) -> str:
    """A title from an identifier such as ``issues/list-for-repo``."""
    return re.sub(r"[^A-Za-z0-9]+", " ", words).strip().capitalize()
