"""What clients of 2026-07-28 are asked, and what becomes of it when they bring it back, or do not."""

import json
import secrets
import threading
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from tests.corridor.house import House, modern, result_of, until
from tests.corridor.test_asking import ANSWERS, CAPABILITIES, SERVERS, asking, key  # noqa: F401

SERVED = [*SERVERS, "child"]
METHODS = {
    "form": "elicitation/create",
    "url": "elicitation/create",
    "sampling": "sampling/createMessage",
    "roots": "roots/list",
}


def posted(client: httpx2.Client, tool: str, arguments: Any, **more: Any) -> httpx2.Response:
    """The answer to a modern ``tools/call``; ``capabilities`` are those that the client declares."""
    capabilities = more.pop("capabilities", CAPABILITIES)
    request = modern("tools/call", name=tool, arguments=arguments, **more)
    meta = request["json"]["params"]["_meta"]
    request["json"]["params"]["_meta"] = {**meta, "io.modelcontextprotocol/clientCapabilities": capabilities}
    return client.post("/mcp", **request)


def answered(asked: Any, answer: Callable[[Any], Any] = lambda question: reply(question)) -> dict[str, Any]:
    """The parameters that repeat a call with its answers."""
    given = {name: answer(question) for name, question in asked["inputRequests"].items()}
    return {"inputResponses": given, "requestState": asked["requestState"]}


def reply(question: Any) -> Any:
    if question["method"] == "elicitation/create":
        return ANSWERS["url" if question["params"].get("mode") == "url" else "form"]
    return ANSWERS["sampling" if question["method"] == "sampling/createMessage" else "roots"]


def told(answer: httpx2.Response) -> Any:
    return json.loads(result_of(answer)["result"]["content"][0]["text"])


def named() -> str:
    return f"call-{secrets.token_hex(4)}"


def state_of(client: httpx2.Client, name: str) -> str | None:
    """What became at the server of the call of ``past__ask`` with this name."""
    return told(posted(client, "past__asks", {}, capabilities={})).get(name)


def entries_of(house: House, email: str, object: str, number: int) -> list[str]:
    """The outcomes on record of a user's calls of one thing, once there are so many."""

    def found() -> list[str] | None:
        own = [each for each in house.entries() if (each.subject, each.object) == (f"user:{email}", object)]
        return [each.outcome for each in own] if len(own) >= number else None

    return list(until(found))


@pytest.mark.parametrize("upstream", SERVED)
def test_every_kind_of_question_is_asked_in_the_answer_to_the_call(
    asking: House,  # noqa: F811
    upstream: str,
):
    email, methods, states = f"{named()}@example.com", [], []
    with asking.client(asking.add_user(email, "user")) as client:
        call = f"{upstream}__ask", {"kinds": list(METHODS), "turns": 2}
        last = posted(client, *call)
        while (asked := result_of(last)["result"])["resultType"] == "input_required":
            assert "elicitationId" not in json.dumps(asked)
            methods += [each["method"] for each in asked["inputRequests"].values()]
            states.append(asked["requestState"])
            last = posted(client, *call, **answered(asked))
        assert told(last) == [[ANSWERS[kind] for kind in METHODS]] * 2
    assert sorted(methods) == sorted([*METHODS.values()] * 2)
    assert len(set(states)) == len(states)
    recorded = entries_of(asking, email, f"{upstream}/ask", len(states) + 1)
    assert recorded == ["input_required"] * len(states) + ["ok"]


@pytest.mark.parametrize("upstream", SERVED)
def test_a_state_is_good_for_one_user_one_call_and_one_time(
    asking: House,  # noqa: F811
    key: str,  # noqa: F811
    upstream: str,
):
    other = asking.add_user(f"{named()}@example.com", "user")
    call = f"{upstream}__ask", {"kinds": ["form"]}
    with asking.client(key) as client, asking.client(other) as stranger:
        asked = result_of(posted(client, *call))["result"]
        brought = answered(asked)
        altered = {**brought, "requestState": brought["requestState"][:-2] + "xx"}
        refused = [
            posted(stranger, *call, **brought),
            posted(client, call[0], {"kinds": ["form", "url"]}, **brought),
            posted(client, f"{upstream}__link", {"id": "x"}, **brought),
            posted(client, *call, **altered),
        ]
        assert told(posted(client, *call, **brought)) == [[ANSWERS["form"]]]
        refused.append(posted(client, *call, **brought))
        assert [(each.status_code, result_of(each)["error"]["code"]) for each in refused] == [(400, -32602)] * 5
        assert len({result_of(each)["error"]["message"] for each in refused}) == 1


def test_two_users_with_many_calls_get_each_the_answers_of_their_own(asking: House):  # noqa: F811
    outcomes: list[bool] = []

    def one(own: str, number: int) -> None:
        with asking.client(own) as client:
            call = "past__ask", {"kinds": ["form"], "turns": 3, "name": f"{own}-{number}"}
            mine = {"action": "accept", "content": {"name": f"{own}-{number}"}}
            last = posted(client, *call)
            for _ in range(3):
                last = posted(client, *call, **answered(result_of(last)["result"], lambda _: mine))
            outcomes.append(told(last) == [[mine]] * 3)

    keys = [asking.add_user(f"{named()}@example.com", "user") for _ in range(2)]
    threads = [threading.Thread(target=one, args=(own, number)) for own in keys for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert outcomes == [True] * 12


@pytest.mark.parametrize("upstream", SERVED)
def test_a_client_is_asked_only_what_it_declared(asking: House, key: str, upstream: str):  # noqa: F811
    with asking.client(key) as client:
        call = f"{upstream}__ask", {"kinds": ["form", "url"]}
        answer = posted(client, *call, capabilities={"elicitation": {}})
        if upstream == "new":  # it asks all the same
            assert answer.status_code == 400
            assert result_of(answer)["error"]["data"] == {"requiredCapabilities": {"elicitation": {"url": {}}}}
            assert result_of(answer)["error"]["code"] == -32021
            return
        asked = result_of(answer)["result"]
        assert [each["params"]["mode"] for each in asked["inputRequests"].values()] == ["form"]
        ((form, url),) = told(posted(client, *call, capabilities={"elicitation": {}}, **answered(asked)))
        assert form == ANSWERS["form"]
        assert url["error"]["code"] < 0


@pytest.mark.parametrize("upstream", SERVED)
def test_a_capability_that_a_server_demands_is_named(asking: House, key: str, upstream: str):  # noqa: F811
    with asking.client(key) as client:
        answer = posted(client, f"{upstream}__demand", {}, capabilities={})
        assert answer.status_code == 400
        error = result_of(answer)["error"]
        assert (error["code"], error["data"]) == (-32021, {"requiredCapabilities": {"sampling": {}}})


@pytest.mark.parametrize("upstream", ["past", "oldest"])
def test_a_url_that_a_server_demands_is_asked_for_until_the_user_was_there(
    asking: House,  # noqa: F811
    key: str,  # noqa: F811
    upstream: str,
):
    id = named()
    with asking.client(key) as client:
        call = f"{upstream}__link", {"id": id}
        asked = result_of(posted(client, *call))["result"]
        ((_, question),) = asked["inputRequests"].items()
        assert question["params"] == {"mode": "url", "message": "Sign in.", "url": f"https://sign.test/in?{id}"}
        declined = result_of(posted(client, *call, **answered(asked, lambda _: {"action": "decline"})))["result"]
        assert declined["isError"] is True
        asked = result_of(posted(client, *call, **answered(asked)))["result"]
        assert asked["resultType"] == "input_required"
        posted(client, f"{upstream}__arrive", {"id": id})
        assert told(posted(client, *call, **answered(asked))) == "he was there"


# -- the end of a call that waits


def parked(client: httpx2.Client, *, hold: bool = False) -> tuple[str, tuple[str, Any], Any]:
    """A call that waits at a legacy server for its client: its name, what it was called with, what it asks."""
    name = named()
    call = "past__ask", {"kinds": ["form"], "name": name, "hold": hold}
    asked = result_of(posted(client, *call))["result"]
    assert state_of(client, name) == "asking"
    return name, call, asked


def sees(asking: House, key: str, name: str) -> bool:  # noqa: F811
    """Whether a tool is listed, over a connection of its own: to whichever worker that leads."""
    with asking.client(key) as client:
        return name in client.post("/mcp", **modern("tools/list")).text


def test_a_right_that_is_withdrawn_refuses_the_repetition_and_ends_the_call(
    asking: House,  # noqa: F811
    key: str,  # noqa: F811
):
    email = f"{named()}@example.com"
    his = asking.add_user(email, "user")
    with asking.client(his) as client, asking.client(key) as other:
        name, call, asked = parked(client)
        asking.cli("users", "withdraw-role", email, "user")
        until(lambda: not any(sees(asking, his, "past__ask") for _ in range(8 if asking.workers > 1 else 1)))
        refused = posted(client, *call, **answered(asked))
        assert result_of(refused)["error"]["message"] == "unknown tool: `past__ask`"
        until(lambda: state_of(other, name) == "cancelled")


def test_a_user_who_is_deleted_leaves_no_call_behind(asking: House, key: str):  # noqa: F811
    email = f"{named()}@example.com"
    with asking.client(asking.add_user(email, "user")) as client, asking.client(key) as other:
        name, call, asked = parked(client)
        asking.cli("users", "delete", email, "--yes")
        until(lambda: state_of(other, name) == "cancelled")
        assert posted(client, *call, **answered(asked)).status_code == 401


def test_closing_the_answer_of_a_repeated_call_ends_it(asking: House, key: str):  # noqa: F811
    with asking.client(key) as client:
        name, call, asked = parked(client, hold=True)
        with asking.client(key) as leaver:
            leaver.timeout = httpx2.Timeout(1.0)
            with pytest.raises(httpx2.TimeoutException):
                posted(leaver, *call, **answered(asked))
        until(lambda: state_of(client, name) == "cancelled")


def test_a_gateway_that_stops_ends_the_calls_that_wait(asking: House, key: str):  # noqa: F811
    with asking.client(key) as client:
        name, call, asked = parked(client)
        assert asking.stop() == 0
        asking.start()
        until(lambda: state_of(client, name) == "cancelled")
        assert result_of(posted(client, *call, **answered(asked)))["error"]["code"] == -32602
