"""The handler packages that are installed beside the gateway: distributions with an entry point of our group.

One that is left out is not even imported. This file decides nothing about who may use what.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Final

from connectors.packages.package import Package, read_package

GROUP: Final = "ostiary.handlers"


@dataclass(frozen=True, slots=True)
class Installed:
    """The packages that can be offered, and what is wrong with the others, one sentence each."""

    packages: tuple[Package, ...]
    problems: tuple[str, ...]


def installed(*, omit: Collection[str] = (), taken: Collection[str] = ()) -> Installed:
    """Every package but those that ``omit`` names, imported. ``taken`` are ids of other connectors, which no package
    may have. What an import raises goes through, but for ``ImportError`` and ``AttributeError``.
    """
    return read_entries(entry_points(group=GROUP), omit=omit, taken=taken)


def package_names(*, omit: Collection[str] = ()) -> tuple[str, ...]:
    """How the installed packages are called, whether they can be offered or not; none is imported."""
    return tuple(sorted({each.name for each in entry_points(group=GROUP)} - {*omit}))


def read_entries(entries: Iterable[EntryPoint], *, omit: Collection[str], taken: Collection[str]) -> Installed:
    """The same of these ``entries``."""
    by_name: dict[str, list[EntryPoint]] = {}
    for entry in sorted(entries, key=lambda each: each.name):
        if entry.name not in omit and entry not in by_name.setdefault(entry.name, []):
            by_name[entry.name].append(entry)
    found = {name: _read(name, several, taken) for name, several in by_name.items()}
    packages = tuple(each for each in found.values() if isinstance(each, Package))
    return Installed(packages, tuple(_told(found)))


def _read(name: str, entries: list[EntryPoint], taken: Collection[str]) -> Package | list[str]:
    if len(entries) > 1:
        return ["two installed distributions have a package of this name"]
    if name in taken:
        return ["there is a connector or upstream of this id already"]
    try:
        package = read_package(entries[0].load())
    except (ImportError, AttributeError) as error:
        return [f"`{entries[0].value}` cannot be imported ({type(error).__name__})"]
    if isinstance(package, Package) and package.name != name:
        return [f"its entry point and its `name` (`{package.name}`) are to be the same"]
    return package


def _told(found: Mapping[str, Package | list[str]]) -> Iterator[str]:
    for name, package in found.items():
        if isinstance(package, list):
            yield from (f"handler package `{name}`: {sentence}" for sentence in package)
