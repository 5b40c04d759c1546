"""``docs/connect``: what its pages show about platforms is so."""

import os
import re
import sys
from pathlib import Path

import pytest

from connectors.base import Secret
from connectors.definition import form, reading, reading_actions, reading_api, reading_auth, reading_parts
from connectors.definition.platform import Platform, relocated
from connectors.definition.reading import read_definition
from connectors.definition.terms import AuthKind
from gateway.connections.redirects import callback_uri
from gateway.platforms import Platforms
from gateway.policy.rules import read
from gateway.settings import load
from tests.corridor.house import MODEL
from tests.documents import ROOT, Terminal, blocks, commands, missing_part, tables, write_settings
from tests.platforms.rig import DEFINITIONS, Rig, listed
from tests.platforms.visiting import Person

FOLDER = ROOT / "docs" / "connect"
PAGES = [FOLDER / f"{name}.md" for name in ("github", "platforms", "slack")]
SHOWN = [block for page in PAGES for block in blocks(page)]
PLANTS = next(block.text for block in SHOWN if block.language == "yaml")


def of(language):
    return [block for block in SHOWN if block.language == language]


# -- your own, in ten minutes


@pytest.fixture
async def plants(small, egress):
    definition = read_definition(PLANTS, "connectors/plants.yaml")
    small.lets_in("/plants.example.com/oauth/authorize", "/plants.example.com/oauth/token", {"access_token": "t"})
    small.says("GET /plants.example.com/api/me", {"id": 7, "name": "Ann"})
    oauth = definition.auth.oauth
    moved = relocated(definition, small.at(definition))
    known = Platform("plants", moved, "client", Secret("secret"), oauth.scopes.default, exceptions=listed(small.host))
    return Rig(known, egress)


async def test_the_platform_of_the_page_is_connected_and_used(plants, small):
    assert (await plants.connect(Person("ann"))).label == "Ann"
    assert small.heard[0].query["scope"] == "beds.read beds.write"
    there = "/plants.example.com/api/beds"
    small.says(f"GET {there}", {"beds": [{"id": 1}], "next": "2"}, {"beds": [{"id": 2}]})
    assert [each["id"] for each in (await plants.call("list_beds", kind="roses"))["beds"]] == [1, 2]
    assert small.heard[-1].query == {"kind": "roses", "after": "2"}
    small.says(f"POST {there}/1/plants", {"id": 9})
    await plants.call("plant", bed=1, name="Rose")
    assert small.heard[-1].json == {"name": "Rose"}
    assert "nothing at DELETE" in await plants.fails("clear_bed", bed=3)


@pytest.fixture(scope="module")
def terminal(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plants")
    (folder / "connectors").mkdir()
    (folder / "connectors" / "plants.yaml").write_text(PLANTS)
    (folder / ".venv").symlink_to(sys.prefix)
    terminal = Terminal(folder, dict(os.environ))
    yield terminal
    terminal.close()


@pytest.mark.parametrize("block", of("console"), ids=str)
def test_the_commands_print_what_the_page_shows(block, terminal):
    for command, expected in commands(block):
        told, _ = terminal.run(command)
        assert not missing_part(expected, told), told


# -- settings, rows, addresses


@pytest.mark.parametrize("block", of("toml"), ids=str)
def test_the_settings_load(block, tmp_path):
    for name in ("ostiary", "upstreams"):
        write_settings(tmp_path, name, (ROOT / "config" / f"{name}.toml").read_text())
    write_settings(tmp_path, "connectors", block.text)
    (tmp_path / "connectors").mkdir()
    (tmp_path / "connectors" / "plants.yaml").write_text(PLANTS)
    environ = dict.fromkeys(re.findall(r'\benv = "(\w+)"', block.text), "x" * 40)
    for file in re.findall(r'\bfile = "([^"]+)"', block.text):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text("x" * 40)
        (tmp_path / file).chmod(0o600)
    used = Platforms(load(tmp_path / "config", environ))
    assert used.problems == ()
    assert used.current


@pytest.mark.parametrize("block", of("policy"), ids=str)
def test_the_rows_are_rows_about_actions_that_there_are(block):
    assert not isinstance(read({"policies/model.conf": MODEL, "policies/rules.csv": block.text}), list)
    for connector, action in re.findall(r"\b(github|slack)/([a-z_]+)", block.text):
        assert action in {each.id for each in DEFINITIONS[connector].actions}


@pytest.mark.parametrize("page", ["github", "slack"])
def test_the_address_to_register_is_the_one_that_we_use(page):
    assert callback_uri("https://gateway.example.com", "main", page) in (FOLDER / f"{page}.md").read_text()


def test_the_scopes_of_slack_are_those_that_are_asked_for():
    shown = re.search(r"```text\n( *channels:history[^`]+)```", (FOLDER / "slack.md").read_text())
    assert shown
    assert sorted(shown[1].split()) == sorted(DEFINITIONS["slack"].auth.oauth.scopes.also["user_scope"])


def test_the_scopes_of_github_are_those_that_are_asked_for():
    scopes = DEFINITIONS["github"].auth.oauth.scopes.default
    assert f"the scopes `{scopes[0]}` and `{scopes[1]}`" in (FOLDER / "github.md").read_text()


# -- tables


def test_the_table_of_platforms_is_complete():
    rows = next(each for each in tables(FOLDER / "platforms.md") if each.heading == "Those that there are").by("id")
    assert set(rows) == set(DEFINITIONS)
    for id, definition in DEFINITIONS.items():
        oauth = definition.auth.kind is AuthKind.OAUTH2
        assert rows[id]["accounts"] == ("OAuth 2" if oauth else "key")
        emulated = re.match(r"\S+ [0-9.]+", definition.tested)
        assert rows[id]["tried against"].startswith(emulated[0] if emulated else "a small server")


def test_every_key_of_a_definition_has_its_row():
    asked = r'(?:form|below)\.(?:text|texts|flag|whole|choice|json|object|sub|subs|mapped|has)\(\s*"(\w+)"'
    files = (form, reading, reading_actions, reading_api, reading_auth, reading_parts)
    known = {key for file in files for key in re.findall(asked, Path(file.__file__).read_text())}
    text = "\n".join("|".join(row) for each in tables(FOLDER / "platforms.md") for row in each.rows)
    text += " ".join(column for each in tables(FOLDER / "platforms.md") for column in each.columns)
    assert known - set(re.findall(r"\w+", text)) == set()
    assert len(known) > 60
