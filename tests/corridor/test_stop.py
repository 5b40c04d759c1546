"""A stop loses nothing: calls in flight are answered, streams end, children are gone, every entry is written."""

import json
import os
import signal
import threading
from pathlib import Path
from typing import Any

from tests.corridor.house import META, House, modern, result_of, until


def children_of(pid: int) -> set[int]:
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return {int(child) for task in tasks for child in task.read_text().split()}


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_stop_answers_what_is_in_flight_ends_streams_and_reaps_children(own_house: House):
    house = own_house
    key = house.add_user("ann@example.com", "user", "fast")
    told: list[Any] = []
    under_way, ended = threading.Event(), threading.Event()
    question = modern("tools/call", name="demo__slow", arguments={"steps": 100})
    question["json"]["params"]["_meta"] = {**META, "progressToken": 1}

    def call() -> None:
        with house.client(key) as client, client.stream("POST", "/mcp", **question) as answer:
            for line in answer.iter_lines():
                if line.startswith("data: "):
                    told.append(json.loads(line[6:]))
                    under_way.set()

    def follow() -> None:
        with house.client(key) as client, client.stream("GET", "/sse", timeout=60) as stream:
            for _ in stream.iter_lines():
                opened.set()
        ended.set()

    opened = threading.Event()
    with house.client(key) as client:
        until(lambda: "demo__slow" in client.post("/mcp", **modern("tools/list")).text)
    threads = [threading.Thread(target=each) for each in (call, follow)]
    for thread in threads:
        thread.start()
    assert opened.wait(20)
    assert under_way.wait(20)
    assert house.process is not None
    children = children_of(house.process.pid)
    assert children
    begun = {entry.id for entry in house.entries()}
    house.process.send_signal(signal.SIGTERM)
    assert house.process.wait(30) == 0
    for thread in threads:
        thread.join(20)
    assert ended.is_set()
    assert told[-1]["result"]["content"][0]["text"] == "100"
    assert not [child for child in children if alive(child)]
    finished = [entry for entry in house.entries() if entry.id not in begun and entry.object == "demo/slow"]
    assert [entry.outcome for entry in finished] == ["ok"]
    assert "Traceback" not in house.log


def test_a_second_start_shows_no_key_and_keeps_the_first_one(own_house: House):
    shown = [word for word in own_house.log.split() if word.strip('",').startswith("ost_")]
    assert shown
    key = shown[0].strip("\",'")
    own_house.stop()
    before = len(own_house.log)
    own_house.start()
    again = own_house.log[before:]
    assert "ost_" not in again
    assert "reset-key" in again
    with own_house.client(key) as client:
        assert client.post("/mcp", **modern("tools/list")).status_code == 200


def test_a_dead_upstream_harms_neither_the_start_nor_the_others(own_house: House):
    key = own_house.add_user("ann@example.com", "user", "fast")
    with own_house.client(key) as client:
        for pid in children_of(own_house.process.pid if own_house.process else 0):
            os.kill(pid, signal.SIGKILL)

        def answers(name: str) -> bool:
            answer = result_of(client.post("/mcp", **modern("tools/call", name=name, arguments={"text": "x"})))
            text = answer.get("result", {}).get("content", [{}])[0].get("text", "{}")
            return text.startswith("{") and json.loads(text).get("arguments") == {"text": "x"}

        assert answers("web__echo")
        until(lambda: answers("demo__echo"), 30)
