"""``HttpCalls`` makes the requests of tools that were made at run time; ``HttpConnector`` is one such tool's way out.

It knows how a request is sent and when it takes too long; it must not know the policy, nor who may ask.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Final
from urllib.parse import quote

from connectors.addresses import PUBLIC_ONLY, Exceptions
from connectors.base import NOTHING_ASKED, Caller, Catalogue, Change, Connection, Item, Secret, UpstreamError
from connectors.definition.terms import Action, Api, Risk
from connectors.egress import Egress
from connectors.http_calls.plan import GAP, SECRET, HttpPlan
from connectors.http_calls.request import drafted_by, input_schema
from connectors.http_calls.secrets import Secrets
from connectors.outgoing import EgressError
from connectors.rest import answer
from connectors.rest.breaker import Breaker
from connectors.rest.exchange import Exchange
from connectors.rest.request import Draft
from connectors.rest.signing import ACCEPTED, Signed
from connectors.turns import Turns
from gateway.errors import UpstreamFailed
from gateway.mcp.terms import Era, Kind, Params
from gateway.policy.terms import SYSTEM, Tool

HTTP: Final = "http"
"""The connector of policy rows."""

AT_ONCE: Final = 16
"""Requests that may be under way for one principal."""

METHOD_NOT_FOUND: Final = -32601


class HttpCalls:
    """What all requests have in common. ``private`` lists what may be reached although it is not public, ``timeout`` is
    in seconds, ``clock`` gives milliseconds since the epoch.
    """

    def __init__(
        self,
        egress: Egress,
        clock: Callable[[], int],
        *,
        secrets: Secrets,
        private: Exceptions = PUBLIC_ONLY,
        timeout: float = 30.0,
    ) -> None:
        self.egress, self.clock = egress, clock
        self.secrets, self.private, self.timeout = secrets, private, timeout
        self._turns = Turns(AT_ONCE)

    def connector(self, plan: HttpPlan, tool: str) -> "HttpConnector":
        """The way out of ``tool`` (``creator@example.com:name``, ``system:name``)."""
        return HttpConnector(self, plan, tool)

    @asynccontextmanager
    async def turn(self, principal: str) -> AsyncIterator[None]:
        """Raises ``UpstreamFailed`` where there was none in time."""
        try:
            await self._turns.take(principal, self.timeout)
        except EgressError:
            raise UpstreamFailed(f"{AT_ONCE} requests of this user are under way; try again") from None
        try:
            yield
        finally:
            self._turns.give_back(principal)


class HttpConnector:
    """One plan as ``Connector``: a single tool, called as its host. With secrets it is the operator's own."""

    def __init__(self, calls: HttpCalls, plan: HttpPlan, tool: str) -> None:
        self._calls, self._plan, self._tool = calls, plan, tool
        self.item = _item(plan)
        # a circuit of its own: nobody cuts others off by asking for what fails
        self._exchange = Exchange(plan.host, calls.egress, Breaker(), calls.clock)
        self._api = Api(plan.origin, (plan.host,))
        risk = Risk.READ if plan.harmless else Risk.WRITE
        self._shown = Action(id="", title="", description="", risk=risk, method=plan.method, path="")

    @property
    def id(self) -> str:
        return f"{HTTP}/{self._plan.host}" + ("+secret" if self._plan.secrets else "")

    def owners(self, subject: str) -> tuple[str, ...]:
        return (SYSTEM,) if self._plan.secrets else (subject,)

    async def catalogue(self, principal: str, capabilities: Params = NOTHING_ASKED) -> Catalogue:  # noqa: ARG002
        return Catalogue({Kind.TOOL: (self.item,)}, {"tools": {}})

    def holds(self, owner: str) -> bool:  # noqa: ARG002 (nothing can be lent)
        return True

    def owner(self, credential: str) -> str:  # noqa: ARG002 (there are no connections)
        return ""

    async def open(
        self,
        principal: str,
        owner: str,  # noqa: ARG002 (whose secrets are used is a matter of the plan)
        capabilities: Params = NOTHING_ASKED,  # noqa: ARG002 (nothing is asked)
        *,
        credential: str = "",  # noqa: ARG002
    ) -> Connection:
        return _Connection(self, principal)

    def watch(self, listener: Callable[[Change], None]) -> None:
        """A plan never changes."""

    async def close(self) -> None:
        """Requests under way end with the egress."""

    async def run(self, params: Params, *, principal: str) -> Params:
        """The result of one request for the filled ``arguments``. Raises ``InvalidArguments``, ``NotConnected`` (the
        operator has not set a secret for this tool), ``UpstreamFailed``.
        """
        args = params.get("arguments")
        draft = drafted_by(self._plan, args if isinstance(args, dict) else {})
        secrets = self._calls.secrets.granted(self._plan.secrets, self._tool, self._plan.host)
        deadline = asyncio.get_running_loop().time() + self._calls.timeout
        async with self._calls.turn(principal):
            left = max(0.001, deadline - asyncio.get_running_loop().time())
            heard = await self._exchange(_signed(self._plan, draft, secrets), allow=self._calls.private, within=left)
        document = answer.read(heard)
        if why := answer.failure(heard, document, self._shown, self._api):
            return answer.failed(f"`{self._plan.host}`", heard.status, why)
        return answer.result(document, self._shown)


class _Connection:
    """The way out for one principal."""

    def __init__(self, connector: HttpConnector, principal: str) -> None:
        self._connector, self._principal = connector, principal

    @property
    def era(self) -> Era:
        return Era.LEGACY

    async def send(self, method: str, params: Params, caller: Caller) -> Params:  # noqa: ARG002 (nothing is said meanwhile)
        """Raises as ``HttpConnector.run`` does, and ``UpstreamError``."""
        if method != "tools/call":
            raise UpstreamError(METHOD_NOT_FOUND, f"`{self._connector.id}` only has tools")
        return await self._connector.run(params, principal=self._principal)


def _item(plan: HttpPlan) -> Item:
    level = "read" if plan.harmless else "write"
    facts = Tool(connector=HTTP, name=plan.host, destructive=not plan.harmless)
    definition: Params = {"name": plan.host, "inputSchema": input_schema(plan)}
    return Item(HTTP, Kind.TOOL, plan.host, definition, level, facts)


def _signed(plan: HttpPlan, draft: Draft, secrets: Mapping[str, Secret]) -> Signed:
    """The request with its secrets; the only place that reveals them."""
    revealed = {name: secret.reveal() for name, secret in secrets.items()}
    written = [f"{name}={value}" for name, value in draft.query]
    written += [
        f"{quote(name, safe='')}={quote(_filled(template, revealed), safe='')}"
        for name, template in plan.key_query.items()
    ]
    url = plan.origin + draft.path + ("?" + "&".join(written) if written else "")
    keys = {name: _filled(template, revealed) for name, template in plan.keys.items()}
    type = {"Content-Type": plan.content_type or draft.content_type} if draft.body is not None else {}
    accept = {} if any(name.lower() == "accept" for name in (*draft.headers, *keys)) else {"Accept": ACCEPTED}
    return Signed(draft.method, url, {**accept, **draft.headers, **type, **keys}, draft.body, tuple(revealed.values()))


def _filled(template: str, secrets: Mapping[str, str]) -> str:
    parts = GAP.split(template)
    parts[1::2] = [secrets[gap[2:-2].strip().removeprefix(SECRET)] for gap in parts[1::2]]
    return "".join(parts)
