"""The tools for people: who there is, accounts and their keys, and which tools one's own lists leave out.

Names, arguments and answers are those that administrators of such servers know. What is done, and what is asked of the
policy for it, stands in ``gateway/manage``.
"""

from collections.abc import Mapping
from functools import partial
from typing import Final, cast

from gateway.builtins.terms import Answer, Builtin, Could, Whose
from gateway.manage import people as directory
from gateway.manage import preferences
from gateway.manage.asking import Asker
from gateway.manage.letters import Delivery
from gateway.manage.office import Office
from gateway.manage.people import DIRECTORY, KEYS, MOST_ON_A_PAGE, PAGE, USERS, Issued, Record
from gateway.manage.preferences import MOST_HIDDEN
from gateway.manage.users import MOST_NAME
from gateway.mcp.terms import Params
from gateway.policy.terms import Json

MOST_ROLES: Final = 50

_READS: Final[Params] = {"readOnlyHint": True, "destructiveHint": False, "idempotentHint": True, "openWorldHint": False}
_ADDS: Final[Params] = {**_READS, "readOnlyHint": False, "idempotentHint": False}
_SETS: Final[Params] = {**_READS, "readOnlyHint": False}
_REPLACES: Final[Params] = {**_SETS, "destructiveHint": True}
_ENDS: Final[Params] = {**_REPLACES, "idempotentHint": False}

_ANYBODY: Final = (Could(DIRECTORY, "inspect"),)
_ONESELF: Final = (Could(DIRECTORY, "inspect", Whose.OWN),)
_ACCOUNTS: Final = (Could(USERS, "manage"),)

_EMAIL: Final[Params] = {"type": "string", "minLength": 3, "maxLength": 254, "description": "The e-mail address."}
_NAME: Final[Params] = {"type": "string", "maxLength": MOST_NAME, "description": "What the person is called."}
_ROLES: Final[Params] = {
    "type": "array",
    "items": {"type": "string", "minLength": 1, "maxLength": 64},
    "maxItems": MOST_ROLES,
    "description": "The roles, such as `user`, `power-user` or `admin`.",
}
_TOOLS: Final[Params] = {
    "type": "array",
    "items": {"type": "string", "minLength": 1, "maxLength": 400},
    "minItems": 1,
    "maxItems": MOST_HIDDEN,
    "description": "The tools, as `creator:name` or by the names that your list shows.",
}

_LETTERS: Final[Mapping[Delivery, str]] = {
    Delivery.OFF: "No mail is sent here, so hand the key over yourself.",
    Delivery.SENT: "A mail tells its user how to connect.",
    Delivery.FAILED: "The mail to its user could not be sent, so hand the key over yourself.",
}
_SHOWN_ONCE: Final = "The key is shown this once: keep it safe."


def people(office: Office) -> tuple[Builtin, ...]:
    """The tools for people, over the operations of ``office``."""
    return (*_looking(office), *_administering(office), *_arranging(office))


def _looking(office: Office) -> tuple[Builtin, ...]:
    return (
        Builtin(
            name="list-users",
            title="List users",
            description="Lists the people who have an account here, page by page, in order of address.",
            schema=_schema(
                nameContains={
                    "type": "string",
                    "maxLength": MOST_NAME,
                    "description": "Only those whose address or name holds this text, in whatever case.",
                },
                skip={"type": "integer", "minimum": 0, "description": "How many to leave out in front.", "default": 0},
                limit={"type": "integer", "minimum": 1, "maximum": MOST_ON_A_PAGE, "default": PAGE},
            ),
            hints=_READS,
            could=_ANYBODY,
            does=_list_users,
        ),
        Builtin(
            name="user-info",
            title="User information",
            description="Tells about an account: your own in full, of others the name, unless you administer them.",
            schema=_schema(email={**_EMAIL, "description": "Whose account; without it, your own."}),
            hints=_READS,
            could=_ANYBODY,
            does=partial(_user_info, office),
        ),
    )


def _administering(office: Office) -> tuple[Builtin, ...]:
    delete = partial(_delete_user, office)
    whose = _schema("email", email=_EMAIL)
    return (
        Builtin(
            name="add-user",
            title="Add a user",
            description="Makes an account with its roles, and returns its API key, this once.",
            schema=_schema("email", email=_EMAIL, name=_NAME, roles=_ROLES),
            hints=_ADDS,
            could=_ACCOUNTS,
            does=partial(_add_user, office),
        ),
        Builtin(
            name="update-user",
            title="Update a user",
            description="Changes the name of a person, or replaces all roles of an account by those given.",
            schema=_schema("email", email=_EMAIL, name=_NAME, roles=_ROLES),
            hints=_REPLACES,
            could=_ACCOUNTS,
            does=partial(_update_user, office),
        ),
        Builtin(
            name="delete-user",
            title="Delete a user",
            description="Ends an account at once, with its keys, connections, tools, prompts and shares.",
            schema=whose,
            hints=_ENDS,
            could=_ACCOUNTS,
            does=delete,
        ),
        Builtin(
            name="remove-user",
            title="Remove a user",
            description="As `delete-user`. Ask the person you work for to confirm the address before you call it.",
            schema=whose,
            hints=_ENDS,
            could=_ACCOUNTS,
            does=delete,
        ),
        Builtin(
            name="reset-api-key",
            title="Reset an API key",
            description=(
                "Replaces the API key of an account, your own unless you name another. Call it without "
                "`userConfirmed` first, ask the person you work for, then call it with `userConfirmed` true."
            ),
            schema=_schema(
                email={**_EMAIL, "description": "Whose key; without it, your own."},
                userConfirmed={"type": "boolean", "description": "Whether the person confirmed it.", "default": False},
            ),
            hints=_ENDS,
            could=(Could(KEYS, "manage"),),
            does=partial(_reset_key, office),
        ),
    )


def _arranging(office: Office) -> tuple[Builtin, ...]:
    return (
        Builtin(
            name="hide-tool",
            title="Hide tools",
            description="Leaves tools out of your list of tools. They can still be called.",
            schema=_schema("toolId", toolId=_TOOLS),
            hints=_SETS,
            could=_ONESELF,
            does=partial(_hide, office),
        ),
        Builtin(
            name="unhide-tool",
            title="Show hidden tools",
            description="Shows tools in your list again that you had hidden.",
            schema=_schema("toolId", toolId=_TOOLS),
            hints=_SETS,
            could=_ONESELF,
            does=partial(_unhide, office),
            always_visible=True,
        ),
    )


def _schema(*required: str, **properties: Params) -> Params:
    shown: Params = {"type": "object", "properties": dict(properties), "additionalProperties": False}
    return {**shown, "required": list(required)} if required else shown


async def _list_users(asker: Asker, args: Params) -> Answer:
    skip, limit = _number(args, "skip", 0), _number(args, "limit", PAGE)
    page = await directory.list_users(asker, contains=_text(args, "nameContains"), skip=skip, limit=limit)
    shown = len(page.people)
    users: list[Json] = [each.shown for each in page.people]
    further = (f"Call `list-users` with `skip` {skip + shown} for the next page.",) if page.more else ()
    return Answer({"users": users, "total": shown, "hasMore": page.more}, f"{_people(shown)} shown.", further)


async def _user_info(office: Office, asker: Asker, args: Params) -> Answer:
    email = _text(args, "email")
    found = await directory.user_info(office, asker, email)
    if found is None:
        return Answer({"exists": False, "email": email}, f"There is no user `{email}`.")
    if isinstance(found, Record):
        return Answer(found.shown, f"The account of {found.email}.")
    return Answer({"exists": True, **found.shown}, f"{found.email} has an account.")


async def _add_user(office: Office, asker: Asker, args: Params) -> Answer:
    issued = await directory.add_user(
        office, asker, _text(args, "email"), name=_text(args, "name"), roles=_texts(args, "roles")
    )
    return _with_key(issued, f"Made the account {issued.record.email}.")


async def _update_user(office: Office, asker: Asker, args: Params) -> Answer:
    record = await directory.update_user(
        office,
        asker,
        _text(args, "email"),
        name=_text(args, "name") if "name" in args else None,
        roles=_texts(args, "roles") if "roles" in args else None,
    )
    return Answer(record.shown, f"Updated the account {record.email}.")


async def _delete_user(office: Office, asker: Asker, args: Params) -> Answer:
    email = await directory.delete_user(office, asker, _text(args, "email"))
    return Answer({"success": True, "email": email}, f"Ended the account {email} with everything of its own.")


async def _reset_key(office: Office, asker: Asker, args: Params) -> Answer:
    email = _text(args, "email")
    if args.get("userConfirmed") is not True:
        id = directory.may_reset(asker, email)
        return Answer(
            {"success": False, "email": id, "confirmationNeeded": True},
            f"Nothing was done yet. A reset ends the API key of {id} at once, with all that is open under it.",
            ("Ask the person you work for whether that is wanted.", "Then call it with `userConfirmed` true."),
        )
    issued = await directory.reset_key(office, asker, email)
    return _with_key(issued, f"Replaced the API key of {issued.record.email}; the former one has ended.")


async def _hide(office: Office, asker: Asker, args: Params) -> Answer:
    hidden = await preferences.hide(office, asker, _texts(args, "toolId"))
    return _arranged(hidden, "Hidden.", "`unhide-tool` shows them again.")


async def _unhide(office: Office, asker: Asker, args: Params) -> Answer:
    hidden = await preferences.unhide(office, asker, _texts(args, "toolId"))
    return _arranged(hidden, "Shown again.")


def _with_key(issued: Issued, message: str) -> Answer:
    record = issued.record
    result: dict[str, Json] = {
        "email": record.email,
        "name": record.name,
        "roles": list(record.roles),
        "apiKey": issued.key.key.reveal(),
    }
    return Answer(result, f"{message} {_LETTERS[issued.delivery]}", (_SHOWN_ONCE,))


def _arranged(hidden: tuple[str, ...], message: str, *next_steps: str) -> Answer:
    return Answer({"success": True, "hiddenTools": list(hidden)}, message, next_steps)


def _people(number: int) -> str:
    return "1 person" if number == 1 else f"{number} people"


def _text(args: Params, name: str) -> str:
    """An argument that the schema holds to be a text; ``""`` where there is none."""
    return cast("str", args.get(name, ""))


def _number(args: Params, name: str, default: int) -> int:
    """A whole number; JSON may write one as `20.0`."""
    return int(cast("float", args.get(name, default)))


def _texts(args: Params, name: str) -> list[str]:
    return cast("list[str]", args.get(name, []))
