"""Folders of connector files to definitions by their ids. The only file of this room that touches the disk."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from connectors.definition.reading import LARGEST, DefinitionError, read_definition
from connectors.definition.terms import Definition
from gateway.policy.terms import Place, Problem

SHIPPED: Final = Path(__file__).parent.parent / "catalog"
"""The definitions that come with the product."""


@dataclass(frozen=True, slots=True)
class Definitions:
    """``problems`` are those of all files; a file with a problem gives no definition, and hides an earlier file of the
    same name.
    """

    by_id: Mapping[str, Definition] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()


def read_folders(folders: Iterable[Path]) -> Definitions:
    """Every ``ID.yaml`` of the folders; one of a later folder counts instead of one of the same name before it."""
    by_id: dict[str, Definition] = {}
    problems: list[Problem] = []
    for folder in folders:
        for path in _files(folder, problems):
            by_id.pop(path.stem, None)
            try:
                by_id[path.stem] = _read(path)
            except DefinitionError as error:
                problems += error.problems
    return Definitions(by_id, tuple(problems))


def _files(folder: Path, problems: list[Problem]) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.suffix in (".yaml", ".yml") and path.name[0] != ".")
    except OSError as error:
        problems.append(Problem(Place(folder.name), f"cannot be read: {(error.strerror or 'unknown error').lower()}"))
        return []


def _read(path: Path) -> Definition:
    place = f"{path.parent.name}/{path.name}"
    try:
        if path.stat().st_size > 4 * LARGEST:
            raise DefinitionError([Problem(Place(place), f"the file has more than {LARGEST} characters; split it")])
        definition = read_definition(path.read_text(encoding="utf-8"), place)
    except UnicodeDecodeError:
        raise DefinitionError([Problem(Place(place), "is not UTF-8 text")]) from None
    except OSError as error:
        why = (error.strerror or "unknown error").lower()
        raise DefinitionError([Problem(Place(place), f"cannot be read: {why}")]) from None
    if definition.id != path.stem or path.suffix != ".yaml":
        raise DefinitionError([Problem(Place(place), f"holds `{definition.id}`; name the file `{definition.id}.yaml`")])
    return definition
