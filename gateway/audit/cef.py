r"""Audit entries as lines of ArcSight's Common Event Format, version 0.

PURE. Header fields escape ``\`` and ``|``, values ``\`` and ``=``, both line ends: an entry is one line whatever it
says.
"""

import json
from typing import Final

from gateway.audit.entry import AuditEntry

_HEADER: Final = str.maketrans({"\\": "\\\\", "|": "\\|", "\n": "\\n", "\r": "\\r"})
_VALUE: Final = str.maketrans({"\\": "\\\\", "=": "\\=", "\n": "\\n", "\r": "\\r"})
_LABELS: Final = {"cs1": "object", "cs2": "rule", "cs3": "policy", "cs4": "domain", "cs5": "owner", "cs6": "link"}
_KEYS: Final = {
    "externalId": "id",
    "suser": "subject",
    "src": "address",
    "requestClientApplication": "client",
    "requestMethod": "method",
    "act": "action",
    "outcome": "outcome",
    "reason": "reason",
    "app": "transport",
    **_LABELS,
    "ostiaryCredential": "credential",
    "ostiarySession": "session",
    "ostiaryRequest": "request_id",
    "ostiaryConnection": "connection",
    "ostiaryError": "error",
    "ostiaryNode": "node",
    "ostiaryChain": "chain",
}
REFUSED, FAILED, USUAL = 6, 4, 2


def extension(entry: AuditEntry) -> dict[str, str]:
    """The keys and values of an entry; what it does not say is left out."""
    told = {key: str(getattr(entry, name)) for key, name in _KEYS.items() if getattr(entry, name)}
    told |= {f"{key}Label": name for key, name in _LABELS.items() if key in told}
    told |= {"rt": str(entry.at), "ostiaryNumber": str(entry.number), "ostiaryTook": str(entry.took)}
    for key, values in (("ostiaryArguments", entry.arguments), ("ostiaryHashed", entry.hashed)):
        if values:
            told[key] = json.dumps(values, ensure_ascii=False)
    if entry.allowed is not None:
        told["ostiaryAllowed"] = "true" if entry.allowed else "false"
    return told


def header(entry: AuditEntry, version: str) -> tuple[str, ...]:
    """Vendor, product, version, class, name and severity."""
    name = f"{entry.method or 'request'} {entry.outcome}".strip()
    return "Ostiary", "ostiary", version, entry.method or "request", name, str(_severity(entry))


def cef(entry: AuditEntry, version: str) -> str:
    """``entry`` as one line, without its end; ``version`` is the program's."""
    head = "|".join(each.translate(_HEADER) for each in header(entry, version))
    told = " ".join(f"{key}={value.translate(_VALUE)}" for key, value in extension(entry).items())
    return f"CEF:0|{head}|{told}"


def _severity(entry: AuditEntry) -> int:
    if entry.allowed is False:
        return REFUSED
    return USUAL if entry.outcome == "ok" else FAILED
