"""Connecting an account: the page of a link, the way to the platform and back, and how it ended.

Every step is one of ``gateway/connections/linking.py``, which decides who may take it; here it becomes something to
read and to click. The address of a page never holds what came back from a platform for longer than one redirect.
"""

import secrets
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeVar

import msgspec
from quart import Blueprint, Response, request

from connectors.base import Secret
from connectors.definition.platform import Platform
from connectors.definition.terms import AuthKind
from gateway.connections.linking import Linking
from gateway.connections.terms import BadInputs, Ended, FlowRefused, Opened, Redirect, Why
from gateway.errors import Refusal
from gateway.pipeline.passage import NOBODY, Passage
from gateway.policy.terms import SYSTEM
from gateway.records import Flow, Stage
from gateway.sealing import Seal
from gateway.settings.terms import Binding
from gateway.web.operations import Operations
from gateway.web.pages.cookies import Use
from gateway.web.pages.queries import query_of
from gateway.web.pages.shell import Again, Shell, Visitor, go

T = TypeVar("T")

PAGE: Final = "/connected/"


class Shown(msgspec.Struct, frozen=True, array_like=True):
    """How a flow ended, as the browser keeps it in which it did: what its last page says, and no secret."""

    flow: str
    connector: str
    title: str
    label: str
    stage: Stage
    reason: str
    reconnects: str
    by: str
    reference: str


@dataclass(frozen=True, slots=True)
class Connecting:
    """``seal`` closes what a browser keeps of a flow that ended in it."""

    shell: Shell
    operations: Operations
    platform_of: Callable[[str], Awaitable[Platform]]
    seal: Seal

    @property
    def linking(self) -> Linking:
        return self.operations.linking

    def blueprint(self) -> Blueprint:
        """``/connect/…``, ``/oauth/callback/…`` and ``/connected/…``."""
        pages = self.shell.blueprint("connect")
        pages.get("/connect/<token>")(self.show)
        pages.post("/connect/<token>")(self.click)
        pages.get("/oauth/callback/<tenant>/<connector>")(self.callback)
        pages.get(f"{PAGE}<flow>")(self.ended)
        pages.post(f"{PAGE}<flow>")(self.settle)
        return pages

    async def show(self, token: str) -> Response:
        """Who connects what for whom; looking uses nothing up."""
        visitor = await self.shell.visitor()
        opened = await self.linking.opened(token)
        if why := self._not_his(opened.flow, visitor):
            return await self._stranger(why, visitor, token)
        return await self._form(visitor, opened)

    async def click(self, token: str) -> Response:
        visitor = await self.shell.visitor()
        form = await self.shell.form(visitor)
        browser = self._browser(self.linking.flow_of_link(token))
        opened = await self.linking.opened(token)

        async def act(passage: Passage) -> tuple[Redirect | Ended, str]:
            passage.object, passage.owner = opened.flow.connector, opened.flow.owner
            return await self.linking.begin(token, signed_in=visitor.name, browser=browser, inputs=form), passage.id

        try:
            done, reference = await self._witness("connections.begin", visitor, act)
        except BadInputs as bad:
            return await self._form(visitor, opened, typed=form, faults=bad.fields, status=bad.status)
        except FlowRefused as no:
            if no.why in (Why.SIGN_IN, Why.OTHER_PERSON):
                return await self._stranger(no.why, visitor, token)
            if no.why is Why.KEY_REFUSED:
                return await self._form(visitor, opened, typed=form, wrong=no.text, status=no.status)
            return await self.shell.refused(no, visitor, self._again(visitor, opened.flow))
        if isinstance(done, Ended):
            return await self._over(visitor, done, reference)
        return await self._onward(visitor, opened.platform.definition.title, done.url)

    async def callback(self, tenant: str, connector: str) -> Response:
        visitor, query = await self.shell.visitor(), query_of(request.query_string)
        flow = self.linking.flow_of_callback(query)
        if self._kept(flow) is not None:
            return go(PAGE + flow)  # the browser went back, or loaded the answer of the platform again
        browser = self._browser(flow)

        async def act(passage: Passage) -> tuple[Ended, str]:
            passage.object = connector
            ended = await self.linking.callback(tenant, connector, query, signed_in=visitor.name, browser=browser)
            passage.owner = ended.flow.owner
            if ended.flow.stage is Stage.FAILED:
                passage.outcome, passage.error = FlowRefused.kind, ended.flow.reason
            return ended, passage.id

        return await self._over(visitor, *await self._witness("connections.callback", visitor, act))

    async def ended(self, flow: str) -> Response:
        """How it ended, for the browser in which it did."""
        visitor, shown = await self.shell.visitor(), self._kept(flow)
        if shown is None:
            raise FlowRefused(Why.OTHER_BROWSER)
        if shown.stage is Stage.ASKING:
            asked = await self.linking.asked(flow, owner=visitor.name, browser=self._browser(flow))
            return await self.shell.page(
                visitor,
                "other_account.html",
                title=shown.title,
                former=asked.former.label or asked.former.account,
                found=asked.label,
            )
        if shown.stage in (Stage.DONE, Stage.DISCARDED):
            kept = shown.stage is Stage.DONE
            return await self.shell.page(visitor, "done.html", title=shown.title, label=shown.label, kept=kept)
        refusal = FlowRefused(Why(shown.reason))
        refusal.reference = shown.reference or shown.flow
        again = Again(shown.connector, shown.reconnects) if visitor.name == shown.by else None
        return await self.shell.refused(refusal, visitor, again)

    async def settle(self, flow: str) -> Response:
        visitor = await self.shell.visitor()
        keep = (await self.shell.form(visitor)).get("keep") == "yes"

        if visitor.subject is not None:
            settled = await self.operations.settle(visitor.subject, visitor.origin, flow, keep=keep)
        else:
            settled = await self._witness("connections.settle", visitor, partial(self._settled, flow, keep))
        return await self._over(visitor, Ended(settled, self.linking.next_of(settled)), "")

    async def _settled(self, flow: str, keep: bool, passage: Passage) -> Flow:
        """Nobody is signed in: the browser alone proves who it is, where the operator lets it."""
        settled = await self.linking.settle(flow, keep=keep, browser=self._browser(flow))
        passage.object, passage.owner = settled.connector, settled.owner
        return settled

    async def _form(
        self,
        visitor: Visitor,
        opened: Opened,
        *,
        typed: Mapping[str, str] | None = None,
        faults: Mapping[str, str] | None = None,
        wrong: str = "",
        status: int = 200,
    ) -> Response:
        flow, definition = opened.flow, opened.platform.definition
        former = opened.former
        response = await self.shell.page(
            visitor,
            "connect.html",
            status,
            title=definition.title,
            owner=_who(flow.owner),
            client=flow.client,
            former=(former.label or former.account) if former else "",
            asked=flow.scopes,
            leaves=definition.auth.kind is AuthKind.OAUTH2,
            fields=opened.fields,
            typed=typed or {},
            faults=faults or {},
            wrong=wrong,
        )
        if not self._browser(flow.id):
            self.shell.cookies.put(response, Use.FLOW, Secret(secrets.token_urlsafe(32)), flow.id)
        return response

    async def _stranger(self, why: Why, visitor: Visitor, token: str) -> Response:
        """To whoever is not, or not yet, the one for whom the link was made, nothing of it is shown."""
        if why is Why.SIGN_IN:
            return await self.shell.sign_in(visitor, next=f"/connect/{token}", why="Sign in to connect an account.")
        return await self.shell.refused(FlowRefused(why), visitor)

    @staticmethod
    def _not_his(flow: Flow, visitor: Visitor) -> Why | None:
        if flow.binding != Binding.SESSION or visitor.name == flow.by:
            return None
        return Why.OTHER_PERSON if visitor.name else Why.SIGN_IN

    async def _over(self, visitor: Visitor, ended: Ended, reference: str) -> Response:
        """On to the host application, or to our own page; what came back from the platform is in neither address."""
        flow = ended.flow
        if ended.next and request.method == "POST":
            response = await self._onward(visitor, "the application", ended.next)
        elif ended.next:
            response = go(ended.next)
        else:
            response = go(PAGE + flow.id)
            self.shell.cookies.put(response, Use.ENDED, await self._sealed(flow, reference), flow.id)
        if flow.stage is not Stage.ASKING:
            self.shell.cookies.drop(response, Use.FLOW, flow.id)
        return response

    async def _onward(self, visitor: Visitor, title: str, url: str) -> Response:
        """A page that goes on by itself: browsers hold ``form-action`` against redirects that follow on a form too."""
        return await self.shell.page(visitor, "onward.html", title=title, url=url)

    async def _witness(self, method: str, visitor: Visitor, act: Callable[[Passage], Awaitable[T]]) -> T:
        nobody = visitor.subject or NOBODY
        return await self.shell.pipeline.witness(method, visitor.origin, act, subject=nobody)

    async def _sealed(self, flow: Flow, reference: str) -> Secret:
        title = flow.connector
        with suppress(Refusal):  # where the connector was taken away meanwhile, its id has to do
            title = (await self.platform_of(flow.connector)).definition.title
        shown = Shown(
            flow.id, flow.connector, title, flow.label, flow.stage, flow.reason, flow.reconnects, flow.by, reference
        )
        return Secret(self.seal.close(msgspec.json.encode(shown)))

    def _kept(self, flow: str) -> Shown | None:
        """How the flow ended in this browser, if it did."""
        opened = self.seal.open(self.shell.cookies.read(request.cookies, Use.ENDED, flow)) if flow else None
        shown = None if opened is None else msgspec.json.decode(opened, type=Shown)
        return shown if shown is not None and shown.flow == flow else None

    def _browser(self, flow: str) -> str:
        return self.shell.cookies.read(request.cookies, Use.FLOW, flow)

    @staticmethod
    def _again(visitor: Visitor, flow: Flow) -> Again | None:
        return Again(flow.connector, flow.reconnects) if visitor.name == flow.by else None


def _who(owner: str) -> str:
    """The owner as people read it."""
    if owner == SYSTEM:
        return "everybody who may use it (the operator's own account)"
    return owner.removeprefix("user:") if owner.startswith("user:") else owner.partition("/")[2] or owner
