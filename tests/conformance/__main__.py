"""Runs the conformance suite through the gateway, in every way of ``legs.py``, and says how it went.

    python -m tests.conformance [--update] [--through one|workers|nodes] [WORD ...]

With words, only the runs that have them all in their names. Without, the tables of ``docs/protocol.md`` must say what
the run found; ``--update`` writes them. What the suite and the gateway said stands in ``build/conformance``.
"""

import argparse
import shutil
import sys
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import chain
from typing import TypeVar

from tests.clients.npm import NODE
from tests.conformance import suite
from tests.conformance.judging import KNOWN, judge, read_known
from tests.conformance.legs import LEGS, VISITS, Leg, Upstream, Visit
from tests.conformance.report import Outcome, client_table, known_table, server_table
from tests.conformance.world import PYTHON, World, built
from tests.corridor.several import ONE, STANDING
from tests.documents import ROOT, placed

PAGE = ROOT / "docs" / "protocol.md"
PLACE = ROOT / "build" / "conformance"
PIECES = (NODE, PYTHON, *suite.PROGRAMS.values())
EXPECTED = read_known(KNOWN.read_text())
WITHIN_S = 240.0
AT_ONCE = 2
Run = TypeVar("Run", Leg, Visit)


def serve(world: World, run: Leg) -> Outcome:
    """The suite as the client of a server behind the gateway."""
    words = ("server", "--url", world.url(run), *run.selection)
    return judged(run, words, world.environment(run), demanded=suite.scored(run.revision) if run.requires else ())


def visit(run: Visit) -> Outcome:
    """The gateway as the client of a server of the suite."""
    client = f"{sys.executable} -m tests.conformance.client"
    chosen = ("--scenario", run.scenario, "--spec-version", run.revision, "--timeout", "120000")
    return judged(run, ("client", "--command", client, *chosen), {}, demanded=[run.scenario])


def judged(run: Run, words: Sequence[str], environment: Mapping[str, str], *, demanded: Collection[str]) -> Outcome:
    folder = PLACE / run.name.replace(" ", "_").replace("/", "_")
    suite.run(run.suite, words, folder, within=WITHIN_S, environment=environment)
    found = suite.read(folder, demanded)
    return Outcome(found, judge(found, EXPECTED, revision=run.revision, behind=run.behind))


def all_of(lanes: Iterable[list[Run]], take: Callable[[Run], Outcome]) -> dict[Run, Outcome]:
    """The outcome of every run; those of one lane are made one after the other."""

    def along(lane: list[Run]) -> list[tuple[Run, Outcome]]:
        return [(run, said(run, take(run))) for run in lane]

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return dict(chain.from_iterable(pool.map(along, lanes)))


def said(run: Run, outcome: Outcome) -> Outcome:
    lines = [f"{run.name}: {len(outcome.passed)} of {len(outcome.found.scenarios)} scenarios pass"]
    lines += [f"  FAILS  {fault}: {why}" for fault, why in outcome.verdict.new.items()]
    lines += [f"  STALE  {check}: listed in known.toml, and did not fail" for check in outcome.verdict.stale]
    print("\n".join(lines), flush=True)
    return outcome


def lanes_of(legs: Iterable[Leg]) -> list[list[Leg]]:
    """Runs with the same server behind go one after the other: they would change its lists under each other."""
    lanes: dict[Upstream, list[Leg]] = {}
    for leg in legs:
        lanes.setdefault(leg.upstream, []).append(leg)
    return list(lanes.values())


def proven(words: set[str], how: str = ONE) -> tuple[dict[Leg, Outcome], dict[Visit, Outcome]]:
    """The outcomes of the runs that have all ``words`` in their names."""
    legs, visits = ([run for run in runs if words <= set(run.name.split())] for runs in (LEGS, VISITS))
    served: dict[Leg, Outcome] = {}
    if legs:
        with built(PLACE / "house", how) as world:
            served = all_of(lanes_of(legs), partial(serve, world))
    return served, all_of([[run] for run in visits], visit)


def documented(served: dict[Leg, Outcome], visited: dict[Visit, Outcome], *, update: bool) -> bool:
    """Whether the page says what was found, which with ``update`` it does from now on."""
    page = told = PAGE.read_text()
    for mark, table in (
        ("suite-servers", server_table({leg: served[leg] for leg in LEGS})),
        ("suite-clients", client_table({run: visited[run] for run in VISITS})),
        ("suite-known", known_table(EXPECTED)),
    ):
        told = placed(told, mark, table)
    if update:
        PAGE.write_text(told)
    return update or told == page


def never_came(outcomes: Iterable[Outcome]) -> set[str]:
    """The expectations that no run of all met: the suite may name its scenarios in another way by now."""
    listed = {check for each in EXPECTED for check in each.checks}
    return listed.difference(*(outcome.verdict.known for outcome in outcomes))


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--update", action="store_true")
    parser.add_argument("--through", choices=STANDING, default=ONE)
    parser.add_argument("words", nargs="*")
    options = parser.parse_args()
    if missing := [piece for piece in PIECES if not piece.exists()]:
        print(f"error: {missing[0]}: not there; `make conformance` sets it up")
        return 1
    shutil.rmtree(PLACE, ignore_errors=True)
    PLACE.mkdir(parents=True)
    served, visited = proven(set(options.words), options.through)
    outcomes = [*served.values(), *visited.values()]
    if not outcomes:
        print(f"error: no run has `{' '.join(options.words)}` in its name")
        return 1
    print(server_table(served), client_table(visited), sep="\n")
    if not all(outcome.clean for outcome in outcomes):
        print("error: not as expected; what was said stands in build/conformance")
        return 1
    if not options.words and (unmet := never_came(outcomes)):
        print(f"error: listed in known.toml, and in no run: {', '.join(sorted(unmet))}")
        return 1
    if not options.words and not documented(served, visited, update=options.update):
        print("error: docs/protocol.md: its tables differ from this run; `make conformance UPDATE=1` writes them")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
