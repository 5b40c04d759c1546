"""``[issuers.NAME]`` of ``ostiary.toml``: who may say by a signed token who somebody is."""

import re
from collections import Counter
from typing import Final

from gateway.settings.connectors import issuer_url, reachable, scope_name, web_url
from gateway.settings.terms import IssuerSettings
from gateway.settings.upstreams import identifier, private_host
from gateway.settings.values import Table, suggestion

ISSUERS: Final = "issuers"

ALGORITHMS: Final = (
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "EdDSA", "Ed25519"),
)
"""Those that need a key which only the issuer has."""

_CLAIM: Final = re.compile(r"[\x21-\x7e]{1,200}")
_SERVER: Final = re.compile(r".*-[0-9a-f]{8}")


def read_issuers(top: Table) -> tuple[IssuerSettings, ...]:
    """Every ``[issuers.NAME]``."""
    tables = top.table(ISSUERS)
    found = tuple(_issuer(name, tables.table(name)) for name in tables.names() if _is_name(name, tables))
    counted = Counter(each.issuer for each in found if each.issuer)
    for twice in [issuer for issuer, times in counted.items() if times > 1]:
        top.problem(f"two issuers are `{twice}`; write one of them", ISSUERS)
    return found


def _is_name(name: str, tables: Table) -> bool:
    """Whether groups can be told apart by it: those of a server stand under the server's id."""
    try:
        identifier(name)
        if _SERVER.fullmatch(name) is not None:
            raise ValueError(f"`{name}` ends like the id of a server that a user offers; choose another name")
    except ValueError as error:
        tables.problem(f"`issuers.{name}`: {error}", name)
        return False
    return True


def _issuer(name: str, table: Table) -> IssuerSettings:
    settings = IssuerSettings(
        name=name,
        issuer=table.parsed("issuer", issuer_url, ""),
        jwks_url=table.parsed("jwks_url", web_url, ""),
        audiences=frozenset(table.texts("audiences", _open)),
        algorithms=table.texts("algorithms", _algorithm) or ("RS256",),
        email_claim=table.parsed("email_claim", _claim, "email"),
        verified_claim=table.parsed("verified_claim", _claim, "email_verified"),
        groups_claim=table.parsed("groups_claim", _claim, "groups"),
        scopes=table.texts("scopes", scope_name),
        create_users=table.flag("create_users", False),
        private_hosts=table.texts("private_hosts", private_host),
    )
    if not table.has("issuer"):
        table.problem(f"`issuers.{name}` needs `issuer`")
    if not reachable(settings.jwks_url, settings.private_hosts):
        table.problem("`jwks_url` is plain http, which is for hosts that `private_hosts` lists", "jwks_url")
    table.close()
    return settings


def _algorithm(text: str) -> str:
    if text not in ALGORITHMS:
        known = ", ".join(f"`{each}`" for each in ALGORITHMS)
        raise ValueError(f"`{text}` is not one of {known}{suggestion(text, ALGORITHMS)}")
    return text


def _claim(text: str) -> str:
    if _CLAIM.fullmatch(text) is None:
        raise ValueError(f"`{text}` is not the name of a claim")
    return text


def _open(text: str) -> str:
    if not 0 < len(text) <= 1_000 or not text.isprintable():
        raise ValueError("an audience is a text of 1 to 1000 characters")
    return text
