"""Which values the columns of a row may hold, whether the row comes from a file or was made at run time.

Casbin takes any text in any column, so that one wrong letter makes a row silent; here every value that
could never match, or would match more than it says, is a sentence. This file knows no file format and no
condition language.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeAlias

from gateway.policy.model import ADMINISTRATION, LADDERS, USE
from gateway.policy.spelling import read_name, spelled_name, spelled_uri
from gateway.policy.terms import MAIN, SYSTEM, Effect, Link, Rule

RULE_COLUMNS: Final = ("subject", "domain", "owner", "object", "action", "when", "effect")
LINK_COLUMNS: Final = ("member", "role", "domain")

RESERVED: Final = ("gateway", "custom", "http")
"""Never the name of a connector."""

THINGS: Final = (
    "directory",
    "users",
    "keys",
    "sessions",
    "servers",
    "grants",
    "connectors",
    "upstreams",
    "policy",
    "audit",
    "end-users",
)
"""What ``gateway/THING`` administers."""

_ID: Final = r"[A-Za-z0-9][A-Za-z0-9_.-]*"
_FREE: Final = r'[^\s,()\[\]"*]+(?: [^\s,()\[\]"*]+)*'
_USER: Final = re.compile(r'user:[^\s,()\[\]"*@:/]+@[^\s,()\[\]"*@:/]+')
_SUBJECT: Final = re.compile(rf"{_USER.pattern}|end:{_ID}/{_FREE}|server:{_ID}")
_ROLE: Final = re.compile(rf"role:{_ID}")
_GROUP: Final = re.compile(rf"group:{_ID}/{_FREE}")
_CROWD: Final = re.compile(rf"\*|user:\*|end:{_ID}/\*")
_DOMAIN: Final = re.compile(_ID)
_RATE: Final = re.compile(r"rate:[a-z0-9][a-z0-9_-]*")
_CONNECTOR: Final = re.compile(r"[a-z0-9](?:-?[a-z0-9]){0,31}")
_HOST: Final = re.compile(r"(?:[a-z0-9._-]+|%5B(?:[0-9a-f.]|%3A)+%5D)(?:%3A[0-9]{1,5})?")

_INVISIBLE: Final = ("Cc", "Cf", "Cs", "Zl", "Zp")
"""Categories of characters; a text that is printable has none of them."""

_SUBJECT_SHAPES: Final = (
    "`user:EMAIL`, `end:SERVER/SUB`, `server:ID`, `role:NAME`, `group:ISSUER/NAME`, `user:*`, `end:SERVER/*` or `*`"
)


Check: TypeAlias = Callable[[str], str]
"""What is wrong with a text, as a sentence; ``""`` when nothing is."""

Ask: TypeAlias = Callable[[Check, str], str]
"""What a check says of a text: whoever has many rows remembers it, because they say the same words again and again."""


def ask(check: Check, text: str) -> str:
    return check(text)


def as_written(row: Rule | Link) -> str:
    """A row as files write it, without what stands above it."""
    if isinstance(row, Link):
        return f"g, {row.member}, {row.role}, {row.domain}"
    columns = (row.subject, row.domain, row.owner, row.object, row.action, row.when, row.effect.value)
    return f"p, {', '.join(columns)}"


def rule_sentences(row: Sequence[str], ask: Ask = ask) -> list[str]:
    """What is wrong with the seven columns of a ``p`` row, the condition left aside; empty when nothing is."""
    if len(row) != len(RULE_COLUMNS):
        return [_arity("p", len(row), RULE_COLUMNS)]
    if spelling := list(_spelling(RULE_COLUMNS, row)):
        return spelling
    subject, domain, owner, object, action, _, effect = row
    found = [
        ask(_subject, subject),
        ask(_domain, domain),
        ask(_owner, owner),
        ask(object_sentence, object),
        ask(_action, action),
        ask(_effect, effect),
    ]
    sentences = [each for each in found if each]
    return sentences or list(_together(owner, object, action, effect))


def link_sentences(row: Sequence[str], ask: Ask = ask) -> list[str]:
    """What is wrong with the three columns of a ``g`` row; empty when nothing is."""
    if len(row) != len(LINK_COLUMNS):
        return [_arity("g", len(row), LINK_COLUMNS)]
    if spelling := list(_spelling(LINK_COLUMNS, row)):
        return spelling
    member, role, domain = row
    return [each for each in (ask(_member, member), ask(_role, role), ask(_domain, domain)) if each]


def object_sentence(object: str) -> str:
    """Why ``object`` is no object or pattern of a row; ``""`` when it is one."""
    if object == "*":
        return ""
    if "*" in object and not (object.count("*") == 1 and object.endswith(("/*", ":*"))):
        return f"`{object}` is not a pattern: one `*` may stand at the end, after `/` or `:`"
    head, slash, rest = object.partition("/")
    if not _CONNECTOR.fullmatch(head):
        return f"`{object}` does not begin with the name of a connector, `gateway`, `custom` or `http`"
    if not slash:
        return f"`{object}` is reserved; write `{object}/*`" if head in RESERVED else ""
    if head == "gateway":
        return (
            ""
            if rest == "*" or rest in THINGS
            else f"`{object}` administers nothing; after `gateway/` comes one of {_list(THINGS)}"
        )
    return _item(object, head, rest)


def _item(object: str, head: str, rest: str) -> str:
    """``TOOL``, ``prompt:NAME`` and ``resource:URI``, each exact or as a pattern."""
    kind, colon, name = rest.partition(":")
    kinds = {"http": (), "custom": ("prompt",)}.get(head, ("prompt", "resource"))
    if colon and kind not in kinds:
        known = f"; it has {_list(kinds, ':')}" if kinds else ""
        return f"`{kind}:` in `{object}` is no kind of thing of `{head}`{known}"
    named = name if colon else rest
    if named == "*":
        return ""
    if not named:
        return f"nothing is named in `{object}` after `{object[-1]}`; for everything write `{object}*`"
    if head == "http" and not _HOST.fullmatch(named):
        told = "a port other than 443 of https stands behind it as `%3APORT`"
        return f"`{named}` in `{object}` is not a host in small letters; {told}"
    prefix = named.removesuffix("*")
    normal = spelled_uri(prefix) if colon and kind == "resource" else spelled_name(read_name(prefix))
    return "" if prefix == normal else f"`{prefix}` in `{object}` is not in the normal form; write `{normal}`"


def _spelling(columns: Sequence[str], row: Sequence[str]) -> Iterator[str]:
    """Letters that make a value look like another one: quotes, comments, other forms of the same character."""
    for column, value in zip(columns, row, strict=True):
        if not value.isprintable() and any(unicodedata.category(each) in _INVISIBLE for each in value):
            yield f"{column} holds an invisible character; type it anew"
        if column == "when":
            continue
        if value[:1] in ("'", '"', "`") or value[-1:] in ("'", '"', "`"):
            yield f"{column} `{value}` stands in quotes, which would be part of the value; remove them"
        if " #" in value:
            yield f"`{value[value.index(' #') + 1 :]}` after {column} is no comment here; a comment has its own line"
        if not unicodedata.is_normalized("NFC", value):
            yield f"{column} `{value}` is not in the composed form (NFC) in which names are compared; type it anew"


def _subject(value: str) -> str:
    if any(shape.fullmatch(value) for shape in (_SUBJECT, _ROLE, _GROUP, _CROWD)):
        return _lower_case(value)
    return f"subject `{value}` is none of {_SUBJECT_SHAPES}"


def _member(value: str) -> str:
    if any(shape.fullmatch(value) for shape in (_SUBJECT, _ROLE, _GROUP)):
        return _lower_case(value)
    if _CROWD.fullmatch(value):
        return f"member `{value}` is everybody; give `{value}` the rows themselves instead of a role"
    return (
        f"member `{value}` is none of `user:EMAIL`, `end:SERVER/SUB`, `server:ID`, `role:NAME` or `group:ISSUER/NAME`"
    )


def _role(value: str) -> str:
    return "" if _ROLE.fullmatch(value) else f"role `{value}` is not `role:NAME`"


def _domain(value: str) -> str:
    return (
        ""
        if value == "*" or _DOMAIN.fullmatch(value)
        else f"domain `{value}` is none of `{MAIN}`, a server's id or `*`"
    )


def _owner(value: str) -> str:
    if value in ("self", SYSTEM, "*"):
        return ""
    if _SUBJECT.fullmatch(value):
        return _lower_case(value)
    return f"owner `{value}` is none of `self`, `{SYSTEM}`, `*` or one subject such as `user:EMAIL`"


def _lower_case(value: str) -> str:
    """Accounts are kept in lower case, so that a row with a capital letter would name nobody."""
    if value.startswith("user:") and value != value.lower():
        return f"`{value}` names nobody; addresses are written in lower case: `{value.lower()}`"
    return ""


def _action(value: str) -> str:
    known = (*(step for ladder in LADDERS for step in ladder), "share", "connect", "act-as")
    if value in (*known, "*") or _RATE.fullmatch(value):
        return ""
    return f"action `{value}` is none of {_list(known)}, `rate:CLASS` or (in a deny) `*`"


def _effect(value: str) -> str:
    return "" if value in tuple(Effect) else f"effect `{value}` is not one of `allow`, `deny`"


def _together(owner: str, object: str, action: str, effect: str) -> Iterator[str]:
    """Columns that are right alone and wrong together."""
    if action == "*":
        if effect == Effect.ALLOW:
            yield "action `*` is for a deny; name the action that is allowed"
        return
    if reason := _unfit(object, action, effect):
        yield f"action `{action}` does not fit object `{object}`: {reason}"
    if owner == "*" and effect == Effect.ALLOW and action in (*USE, "share", "connect"):
        yield f"owner `*` on an allow of `{action}` lends what is everybody's; name `self`, `{SYSTEM}` or one subject"
    if action.startswith("rate:") and owner not in ("self", "*"):
        yield f"owner `{owner}` never has a rate class; write `self`"


def _unfit(object: str, action: str, effect: str) -> str:
    head, slash, _ = object.partition("/")
    if action.startswith("rate:"):
        return "" if object == "*" else "a rate class is for everything; write `*`"
    if object == "*":
        return "only `gateway/end-users` has it" if action == "act-as" and effect == Effect.ALLOW else ""
    if action == "act-as":
        return "" if object in ("gateway/end-users", "gateway/*") else "only `gateway/end-users` has it"
    if head == "gateway":
        return "" if action in ADMINISTRATION else f"administration has {_list(ADMINISTRATION)}"
    if not slash:
        return f"a whole connector is not used; write `{object}/*`" if action in USE else ""
    if action == "connect":
        return (
            f"an account is connected to a whole connector; write `{head}`"
            if head not in RESERVED
            else f"`{head}` has no accounts"
        )
    if action in ADMINISTRATION and head != "custom":
        return f"its connections are administered as a whole; write `{head}`" if head != "http" else "it is only used"
    return "it is only used" if head == "http" and action not in USE else ""


def _arity(kind: str, found: int, columns: Sequence[str]) -> str:
    return f"a `{kind}` row has {len(columns)} fields ({', '.join(columns)}), this one {found}"


def _list(words: Sequence[str], end: str = "") -> str:
    return ", ".join(f"`{word}{end}`" for word in words)
