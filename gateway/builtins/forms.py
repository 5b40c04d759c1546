"""What the tools for making tools and prompts have in common: hints, schemas, and how arguments are read."""

from typing import Final, cast

from gateway.mcp.terms import Params

READS: Final[Params] = {"readOnlyHint": True, "destructiveHint": False, "idempotentHint": True, "openWorldHint": False}
ADDS: Final[Params] = {**READS, "readOnlyHint": False, "idempotentHint": False}
CHANGES: Final[Params] = {**READS, "readOnlyHint": False, "destructiveHint": True}
ENDS: Final[Params] = {**CHANGES, "idempotentHint": False}

LONGEST_ADDRESS: Final = 320

CONTAINS: Final[Params] = {
    "type": "string",
    "maxLength": LONGEST_ADDRESS,
    "description": "Only those whose name holds this text, in whatever case.",
}
ROLES: Final[Params] = {
    "type": "array",
    "items": {"type": "string"},
    "description": "The roles that may use it, all of them: `user`, `power-user`. Without it, only its maker may.",
}
ALWAYS: Final[Params] = {"type": "boolean", "description": "Whether lists show it even to who has hidden it."}
REV: Final[Params] = {
    "type": "integer",
    "minimum": 1,
    "description": "Change it only if it still has this `rev`, as it was told last.",
}


def schema(*required: str, **properties: Params) -> Params:
    """A closed schema of an object."""
    shown: Params = {"type": "object", "properties": dict(properties), "additionalProperties": False}
    return {**shown, "required": list(required)} if required else shown


def named(what: str) -> Params:
    """The schema of a name that means something made before."""
    return {
        "type": "string",
        "minLength": 1,
        "maxLength": LONGEST_ADDRESS,
        "description": f"{what}, as `creator:name`, or by its name alone: your own first.",
    }


def text(args: Params, name: str) -> str:
    """An argument that the schema holds to be a text; ``""`` where there is none."""
    return cast("str", args.get(name, ""))


def object_in(args: Params, name: str) -> Params:
    """An argument that the schema holds to be an object; an empty one where there is none."""
    return cast("Params", args.get(name, {}))


def rev_in(args: Params) -> int | None:
    """JSON may write a whole number as ``3.0``."""
    return int(cast("float", args["rev"])) if "rev" in args else None
