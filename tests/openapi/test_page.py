"""``docs/connect/openapi.md``: what it shows is so."""

import os
import sys

import pytest

from connectors.definition.reading import read_definition
from connectors.openapi.compiling import LARGEST_ACTION
from connectors.openapi.schemas import DEEPEST
from tests.documents import ROOT, Terminal, blocks, commands, missing_part

PAGE = ROOT / "docs" / "connect" / "openapi.md"
SHOWN = [
    (command, expected)
    for block in blocks(PAGE)
    if block.language == "console"
    for command, expected in commands(block)
]


@pytest.fixture(scope="module")
def terminal(tmp_path_factory):
    folder = tmp_path_factory.mktemp("garden")
    (document,) = [block.text for block in blocks(PAGE) if block.language == "yaml"]
    (folder / "garden.yaml").write_text(document)
    (folder / ".venv").symlink_to(sys.prefix)
    terminal = Terminal(folder, dict(os.environ))
    yield terminal
    terminal.close()


def test_the_commands_print_what_the_page_shows(terminal):
    assert len(SHOWN) == 3
    for command, expected in SHOWN:
        told, status = terminal.run(command)
        assert status == 0, told
        assert not missing_part(expected, told), told


def test_the_definition_that_is_shown_is_one():
    definition = read_definition(SHOWN[-1][1], "garden-new.yaml")
    assert [each.id for each in definition.actions] == ["beds_list", "beds_clear"]


def test_the_page_names_the_bounds_of_the_code():
    assert DEEPEST == 6
    assert f"larger than {LARGEST_ACTION:,} bytes" in PAGE.read_text()
