"""Two workers, and two nodes behind a plain proxy, are one gateway: whoever is asked, the one who knows answers."""

import json
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from click.testing import CliRunner

from gateway.cli import main
from tests.corridor.conftest import LIMITS, POLICY, SERVERS
from tests.corridor.house import META, OFTEN, House, free_port, modern, result_of, running, until, write
from tests.corridor.several import NODES, WORKERS, Nodes, several, standing, workers_of
from tests.corridor.test_isolation import INITIALIZE, legacy
from tests.corridor.test_stop import alive
from tests.corridor.test_streams import following

WITHIN_S = 2.0


@pytest.fixture(scope="module", params=[WORKERS, NODES])
def joint(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, upstreams: str) -> Iterator[House]:
    pages = {"policy": POLICY, "limits": LIMITS, "upstreams": upstreams, "servers": SERVERS}
    with standing(request.param, tmp_path_factory.mktemp("several"), **pages) as house:
        yield house


@pytest.fixture
def own(tmp_path, upstreams: str) -> Iterator[House]:
    with running(several(tmp_path, policy=POLICY, limits=LIMITS, upstreams=upstreams, servers=SERVERS)) as house:
        yield house


def opened(client: Any) -> dict[str, str]:
    """The headers of a new session."""
    return {"mcp-session-id": client.post("/mcp", json=INITIALIZE).headers["mcp-session-id"]}


def echo(text: str, id: Any = 1) -> dict[str, Any]:
    return legacy("tools/call", id, name="demo__echo", arguments={"text": text})


def test_a_session_is_known_over_every_connection_and_ended_from_any(joint: House):
    key = joint.key_of("user", "fast")
    with joint.client(key) as client:
        headers = opened(client)
        for turn in range(OFTEN):
            answer = client.post("/mcp", json=echo(str(turn)), headers=headers)
            assert answer.status_code == 200, answer.text
            assert json.loads(result_of(answer)["result"]["content"][0]["text"])["arguments"] == {"text": str(turn)}
        assert client.delete("/mcp", headers=headers).status_code == 200
        assert [client.post("/mcp", json=echo("x"), headers=headers).status_code for _ in range(OFTEN)] == [404] * OFTEN


def test_the_stream_of_a_session_hears_what_calls_over_other_connections_cause(joint: House):
    key = joint.key_of("user", "fast")
    with joint.client(key) as client:
        headers = opened(client)
        client.post("/mcp", json=legacy("tools/list"), headers=headers)
        for _ in range(4):
            with following(joint, key, "GET", "/mcp", headers=headers) as heard:
                client.post("/mcp", json=legacy("tools/call", name="demo__grow", arguments={}), headers=headers)
                assert {heard()["method"] for _ in range(3)} >= {"notifications/tools/list_changed"}


def test_messages_of_the_oldest_transport_reach_the_stream_whoever_takes_them_in(joint: House):
    key = joint.key_of("user", "fast")
    with following(joint, key, "GET", "/sse") as heard, joint.client(key) as client:
        place = heard()
        for turn in range(OFTEN):
            request = {**INITIALIZE, "id": turn} if turn == 0 else echo(str(turn), turn)
            assert client.post(place, json=request).status_code == 202
            assert heard()["id"] == turn


def test_who_is_not_the_one_whose_session_it_is_finds_none_on_any_worker(joint: House):
    with joint.client(joint.key_of("user", "fast")) as client, joint.client(joint.key_of("half", "fast")) as other:
        headers = opened(client)
        for _ in range(OFTEN):
            assert other.post("/mcp", json=echo("x"), headers=headers).status_code == 404
            assert joint.client().post("/mcp", json=echo("x"), headers=headers).status_code == 401


def test_a_revocation_binds_everywhere_within_two_seconds_and_ends_streams(joint: House):
    email = "leaving@example.com"
    key = joint.add_user(email, "user", "fast")
    question = modern("tools/call", name="demo__echo", arguments={"text": "hello"})
    with joint.client(key) as client, ExitStack() as opened:
        assert [client.post("/mcp", **question).status_code for _ in range(OFTEN)] == [200] * OFTEN
        streams = [opened.enter_context(following(joint, key, "GET", "/sse")) for _ in range(OFTEN)]
        for heard in streams:
            heard()
        joint.cli("users", "reset-key", email)
        bound = time.monotonic() + WITHIN_S
        assert all(isinstance(heard(max(0.01, bound - time.monotonic())), EOFError) for heard in streams)
        time_left = bound - time.monotonic()
        assert time_left > 0
        until(lambda: client.post("/mcp", **question).status_code == 401, time_left)
        assert [client.post("/mcp", **question).status_code for _ in range(OFTEN)] == [401] * OFTEN


def test_a_policy_that_is_applied_decides_everywhere_within_two_seconds(joint: House):
    key = joint.key_of("user", "fast")
    question = modern("tools/call", name="demo__echo", arguments={"text": "hello"})
    rules = joint.folder / "policies" / "rules.csv"

    def codes() -> set[int]:
        answers = [result_of(client.post("/mcp", **question)) for _ in range(OFTEN)]
        return {each["error"]["code"] if "error" in each else 0 for each in answers}

    with joint.client(key) as client:
        assert codes() == {0}
        rules.write_text(POLICY + "p, *, *, *, demo/echo, read, , deny\n")
        try:
            joint.cli("policy", "apply", str(rules.parent), "--why", "test")
            applied = time.monotonic()
            while codes() != {-32602}:
                assert time.monotonic() - applied < WITHIN_S
        finally:
            rules.write_text(POLICY)
            joint.cli("policy", "apply", str(rules.parent), "--why", "test")
        until(lambda: codes() == {0}, WITHIN_S)


def _said(client: Any, headers: dict[str, str]) -> int:
    status: int = client.post("/mcp", json=echo("x"), headers=headers).status_code
    return status


def test_a_killed_owner_is_told_at_once_and_a_new_session_works(own: House):
    key = own.key_of("user", "fast")
    with own.client(key) as client:
        before = workers_of(own)
        sessions = [opened(client) for _ in range(OFTEN)]
        os.kill(before[0], signal.SIGKILL)
        began = time.monotonic()
        answers = [client.post("/mcp", json=echo("x"), headers=headers).status_code for headers in sessions]
        assert {200} < set(answers) <= {200, 404, 503}, "503 to who asks while it dies: try again"
        assert time.monotonic() - began < 15
        told = until(lambda: 503 not in (found := [_said(client, each) for each in sessions]) and found)
        assert set(told) == {200, 404}
        again = opened(client)
        assert client.post("/mcp", json=echo("x"), headers=again).status_code == 200
        until(lambda: len(workers_of(own)) == 2)
        assert len(set(workers_of(own)) & set(before)) == 1


def test_a_rolling_restart_replaces_every_worker_and_fails_no_call(own: House):
    key = own.key_of("user", "fast")
    question = modern("tools/call", name="demo__echo", arguments={"text": "hello"})
    slow = modern("tools/call", name="demo__slow", arguments={"steps": 60})
    slow["json"]["params"]["_meta"] = {**META, "progressToken": 1}
    stop, outcomes, long_ones = threading.Event(), [], []

    def call() -> None:
        with own.client(key) as client:
            while not stop.is_set():
                try:
                    outcomes.append(client.post("/mcp", **question).status_code)
                except Exception as error:  # noqa: BLE001 - told below
                    outcomes.append(repr(error))

    def call_long() -> None:
        with own.client(key) as client:
            long_ones.append(result_of(client.post("/mcp", **slow))["result"]["content"][0]["text"])

    with own.client(key) as client:
        for _ in range(OFTEN):
            assert client.post("/mcp", **question).status_code == 200
    before = workers_of(own)
    threads = [threading.Thread(target=each) for each in (call, call, call, call_long, call_long, call_long)]
    for thread in threads:
        thread.start()
    until(lambda: len(outcomes) > 20)
    assert own.process is not None
    own.process.send_signal(signal.SIGHUP)
    try:
        until(lambda: "every worker has been renewed" in own.log, 60)
    finally:
        stop.set()
        for thread in threads:
            thread.join(30)
    assert not set(before) & set(workers_of(own))
    assert set(outcomes) == {200}, {each: outcomes.count(each) for each in set(outcomes)}
    assert long_ones == ["60"] * 3
    assert "Traceback" not in own.log


def test_several_processes_together_let_in_no_more_than_each_may(joint: House):
    key = joint.add_user("eager@example.com", "user")  # of the default class: 100 calls a minute
    question = modern("tools/call", name="demo__echo", arguments={"text": "hello"})
    with joint.client(key) as client:
        codes = [client.post("/mcp", **question).status_code for _ in range(260)]
        assert set(codes) == {200, 429}
        assert 100 - OFTEN <= codes.count(200) <= 200  # some were used up by the waiting above
        until(lambda: {client.post("/mcp", **question).status_code for _ in range(OFTEN)} == {429}, 4)


@pytest.mark.parametrize("joint", [NODES], indirect=True)
def test_what_is_not_sealed_by_us_gets_no_answer_at_the_internal_address(joint: Nodes):
    host, port = joint.nodes[0].extra["OSTIARY_NODE_BIND"].split(":")
    with socket.create_connection((host, int(port)), timeout=10) as raw:
        raw.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        assert raw.recv(100) == b""


def test_several_workers_are_refused_in_development(own: House, tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("development")
    write(folder, policy=POLICY, limits=LIMITS, upstreams="")
    words = ["--config", str(folder / "config"), "serve", "--workers", "2"]
    done = CliRunner().invoke(main, words, env={"PORT": str(free_port())})
    assert done.exit_code == 1
    assert "2 workers: in development one process watches the policy folder; set `mode` to `production`" in done.output


def test_a_worker_that_does_not_start_ends_the_restart_and_the_old_ones_stay(own: House):
    before = workers_of(own)
    settings = own.folder / "config" / "ostiary.toml"
    settings.write_text(settings.read_text() + "\n[nonsense]\n")
    assert own.process is not None
    own.process.send_signal(signal.SIGHUP)
    until(lambda: "the restart ends here: worker 0 does not start anew" in own.log)
    assert workers_of(own) == before
    assert own.client().get("/health").status_code == 200


def test_workers_end_when_their_parent_is_killed(own: House):
    workers = workers_of(own)
    assert own.process is not None
    own.process.kill()
    own.process.wait(10)
    until(lambda: not [pid for pid in workers if alive(pid)])


def test_a_port_in_use_is_refused_although_workers_share_theirs(own: House):
    words = ["--config", str(own.folder / "config"), "serve", "--workers", "2"]
    done = CliRunner().invoke(main, words, env={"PORT": str(own.port), **own.extra})
    assert done.exit_code == 1
    assert f"cannot listen on 127.0.0.1:{own.port}: address already in use" in done.output
