"""The tools for tools: which there are for whom, and making, changing and deleting some of one's own.

Names, arguments and answers are those that clients of such servers know. What is done, and what is asked of the policy
for it, stands in ``gateway/manage``.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from gateway.builtins import forms
from gateway.builtins.terms import Answer, Builtin, Could, Whose
from gateway.errors import InvalidArguments
from gateway.manage import definitions
from gateway.manage.asking import Asker, VisibleTool
from gateway.manage.custom_lists import DIRECTORY, SeenTools, list_tools
from gateway.manage.office import Office
from gateway.manage.sorts import Tools
from gateway.mcp.terms import Params
from gateway.policy.terms import Json

SHOWN_DESCRIPTION: Final = 300
"""Signs of a description that a list shows: whole ones stand in ``tools/list``."""

_WHOLE: Final = "toolDefinition"
_FIELDS: Final[dict[str, Params]] = {
    "title": {"type": "string", "description": "What people read instead of the name."},
    "description": {"type": "string", "description": "What it does, for whoever chooses among tools."},
    "inputSchema": {"type": "object", "description": "The JSON schema of its arguments."},
    "annotations": {"type": "object", "description": "`title`, `readOnlyHint`, `destructiveHint` and the like."},
    "handler": {
        "type": "object",
        "description": (
            "What it calls: a `type` and a `config`. Type `connector`: `connector`, `action`, `args`; type `upstream`: "
            "`upstream`, `tool`, `args`; type `http`: `method`, `url`, `query`, `headers`, `body`; otherwise the name "
            "of a handler package, with its `action` and `args`. `{{x}}` stands for the argument `x`."
        ),
    },
    "rolesPermitted": forms.ROLES,
    "alwaysVisible": forms.ALWAYS,
}
_NAME: Final[Params] = {"type": "string", "description": "1 to 64 letters, digits, `-` and `_`."}


def tools(office: Office, packages: Collection[str] | None = None) -> tuple[Builtin, ...]:
    """The tools for tools, over the operations of ``office``; ``packages`` are the handler packages that there are
    (``None``: not looked at).
    """
    does = _Tools(office, Tools(packages))
    return (_list(does), *_making(does))


def _list(does: "_Tools") -> Builtin:
    return Builtin(
        name="list-tools",
        title="List tools",
        description="Lists the tools that you may use, and which of them your list leaves out.",
        schema=forms.schema(
            nameContains=forms.CONTAINS,
            definitionOf={**forms.named("A tool"), "description": "A tool of yours whose whole definition is told."},
        ),
        hints=forms.READS,
        could=(Could(DIRECTORY, "inspect", Whose.OWN),),
        does=does.listed,
        always_visible=True,
    )


def _making(does: "_Tools") -> tuple[Builtin, ...]:
    whole: Params = {"type": "object", "description": "All the other fields, in one object instead."}
    return (
        Builtin(
            name="add-tool",
            title="Add a tool",
            description="Makes a tool of your own that calls another one, or an HTTP address, with mapped arguments.",
            schema=forms.schema(toolDefinition=whole, name=_NAME, **_FIELDS),
            hints=forms.ADDS,
            could=(_could("add"),),
            does=does.added,
        ),
        Builtin(
            name="update-tool",
            title="Update a tool",
            description="Replaces fields of a tool that you made, or whose texts were shared with you for changing.",
            schema=forms.schema(
                "name", "updates", name=forms.named("The tool"), updates=forms.schema(**_FIELDS), rev=forms.REV
            ),
            hints=forms.CHANGES,
            could=(_could("update"),),
            does=does.updated,
        ),
        Builtin(
            name="delete-tool",
            title="Delete a tool",
            description="Deletes a tool that you made; whoever it is shared with loses it.",
            schema=forms.schema("name", name=forms.named("The tool")),
            hints=forms.ENDS,
            could=(_could("delete"),),
            does=does.deleted,
        ),
    )


def _could(operation: str) -> Could:
    return Could("custom/*", "manage", known={"operation": operation})


@dataclass(frozen=True, slots=True)
class _Tools:
    office: Office
    sort: Tools

    async def listed(self, asker: Asker, args: Params) -> Answer:
        contains = forms.text(args, "nameContains")
        seen = await list_tools(asker, contains)
        result: Params = {
            "visibleTools": [_shown(each) for each in seen.visible],
            "total": len(seen.visible) + len(seen.hidden),
            "filtered": bool(contains),
            "hiddenTools": [each.id for each in seen.hidden],
        }
        if seen.same:
            result["duplicateBaseNames"] = [
                {"baseName": name, "namespacedNames": list(ids)} for name, ids in seen.same.items()
            ]
        if named := forms.text(args, "definitionOf"):
            result["definition"] = await definitions.see(self.office, asker, self.sort, named)
        return Answer(result, _message(seen), ("`hide-tool` and `unhide-tool` choose which ones your list shows.",))

    async def added(self, asker: Asker, args: Params) -> Answer:
        made = await definitions.add(self.office, asker, self.sort, _definition(args))
        return Answer(
            {"success": True, "name": made["name"], "tool": made},
            f"The tool `{made['id']}` was added.",
            (f"Call it as `{made['name']}`.", "`share-tool` lets others use it."),
        )

    async def updated(self, asker: Asker, args: Params) -> Answer:
        named, updates = forms.text(args, "name"), forms.object_in(args, "updates")
        made = await definitions.update(self.office, asker, self.sort, named, updates, forms.rev_in(args))
        result: Json = {"success": True, "name": made["name"], "updated": made}
        return Answer(result, f"The tool `{made['id']}` was updated.")

    async def deleted(self, asker: Asker, args: Params) -> Answer:
        id = await definitions.delete(self.office, asker, self.sort, forms.text(args, "name"))
        return Answer({"success": True, "name": id}, f"The tool `{id}` was deleted, with all shares of it.")


def _definition(args: Params) -> Params:
    """The fields, which may stand in one object."""
    if _WHOLE not in args:
        return args
    if len(args) > 1:
        raise InvalidArguments(f"`{_WHOLE}`: has all fields in it; leave the others out")
    return forms.object_in(args, _WHOLE)


def _shown(tool: VisibleTool) -> Params:
    whole = tool.description
    return {
        "name": tool.name,
        "id": tool.id,
        "title": tool.title,
        "description": whole if len(whole) <= SHOWN_DESCRIPTION else f"{whole[: SHOWN_DESCRIPTION - 1]}…",
        "hidden": False,
        "alwaysVisible": tool.always_visible,
    }


def _message(seen: SeenTools) -> str:
    hidden = ", ".join(f"`{each.id}`" for each in seen.hidden)
    said = f"Your list leaves out {hidden}." if hidden else "Your list leaves out none."
    for name, ids in seen.same.items():
        several = ", ".join(f"`{each}`" for each in ids)
        said += f" Several tools are called `{name}`: {several}. The name alone means your own, or else the oldest."
    return said
