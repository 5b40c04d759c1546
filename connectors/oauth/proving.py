"""How a request to a token endpoint proves who we are, and how its body is written (RFC 6749 §2.3.1).

Pure. Our own because a library's way of Basic leaves id and secret as they are, which a strict server refuses, and
fails on what is not Latin-1; and because some platforms want the body as JSON. This file sends nothing.
"""

from base64 import b64encode
from collections.abc import Sequence
from typing import TypeAlias
from urllib.parse import quote_plus, urlencode

import msgspec

from connectors.definition.terms import ClientAuth, Coding
from connectors.oauth.terms import Client

Pairs: TypeAlias = Sequence[tuple[str, str]]


def proven(client: Client, how: ClientAuth) -> tuple[dict[str, str], Pairs]:
    """The headers and the parameters that say who we are. Raises ``ValueError`` when a secret is asked for and there
    is none.
    """
    match how:
        case ClientAuth.NONE:
            return {}, [("client_id", client.id)]
        case ClientAuth.POST:
            return {}, [("client_id", client.id), ("client_secret", _secret(client))]
        case ClientAuth.BASIC:
            return {"Authorization": basic(client.id, _secret(client))}, []
        case ClientAuth.BASIC_RFC6749:
            return {"Authorization": basic(quote_plus(client.id), quote_plus(_secret(client)))}, []


def basic(user: str, password: str) -> str:
    """The value of an ``Authorization`` header, in UTF-8 (RFC 7617)."""
    return "Basic " + b64encode(f"{user}:{password}".encode()).decode()


def body_of(pairs: Pairs, coding: Coding) -> tuple[str, bytes]:
    """The content type and the body."""
    if coding is Coding.JSON:
        return "application/json", msgspec.json.encode(dict(pairs))
    return "application/x-www-form-urlencoded", urlencode(pairs).encode()


def _secret(client: Client) -> str:
    if client.secret is None:
        raise ValueError("the client secret is missing")
    return client.secret.reveal()
