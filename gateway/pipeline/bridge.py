"""One request from its client to its server and back, whatever era each speaks, and whatever the server asks meanwhile.

    client → server       a question of the server
    legacy → legacy       goes to the client as a request, while the call runs
    modern → modern       ends the call; the client repeats it with the answers
    modern → legacy       parks the call; the client repeats its request with the answers, and the call goes on
    legacy → modern       goes to the client as a request; we repeat the call with the answers

What a client repeats has passed the door once more, with all its checks. This file decides nothing about access.
"""

import asyncio
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import Final

from connectors.base import NOT_ASKED, Connection, UpstreamError
from gateway.catalogue.views import Offer
from gateway.errors import Incapable, Unanswered, UpstreamFailed
from gateway.mcp import eras
from gateway.mcp.eras import URL_ELICITATION_REQUIRED
from gateway.mcp.input_required import (
    InputRequired,
    Question,
    Replies,
    asks,
    by_urls,
    chosen,
    in_legacy,
    lacking,
    problem_of,
    read,
    replies,
    required_of,
    retried,
)
from gateway.mcp.questions import ASKING, ELICITATION, relayable
from gateway.mcp.terms import Era, Params
from gateway.pipeline.accounts import Account
from gateway.pipeline.parking import LIVES_S, Parked, Parking
from gateway.pipeline.request_state import Claim, Ticket, Tickets, What, digest, invalid
from gateway.pipeline.way import Way

ROUNDS: Final = 10
"""How often a modern server may ask a legacy client during one call."""

PAUSE_S: Final = 0.05
"""Before a call is repeated that a server only put off; twice as long each time, up to ``LONGEST_S``."""

LONGEST_S: Final = 1.0

MISSING_CAPABILITY: Final = -32021
NOT_PUT: Final = (NOT_ASKED, -32603)
"""Errors with which a client, or we in its place, did not get as far as to put a question to anybody."""


@dataclass(frozen=True, slots=True)
class Errand:
    """What is to be sent, and where to."""

    way: Way
    offer: Offer
    account: Account
    method: str
    params: Params

    async def open(self) -> Connection:
        began = perf_counter()
        opened = await self.offer.connector.open(
            self.way.subject.name, self.account.owner, self.way.capabilities, credential=self.account.id
        )
        self.way.passage.times.connected = perf_counter() - began
        return opened

    @property
    def claim(self) -> Claim:
        return claim_of(self.way, self.offer, self.method, self.account)


class Bridge:
    """``patience_s`` is how long a legacy client is waited for, each time that it is asked."""

    def __init__(self, tickets: Tickets, parking: Parking, *, patience_s: float = LIVES_S) -> None:
        self.tickets = tickets
        self._parking = parking
        self._patience_s = patience_s

    async def send(
        self, way: Way, offer: Offer, account: Account, method: str, params: Params, wanted: Params
    ) -> Params | InputRequired:
        """The result as the server gave it, or what a modern client has to answer before there is one. ``wanted`` are
        parameters that go to the server although clients do not decide them.

        Raises ``Refusal``: ``Malformed`` for answers that are none, ``Incapable`` and ``Unanswered`` where the client
        cannot be asked or does not answer, ``Limited`` and ``Unavailable`` where no more calls can wait; and
        ``UpstreamError``.
        """
        errand = Errand(way, offer, account, method, {**eras.to_upstream(params), **wanted})
        try:
            if method not in ASKING:
                return await (await errand.open()).send(method, errand.params, way)
            return await (self._for_modern(errand) if way.call.era is Era.MODERN else self._for_legacy(errand))
        except UpstreamError as error:
            if error.code == MISSING_CAPABILITY and (required := required_of(error.data)):
                raise incapable(required, way) from error
            raise

    def abandon(self, way: Way) -> None:
        """End the call that waits for the answers in this request, which was refused to whoever made it."""
        state = way.request.params.get("requestState")
        ticket = self.tickets.peek(state) if isinstance(state, str) else None
        if ticket is not None and ticket.claim.principal == way.subject.name:
            self._parking.end(ticket.id)

    # -- modern clients

    async def _for_modern(self, errand: Errand) -> Params | InputRequired:
        given = replies(errand.way.request.params)
        try:
            if given.state is None:
                return await self._first(errand, given.answers)
            return await self._repeated(errand, given, given.state)
        except UpstreamError as error:
            if error.code != URL_ELICITATION_REQUIRED or not (questions := by_urls(error.data)):
                raise
            return self._handed_out(What.AGAIN, errand, InputRequired(questions, None))

    async def _first(self, errand: Errand, given: Mapping[str, Params]) -> Params | InputRequired:
        """Answers that are given in advance count as soon as the server asks for them."""
        connection = await errand.open()
        result = await self._run(errand, connection)
        if isinstance(result, InputRequired) or not _asked_by(connection, result):
            return result
        asked = read(result)
        ready = chosen(given, _methods(asked))
        if ready and ready.keys() == asked.questions.keys():
            result = await connection.send(errand.method, retried(errand.params, ready, asked.state), errand.way)
        return self._relayed(errand, connection, result)

    async def _repeated(self, errand: Errand, given: Replies, state: str) -> Params | InputRequired:
        way = errand.way
        ticket = self.tickets.read(state, errand.claim, way.passage.now)
        answers = chosen(given.answers, ticket.asked)
        if ticket.what is What.PARKED:
            return await self._resumed(errand, ticket, answers)
        if ticket.what is What.AGAIN:
            if any(each["action"] != "accept" for each in answers.values()):
                raise Unanswered("the server wants a URL to be opened first, and that was not accepted")
            self.tickets.spend(ticket, way.passage.now)
            return await self._first(errand, {})
        connection = await errand.open()
        if connection.era is not Era.MODERN:
            raise invalid()
        self.tickets.spend(ticket, way.passage.now)
        result = await connection.send(errand.method, retried(errand.params, answers, ticket.state), way)
        return self._relayed(errand, connection, result)

    async def _run(self, errand: Errand, connection: Connection) -> Params | InputRequired:
        """Make the call; in such a way that it can be parked, when its server could ask and its client answer."""
        if connection.era is Era.MODERN or not relayable(errand.way.capabilities):
            return await connection.send(errand.method, errand.params, errand.way)
        parked = Parked(errand.way.subject, partial(connection.send, errand.method, errand.params))
        return await self._followed(errand, parked)

    async def _resumed(self, errand: Errand, ticket: Ticket, answers: Mapping[str, Params]) -> Params | InputRequired:
        if (parked := self._parking.take(ticket.id)) is None:
            raise invalid()
        parked.answer(answers)
        return await self._followed(errand, parked)

    async def _followed(self, errand: Errand, parked: Parked) -> Params | InputRequired:
        """The outcome of a call that may ask, or its questions; then it waits for the answers."""
        if (result := await parked.wait(errand.way)) is not None:
            return result
        asked = InputRequired(parked.questions, None)
        id, state = self._issued(What.PARKED, errand, asked)
        try:
            self._parking.park(id, parked)
        except BaseException:
            parked.end()
            raise
        return InputRequired(asked.questions, state)

    def _relayed(self, errand: Errand, connection: Connection, result: Params) -> Params | InputRequired:
        return self._handed_out(What.RELAYED, errand, read(result)) if _asked_by(connection, result) else result

    def _handed_out(self, what: What, errand: Errand, asked: InputRequired) -> InputRequired:
        """What the client is asked. Raises ``Incapable`` when it never said that it can be asked that."""
        if missing := lacking(asked.questions.values(), errand.way.capabilities):
            raise incapable(missing, errand.way)
        _, state = self._issued(what, errand, asked)
        return InputRequired(asked.questions, state, asked.more)

    def _issued(self, what: What, errand: Errand, asked: InputRequired) -> tuple[str, str]:
        return self.tickets.issue(what, errand.claim, _methods(asked), errand.way.passage.now, asked.state)

    # -- legacy clients

    async def _for_legacy(self, errand: Errand) -> Params:
        """The result; a modern server's questions are asked, and the call repeated, up to ``ROUNDS`` times."""
        connection = await errand.open()
        params, pause = errand.params, PAUSE_S
        for _ in range(ROUNDS + 1):
            result = await connection.send(errand.method, params, errand.way)
            if not _asked_by(connection, result):
                return result
            asked = read(result)
            answers = await self._answers(asked, errand.way)
            if not answers:
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_S)
            params = retried(errand.params, answers, asked.state)
        raise UpstreamFailed(f"the server asked for input more than {ROUNDS} times during one call")

    async def _answers(self, asked: InputRequired, way: Way) -> dict[str, Params]:
        if missing := lacking(asked.questions.values(), way.capabilities):
            raise incapable(missing, way)
        try:
            async with asyncio.timeout(self._patience_s):
                return {key: await _answer(each, way) for key, each in asked.questions.items()}
        except TimeoutError:
            raise Unanswered("the client did not answer in time what the server asked") from None


async def _answer(asked: Question, way: Way) -> Params:
    """What the client says. An elicitation that it fails at counts as one that its user closed."""
    told = in_legacy(asked, secrets.token_urlsafe(12))
    try:
        answer = await way.ask(told.method, told.params)
    except UpstreamError as error:
        if asked.method == ELICITATION and error.code not in NOT_PUT:
            return {"action": "cancel"}
        raise Unanswered(
            f"the client did not answer `{asked.method}`, which the server needs: {error.message}"
        ) from error
    if problem := problem_of(answer, asked.method):
        raise Unanswered(f"the client's answer to `{asked.method}` cannot be passed on: {problem}")
    return answer


def claim_of(way: Way, offer: Offer, method: str, account: Account) -> Claim:
    """What tells this request, made with this account, from all others."""
    return Claim(
        principal=way.subject.name,
        domain=way.call.domain,
        connector=offer.connector.id,
        owner=account.owner,
        method=method,
        target=way.call.target,
        digest=digest(way.request.params),
        credential=account.id,
        mark=offer.mark,
    )


def incapable(required: Params, way: Way) -> Incapable | Unanswered:
    """The refusal of a call whose server needs what its client cannot do."""
    text = f"the server needs a client that offers {', '.join(f'`{word}`' for word in sorted(required))}"
    return Incapable(text, required) if way.call.era is Era.MODERN else Unanswered(text)


def _asked_by(connection: Connection, result: Params) -> bool:
    """Whether a result is a question. The legacy era has no such results."""
    return connection.era is Era.MODERN and asks(result)


def _methods(asked: InputRequired) -> dict[str, str]:
    return {key: each.method for key, each in asked.questions.items()}
