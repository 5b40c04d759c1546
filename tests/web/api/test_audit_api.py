"""``/api/audit``: one's own entries, somebody's, everybody's, as pages and as lines, through the whole gateway."""

import json

import msgspec
import pytest

from gateway.audit import AuditEntry
from tests.web.api.whole import ANN, BOB, SEC, whole


@pytest.fixture
async def api(tmp_path):
    async with whole(tmp_path) as house:
        for each in (ANN, BOB, ANN):
            await house("GET", "/api/connections", each)
        yield house


async def entries(api, path, who=SEC):
    """What is told once everything so far was written."""
    await written(api)
    told = await api("GET", path, who)
    assert told.status == 200, told.raw
    return told.json["entries"]


async def written(api):
    audit = api.gateway._audit
    await audit.stop()
    audit._stopping = False
    audit.start()


async def test_everybody_reads_his_own_entries_and_no_rows_of_the_policy(api):
    told = await entries(api, "/api/audit", ANN)
    assert [each["method"] for each in told] == ["connections.list", "connections.list"]
    assert {each["subject"] for each in told} == {f"user:{ANN}"}
    assert not {"rule", "asked", "shadow", "session"} & {key for each in told for key in each}


@pytest.mark.parametrize("subject", ["*", f"user:{BOB}", "operator", "server:x", "end:x/y"])
async def test_nobody_reads_entries_of_others_without_the_right(api, subject):
    refused = await api("GET", f"/api/audit?subject={subject}", ANN)
    assert (refused.status, refused.code) == (403, "FORBIDDEN")


async def test_who_may_reads_everybody_with_the_rows_that_decided(api):
    told = await entries(api, "/api/audit?subject=*")
    assert {f"user:{ANN}", f"user:{BOB}"} <= {each["subject"] for each in told}
    assert all("rule" in each for each in told)
    assert [each["id"] for each in told] == sorted((each["id"] for each in told), reverse=True)
    mine = await entries(api, f"/api/audit?subject=user:{BOB}")
    assert {each["subject"] for each in mine} == {f"user:{BOB}"}


async def test_pages_follow_each_other_and_hold_each_entry_once(api):
    for order in ("newest", "oldest"):
        whole_list = await entries(api, f"/api/audit?subject=*&order={order}&until=2099-01-01&limit=1000")
        ids, cursor = [], ""
        while True:
            told = (await api("GET", f"/api/audit?subject=user:{ANN}&order={order}&limit=1&cursor={cursor}")).json
            ids += [each["id"] for each in told["entries"]]
            if told["next"] is None:
                break
            cursor = told["next"]
        assert ids == [each["id"] for each in whole_list if each["subject"] == f"user:{ANN}"]


async def test_entries_are_told_as_lines_that_replay_can_read(api):
    await written(api)
    told = await api("GET", "/api/audit?subject=*&order=oldest", accept="application/x-ndjson")
    assert (told.status, told.headers["content-type"]) == (200, "application/x-ndjson")
    assert told.headers["cache-control"] == "no-store"
    lines = [json.loads(line) for line in told.raw.splitlines()]
    assert [each["id"] for each in lines] == sorted(each["id"] for each in lines)
    assert [msgspec.convert(each, AuditEntry).method for each in lines].count("connections.list") == 3
    few = await api("GET", "/api/audit?subject=*&limit=2", accept="application/x-ndjson")
    assert len(few.raw.splitlines()) == 2


async def test_entries_are_cut_to_a_time(api):
    all_of_them = await entries(api, f"/api/audit?subject=user:{ANN}")
    assert await entries(api, f"/api/audit?subject=user:{ANN}&until=2020-01-01") == []
    assert await entries(api, f"/api/audit?subject=user:{ANN}&since=2099-01-01") == []
    assert await entries(api, f"/api/audit?subject=user:{ANN}&since=1h") == all_of_them


@pytest.mark.parametrize(
    "query",
    [
        "since=yesterday",
        "until=x",
        "cursor=zz",
        "limit=0",
        "limit=1001",
        "limit=1e1",
        "order=up",
        "what=1",
        "limit=1&limit=2",
    ],
)
async def test_a_query_that_cannot_be_meant_is_refused(api, query):
    refused = await api("GET", f"/api/audit?{query}")
    assert (refused.status, refused.code) == (400, "INVALID_REQUEST")
