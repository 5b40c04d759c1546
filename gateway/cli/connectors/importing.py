"""``ostiary connectors import``: chosen operations of an OpenAPI document as a definition."""

import re
import sys
from pathlib import Path
from typing import Final

import click

from connectors.definition.reading import DefinitionError, read_definition
from connectors.openapi.access import FORMS, Access
from connectors.openapi.compiling import Compiled, Report, Wanted, compile_document
from connectors.openapi.document import DocumentError, read_document
from connectors.openapi.operations import Operation, operations
from gateway.cli.output import Failure, failed, progress, show_json, show_table, shown_in_line

STDIN: Final = Path("-")

_ID: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")


@click.command("import")
@click.argument("document", type=click.Path(path_type=Path, exists=True, dir_okay=False, allow_dash=True))
@click.option(
    "--include",
    multiple=True,
    metavar="PATTERN",
    help="Operations by name (`issues/*`), path (`/repos/*`, `GET /user`) or tag (`tag:issues`); may be repeated.",
)
@click.option("--id", default="", help="What the definition is called; the file's name if left out.")
@click.option("--title", default="", help="What people read; what the document says if left out.")
@click.option("--base-url", default="", metavar="URL", help="Where requests go; where the document says if left out.")
@click.option(
    "--auth", "access", default="bearer", show_default=True, metavar="HOW", help=f"How one is let in: {FORMS}."
)
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Write it there.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs, the definition in it.")
def import_(
    document: Path,
    *,
    include: tuple[str, ...],
    id: str,
    title: str,
    base_url: str,
    access: str,
    output: Path | None,
    as_json: bool,
) -> None:
    """Make a definition of operations of DOCUMENT (OpenAPI 2.0, 3.0 or 3.1, JSON or YAML; `-` for standard input).

    Without --include, show what there is to choose from.
    """
    text = _text(document)
    try:
        if not include:
            _show_operations(operations(read_document(text)), as_json=as_json)
            return
        wanted = Wanted(_id(id, document, output), include, Access.of(access), base_url, title)
        with progress("compiling"):
            written, report = compile_document(text, wanted)
    except DocumentError as error:
        raise Failure(f"{document}: {error}") from None
    _check(written, f"{wanted.id}.yaml")
    if output is not None:
        _write(output, written)
    if as_json:
        show_json({"definition": written, **_plain(report)})
        return
    if output is None:
        click.echo(written, nl=False)
    _tell(report)


def _text(document: Path) -> str:
    body = sys.stdin.buffer.read() if document == STDIN else document.read_bytes()
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Failure(f"{document}: is not UTF-8 text") from None


def _id(given: str, document: Path, output: Path | None) -> str:
    """Raises ``Failure`` where none can be made of what was given."""
    rough = given or (output.stem if output else document.name.partition(".")[0])
    id = given or re.sub(r"[^a-z0-9_-]+", "-", rough.lower()).strip("-_")
    if _ID.fullmatch(id) is None:
        raise Failure(f"`{id}` is not an id: up to 32 of a to z, 0 to 9, `_` and `-`; give one with `--id`")
    if output is not None and output.name != f"{id}.yaml":
        raise Failure(f"a definition `{id}` is read from a file `{id}.yaml`, not from `{output.name}`")
    return id


def _check(written: str, file: str) -> None:
    try:
        read_definition(written, file)
    except DefinitionError as error:
        raise failed(error.problems, "what was made of it cannot be used") from None


def _write(output: Path, written: str) -> None:
    """Never over something that was edited since."""
    try:
        with output.open("x", encoding="utf-8") as file:
            file.write(written)
    except FileExistsError:
        raise Failure(f"`{output}` exists already; choose another name, or remove it first") from None


def _show_operations(found: tuple[Operation, ...], *, as_json: bool) -> None:
    if as_json:
        show_json(
            [
                {
                    "operation": str(each),
                    "name": each.said or None,
                    "action": each.id,
                    "tags": each.tags,
                    "deprecated": each.deprecated,
                }
                for each in found
            ]
        )
        return
    show_table(("operation", "name", "action"), [(str(each), each.said, each.id) for each in found])
    click.echo(f"{len(found)} operations; choose with `--include`", err=True)


def _tell(report: Report) -> None:
    """What became of the operations, on standard error: the definition may stand on standard output."""
    for done in report.compiled:
        click.echo(shown_in_line(_sentence(done)), err=True)
    for operation, why in report.refused:
        click.echo(f"refused: {shown_in_line(operation)}: {shown_in_line(why)}", err=True)
    for scheme in report.told:
        click.echo(f"not taken over: the document lets in by {shown_in_line(scheme)}", err=True)
    sizes = sorted(each.size for each in report.compiled)
    told = f"{len(sizes)} of {report.of} operations, {sum(sizes)} bytes of tools"
    click.echo(f"{told}, median {sizes[len(sizes) // 2]}, largest {sizes[-1]}", err=True)


def _sentence(done: Compiled) -> str:
    notes = [f"{done.risk}, {done.size} bytes"]
    if done.cut:
        notes.append("schemas cut for size")
    if done.stripped:
        notes.append(f"without credentials {', '.join(done.stripped)}")
    if done.dropped:
        notes.append(f"without {', '.join(done.dropped)}, which cannot be sent")
    return f"{done.id}: {done.operation} ({'; '.join(notes)})"


def _plain(report: Report) -> dict[str, object]:
    return {
        "operations": report.of,
        "actions": [
            {
                "id": each.id,
                "operation": each.operation,
                "risk": each.risk,
                "bytes": each.size,
                "cut": each.cut,
                "stripped": each.stripped,
                "dropped": each.dropped,
            }
            for each in report.compiled
        ],
        "refused": [{"operation": operation, "why": why} for operation, why in report.refused],
        "credentials": report.told,
    }
