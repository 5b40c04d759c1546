"""What users may call what they make: by what name, as which object of the policy, and how a definition is addressed.

The same rules hold for tools and prompts. This file does not know what exists.
"""

from dataclasses import dataclass
from typing import Final

from gateway.mcp.names import JOINT, MAX_NAME, META_NAMES, META_SUFFIX, is_plain, object_name
from gateway.mcp.terms import Kind
from gateway.policy.terms import SYSTEM

CUSTOM: Final = "custom"
"""Where everything that users made stands in the policy: ``custom/NAME``, ``custom/prompt:NAME``."""

BUILTINS: Final = frozenset(
    {
        *("list-users", "user-info", "add-user", "update-user", "delete-user", "remove-user", "reset-api-key"),
        *("list-keys", "add-key", "rotate-key", "revoke-key"),
        *("share-tool", "unshare-tool", "hide-tool", "unhide-tool"),
        *("list-tools", "add-tool", "update-tool", "delete-tool"),
        *("list-prompts", "add-prompt", "update-prompt", "delete-prompt"),
    }
)
"""The names of the gateway's own tools."""

RESERVED: Final = BUILTINS | META_NAMES
"""What nothing that users make may be called."""

APART: Final = ":"
"""Stands between creator and name in an address; no name holds it, and no e-mail address."""

_USER: Final = "user:"


@dataclass(frozen=True, slots=True)
class Address:
    """A definition as people name it: ``creator:name``, or its bare name (then ``creator`` is ``""``)."""

    creator: str
    name: str

    def __str__(self) -> str:
        return f"{self.creator}{APART}{self.name}" if self.creator else self.name


def read_address(text: str) -> Address:
    """What ``text`` names; whether there is such a thing is not known here."""
    creator, _, name = text.strip().rpartition(APART)
    return Address(creator, name)


def address(owner: str, name: str) -> str:
    """How people address what ``owner`` made: ``ann@example.com:report``, ``system:report``."""
    return f"{creator_of(owner)}{APART}{name}"


def creator_of(owner: str) -> str:
    """``owner`` (a subject, or ``system``) as people read it."""
    return owner.removeprefix(_USER)


def owner_called(creator: str) -> str:
    """The owner whom ``creator`` (an e-mail address in its normal form, or ``system``) stands for."""
    return SYSTEM if creator == SYSTEM else f"{_USER}{creator}"


def tool_object(name: str) -> str:
    """The policy's object of a tool."""
    return object_name(CUSTOM, Kind.TOOL, name)


def prompt_object(name: str) -> str:
    """The policy's object of a prompt."""
    return object_name(CUSTOM, Kind.PROMPT, name)


def name_problem(name: str) -> str:
    """Why nothing can be called ``name``, as the rest of a sentence that begins with it; ``""`` when it can."""
    folded = name.casefold()
    if not 0 < len(name) <= MAX_NAME or any(not (each.isascii() and (each.isalnum() or each in "_-")) for each in name):
        return f"is not 1 to {MAX_NAME} letters (a to z), digits, `-` and `_`"
    if JOINT in name:
        return f"holds `{JOINT}`, which stands between a connector and its tool; use a single `_`, or `-`"
    if META_SUFFIX in folded:
        return f"holds `{META_SUFFIX}`, which the gateway's own tools end with; leave it out"
    if not is_plain(name):
        return "ends like a name with a suffix that tells two apart (`--` and hexadecimal digits); leave the end out"
    if folded in RESERVED:
        return "is the name of a tool of the gateway itself; choose another"
    return ""
