"""Which inputs an operator has to fix, because they say where a secret of his goes. Pure."""

import re
from typing import Final

from connectors.definition.templates import FIELD
from connectors.definition.terms import Definition

_ORIGIN: Final = re.compile(r"(?:https?://)?[^/?#]*")
_OWN_DOMAIN: Final = re.compile(r"(?:\.[a-z0-9-]+){2,}(?::[0-9]+)?")


def fixed_inputs(definition: Definition) -> frozenset[str]:
    """The inputs that alone say to which host the client's secret goes, or people are sent to let us in. One below a
    domain of the definition's own (``{subdomain}.example.com``) may be typed by whoever connects.
    """
    oauth = definition.auth.oauth
    if oauth is None:
        return frozenset()
    inputs = {each.name for each in definition.inputs}
    urls = (oauth.authorize_url, oauth.token_url, oauth.refresh_url, oauth.revoke_url, oauth.issuer)
    return frozenset(name for url in urls for name in _steering(url) if name in inputs)


def _steering(url: str) -> list[str]:
    found = _ORIGIN.match(url)
    origin = found[0] if found else ""
    last = origin.rpartition("}")[2]
    return [] if _OWN_DOMAIN.fullmatch(last) else FIELD.findall(origin)
