"""What an entry holds so that its decision can be asked again, and that it is enough for that."""

import msgspec
import pytest

from connectors.base import Unasked
from gateway.analysis.replay.hidden import Asking
from gateway.analysis.replay.recorded import recorded
from gateway.audit import AuditEntry
from gateway.audit.masking import PIECES, hashed_value, keyed_hash
from gateway.audit.question import key_mark
from gateway.errors import Unavailable
from gateway.policy.terms import SYSTEM
from tests.builders import ALL, AMY, BOB, ORIGIN, Door, call, policy
from tests.fakes import FakeConnector, prompt, slack, template, tool

KEY = keyed_hash(b"k" * 32)
DIGESTS = {key_mark(KEY): lambda value: hashed_value(value, KEY)}


def asked_again(entry: AuditEntry, rows: str) -> bool | None:
    """What the policy of ``rows`` answers to the question of ``entry``, as it comes back from a store."""
    kept = msgspec.json.decode(msgspec.json.encode(entry), type=AuditEntry)
    return Asking(policy(rows), DIGESTS).answer(recorded(kept, kept.asked)).allowed


async def test_a_decision_leaves_its_question_and_that_gives_its_answer():
    rows = f"{ALL}\np, *, *, *, slack/send, write, args.channel == '#closed', deny"
    door = Door(rows, [slack()])
    for channel, text in (("#open", "a"), ("#closed", "b")):
        await door.use(AMY, "slack__send", channel=channel, text=text)
        assert asked_again(door.last, rows) is door.last.allowed
        assert asked_again(door.last, f"{ALL}\np, *, *, *, *, write, args.text == 'a', deny") is (text != "a")
    asked = door.last.asked
    assert (asked.tool.connector, asked.tool.name, asked.tool.destructive) == ("slack", "send", False)
    assert (asked.groups, asked.claims, asked.hashed_claims, asked.owner_roles) == ((), {}, {}, None)
    assert (asked.lenders, asked.offset, asked.cut, asked.kinds) == ((), 0, False, "t")
    assert asked.key == key_mark(KEY)


async def test_the_facts_of_a_tool_decide_again():
    rows = f"{ALL}\np, *, *, *, *, write, tool.destructive, deny"
    door = Door(rows, [FakeConnector("c", [tool("purge", destructive=True), tool("add")])])
    await door.use(AMY, "c__add")
    assert asked_again(door.last, rows) is True
    assert door.last.asked.key == "", "nothing is hidden"
    chain_of_purge = door.last.asked.tool
    assert chain_of_purge.destructive is False


async def test_a_loan_is_asked_again_for_the_lender_too():
    lender = f"user:{BOB}"
    rows = f"p, user:{AMY}, main, {lender}, slack/*, write, , allow\np, {lender}, main, self, slack/*, write, , allow"
    door = Door(rows, [slack(lenders=(lender,))])
    await door.use(AMY, "slack__read")
    assert (door.last.owner, door.last.asked.lenders) == (lender, (lender,))
    assert asked_again(door.last, rows) is True
    assert asked_again(door.last, rows.splitlines()[0]) is False


async def test_the_operators_connection_has_no_lender():
    rows = "p, user:*, main, system, slack/*, write, , allow"
    door = Door(rows, [slack(lenders=(SYSTEM,))])
    await door.use(AMY, "slack__read")
    assert (door.last.owner, door.last.asked.lenders) == (SYSTEM, ())
    assert asked_again(door.last, rows) is True


async def test_a_resource_shows_neither_query_nor_user_and_says_that_it_is_cut():
    door = Door(ALL, [FakeConnector("web", [template("https://{x}")])])
    await door.ask(AMY, "resources/read", uri="https://u:hunter2@host/a?token=hunter2")
    assert door.last.asked.cut is True
    assert "hunter2" not in str(door.last)
    await door.ask(AMY, "resources/read", uri="https://host/a")
    assert door.last.asked.cut is False
    assert asked_again(door.last, ALL) is True


async def test_what_is_no_decision_about_one_thing_has_no_question():
    door = Door(ALL, [FakeConnector("c", [tool("t"), prompt("p", "a")])])
    await door.tools(AMY)
    assert door.last.asked is None
    reference = {"type": "ref/prompt", "name": "c__p"}
    await door.ask(AMY, "completion/complete", ref=reference, argument={"name": "a", "value": "x"})
    assert (door.last.allowed, door.last.asked) == (True, None)
    amy = door.person(AMY)
    door.now += 120_000
    with pytest.raises(Unavailable):
        await door.pipeline.handle(call("tools/call", name="c__t"), amy, ORIGIN, Unasked(door.heard.append))
    assert (door.last.reason, door.last.asked) == ("stale_policy", None)


async def test_too_many_arguments_are_asked_again_as_far_as_nobody_reads_them():
    door = Door(ALL, [FakeConnector("c", [tool("t")])])
    await door.use(AMY, "c__t", **{f"n{at}": at for at in range(PIECES + 1)})
    assert list(door.last.hashed) == [""]
    assert asked_again(door.last, ALL) is True
    assert asked_again(door.last, f"{ALL}\np, *, *, *, *, write, args.n1 == 1, deny") is None


def test_an_entry_from_before_there_were_questions_stays_readable():
    old = b'{"id":"1","at":1,"subject":"user:a@example.com","allowed":true,"arguments":{},"hashed":{}}'
    found = msgspec.json.decode(old, type=AuditEntry)
    assert (found.asked, found.shadow, found.allowed) == (None, None, True)
