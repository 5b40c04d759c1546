"""Which tool a dump means by a name: `creator:name`, or the bare name as it was written before there were creators.

Pure. A name that could be several things is none of them.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from gateway.custom.names import RESERVED, address, tool_object
from gateway.identity import normal_email
from gateway.policy.spelling import spelled_name
from gateway.policy.terms import SYSTEM
from gateway.records import CustomTool


@dataclass(frozen=True, slots=True)
class Known:
    """``owners`` are those who made a tool that there is or will be, by its name; ``packages`` the handler packages
    that are installed.
    """

    owners: Mapping[str, tuple[str, ...]]
    packages: Collection[str]

    @classmethod
    def of(cls, tools: Iterable[CustomTool], packages: Collection[str]) -> "Known":
        owners: dict[str, tuple[str, ...]] = {}
        for tool in tools:
            owners[tool.name] = (*owners.get(tool.name, ()), tool.owner)
        return cls(owners, packages)

    def custom(self, text: str, preferred: str) -> tuple[str, str]:
        """Owner and name of a tool that somebody made; of a bare name the one of ``preferred``, or the only one. Raises
        ``ValueError`` with a sentence.
        """
        creator, _, name = text.rpartition(":")
        if name in RESERVED:
            raise ValueError("a tool of administration cannot be shared: give a role that may use it")
        owner = _owner(creator) if creator else self._owner_of(name, preferred)
        if owner not in self.owners.get(name, ()):
            raise ValueError("there is no such tool, or it was refused")
        return owner, name

    def allowed(self, text: str, person: str) -> tuple[str, str]:
        """Owner and object of a tool that somebody was let use; the owner is ``self`` for what a package brings. Raises
        ``LookupError`` where the policy alone says who may, ``ValueError`` where there is none; both with a sentence.
        """
        creator, _, name = text.rpartition(":")
        if name in RESERVED:
            raise LookupError("the gateway has a tool of its own for this; the policy says who may use it")
        if creator in self.packages:
            return "self", f"{creator}/{spelled_name(name)}"
        owner, name = self.custom(text, person)
        return owner, tool_object(name)

    def address(self, text: str, person: str) -> str:
        """How a hidden tool is remembered, ``""`` when there is none of this name."""
        creator, _, name = text.rpartition(":")
        if name in RESERVED:
            return f"{SYSTEM}:{name}"
        if creator in self.packages:
            return f"{creator}:{name}"
        try:
            return address(*self.custom(text, person))
        except ValueError:
            return ""

    def _owner_of(self, name: str, preferred: str) -> str:
        owners = self.owners.get(name, ())
        if preferred in owners:
            return preferred
        if len(owners) > 1:
            raise ValueError(f"{len(owners)} tools have this name, and nobody knows which was meant")
        return owners[0] if owners else ""


def _owner(creator: str) -> str:
    if creator == SYSTEM:
        return SYSTEM
    try:
        return f"user:{normal_email(creator)}"
    except ValueError:
        return ""
