"""Whoever signs tokens in these tests: keys of every kind, tokens as text, and where keys are published."""

import base64
import hashlib
import hmac
import json
from typing import Any

from joserfc import jws
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from connectors.oauth.signed import _Pinned
from gateway.records import Server, Signer
from gateway.servers.signers import context_of
from gateway.vault import LocalKeys, Vault
from tests.builders import NOON, RING
from tests.connectors.raw_http import answer

OWNER, ID, ISSUER = "user:otto@example.com", "desk-a1b2c3d4", "https://login.example.com"
NOW_S = NOON // 1000
SECRET = b"0123456789abcdef0123456789abcdef"
VAULT = Vault(LocalKeys(RING))
RSA = RSAKey.generate_key(2048, {"kid": "r1"})
KEYS = {
    "RS256": RSA,
    "PS256": RSA,
    "ES256": ECKey.generate_key("P-256", {"kid": "e1"}),
    "EdDSA": OKPKey.generate_key("Ed25519", {"kid": "d1"}),
    "HS256": OctKey.import_key(SECRET),
}
CLAIMS = {"iss": ISSUER, "aud": ID, "sub": "u1", "exp": NOW_S + 300, "iat": NOW_S}


def signed(claims: Any = None, *, alg: str = "HS256", key: Any = None, **header: Any) -> str:
    """A token as text; a header value of ``...`` is left out."""
    key = KEYS[alg] if key is None else key
    named = {"alg": alg, "typ": "JWT"} | ({} if key.kid is None else {"kid": key.kid}) | header
    body = claims if isinstance(claims, bytes) else json.dumps(CLAIMS if claims is None else claims).encode()
    kept = {name: value for name, value in named.items() if value is not ...}
    return jws.serialize_compact(kept, body, key, registry=_Pinned([kept.get("alg", alg)]))


def changed(*, alg: str = "HS256", key: Any = None, **claims: Any) -> str:
    """A token whose claims differ so from ``CLAIMS``; ``...`` leaves one out."""
    both = {**CLAIMS, **claims}
    return signed({name: value for name, value in both.items() if value is not ...}, alg=alg, key=key)


def pieces(*parts: Any) -> str:
    """A token of parts as they are: for what no library would sign."""
    texts = [each if isinstance(each, bytes) else json.dumps(each).encode() for each in parts]
    return ".".join(base64.urlsafe_b64encode(each).rstrip(b"=").decode() for each in texts)


def macked(header: Any, claims: Any, secret: bytes) -> str:
    text = pieces(header, claims)
    return f"{text}.{pieces(hmac.digest(secret, text.encode(), hashlib.sha256))}"


def signer(alg: str = "HS256", *, id: str = "s1", url: str = "", secret: bytes = SECRET, server: str = ID) -> Signer:
    sealed = VAULT.seal(secret, context_of(server, id)) if alg == "HS256" else b""
    return Signer(id=id, issuer=ISSUER, algorithm=alg, jwks_url=url, sealed=sealed)


def server(*signers: Signer, id: str = ID, owner: str = OWNER, **more: Any) -> Server:
    return Server(id=id, owner=owner, name="Desk", signers=signers, **more)


class Publishing:
    """Answers for one issuer; ``keys`` are those that it publishes now."""

    def __init__(self) -> None:
        self.keys: list[Any] = [KEYS["RS256"], KEYS["ES256"], KEYS["EdDSA"]]
        self.asked: list[str] = []
        self.status, self.said = "200 OK", {}

    @property
    def url(self) -> str:
        return self.server.url

    async def reply(self, heard, writer) -> None:
        self.asked.append(heard.target)
        told = {
            "/keys": {"keys": [each.as_dict(private=False) for each in self.keys]},
            "/.well-known/openid-configuration": {"issuer": self.url, "jwks_uri": f"{self.url}/keys", **self.said},
        }.get(heard.target)
        status = "404 Not Found" if told is None else self.status
        writer.write(answer(json.dumps(told).encode(), kind="application/json", status=status))
