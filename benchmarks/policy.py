"""The policy engine beside others, on the same rows and the same questions: ``make bench-policy``.

Every measurement runs in a process of its own, one after the other. Times are of CPU (of the questions of a round the
median, of five rounds the least), but for the stall of the event loop, which is the worst of wall time and grows with
whatever else the machine does.
"""

import json
import os
import pickle
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.policy_data import ARGUMENTS, CONDITIONS, NOW, Made, make
from gateway.policy.bundle import encode
from gateway.policy.engine import Policy
from gateway.policy.terms import Access

ROOT = Path(__file__).parent.parent
PEERS = ROOT / ".envs" / "bench" / "bin" / "python"
OURS = (sys.executable, "-m", "benchmarks.policy_ours")
SIZES = (1_000, 10_000, 100_000, 300_000)
CEDAR_UP_TO = 10_000
REGO_UP_TO = 100_000
AGREED = 200
MINUTE = 12 * 60

DECISIONS = (
    ("stock pycasbin, us", "stock"),
    ("cedarpy, us", "cedar"),
    ("celine-regorus, us", "rego"),
    ("ours, first of an unseen user, us", "unseen"),
    ("ours, first of a known user, us", "known"),
    ("ours, remembered, us", "remembered"),
)
OTHERS = (
    ("listing 1,000 tools, cold, ms", "list_cold_ms"),
    ("listing 1,000 tools, warm, ms", "list_warm_ms"),
    ("  of which Policy.possible, ms", "list_chain_ms"),
    ("  as many plain decisions, ms", "list_plain_ms"),
    ("a set of conditions never met, ms", "solve_ms"),
    ("reading the bundle, s", "read_s"),
    ("building the snapshot, s", "build_s"),
    ("one grant beside 10,000, ms", "grant_ms"),
    ("explaining, ms", "explain_ms"),
    ("memory of the snapshot, MB", "memory_mb"),
    ("garbage collection of it, ms", "gc_ms"),
    ("worst stall during two swaps, ms", "stall_swap_ms"),
    ("  worst stall without, ms", "stall_idle_ms"),
    ("  longest work on the loop, ms of CPU", "work_swap_ms"),
    ("  longest slice beside it, ms of CPU", "longest_slice_ms"),
    ("cedarpy, parsing, s", "cedar_build_s"),
    ("celine-regorus, loading, s", "rego_build_s"),
)


def main() -> None:
    found = {}
    for size in SIZES:
        print(f"{size:,} rows …", file=sys.stderr, flush=True)
        found[size] = measured(size)
    extrapolated(found)
    print_table(found)


def measured(size: int) -> dict[str, Any]:
    made = make(size, questions=1_000)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        put(made, folder)
        if size <= REGO_UP_TO:
            (folder / "peers.json").write_text(json.dumps(for_peers(made)))
        del made
        ours = child([*OURS, name, str(size)])
        ours |= child([*OURS, name, str(size), "swaps"])
        peers = (
            child([str(PEERS), str(ROOT / "benchmarks" / "policy_peers.py"), name, str(CEDAR_UP_TO)])
            if size <= REGO_UP_TO
            else {}
        )
    answers = ours["answers"]
    for peer in ("cedar", "rego"):
        told = peers.get(f"{peer}_answers", [])
        ours[f"{peer}_agrees"] = sum(one is other for one, other in zip(told, answers, strict=False))
        ours[f"{peer}_asked"] = len(told)
    return {**peers, **ours}


def put(made: Made, folder: Path) -> None:
    """What ``OURS`` reads."""
    (folder / "bundle.json").write_bytes(encode(made.bundle))
    (folder / "questions").write_bytes(pickle.dumps(made.accesses))


def child(command: list[str]) -> dict[str, Any]:
    done = subprocess.run(command, cwd=ROOT, env=dict(os.environ), capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)}: {done.stderr}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def for_peers(made: Made) -> dict[str, Any]:
    """Rows and questions as other engines take them: roles resolved, conditions by what they are about."""
    policy = Policy.build(made.bundle, (), "")
    rows = [
        [
            rule.subject,
            rule.domain,
            rule.owner,
            rule.object,
            rule.action,
            CONDITIONS.get(rule.when, ("", 0)),
            rule.effect.value,
        ]
        for rule in made.bundle.rules
    ]
    return {"rows": rows, "questions": [question(policy, access) for access in made.accesses[:AGREED]]}


def question(policy: Policy, access: Access) -> dict[str, Any]:
    names = sorted(policy.known_as(access.subject, access.domain, NOW))
    asked = {
        "sub": access.subject,
        "dom": access.domain,
        "own": access.owner,
        "obj": access.object,
        "act": access.action,
    }
    args = {"channel": ARGUMENTS["channel"], "amount": ARGUMENTS["amount"], "path": ARGUMENTS["path"]}
    return {
        **asked,
        **args,
        "names": names,
        "to_ok": True,
        "minute": MINUTE,
        "destructive": access.context.tool.destructive,
    }


def extrapolated(found: dict[int, dict[str, Any]]) -> None:
    """What was not run is told as growing with the rows, and marked."""
    for (before, _), (size, figures) in zip(list(found.items())[:-1], list(found.items())[1:], strict=True):
        for name in ("stock", "cedar", "cedar_build_s"):
            if name not in figures:
                figures[name] = found[before][name] * size / before
                figures[f"{name}~"] = True


def print_table(found: dict[int, dict[str, Any]]) -> None:
    print(f"{'':40}" + "".join(f"{size:>14,}" for size in found))
    for label, name in (*DECISIONS, *OTHERS):
        print(f"{label:40}" + "".join(cell(figures, name) for figures in found.values()))
    for label, name in DECISIONS[:3]:
        ratios = "".join(ratio(figures, name) for figures in found.values())
        print(f"{'ours, known: faster than ' + label.removesuffix(', us'):40}{ratios}")
    for peer in ("stock", "cedar", "rego", "plain"):
        print(f"{'the same answers, ' + peer:40}" + "".join(agreed(figures, peer) for figures in found.values()))
    print("~ was not run, and is what it would be if it grew with the rows")


def cell(figures: dict[str, Any], name: str) -> str:
    value = figures.get(name)
    if value is None:
        return f"{'-':>14}"
    mark = "~" if figures.get(f"{name}~") else ""
    return f"{mark + (f'{value:,.0f}' if value >= 1000 else f'{value:.2f}'):>14}"


def ratio(figures: dict[str, Any], name: str) -> str:
    if name not in figures:
        return f"{'-':>14}"
    mark = "~" if figures.get(f"{name}~") else ""
    return f"{mark}{figures[name] / figures['known']:,.0f} x".rjust(14)


def agreed(figures: dict[str, Any], peer: str) -> str:
    asked = figures["plain_asked"] if peer in ("stock", "plain") else figures[f"{peer}_asked"]
    if f"{peer}_agrees" not in figures or not asked:
        return f"{'-':>14}"
    return f"{figures[f'{peer}_agrees']} of {asked}".rjust(14)


if __name__ == "__main__":
    main()
