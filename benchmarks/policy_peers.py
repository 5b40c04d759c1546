"""Cedar (``cedarpy``) and Rego (``celine-regorus``) on the same rows: run in ``.envs/bench``, prints one JSON object.

The rows are told in each language as plainly as it goes: for Cedar one policy a row, with the names of the one who
asks as his parents; for Rego data nested by subject and server, and one rule that walks the names. Both are handed
the names and never have to find them.
"""

import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cedarpy
import regorus

LOWER = {"write": ["read", "write"], "read": ["read"]}
HIGHER = {"write": ["write"], "read": ["read", "write"]}
CEDAR_WHEN: dict[str, Callable[[int], str]] = {
    "channel": lambda n: f'["#team-{n}", "#help"].contains(context.channel)',
    "amount": lambda n: f"context.amount > 0 && context.amount <= {n}",
    "path": lambda n: f'context.path like "/srv/{n}/*"',
    "to": lambda _: "context.to_ok",
    "hours": lambda _: "context.minute < 1439",
    "tool": lambda _: "!context.destructive",
}
REGO = """
package authz
import rego.v1

fits(row) if { row.own == "*" }
fits(row) if { row.own == "self"; input.own == input.sub }
fits(row) if { row.own == input.own }
covers(row) if { row.obj == input.obj }
covers(row) if { row.obj == input.pattern }
met(row) if { row.when[0] == "" }
met(row) if { row.when[0] == "channel"; input.channel in {sprintf("#team-%d", [row.when[1]]), "#help"} }
met(row) if { row.when[0] == "amount"; input.amount > 0; input.amount <= row.when[1] }
met(row) if { row.when[0] == "path"; startswith(input.path, sprintf("/srv/%d/", [row.when[1]])) }
met(row) if { row.when[0] == "to"; input.to_ok }
met(row) if { row.when[0] == "hours"; input.minute < 1439 }
met(row) if { row.when[0] == "tool"; not input.destructive }

matching contains row.eft if {
    some name in input.names
    some dom in [input.dom, "*"]
    some row in data.rows[name][dom]
    covers(row)
    input.act in row.acts
    fits(row)
    met(row)
}

default allow := false
allow if { "allow" in matching; not "deny" in matching }
"""


def cedar_policy(row: list[Any]) -> str:
    subject, domain, owner, object, action, when, effect = row
    actions = (LOWER if effect == "allow" else HIGHER)[action]
    steps = ", ".join(f'Action::"{each}"' for each in actions)
    thing = f'resource in Connector::"{object[:-2]}"' if object.endswith("*") else f'resource == Tool::"{object}"'
    parts = [] if domain == "*" else [f'context.dom == "{domain}"']
    if owner != "*":
        parts.append("context.own == context.sub" if owner == "self" else f'context.own == "{owner}"')
    if when[0]:
        parts.append(CEDAR_WHEN[when[0]](when[1]))
    condition = " when { " + " && ".join(f"({part})" for part in parts) + " }" if parts else ""
    verb = "permit" if effect == "allow" else "forbid"
    return f'{verb}(principal in Name::"{subject}", action in [{steps}], {thing}){condition};'


def cedar_question(question: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    context = {
        key: question[key]
        for key in ("sub", "dom", "own", "channel", "amount", "path", "to_ok", "minute", "destructive")
    }
    request = {
        "principal": {"type": "User", "id": question["sub"]},
        "action": {"type": "Action", "id": question["act"]},
        "resource": {"type": "Tool", "id": question["obj"]},
        "context": context,
    }
    names = [{"type": "Name", "id": name} for name in question["names"]]
    connector = {"type": "Connector", "id": question["obj"].partition("/")[0]}
    entities = [
        {"uid": request["principal"], "attrs": {}, "parents": names},
        {"uid": request["resource"], "attrs": {}, "parents": [connector]},
    ]
    return request, entities


def timed(asked: list[Any], do: Any) -> tuple[float, list[bool]]:
    costs, answers = [], []
    for each in asked:
        before = time.process_time_ns()
        answers.append(do(each))
        costs.append(time.process_time_ns() - before)
    return statistics.median(costs) / 1000, answers


def cedar(rows: list[list[Any]], questions: list[dict[str, Any]]) -> dict[str, Any]:
    start = time.process_time()
    policies = cedarpy.PolicySet.from_str("\n".join(map(cedar_policy, rows)))
    parsed = time.process_time() - start
    asked = [cedar_question(question) for question in questions]
    us, answers = timed(asked, lambda each: cedarpy.is_authorized(each[0], policies, each[1]).allowed)
    return {"cedar": us, "cedar_build_s": parsed, "cedar_answers": answers}


def rego(rows: list[list[Any]], questions: list[dict[str, Any]]) -> dict[str, Any]:
    start = time.process_time()
    nested: dict[str, dict[str, list[Any]]] = {}
    for subject, domain, owner, object, action, when, effect in rows:
        acts = (LOWER if effect == "allow" else HIGHER)[action]
        row = {"own": owner, "obj": object, "acts": acts, "when": when, "eft": effect}
        nested.setdefault(subject, {}).setdefault(domain, []).append(row)
    engine = regorus.Engine()
    engine.add_policy("authz.rego", REGO)
    engine.add_data_json(json.dumps({"rows": nested}))
    loaded = time.process_time() - start
    asked = [json.dumps({**each, "pattern": each["obj"].partition("/")[0] + "/*"}) for each in questions]

    def decide(text: str) -> bool:
        engine.set_input_json(text)
        return bool(engine.eval_rule("data.authz.allow"))

    us, answers = timed(asked, decide)
    return {"rego": us, "rego_build_s": loaded, "rego_answers": answers}


def main() -> None:
    folder, most = Path(sys.argv[1]), int(sys.argv[2])
    told = json.loads((folder / "peers.json").read_text())
    found = rego(told["rows"], told["questions"])
    if len(told["rows"]) <= most:
        some = told["questions"][: 200 if len(told["rows"]) <= most // 10 else 60]
        found |= cedar(told["rows"], some)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
