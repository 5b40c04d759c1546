"""``/api/policy``: reading, asking, planning, applying, through the whole gateway."""

import asyncio

import pytest

from tests.builders import MODEL
from tests.web.api.whole import ANN, BOB, ROWS, SEC, whole

MORE = ROWS + "p, user:bob@example.com, main, self, gateway/servers, manage, , allow\n"


def files(rows: str = MORE, **more: str) -> dict[str, str]:
    return {"model.conf": MODEL, "rules.csv": rows, **more}


@pytest.fixture
async def api(tmp_path):
    async with whole(tmp_path) as house:
        yield house


async def test_the_policy_in_force_is_read_as_files_that_say_the_same(api):
    told = await api("GET", "/api/policy")
    assert told.status == 200
    assert (told.json["head"]["version"], told.json["head"]["author"]) == (1, "operator")
    assert told.json["files"]["rules.csv"].splitlines() == ROWS.splitlines()
    again = {"files": told.json["files"], "why": "the same", "expected": 1}
    moved = await api("POST", "/api/policy/apply", body=again)
    assert (moved.status, moved.json["moved"], moved.json["head"]["version"]) == (200, False, 1)
    plan = await api("POST", "/api/policy/plan", body={"files": told.json["files"], "against": 1})
    assert plan.json["plan"]["summary"] == "no right changes"


async def test_a_policy_is_planned_and_applied_and_decides_at_the_very_next_request(api):
    plan = await api("POST", "/api/policy/plan", body={"files": files()})
    assert plan.status == 200, plan.raw
    groups = plan.json["plan"]["groups"]
    assert plan.json["plan"]["users_widened"] == 1
    assert {name for each in groups for name in each["users"]} == {f"user:{BOB}"}
    body = {"files": files(), "why": "bob offers servers", "expected": 1}
    moved = await api("POST", "/api/policy/apply", body=body)
    assert (moved.status, moved.json["moved"], moved.json["head"]["author"]) == (200, True, f"user:{SEC}")
    who = await api("GET", "/api/policy/who-can?object=gateway/servers&action=manage")
    assert {user for each in who.json["holders"] for user in each["users"]} == {f"user:{ANN}", f"user:{BOB}"}
    history = await api("GET", "/api/policy/history")
    assert [each["version"] for each in history.json["versions"]] == [2, 1]
    assert history.json["versions"][0]["why"] == "bob offers servers"
    back = await api("POST", "/api/policy/rollback", body={"version": 1, "why": "no"})
    assert (back.status, back.json["head"]["version"]) == (200, 3)
    who = await api("GET", "/api/policy/who-can?object=gateway/servers&action=manage")
    assert {user for each in who.json["holders"] for user in each["users"]} == {f"user:{ANN}"}


async def test_what_was_planned_against_another_version_is_not_applied(api):
    body = {"files": files(), "why": "late", "expected": 0}
    refused = await api("POST", "/api/policy/apply", body=body)
    assert (refused.status, refused.code) == (409, "CONFLICT")
    assert (await api("GET", "/api/policy")).json["head"]["version"] == 1


async def test_of_two_who_apply_at_once_one_is_told_that_he_came_late(api):
    bodies = [
        {"files": files(ROWS + f"p, user:x{each}@example.com, main, self, gateway/keys, manage, , allow\n")}
        | {"why": "first", "expected": 1}
        for each in range(2)
    ]
    both = await asyncio.gather(*(api("POST", "/api/policy/apply", body=each) for each in bodies))
    assert sorted(each.status for each in both) == [200, 409]


async def test_a_policy_after_which_nobody_could_change_it_is_refused(api):
    kept = "".join(line for line in ROWS.splitlines(keepends=True) if "gateway/policy" not in line)
    refused = await api("POST", "/api/policy/apply", body={"files": files(kept), "why": "oops", "expected": 1})
    assert (refused.status, refused.code) == (400, "INVALID_REQUEST")
    assert "would manage `gateway/policy`" in refused.json["error"]["message"]
    assert (await api("GET", "/api/policy")).json["head"]["version"] == 1


@pytest.mark.parametrize(
    ("sent", "place"),
    [
        ({"rules.csv": "p, nobody\n", "model.conf": MODEL}, "policies/rules.csv:1"),
        ({"rules.csv": ROWS}, "model.conf"),
        ({"model.conf": "[x]", "rules.csv": ROWS}, "policies/model.conf"),
        (files(**{"evil.py": "x"}), "policies/evil.py"),
        (files(**{"../rules.csv": ""}), "policies"),
        (files(**{"/etc/rules.csv": ""}), "policies"),
        (files(**{"tests/a.yaml": "nonsense: [\n"}), "policies/tests/a.yaml"),
    ],
)
async def test_files_that_are_no_policy_are_refused_with_the_place_of_each_problem(api, sent, place):
    for path, more in (("plan", {}), ("apply", {"why": "x", "expected": 1})):
        refused = await api("POST", f"/api/policy/{path}", body={"files": sent, **more})
        assert (refused.status, refused.code) == (400, "INVALID_REQUEST")
        problems = refused.json["error"]["details"]["problems"]
        assert problems[0].startswith(place)


async def test_a_policy_that_fails_its_own_tests_is_refused_and_says_which(api):
    case = "cases:\n  - name: bob deletes\n    as: user:bob@example.com\n    can: { write: custom/x }\n"
    wrong = case.replace("can:", "cannot:")
    sent = files(**{"tests/a.yaml": wrong})
    refused = await api("POST", "/api/policy/apply", body={"files": sent, "why": "x", "expected": 1})
    assert refused.status == 400
    assert refused.json["error"]["details"]["problems"]
    assert (await api("GET", "/api/policy")).json["head"]["version"] == 1


async def test_a_question_is_explained_with_the_rows_that_spoke(api):
    asked = {"subject": f"user:{ANN}", "object": "gateway/servers", "action": "manage"}
    told = (await api("POST", "/api/policy/explain", body=asked)).json["explanation"]
    assert told["allowed"] is True
    assert "gateway/servers" in told["rule"]
    told = (await api("POST", "/api/policy/explain", body={**asked, "subject": f"user:{BOB}"})).json["explanation"]
    assert (told["allowed"], told["nearest"]["part"]) == (False, "subject")
    for wrong in ({**asked, "subject": "ann"}, {**asked, "object": "no such"}, {**asked, "action": "fly"}):
        refused = await api("POST", "/api/policy/explain", body=wrong)
        assert (refused.status, refused.code) == (400, "INVALID_REQUEST"), wrong


async def test_what_restrictions_of_a_server_leave_is_explained_by_its_rows(api):
    wish = {"name": "Desk", "restrictions": {"connectors": {"mode": "allowlist", "allowedIds": ["custom"]}}}
    id = (await api("POST", "/api/servers", ANN, body=wish)).json["serverId"]
    for subject, own in ((f"server:{id}", f"user:{ANN}"), (f"end:{id}/u1", "self")):
        for object, allowed in (("custom/report", True), ("http/example.com", False)):
            asked = {"subject": subject, "object": object, "action": "write", "domain": id, "own": own}
            told = (await api("POST", "/api/policy/explain", body=asked)).json["explanation"]
            assert told["allowed"] is allowed
            assert any(f"grant:server/{id}/" in spoke["rule"] for spoke in told["spoke"])
    found = (await api("GET", f"/api/policy/who-can?object=custom/report&action=write&domain={id}")).json["holders"]
    assert {name for each in found for name in (*each["users"], *each["others"])} == {
        *(f"server:{id}", f"end:{id}/*", f"user:{ANN}")
    }


async def test_what_somebody_can_do_is_told_and_a_stranger_is_not_found(api):
    told = await api("GET", f"/api/policy/what-can?subject=user:{ANN}")
    assert any(each["object"] == "gateway/servers" for each in told.json["abilities"])
    refused = await api("GET", "/api/policy/what-can?subject=user:zoe@example.com")
    assert (refused.status, refused.code) == (404, "NOT_FOUND")


async def test_without_the_right_nothing_of_the_policy_is_told_and_nothing_is_changed(api):
    asked = {"subject": f"user:{ANN}", "object": "gateway/servers", "action": "manage"}
    for method, path, body in (
        ("GET", "/api/policy", None),
        ("GET", "/api/policy?version=7", None),
        ("GET", "/api/policy/history", None),
        ("GET", "/api/policy/who-can?object=gateway/servers&action=manage", None),
        ("GET", f"/api/policy/what-can?subject=user:{ANN}", None),
        ("POST", "/api/policy/explain", asked),
        ("POST", "/api/policy/plan", {"files": files()}),
        ("POST", "/api/policy/apply", {"files": files(), "why": "x", "expected": 1}),
        ("POST", "/api/policy/apply", {"files": {}, "why": "x", "expected": 1}),
        ("POST", "/api/policy/rollback", {"version": 1, "why": "x"}),
    ):
        refused = await api(method, path, ANN, body=body)
        assert (refused.status, refused.code) == (403, "FORBIDDEN"), path
        assert (await api(method, path, "", body=body)).code == "UNAUTHORIZED"
    assert (await api("GET", "/api/policy")).json["head"]["version"] == 1


async def test_versions_that_there_are_not_are_not_found(api):
    assert (await api("GET", "/api/policy?version=9")).code == "NOT_FOUND"
    assert (await api("POST", "/api/policy/rollback", body={"version": 9, "why": "x"})).code == "NOT_FOUND"
    assert (await api("POST", "/api/policy/plan", body={"files": files(), "against": 9})).code == "NOT_FOUND"


async def test_who_computes_long_leaves_room_for_few_others(api):
    asks = [api("POST", "/api/policy/plan", body={"files": files()}) for _ in range(9)]
    statuses = sorted([each.status for each in await asyncio.gather(*asks)])
    assert set(statuses) <= {200, 503}
    assert statuses[0] == 200
    assert (await api("GET", "/api/policy/history")).status == 200
