"""The three ways in which a client can talk: each request by itself, within a session, and over ``/sse``."""

import queue
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from tests.corridor.house import modern, result_of
from tests.corridor.people import Person, unique
from tests.corridor.test_isolation import INITIALIZE, legacy
from tests.corridor.test_streams import following

CHANGED = {f"notifications/{kind}/list_changed": kind for kind in ("tools", "prompts", "resources")}
WISH = {f"{kind}ListChanged": True for kind in ("tools", "prompts", "resources")}


@dataclass
class Talker(Person):
    """Somebody over one transport, with an open stream; ``heard`` is what came over it and was not asked for."""

    next: Callable[..., Any] = lambda wait: None
    heard: list[Any] = field(default_factory=list)

    def news(self, wait: float = 20) -> set[str]:
        """Which of his lists have changed: what comes next."""
        message = self.heard.pop(0) if self.heard else self.next(wait)
        return {CHANGED[message["method"]]}

    def silent(self) -> bool:
        """Whether nothing came that he was not told of."""
        try:
            while True:
                self.heard.append(self.next(0))
        except queue.Empty:
            return not self.heard

    def ended(self) -> bool:
        """Whether his stream ends; waits for that."""
        while not isinstance(message := self.next(20), Exception):
            self.heard.append(message)
        return isinstance(message, EOFError)


@dataclass
class Modern(Talker):
    """Each request stands for itself; he listens."""


@dataclass
class Legacy(Talker):
    """Within a session."""

    session: dict[str, str] = field(default_factory=dict)

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        with self.house.client(self.key) as client:
            answer = client.post("/mcp", json=legacy(method, **params), headers=self.session)
        told: dict[str, Any] = result_of(answer)
        return told


@dataclass
class OverSse(Talker):
    """Everything comes over one stream."""

    place: str = ""

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        id = unique("id")
        with self.house.client(self.key) as client:
            assert client.post(self.place, json=legacy(method, id=id, **params)).status_code == 202
        while (message := self.next(20)).get("id") != id:
            self.heard.append(message)
        told: dict[str, Any] = message
        return told


Transport: TypeAlias = Callable[[Person], Any]


@contextmanager
def by_itself(who: Person) -> Iterator[Modern]:
    asked = modern("subscriptions/listen", id="L1", notifications=WISH)
    with following(who.house, who.key, "POST", "/mcp", **asked) as hears:
        assert hears()["method"] == "notifications/subscriptions/acknowledged"
        yield Modern(who.house, who.email, who.key, hears)


@contextmanager
def in_a_session(who: Person) -> Iterator[Legacy]:
    with ExitStack() as opened:
        with who.house.client(who.key) as client:
            session = {"mcp-session-id": client.post("/mcp", json=INITIALIZE).headers["mcp-session-id"]}
        hears = opened.enter_context(following(who.house, who.key, "GET", "/mcp", headers=session))
        yield Legacy(who.house, who.email, who.key, hears, session=session)


@contextmanager
def over_sse(who: Person) -> Iterator[OverSse]:
    with following(who.house, who.key, "GET", "/sse") as hears:
        talker = OverSse(who.house, who.email, who.key, hears, place=hears())
        opening = {**INITIALIZE["params"], "protocolVersion": "2024-11-05"}  # type: ignore[dict-item]
        assert talker.ask("initialize", **opening)["result"]["protocolVersion"] == "2024-11-05"
        yield talker


TRANSPORTS: tuple[Transport, ...] = (by_itself, in_a_session, over_sse)
