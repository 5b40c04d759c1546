"""The tools for sharing: letting others use a tool or prompt of one's own, and taking that back.

Names, arguments and answers are those that clients of such servers know, but that nobody is told more of a recipient
than the share. What is done, and what is asked of the policy for it, stands in ``gateway/manage``.
"""

from dataclasses import dataclass
from typing import Final, cast

from gateway.builtins import forms
from gateway.builtins.terms import Answer, Builtin, Could
from gateway.errors import InvalidArguments
from gateway.manage.asking import Asker
from gateway.manage.loans import MOST_DAYS, Level
from gateway.manage.office import Office
from gateway.manage.share_rows import Share
from gateway.manage.shares import DAYS, share, unshare
from gateway.mcp.terms import Params

MISSING: Final = "email, toolId, and accessLevel are required"
MISSING_HERE: Final = "email and toolId are required"

_ANYTHING: Final = ("*", "custom/prompt:*")
_RECIPIENT: Final[dict[str, Params]] = {
    "email": {"type": "string", "minLength": 1, "maxLength": 320, "description": "The person's e-mail address."},
    "to": {
        "type": "string",
        "minLength": 1,
        "maxLength": 320,
        "description": "Instead of `email`: `role:NAME` for everybody in a role.",
    },
}
_TOOL: Final[Params] = {
    "type": "string",
    "minLength": 1,
    "maxLength": 400,
    "description": "The tool, as `creator:name`, `connector:tool` or by its name alone; `prompt:NAME` for a prompt.",
}
_LEVEL: Final[Params] = {
    "type": "string",
    "enum": [each.value for each in Level],
    "description": "`read`: see and call it; of a connector's tool only one that reads. `write`: change its texts too.",
}
_DAYS: Final[Params] = {
    "type": "integer",
    "minimum": 1,
    "maximum": MOST_DAYS,
    "default": DAYS,
    "description": "For how many days.",
}
_ACCOUNT: Final[Params] = {
    "type": "boolean",
    "default": False,
    "description": "Whether a tool that you made may call what it calls on your own account, for this recipient.",
}
_CONNECTION: Final[Params] = {
    "type": "string",
    "maxLength": 64,
    "description": "Which of your connections is lent, where you have several.",
}


def shares(office: Office) -> tuple[Builtin, ...]:
    """The tools for sharing, over the operations of ``office``."""
    does = _Shares(office)
    return (
        Builtin(
            name="share-tool",
            title="Share a tool",
            description="Lets another person, or everybody in a role, use a tool or prompt of yours for a while.",
            schema=forms.schema(
                "toolId",
                "accessLevel",
                **_RECIPIENT,
                toolId=_TOOL,
                accessLevel=_LEVEL,
                days=_DAYS,
                withAccount=_ACCOUNT,
                connection=_CONNECTION,
            ),
            hints=forms.CHANGES,
            could=tuple(Could(each, "share") for each in _ANYTHING),
            does=does.share,
        ),
        Builtin(
            name="unshare-tool",
            title="Unshare a tool",
            description="Ends what another person, or a role, may do with a tool or prompt of yours by your shares.",
            schema=forms.schema("toolId", **_RECIPIENT, toolId=_TOOL),
            hints=forms.ENDS,
            could=tuple(Could(each, "revoke") for each in _ANYTHING),
            does=does.unshare,
        ),
    )


@dataclass(frozen=True, slots=True)
class _Shares:
    office: Office

    async def share(self, asker: Asker, args: Params) -> Answer:
        made = await share(
            self.office,
            asker,
            forms.text(args, "toolId"),
            _recipient(args, MISSING),
            forms.text(args, "accessLevel"),
            int(cast("float", args.get("days", DAYS))),
            with_account=args.get("withAccount") is True,
            connection=forms.text(args, "connection"),
        )
        message = f"Shared {made.tool_id} with {made.shown['sharedWith']} at access level {made.level.value}."
        return Answer(made.shown, message, _next(made))

    async def unshare(self, asker: Asker, args: Params) -> Answer:
        tool, to = forms.text(args, "toolId"), _recipient(args, MISSING_HERE)
        ended = await unshare(self.office, asker, tool, to)
        return Answer(
            {"success": True, "toolId": tool, "sharedWith": to, "ended": ended},
            f"{tool} is no longer shared with {to}.",
            ("What they see and may call changes at once.",),
        )


def _recipient(args: Params, missing: str) -> str:
    named = [text for text in (forms.text(args, "email"), forms.text(args, "to")) if text]
    if len(named) != 1:
        raise InvalidArguments(f"{missing}; name one recipient, as `email` or as `to`")
    return named[0]


def _next(made: Share) -> tuple[str, ...]:
    steps = ["It ends by itself; `unshare-tool` ends it before.", "Its recipient finds it in the list at once."]
    if made.object.startswith("custom/") and not made.account:
        steps.append("What it calls is called on the recipient's account; `withAccount` lends yours.")
    return tuple(steps)
