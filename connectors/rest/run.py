"""One call of one action, from arguments to a result: its pages, its second tries, its credential.

It knows the order of things. What a request looks like, what an answer means and when something may be asked again are
decided by the pure files beside it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from secrets import token_hex

from connectors.base import Credential, Credentials
from connectors.definition.platform import Platform
from connectors.definition.terms import Action, AuthKind, Paging
from connectors.rest import answer, paging
from connectors.rest.answer import Document, Heard
from connectors.rest.exchange import Exchange
from connectors.rest.paging import Further
from connectors.rest.request import Draft, drafted
from connectors.rest.retrying import MOST, pause, repeatable, told_pause
from connectors.rest.signing import Signed, signed
from gateway.errors import UpstreamFailed
from gateway.mcp.terms import Params
from gateway.policy.terms import Json


@dataclass(frozen=True, slots=True)
class Means:
    """What a call is made with. ``clock`` gives milliseconds since the epoch, ``sleep`` takes seconds."""

    platform: Platform
    exchange: Exchange
    credentials: Credentials
    clock: Callable[[], int]
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


class Run:
    """One call, on the credential of ``owner`` (``id``: the connection named, or ``""``)."""

    def __init__(self, means: Means, action: Action, *, owner: str, id: str, deadline: float) -> None:
        self._means = means
        self._action = action
        self._owner, self._id = owner, id
        self._deadline = deadline  # of the loop's own clock
        self._renewed = False
        self._credential = Credential()

    async def __call__(self, args: Mapping[str, Json]) -> Params:
        """The result. Raises ``InvalidArguments``, ``NotConnected``, ``UpstreamFailed``."""
        means, action = self._means, self._action
        key = token_hex(16) if action.idempotency_header else ""
        draft = drafted(action, args, paging.beginning(action, args), key=key)
        if means.platform.definition.auth.kind is not AuthKind.NONE:
            self._credential = await means.credentials.open(self._owner, self._id)
        heard, asked = await self._answer(draft)
        document = answer.read(heard)
        if why := self._why(heard, document):
            return self._failed(heard, why)
        if action.paging is None or not document.is_json:
            return answer.result(document, action)
        return await self._pages(args, action.paging, document.value, heard, asked)

    async def _pages(self, args: Mapping[str, Json], plan: Paging, first: Json, heard: Heard, asked: Signed) -> Params:
        """What the first page and those behind it hold together."""
        action, values = self._action, [first]
        size = paging.beginning(action, args)
        at = paging.given(action, args, plan.param) if plan.param else None
        further, note = self._further(plan, values, at, heard, asked)
        while further is not None:
            at = further.more.get(plan.param)
            draft = drafted(action, args, {**size, **further.more})
            heard, asked = await self._answer(draft, further.url)
            document = answer.read(heard)
            if self._why(heard, document) or not document.is_json:
                note = f"page {len(values) + 1} could not be read (HTTP {heard.status}); what is shown ends before it"
                break
            values.append(document.value)
            further, note = self._further(plan, values, at, heard, asked)
        whole = Document(True, paging.joined(plan, values))
        return answer.result(whole, action, [note] if note else [])

    def _further(
        self, plan: Paging, values: list[Json], at: Json, heard: Heard, asked: Signed
    ) -> tuple[Further | None, str]:
        """The page to ask for next, if any, and what to tell where there is one that is not asked for."""
        try:
            further = paging.next_page(plan, values[-1], at=at, link=heard.headers.get("link", ""), url=asked.url)
        except ValueError:
            return None, "there is more, but on another host than this, which was not asked"
        if further is not None and len(values) >= plan.most:
            return None, paging.told(self._action, further, len(values))
        return further, ""

    def _why(self, heard: Heard, document: Document) -> str:
        return answer.failure(heard, document, self._action, self._means.platform.definition.api)

    async def _answer(self, draft: Draft, url: str = "") -> tuple[Heard, Signed]:
        """The answer to one request, which is sent again where that is safe."""
        heard, asked = await self._repeated(draft, url)
        if heard.status != 401 or self._renewed or self._means.platform.definition.auth.kind is AuthKind.NONE:
            return heard, asked
        self._renewed = True
        newer = await self._means.credentials.renew(self._credential)
        if newer is None:
            return heard, asked
        self._credential = newer  # refused means not done, whatever the action
        return await self._repeated(draft, url)

    async def _repeated(self, draft: Draft, url: str) -> tuple[Heard, Signed]:
        means, retry = self._means, self._means.platform.definition.api.retry
        for attempt in range(1, MOST + 2):
            asked = self._signed(draft, url)
            heard = await means.exchange(asked, allow=means.platform.exceptions, within=self._left())
            if heard.status not in retry.on or not repeatable(self._action) or attempt > MOST:
                break
            wait = pause(heard.headers, retry, attempt=attempt, now=means.clock())
            if wait >= self._left():
                break
            await means.sleep(wait)
        return heard, asked

    def _signed(self, draft: Draft, url: str) -> Signed:
        try:
            return signed(draft, self._means.platform, self._credential, url=url)
        except ValueError as error:
            raise UpstreamFailed(f"`{self._means.platform.id}` cannot be asked with this connection: {error}") from None

    def _failed(self, heard: Heard, why: str) -> Params:
        retry = self._means.platform.definition.api.retry
        told = told_pause(heard.headers, retry, now=self._means.clock()) if heard.status in retry.on else None
        notes = [] if told is None else [f"it asks to wait for {told:.0f} s"]
        if heard.status == 401:
            notes.append("the account's access was refused; if this stays so, connect the account again")
        return answer.failed(f"`{self._means.platform.id}`", heard.status, why, *notes)

    def _left(self) -> float:
        return max(0.001, self._deadline - asyncio.get_running_loop().time())
