"""``ostiary policy inventory``, and what is read back of it."""

import json
import sys
from pathlib import Path

import pytest

from gateway.cli.inventory import read_things, things_from
from gateway.cli.output import Failure

EVERYTHING = Path(__file__).parents[1] / "upstreams" / "everything.py"
UPSTREAMS = f"""\
[upstreams.all]
command = ["{sys.executable}", "{EVERYTHING}"]
sharing = "all"
[upstreams.all.tools]
echo = "read"
[upstreams.gone]
command = ["nowhere/mcp-server"]
start_timeout_s = 5
"""
SERVERS = """\
[servers.one]
upstreams = ["all"]
"""


def test_what_the_upstreams_offer_now_is_written_and_read_back(site, tmp_path):
    site.write("config/upstreams.toml", UPSTREAMS)
    site.write("config/servers.toml", SERVERS)
    result = site.ostiary("policy", "inventory")
    assert result.exit_code == 0
    assert "upstream `gone` does not answer, and is left out" in result.stderr
    file = tmp_path / "tools.json"
    file.write_text(result.stdout)
    things = read_things(file)
    assert set(things) == {"main", "one"}
    assert things["main"] == things["one"]
    by_object = {thing.object: thing for thing in things["main"]}
    assert by_object["all/echo"].action == "read"
    assert not by_object["all/echo"].tool.destructive
    assert by_object["all/echo"].schema["type"] == "object"
    assert any(":" in object for object in by_object), "prompts and resources are things, too"
    read_by_name = [thing for thing in things["main"] if thing.tool.kind in ("resource", "template")]
    assert {thing.tool.kind for thing in read_by_name} == {"resource", "template"}
    assert all(thing.schema["additionalProperties"] is False for thing in read_by_name)


@pytest.mark.parametrize("text", ["", "{}", '{"things": []}', '{"things": {"main": [{"object": 1}]}}', '{"tools": {}}'])
def test_a_file_that_is_no_inventory_is_refused_with_what_writes_one(text, tmp_path):
    file = tmp_path / "tools.json"
    file.write_text(text)
    with pytest.raises(Failure, match=r"tools\.json: not an inventory: .*; `ostiary policy inventory` writes one"):
        read_things(file)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(Failure, match="the file cannot be read: no such file or directory"):
        read_things(tmp_path / "nowhere.json")


def test_a_file_needs_no_settings_and_without_a_source_there_are_no_things(tmp_path):
    file = tmp_path / "tools.json"
    file.write_text(json.dumps({"things": {"main": []}}))

    def none_are_given():
        raise AssertionError("settings were read")

    assert things_from(none_are_given, str(file)).things == {"main": ()}
    assert things_from(none_are_given, None).things == {}


def test_a_file_that_is_nested_too_deeply_is_refused(tmp_path):
    file = tmp_path / "tools.json"
    file.write_text('{"things": {"main": [{"object": "a/b", "action": "read", "tool": {}, "schema": ' + "[" * 200_000)
    with pytest.raises(Failure, match="not an inventory"):
        read_things(file)
