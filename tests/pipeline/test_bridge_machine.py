"""Whatever two users do with their states and with each other's, in whatever order: no answer crosses from one call
to another, and nothing that is not ours to the letter reaches a server.
"""

import asyncio
import json
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gateway.errors import Refusal
from gateway.mcp.terms import CAPABILITIES_KEY, Era, Params
from gateway.pipeline import parking
from tests.builders import ALL, AMY, BOB, Door, call, text_of
from tests.fakes import ELICITATION, EVERYTHING, FORM, SEND, Client, FakeConnector, Sent, said

T = TypeVar("T")

PEOPLE = (AMY, BOB)
MINUTE = 60 * 1000


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parking, "GATHER_S", 0)


async def old(sent: Sent) -> Params:
    """A legacy server that asks twice and tells for whom it heard what."""
    first = await sent.caller.ask(ELICITATION, {**FORM, "message": "1"})
    second = await sent.caller.ask(ELICITATION, {**FORM, "message": "2"})
    return said([sent.principal, sent.params["arguments"]["channel"], first["content"], second["content"]])


def new(sent: Sent) -> Params:
    """The same of a modern one; what it heard first stands in its state."""
    heard = json.loads(str(sent.params.get("requestState", "[]")))
    if (given := sent.params.get("inputResponses")) is not None:
        heard.append(given["it"]["content"])
    if len(heard) == 2:
        return said([sent.principal, sent.params["arguments"]["channel"], *heard])
    asked = {"it": {"method": ELICITATION, "params": {**FORM, "message": str(len(heard) + 1)}}}
    return {"resultType": "input_required", "inputRequests": asked, "requestState": json.dumps(heard)}


@dataclass
class Kept:
    """What the client of one user holds: a question that was put about one call, in one round."""

    person: str
    tool: str
    number: str
    keys: tuple[str, ...]
    state: str
    at: int
    round: int
    used: bool = False


class Crossing(RuleBasedStateMachine):
    @initialize()
    def open(self) -> None:
        self.loop = asyncio.new_event_loop()
        tools = [SEND]
        self.old = FakeConnector("old", tools, answer=old)
        self.new = FakeConnector("new", tools, answer=new, era=Era.MODERN)
        self.door = Door(ALL, [self.old, self.new])
        self.kept: list[Kept] = []
        self.calls = 0

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    async def _post(self, person: str, tool: str, number: str, **more: Any) -> Params | Refusal:
        meta = {CAPABILITIES_KEY: EVERYTHING}
        asked = call("tools/call", era=Era.MODERN, name=tool, arguments={"channel": number}, _meta=meta, **more)
        try:
            return await self.door.handle(person, asked, caller=Client(EVERYTHING))
        except Refusal as refusal:
            return refusal

    def _keep(self, person: str, tool: str, number: str, asked: Params, round: int) -> None:
        assert asked["resultType"] == "input_required"
        ((key, question),) = asked["inputRequests"].items()
        assert question["params"]["message"] == str(round)
        self.kept.append(Kept(person, tool, number, (key,), asked["requestState"], self.door.now, round))

    @rule(person=st.sampled_from(PEOPLE), tool=st.sampled_from(["old__send", "new__send"]))
    def begin(self, person: str, tool: str) -> None:
        self.calls += 1
        number = str(self.calls)
        asked = self.run(self._post(person, tool, number))
        assert isinstance(asked, dict)
        self._keep(person, tool, number, asked, 1)

    @precondition(lambda self: self.kept)
    @rule(
        presenter=st.sampled_from(PEOPLE),
        data=st.data(),
        tool=st.sampled_from(["", "", "", "old__send", "new__send"]),
        number=st.sampled_from(["", "", "", "1", "2"]),
    )
    def bring(self, presenter: str, data: st.DataObject, tool: str, number: str) -> None:
        """Somebody presents a state, mostly for the call that it was given for."""
        kept = data.draw(st.sampled_from(self.kept))
        tool, number = tool or kept.tool, number or kept.number
        mine = {"action": "accept", "content": {"by": presenter, "for": number, "round": str(kept.round)}}
        sent = len(self.old.sent) + len(self.new.sent)
        got = self.run(
            self._post(presenter, tool, number, inputResponses=dict.fromkeys(kept.keys, mine), requestState=kept.state)
        )
        live = not kept.used and self.door.now - kept.at < 10 * MINUTE
        if not (live and (presenter, tool, number) == (kept.person, kept.tool, kept.number)):
            assert isinstance(got, Refusal)
            assert got.code == -32602
            assert len(self.old.sent) + len(self.new.sent) == sent
            return
        kept.used = True
        assert isinstance(got, dict)
        if kept.round == 1:
            self._keep(kept.person, tool, number, got, 2)
        else:
            expected = [{"by": presenter, "for": number, "round": each} for each in ("1", "2")]
            assert json.loads(text_of(got)) == [f"user:{presenter}", number, *expected]

    @rule(minutes=st.integers(1, 6))
    def wait(self, minutes: int) -> None:
        self.door.now += minutes * MINUTE + 7_000  # never to the very moment at which something expires
        self.door._swap(confirmed_at_ms=self.door.now)

    @invariant()
    def no_more_is_parked_than_was_kept(self) -> None:
        if hasattr(self, "door"):
            assert len(self.door.parking) <= sum(not each.used for each in self.kept)

    def teardown(self) -> None:
        if hasattr(self, "loop"):
            self.run(self.door.parking.close())
            self.loop.close()


TestCrossing = Crossing.TestCase


@given(data=st.data(), server=st.sampled_from(["old__send", "new__send"]))
@settings(deadline=None)
def test_a_state_that_is_not_ours_to_the_letter_reaches_no_server(data: st.DataObject, server: str):
    async def scene() -> None:
        things = [FakeConnector("old", [SEND], answer=old), FakeConnector("new", [SEND], answer=new, era=Era.MODERN)]
        door = Door(ALL, things)
        given = {"name": server, "arguments": {"channel": "#help"}}

        def post(**more: Any) -> Coroutine[Any, Any, Params]:
            asked = call("tools/call", era=Era.MODERN, _meta={CAPABILITIES_KEY: EVERYTHING}, **given, **more)
            return door.handle(AMY, asked, caller=Client(EVERYTHING))

        ours = str((await post())["requestState"])
        at, cut = data.draw(st.integers(0, len(ours))), data.draw(st.integers(0, 3))
        altered = ours[:at] + data.draw(st.text(max_size=3)) + ours[at + cut :]
        state = data.draw(st.sampled_from([altered]) | st.text(max_size=80))
        assume(state != ours)
        with pytest.raises(Refusal) as caught:
            await post(requestState=state, inputResponses={"it": {"action": "accept", "content": {}}})
        assert caught.value.code == -32602
        assert sum(len(each.sent) for each in things) == 1
        await door.parking.close()

    asyncio.run(scene())
