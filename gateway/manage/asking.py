"""What an administrative operation asks of the policy, and of whom it asks it.

Every operation is one function of this package that takes an ``Asker`` and asks before it acts: a tool, a route and a
page of one operation call the same function. Nothing here decides.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from gateway.identity import Identities
from gateway.policy.engine import Policy
from gateway.policy.terms import MAIN, NOTHING, Json, Subject


@dataclass(frozen=True, slots=True)
class Operation:
    """One question. ``method`` names it in the audit entry (``connections.end``); ``object`` and ``action`` are as
    policy rows write them, ``owner`` is whose record is concerned (a subject, or ``system``), ``args`` the whole new
    record as conditions may ask of it.
    """

    method: str
    object: str
    action: str
    owner: str
    args: Mapping[str, Json] = field(default_factory=lambda: NOTHING)
    domain: str = MAIN


@dataclass(frozen=True, slots=True)
class VisibleTool:
    """One tool that its subject sees on ``main``. ``id`` is how records name it (``ann@example.com:report``,
    ``slack:send_message``, ``system:list-tools``), ``name`` how clients do; ``owner`` made it (``""``: no user did).
    ``object`` and ``action`` are what a call of it asks about (``""``: a tool of the gateway itself asks for itself).
    Where it is ``hidden``, his own lists leave it out.
    """

    id: str
    name: str
    title: str
    description: str
    owner: str
    object: str
    action: str
    always_visible: bool
    hidden: bool


@dataclass(frozen=True, slots=True)
class VisiblePrompt:
    """The same of a prompt; ``arguments`` are as a list shows them."""

    id: str
    name: str
    title: str
    description: str
    owner: str
    arguments: tuple[Json, ...]


class Asker(Protocol):
    """One subject at the door: whom he is proven to be, and what he may. It stands in one snapshot."""

    @property
    def subject(self) -> Subject: ...
    @property
    def policy(self) -> Policy: ...
    @property
    def identities(self) -> Identities: ...
    @property
    def env(self) -> Mapping[str, Json]:
        """The root ``env`` of conditions; ``now`` is in ms since the epoch."""

    def allow(self, operation: Operation) -> None:
        """Return when he may; raises ``Denied``. The audit entry tells of the last question."""

    def may(self, operation: Operation) -> bool:
        """Whether he may: for cutting a list to what he may see."""

    async def visible_tools(self) -> Sequence[VisibleTool]:
        """Every tool that he sees on ``main``, in the order of its list, the hidden ones too."""

    async def visible_prompts(self) -> Sequence[VisiblePrompt]:
        """Every prompt that he sees on ``main``, in the order of its list."""


def now_of(asker: Asker) -> int:
    """When he asks, in ms since the epoch."""
    now = asker.env["now"]
    if not isinstance(now, int):
        raise TypeError("`env.now` is a number")
    return now
