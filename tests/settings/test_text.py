"""The lines of a TOML document, against what ``tomllib`` reads and against documents whose lines are known."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.settings.text import faulty_line, locate


def paths(value, path=()):
    """Every table, key and array item that ``tomllib`` sees."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inner:
        yield (*path, key)
        yield from paths(each, (*path, key))


DOCUMENT = '''\
# a comment = with [marks] and "quotes
top = """
not = a key
[not.a.table]
"""  # after
[server]
bind = "127.0.0.1:4001" # = [x]
"quoted.key" = \'it"s\'
dotted . "in ner" = 1979-05-27 07:32:00
list = [
    "one", # ]
    # "commented",
    { env = "A", deep = [1,
      2] }, [3],
]

[[item]]
name = "a"
[item.sub]
x = 1
[[item]]
[[item.more]]
y = {}
[line]
'''


def test_every_key_of_a_document_is_found_on_its_line():
    lines = locate(DOCUMENT)
    assert set(lines) == set(paths(tomllib.loads(DOCUMENT)))
    assert lines["top",] == 2
    assert lines["server",] == 6
    assert lines["server", "bind"] == 7
    assert lines["server", "quoted.key"] == 8
    assert lines["server", "dotted", "in ner"] == 9
    assert lines["server", "list", 0] == 11
    assert lines["server", "list", 1, "env"] == 13
    assert lines["server", "list", 1, "deep", 0] == 13
    assert lines["server", "list", 1, "deep", 1] == 14
    assert lines["server", "list", 2, 0] == 14
    assert lines["item",] == lines["item", 0] == 17
    assert lines["item", 0, "sub", "x"] == 20
    assert lines["item", 1] == 21
    assert lines["item", 1, "more", 0, "y"] == 23
    assert lines["line",] == 24


def test_windows_line_ends_change_no_line():
    assert locate(DOCUMENT.replace("\n", "\r\n")) == locate(DOCUMENT)


BARE = st.from_regex(r"[A-Za-z0-9_-]{1,6}", fullmatch=True)
NASTY = st.text(alphabet="ab \"'\\=#[]{},.\né", max_size=8)


def quoted(text):
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


@st.composite
def strings(draw):
    text = draw(NASTY)
    forms = [
        quoted(text),
        '"""' + text.replace("\\", "\\\\").replace('"', '\\"') + '"""',
        '"""x""\n"y"""""',
        "'''a''b\n'''",
    ]
    if not set(text) & set("'\n"):
        forms += [f"'{text}'", f"'''{text}'''"]
    return draw(st.sampled_from(forms))


def gap(draw):
    return draw(st.sampled_from(["", " ", "\n", ' # note = ["\n', "\n\n "]))


@st.composite
def values(draw, depth=2):
    """(text, paths below with the line offset of each)"""
    form = draw(st.integers(0, 5 if depth else 3))
    if form <= 1:
        return draw(strings()), []
    if form <= 3:
        return draw(st.sampled_from(["1", "-2.5", "true", "1979-05-27 07:32:00", "1979-05-27", "inf"])), []
    if form == 4:
        text, found = "[", []
        for index in range(draw(st.integers(0, 3))):
            text += gap(draw)
            line = text.count("\n")
            inner, below = draw(values(depth=depth - 1))
            found += [((index,), line), *(((index, *path), line + offset) for path, offset in below)]
            text += inner + gap(draw) + ","
        return text + gap(draw) + "]", found
    text, found = "{", []
    for number, key in enumerate(draw(st.lists(BARE, max_size=3, unique=True))):
        line = text.count("\n")
        inner, below = draw(values(depth=depth - 1))
        found += [((key,), line), *(((key, *path), line + offset) for path, offset in below)]
        text += f"{', ' if number else ' '}{draw(st.sampled_from([key, quoted(key)]))} = {inner}"
    return text + " }", found


@st.composite
def documents(draw):
    """A document and the line of each path in it."""
    text, lines = "", {}
    tables = draw(st.lists(NASTY, unique=True, max_size=3))
    for name in tables:
        text += draw(st.sampled_from(["", "\n", "# [x]\n"]))
        many = draw(st.booleans())
        for index in range(draw(st.integers(1, 2)) if many else 1):
            path = (name, index) if many else (name,)
            line = text.count("\n") + 1
            lines.setdefault((name,), line)
            lines[path] = line
            text += f"[[{quoted(name)}]]\n" if many else f"[ {quoted(name)} ] # =\n"
            for key in draw(st.lists(NASTY, unique=True, max_size=2)):
                line = text.count("\n") + 1
                value, below = draw(values())
                lines[*path, key] = line
                lines.update({(*path, key, *inner): line + offset for inner, offset in below})
                text += f"{quoted(key)} = {value}{draw(st.sampled_from(['', ' # end']))}\n"
    return text, lines


@given(documents())
def test_the_lines_of_a_generated_document_are_exact(document):
    text, lines = document
    assert set(paths(tomllib.loads(text))) == set(lines)
    assert locate(text) == lines


@pytest.mark.parametrize(
    ("text", "line"),
    [("a = 1\nb = ?\n", 2), ("a = 1\n\n[x", 3), ('a = """\nb\n\n', 2), ("a = 1\na = 2\n", 2), ("= 1", 1)],
)
def test_a_document_that_cannot_be_read_is_wrong_at_a_line(text, line):
    with pytest.raises(tomllib.TOMLDecodeError) as error:
        tomllib.loads(text)
    assert faulty_line(error.value, text) == line
