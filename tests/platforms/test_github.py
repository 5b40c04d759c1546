"""GitHub, against the emulator: connect, list, change, error, pages."""

import base64

import pytest

from gateway.errors import InvalidArguments

HERE = {"owner": "ann", "repo": "garden"}


async def test_a_person_connects_and_we_know_who_it_is(connected):
    rig = await connected("github")
    assert rig.account.label == "ann"
    assert rig.account.id.isdecimal()
    assert rig.tokens.refresh is None
    assert rig.tokens.scopes == ("repo", "read:user")
    assert (await rig.call("get_me"))["login"] == "ann"


async def test_issues_are_opened_changed_commented_and_found(connected):
    rig = await connected("github")
    made = await rig.call("create_issue", **HERE, title="Weeds", body="Everywhere", labels=["green"])
    number = made["number"]
    await rig.call("comment_on_issue", **HERE, number=number, body="Pull them")
    changed = await rig.call("update_issue", **HERE, number=number, state="closed", state_reason="completed")
    assert changed["state"] == "closed"
    assert (await rig.call("get_issue", **HERE, number=number))["title"] == "Weeds"
    assert [each["body"] for each in await rig.call("list_issue_comments", **HERE, number=number)] == ["Pull them"]
    assert await rig.call("list_issues", **HERE) == []
    assert [each["title"] for each in await rig.call("list_issues", **HERE, state="closed")] == ["Weeds"]
    await rig.call("add_labels", **HERE, number=number, labels=["spring"])
    assert {each["name"] for each in (await rig.call("get_issue", **HERE, number=number))["labels"]} >= {"spring"}
    found = await rig.call("search_issues", q="Weeds repo:ann/garden")
    assert [each["number"] for each in found["items"]] == [number]


async def test_labels_are_asked_for_together_by_commas(connected):
    rig = await connected("github")
    await rig.call("create_issue", **HERE, title="One", labels=["a", "b"])
    await rig.call("create_issue", **HERE, title="Other", labels=["a"])
    assert [each["title"] for each in await rig.call("list_issues", **HERE, labels=["a", "b"])] == ["One"]


async def test_files_in_folders_are_written_read_and_deleted(connected):
    rig = await connected("github")
    content = base64.b64encode(b"roses left").decode()
    written = await rig.call("write_file", **HERE, path="plans/a b/spring.txt", message="Plan", content=content)
    read = await rig.call("get_contents", **HERE, path="plans/a b/spring.txt")
    assert base64.b64decode(read["content"]) == b"roses left"
    assert [each["name"] for each in await rig.call("get_contents", **HERE, path="plans/a b")] == ["spring.txt"]
    sha = written["content"]["sha"]
    await rig.call("delete_file", **HERE, path="plans/a b/spring.txt", message="Done", sha=sha)
    assert "Not Found" in await rig.fails("get_contents", **HERE, path="plans/a b/spring.txt")
    messages = [each["commit"]["message"] for each in await rig.call("list_commits", **HERE)]
    assert messages[:2] == ["Done", "Plan"]


async def test_a_pull_request_is_opened_reviewed_and_merged(connected):
    rig = await connected("github")
    content = base64.b64encode(b"tulips").decode()
    main = (await rig.call("list_branches", **HERE))[0]
    await rig.call("create_branch", **HERE, ref="refs/heads/more", sha=main["commit"]["sha"])
    await rig.call("write_file", **HERE, path="tulips.txt", message="Tulips", content=content, branch="more")
    made = await rig.call("create_pull_request", **HERE, title="More", head="more", base="main", body="Please")
    number = made["number"]
    await rig.call("review_pull_request", **HERE, number=number, event="APPROVE", body="Good")
    assert [each["number"] for each in await rig.call("list_pull_requests", **HERE)] == [number]
    assert (await rig.call("get_pull_request", **HERE, number=number))["title"] == "More"
    await rig.call("list_pull_request_files", **HERE, number=number)
    assert (await rig.call("merge_pull_request", **HERE, number=number, merge_method="squash"))["merged"] is True
    assert await rig.call("list_pull_requests", **HERE) == []


async def test_releases_and_the_rest_of_a_repository_can_be_seen(connected):
    rig = await connected("github")
    await rig.call("create_release", **HERE, tag_name="v1", name="First")
    assert [each["tag_name"] for each in await rig.call("list_releases", **HERE)] == ["v1"]
    assert [each["name"] for each in await rig.call("list_repositories")] == ["garden"]
    assert (await rig.call("get_repository", **HERE))["description"] == "What grows"
    assert (await rig.call("list_workflow_runs", **HERE))["total_count"] == 0
    assert (await rig.call("search_repositories", q="garden"))["total_count"] == 1
    assert isinstance(await rig.call("list_labels", **HERE), list)


async def test_pages_are_put_together_by_their_links(connected):
    rig = await connected("github", page=2)
    for number in range(5):
        await rig.call("create_issue", **HERE, title=f"Issue {number}")
    assert len(await rig.call("list_issues", **HERE)) == 5
    assert len(await rig.call("list_issues", **HERE, page=3)) == 1


async def test_what_github_refuses_is_told_with_its_reason(connected):
    rig = await connected("github")
    assert "404" in await rig.fails("get_repository", owner="ann", repo="nowhere")
    assert "Not Found" in await rig.fails("get_issue", **HERE, number=99)


@pytest.mark.parametrize("owner", ["..", ".", "", "a\r\nb"])
async def test_a_repository_is_never_reached_through_another_path(connected, owner):
    rig = await connected("github")
    with pytest.raises(InvalidArguments):
        await rig.result("get_repository", owner=owner, repo="garden")
    with pytest.raises(InvalidArguments):
        await rig.result("get_contents", **HERE, path=f"plans/{owner}/spring.txt")
    assert rig.opened == 0


async def test_a_name_with_a_slash_stays_one_name(connected):
    rig = await connected("github")
    assert "404" in await rig.fails("get_repository", owner="ann/garden", repo="issues")
