"""Slack, against the emulator: its tokens, its refusals with HTTP 200, and what people do with it."""

import pytest

from connectors.oauth.terms import Failure, OAuthFailed
from gateway.errors import NotConnected
from gateway.follower import now_ms
from tests.platforms.small import Reply
from tests.platforms.visiting import Person


@pytest.fixture
async def rig(connected):
    return await connected("slack")


async def channel(rig, name):
    return next(each["id"] for each in (await rig.call("list_channels"))["channels"] if each["name"] == name)


async def test_the_token_of_the_person_counts_and_not_the_bots(rig):
    assert rig.account.label == "ann @ Garden"
    assert rig.tokens.access.reveal().startswith("xoxp-")
    assert rig.tokens.kept["team.name"] == "Garden"
    assert "chat:write" in rig.tokens.scopes


async def test_a_message_is_sent_answered_changed_and_deleted(rig):
    roses = await channel(rig, "roses")
    sent = await rig.call("send_message", channel=roses, text="They *bloom*")
    await rig.call("send_message", channel=roses, text="All of them", thread_ts=sent["ts"])
    assert [each["text"] for each in (await rig.call("read_channel", channel=roses))["messages"]] == ["They *bloom*"]
    thread = await rig.call("read_thread", channel=roses, ts=sent["ts"])
    assert [each["text"] for each in thread["messages"]] == ["They *bloom*", "All of them"]
    await rig.call("update_message", channel=roses, ts=sent["ts"], text="They sleep")
    assert (await rig.call("read_channel", channel=roses))["messages"][0]["text"] == "They sleep"
    assert (
        sent["ts"].replace(".", "")
        in (await rig.call("get_permalink", channel=roses, message_ts=sent["ts"]))["permalink"]
    )
    await rig.call("delete_message", channel=roses, ts=sent["ts"])
    texts = [each["text"] for each in (await rig.call("read_channel", channel=roses))["messages"]]
    assert "They sleep" not in texts


async def test_reactions_and_pins_come_and_go(rig):
    roses = await channel(rig, "roses")
    at = (await rig.call("send_message", channel=roses, text="Look"))["ts"]
    await rig.call("add_reaction", channel=roses, timestamp=at, name="rose")
    assert "already_reacted" in await rig.fails("add_reaction", channel=roses, timestamp=at, name="rose")
    await rig.call("remove_reaction", channel=roses, timestamp=at, name="rose")
    await rig.call("pin_message", channel=roses, timestamp=at)
    assert len((await rig.call("list_pins", channel=roses))["items"]) == 1


async def test_channels_are_made_described_and_closed(rig):
    made = (await rig.call("create_channel", name="lilies"))["channel"]["id"]
    await rig.call("set_topic", channel=made, topic="White ones")
    assert (await rig.call("get_channel", channel=made))["channel"]["topic"]["value"] == "White ones"
    people = {each["name"]: each["id"] for each in (await rig.call("list_users"))["members"]}
    await rig.call("invite_to_channel", channel=made, users=people["bob"])
    assert people["bob"] in (await rig.call("list_members", channel=made))["members"]
    await rig.call("archive_channel", channel=made)
    assert "is_archived" in await rig.fails("send_message", channel=made, text="Hello")


async def test_people_are_found_and_written_to(rig):
    bob = (await rig.call("find_user_by_email", email="bob@example.com"))["user"]["id"]
    assert (await rig.call("get_user", user=bob))["user"]["name"] == "bob"
    direct = (await rig.call("open_conversation", users=bob, return_im=True))["channel"]["id"]
    await rig.call("send_message", channel=direct, text="Hello Bob")
    assert [each["text"] for each in (await rig.call("read_channel", channel=direct))["messages"]] == ["Hello Bob"]


async def test_a_message_can_be_sent_later(rig):
    roses = await channel(rig, "roses")
    assert (await rig.call("schedule_message", channel=roses, text="Later", post_at=now_ms() // 1000 + 3600))[
        "scheduled_message_id"
    ]
    assert "time_in_past" in await rig.fails("schedule_message", channel=roses, text="Then", post_at=1)


async def test_pages_are_put_together_by_their_cursors(connected):
    rig = await connected("slack", page=2)
    names = {each["name"] for each in (await rig.call("list_channels"))["channels"]}
    assert names >= {"roses", "tulips", "weeds"}


async def test_a_refusal_with_http_200_is_an_error(rig):
    assert "channel_not_found" in await rig.fails("read_channel", channel="C0NOWHERE")
    assert "HTTP 200" in await rig.fails("get_channel", channel="C0NOWHERE")
    assert "users_not_found" in await rig.fails("find_user_by_email", email="nobody@example.com")


# -- what the emulator does not do: the same shapes from a small server

MINE = {
    "ok": True,
    "scope": "chat:write",
    "access_token": "xoxe.xoxp-1",
    "refresh_token": "xoxe-1",
    "expires_in": 43200,
}
FIRST = {"ok": True, "app_id": "A1", "team": {"id": "T1", "name": "Garden"}, "authed_user": {"id": "U1", **MINE}}
TEST = {"ok": True, "user": "ann", "team": "Garden", "user_id": "U1"}
AUTH, TOKEN = "/slack.com/oauth/v2/authorize", "/slack.com/api/oauth.v2.access"


@pytest.fixture
async def rotating(small, small_rig):
    """An app with token rotation, whose answers to a renewal are flat."""
    small.lets_in(AUTH, TOKEN, FIRST, {**MINE, "access_token": "xoxe.xoxp-2", "refresh_token": "xoxe-2"})
    small.says("POST /slack.com/api/auth.test", TEST)
    rig = small_rig("slack")
    await rig.connect(Person("ann"))
    return rig


async def test_user_scopes_are_asked_for_by_commas_and_no_challenge_is_sent(rotating, small):
    asked = small.asked(f"GET {AUTH}")[0].query
    assert "scope" not in asked
    assert "chat:write" in asked["user_scope"].split(",")
    assert "code_challenge" not in asked
    assert small.asked(f"POST {TOKEN}")[0].headers["Authorization"].startswith("Basic ")


async def test_tokens_that_rotate_are_read_nested_and_flat(rotating, small):
    first = rotating.tokens
    assert (first.access.reveal(), first.refresh.reveal()) == ("xoxe.xoxp-1", "xoxe-1")
    second = await rotating.refresh()
    assert (second.access.reveal(), second.refresh.reveal()) == ("xoxe.xoxp-2", "xoxe-2")
    assert second.expires_at > now_ms() + 40_000_000
    assert second.kept == first.kept == {"team.id": "T1", "team.name": "Garden"}
    assert small.asked(f"POST {TOKEN}")[1].form["refresh_token"] == "xoxe-1"


async def test_a_refused_renewal_with_http_200_ends_the_connection(rotating, small):
    small.says(f"POST {TOKEN}", {"ok": False, "error": "invalid_refresh_token"})
    with pytest.raises(OAuthFailed) as failed:
        await rotating.refresh()
    assert failed.value.kind is Failure.INVALID_GRANT


async def test_a_token_that_slack_does_not_know_is_not_connected(rotating, small):
    small.says("POST /slack.com/api/auth.test", {"ok": False, "error": "invalid_auth"})
    with pytest.raises(NotConnected):
        await rotating.whose()


async def test_disconnecting_takes_the_token_back_as_bearer(rotating, small):
    small.says("POST /slack.com/api/auth.revoke", {"ok": True, "revoked": True})
    assert await rotating.revoke()
    assert small.heard[-1].headers["Authorization"] == "Bearer xoxe.xoxp-1"
    small.says("POST /slack.com/api/auth.revoke", {"ok": False, "error": "token_revoked"})
    assert not await rotating.revoke()


async def test_reading_is_tried_again_when_slack_asks_to_wait_and_sending_is_not(rotating, small):
    busy = Reply({"ok": False, "error": "ratelimited"}, 429, {"Retry-After": "0"})
    small.says("POST /slack.com/api/conversations.info", busy, {"ok": True, "channel": {"id": "C1"}})
    assert (await rotating.call("get_channel", channel="C1"))["channel"]["id"] == "C1"
    small.says("POST /slack.com/api/chat.postMessage", busy, {"ok": True})
    assert "ratelimited" in await rotating.fails("send_message", channel="C1", text="Once")
    assert len(small.asked("POST /slack.com/api/chat.postMessage")) == 1


async def test_words_of_a_search_stay_one_parameter(rotating, small):
    small.says("GET /slack.com/api/search.messages", {"ok": True, "messages": {"matches": []}})
    await rotating.call("search_messages", query="in:#roses & from:@ann?count=1")
    assert small.heard[-1].query == {"query": "in:#roses & from:@ann?count=1"}
