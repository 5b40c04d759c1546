"""``ostiary policy test``: run a policy's own tests, and tell which of its rows no case covers."""

from collections.abc import Iterator
from pathlib import Path

import click

from gateway.analysis.cases import Result, Results, read_cases, run
from gateway.analysis.cases.words import row_words
from gateway.analysis.inventory import Inventory
from gateway.cli.inventory import things_from, tools_option
from gateway.cli.operation import Given, now_ms
from gateway.cli.output import Failure, failed, show_json
from gateway.cli.policy.asking import folder_path, json_option, valid_bundle
from gateway.policy.bundle import Bundle
from gateway.policy.engine import Policy


@click.command()
@click.argument("folder", required=False, type=folder_path, metavar="[DIR]")
@tools_option(None)
@click.option(
    "--min-coverage",
    "minimum",
    type=click.IntRange(0, 100),
    metavar="PERCENT",
    help="Fail when fewer of the rows count in some case.",
)
@json_option
@click.pass_obj
def test(given: Given, *, folder: Path | None, tools: str | None, minimum: int | None, as_json: bool) -> None:
    """Run the tests of the policy in DIR (default: the folder that the settings name)."""
    chosen = folder or given.settings().policy_folder
    results = _results(valid_bundle(chosen, "not valid"), chosen, things_from(given.settings, tools))
    scarce = minimum is not None and results.coverage.percent < minimum
    if as_json:
        show_json({**results.plain(), "minimum": minimum})
    else:
        for line in _told(results, scarce=scarce):
            click.echo(line)
    if results.failed:
        raise Failure(f"{chosen}: {len(results.failed)} of {_count(len(results.results), 'test')} failed")
    if scarce:
        raise Failure(f"{chosen}: {results.coverage.percent} % of the rows are covered, wanted are {minimum} %")
    if not as_json:
        click.echo(f"{chosen}: {_sum(results)}")


def _results(bundle: Bundle, folder: Path, inventory: Inventory) -> Results:
    cases = read_cases(bundle.cases)
    if isinstance(cases, list):  # also when the folder is valid: a bundle may be older than the language of its tests
        raise failed(cases, f"{folder}: not valid")
    if not cases.size:
        raise Failure(f"{folder}: there are no tests; they stand in `{folder.name}/tests/*.yaml`")
    return run(Policy.build(bundle, (), ""), cases, inventory, now=now_ms())


def _told(results: Results, *, scarce: bool) -> Iterator[str]:
    for result in results.failed:
        yield from _failure(result)
    if scarce:
        yield from (f"no case covers {row_words(rule)}" for rule in results.coverage.silent)


def _failure(result: Result) -> Iterator[str]:
    yield f"{result.place}: {result.kind} `{result.name}` failed"
    yield from (f"  {failure}" for failure in result.failures)
    if more := result.failed - len(result.failures):
        yield f"  and {more} more"


def _sum(results: Results) -> str:
    asked = _count(sum(result.asked for result in results.results), "question")
    coverage = results.coverage
    rows = _count(len(coverage.spoke) + len(coverage.silent), "row")
    return f"{_count(len(results.results), 'test')} passed, {asked}, {coverage.percent} % of {rows} covered"


def _count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
