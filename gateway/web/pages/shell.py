"""What all pages have in common: who visits, how a page is put together, what protects it, how a refusal reads.

Every page says so much as its template does and no more: values are escaped, nothing is loaded from anywhere, no
script runs. This file knows no page by name but that of signing in.
"""

import hashlib
import logging
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from markupsafe import Markup, escape
from quart import Blueprint, Response, make_response, redirect, render_template, request
from werkzeug.exceptions import HTTPException

from connectors.base import Secret
from gateway.connections.terms import SENTENCES, FlowRefused
from gateway.errors import Denied, Refusal, Unauthenticated, Unknown, UpstreamFailed
from gateway.pipeline import Origin, Pipeline
from gateway.policy.terms import MAIN, Subject
from gateway.signing_in.desk import Desk
from gateway.web.pages.cookies import Cookies, Use
from gateway.web.pages.forms import HOME, Forms

STYLE: Final = (Path(__file__).parent.parent / "templates" / "style.css").read_bytes()
STYLE_PATH: Final = f"/style-{hashlib.sha256(STYLE).hexdigest()[:16]}.css"

PLACES: Final = ("connect", "connected", "connections", "oauth/callback", "sign-in", "sign-out")
"""Below these people visit pages."""

HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src data:; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    # not `no-referrer`: with it browsers send `Origin: null` with our own forms (Fetch §3.2), which nobody could tell
    # from a foreign page's
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}

NO_COOKIE: Final = Secret("")

_STATUS: Final = ((Unknown, 404), (UpstreamFailed, 502))

log = logging.getLogger(__name__)


class Outdated(Refusal):
    code, status, kind = -32600, 403, "outdated"


@dataclass(frozen=True, slots=True)
class Again:
    """What a fresh link is made for."""

    connector: str
    reconnects: str = ""


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who looks at a page: ``subject`` when he is signed in, with the cookie that proves it. His forms are bound to
    ``seed``, which is ``fresh`` when his browser does not have it yet.
    """

    origin: Origin
    subject: Subject | None = None
    cookie: Secret = field(default=NO_COOKIE)
    seed: Secret = field(default=NO_COOKIE)
    fresh: bool = False

    @property
    def name(self) -> str:
        """The subject's name, ``""`` when nobody is signed in."""
        return "" if self.subject is None else self.subject.name


@dataclass(frozen=True, slots=True)
class Shell:
    """``name`` is what the gateway is called."""

    name: str
    cookies: Cookies
    forms: Forms
    desk: Desk
    pipeline: Pipeline

    async def visitor(self) -> Visitor:
        """Who sent the request. Raises ``Unavailable``."""
        cookie = self.cookies.read(request.cookies, Use.SIGN_IN)
        subject = await self.desk.who(cookie)
        seed = cookie if subject is not None else self.cookies.read(request.cookies, Use.VISIT)
        origin = Origin(request.remote_addr or "", "web", request.headers.get("User-Agent", "")[:200])
        return Visitor(origin, subject, Secret(cookie), Secret(seed or secrets.token_urlsafe(32)), fresh=not seed)

    async def form(self, visitor: Visitor) -> Mapping[str, str]:
        """The fields of a form that we showed to this browser. Raises ``Outdated``."""
        fields = await request.form
        if visitor.fresh or not self.forms.accepts(visitor.seed.reveal(), fields.get("guard", "")):
            raise Outdated("this page was open for too long, or in another browser; go back and load it again")
        return {name: value for name, value in fields.items() if name != "guard"}

    async def page(self, visitor: Visitor, template: str, status: int = 200, **values: object) -> Response:
        """A page, with the name of whoever is signed in above it."""
        guard = Markup('<input type="hidden" name="guard" value="{}">').format(self.forms.token(visitor.seed.reveal()))
        text = await render_template(
            template,
            name=self.name,
            style=STYLE_PATH,
            person=visitor.name.removeprefix("user:"),
            guard=lambda: guard,
            **values,
        )
        response = await _response(text, status)
        if visitor.fresh:
            self.cookies.put(response, Use.VISIT, visitor.seed)
        return response

    async def sign_in(
        self, visitor: Visitor, *, next: str = HOME, why: str = "", wrong: str = "", status: int = 200
    ) -> Response:
        """The page to sign in at; it leads to ``next`` afterwards."""
        ways = {"openid": self.desk.provider, "mail": self.desk.mails}
        return await self.page(visitor, "sign_in.html", status, next=next, why=why, wrong=wrong, **ways)

    async def refused(self, refusal: Refusal, visitor: Visitor | None = None, again: Again | None = None) -> Response:
        """The page that says why something was not done, and what to do; with an audit entry, if there is none yet."""
        who = visitor or await self.visitor()
        await self.pipeline.refuse(
            refusal, who.origin, domain=MAIN, subject=who.subject, method=f"page.{request.endpoint}"
        )
        if isinstance(refusal, Unauthenticated):
            return await self.sign_in(who, why="you are not signed in any more", status=refusal.status)
        happened, remedy = _sentences(refusal)
        response = await self.page(
            who,
            "failed.html",
            status_of(refusal),
            happened=happened,
            remedy=remedy,
            again=again,
            reference=refusal.reference,
        )
        if (wait := getattr(refusal, "retry_after", None)) is not None:
            response.headers["Retry-After"] = str(wait)
        return response

    def blueprint(self, name: str) -> Blueprint:
        """Routes whose answers are protected, and whose refusals are pages."""
        made = Blueprint(name, __name__)
        made.after_request(_protected)
        made.register_error_handler(Refusal, self.refused)
        made.register_error_handler(HTTPException, self._unreadable)
        made.register_error_handler(Exception, self._fault)
        made.add_app_template_filter(prose)
        return made

    def style(self) -> Blueprint:
        """The one thing that pages load; its name changes with it, so that browsers may keep it."""
        made = self.blueprint("style")

        async def sheet() -> Response:
            forever = {
                "Content-Type": "text/css; charset=utf-8",
                "Cache-Control": "public, max-age=31536000, immutable",
            }
            return Response(STYLE, headers=forever)

        made.get(STYLE_PATH)(sheet)
        return made

    def lost(self) -> Blueprint:
        """Whatever no page has below the places that people visit: they mistype addresses, and read no JSON."""
        made = self.blueprint("lost")
        for place in PLACES:
            for rule in (f"/{place}/", f"/{place}/<path:rest>"):
                made.route(rule, methods=["GET", "POST"])(nothing_here)
        return made

    async def _unreadable(self, error: HTTPException) -> Response:
        bad = Refusal(f"{error.name.lower()}; go back and try again", status=error.code or 400)
        return await self.refused(bad, _stranger())

    async def _fault(self, error: Exception) -> Response:
        """Not even the visitor is asked for: that may be what failed."""
        log.error("a page ended in a fault", exc_info=error)
        return await self.refused(Refusal("a mistake of ours; try again later", status=500), _stranger())


def status_of(refusal: Refusal) -> int:
    """The HTTP status of a page; those that stand inside an answer of 200 elsewhere have one of their own here."""
    if refusal.status >= 400:
        return refusal.status
    return next((status for kind, status in _STATUS if isinstance(refusal, kind)), 403)


def prose(text: str) -> Markup:
    """One of our sentences for people: with a capital, and what stands in backticks as code."""
    parts = re.split(r"`([^`]*)`", text[:1].upper() + text[1:])
    shown = (Markup("<code>{}</code>").format(each) if at % 2 else escape(each) for at, each in enumerate(parts))
    return Markup("").join(shown)


def go(path: str) -> Response:
    """On to another of our pages, by GET."""
    return redirect(path, 303)  # type: ignore[return-value] # quart's own response


def _sentences(refusal: Refusal) -> tuple[str, str]:
    """What happened, and what to do about it; our texts say one before and the other after the first semicolon."""
    if isinstance(refusal, FlowRefused):
        return SENTENCES[refusal.why]
    if isinstance(refusal, Denied):
        return "the policy does not allow this", "if you need it, ask your security team and name the reference below"
    happened, _, remedy = refusal.text.partition("; ")
    return happened, remedy


async def nothing_here(**_: str) -> Response:
    raise Unknown("there is no page at this address; look for a typing error in it", code=-32600, status=404)


def _stranger() -> Visitor:
    return Visitor(Origin(""), seed=Secret(secrets.token_urlsafe(32)))


async def _response(text: str, status: int) -> Response:
    return await make_response(text, status)  # type: ignore[return-value]


async def _protected(response: Response) -> Response:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    return response
