"""The two ends of an authorization (RFC 6749 §4.1.1, §4.1.2): the URL to go to, and what a browser brings back.

Pure but for the randomness of the verifier. This file sends nothing and stores nothing; that a ``state`` is one of
ours, unused and in time is its keeper's business.
"""

import re
from collections.abc import Mapping, Sequence
from secrets import token_urlsafe
from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from authlib.oauth2.client import OAuth2Client
from authlib.oauth2.rfc7636 import create_s256_code_challenge

from connectors.base import Secret
from connectors.definition.platform import Platform
from connectors.definition.terms import OAuth, Pkce
from connectors.oauth.failures import Leg, failed, kind_of, known_word
from connectors.oauth.places import endpoint, issuer_of, misconfigured, oauth_of
from connectors.oauth.terms import Begun, Client, Code, Failure

_PRINTABLE: Final = re.compile(r"[\x20-\x7e]{1,4096}")
_MOST: Final = 64


def begin(
    platform: Platform, client: Client, *, state: str, inputs: Mapping[str, str], scopes: tuple[str, ...] = ()
) -> Begun:
    """Where the browser goes to be asked for ``scopes`` (empty: the platform's). ``inputs`` are what the person typed.

    The URL is checked before it is given out: it lies on a host of the platform, says each thing once, and holds an
    S256 challenge where PKCE is required (RFC 7636 §4.3). Raises ``OAuthFailed``.
    """
    oauth = oauth_of(platform)
    place = endpoint(platform, client, oauth.authorize_url, inputs)
    verifier = Secret(token_urlsafe(48)) if oauth.pkce is Pkce.REQUIRED else None
    library = OAuth2Client(None, client.id, redirect_uri=client.redirect_uri, code_challenge_method="S256")
    try:
        place = _with(place, _asked(platform, oauth, scopes))
        url, _ = library.create_authorization_url(place, state, verifier.reveal() if verifier else None)
    except ValueError:
        raise misconfigured(platform, "the authorization URL cannot be written") from None
    if not _says(url, _promised(client, state, verifier)):
        raise misconfigured(platform, "the authorization URL says something twice, or without a challenge")
    return Begun(url, verifier)


def returned(platform: Platform, query: Sequence[tuple[str, str]], *, inputs: Mapping[str, str]) -> Code:
    """What came back in the callback's ``query``: a code, from the right issuer (RFC 9207 §2.4: compared as it stands,
    on refusals too), and everything said once (RFC 6749 §3.1). Raises ``OAuthFailed``.
    """
    oauth, title = oauth_of(platform), platform.definition.title
    said = dict(query)
    if len(said) != len(query) or len(query) > _MOST:
        raise failed(title, Failure.BAD_CALLBACK, "the callback says something twice, or too much")
    issuer = issuer_of(platform, inputs)
    if issuer and said.get("iss", "" if oauth.iss_promised else issuer) != issuer:
        raise failed(
            title, Failure.WRONG_ISSUER, f"the callback's `iss` is {'another' if 'iss' in said else 'missing'}"
        )
    if "error" in said:
        word = said["error"]
        raise failed(title, kind_of(Leg.AUTHORIZATION, 0, word), f"the callback says `{known_word(word)}`")
    if not _PRINTABLE.fullmatch(said.get("code", "")):
        raise failed(title, Failure.BAD_CALLBACK, "the callback has no code that can be used")
    kept = {name: said[name] for name in oauth.callback_keep if _PRINTABLE.fullmatch(said.get(name, ""))}
    return Code(Secret(said["code"]), kept)


def _asked(platform: Platform, oauth: OAuth, scopes: tuple[str, ...]) -> Sequence[tuple[str, str]]:
    """What is asked for, in the platform's own parameters."""
    how = oauth.scopes
    lists = [(how.param, scopes or platform.scopes), *how.also.items()]
    asked = [(name, how.separator.join(words)) for name, words in lists if words]
    resource = [("resource", platform.resource)] if platform.resource else []
    return [*oauth.authorize_params.items(), *asked, *resource]


def _promised(client: Client, state: str, verifier: Secret | None) -> dict[str, str]:
    promised = {
        "response_type": "code",
        "client_id": client.id,
        "redirect_uri": client.redirect_uri,
        "state": state,
    }
    if verifier is None:
        return promised
    challenge = create_s256_code_challenge(verifier.reveal())
    return {**promised, "code_challenge": challenge, "code_challenge_method": "S256"}


def _says(url: str, promised: Mapping[str, str]) -> bool:
    """Whether ``url`` says what is ``promised`` to the letter, nothing twice, and has no fragment (RFC 6749 §3.1)."""
    parts = urlsplit(url)
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    said = dict(pairs)
    return (
        not parts.fragment
        and len(said) == len(pairs)
        and all(said.get(name) == value for name, value in promised.items())
    )


def _with(url: str, params: Sequence[tuple[str, str]]) -> str:
    parts = urlsplit(url)
    query = urlencode([*parse_qsl(parts.query, keep_blank_values=True), *params])
    return urlunsplit(parts._replace(query=query))
