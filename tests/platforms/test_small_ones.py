"""Platforms that no emulator stands for: what is peculiar to each, against a small server that insists on it."""

import base64

import pytest

from connectors.oauth.terms import Failure, OAuthFailed
from gateway.errors import UpstreamFailed
from gateway.follower import now_ms
from tests.platforms.small import Reply
from tests.platforms.visiting import Person

TOKENS = {"access_token": "access-1", "refresh_token": "refresh-1", "token_type": "bearer", "expires_in": 1800}
LATER = {**TOKENS, "access_token": "access-2", "refresh_token": "refresh-2"}
ANN = Person("ann")
BASIC = "Basic " + base64.b64encode(b"client:s-e:c+r/e=t").decode()


def bearers(small, request):
    return [heard.headers["Authorization"] for heard in small.asked(request)]


# -- Notion


@pytest.fixture
async def notion(small, small_rig):
    more = {"workspace_id": "w", "workspace_name": "Garden", "bot_id": "b"}
    small.lets_in("/api.notion.com/v1/oauth/authorize", "/api.notion.com/v1/oauth/token", {**TOKENS, **more}, LATER)
    owner = {"bot": {"owner": {"user": {"name": "Ann"}}, "workspace_name": "Garden"}}
    small.says("GET /api.notion.com/v1/users/me", {"id": "b", **owner})
    rig = small_rig("notion")
    rig.account = await rig.connect(ANN)
    return rig


async def test_notion_takes_json_and_basic_at_its_token_endpoint(notion, small):
    assert notion.account.label == "Ann @ Garden"
    assert small.asked("GET /api.notion.com/v1/oauth/authorize")[0].query["owner"] == "user"
    token = small.asked("POST /api.notion.com/v1/oauth/token")[0]
    assert token.headers["Authorization"] == BASIC
    assert token.json["grant_type"] == "authorization_code"
    assert "client_secret" not in token.json
    assert notion.tokens.kept["workspace_id"] == "w"
    assert (await notion.refresh()).refresh.reveal() == "refresh-2"
    assert small.heard[-1].json == {"grant_type": "refresh_token", "refresh_token": "refresh-1"}
    small.says("POST /api.notion.com/v1/oauth/revoke", {})
    assert await notion.revoke()
    assert small.heard[-1].headers["Authorization"] == BASIC
    assert small.heard[-1].json["token"] == "access-2"


async def test_notion_is_told_its_version_and_pages_stand_in_the_body(notion, small):
    first = {"results": [{"id": "1"}], "has_more": True, "next_cursor": "c2"}
    last = {"results": [{"id": "2"}], "has_more": False, "next_cursor": None}
    small.says("POST /api.notion.com/v1/search", first, last)
    only = {"property": "object", "value": "page"}
    found = await notion.call("search", query="Roses", filter=only)
    assert [each["id"] for each in found["results"]] == ["1", "2"]
    asked = small.asked("POST /api.notion.com/v1/search")
    assert [heard.headers["Notion-Version"] for heard in asked] == ["2022-06-28"] * 2
    assert asked[0].json == {"query": "Roses", "filter": only, "page_size": 100}
    assert asked[1].json == {**asked[0].json, "start_cursor": "c2"}
    small.says("GET /api.notion.com/v1/blocks/p/children", first, last)
    assert len((await notion.call("list_blocks", id="p"))["results"]) == 2
    assert small.heard[-1].query == {"page_size": "100", "start_cursor": "c2"}


async def test_notion_pages_and_comments_are_written(notion, small):
    small.says("POST /api.notion.com/v1/pages", {"id": "p"})
    title = {"title": [{"text": {"content": "Roses"}}]}
    await notion.call("create_page", parent={"page_id": "top"}, properties=title)
    assert small.heard[-1].json == {"parent": {"page_id": "top"}, "properties": title}
    words = [{"text": {"content": "Fine"}}]
    small.says("POST /api.notion.com/v1/comments", {"id": "c"})
    await notion.call("create_comment", page_id="p", rich_text=words)
    assert small.heard[-1].json == {"parent": {"page_id": "p"}, "rich_text": words}
    missing = {"object": "error", "status": 404, "code": "object_not_found", "message": "Could not find page"}
    small.says("GET /api.notion.com/v1/pages/x", Reply(missing, 404))
    assert "Could not find page" in await notion.fails("get_page", id="x")


# -- HubSpot


@pytest.fixture
async def hubspot(small, small_rig):
    without = {key: value for key, value in LATER.items() if key != "refresh_token"}
    small.lets_in("/app.hubspot.com/oauth/authorize", "/api.hubapi.com/oauth/2026-03/token", TOKENS, without)
    small.says("GET /api.hubapi.com/account-info/v3/details", {"portalId": 62515})
    rig = small_rig("hubspot")
    rig.account = await rig.connect(ANN)
    return rig


async def test_hubspot_has_a_dated_token_endpoint_and_tokens_that_do_not_rotate(hubspot, small):
    assert (hubspot.account.id, hubspot.account.label) == ("62515", "HubSpot 62515")
    token = small.asked("POST /api.hubapi.com/oauth/2026-03/token")[0].form
    assert (token["client_id"], token["client_secret"]) == ("client", "s-e:c+r/e=t")
    renewed = await hubspot.refresh()
    assert (renewed.access.reveal(), renewed.refresh.reveal()) == ("access-2", "refresh-1")


async def test_hubspot_searches_by_post_and_pages_by_after(hubspot, small):
    path = "POST /api.hubapi.com/crm/v3/objects/contacts/search"
    first = {"results": [{"id": "1"}], "paging": {"next": {"after": "10"}}}
    small.says(path, first, {"results": [{"id": "2"}]})
    groups = [{"filters": [{"propertyName": "email", "operator": "EQ", "value": "ann@example.com"}]}]
    assert len((await hubspot.call("search_contacts", filter_groups=groups))["results"]) == 2
    asked = small.asked(path)
    assert asked[0].json == {"filterGroups": groups, "limit": 100}
    assert asked[1].json == {**asked[0].json, "after": "10"}
    small.says("GET /api.hubapi.com/crm/v3/objects/deals", {"results": []})
    await hubspot.call("list_deals", properties=["dealname", "amount"])
    assert small.heard[-1].query == {"properties": "dealname,amount", "limit": "100"}


async def test_hubspot_records_are_changed_and_refusals_told(hubspot, small):
    small.says("PATCH /api.hubapi.com/crm/v3/objects/companies/7", {"id": "7"})
    await hubspot.call("update_company", id="7", properties={"city": "Köln"})
    assert small.heard[-1].json == {"properties": {"city": "Köln"}}
    small.says("POST /api.hubapi.com/crm/v3/objects/notes", {"id": "8"})
    await hubspot.call("create_note", text="Called", timestamp="2026-01-31T09:00:00Z")
    assert small.heard[-1].json == {"properties": {"hs_note_body": "Called", "hs_timestamp": "2026-01-31T09:00:00Z"}}
    refused = {"status": "error", "message": "This app has not been granted all required scopes"}
    small.says("GET /api.hubapi.com/crm/v3/owners", Reply(refused, 403))
    assert "required scopes" in await hubspot.fails("list_owners")


# -- Salesforce

LOGIN = "/garden.my.salesforce.com/services/oauth2"


def salesforce_tokens(small, instance=None):
    """What it gives: where the API is, and nothing about how long the token holds."""
    given = {"access_token": "access-1", "refresh_token": "refresh-1", "instance_url": instance or f"{small.url}/eu1"}
    return {**given, "id": "https://login.salesforce.com/id/00D/005", "token_type": "Bearer"}


async def salesforce(small, small_rig, **given):
    later = {"access_token": "access-2", "token_type": "Bearer"}
    small.lets_in(f"{LOGIN}/authorize", f"{LOGIN}/token", salesforce_tokens(small, **given), later)
    small.says("GET /eu1/services/oauth2/userinfo", {"user_id": "005", "preferred_username": "ann@garden.example"})
    rig = small_rig("salesforce", inputs={"domain": "garden.my"})
    rig.account = await rig.connect(ANN)
    return rig


async def test_salesforce_says_where_its_api_is(small, small_rig):
    rig = await salesforce(small, small_rig)
    assert rig.account.label == "ann@garden.example"
    assert rig.tokens.expires_at is None
    first = {"records": [{"Id": "1"}], "done": False, "nextRecordsUrl": "/eu1/services/data/v62.0/query/01g-2000"}
    small.says("GET /eu1/services/data/v62.0/query", first)
    small.says("GET /eu1/services/data/v62.0/query/01g-2000", {"records": [{"Id": "2"}], "done": True})
    found = await rig.call("query", q="SELECT Id FROM Account WHERE Name = 'A & B'")
    assert [each["Id"] for each in found["records"]] == ["1", "2"]
    assert (
        small.asked("GET /eu1/services/data/v62.0/query")[0].query["q"] == "SELECT Id FROM Account WHERE Name = 'A & B'"
    )


async def test_salesforce_ends_a_session_without_notice_and_gets_a_newer_token(small, small_rig):
    rig = await salesforce(small, small_rig)
    expired = Reply([{"message": "Session expired or invalid", "errorCode": "INVALID_SESSION_ID"}], 401)
    path = "PATCH /eu1/services/data/v62.0/sobjects/Account/001000000000001"
    small.says(path, expired, Reply(status=204))
    await rig.call("update_record", object="Account", id="001000000000001", fields={"Phone": "1"})
    assert bearers(small, path) == ["Bearer access-1", "Bearer access-2"]
    assert rig.tokens.kept["instance_url"] == f"{small.url}/eu1"
    assert small.asked(path)[1].json == {"Phone": "1"}
    small.says(path, Reply([{"message": "No such column", "errorCode": "INVALID_FIELD"}], 400))
    told = await rig.fails("update_record", object="Account", id="001000000000001", fields={"x": 1})
    assert "No such column" in told


@pytest.mark.parametrize(
    "instance",
    [
        "https://evil.example",
        "https://garden.lightning.force.com",
        "https://evil.example/?.salesforce.com",
        "https://x@evil.example",
        "https://evil.example#.my.salesforce.com",
        "https://evilsalesforce.com",
    ],
)
async def test_a_token_of_salesforce_goes_to_no_host_that_only_looks_like_it(small, small_rig, instance):
    small.lets_in(f"{LOGIN}/authorize", f"{LOGIN}/token", salesforce_tokens(small, instance))
    rig = small_rig("salesforce", inputs={"domain": "garden.my"})
    with pytest.raises(UpstreamFailed):
        await rig.connect(ANN)
    heard = len(small.heard)
    with pytest.raises(UpstreamFailed):
        await rig.result("query", q="SELECT Id FROM Account")
    assert len(small.heard) == heard


# -- Jira

CLOUD = "11111111-2222-3333-4444-555555555555"
JIRA = f"/api.atlassian.com/ex/jira/{CLOUD}/rest/api/2"


@pytest.fixture
async def jira(small, small_rig):
    small.lets_in("/auth.atlassian.com/authorize", "/auth.atlassian.com/oauth/token", TOKENS, LATER)
    small.says("GET /api.atlassian.com/me", {"account_id": "a1", "email": "ann@example.com"})
    rig = small_rig("jira", inputs={"cloud_id": CLOUD})
    rig.account = await rig.connect(ANN)
    return rig


async def test_atlassian_wants_an_audience_and_json(jira, small):
    asked = small.asked("GET /auth.atlassian.com/authorize")[0].query
    assert (asked["audience"], asked["prompt"]) == ("api.atlassian.com", "consent")
    assert "offline_access" in asked["scope"].split(" ")
    assert small.asked("POST /auth.atlassian.com/oauth/token")[0].json["client_secret"] == "s-e:c+r/e=t"
    assert (await jira.refresh()).refresh.reveal() == "refresh-2"
    assert not await jira.revoke()


async def test_jira_issues_nest_their_fields_and_move_along_their_workflow(jira, small):
    small.says(f"POST {JIRA}/issue", {"key": "ROSE-1"})
    await jira.call("create_issue", project="ROSE", type="Task", summary="Prune", labels=["spring"], parent="ROSE-0")
    assert small.heard[-1].json == {
        "fields": {
            "project": {"key": "ROSE"},
            "issuetype": {"name": "Task"},
            "summary": "Prune",
            "labels": ["spring"],
            "parent": {"key": "ROSE-0"},
        }
    }
    small.says(f"POST {JIRA}/issue/ROSE-1/transitions", Reply(status=204))
    await jira.call("transition_issue", key="ROSE-1", transition="31")
    assert small.heard[-1].json == {"transition": {"id": "31"}}
    small.says(f"PUT {JIRA}/issue/ROSE-1/assignee", Reply(status=204))
    await jira.call("assign_issue", key="ROSE-1", account_id=None)
    assert small.heard[-1].json == {"accountId": None}
    small.says(f"POST {JIRA}/issue", Reply({"errorMessages": [], "errors": {"summary": "is too long"}}, 400))
    assert "is too long" in await jira.fails("create_issue", project="ROSE", type="Task", summary="x")


async def test_jira_pages_by_token_and_by_offset(jira, small):
    small.says(f"GET {JIRA}/search/jql", {"issues": [{"key": "1"}], "nextPageToken": "t"}, {"issues": [{"key": "2"}]})
    found = await jira.call("search_issues", jql="project = ROSE", fields=["summary", "status"])
    assert [each["key"] for each in found["issues"]] == ["1", "2"]
    assert small.heard[-1].query == {
        "jql": "project = ROSE",
        "fields": "summary,status",
        "maxResults": "100",
        "nextPageToken": "t",
    }
    full = {"values": [{"key": str(number)} for number in range(50)]}
    small.says(f"GET {JIRA}/project/search", full, {"values": [{"key": "last"}]})
    assert len((await jira.call("list_projects"))["values"]) == 51
    assert small.heard[-1].query["startAt"] == "50"


# -- Asana


@pytest.fixture
async def asana(small, small_rig):
    without = {key: value for key, value in LATER.items() if key != "refresh_token"}
    small.lets_in("/app.asana.com/-/oauth_authorize", "/app.asana.com/-/oauth_token", TOKENS, without)
    small.says("GET /app.asana.com/api/1.0/users/me", {"data": {"gid": "12", "email": "ann@example.com"}})
    rig = small_rig("asana")
    rig.account = await rig.connect(ANN)
    return rig


async def test_asana_keeps_its_refresh_token_and_forgets_it_when_told(asana, small):
    assert (asana.account.id, asana.account.label) == ("12", "ann@example.com")
    assert small.asked("GET /app.asana.com/-/oauth_authorize")[0].query["code_challenge_method"] == "S256"
    assert (await asana.refresh()).refresh.reveal() == "refresh-1"
    small.says("POST /app.asana.com/-/oauth_revoke", {})
    assert await asana.revoke()
    assert small.asked("POST /app.asana.com/-/oauth_revoke")[0].form["token"] == "refresh-1"


async def test_asana_wraps_everything_in_data(asana, small):
    small.says("POST /app.asana.com/api/1.0/tasks", {"data": {"gid": "1", "name": "Prune"}})
    assert await asana.call("create_task", name="Prune", projects=["9"]) == {"gid": "1", "name": "Prune"}
    assert small.heard[-1].json == {"data": {"name": "Prune", "projects": ["9"]}}
    page = {"data": [{"gid": "1"}], "next_page": {"offset": "o2"}}
    small.says("GET /app.asana.com/api/1.0/tasks", page, {"data": [{"gid": "2"}], "next_page": None})
    assert await asana.call("list_tasks", project="9", fields="name") == [{"gid": "1"}, {"gid": "2"}]
    assert small.heard[-1].query == {"project": "9", "opt_fields": "name", "limit": "100", "offset": "o2"}
    small.says("GET /app.asana.com/api/1.0/tasks/1", Reply({"errors": [{"message": "task: Unknown object"}]}, 404))
    assert "Unknown object" in await asana.fails("get_task", task="1")


# -- Zendesk

DESK = "/garden.zendesk.com"


@pytest.fixture
async def zendesk(small, small_rig):
    small.lets_in(f"{DESK}/oauth/authorizations/new", f"{DESK}/oauth/tokens", {**TOKENS, "expires_in": 86400}, LATER)
    small.says(f"GET {DESK}/api/v2/users/me.json", {"user": {"id": 35436, "email": "ann@example.com"}})
    rig = small_rig("zendesk", inputs={"subdomain": "garden"})
    rig.account = await rig.connect(ANN)
    return rig


async def test_zendesk_is_reached_at_its_subdomain_and_asked_for_tokens_that_end(zendesk, small):
    assert (zendesk.account.id, zendesk.account.label) == ("35436", "ann@example.com")
    token = small.asked(f"POST {DESK}/oauth/tokens")[0].form
    assert token["expires_in"] == "86400"
    assert token["code_verifier"]
    assert zendesk.tokens.expires_at > now_ms() + 86_000_000
    assert (await zendesk.refresh()).refresh.reveal() == "refresh-2"
    small.says(f"POST {DESK}/oauth/tokens", Reply({"error": "invalid_grant"}, 400))
    with pytest.raises(OAuthFailed) as failed:
        await zendesk.refresh()
    assert failed.value.kind is Failure.INVALID_GRANT
    small.says(f"DELETE {DESK}/api/v2/oauth/tokens/current.json", Reply(status=204))
    assert await zendesk.revoke()
    assert small.heard[-1].headers["Authorization"] == "Bearer access-2"


async def test_zendesk_tickets_nest_and_pages_stand_in_brackets(zendesk, small):
    small.says(f"PUT {DESK}/api/v2/tickets/7.json", {"ticket": {"id": 7}})
    assert await zendesk.call("add_comment", id=7, comment="Hello", public=False) == {"id": 7}
    assert small.heard[-1].json == {"ticket": {"comment": {"body": "Hello", "public": False}}}
    first = {"tickets": [{"id": 1}], "meta": {"has_more": True, "after_cursor": "c=="}}
    last = {"tickets": [{"id": 2}], "meta": {"has_more": False, "after_cursor": "d=="}}
    small.says(f"GET {DESK}/api/v2/tickets.json", first, last)
    assert [each["id"] for each in (await zendesk.call("list_tickets"))["tickets"]] == [1, 2]
    assert small.heard[-1].query == {"page[size]": "100", "page[after]": "c=="}
    assert len(small.asked(f"GET {DESK}/api/v2/tickets.json")) == 2
    small.says(f"GET {DESK}/api/v2/tickets/9.json", Reply({"error": "RecordNotFound", "description": "Not found"}, 404))
    assert "Not found" in await zendesk.fails("get_ticket", id=9)


async def test_a_new_ticket_carries_a_key_that_keeps_it_from_coming_twice(zendesk, small):
    small.says(f"POST {DESK}/api/v2/tickets.json", Reply({"ticket": {"id": 8}}, 201))
    await zendesk.call("create_ticket", subject="Weeds", comment="Everywhere", priority="high")
    assert small.heard[-1].headers["Idempotency-Key"]
    assert small.heard[-1].json == {
        "ticket": {"subject": "Weeds", "comment": {"body": "Everywhere"}, "priority": "high"}
    }
