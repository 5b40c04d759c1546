"""The tools for API keys: one's own, and those of the accounts that one administers.

What is done, and what is asked of the policy for it, stands in ``gateway/manage/keys.py``.
"""

from functools import partial
from typing import Final, cast

from gateway.builtins import forms
from gateway.builtins.terms import Answer, Builtin, Could
from gateway.manage import keys as operations
from gateway.manage.asking import Asker
from gateway.manage.key_bounds import MOST_DAYS, MOST_NAME, MOST_OVERLAP_S, MOST_SERVERS
from gateway.manage.keys import Fresh
from gateway.manage.office import Office
from gateway.manage.people import KEYS
from gateway.mcp.terms import Params
from gateway.policy.terms import Json

_EMAIL: Final[Params] = {
    "type": "string",
    "minLength": 3,
    "maxLength": 254,
    "description": "Whose keys; without it, your own.",
}
_ID: Final[Params] = {
    "type": "string",
    "minLength": 1,
    "maxLength": 80,
    "description": "The `id` of the key, as `list-keys` tells it.",
}
_DAYS: Final[Params] = {"type": "integer", "minimum": 1, "maximum": MOST_DAYS}
_SHOWN_ONCE: Final = "The key is shown this once: keep it safe."


def keys(office: Office) -> tuple[Builtin, ...]:
    """The tools for keys, over the operations of ``office``."""
    return (*_looking(), *_making(office))


def _looking() -> tuple[Builtin, ...]:
    return (
        Builtin(
            name="list-keys",
            title="List API keys",
            description="Lists API keys: how each begins, where it counts and when it ends, but never the key itself.",
            schema=forms.schema(email=_EMAIL),
            hints=forms.READS,
            could=(Could(KEYS, "inspect"),),
            does=_list,
        ),
    )


def _making(office: Office) -> tuple[Builtin, ...]:
    return (
        Builtin(
            name="add-key",
            title="Add an API key",
            description="Makes a further API key, and returns it, this once.",
            schema=forms.schema(
                email=_EMAIL,
                name={"type": "string", "maxLength": MOST_NAME, "description": "What it is for."},
                servers={
                    "type": "array",
                    "items": {"type": "string", "minLength": 1, "maxLength": 200},
                    "maxItems": MOST_SERVERS,
                    "description": "The servers on which alone it counts (`main` is this one); else everywhere.",
                },
                expiresInDays={**_DAYS, "description": "After how many days it ends; without it, never."},
            ),
            hints=forms.ADDS,
            could=(Could(KEYS, "manage"),),
            does=partial(_add, office),
        ),
        Builtin(
            name="rotate-key",
            title="Rotate an API key",
            description="Makes a key in place of another one, for the same servers, and returns it, this once.",
            schema=forms.schema(
                "id",
                id=_ID,
                overlapSeconds={
                    "type": "integer",
                    "minimum": 0,
                    "maximum": MOST_OVERLAP_S,
                    "default": 0,
                    "description": "For how long the former key goes on counting.",
                },
                expiresInDays={**_DAYS, "description": "After how many days it ends; without it, as the former one."},
            ),
            hints=forms.ENDS,
            could=(Could(KEYS, "manage"),),
            does=partial(_rotate, office),
        ),
        Builtin(
            name="revoke-key",
            title="Revoke an API key",
            description="Ends an API key at once, with all that is open under it.",
            schema=forms.schema("id", id=_ID),
            hints=forms.ENDS,
            could=(Could(KEYS, "revoke"),),
            does=partial(_revoke, office),
        ),
    )


async def _list(asker: Asker, args: Params) -> Answer:
    found = await operations.list_keys(asker, forms.text(args, "email"))
    shown: list[Json] = [each.shown for each in found]
    return Answer({"keys": shown, "total": len(shown)}, "1 key." if len(shown) == 1 else f"{len(shown)} keys.")


async def _add(office: Office, asker: Asker, args: Params) -> Answer:
    made = await operations.add_key(
        office,
        asker,
        email=forms.text(args, "email"),
        name=forms.text(args, "name"),
        servers=cast("list[str]", args.get("servers", [])),
        days=_whole(args, "expiresInDays"),
    )
    return _with_key(made, "Made a key.")


async def _rotate(office: Office, asker: Asker, args: Params) -> Answer:
    overlap = _whole(args, "overlapSeconds") or 0
    made = await operations.rotate_key(
        office, asker, forms.text(args, "id"), overlap_s=overlap, days=_whole(args, "expiresInDays")
    )
    ending = f"ends in {overlap} seconds" if overlap else "has ended"
    return _with_key(made, f"Made a key in place of {forms.text(args, 'id')}, which {ending}.")


async def _revoke(office: Office, asker: Asker, args: Params) -> Answer:
    ended = await operations.revoke_key(office, asker, forms.text(args, "id"))
    return Answer({"success": True, "id": ended.id}, f"Ended the key {ended.id} of {ended.email}.")


def _with_key(made: Fresh, message: str) -> Answer:
    return Answer({**made.key.shown, "apiKey": made.secret.reveal()}, message, (_SHOWN_ONCE,))


def _whole(args: Params, name: str) -> int | None:
    """A whole number; JSON may write one as ``20.0``."""
    return int(cast("float", args[name])) if name in args else None
