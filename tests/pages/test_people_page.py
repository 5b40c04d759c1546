"""What docs/connect/people.md says is so: its numbers and its sentences are those of the code."""

import re
from pathlib import Path

import pytest

from gateway.connections.flows import STEP_MS
from gateway.connections.terms import SENTENCES, Why
from gateway.manage.sign_ins import CODE_DIGITS, CODE_LASTS_MS, CODE_TRIES, LASTS_MS
from gateway.signing_in.desk import CODES, MOST_CODES, TRIES
from gateway.signing_in.openid import CALLBACK
from gateway.web.pages.shell import prose

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "docs" / "connect" / "people.md"
LIST = ROOT / "gateway" / "web" / "templates" / "connections.html"
TEXT = " ".join(PAGE.read_text().split())


@pytest.mark.parametrize(
    "said",
    [
        f"a code of {CODE_DIGITS} digits comes; it holds for {CODE_LASTS_MS // 60_000} minutes",
        f"for {CODE_TRIES} tries",
        f"holds for {LASTS_MS // 3_600_000} hours",
        f"may try {TRIES.calls} times a minute",
        f"at most {CODES.calls} codes an hour for one address that asks, and {MOST_CODES.calls} altogether",
        f"https://HOST{CALLBACK}",
    ],
)
def test_its_numbers_are_those_of_the_code(said):
    assert said in TEXT
    assert (TRIES.window_ms, CODES.window_ms, MOST_CODES.window_ms) == (60_000, 3_600_000, 3_600_000)


def test_links_hold_as_long_as_it_says():
    assert STEP_MS == 10 * 60_000
    assert "works **once**, for **ten minutes**" in TEXT


def test_its_sentences_are_those_of_the_pages():
    told = re.findall(r"^\| ([A-Z].+?) \|", PAGE.read_text().partition("## When it does not work")[2], re.MULTILINE)
    assert len(told) >= 6
    assert set(told) <= {str(prose(happened)) for happened, _ in SENTENCES.values()}
    assert set(SENTENCES) == set(Why)


def test_its_buttons_are_those_of_the_list():
    told = PAGE.read_text().partition("## Your connections")[2].partition("## When")[0]
    buttons = re.findall(r"^\| ([A-Z][A-Za-z ]+) \|", told, re.MULTILINE)
    shown = re.findall(r">([A-Z][A-Za-z ]+)(?:…</summary>|</button>)", LIST.read_text())
    assert set(buttons) == {each for each in shown if each != "Disconnect now"}
    assert len(buttons) == 4


def test_its_pictures_are_small_and_there():
    named = re.findall(r"!\[[^\]]+\]\((pictures/[a-z-]+\.png)\)", PAGE.read_text())
    assert sorted(named) == sorted(f"pictures/{each.name}" for each in (PAGE.parent / "pictures").iterdir())
    for name in named:
        assert 1_000 < (PAGE.parent / name).stat().st_size < 80_000
