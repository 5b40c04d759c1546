"""A bundle as the files that say it: what somebody reads who has only the bundle, and what can be applied again.

Comments of the files that it was read from are not in a bundle. This file knows no disk and decides nothing.
"""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Final

from gateway.policy.bundle import Bundle
from gateway.policy.limits import DEFAULT, Limit, Limits
from gateway.policy.rows import as_written
from gateway.policy.rules import LIMITS_FILE, MODEL_FILE, RULES_SUFFIX
from gateway.policy.terms import Link, Rule

_ROWS: Final = f"rules{RULES_SUFFIX}"


def written(bundle: Bundle) -> dict[str, str]:
    """The files of ``bundle``, by their names below the policy folder: reading them gives the same policy, its rows in
    the same order within each file.
    """
    files = {MODEL_FILE: bundle.model, LIMITS_FILE: "\n".join(_limits(bundle.limits))}
    files |= {_below(path): text for path, text in bundle.cases.items()}
    lines = {_ROWS: [f"# @secret args.{path}" for path in sorted(bundle.secrets)]} if bundle.secrets else {}
    rows: list[Rule | Link] = [*bundle.rules, *bundle.links]
    for row in sorted(rows, key=lambda row: row.place.line or 0):
        lines.setdefault(_below(row.place.file), []).extend(_row(row, bundle.accepted))
    return files | {name: "\n".join((*told, "")) for name, told in lines.items()}


def _below(path: str) -> str:
    """A path as it is shown to people, without the name of the folder."""
    *_, folder, name = ("", *path.split("/"))
    return f"tests/{name}" if folder == "tests" else name


def _row(row: Rule | Link, accepted: Mapping[str, tuple[str, ...]]) -> Iterator[str]:
    notes = {"id": row.id, "owner": row.responsible, "ticket": row.ticket, "expires": _day(row.expires)}
    notes["lint-ok"] = " ".join(accepted.get(str(row.place), ()))
    yield from (f"# @{name} {value}" for name, value in notes.items() if value)
    yield as_written(row)


def _day(moment: int | None) -> str:
    return "" if moment is None else datetime.fromtimestamp(moment / 1000, UTC).strftime("%Y-%m-%d")


def _limits(limits: Limits) -> Iterator[str]:
    for name, limit in ((DEFAULT, limits.default), *((each.name, each.limit) for each in limits.classes)):
        yield from ("[[class]]", f"name = {json.dumps(name)}", *_limit(limit))
    for each in limits.objects:
        yield from ("[[object]]", f"match = {json.dumps(each.match, ensure_ascii=False)}", *_limit(each.limit))
        if each.klass is not None:
            yield f"class = {json.dumps(each.klass)}"


def _limit(limit: Limit) -> tuple[str, str]:
    seconds, rest = divmod(limit.window_ms, 1000)
    return f"calls = {limit.calls}", f"window_s = {seconds if not rest else limit.window_ms / 1000}"
