"""What somebody means who names a tool or prompt that users made: whose it is, and its own name.

Found is what he means, whether there is such a thing or not: who asks about it first, and looks then, tells nobody
what there is. Nothing here asks the policy whether he may.
"""

from collections.abc import Callable
from typing import NamedTuple, TypeVar

from gateway.custom.known import Made
from gateway.custom.names import CUSTOM, owner_called, prompt_object, read_address, tool_object
from gateway.errors import InvalidArguments
from gateway.identity import normal_email
from gateway.manage.asking import Asker, now_of
from gateway.manage.office import Office
from gateway.policy.terms import MAIN, SYSTEM
from gateway.records import CustomPrompt, CustomTool

R = TypeVar("R", CustomTool, CustomPrompt)


class Found(NamedTuple):
    """Whose it is (a subject, or ``system``), and its own name."""

    owner: str
    name: str


def found_tool(office: Office, asker: Asker, text: str) -> Found:
    """The tool that ``text`` means: ``creator:name``, or a bare name, which means what lists call so: his own, or else
    the oldest. Raises ``InvalidArguments``.
    """
    return _first(office.snapshot().custom.tools, asker, text, tool_object)


def found_prompt(office: Office, asker: Asker, text: str) -> Found:
    """The same of a prompt."""
    return _first(office.snapshot().custom.prompts, asker, text, prompt_object)


def owners(made: Made[R], asker: Asker, name: str, object: str) -> tuple[str, ...]:
    """Whose the thing called ``name`` can be for him, in the order in which lists give the name away: himself, then the
    one who made it first, of those whom rows let him use and ``system``, of whose he need not know. Himself, too, where
    there is none.
    """
    mine = asker.subject.name
    lent = asker.policy.lent(asker.subject, MAIN, CUSTOM, now_of(asker))
    lenders: list[str] = [owner for owner, rows in lent.items() if any(_covers(row, object) for row in rows)]
    known = {owner: record for owner in (mine, *lenders, SYSTEM) if (record := made.get(owner, name)) is not None}
    order = sorted(known, key=lambda owner: (owner != mine, known[owner].created_at, owner))
    return tuple(order) or (mine,)


def owner_named(creator: str) -> str:
    """The owner whom ``creator`` (an e-mail address, or ``system``) means. Raises ``InvalidArguments``."""
    if creator == SYSTEM:
        return SYSTEM
    try:
        return owner_called(normal_email(creator))
    except ValueError as error:
        raise InvalidArguments(f"`name`: what stands before the colon says who made it: {error}") from None


def _first(made: Made[R], asker: Asker, text: str, object_of: Callable[[str], str]) -> Found:
    named = read_address(text)
    if named.creator:
        return Found(owner_named(named.creator), named.name)
    return Found(owners(made, asker, named.name, object_of(named.name))[0], named.name)


def _covers(row: str, object: str) -> bool:
    return row == object or (row.endswith("*") and object.startswith(row[:-1]))
