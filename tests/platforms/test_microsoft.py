"""Microsoft Graph: signing in and people against the emulator, the shapes of the rest against a small server."""

from tests.platforms.small import Reply
from tests.platforms.visiting import Person

GRAPH = "/graph.microsoft.com/v1.0"
PLACE = "/login.microsoftonline.com/common/oauth2/v2.0"
ME = {"id": "1", "userPrincipalName": "ann@example.com"}


async def mailbox(small, small_rig, **more):
    small.lets_in(
        f"{PLACE}/authorize", f"{PLACE}/token", {"access_token": "a", "refresh_token": "r", "expires_in": 3599}
    )
    small.says(f"GET {GRAPH}/me", ME)
    rig = small_rig("microsoft", **more)
    await rig.connect(Person("ann"))
    return rig


async def test_a_person_connects_is_known_and_stays_so_while_tokens_rotate(connected):
    rig = await connected("microsoft")
    assert rig.account.label == "ann@example.com"
    assert "offline_access" in rig.tokens.scopes
    first = rig.tokens.refresh.reveal()
    assert (await rig.refresh()).refresh.reveal() != first
    me = await rig.call("get_me")
    assert (await rig.call("get_user", id=me["id"]))["displayName"] == "Ann Ash"
    assert "does not exist" in await rig.fails("get_user", id="nobody")


async def test_the_tenant_that_was_set_is_where_people_sign_in(small, small_rig):
    there = PLACE.replace("common", "garden.example")
    small.lets_in(f"{there}/authorize", f"{there}/token", {"access_token": "a"})
    small.says(f"GET {GRAPH}/me", ME)
    account = await small_rig("microsoft", inputs={"tenant": "garden.example"}).connect(Person("ann"))
    assert account.label == "ann@example.com"


async def test_pages_follow_the_link_in_the_answer_on_the_same_host_only(small, small_rig):
    rig = await mailbox(small, small_rig)
    first = {"value": [{"id": "1"}], "@odata.nextLink": f"{small.url}{GRAPH}/me/messages?$skiptoken=x%20y"}
    small.says(f"GET {GRAPH}/me/messages", first, {"value": [{"id": "2"}]})
    given = {"filter": "isRead eq false", "select": "id", "order_by": "receivedDateTime desc"}
    assert [each["id"] for each in (await rig.call("list_messages", **given))["value"]] == ["1", "2"]
    asked = small.asked(f"GET {GRAPH}/me/messages")
    assert asked[0].query == {
        "$filter": "isRead eq false",
        "$select": "id",
        "$orderby": "receivedDateTime desc",
        "$top": "50",
    }
    assert asked[1].query == {"$skiptoken": "x y"}
    away = {"value": [{"id": "1"}], "@odata.nextLink": "https://evil.example/v1.0/me/messages"}
    small.says(f"GET {GRAPH}/me/messages", away)
    result = await rig.result("list_messages")
    assert "another host" in result["content"][1]["text"]


async def test_a_mail_is_written_in_graphs_own_shape(small, small_rig):
    rig = await mailbox(small, small_rig)
    small.says(f"POST {GRAPH}/me/sendMail", Reply(status=202))
    bob = {"emailAddress": {"address": "bob@example.com"}}
    await rig.result("send_mail", subject="s", text="<b>t</b>", content_type="html", to=[bob], save=False)
    assert small.heard[-1].json == {
        "message": {"subject": "s", "body": {"content": "<b>t</b>", "contentType": "html"}, "toRecipients": [bob]},
        "saveToSentItems": False,
    }


async def test_mail_events_and_files_stand_where_graph_has_them(small, small_rig):
    rig = await mailbox(small, small_rig)
    small.says(f"PATCH {GRAPH}/me/messages/A=", {"id": "A="})
    await rig.call("mark_message", id="A=", is_read=True)
    assert small.heard[-1].json == {"isRead": True}
    small.says(f"POST {GRAPH}/me/messages/A=/move", {"id": "B="})
    await rig.call("move_message", id="A=", folder="archive")
    assert small.heard[-1].json == {"destinationId": "archive"}
    small.says(f"GET {GRAPH}/me/calendarView", {"value": []})
    await rig.call("list_events", start="2026-01-01T00:00:00Z", end="2026-01-02T00:00:00Z")
    assert small.heard[-1].query["startDateTime"] == "2026-01-01T00:00:00Z"
    small.says(f"POST {GRAPH}/me/events", {"id": "E"})
    time = {"dateTime": "2026-01-01T09:00:00", "timeZone": "UTC"}
    await rig.call("create_event", subject="Pruning", start=time, end=time, location="Shed")
    expected = {"subject": "Pruning", "start": time, "end": time, "location": {"displayName": "Shed"}}
    assert small.heard[-1].json == expected
    small.says(f"DELETE {GRAPH}/me/events/E", Reply(status=204))
    await rig.call("delete_event", id="E")
    small.says(f"GET {GRAPH}/me/drive/items/root/children", {"value": [{"name": "Plan"}]})
    assert (await rig.call("list_files", folder_id="root"))["value"][0]["name"] == "Plan"


async def test_a_throttled_read_waits_and_a_reason_is_told(small, small_rig):
    rig = await mailbox(small, small_rig)
    busy = Reply({"error": {"code": "TooManyRequests", "message": "slow down"}}, 429, {"Retry-After": "0"})
    small.says(f"GET {GRAPH}/me/calendars", busy, {"value": []})
    assert await rig.call("list_calendars") == {"value": []}
    small.says(
        f"GET {GRAPH}/me/calendars", Reply({"error": {"code": "ErrorAccessDenied", "message": "not yours"}}, 403)
    )
    assert "not yours" in await rig.fails("list_calendars")
