r"""Text → tree of a condition, or the one sentence that says what is wrong and in which column.

    either    = both { "or" both }
    both      = negation { "and" negation }
    negation  = "not" negation | "(" either ")" | "true" | "false" | call | test
    call      = ("has" | "starts" | "ends" | "every" | "some" | "hours" | "cidr") "(" … ")"
    test      = field [ ("==" | "!=" | "<" | "<=" | ">" | ">=") constant | "in" "[" constant { "," constant } "]" ]
    field     = root { "." name | "[" text "]" }
    constant  = text | number | "true" | "false" | "null"

Texts stand in `'…'` or `"…"`; inside, `\\`, `\'`, `\"` and `\u{1f512}` are the only escapes. Everything is
bounded: the text, the nesting, each list, each number. This file judges nothing.
"""

import re
from dataclasses import dataclass
from ipaddress import IPv6Network, ip_network
from math import isfinite
from typing import Final, NoReturn
from unicodedata import normalize

from gateway.policy.condition_nodes import (
    FIXED_PATHS,
    FREE_ROOTS,
    IT,
    Always,
    Check,
    Cidr,
    Each,
    Hours,
    Node,
    Not,
    Path,
    conjunction,
    disjunction,
)
from gateway.policy.condition_values import Affix, Compare, Constant, OneOf, Op, Present, Side, constant, quoted

MAX_TEXT: Final = 16_384
MAX_DEPTH: Final = 32
MAX_LIST: Final = 1_000
MAX_KEYS: Final = 16
MAX_NUMBER: Final = 40

_TOO_LONG: Final = f"a condition has at most {MAX_TEXT} characters; split it into several rows"
_TOKEN: Final = re.compile(
    r"""(?P<space>\s+)
    | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
    | (?P<number>-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)
    | (?P<text>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")
    | (?P<mark>==|!=|<=|>=|[<>()\[\],.])""",
    re.VERBOSE | re.ASCII,
)
_ESCAPE: Final = re.compile(r"\\(?:([\\'\"])|u\{([0-9A-Fa-f]{1,6})\}|)")
_CLOCK: Final = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])|24:00", re.ASCII)
_WORDS: Final = {"true": constant(True), "false": constant(False), "null": constant(None)}
_OPS: Final = {op.value: op for op in Op}
_INSTEAD: Final = {"=": "==", "&": "and", "|": "or", "!": "not", "-": "['…']"}
_FIXED_ROOTS: Final = frozenset(path[0] for path in FIXED_PATHS)
_ROOTS: Final = FREE_ROOTS | _FIXED_ROOTS


class ConditionError(ValueError):
    """A text that is no condition: ``sentence`` says why, ``column`` (from 1) where."""

    def __init__(self, sentence: str, column: int) -> None:
        super().__init__(f"column {column}: {sentence}")
        self.sentence = sentence
        self.column = column


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    """As written; of a ``text`` the value, of a ``number`` the shortest way to write it."""
    column: int

    def __str__(self) -> str:
        return quoted(self.text) if self.kind == "text" else self.text


def read(text: str) -> Node:
    """The tree of a condition; an empty text is always true. Raises ``ConditionError``."""
    if len(text) > MAX_TEXT:
        raise ConditionError(_TOO_LONG, MAX_TEXT)
    return _Parser(_tokens(text)).whole()


def field_columns(text: str) -> list[int]:
    """The columns (from 1) of the fields of a condition, in the order in which they are written.

    Raises ``ConditionError``.
    """
    parser = _Parser(_tokens(text))
    parser.whole()
    return parser.columns


def _tokens(text: str) -> list[_Token]:
    tokens: list[_Token] = []
    at = room = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise ConditionError(_stray(text[at]), at + 1)
        kind, raw = str(match.lastgroup), match.group()
        if kind != "space":
            tokens.append(_Token(kind, _READ.get(kind, _as_is)(raw, at + 1), at + 1))
            room += len(str(tokens[-1])) + 1  # as printed, so that what was read can be read again
        if room > MAX_TEXT:
            raise ConditionError(_TOO_LONG, at + 1)
        at = match.end()
    return [*tokens, _Token("end", "", len(text) + 1)]


def _stray(sign: str) -> str:
    if sign in "'\"":
        return f"the text that `{sign}` opens has no end"
    hint = f"; write `{_INSTEAD[sign]}`" if sign in _INSTEAD else ""
    return f"`{sign if sign.isprintable() else ascii(sign)[1:-1]}` has no meaning here{hint}"


def _as_is(raw: str, _column: int) -> str:
    return raw


def _text(raw: str, column: int) -> str:
    for index, sign in enumerate(raw):
        if not sign.isprintable():
            raise ConditionError(
                f"a sign that cannot be seen stands in a text; write `{quoted(sign)[1:-1]}`", column + index
            )

    def plain(match: re.Match[str]) -> str:
        sign, number = match.groups()
        code = ord(sign) if sign else int(number, 16) if number else -1
        if not 0 <= code <= 0x10FFFF or 0xD800 <= code <= 0xDFFF:
            raise ConditionError(
                "after `\\` in a text comes `\\`, a quote, or the number of a sign as in `\\u{1f512}`",
                column + match.start() + 1,
            )
        return chr(code)

    return normalize("NFC", _ESCAPE.sub(plain, raw[1:-1]))


def _number(raw: str, column: int) -> str:
    if len(raw) > MAX_NUMBER:
        raise ConditionError(f"a number has at most {MAX_NUMBER} characters", column)
    number = float(raw) if set(raw) & set(".eE") else int(raw)
    if not isfinite(number):
        raise ConditionError(f"`{raw}` is too large", column)
    return repr(number)


_READ: Final = {"text": _text, "number": _number}


class _Parser:
    """Reads tokens from left to right; ``depth`` counts brackets, calls and ``not`` around the present place."""

    def __init__(self, tokens: list[_Token]) -> None:
        self.tokens = tokens
        self.at = 0
        self.inside = False
        self.columns: list[int] = []
        self.calls = {
            "has": self.has,
            "starts": self.affix,
            "ends": self.affix,
            "every": self.each,
            "some": self.each,
            "hours": self.hours,
            "cidr": self.cidr,
        }

    @property
    def token(self) -> _Token:
        return self.tokens[self.at]

    def next(self) -> _Token:
        token = self.token
        self.at += token.kind != "end"
        return token

    def is_at(self, *texts: str) -> bool:
        return self.token.kind in ("name", "mark") and self.token.text in texts

    def take(self, text: str) -> bool:
        found = self.is_at(text)
        self.at += found
        return found

    def demand(self, text: str) -> None:
        if not self.take(text):
            self.refuse(f"expected `{text}`, found {_named(self.token)}")

    def refuse(self, sentence: str, token: _Token | None = None) -> NoReturn:
        raise ConditionError(sentence, (token or self.token).column)

    def whole(self) -> Node:
        if self.token.kind == "end":
            return Always(True)
        node = self.either(0)
        if self.token.kind != "end":
            self.refuse(f"expected `and`, `or` or the end, found {_named(self.token)}")
        return node

    def either(self, depth: int) -> Node:
        parts = [self.both(depth)]
        while self.take("or"):
            parts.append(self.both(depth))
        return disjunction(parts)

    def both(self, depth: int) -> Node:
        parts = [self.negation(depth)]
        while self.take("and"):
            parts.append(self.negation(depth))
        return conjunction(parts)

    def negation(self, depth: int) -> Node:
        if depth > MAX_DEPTH:
            self.refuse(f"nested deeper than {MAX_DEPTH}; split it into several rows")
        if self.take("not"):
            return Not(self.negation(depth + 1))
        if self.take("("):
            node = self.either(depth + 1)
            self.demand(")")
            return node
        if self.is_at("true", "false"):
            return Always(self.next().text == "true")
        call = self.calls.get(self.token.text) if self.token.kind == "name" else None
        return call(depth + 1) if call and self.tokens[self.at + 1].text == "(" else self.test()

    def test(self) -> Node:
        path, token = self.field(), self.next()
        if token.text == "in" and token.kind == "name":
            return Check(path, OneOf(self.members()))
        if token.kind == "mark" and token.text in _OPS:
            return Check(path, self.comparison(_OPS[token.text]))
        self.at -= token.kind != "end"
        return Check(path, Compare(Op.EQUAL, constant(True)))

    def comparison(self, op: Op) -> Compare:
        token = self.token
        value = self.constant()
        if op not in (Op.EQUAL, Op.OTHER) and value.kind not in (float, str):
            self.refuse(f"`{value}` has no order; compare it by `==` or `!=`", token)
        return Compare(op, value)

    def members(self) -> frozenset[Constant]:
        start = self.token
        self.demand("[")
        found: list[Constant] = []
        while not self.take("]"):
            if found:
                self.demand(",")
            if self.is_at("null"):
                self.refuse("`null` cannot stand in a list; write `… == null or … in […]`")
            if len(found) == MAX_LIST:
                self.refuse(f"a list has at most {MAX_LIST} members; split it into several rows")
            found.append(self.constant())
        if not found:
            self.refuse("nothing is in an empty list; leave the row out or write `false`", start)
        return frozenset(found)

    def constant(self) -> Constant:
        token = self.next()
        if token.kind == "text":
            return constant(token.text)
        if token.kind == "number":
            return constant(float(token.text) if set(token.text) & set(".e") else int(token.text))
        if token.kind == "name" and token.text in _WORDS:
            return _WORDS[token.text]
        if token.kind == "name":
            self.refuse(f"a field is compared with a constant, and `{token.text}` is none; quote a text", token)
        return self.refuse(f"expected a text, a number, `true`, `false` or `null`, found {_named(token)}", token)

    def field(self) -> Path:
        token = self.next()
        if token.kind in ("text", "number"):
            self.refuse("a constant stands on the right; for a list write `some(args.list, it == …)`", token)
        if token.kind != "name":
            self.refuse(f"expected a field such as `args.channel`, found {_named(token)}", token)
        if self.inside != (token.text == IT):
            self.refuse(_misplaced(token.text), token)
        self.columns.append(token.column)
        path = (token.text, *self.keys())
        if path[0] != IT and path[0] not in _ROOTS:
            self.refuse(f"`{token.text}` is not one of {_listed(_ROOTS)}", token)
        if path[0] in _FIXED_ROOTS and path not in FIXED_PATHS:
            self.refuse(f"`{token.text}` has only {_listed({p[1] for p in FIXED_PATHS if p[0] == path[0]})}", token)
        if len(path) == 1 and path[0] != IT:
            self.refuse(f"`{token.text}` alone is no field; write `{token.text}.NAME`", token)
        return path

    def keys(self) -> tuple[str, ...]:
        keys: list[str] = []
        while self.is_at(".", "["):
            if len(keys) == MAX_KEYS:
                self.refuse(f"a field has at most {MAX_KEYS} names")
            bracket = self.next().text == "["
            token = self.next()
            if token.kind != ("text" if bracket else "name"):
                self.refuse(f"expected {'a quoted name' if bracket else 'a name'}, found {_named(token)}", token)
            keys.append(token.text)
            if bracket:
                self.demand("]")
        return tuple(keys)

    def opened(self) -> str:
        name = self.next().text
        self.demand("(")
        return name

    def has(self, _depth: int) -> Node:
        self.opened()
        path = self.field()
        self.demand(")")
        return Check(path, Present())

    def affix(self, _depth: int) -> Node:
        side = Side(self.opened())
        path = self.field()
        text = self.quoted_argument()
        if not text.text:
            self.refuse(f"every text {side} with the empty one; write what it {side} with", text)
        self.demand(")")
        return Check(path, Affix(side, text.text))

    def each(self, depth: int) -> Node:
        every = self.opened() == "every"
        path = self.field()
        self.demand(",")
        outer, self.inside, start = self.inside, True, self.at
        body = self.either(depth)
        if not any(token.text == IT and token.kind == "name" for token in self.tokens[start : self.at]):
            self.refuse("nothing is asked of `it`, the element of the list", self.tokens[start])
        self.inside = outer
        self.demand(")")
        return Check(path, Each(every, body))

    def hours(self, _depth: int) -> Node:
        self.only_of("now")
        start, end = self.clock("24:00"), self.clock()
        if start == end:
            self.refuse("the window is empty: its end is its start")
        self.demand(")")
        return Hours(start, end)

    def clock(self, *refused: str) -> int:
        token = self.quoted_argument()
        if not _CLOCK.fullmatch(token.text) or token.text in refused:
            self.refuse(f"`{token}` is no time of day; write it as in `'08:00'`", token)
        hour, minute = token.text.split(":")
        return int(hour) * 60 + int(minute)

    def cidr(self, _depth: int) -> Node:
        self.only_of("address")
        token = self.quoted_argument()
        try:
            network = ip_network(token.text)
        except ValueError:
            self.refuse(f"`{token}` is no network; write it as in `'10.0.0.0/8'`, no bit set behind the prefix", token)
        if isinstance(network, IPv6Network) and (
            network.network_address.ipv4_mapped or network.network_address.scope_id
        ):
            self.refuse(f"`{token}` matches nothing: mapped addresses count as IPv4, and zones are left out", token)
        self.demand(")")
        return Cidr(network)

    def only_of(self, key: str) -> None:
        name, token = self.opened(), self.token
        if self.inside or self.field() != ("env", key):
            self.refuse(f"`{name}` asks of `env.{key}` only, outside `every` and `some`", token)

    def quoted_argument(self) -> _Token:
        self.demand(",")
        token = self.next()
        if token.kind != "text":
            self.refuse(f"expected a quoted text, found {_named(token)}", token)
        return token


def _named(token: _Token) -> str:
    return "the end" if token.kind == "end" else f"`{token}`"


def _listed(names: frozenset[str] | set[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names))


def _misplaced(name: str) -> str:
    if name == IT:
        return "`it` is the element of a list, inside `every` and `some` only"
    return f"inside `every` and `some` a condition asks of `it`; take `{name}` out of the brackets"
