"""Linear, against the emulator; filters, which it writes otherwise, against a small server."""

import pytest

from connectors.oauth.terms import Failure, OAuthFailed
from tests.platforms.visiting import Person

PLACE = "/api.linear.app/graphql"


async def test_a_person_connects_and_tokens_rotate_until_they_are_revoked(connected):
    rig = await connected("linear")
    assert rig.account.label == "ann@example.com @ Garden"
    assert set(rig.tokens.scopes) == {"read", "write"}
    old = rig.tokens
    await rig.refresh()
    rig.tokens, new = old, rig.tokens
    with pytest.raises(OAuthFailed) as failed:
        await rig.refresh()
    assert failed.value.kind is Failure.INVALID_GRANT
    rig.tokens = new
    assert (await rig.call("get_me"))["viewer"]["email"] == "ann@example.com"
    assert await rig.revoke()
    assert "401" in await rig.fails("get_me")
    assert rig.renewed == 1


async def test_issues_are_opened_changed_commented_and_put_away(connected):
    rig = await connected("linear")
    team = next(each for each in await rig.call("list_teams") if each["key"] == "BED")
    states = {each["name"]: each["id"] for each in await rig.call("list_states") if each["team"]["key"] == "BED"}
    label = next(each for each in await rig.call("list_labels") if each["name"] == "Weeds")
    made = await rig.call("create_issue", team_id=team["id"], title="Weeds", priority=2, label_ids=[label["id"]])
    assert (made["identifier"], made["priorityLabel"]) == ("BED-6", "High")
    changed = await rig.call("update_issue", id=made["id"], state_id=states["Done"], description="Pulled")
    assert (changed["state"]["name"], changed["title"]) == ("Done", "Weeds")
    await rig.call("comment_on_issue", issue_id=made["id"], body="Well *done*")
    read = await rig.call("get_issue", id=made["id"])
    assert [each["body"] for each in read["comments"]["nodes"]] == ["Well *done*"]
    assert (await rig.call("archive_issue", id=made["id"]))["success"] is True
    assert (await rig.call("delete_issue", id=made["id"]))["success"] is True
    assert {each["email"] for each in await rig.call("list_users")} >= {"ann@example.com", "bob@example.com"}
    assert isinstance(await rig.call("list_projects"), list)


async def test_pages_are_put_together_by_their_cursors(connected):
    rig = await connected("linear", page=2)
    titles = [each["title"] for each in await rig.call("list_issues")]
    assert len(titles) == len(set(titles))
    assert set(titles) >= {f"Bed {number}" for number in range(1, 6)}


async def test_what_linear_refuses_is_told_with_its_reason(connected):
    rig = await connected("linear")
    assert "ot found" in await rig.fails("create_issue", team_id="nowhere", title="x")
    assert await rig.fails("get_issue", id="nowhere")


async def test_filters_stand_in_the_variables_and_never_in_the_query(small, small_rig):
    small.lets_in("/linear.app/oauth/authorize", "/api.linear.app/oauth/token", {"access_token": "a", "scope": "read"})
    small.says(
        f"POST {PLACE}",
        {"data": {"viewer": {"id": "1", "email": "ann@example.com"}, "organization": {"name": "Garden"}}},
    )
    rig = small_rig("linear")
    await rig.connect(Person("ann"))
    assert small.asked("GET /linear.app/oauth/authorize")[0].query["scope"] == "read,write"
    small.says(
        f"POST {PLACE}", {"data": {"issues": {"nodes": [], "pageInfo": {"hasNextPage": False, "endCursor": "x"}}}}
    )
    hostile = '"}}) { viewer { id } } #'
    await rig.call("list_issues", team="BED", state=hostile, assignee="ann@example.com")
    body = small.heard[-1].json
    assert hostile not in body["query"]
    assert body["variables"] == {
        "first": 50,
        "filter": {
            "team": {"key": {"eq": "BED"}},
            "state": {"name": {"eq": hostile}},
            "assignee": {"email": {"eq": "ann@example.com"}},
        },
    }
    assert len(small.asked(f"POST {PLACE}")) == 2


async def test_an_error_beside_data_with_http_200_is_an_error(small, small_rig, connected):
    rig = small_rig("linear")
    rig.tokens = (await connected("linear")).tokens
    small.says(f"POST {PLACE}", {"data": {"viewer": None}, "errors": [{"message": "not allowed"}]})
    assert "not allowed" in await rig.fails("get_me")
