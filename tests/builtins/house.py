"""A house whose people call the gateway's own tools: a real store, a node that follows it, and the door."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from connectors.base import Unasked
from gateway.builtins.terms import Builtin
from gateway.errors import Refusal, Unauthenticated
from gateway.follower import Follower
from gateway.manage.letters import Letters, no_letters
from gateway.manage.office import Office
from gateway.manage.policies import apply_policy
from gateway.manage.users import add_user
from gateway.policy.terms import Subject
from gateway.store.base import Store
from tests.builders import NOON, ORIGIN, RING, Door, call, text_of
from tests.fakes import FakeConnector
from tests.following import KEEPER, bundle


class Refused(Exception):
    """A tool said no."""


@dataclass
class House:
    """``keys`` are those that people were shown last."""

    store: Store
    follower: Follower
    office: Office
    door: Door
    keys: dict[str, str]

    async def add(self, email: str, *roles: str, name: str = "") -> str:
        """An account that the operator makes; its subject."""
        issued = await add_user(self.store, RING, email, author="operator", now=self.door.now, name=name, roles=roles)
        await self.follower.catch_up()
        self.keys[email] = issued.key.reveal()
        return f"user:{email}"

    def who(self, email: str) -> Subject:
        return self.door.pipeline.identify(self.keys[email])

    async def answer(self, email: str, tool: str, /, **arguments: Any) -> dict[str, Any]:
        """What the tool says. Raises ``Refused``."""
        asked = call("tools/call", name=tool, arguments=arguments)
        try:
            result = await self.door.pipeline.handle(asked, self.who(email), ORIGIN, Unasked())
        except Refusal as refusal:
            raise Refused(refusal.text) from None
        if result.get("isError"):
            raise Refused(text_of(result))
        found: dict[str, Any] = json.loads(text_of(result))
        assert set(found) == {"result", "message", "nextSteps"}
        return found

    async def use(self, email: str, tool: str, /, **arguments: Any) -> Any:
        """The ``result`` of what the tool says."""
        return (await self.answer(email, tool, **arguments))["result"]

    async def listed(self, email: str) -> list[str]:
        result = await self.door.pipeline.handle(call("tools/list"), self.who(email), ORIGIN, Unasked())
        return [each["name"] for each in result["tools"]]

    def proves(self, key: str) -> str:
        """Whom a key proves, ``""`` for nobody."""
        try:
            return self.follower.current.identities.authenticate(key, self.door.now).name
        except Unauthenticated:
            return ""

    async def grants(self) -> set[tuple[str, ...]]:
        return {each.row for each in await self.store.grants.page(limit=1_000)}


async def house(
    store: Store,
    rows: str,
    builtins: Callable[[Office], Sequence[Builtin]],
    *,
    letters: Letters = no_letters,
    connectors: Sequence[FakeConnector] = (),
) -> House:
    """One over ``store`` in which ``rows`` decide."""
    await apply_policy(store, bundle(KEEPER + rows), author="operator", why="test", now=NOON)
    follower = Follower(store, RING, poll_s=60, clock=lambda: door.now)
    office = Office(store, RING, lambda: follower.current, follower.catch_up, letters=letters)
    door = Door(follower=follower, builtins=builtins(office), connectors=connectors, custom=True)
    await follower.catch_up()
    return House(store, follower, office, door, {})
