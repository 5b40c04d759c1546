"""Which parameters of a document carry a credential. None of them is ever shown to a model: the connection sends it.

Pure. What a document says of its security schemes is used for nothing else.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from connectors.openapi.document import Document, Node, mapping, text_of

_ALWAYS: Final = re.compile(
    r"(?:x[-_])?(?:access|auth|api|app|oauth|bearer|client|session|user|refresh|admin|private)?[-_]?(?:token|secret|api[-_]?key)"
    r"|(?:x[-_])?(?:api|app|access|auth|subscription|master|admin|secret|private)[-_]?key(?:[-_]?id)?"
    r"|(?:x[-_])?(?:api[-_]?)?auth(?:orization|entication)?|ocp-apim-subscription-key|password|passwd|cookie|x[-_]amz[-_].*",
    re.IGNORECASE,
)
"""Names of headers and query parameters."""
_HEADER: Final = re.compile(r"token|secret|passw|api[-_]?key|auth(?!ors?$)|credential|session|signature", re.IGNORECASE)
"""What a header of a credential has in its name."""
_PERHAPS: Final = re.compile(r"key|sig|signature|app_?id", re.IGNORECASE)
_PERHAPS_BODY: Final = re.compile(r"(?:access_|oauth_|auth_)?token|api_?key", re.IGNORECASE)
"""Names that carry one only when they are said to."""
_SAID: Final = re.compile(r"authenticat|authoriz|api[ _-]?key|access[ _-]?token|oauth|bearer|credential", re.IGNORECASE)
_NOT_ARGUMENTS: Final = frozenset(
    (
        *("accept", "accept-encoding", "content-type", "authorization", "host", "user-agent", "content-length"),
        *("connection", "keep-alive", "upgrade", "te", "trailer", "expect", "transfer-encoding", "cookie"),
        "proxy-authorization",
    )
)
"""Headers that OpenAPI itself does not take for parameters, and those that belong to the connection."""


@dataclass(frozen=True, slots=True)
class Keys:
    """``declared``: where (``header``, ``query``, ``cookie``) and under which names, in lower case, a key is sent."""

    declared: frozenset[tuple[str, str]] = frozenset()

    def covers(self, place: str, name: str, description: str) -> bool:
        """Whether what stands there carries a credential; a path cannot, for it would not be whole without."""
        plain = name.lower()
        if place == "path":
            return False
        if place == "cookie" or (place, plain) in self.declared or (place == "header" and plain in _NOT_ARGUMENTS):
            return True
        if place in ("header", "query") and _ALWAYS.fullmatch(plain):
            return True
        if place == "header" and _HEADER.search(plain):
            return True
        perhaps = _PERHAPS_BODY if place == "body" else _PERHAPS
        return perhaps.fullmatch(plain) is not None and _SAID.search(description) is not None


def keys_of(document: Document, *, sent: Iterable[tuple[str, str]] = ()) -> Keys:
    """Those that the document declares, and those that are ``sent`` anyway."""
    schemes = ((text_of(each.get("in")), text_of(each.get("name")).lower()) for each in _schemes(document).values())
    return Keys(frozenset((*schemes, *((place, name.lower()) for place, name in sent))))


def told(document: Document) -> Iterator[str]:
    """What the document says about how one is let in, a sentence each; not taken over, for it is often out of date."""
    for name, scheme in _schemes(document).items():
        kind = text_of(scheme.get("type"))[:40]
        where = f" in {text_of(scheme.get('in'))[:20]} `{text_of(scheme.get('name'))[:80]}`" if kind == "apiKey" else ""
        how = f" `{text_of(scheme.get('scheme'))[:40]}`" if kind == "http" else ""
        yield f"`{name[:80]}`: {kind}{where}{how}"


def _schemes(document: Document) -> dict[str, Node]:
    root = document.root
    all = (mapping(root.get("securityDefinitions")), mapping(mapping(root.get("components")).get("securitySchemes")))
    return {name: mapping(each) for schemes in all for name, each in schemes.items() if mapping(each)}
