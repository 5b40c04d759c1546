"""The limit step: how often who may pass the door."""

from gateway.catalogue import Server
from gateway.errors import (
    Limited,
)
from gateway.mcp.terms import Notification
from gateway.policy.terms import MAIN
from tests.builders import ALL, AMY, BOB, HELP_ONLY, Door, call, classified, refused
from tests.fakes import slack

THREE = "[[class]]\nname = 'default'\ncalls = 3\nwindow_s = 60\n"


async def test_a_caller_beyond_his_limit_is_refused_until_the_window_has_moved():
    door = Door(ALL, [chat := slack()], limits=THREE)
    for _ in range(3):
        await door.use(AMY, "slack__read")
    door.now += 20_000
    limited = await refused(door, AMY, call("tools/call", name="slack__read"))
    assert (type(limited), limited.status, limited.data) == (Limited, 429, {"retryAfter": 40})
    assert len(chat.sent) == 3
    assert door.last.outcome == "limited"
    door.now += 40_000
    await door.use(AMY, "slack__read")


async def test_lists_and_failed_probes_count_but_openings_pings_and_notifications_are_free():
    door = Door(ALL, [slack()], limits=THREE)
    for _ in range(5):
        await door.ask(AMY, "ping")
        await door.ask(AMY, "initialize", protocolVersion="2025-11-25")
        await door.handle(AMY, classified(Notification("notifications/initialized")))
    await door.tools(AMY)
    await refused(door, AMY, call("tools/call", name="slack__nothing"))
    await door.use(AMY, "slack__send", channel=7)
    assert isinstance(await refused(door, AMY, call("tools/list")), Limited)


async def test_each_subject_and_each_server_has_a_count_of_its_own():
    door = Door(ALL, [slack()], servers=[Server("side", ("slack",))], limits=THREE)
    for email, domain in ((AMY, MAIN), (BOB, MAIN), (AMY, "side")):
        for _ in range(3):
            await door.tools(email, domain=domain)
    assert isinstance(await refused(door, AMY, call("tools/list")), Limited)


async def test_the_policy_says_who_has_a_wider_limit():
    limits = f"{THREE}[[class]]\nname = 'gold'\ncalls = 5\nwindow_s = 60\n"
    door = Door(f"{ALL}\np, user:{BOB}, main, self, *, rate:gold, , allow", [slack()], limits=limits)
    for _ in range(5):
        await door.tools(BOB)
    assert isinstance(await refused(door, BOB, call("tools/list")), Limited)


async def test_an_object_may_have_a_tighter_limit_that_counts_denied_calls_too():
    limits = "[[object]]\nmatch = 'slack/send'\ncalls = 2\nwindow_s = 60\n"
    door = Door(f"{HELP_ONLY}\np, user:*, main, self, slack/read, read, , allow", [chat := slack()], limits=limits)
    await door.use(AMY, "slack__send", channel="#all")
    await door.use(AMY, "slack__send", channel="#help")
    assert isinstance(
        await refused(door, AMY, call("tools/call", name="slack__send", arguments={"channel": "#help"})), Limited
    )
    await door.use(AMY, "slack__read")
    await door.use(BOB, "slack__send", channel="#help")
    assert [sent.principal for sent in chat.sent] == [f"user:{AMY}", f"user:{AMY}", f"user:{BOB}"]
