"""``ostiary connectors lint``: what is wrong, and what is odd, in definitions."""

from datetime import UTC, datetime
from pathlib import Path

import click

from connectors.definition.reading import DefinitionError, read_definition
from connectors.definition.remarks import remarks
from gateway.cli.operation import now_ms
from gateway.cli.output import Failure, show_json, shown_in_line
from gateway.policy.terms import Place, Problem


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True), metavar="FILE...")
@click.option("--strict", is_flag=True, help="Fail on warnings, too.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
def lint(*, files: tuple[Path, ...], strict: bool, as_json: bool) -> None:
    """Check the definitions in FILE (a folder stands for those in it), and tell what is odd in them."""
    today = datetime.fromtimestamp(now_ms() / 1000, UTC).strftime("%Y-%m")
    looked = [(path, *_looked(path, today)) for given in files for path in _files(given)]
    errors = [problem for _, problems, _ in looked for problem in problems]
    warnings = [(path, sentence) for path, _, odd in looked for sentence in odd]
    if as_json:
        show_json([_plain(*each) for each in looked])
    else:
        for problem in errors:
            click.echo(f"{problem.place}: error: {shown_in_line(problem.sentence)}")
        for path, sentence in warnings:
            click.echo(f"{path}: warning: {shown_in_line(sentence)}")
    summary = f"{_counted(len(looked), 'file')}: {_counted(len(errors), 'error')}, {_counted(len(warnings), 'warning')}"
    if errors or not looked or (strict and warnings):
        raise Failure(summary)
    if not as_json:
        click.echo(summary)


def _files(given: Path) -> list[Path]:
    return sorted(given.glob("[!.]*.y*ml")) if given.is_dir() else [given]


def _looked(path: Path, today: str) -> tuple[list[Problem], list[str]]:
    """The problems of one file, or what is odd in it."""
    try:
        definition = read_definition(path.read_text(encoding="utf-8"), str(path))
    except DefinitionError as error:
        return list(error.problems), []
    except UnicodeDecodeError:
        return [Problem(Place(str(path)), "is not UTF-8 text")], []
    except OSError as error:
        return [Problem(Place(str(path)), f"cannot be read: {(error.strerror or 'unknown error').lower()}")], []
    if path.name != f"{definition.id}.yaml":
        sentence = f"holds `{definition.id}`; name the file `{definition.id}.yaml`"
        return [Problem(Place(str(path)), sentence)], []
    return [], list(remarks(definition, today))


def _plain(path: Path, problems: list[Problem], odd: list[str]) -> dict[str, object]:
    errors = [{"line": each.place.line, "problem": each.sentence} for each in problems]
    return {"file": str(path), "errors": errors, "warnings": odd}


def _counted(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"
