"""What the settings make of upstreams and connectors: which servers offer what, and who follows a definition."""

import os

import pytest

from connectors.base import Change, Event
from connectors.egress import Egress
from gateway.assembly.servers import _Nobodys, platform_connectors, servers_of
from gateway.mcp.terms import Kind
from gateway.platforms import Platforms
from gateway.settings import load
from tests.cli.shop import DEFINITION

SETTINGS = """\
folders = ["definitions"]
[connectors.shop]
[connectors.second]
definition = "shop"
tools = "meta"
[connectors.broken]
"""


@pytest.fixture
def settings(tmp_path):
    files = {
        "config/ostiary.toml": "",
        "config/connectors.toml": SETTINGS,
        "config/upstreams.toml": '[upstreams.git]\ncommand = ["git"]\n',
        "config/servers.toml": '[servers.desk]\nupstreams = ["second", "git", "broken"]\n[servers.one]\nupstreams = ["shop", "custom"]\n',
        "definitions/shop.yaml": DEFINITION,
        "policies/x.md": "",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(mode=0o755, exist_ok=True)
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o644)
    return load(tmp_path / "config", {})


def test_main_offers_every_upstream_and_every_connector_that_can_be_used(settings):
    main, desk, one = servers_of(settings, Platforms(settings).current)
    assert (main.id, set(main.connectors), main.meta) == ("main", {"git", "shop", "second"}, {"second"})
    assert (desk.connectors, desk.meta, desk.prefixed) == (("second", "git"), {"second"}, True)
    assert (one.connectors, one.meta, one.prefixed) == (("shop",), frozenset(), True)
    assert (main.custom, desk.custom, one.custom) == (True, False, True)


def test_without_connectors_only_upstreams_are_offered(settings):
    assert [each.connectors for each in servers_of(settings)] == [("git",), ("git",), ()]


async def test_a_connector_follows_its_definition_while_it_runs(settings, tmp_path):
    platforms, egress = Platforms(settings), Egress()
    made = platform_connectors(platforms, egress, lambda _: _Nobodys(), lambda: 0)
    told: list[Change] = []
    for each in made:
        each.watch(told.append)
    before = (await made[0].catalogue("user:ada@example.com")).items[Kind.TOOL]
    assert [item.name for item in before] == ["list_orders", "add_order"]
    path = tmp_path / "definitions" / "shop.yaml"
    path.write_text(DEFINITION.replace("list_orders:", "show_orders:"))
    os.utime(path, (1, 1))
    assert platforms.look() == {"shop", "second"}
    assert {(each.connector, each.event) for each in told} == {("shop", Event.TOOLS), ("second", Event.TOOLS)}
    after = (await made[0].catalogue("user:ada@example.com")).items[Kind.TOOL]
    assert [item.name for item in after] == ["show_orders", "add_order"]
    await egress.close()
