"""How the results of tests are worded: rows, questions, names and what shows a breach, for people."""

import json
from collections.abc import Iterable, Mapping
from typing import Final

from gateway.policy.engine import FRESH
from gateway.policy.rows import as_written
from gateway.policy.terms import MAIN, Access, Json, Rule, Tool

_SHOWN: Final = 3


def row_words(rule: Rule) -> str:
    """A row with its place."""
    return f"{rule.place} `{as_written(rule)}`"


def named(text: str) -> str:
    """Text in which what nobody foresaw stands as ``…``."""
    return text.replace(f"{FRESH}/{FRESH}", "…").replace(FRESH, "…")


def some_names(names: Iterable[str]) -> str:
    """The first few names, and how many more there are."""
    every = sorted(names)
    more = len(every) - _SHOWN
    return ", ".join(every[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def question_words(subject: str, asked: Access) -> str:
    """A question; ``subject`` as the test calls whoever asks."""
    owner = "self" if asked.owner == asked.subject else asked.owner
    return words_of(subject, asked.action, asked.object, asked.domain, owner, asked.context.args)


def words_of(
    subject: str, action: str, object: str, domain: str, owner: str, args: Mapping[str, Json] | None = None
) -> str:
    parts = [subject, action, object]
    parts += [f"with {json.dumps(args, ensure_ascii=False)}"] if args else []
    parts += [f"in {domain}"] if domain != MAIN else []
    parts += [f"of {'anybody else' if owner == '*' else owner}"] if owner != "self" else []
    return named(" ".join(parts))


def witness_words(witness: Mapping[str, Json] | None, tool: Tool) -> str:
    """What shows that a call is allowed; ``None`` where it could only not be ruled out."""
    if witness is None:
        return "; it takes too long to find out more, so it counts as allowed"
    shown = {root: value for root, value in sorted(witness.items()) if value}
    shown |= {"tool.via": tool.via} if tool.via else {}
    return f", such as with {json.dumps(shown, ensure_ascii=False)}" if shown else ""
