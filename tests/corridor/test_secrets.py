"""Secrets leave no trace: not in logs, audit entries, the store, error bodies or what upstreams receive."""

import json
from pathlib import Path

import pytest

from tests.corridor.house import House, modern, result_of, until

CANARY = "canary-5up3r-s3cret-value"


def test_no_key_and_no_argument_value_is_found_anywhere_after_use_and_misuse(own_house: House):
    house = own_house
    key = house.add_user("ann@example.com", "user", "fast")
    with house.client() as client:
        for path, headers in (
            ("/mcp", {"x-apikey": key}),
            ("/mcp", {"apikey": key}),
            ("/mcp", {"authorization": f"Bearer {key}"}),
            (f"/mcp?apiKey={key}", {}),
            (f"/mcp?apikey={key}", {}),
            (f"/mcp?apiKey={key}&apiKey={key}", {}),
            (f"/nowhere?apiKey={key}", {}),
            ("/mcp", {"x-apikey": key + "x"}),
        ):
            question = modern("tools/call", name="demo__echo", arguments={"text": "x", "hidden": CANARY})
            question["headers"] |= headers
            answer = client.post(path, **question)
            assert key not in answer.text
        client.post("/mcp", content=f'{{"{CANARY}": broken', headers={"x-apikey": key})
        client.post("/mcp", headers={"x-apikey": key}, json=modern("prompts/get", name=f"no-{CANARY[:4]}")["json"])
    until(lambda: len(house.entries()) >= 10)
    kept = json.dumps(
        [
            json.loads(
                json.dumps(
                    entry.__class__.__struct_fields__ and {f: str(getattr(entry, f)) for f in entry.__struct_fields__}
                )
            )
            for entry in house.entries()
        ]
    )
    house.stop()
    places = {"audit": kept, "log": house.log}
    for path in Path(house.folder).rglob("*"):
        if path.is_file() and path.parent.name == "var":
            places[path.name] = path.read_bytes().decode("latin-1")
    assert "ostiary.db" in places
    for name, text in places.items():
        assert key not in text, name
        assert CANARY not in text, name


def test_an_upstream_receives_neither_the_key_nor_any_header_of_the_client(house: House, user_key: str):
    question = modern("tools/call", name="web__headers", arguments={})
    question["headers"] |= {"cookie": "session=1", "x-custom": CANARY, "forwarded": "for=1.2.3.4"}
    with house.client(user_key) as client:
        received = result_of(client.post("/mcp", **question))["result"]["content"][0]["text"]
    assert user_key not in received
    assert CANARY not in received
    assert not {"cookie", "x-apikey", "forwarded", "x-forwarded-for", "authorization"} & set(json.loads(received))


@pytest.mark.parametrize("path", ["var", "var/ostiary.db"])
def test_what_is_kept_is_private_to_its_owner(own_house: House, path: str):
    mode = (own_house.folder / path).stat().st_mode & 0o777
    assert mode in (0o600, 0o700)


def test_the_arguments_that_a_condition_reads_are_on_record_and_others_are_hashed(own_house: House):
    key = own_house.add_user("ann@example.com", "user", "fast")
    with own_house.client(key) as client:
        question = modern("tools/call", name="demo__echo", arguments={"text": "seen", "other": CANARY})
        client.post("/mcp", **question)

    def entry() -> object:
        return next((each for each in own_house.entries() if each.object == "demo/echo"), None)

    found = until(entry)
    assert found.arguments == {"/text": '"seen"'}
    assert set(found.hashed) == {"/other"}


def test_a_crash_leaves_no_memory_on_the_disk(house: House):
    assert house.process is not None
    limits = Path(f"/proc/{house.process.pid}/limits").read_text()
    assert next(line for line in limits.splitlines() if line.startswith("Max core file size")).split()[4:6] == [
        "0",
        "0",
    ]
