"""The tools for prompts: which there are for whom, and making, changing and deleting some of one's own.

Names, arguments and answers are those that clients of such servers know. What is done, and what is asked of the policy
for it, stands in ``gateway/manage``.
"""

from dataclasses import dataclass
from typing import Final

from gateway.builtins import forms
from gateway.builtins.terms import Answer, Builtin, Could, Whose
from gateway.manage import definitions
from gateway.manage.asking import Asker, VisiblePrompt
from gateway.manage.custom_lists import DIRECTORY, list_prompts
from gateway.manage.office import Office
from gateway.manage.sorts import Prompts
from gateway.mcp.terms import Params
from gateway.policy.terms import Json

_SORT: Final = Prompts()

_ARGUMENTS: Final[Params] = {
    "type": "array",
    "items": {"type": "object"},
    "description": "What can be given: each with a `name`, and perhaps a `description` and `required`.",
}
_HANDLER: Final[Params] = {
    "type": "object",
    "description": (
        "Its texts: type `template` with a `config` that has either a `template`, which the user says, or `messages`, "
        "each with a `role` and a `text`. `{{x}}` stands for the argument `x`."
    ),
}
_FIELDS: Final[dict[str, Params]] = {
    "title": {"type": "string", "description": "What people read instead of the name."},
    "description": {"type": "string", "description": "What it is for."},
    "arguments": _ARGUMENTS,
    "handler": _HANDLER,
    "rolesPermitted": forms.ROLES,
    "alwaysVisible": forms.ALWAYS,
}
_NAME: Final[Params] = {"type": "string", "description": "1 to 64 letters, digits, `-` and `_`."}


def prompts(office: Office) -> tuple[Builtin, ...]:
    """The tools for prompts, over the operations of ``office``."""
    does = _Prompts(office)
    return (_list(does), *_making(does))


def _list(does: "_Prompts") -> Builtin:
    return Builtin(
        name="list-prompts",
        title="List prompts",
        description="Lists the prompts that you may use.",
        schema=forms.schema(
            nameContains=forms.CONTAINS,
            definitionOf={
                **forms.named("A prompt"),
                "description": "A prompt of yours whose whole definition is told.",
            },
        ),
        hints=forms.READS,
        could=(Could(DIRECTORY, "inspect", Whose.OWN),),
        does=does.listed,
        always_visible=True,
    )


def _making(does: "_Prompts") -> tuple[Builtin, ...]:
    return (
        Builtin(
            name="add-prompt",
            title="Add a prompt",
            description="Makes a prompt of your own: texts with gaps, which arguments fill.",
            schema=forms.schema("name", "handler", name=_NAME, **_FIELDS),
            hints=forms.ADDS,
            could=(_could("add"),),
            does=does.added,
        ),
        Builtin(
            name="update-prompt",
            title="Update a prompt",
            description="Replaces fields of a prompt that you made, or whose texts were shared with you for changing.",
            schema=forms.schema(
                "name", "updates", name=forms.named("The prompt"), updates=forms.schema(**_FIELDS), rev=forms.REV
            ),
            hints=forms.CHANGES,
            could=(_could("update"),),
            does=does.updated,
        ),
        Builtin(
            name="delete-prompt",
            title="Delete a prompt",
            description="Deletes a prompt that you made; whoever it is shared with loses it.",
            schema=forms.schema("name", name=forms.named("The prompt")),
            hints=forms.ENDS,
            could=(_could("delete"),),
            does=does.deleted,
        ),
    )


def _could(operation: str) -> Could:
    return Could("custom/prompt:*", "manage", known={"operation": operation})


@dataclass(frozen=True, slots=True)
class _Prompts:
    office: Office

    async def listed(self, asker: Asker, args: Params) -> Answer:
        contains = forms.text(args, "nameContains")
        seen = await list_prompts(asker, contains)
        shown: list[Json] = [_shown(each) for each in seen]
        result: Params = {"prompts": shown, "total": len(shown), "filtered": bool(contains)}
        if named := forms.text(args, "definitionOf"):
            result["definition"] = await definitions.see(self.office, asker, _SORT, named)
        told = "1 prompt." if len(shown) == 1 else f"{len(shown)} prompts."
        return Answer(result, told, () if shown else ("`add-prompt` makes one.",))

    async def added(self, asker: Asker, args: Params) -> Answer:
        made = await definitions.add(self.office, asker, _SORT, args)
        return Answer(
            {"success": True, "name": made["name"], "prompt": made},
            f"The prompt `{made['id']}` was added.",
            (f"Use it as `{made['name']}`.", "`share-tool` lets others use it."),
        )

    async def updated(self, asker: Asker, args: Params) -> Answer:
        named, updates = forms.text(args, "name"), forms.object_in(args, "updates")
        made = await definitions.update(self.office, asker, _SORT, named, updates, forms.rev_in(args))
        result: Json = {"success": True, "name": made["name"], "prompt": made}
        return Answer(result, f"The prompt `{made['id']}` was updated.")

    async def deleted(self, asker: Asker, args: Params) -> Answer:
        id = await definitions.delete(self.office, asker, _SORT, forms.text(args, "name"))
        return Answer({"success": True, "name": id}, f"The prompt `{id}` was deleted, with all shares of it.")


def _shown(prompt: VisiblePrompt) -> Params:
    return {
        "name": prompt.name,
        "id": prompt.id,
        "title": prompt.title,
        "description": prompt.description,
        "arguments": list(prompt.arguments),
    }
