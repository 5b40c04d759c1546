"""Connecting an account, step by step: each a small function over records, each taken once by compare-and-set.

    start → (the link is opened) → begin, the click → callback → done, or confirm, or settle

A flow is *taken* before anything is sent with it: its slip is struck out, so that of two who bring the same one, one
is refused. This file knows no page, no HTTP and no policy; that somebody may connect is decided before ``start``.
"""

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any, Final

from connectors.definition.platform import Platform
from connectors.definition.terms import AuthKind
from gateway.connections import ending, fields
from gateway.connections.authorizing import Authorizing
from gateway.connections.binding import stranger
from gateway.connections.flows import ENDS, STEP_MS, Flows
from gateway.connections.found import Found, of_typed
from gateway.connections.keeping import Keeping, ended_record
from gateway.connections.means import Means
from gateway.connections.places import place_after, proof, settled
from gateway.connections.redirects import link_uri
from gateway.connections.rights import asked_for
from gateway.connections.slips import Use, flow_of, new_id, new_slip
from gateway.connections.terms import Asked, Ended, FlowRefused, Opened, Redirect, Started, Why
from gateway.errors import InvalidArguments, Refusal, Unknown
from gateway.manage.stored import stored
from gateway.policy.terms import MAIN
from gateway.records import Connected, Flow, Stage
from gateway.servers.known import Servers
from gateway.settings import Binding
from gateway.store.base import NotFound
from gateway.vault import Unsealable

LOOK_S: Final = 0.3
"""How often somebody who waits looks at the store: a flow may end at another node."""

LONGEST_CLIENT: Final = 100

MOST_EACH: Final = 20
"""Connections of one owner to one connector: each is kept in memory, and asked about at every call."""

NO_FLOW: Final = "there is no such flow"
NO_CONNECTION: Final = "there is no such connection"


class Linking:
    """Everything about flows. Every method raises ``Unavailable`` when the store does not answer."""

    def __init__(self, means: Means) -> None:
        self._means = means
        self._flows = Flows(means.store.flows, means.slips)
        self._keeping = Keeping(means, self._flows)
        self._authorizing = Authorizing(means, self._flows)
        self._running: set[asyncio.Task[Ended]] = set()

    @stored
    async def start(
        self,
        owner: str,
        connector: str,
        *,
        by: str = "",
        tenant: str = MAIN,
        domain: str = MAIN,
        back: str = "",
        reconnects: str = "",
        client: str = "",
        missing: Sequence[str] = (),
    ) -> Started:
        """A flow for ``owner`` (a subject, or ``system``), to be finished by ``by`` (``""``: by the owner), and its
        link, good once within ten minutes. ``back`` has to be one of the registered places to the letter.
        ``reconnects`` is the id of the connection that is made anew, ``missing`` are scopes that it lacks. ``client``
        is the application as the page names it, ``domain`` where the policy let him. Raises ``Unknown`` (connector,
        connection), ``InvalidArguments``, ``FlowRefused``, ``UpstreamFailed``.
        """
        platform = await self._connectable(connector)
        binding, back = settled(self._means, owner, by or owner, domain, back)
        former = await self._former(reconnects, owner, connector)
        id, now = new_id(), self._means.clock()
        slip = new_slip(id)
        flow = Flow(
            id=id,
            owner=owner,
            by=by or owner,
            connector=connector,
            tenant=tenant,
            domain=domain,
            binding=binding.value,
            link=self._means.slips.hash(Use.LINK, slip),
            back=back,
            reconnects=reconnects,
            scopes=asked_for(platform, former, missing),
            client=_plain(client),
            created_at=now,
            expires_at=now + STEP_MS,
        )
        return Started(await self._means.store.flows.add(flow), link_uri(self._means.public_url, slip))

    @property
    def servers(self) -> Servers:
        """The servers that users offer, as they are now."""
        return self._means.servers()

    def startable(self, owner: str) -> bool:
        """Whether a flow that leads to our own page could be begun by ``owner`` for himself now, to some platform."""
        try:
            settled(self._means, owner, owner, MAIN, "")
        except Refusal:
            return False
        return True

    @stored
    async def opened(self, token: str) -> Opened:
        """What the page of a link shows; uses nothing up. Raises ``FlowRefused`` (unknown, used, expired), ``Unknown``
        and ``UpstreamFailed`` when the platform is not there any more or cannot be found out about.
        """
        flow = await self._awaited(token, Use.LINK, unknown=Why.NO_SUCH_LINK)
        platform = await self._means.platform_of(flow.connector)
        former = await self._means.store.connections.get(flow.reconnects) if flow.reconnects else None
        return Opened(flow, platform, fields.asked_for(platform), former)

    @stored
    async def begin(self, token: str, *, signed_in: str, browser: str, inputs: Mapping[str, str]) -> Redirect | Ended:
        """The click: uses the link up. ``signed_in`` is the subject of the browser's session (``""``: none),
        ``browser`` the value of the cookie that this flow has in it. Raises ``BadInputs``, and ``FlowRefused`` for
        everything else, which both leave the link as good as it was.
        """
        flow = await self._awaited(token, Use.LINK, unknown=Why.NO_SUCH_LINK)
        if why := self._strange(flow, signed_in) or (None if browser else Why.OTHER_BROWSER):
            raise FlowRefused(why)
        if not self._means.permits(flow):
            raise FlowRefused(Why.NOT_ALLOWED)
        platform = await self._means.platform_of(flow.connector)
        typed = fields.typed(platform, inputs)
        if platform.definition.auth.kind is AuthKind.OAUTH2:
            return Redirect(await self._authorizing.sent(flow, platform, typed, browser))
        found = await self._authorizing.named(platform, of_typed(typed))
        taken = await self._flows.moved(
            flow,
            stage=Stage.AUTHORIZING,
            link="",
            browser=self._means.slips.hash(Use.BROWSER, browser),
            inputs=typed.plain,
            expires_at=self._means.clock() + STEP_MS,
        )
        return await self._through(self._landed(taken, found))

    @stored
    async def callback(
        self, tenant: str, connector: str, query: Sequence[tuple[str, str]], *, signed_in: str, browser: str
    ) -> Ended:
        """What the browser brings back from the platform, whatever that is: the flow that it belongs to has ended or
        waits afterwards. ``query`` is decoded, in order, with doubles. Raises ``FlowRefused`` where it belongs to
        none that waits for it.
        """
        flow = await self._awaited(_state(query), Use.STATE, unknown=Why.BAD_CALLBACK)
        taken = await self._flows.moved(flow, state="", expires_at=self._means.clock() + STEP_MS)
        if (taken.tenant, taken.connector) != (tenant, connector):
            return Ended(await self._flows.ended(taken, Why.BAD_CALLBACK))
        if not self._means.slips.fits(Use.BROWSER, browser, taken.browser):
            return Ended(await self._flows.ended(taken, Why.OTHER_BROWSER))
        if why := self._strange(taken, signed_in):
            return Ended(await self._flows.ended(taken, why))
        return await self._through(self._answered(taken, query))

    @staticmethod
    def flow_of_callback(query: Sequence[tuple[str, str]]) -> str:
        """The id of the flow that a callback speaks of, ``""`` if none: to find its cookie by; proves nothing."""
        return flow_of(_state(query))

    @staticmethod
    def flow_of_link(token: str) -> str:
        """The id of the flow that a link speaks of, ``""`` if none: to name its cookie by; proves nothing."""
        return flow_of(token)

    @stored
    async def confirm(self, code: str, *, owner: str) -> Flow:
        """The host application says that ``owner`` finished it. Another owner than the flow's discards what was
        connected. Raises ``FlowRefused``.
        """
        flow = await self._awaited(code, Use.CODE, unknown=Why.NO_SUCH_CODE)
        taken = await self._flows.moved(flow, code="", expires_at=self._means.clock() + STEP_MS)
        found = await self._held(taken)
        if owner != taken.by:
            await self._keeping.dropped(taken, found, Why.OTHER_PERSON, stage=Stage.DISCARDED)
            raise FlowRefused(Why.OTHER_PERSON)
        return await self._keeping.kept(taken, found)

    @stored
    async def asked(self, flow_id: str, *, owner: str = "", browser: str = "") -> Asked:
        """What has to be decided about another account. Raises ``Unknown``."""
        flow = await self._decidable(flow_id, owner, browser)
        former = await self._means.store.connections.get(flow.reconnects)
        if flow.stage is not Stage.ASKING or former is None:
            raise Unknown(NO_FLOW)
        return Asked(flow, former, flow.label)

    @stored
    async def settle(self, flow_id: str, *, keep: bool, owner: str = "", browser: str = "") -> Flow:
        """The decision: ``keep`` puts the new account in place of the former one, otherwise it is discarded and the
        former one stays. ``owner`` is who decides; with ``same_browser``, where nobody is signed in, ``browser`` is the
        value of the flow's cookie. Raises ``Unknown``, ``FlowRefused``.
        """
        flow = await self._decidable(flow_id, owner, browser)
        if flow.stage is not Stage.ASKING:
            raise FlowRefused(Why.EXPIRED if flow.stage is Stage.EXPIRED else Why.USED)
        taken = await self._flows.moved(flow, stage=Stage.PENDING, expires_at=self._means.clock() + STEP_MS)
        found = await self._held(taken)
        if keep:
            return await self._keeping.kept(taken, found, replacing=True)
        return await self._keeping.dropped(taken, found, Why.OTHER_ACCOUNT, stage=Stage.DISCARDED)

    @stored
    async def deposit(
        self,
        owner: str,
        connector: str,
        *,
        inputs: Mapping[str, str],
        tenant: str = MAIN,
        domain: str = MAIN,
        reconnects: str = "",
    ) -> Connected:
        """A connection from typed fields, without a browser: for the kinds that are not OAuth. Raises ``Unknown``,
        ``BadInputs``, ``FlowRefused``, ``InvalidArguments``.
        """
        platform = await self._connectable(connector)
        if platform.definition.auth.kind is AuthKind.OAUTH2:
            raise InvalidArguments(f"`{connector}` is connected in a browser, by a link; nothing is typed for it")
        proof(self._means, owner, owner, domain)
        await self._former(reconnects, owner, connector)
        found = await self._authorizing.named(platform, of_typed(fields.typed(platform, inputs)))
        flow = Flow(
            id=new_id(),
            owner=owner,
            connector=connector,
            tenant=tenant,
            domain=domain,
            binding="",
            reconnects=reconnects,
        )
        saved = await self._keeping.saved(flow, found)
        if isinstance(saved, Why):
            raise FlowRefused(saved)
        await self._keeping.tell(saved)
        return saved

    @stored
    async def flow(self, flow_id: str, *, owner: str) -> Flow:
        """The flow of ``owner``, or that he has to finish, as it stands. Raises ``Unknown``, the same for another's and
        for none.
        """
        flow = await self._flows.get(flow_id, self._means.clock())
        if flow is None or owner not in (flow.by, flow.owner):
            raise Unknown(NO_FLOW)
        return flow

    @stored
    async def flow_behind(self, slip_or_id: str) -> Flow | None:
        """The flow that a link, a code or an id speaks of, if there is one; proves nothing."""
        return await self._flows.get(flow_of(slip_or_id) or slip_or_id, self._means.clock())

    def next_of(self, flow: Flow) -> str:
        """Where the browser goes when ``flow`` has ended, ``""`` for our own page."""
        return place_after(self._means, flow)

    async def wait(self, flow_id: str, *, owner: str, within_s: float) -> Flow:
        """The flow as soon as it has ended, or begins to wait for a confirmation or decision, else as it stands after
        ``within_s``. Raises ``Unknown``.
        """
        flow = await self.flow(flow_id, owner=owner)
        first, until = flow.stage, asyncio.get_running_loop().time() + within_s
        while flow.stage in (first, Stage.CREATED, Stage.AUTHORIZING) and flow.stage not in ENDS:
            left = until - asyncio.get_running_loop().time()
            if left <= 0:
                break
            await asyncio.sleep(min(LOOK_S, left))
            flow = await self.flow(flow_id, owner=owner)
        return flow

    @stored
    async def disconnect(self, connection_id: str, *, owner: str) -> bool:
        """End a connection of ``owner``: it is gone at once; whether the platform forgot it too. Raises ``Unknown``."""
        means = self._means
        connected = await means.store.connections.get(connection_id) if connection_id else None
        if connected is None or connected.owner != owner:
            raise Unknown(NO_CONNECTION)
        platform = await self._keeping.platform(connected.connector)
        try:
            forgotten = await ending.end(means.store, means.vault, means.legs, platform, connected)
        except NotFound:
            raise Unknown(NO_CONNECTION) from None
        await self._keeping.tell(ended_record(connected))
        return forgotten

    async def close(self) -> None:
        """Let the steps that run come to their end."""
        await asyncio.gather(*self._running, return_exceptions=True)

    # -- who, and with what

    async def _connectable(self, connector: str) -> Platform:
        platform = await self._means.platform_of(connector)
        if sentence := fields.unconnectable(platform):
            raise InvalidArguments(sentence)
        return platform

    def _strange(self, flow: Flow, signed_in: str) -> Why | None:
        return stranger(flow, signed_in=signed_in, several_users=self._means.several_users())

    async def _former(self, reconnects: str, owner: str, connector: str) -> Connected | None:
        """The connection that is made anew; ``None`` where one more is made."""
        if not reconnects:
            if len(self._means.connections().of(owner, connector)) >= MOST_EACH:
                raise InvalidArguments(f"there are {MOST_EACH} connections to `{connector}` already; end one first")
            return None
        former = await self._means.store.connections.get(reconnects)
        if former is None or (former.owner, former.connector) != (owner, connector):
            raise Unknown(NO_CONNECTION)
        return former

    async def _awaited(self, slip: str, use: Use, *, unknown: Why) -> Flow:
        return await self._flows.awaited(slip, use, self._means.clock(), unknown=unknown)

    async def _decidable(self, flow_id: str, owner: str, browser: str) -> Flow:
        """The flow, for who may decide about it. Raises ``Unknown``."""
        flow = await self._flows.get(flow_id, self._means.clock())
        if flow is None or not (owner == flow.by or self._is_his_browser(flow, browser)):
            raise Unknown(NO_FLOW)
        return flow

    def _is_his_browser(self, flow: Flow, browser: str) -> bool:
        """Whether that proves who it is; it does with ``same_browser`` alone."""
        proves = flow.binding == Binding.SAME_BROWSER and not self._means.several_users()
        return proves and self._means.slips.fits(Use.BROWSER, browser, flow.browser)

    # -- what follows on the click and on the callback

    async def _answered(self, flow: Flow, query: Sequence[tuple[str, str]]) -> Ended:
        match await self._authorizing.returned(flow, query):
            case Why() as why:
                return self._over(await self._flows.ended(flow, why))
            case (found, why):
                return self._over(await self._keeping.dropped(flow, found, why))
            case found:
                return await self._landed(flow, found)

    async def _landed(self, flow: Flow, found: Found) -> Ended:
        if flow.binding != Binding.CONFIRM:
            return self._over(await self._keeping.kept(flow, found))
        if not (self._means.permits(flow) and place_after(self._means, flow)):
            return self._over(await self._keeping.dropped(flow, found, Why.NOT_ALLOWED))
        waiting, code = await self._keeping.pending(flow, found)
        return Ended(waiting, place_after(self._means, waiting, code))

    def _over(self, flow: Flow) -> Ended:
        return Ended(flow, "" if flow.stage is Stage.ASKING else place_after(self._means, flow))

    async def _held(self, flow: Flow) -> Found:
        try:
            return self._keeping.found(flow)
        except Unsealable as unsealable:
            await self._flows.ended(flow, Why.LOST)
            raise FlowRefused(Why.LOST, detail=str(unsealable)) from None

    async def _through(self, work: Coroutine[Any, Any, Ended]) -> Ended:
        """``work`` done to its end, also when the browser does not wait for it: what was exchanged is kept."""
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._finished)
        return await asyncio.shield(task)

    def _finished(self, task: "asyncio.Task[Ended]") -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # whoever waits for it has it; if nobody does any more, it is no news


def _plain(client: str) -> str:
    """What a client says of itself, as a page may show it."""
    return "".join(each if each.isprintable() else "?" for each in client[:LONGEST_CLIENT])


def _state(query: Sequence[tuple[str, str]]) -> str:
    """The one ``state`` of a callback, ``""`` where there is none or more than one."""
    found = [value for name, value in query if name == "state"]
    return found[0] if len(found) == 1 else ""
