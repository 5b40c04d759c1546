"""Signing in and out. What proves somebody is judged in ``gateway/signing_in``; each try leaves one audit entry."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from quart import Blueprint, Response, request

from gateway.errors import Limited, Refusal, Unauthenticated
from gateway.pipeline.passage import Passage
from gateway.signing_in.desk import SignedIn, WrongCode
from gateway.signing_in.openid import CALLBACK, NotSignedIn
from gateway.web.pages.cookies import Use
from gateway.web.pages.forms import HOME, place
from gateway.web.pages.queries import query_of
from gateway.web.pages.shell import Shell, Visitor, go, status_of

BAD_KEY: Final = "that API key is not valid here; type it again, or ask the operator for one"


@dataclass(frozen=True, slots=True)
class SigningIn:
    """The ways to sign in, and out."""

    shell: Shell

    def blueprint(self) -> Blueprint:
        """``/sign-in`` with its ways, and ``/sign-out``."""
        pages = self.shell.blueprint("sign_in")
        pages.get("/sign-in")(self.ways)
        pages.post("/sign-in")(self.another_way)
        pages.post("/sign-in/key")(self.by_key)
        pages.post("/sign-in/mail")(self.ask_code)
        pages.post("/sign-in/code")(self.by_code)
        pages.post("/sign-in/oidc")(self.leave)
        pages.get(CALLBACK)(self.come_back)
        pages.post("/sign-out")(self.out)
        return pages

    async def ways(self) -> Response:
        visitor = await self.shell.visitor()
        return go(HOME) if visitor.subject else await self.shell.sign_in(visitor)

    async def another_way(self) -> Response:
        visitor = await self.shell.visitor()
        return await self.shell.sign_in(visitor, next=place((await self.shell.form(visitor)).get("next", "")))

    async def by_key(self) -> Response:
        visitor = await self.shell.visitor()
        form = await self.shell.form(visitor)

        async def prove() -> SignedIn:
            key, former = form.get("key", ""), visitor.cookie.reveal()
            return await self.shell.desk.by_key(key, address=visitor.origin.address, former=former)

        return await self._signed_in(visitor, "key", place(form.get("next", "")), prove)

    async def ask_code(self) -> Response:
        visitor = await self.shell.visitor()
        form = await self.shell.form(visitor)
        next, email, address = place(form.get("next", "")), form.get("email", ""), visitor.origin.address
        try:
            cookie = await self.shell.pipeline.witness(
                "sign_in.ask_code", visitor.origin, lambda _: self.shell.desk.ask_code(email, address=address)
            )
        except (NotSignedIn, Limited) as no:
            return await self._once_more(visitor, next, no)
        response = await self.shell.page(visitor, "code.html", next=next)
        self.shell.cookies.put(response, Use.CODE, cookie)
        return response

    async def by_code(self) -> Response:
        visitor = await self.shell.visitor()
        form = await self.shell.form(visitor)
        next, kept = place(form.get("next", "")), self.shell.cookies.read(request.cookies, Use.CODE)

        async def prove() -> SignedIn:
            code, former = form.get("code", ""), visitor.cookie.reveal()
            return await self.shell.desk.by_code(kept, code, address=visitor.origin.address, former=former)

        try:
            return await self._signed_in(visitor, "mail", next, prove)
        except WrongCode as no:
            return await self.shell.page(visitor, "code.html", status_of(no), next=next, wrong=no.text)

    async def leave(self) -> Response:
        visitor = await self.shell.visitor()
        next = place((await self.shell.form(visitor)).get("next", ""))
        desk, address = self.shell.desk, visitor.origin.address
        try:
            leaving = await self.shell.pipeline.witness(
                "sign_in.leave", visitor.origin, lambda _: desk.leave(next, address=address)
            )
        except Refusal as no:
            return await self._once_more(visitor, next, no)
        response = await self.shell.page(visitor, "onward.html", title=desk.provider, url=leaving.url)
        self.shell.cookies.put(response, Use.OPENID, leaving.keeps, leaving.id)
        return response

    async def come_back(self) -> Response:
        visitor, query = await self.shell.visitor(), query_of(request.query_string)
        attempt = self.shell.desk.attempt_of(query)
        kept = self.shell.cookies.read(request.cookies, Use.OPENID, attempt)

        async def prove() -> SignedIn:
            former = visitor.cookie.reveal()
            return await self.shell.desk.come_back(query, kept, address=visitor.origin.address, former=former)

        response = await self._signed_in(visitor, "oidc", HOME, prove)
        if attempt:
            self.shell.cookies.drop(response, Use.OPENID, attempt)
        return response

    async def out(self) -> Response:
        visitor = await self.shell.visitor()
        await self.shell.form(visitor)

        async def end(passage: Passage) -> None:
            passage.subject = visitor.subject or passage.subject
            await self.shell.desk.out(visitor.cookie.reveal())

        await self.shell.pipeline.witness("sign_out", visitor.origin, end)
        response = go("/sign-in")
        self.shell.cookies.drop(response, Use.SIGN_IN)
        return response

    async def _signed_in(
        self, visitor: Visitor, how: str, next: str, prove: Callable[[], Awaitable[SignedIn]]
    ) -> Response:
        """On to ``next`` with a new cookie, or the page once more with what was wrong."""

        async def act(passage: Passage) -> SignedIn:
            signed = await prove()
            passage.subject = signed.subject
            return signed

        try:
            signed = await self.shell.pipeline.witness(f"sign_in.{how}", visitor.origin, act)
        except Unauthenticated as no:
            return await self.shell.sign_in(visitor, next=next, wrong=BAD_KEY, status=no.status)
        except (NotSignedIn, Limited) as no:
            return await self._once_more(visitor, next, no)
        response = go(place(signed.next or next))
        self.shell.cookies.put(response, Use.SIGN_IN, signed.cookie)
        self.shell.cookies.drop(response, Use.CODE)
        return response

    async def _once_more(self, visitor: Visitor, next: str, no: Refusal) -> Response:
        return await self.shell.sign_in(visitor, next=next, wrong=no.text, status=status_of(no))
