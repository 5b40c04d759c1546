"""The frame of the management API: a route is described once, and so read, checked, answered, refused and documented.

Here belong what a description is and how it becomes a route: who knocks, what is read of the request, what may leave.
This file knows no operation by name; what is asked of the policy stands behind ``act``.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Annotated, Any, Final, Generic, TypeAlias, TypeVar

import msgspec
from quart import Blueprint, Response, request

from gateway.errors import Barred, Fault, Malformed, Refusal
from gateway.pipeline import Origin, Pipeline
from gateway.pipeline.arriving import Arrival
from gateway.pipeline.passage import NOBODY
from gateway.policy.terms import MAIN, Subject
from gateway.web.api.envelope import NONE, refused, told
from gateway.web.api.reading import read_body, read_query
from gateway.web.arrivals import arrival_of

T = TypeVar("T")

NDJSON: Final = "application/x-ndjson"

EMAIL: Final[dict[str, Any]] = {"format": "email"}
"""What a text is that names an account, as the document of the API says it."""


@dataclass(frozen=True, slots=True)
class Knock:
    """Who asks, and from where. ``headers`` holds those that the route ``reads``, under their lower-case names; one
    that was not sent is not in it. ``arrival`` is what proved him.
    """

    subject: Subject
    origin: Origin
    headers: Mapping[str, str] = field(default_factory=lambda: NONE)
    arrival: Arrival = field(default_factory=Arrival, repr=False)

    @property
    def domain(self) -> str:
        """The server that he asks on."""
        return self.arrival.domain


@dataclass(frozen=True, slots=True)
class Told:
    """An answer with another status than its route's, or with headers of its own (``ETag``)."""

    answer: msgspec.Struct
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=lambda: NONE)


@dataclass(frozen=True, slots=True)
class Lines:
    """An answer of one JSON value a line (``application/x-ndjson``), sent as they come."""

    lines: AsyncIterator[msgspec.Struct]


Answer: TypeAlias = "msgspec.Struct | Told | Lines"
Act: TypeAlias = Callable[..., Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Described:
    """One route. ``act(who, *, body, asked, **path)`` answers: ``body`` is given where the route ``takes`` one,
    ``asked`` where it has a ``query``, and each name in braces of ``rule`` as the words of the path.

    ``name`` is the method of the audit entry (``servers.create``), also of a request that is refused before any
    operation. ``gives`` is what an answer may be, one struct or several: nothing else leaves. ``reads`` are the
    headers that ``act`` is told; ``lines`` is the struct of a line where the answer may be ``Lines``. ``on_server``:
    headers may name a server, and an end user of it; all other routes are those of ``main``.
    """

    verb: str
    rule: str
    name: str
    act: Act
    gives: type[msgspec.Struct] | tuple[type[msgspec.Struct], ...]
    takes: type[msgspec.Struct] | None = None
    query: type[msgspec.Struct] | None = None
    status: int = 200
    summary: str = ""
    reads: tuple[str, ...] = ()
    lines: type[msgspec.Struct] | None = None
    on_server: bool = False

    @property
    def may_give(self) -> tuple[type[msgspec.Struct], ...]:
        """The structs that an answer may be."""
        return self.gives if isinstance(self.gives, tuple) else (self.gives,)


class Page(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, rename="camel"):
    """What part of a list is asked for: the base of every ``query`` of a list."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=100, description="how many at most")] = 25
    offset: Annotated[int, msgspec.Meta(ge=0, le=1_000_000_000, description="how many to leave out first")] = 0


class Counted(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Where in the whole list an answer stands: the base of every answer that is part of a list."""

    total: int
    limit: int
    offset: int
    has_more: bool


@dataclass(frozen=True, slots=True)
class Part(Generic[T]):
    """``items`` of a whole list, and where they stand in it."""

    items: tuple[T, ...]
    total: int
    limit: int
    offset: int

    @property
    def has_more(self) -> bool:
        """Whether more of the list follows."""
        return self.offset + len(self.items) < self.total


def part(whole: Sequence[T], asked: Page) -> Part[T]:
    """The part of ``whole`` that is asked for."""
    return Part(tuple(whole[asked.offset : asked.offset + asked.limit]), len(whole), asked.limit, asked.offset)


def mounted(pipeline: Pipeline, routes: Iterable[Described], *, accept_query: bool = False) -> Blueprint:
    """All ``routes`` as one blueprint. ``accept_query``: whether a key may stand in the query."""
    api = Blueprint("api", __name__)
    for each in routes:
        rule = each.rule.replace("{", "<").replace("}", ">")
        answer = partial(_answer, pipeline, each, accept_query)
        api.add_url_rule(rule, f"{each.verb} {each.rule}".replace(".", "-"), answer, methods=[each.verb])
    return api


async def _answer(pipeline: Pipeline, route: Described, accept_query: bool, /, **path: str) -> Response:
    """What is answered. A refusal is told in the envelope and has its audit entry."""
    origin = Origin(request.remote_addr or "", "api", request.headers.get("user-agent", "")[:200])
    subject: Subject | None = None
    try:
        arrival = _arrival(route, accept_query, origin.address)
        subject, barred = await _proven(pipeline, route, arrival)
        read, headers = await _read(route), _headers(route.reads)
        if route.on_server and (named := _named(read)):
            arrival = _standing_for(named, arrival)
            subject = await pipeline.arrive(arrival)
        elif barred is not None:
            raise barred
        who = Knock(subject or NOBODY, origin, headers, arrival)
        return _allowed(route, await route.act(who, **read, **path))
    except Refusal as refusal:
        await pipeline.refuse(refusal, origin, domain=MAIN, subject=subject, method=route.name)
        return refused(refusal)


async def _proven(pipeline: Pipeline, route: Described, arrival: Arrival) -> tuple[Subject | None, Barred | None]:
    """Who asks; or why he may not enter the server himself, which is no matter where the request goes on to name an end
    user for whom he may ask. Raises ``Refusal``.
    """
    try:
        return await pipeline.arrive(arrival), None
    except Barred as barred:
        if not route.on_server:
            raise
        return None, barred


def _named(read: Mapping[str, msgspec.Struct]) -> str:
    """The end user whom a body or query names, ``""`` for nobody."""
    return next((name for each in read.values() if (name := str(getattr(each, "user_id", "")))), "")


def _standing_for(name: str, arrival: Arrival) -> Arrival:
    """The same as if a header had named the end user. Raises ``Malformed``."""
    if arrival.acts_as not in (None, name):
        raise Malformed("`userId` and the header name two end users; name one")
    return replace(arrival, acts_as=name)


def _arrival(route: Described, accept_query: bool, address: str) -> Arrival:
    """What this request brings. Raises ``Unauthenticated``, ``Malformed``."""
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in request.headers.items()]
    domain = None if route.on_server else MAIN
    return arrival_of(headers, request.query_string, accept_query=accept_query, domain=domain, address=address)


def _headers(names: Collection[str]) -> Mapping[str, str]:
    """What was sent of ``names``. Raises ``Malformed`` where one was sent twice."""
    sent = {name: request.headers.getlist(name) for name in names}
    if twice := [name for name, values in sent.items() if len(values) > 1]:
        raise Malformed(f"the header `{twice[0]}` stands twice; send it once")
    return {name: values[0] for name, values in sent.items() if values}


async def _read(route: Described) -> Mapping[str, msgspec.Struct]:
    """What was sent, as ``act`` takes it. Raises ``Malformed``."""
    read: dict[str, msgspec.Struct] = {}
    if route.query is not None:
        read["asked"] = read_query(route.query)
    if route.takes is not None:
        read["body"] = await read_body(route.takes)
    return read


def _allowed(route: Described, answer: Answer) -> Response:
    """``answer`` as bytes. Raises ``Fault`` where it is not what the route says it gives."""
    if isinstance(answer, Lines):
        return _streamed(answer)
    whole = answer if isinstance(answer, Told) else Told(answer)
    if type(whole.answer) not in route.may_give:
        raise Fault("Internal error", detail=f"{route.name} gave a {type(whole.answer).__name__}")
    return told(whole.answer, whole.status or route.status, whole.headers)


def _streamed(answer: Lines) -> Response:
    async def encoded() -> AsyncIterator[bytes]:
        async for line in answer.lines:
            yield msgspec.json.encode(line) + b"\n"

    response = told(None)
    response.set_data(b"")
    response.response = response.iterable_body_class(encoded())
    response.headers["content-type"] = NDJSON
    del response.headers["content-length"]
    return response
