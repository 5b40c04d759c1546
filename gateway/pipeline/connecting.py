"""A call that lacks a connection: whoever may connect an account is told where, and the very same call works then.

    MCP 2026-07-28      the result asks him to open a URL; he repeats the request
    MCP 2025-11-25      error -32042 names the URL; a notification tells when he is done
    everything else     the link stands in the text of the answer

Only where the client said that it can be asked to open URLs. This file knows nothing of OAuth, of pages or of records.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

from gateway.catalogue.views import Offer
from gateway.errors import ConnectFirst, NotConnected, Refusal, Unanswered
from gateway.mcp.input_required import InputRequired, Question, chosen, lacking, replies
from gateway.mcp.questions import ASKING, ELICITATION, ELICITATION_COMPLETE
from gateway.mcp.terms import LEGACY_VERSIONS, Era, Notification, Params
from gateway.pipeline.accounts import Account
from gateway.pipeline.bridge import Bridge, claim_of
from gateway.pipeline.request_state import Claim, What
from gateway.pipeline.way import Way
from gateway.policy.terms import MAIN

BY_URL: Final = LEGACY_VERSIONS[0]
"""The one revision of the legacy era that can ask somebody to open a URL."""

PATIENCE_S: Final = 20.0
"""How long a repeated call waits for him to finish, when he has agreed to open the URL."""

LIVES_S: Final = 600.0
LOOK_S: Final = 30.0
"""How long a client is told of the end of a flow, and how long one look for it takes."""

WAITS: Final = 500
WAITS_EACH: Final = 4
"""Flows whose end is waited for, of all and of one subject; clients of further ones are not told, and only repeat their
calls.
"""

QUESTION: Final = "connect"


@dataclass(frozen=True, slots=True)
class Link:
    """Where somebody connects an account: ``url`` is good once, within minutes; ``flow`` is what is going on then."""

    url: str = field(repr=False)
    flow: str


@dataclass(frozen=True, slots=True)
class Blank:
    """Something that has to be typed to connect an account."""

    name: str
    label: str = ""
    secret: bool = False
    required: bool = True
    help: str = ""


@dataclass(frozen=True, slots=True)
class Wants:
    """How an account is connected: ``type`` in one word, in a browser at the platform (``by_url``) or by typing all
    ``blanks``.
    """

    type: str
    by_url: bool
    blanks: tuple[Blank, ...] = ()


class Linker(Protocol):
    """Whoever connects accounts."""

    def wants(self, connector: str) -> Wants | None:
        """How an account of a connector is connected; ``None`` where there are none to connect."""

    async def link(
        self,
        owner: str,
        connector: str,
        *,
        by: str,
        back: str = "",
        reconnects: str = "",
        client: str = "",
        scopes: Sequence[str] = (),
        domain: str = MAIN,
    ) -> Link:
        """A link by which ``by`` connects an account for ``owner``, or connects ``reconnects`` anew, asking for
        ``scopes`` besides what it has. ``domain`` is where the policy lets him. Raises ``Refusal``, among others where
        ``back`` is no place to go back to.
        """

    async def deposit(self, owner: str, connector: str, values: Mapping[str, str], domain: str = MAIN) -> str:
        """The id of the connection made of what was typed. Raises ``Refusal``."""

    async def wait(self, flow: str, owner: str, within_s: float) -> bool:
        """Whether a flow of ``owner`` has ended, well or not, at the latest after that time. Raises ``Refusal``."""


class Connecting:
    """Sends what passed the door; ``linker`` is asked where a connection is missing (``None``: nobody can make any)."""

    def __init__(self, bridge: Bridge, linker: Linker | None, *, patience_s: float = PATIENCE_S) -> None:
        self._bridge = bridge
        self._linker = linker
        self._patience_s = patience_s
        self._waiting: dict[asyncio.Task[None], str] = {}

    async def send(
        self, way: Way, offer: Offer, account: Account, method: str, params: Params, wanted: Params
    ) -> Params | InputRequired:
        """As ``Bridge.send``. What lacks a connection asks the client to make one, or raises ``ConnectFirst``, or
        ``NotConnected`` with the link in its text.
        """
        if self._linker is not None and way.call.era is Era.MODERN and method in ASKING:
            way, params = await self._returned(way, offer, method, params)
        try:
            return await self._bridge.send(way, offer, account, method, params, wanted)
        except NotConnected as refusal:
            if self._linker is None or not refusal.connector:
                raise
            invitation = await self._invitation(way, refusal, refusal.owner or account.owner)
            return self._asked(way, offer, method, invitation)

    def wants(self, connector: str) -> Wants | None:
        """How an account of a connector is connected; ``None`` where there are none to connect."""
        return None if self._linker is None else self._linker.wants(connector)

    async def link(self, way: Way, connector: str, *, back: str) -> Link:
        """Where the caller connects an account of his own. Raises ``Refusal``."""
        name = way.subject.name
        client, back = way.passage.origin.client, back or way.call.back
        return await self._able.link(name, connector, by=name, back=back, client=client, domain=way.call.domain)

    async def deposit(self, way: Way, connector: str, values: Mapping[str, str]) -> str:
        """The id of the caller's connection made of what was typed. Raises ``Refusal``."""
        return await self._able.deposit(way.subject.name, connector, values, way.call.domain)

    @property
    def _able(self) -> Linker:
        if self._linker is None:
            raise NotConnected("no accounts can be connected here")
        return self._linker

    async def close(self) -> None:
        """Tell nobody any more."""
        for task in self._waiting:
            task.cancel()
        await asyncio.gather(*self._waiting, return_exceptions=True)

    async def _invitation(self, way: Way, refusal: NotConnected, owner: str) -> "_Invitation":
        if not way.judge.may_connect(refusal.connector, owner).allowed:
            raise NotConnected(f"{refusal.text}; it cannot be connected here, because the policy does not allow it")
        link = await self._able.link(
            owner,
            refusal.connector,
            by=way.subject.name,
            back=way.call.back,
            reconnects=refusal.reconnect,
            client=way.passage.origin.client,
            scopes=refusal.scopes,
            domain=way.call.domain,
        )
        return _Invitation(refusal.text, owner, link)

    def _asked(self, way: Way, offer: Offer, method: str, invitation: "_Invitation") -> InputRequired:
        link, message = invitation.link, f"{invitation.text}; open this page to connect it, then the call can go on"
        asked = Question(ELICITATION, {"mode": "url", "message": message, "url": link.url})
        able = method in ASKING and not lacking([asked], way.capabilities)
        if able and way.call.era is Era.MODERN:
            claim, state = _claim(way, offer, method), f"{link.flow} {invitation.owner}"
            _, kept = self._bridge.tickets.issue(What.CONNECTED, claim, {QUESTION: ELICITATION}, way.passage.now, state)
            return InputRequired({QUESTION: asked}, kept)
        if able and way.call.version == BY_URL:
            self._tell_end(way, link.flow, invitation.owner)
            raise ConnectFirst(message, {**asked.params, "elicitationId": link.flow})
        raise NotConnected(f"{invitation.text}; open {link.url} in a browser to connect it, then call again")

    async def _returned(self, way: Way, offer: Offer, method: str, params: Params) -> tuple[Way, Params]:
        """The request as it was at first, when it is one that was to be repeated after an account was connected. Raises
        ``Malformed``, ``Limited``, and ``Unanswered`` when the URL was not opened.
        """
        given, tickets = replies(way.request.params), self._bridge.tickets
        ticket = None if given.state is None else tickets.peek(given.state)
        if given.state is None or ticket is None or ticket.what is not What.CONNECTED:
            return way, params
        ticket = tickets.read(given.state, _claim(way, offer, method), way.passage.now)
        if any(each["action"] != "accept" for each in chosen(given.answers, ticket.asked).values()):
            raise Unanswered("the page to connect an account was not opened")
        tickets.spend(ticket, way.passage.now)
        flow, _, owner = (ticket.state or "").partition(" ")
        with suppress(Refusal):  # then he finds out by the call itself
            await self._able.wait(flow, owner, self._patience_s)
        return replace(way, request=replace(way.request, params=_first(way.request.params))), _first(params)

    def _tell_end(self, way: Way, flow: str, owner: str) -> None:
        """Tell the client when a flow has ended, unless too many wait for that already."""
        name = way.subject.name
        if len(self._waiting) >= WAITS or list(self._waiting.values()).count(name) >= WAITS_EACH:
            return
        task = asyncio.create_task(_tell_when_ended(self._able, way, flow, owner), name="flow of a client")
        self._waiting[task] = name
        task.add_done_callback(self._waiting.pop)


@dataclass(frozen=True, slots=True)
class _Invitation:
    """Why an account is missing, whose it would be, and where it is connected."""

    text: str
    owner: str
    link: Link


async def _tell_when_ended(linker: Linker, way: Way, flow: str, owner: str) -> None:
    with suppress(Refusal, TimeoutError):
        async with asyncio.timeout(LIVES_S):
            while not await linker.wait(flow, owner, LOOK_S):
                pass
        way.tell(Notification(ELICITATION_COMPLETE, {"elicitationId": flow}))


def _claim(way: Way, offer: Offer, method: str) -> Claim:
    """The request, whoever's connection serves it in the end."""
    return claim_of(way, offer, method, Account("", way.call.credential))


def _first(params: Params) -> Params:
    return {key: value for key, value in params.items() if key not in ("inputResponses", "requestState")}
