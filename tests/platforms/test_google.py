"""Gmail, Google Calendar and Google Drive, against the emulator; what it lacks, against a small server."""

import base64
from email import message_from_bytes
from email.policy import default

import pytest

from connectors.oauth.terms import Failure, OAuthFailed
from gateway.errors import InvalidArguments
from tests.platforms.small import Reply
from tests.platforms.visiting import Person

AUTH, TOKEN = "/accounts.google.com/o/oauth2/v2/auth", "/oauth2.googleapis.com/token"
USER = {"sub": "1", "email": "ann@example.com"}


@pytest.mark.parametrize("connector", ["gmail", "google_calendar", "google_drive"])
async def test_each_of_the_three_connects_and_knows_whose_account_it_is(connected, connector):
    rig = await connected(connector)
    assert rig.account.label == "ann@example.com"
    assert rig.account.id.startswith("goog")
    assert len([scope for scope in rig.tokens.scopes if "/auth/" in scope]) in (1, 2)


async def test_renewing_keeps_the_refresh_token_that_does_not_rotate(connected):
    rig = await connected("gmail")
    before = rig.tokens
    after = await rig.refresh()
    assert after.access.reveal() != before.access.reveal()
    assert after.refresh.reveal() == before.refresh.reveal()
    assert after.expires_at


async def test_after_revoking_nothing_can_be_renewed(connected):
    rig = await connected("gmail")
    assert await rig.revoke()
    with pytest.raises(OAuthFailed) as failed:
        await rig.refresh()
    assert failed.value.kind is Failure.INVALID_GRANT


async def test_offline_access_and_consent_are_asked_for(small, small_rig):
    small.lets_in(AUTH, TOKEN, {"access_token": "a", "refresh_token": "r", "expires_in": 3599})
    small.says("GET /openidconnect.googleapis.com/v1/userinfo", USER)
    await small_rig("gmail").connect(Person("ann"))
    asked = small.asked(f"GET {AUTH}")[0].query
    assert (asked["access_type"], asked["prompt"]) == ("offline", "consent")
    assert asked["code_challenge_method"] == "S256"
    assert small.asked(f"POST {TOKEN}")[0].form["code_verifier"]


# -- mail


async def test_messages_are_searched_read_marked_and_thrown_away(connected):
    rig = await connected("gmail")
    ids = {each["id"] for each in (await rig.call("search_messages", q="from:bob", label_ids=["INBOX"]))["messages"]}
    assert ids >= {"msg_1", "msg_5"}
    message = await rig.call("get_message", id="msg_1", format="full")
    headers = {each["name"]: each["value"] for each in message["payload"]["headers"]}
    assert headers["Subject"] == "Letter 1"
    changed = await rig.call("modify_labels", id="msg_1", add=["STARRED"], remove=["UNREAD"])
    assert "STARRED" in changed["labelIds"]
    assert "UNREAD" not in changed["labelIds"]
    assert "TRASH" in (await rig.call("trash_message", id="msg_1"))["labelIds"]
    assert "TRASH" not in (await rig.call("untrash_message", id="msg_1"))["labelIds"]
    assert "not found" in (await rig.fails("get_message", id="nowhere")).lower()


async def test_a_message_goes_to_the_addresses_that_a_policy_saw(connected):
    rig = await connected("gmail")
    sent = await rig.call("send", to=["bob@example.com"], cc=["cy@example.com"], subject="Grüße", text="Bis bald")
    headers = {each["name"].lower(): each["value"] for each in sent["payload"]["headers"]}
    assert headers["to"] == "bob@example.com"
    assert headers["cc"] == "cy@example.com"
    assert "SENT" in sent["labelIds"]
    with pytest.raises(InvalidArguments):
        await rig.result("send", to=["bob@example.com, eve@evil.example"], subject="s", text="t")


async def test_a_message_in_a_thread_names_it_beside_the_mail(small, small_rig, connected):
    rig = small_rig("gmail")
    rig.tokens = (await connected("gmail")).tokens
    small.says("POST /gmail.googleapis.com/gmail/v1/users/me/messages/send", {"id": "1"})
    given = {"to": ["bob@example.com"], "subject": "Re: s", "text": "t", "in_reply_to": "<1@x.example>"}
    await rig.call("send", **given, thread_id="thread-1")
    body = small.heard[-1].json
    assert set(body) == {"raw", "threadId"}
    message = message_from_bytes(base64.urlsafe_b64decode(body["raw"] + "=="), policy=default)
    assert (message["To"], message["In-Reply-To"]) == ("bob@example.com", "<1@x.example>")
    assert body["threadId"] == "thread-1"


async def test_drafts_and_labels_are_made_and_listed(connected):
    rig = await connected("gmail")
    made = await rig.call("create_draft", to=["bob@example.com"], subject="Later", text="Not yet")
    assert [each["id"] for each in (await rig.call("list_drafts"))["drafts"]] == [made["id"]]
    assert (await rig.call("get_draft", id=made["id"], format="full"))["message"]["snippet"] == "Not yet"
    await rig.call("create_label", name="Garden")
    assert "Garden" in {each["name"] for each in await rig.call("list_labels")}
    await rig.result("delete_draft", id=made["id"])
    assert not (await rig.call("list_drafts")).get("drafts")


async def test_threads_are_listed_page_by_page(connected):
    rig = await connected("gmail", page=2)
    assert len((await rig.call("search_messages", q="from:bob"))["messages"]) == 5
    threads = (await rig.call("list_threads", q="from:bob"))["threads"]
    assert len(threads) == 5
    assert (await rig.call("get_thread", id=threads[0]["id"]))["messages"]


# -- calendar


async def test_events_are_listed_made_and_deleted(connected):
    rig = await connected("google_calendar")
    assert [each["id"] for each in (await rig.call("list_calendars"))["items"]] == ["primary"]
    made = await rig.call(
        "create_event",
        calendar_id="primary",
        summary="Pruning",
        start={"dateTime": "2025-01-11T09:00:00Z"},
        end={"dateTime": "2025-01-11T10:00:00Z"},
        attendees=[{"email": "bob@example.com"}],
    )
    times = {"time_min": "2025-01-10T00:00:00Z", "time_max": "2025-01-12T00:00:00Z"}
    events = await rig.call("list_events", calendar_id="primary", **times, order_by="startTime", single_events=True)
    assert [each["summary"] for each in events["items"]] == ["Planting", "Pruning"]
    busy = await rig.call("find_free_time", **times, calendars=[{"id": "primary"}])
    assert len(busy["calendars"]["primary"]["busy"]) == 2
    await rig.result("delete_event", calendar_id="primary", event_id=made["id"])
    events = await rig.call("list_events", calendar_id="primary", q="Pruning")
    assert events["items"] == []
    assert "not found" in (await rig.fails("list_events", calendar_id="nowhere")).lower()


async def test_events_are_listed_page_by_page(connected):
    rig = await connected("google_calendar", page=1)
    for hour in range(3):
        day = {"start": {"dateTime": f"2025-02-01T0{hour}:00:00Z"}, "end": {"dateTime": f"2025-02-01T0{hour}:30:00Z"}}
        await rig.call("create_event", calendar_id="primary", summary=f"Event {hour}", **day)
    assert len((await rig.call("list_events", calendar_id="primary"))["items"]) == 4


async def test_an_address_as_a_calendar_is_one_step_of_the_path(small, small_rig, connected):
    rig = small_rig("google_calendar")
    rig.tokens = (await connected("google_calendar")).tokens
    path = "/www.googleapis.com/calendar/v3/calendars/ann@example.com/events/e/1"
    small.says(f"PATCH {path}", {"id": "e/1"})
    await rig.call("update_event", calendar_id="ann@example.com", event_id="e/1", location="Shed", send_updates="none")
    assert small.heard[-1].json == {"location": "Shed"}
    assert small.heard[-1].query == {"sendUpdates": "none"}


# -- files


async def test_files_are_found_read_made_and_moved(connected):
    rig = await connected("google_drive")
    found = await rig.call("list_files", q="'drv_beds' in parents")
    assert [each["name"] for each in found["files"]] == ["Plan.txt"]
    assert await rig.call("read_file", file_id="drv_plan") == "roses left, tulips right"
    folder = await rig.call("create_folder", name="Trees")
    assert folder["mimeType"] == "application/vnd.google-apps.folder"
    moved = await rig.call(
        "update_file", file_id="drv_plan", name="Trees.txt", add_parents=folder["id"], remove_parents="drv_beds"
    )
    assert (moved["name"], moved["parents"]) == ("Trees.txt", [folder["id"]])
    made = await rig.call("create_file", name="Empty.txt", mime_type="text/plain", parents=[folder["id"]])
    assert (await rig.call("get_file", file_id=made["id"]))["name"] == "Empty.txt"
    assert "not found" in (await rig.fails("get_file", file_id="nowhere")).lower()


async def test_files_are_listed_page_by_page(connected):
    rig = await connected("google_drive", page=1)
    for number in range(3):
        await rig.call("create_folder", name=f"Folder {number}")
    assert len((await rig.call("list_files"))["files"]) >= 5


async def test_text_is_uploaded_as_it_is_and_files_are_shared_and_deleted(small, small_rig, connected):
    rig = small_rig("google_drive")
    rig.tokens = (await connected("google_drive")).tokens
    small.says("PATCH /www.googleapis.com/upload/drive/v3/files/1", {"id": "1"})
    await rig.call("write_file", file_id="1", text="Grüße\n")
    heard = small.heard[-1]
    assert (heard.query, heard.body.decode()) == ({"uploadType": "media"}, "Grüße\n")
    assert heard.headers["Content-Type"] == "text/plain; charset=utf-8"
    small.says("POST /www.googleapis.com/drive/v3/files/1/permissions", {"id": "p"})
    await rig.call("share_file", file_id="1", email="bob@example.com", role="reader", notify=False)
    assert small.heard[-1].json == {"emailAddress": "bob@example.com", "role": "reader", "type": "user"}
    assert small.heard[-1].query == {"sendNotificationEmail": "false"}
    small.says("DELETE /www.googleapis.com/drive/v3/files/1", Reply(status=204))
    assert "204" in await rig.call("delete_file", file_id="1")
    small.says(
        "GET /www.googleapis.com/drive/v3/files/1/export", Reply(b"# Plan", headers={"Content-Type": "text/markdown"})
    )
    assert await rig.call("export_file", file_id="1", mime_type="text/markdown") == "# Plan"
