"""A candidate beside the live policy, and replay, on a running gateway with each store."""

import json
import shutil
from pathlib import Path

from tests.corridor.house import House, modern, result_of, until


def test_a_shadow_is_asked_without_effect_and_what_it_says_is_reported(house: House, user_key: str, tmp_path: Path):
    candidate = tmp_path / "candidate"
    shutil.copytree(house.folder / "policies", candidate)
    with (candidate / "rules.csv").open("a") as rules:
        rules.write("# @id no-shadow\np, *, *, *, demo/echo, read, args.text == 'in the shadow', deny\n")
    house.cli("policy", "shadow", str(candidate), "--why", "a try")
    with house.client(user_key) as client:

        def told() -> list[str]:
            answer = client.post("/mcp", **modern("tools/call", name="demo__echo", arguments={"text": "in the shadow"}))
            assert "in the shadow" in json.dumps(result_of(answer)["result"]["content"]), "it has no effect"
            return [entry.id for entry in house.entries() if entry.shadow is not None]

        until(told)
        client.post("/mcp", **modern("tools/call", name="demo__echo", arguments={"text": "in the light"}))
    found = json.loads(house.cli("policy", "shadow", "--report", "--json"))
    assert found["narrowed"] >= 1
    assert [each["now"].partition(":")[0] for each in found["rows"]] == ["candidate/rules.csv"]
    assert [each["object"] for each in found["tools"]] == ["demo/echo"]
    replayed = json.loads(house.cli("policy", "replay", str(candidate), "--since", "1h", "--json"))
    assert replayed["narrowed"] >= found["narrowed"]
    assert "demo/echo" in {each["object"] for each in replayed["tools"]}
    assert "hidden" not in {each["why"] for each in replayed["reasons"]}
    house.cli("policy", "shadow", "--off")
