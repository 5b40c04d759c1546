"""Which handler packages are offered: those that are installed, not left out, and sound."""

import sys
from importlib.metadata import EntryPoint

import pytest

from connectors.packages.finding import GROUP, read_entries

SOUND = """
name = "{name}"
tools = [{{"name": "forecast", "inputSchema": {{"type": "object"}}}}]
async def handle(args, context, config, progress): return "sunny"
"""


@pytest.fixture
def modules(tmp_path, monkeypatch):
    """``modules(name, text)``: a module that can be imported, as an entry point."""
    monkeypatch.syspath_prepend(tmp_path)

    def make(name, text=None, value=None):
        module = f"handlers_{name.replace('-', '_')}"
        (tmp_path / f"{module}.py").write_text(SOUND.format(name=name) if text is None else text)
        return EntryPoint(name, value or module, GROUP)

    yield make
    for each in [each for each in sys.modules if each.startswith("handlers_")]:
        del sys.modules[each]


def found(*entries, omit=(), taken=()):
    installed = read_entries(entries, omit=omit, taken=taken)
    return [each.name for each in installed.packages], list(installed.problems)


def test_sound_packages_are_offered_in_order_of_name(modules):
    assert found(modules("weather"), modules("echo-two")) == (["echo-two", "weather"], [])


def test_a_package_that_is_left_out_is_not_even_imported(modules):
    assert found(modules("weather"), modules("bad", "raise SystemError"), omit=["bad"]) == (["weather"], [])
    assert "handlers_bad" not in sys.modules


def test_an_entry_that_is_found_twice_is_one_package(modules):
    entry = modules("weather")
    assert found(entry, entry) == (["weather"], [])


@pytest.mark.parametrize(
    ("entries", "problem"),
    [
        (["import nothing_of_the_kind"], "`handlers_weather` cannot be imported (ModuleNotFoundError)"),
        (
            ['name = "other"\n' + SOUND.format(name="rain")],
            "its entry point and its `name` (`rain`) are to be the same",
        ),
        (["name = 1"], "`name` is to be up to 32"),
    ],
)
def test_a_bad_package_is_told_and_keeps_no_other_out(modules, entries, problem):
    names, problems = found(modules("echo"), *(modules("weather", each) for each in entries))
    assert names == ["echo"]
    (told,) = problems
    assert told.startswith(f"handler package `weather`: {problem}")


def test_an_object_that_is_not_there_is_told(modules):
    _, problems = found(modules("weather", value="handlers_weather:nothing"))
    assert problems == ["handler package `weather`: `handlers_weather:nothing` cannot be imported (AttributeError)"]


def test_of_two_packages_with_one_name_neither_is_offered(modules):
    _, other = modules("rain"), EntryPoint("weather", "handlers_rain", GROUP)
    assert found(modules("weather"), other) == (
        [],
        ["handler package `weather`: two installed distributions have a package of this name"],
    )


def test_no_package_takes_the_place_of_a_connector(modules):
    names, (told,) = found(modules("weather"), taken=["weather"])
    assert names == []
    assert told.endswith("there is a connector or upstream of this id already")
