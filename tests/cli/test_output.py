"""What reaches a terminal: nothing that a foreign text could tell it to do, nothing that nobody would see."""

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cli.output import show_json, show_table, shown, shown_in_line

UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


@given(st.text())
def test_no_sign_that_steers_a_terminal_or_takes_no_room_is_shown(text):
    assert not {unicodedata.category(sign) for sign in shown(text)} & UNSEEN - {"Cc"}
    assert not {sign for sign in shown(text) if unicodedata.category(sign) == "Cc"} - {"\n", "\t"}


@given(st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E)))
def test_plain_text_is_shown_as_it_is(text):
    assert shown(text) == shown_in_line(text) == text


@given(st.text())
def test_what_is_to_stay_in_its_line_does(text):
    assert shown_in_line(text).isprintable()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("\x1b[2Kgone", r"\x1b[2Kgone"),
        ("\x9b2K", r"\x9b2K"),
        ("a\rb", r"a\rb"),
        ("a\u202eb", r"a\u202eb"),
        ("a\u200bb", r"a\u200bb"),
        ("a\U000e0041", r"a\U000e0041"),  # a letter of the tags, by which a model can be told what nobody sees
        ("a\ufe01", r"a\ufe01"),
        ("a\U000e0101", r"a\U000e0101"),
        ("a\u3164", r"a\u3164"),
        ("a\u2800", r"a\u2800"),
        ("日本 ü", "日本 ü"),
        ("one\ntwo\tthree", "one\ntwo\tthree"),
    ],
)
def test_invisible_and_steering_signs_are_shown_as_numbers(text, told):
    assert shown(text) == told


@given(st.text())
def test_json_keeps_its_meaning_and_shows_no_hidden_sign(text):
    with pytest.MonkeyPatch.context() as patch:
        said: list[str] = []
        patch.setattr("click.echo", said.append)
        show_json({"text": text, "ü": [text]})
    assert json.loads(said[0]) == {"text": text, "ü": [text]}
    assert all(shown(line) == line for line in said[0].split("\n"))


def test_a_row_is_one_line_whatever_its_cells_hold(capsys):
    show_table(("a", "b"), [("x\ny", "\x1bz\tw")])
    assert capsys.readouterr().out == "x\\ny\t\\x1bz\\tw\n"
