"""The words of flows: what their steps give, and the closed list of why one ends badly.

Here belong values alone. This file knows no store, no platform and no page.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from connectors.definition.platform import Platform
from connectors.definition.terms import Input
from gateway.errors import Refusal
from gateway.records import Connected, Flow


class Why(StrEnum):
    """Why a flow ended, or a step of it is refused. Closed: pages, logs and audit entries name it as it is."""

    NO_SUCH_LINK = "no_such_link"
    NO_SUCH_CODE = "no_such_code"
    USED = "used"
    EXPIRED = "expired"
    SIGN_IN = "sign_in"
    OTHER_PERSON = "other_person"
    OTHER_BROWSER = "other_browser"
    SEVERAL_USERS = "several_users"
    NOT_ALLOWED = "not_allowed"
    BAD_CALLBACK = "bad_callback"
    WRONG_ISSUER = "wrong_issuer"
    ACCESS_DENIED = "access_denied"
    INVALID_SCOPE = "invalid_scope"
    INVALID_CLIENT = "invalid_client"
    PROVIDER_ERROR = "provider_error"
    UNAVAILABLE = "unavailable"
    KEY_REFUSED = "key_refused"
    OTHER_ACCOUNT = "other_account"
    GONE = "gone"
    LOST = "lost"


SENTENCES: Final[Mapping[Why, tuple[str, str]]] = {
    Why.NO_SUCH_LINK: ("this link is not one of ours", "ask for a new link"),
    Why.NO_SUCH_CODE: ("this code is not one of ours", "hand over the `code` that the browser brought, as it is"),
    Why.USED: ("this was used already", "ask for a new link"),
    Why.EXPIRED: ("this took longer than ten minutes", "ask for a new link and go on without a break"),
    Why.SIGN_IN: ("nobody is signed in here", "sign in, then open the link again"),
    Why.OTHER_PERSON: ("this link was made for somebody else", "ask for a link of your own; do not use forwarded ones"),
    Why.OTHER_BROWSER: ("this did not come back to the browser that began it", "begin again and stay in one browser"),
    Why.SEVERAL_USERS: (
        "`same_browser` is not safe where there is more than one user",
        "ask the operator to set `binding` to `session` or `confirm`",
    ),
    Why.NOT_ALLOWED: ("the policy does not allow this account to be connected", "ask your security team"),
    Why.BAD_CALLBACK: ("the answer of the platform cannot be used", "begin again"),
    Why.WRONG_ISSUER: ("the answer came from another server than the one that was asked", "begin again"),
    Why.ACCESS_DENIED: ("the platform was told not to give access", "begin again and agree there"),
    Why.INVALID_SCOPE: ("the platform does not give what was asked for", "ask the operator to look at `scopes`"),
    Why.INVALID_CLIENT: (
        "the platform does not accept the registration of this gateway",
        "ask the operator to look at `client_id` and `client_secret`",
    ),
    Why.PROVIDER_ERROR: ("the platform reported an error", "begin again; if that does not help, ask the operator"),
    Why.UNAVAILABLE: ("the platform did not answer in time", "try again in a few minutes"),
    Why.KEY_REFUSED: ("the platform does not accept what was typed", "look at it and type it again"),
    Why.OTHER_ACCOUNT: ("another account was connected than before", "begin again and choose the former account there"),
    Why.GONE: ("the connection was ended meanwhile", "connect the account anew"),
    Why.LOST: ("what was begun cannot be read any more", "begin again"),
}
"""What people read: what happened, and what to do about it."""


class FlowRefused(Refusal):
    """A step of a flow that is not taken; ``why`` says it in one word."""

    code, status, kind = -31008, 403, "flow_refused"

    def __init__(self, why: Why, *, detail: str = "") -> None:
        happened, remedy = SENTENCES[why]
        super().__init__(f"{happened}; {remedy}", detail=detail)
        self.why = why


class BadInputs(Refusal):
    """What was typed does not fit; ``fields`` says by name what is wrong with each."""

    code, status, kind = -32602, 400, "bad_inputs"

    def __init__(self, fields: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"`{name}`: {sentence}" for name, sentence in fields.items()))
        self.fields = fields


@dataclass(frozen=True, slots=True)
class Started:
    """A flow, and the ``link`` that opens it: absolute, shown once, good once."""

    flow: Flow
    link: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Opened:
    """What the page of a link shows: the flow, what it connects to, and what has to be typed (``fields``).

    ``former`` is the connection that is made anew, if one is.
    """

    flow: Flow
    platform: Platform
    fields: tuple[Input, ...] = ()
    former: Connected | None = None


@dataclass(frozen=True, slots=True)
class Redirect:
    """Where the browser goes to agree: the platform's own page."""

    url: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Ended:
    """Where a flow stands after the browser's last step: done, failed, or waiting for a confirmation or for a decision
    about another account. ``next`` is where the browser goes, ``""`` for our own page.
    """

    flow: Flow
    next: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Asked:
    """A flow that found another account than before: ``former`` is what is connected, ``label`` what was found."""

    flow: Flow
    former: Connected
    label: str
