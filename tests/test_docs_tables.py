"""The tables of the documents against the code: settings, commands, errors, methods, bounds, the audit."""

import ast
import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import pytest

import gateway.app  # noqa: F401 (so that every refusal is known)
import gateway.settings.personal as personal_module
import gateway.settings.upstreams as upstreams_module
from connectors import upstream
from connectors.base import Sharing
from gateway.audit import AuditEntry
from gateway.audit.entry import Question
from gateway.cli import main
from gateway.cli.policy.differences import REASONS
from gateway.connections.reasons import Broken
from gateway.errors import Refusal
from gateway.mcp import calls, input_required, jsonrpc
from gateway.mcp.cursors import USUAL
from gateway.mcp.terms import LEGACY_VERSIONS, MODERN_VERSIONS, Era
from gateway.pipeline import connecting, meta_definitions, parking, request_state, steps, tasks
from gateway.pipeline.door import FREE
from gateway.policy import condition_text, folder
from gateway.policy.terms import Reason
from gateway.sessions import IDLE_MS, PER_SERVER, PER_SUBJECT, RUNNING, SUBSCRIBED, WAITING, WAITING_BYTES
from gateway.settings import Binding, Mode, Names, ServerMode, Settings, SettingsError, Tools, Unsure, load
from gateway.store import mongo, mongo_trail
from gateway.web.asgi import BODY_S
from gateway.web.plane import UNREAD_S
from gateway.web.replies import SILENCE_S
from tests.documents import ROOT, Table, table, tables, write_settings

CODE = {path: path.read_text() for name in ("gateway", "connectors") for path in (ROOT / name).rglob("*.py")}
NONE = "–"


# -- settings


SETTINGS = {
    found[1]: each
    for each in tables(ROOT / "docs" / "operators.md")
    if each.columns[:2] == ("key", "default") and (found := re.search(r"(?:`|/)(\[.+\]|\w+\.toml)`$", each.heading))
}
READERS = {"has", "text", "parsed", "flag", "integer", "number", "choice", "texts", "table", "tables"}
PLACES = {
    ("load", "top"): "",
    **{("load", name): f"[{name}]" for name in ("server", "store", "policy", "audit", "admin", "node")},
    ("load", "entry"): "[[server.secret]]",
    ("load", "trusted"): "[[policy.trusted_keys]]",
    ("upstreams", "_upstream", "table"): "[upstreams.{id}]",
    ("upstreams", "_transport", "table"): "[upstreams.{id}]",
    ("upstreams", "_secrets", "entry"): "[upstreams.{id}.headers]",
    ("personal", "read_personal", "upstream"): "[upstreams.{id}]",
    **{("personal", name, "table"): "[upstreams.{id}.personal]" for name in ("read_personal", "_secret")},
    ("upstreams", "_server", "table"): "[servers.{id}]",
    ("connectors", "read_connectors", "top"): "connectors.toml",
    ("connectors", "_connections", "top"): "",
    ("connectors", "_connections", "sign_in"): "[sign_in]",
    **{("connectors", name, "table"): "[connectors.{id}]" for name in ("_connector", "_credential")},
    **{("connectors", name, "table"): "[connections]" for name in ("_connections", "_check_webhook")},
    ("connectors", "_oidc", "table"): "[sign_in.oidc]",
    ("mail", "read_mail", "top"): "",
    ("tools", "read_tools", "top"): "",
    ("tools", "_http", "table"): "[http]",
    ("tools", "_handlers", "table"): "[handlers]",
    ("tools", "_named", "table"): "[secrets.{name}]",
    ("mail", "read_mail", "table"): "[mail]",
    ("issuers", "_issuer", "table"): "[issuers.{name}]",
    ("metrics", "read_metrics", "top"): "",
    ("metrics", "read_metrics", "table"): "[metrics]",
    ("limits", "read_address_limits", "top"): "",
    ("limits", "read_address_limits", "table"): "[limits]",
}
"""Which section a variable of the code that reads settings stands for."""


def asked_for() -> dict[str, set[str]]:
    """The keys that ``gateway.settings`` asks for, by section; ``""`` has the sections that are not the operator's."""
    found: dict[str, set[str]] = {}
    for module in ("load", "upstreams", "personal", "connectors", "issuers", "limits", "mail", "metrics", "tools"):
        for function in ast.walk(ast.parse(CODE[ROOT / "gateway" / "settings" / f"{module}.py"])):
            if not isinstance(function, ast.FunctionDef):
                continue
            for call in ast.walk(function):
                match call:
                    case ast.Call(ast.Attribute(ast.Name(name), attr), [ast.Constant(str(key)), *_]) if attr in READERS:
                        pass
                    case ast.Call(ast.Name("_secrets" | "_secret"), [ast.Name(name), ast.Constant(str(key)), *_]):
                        pass
                    case _:
                        continue
                words = (module, name) if module == "load" else (module, function.name, name)
                found.setdefault(PLACES[words], set()).add(key)
    return found


def test_every_setting_has_its_row_and_every_row_its_setting(tmp_path: Path):
    known = asked_for()
    fixed = {name.strip("[]") for name in SETTINGS if "{" not in name and "[" in name}
    assert known.pop("") == {name.partition(".")[0] for name in fixed}
    assert {f"sign_in.{key}" for key in known.pop("[sign_in]")} == {
        each for each in fixed if each.startswith("sign_in.")
    }
    wrong = '[upstreams.x]\ncommand = ["x"]\nenv = { A = {} }\n[upstreams.y]\nurl = "https://y.example"\nheaders = { A = {} }'
    write_settings(tmp_path, "upstreams", wrong)
    write_settings(tmp_path, "ostiary", '[server]\nsecret = [{ id = "a" }]')
    for section, name in (
        ("[[server.secret]]", "server.secret.0"),
        ("[upstreams.{id}.env]", "upstreams.x.env.A"),
        ("[upstreams.{id}.headers]", "upstreams.y.headers.A"),
    ):
        forms = next(each for each in problems(tmp_path) if f"`{name}` needs exactly one of" in each)
        known.setdefault(section, set()).update(re.findall(r"`([a-z]+)`", forms.partition("one of")[2]))
    assert {section: set(each.by("key")) for section, each in SETTINGS.items()} == known


def problems(root: Path) -> list[str]:
    with pytest.raises(SettingsError) as refused:
        load(root / "config", {})
    return [problem.sentence for problem in refused.value.problems]


def loaded(root: Path) -> Settings:
    """Without the secrets, which equal nothing."""
    return replace(load(root / "config", {}), secrets=())


SAMPLES = {
    "[upstreams.{id}]": (
        "upstreams",
        ('[upstreams.x]\ncommand = ["x"]\n', '[upstreams.x]\nurl = "https://x.example"\n'),
    ),
    "[servers.{id}]": ("servers", ('[servers.x]\nupstreams = ["time"]\n',)),
    "connectors.toml": ("connectors", ("",)),
    "[connectors.{id}]": ("connectors", ("[connectors.x]\n",)),
    "[connections]": ("connectors", ("[connections]\n",)),
    "[sign_in.oidc]": ("connectors", ('[sign_in.oidc]\nissuer = "https://x.example"\nclient_id = "x"\n',)),
    "[http]": ("tools", ("[http]\n",)),
    "[handlers]": ("tools", ("[handlers]\n",)),
    "[issuers.{name}]": ("ostiary", ('[issuers.x]\nissuer = "https://x.example"\n',)),
    "[mail]": ("ostiary", ('[mail]\nhost = "x.example"\nsender = "x@x.example"\n',)),
}


def spelled(section: str, lines: dict[str, str]) -> Iterator[tuple[str, str, str]]:
    """The file of a section, a least text of it, and that text with ``lines``."""
    file, bases = SAMPLES.get(section, ("ostiary", (section + "\n",)))
    for base in bases:
        foreign = () if "command" in base or file != "upstreams" else ("cwd",)
        foreign = ("private_hosts",) if "command" in base else foreign
        yield file, base, base + "".join(f"{key} = {value}\n" for key, value in lines.items() if key not in foreign)


FLAT = [section for section in SETTINGS if section in SAMPLES or re.fullmatch(r"\[\w+\]", section)]


@pytest.mark.parametrize("section", FLAT)
def test_writing_every_default_down_changes_nothing(section: str, tmp_path: Path):
    defaults = {
        key: row["default"].strip("`") for key, row in SETTINGS[section].by("key").items() if row["default"] != NONE
    }
    for name in ("ostiary", "upstreams"):
        write_settings(tmp_path, name, (ROOT / "config" / f"{name}.toml").read_text())
    for file, least, full in spelled(section, defaults):
        write_settings(tmp_path, file, least)
        load(tmp_path / "config", {})  # the first one makes a secret and says so
        before = loaded(tmp_path)
        write_settings(tmp_path, file, full)
        assert loaded(tmp_path) == before


RANGES = [
    (section, key, *map(int, found.groups()))
    for section in FLAT
    for key, row in SETTINGS[section].by("key").items()
    if (found := re.fullmatch(r"(?:.*; )?(\d+) to (\d+)", row["values"]))
]


@pytest.mark.parametrize(("section", "key", "low", "high"), RANGES)
def test_a_range_is_as_wide_as_it_says(section: str, key: str, low: int, high: int, tmp_path: Path):
    for name in ("ostiary", "upstreams"):
        write_settings(tmp_path, name, (ROOT / "config" / f"{name}.toml").read_text())
    for value, fine in ((low, True), (high, True), (low - 1, False), (high + 1, False)):
        file, _, text = next(spelled(section, {key: str(value)}))
        write_settings(tmp_path, file, text)
        if fine:
            load(tmp_path / "config", {})
        else:
            assert any("between" in each for each in problems(tmp_path))


@pytest.mark.parametrize(
    ("section", "key", "kind"),
    [
        ("[server]", "mode", Mode),
        ("[upstreams.{id}]", "transport", upstreams_module._Transport),
        ("[upstreams.{id}]", "sharing", Sharing),
        ("[upstreams.{id}.personal]", "kind", personal_module._Kind),
        ("[upstreams.{id}]", "era", Era),
        ("[servers.{id}]", "mode", ServerMode),
        ("[servers.{id}]", "names", Names),
        ("[connectors.{id}]", "tools", Tools),
        ("[connections]", "binding", Binding),
        ("[limits]", "unsure", Unsure),
    ],
)
def test_a_choice_has_the_words_it_says(section: str, key: str, kind: Any):
    assert set(re.findall(r"`(\w+)`", SETTINGS[section].by("key")[key]["values"])) == set(kind)


@pytest.mark.parametrize(
    ("begins", "words"),
    [("The values are", upstreams_module._Level), ("Reserved are", upstreams_module.RESERVED)],
)
def test_a_sentence_has_the_words_it_lists(begins: str, words: Any):
    said = (ROOT / "docs" / "operators.md").read_text().partition(begins)[2].partition(". ")[0].partition(".\n")[0]
    assert set(re.findall(r"`(\w+)`", said)) == set(words)


def test_every_environment_variable_has_its_row():
    read_here = re.compile(r'(?:_variable\(|environ\.get\(|envvar=)\s*"([A-Z_]+)"')
    used = {name for text in CODE.values() for name in read_here.findall(text)}
    assert set(table("operators.md", "Environment variables").by("variable")) == used


# -- commands


def every_command(command: click.Command, words: str) -> Iterator[tuple[str, set[str]]]:
    arguments = [
        each.make_metavar(click.Context(command)) for each in command.params if isinstance(each, click.Argument)
    ]
    options = {max(each.opts, key=len) for each in command.params if isinstance(each, click.Option)}
    if not isinstance(command, click.Group) or options:
        yield " ".join([words, *arguments]), options
    if isinstance(command, click.Group):
        for name in command.list_commands(click.Context(command)):
            inner = command.get_command(click.Context(command), name)
            assert inner is not None
            yield from every_command(inner, f"{words} {name}")


def test_every_command_and_option_has_its_row():
    told = {
        name: set(re.findall(r"`(--[a-z-]+)`", row["options"]))
        for name, row in table("operators.md", "Commands").by("command").items()
    }
    assert told == dict(every_command(main, "ostiary"))


# -- what clients and security teams are told


def every_refusal(kind: type[Refusal] = Refusal) -> Iterator[type[Refusal]]:
    yield kind
    for each in kind.__subclasses__():
        yield from every_refusal(each)


def test_the_table_of_errors_is_that_of_the_code():
    told = {
        kind: (int(row["code"]), int(row["HTTP"])) for kind, row in table("clients.md", "Errors").by("kind").items()
    }
    assert told == {each.kind: (each.code, each.status) for each in every_refusal()}


def test_the_table_of_methods_is_that_of_the_code():
    tasks = {"2025-11-25": {Era.LEGACY}, f"2025-11-25, {MODERN_VERSIONS[0]}": set(Era)}
    eras = {"all": set(Era), "with session": {Era.LEGACY}, MODERN_VERSIONS[0]: {Era.MODERN}} | tasks
    told = {
        name: (eras[row["revisions"]], row["counts against the rate limit"])
        for name, row in table("clients.md", "Methods").by("method").items()
    }
    known = {name: (set(each.eras), "no" if each.step in FREE else "yes") for name, each in calls.METHODS.items()}
    assert told == known
    revisions = " ".join(table("clients.md", "URLs", 1).by("revision"))
    assert set(re.findall(r"\d{4}-\d\d-\d\d", revisions)) == {*LEGACY_VERSIONS, *MODERN_VERSIONS}


@pytest.mark.parametrize(
    ("bounds", "values"),
    [
        (
            table("clients.md", "Limits"),
            [
                10 * 1024 * 1024,
                USUAL.items,
                USUAL.bytes,
                jsonrpc.MAX_DEPTH,
                jsonrpc.MAX_BATCH,
                jsonrpc.MAX_ID,
                jsonrpc.MAX_METHOD,
                calls.MAX_TARGET,
                int(BODY_S),
                PER_SUBJECT,
                PER_SUBJECT,
                PER_SERVER,
                IDLE_MS // 60_000,
                RUNNING,
                SUBSCRIBED,
                steps.SUBSCRIPTIONS,
                input_required.ANSWERS,
                input_required.MAX_SEALED,
                request_state.LIVES_MS // 60_000,
                parking.PARKED_PER_SUBJECT,
                parking.PARKED,
                upstream.QUESTIONED,
                parking.QUESTIONS_BYTES,
                tasks.PER_SUBJECT,
                tasks.PER_SUBJECT_BYTES,
                request_state.SPENT_PER_SUBJECT,
                request_state.SPENT,
                connecting.WAITS_EACH,
                connecting.WAITS,
                int(connecting.PATIENCE_S),
                meta_definitions.MOST_SECONDS,
                WAITING,
                WAITING_BYTES,
                int(UNREAD_S),
                int(SILENCE_S),
            ],
        ),
        (
            table("security-teams.md", "Restrictions of the language"),
            [
                condition_text.MAX_TEXT,
                condition_text.MAX_DEPTH,
                condition_text.MAX_LIST,
                condition_text.MAX_KEYS,
                condition_text.MAX_NUMBER,
                folder.LARGEST,
            ],
        ),
    ],
)
def test_a_table_of_bounds_is_that_of_the_code(bounds: Table, values: list[int]):
    assert [int(value) for _, value in bounds.rows] == values


def test_the_tables_of_the_audit_are_those_of_the_code():
    assert list(table("security-teams.md", "The audit").by("field")) == list(AuditEntry.__struct_fields__)
    assert list(table("security-teams.md", "The audit", 1).by("part of `asked`")) == list(Question.__struct_fields__)
    assert set(table("security-teams.md", "Explaining").by("reason")) == set(Reason)
    written = re.compile(r'\boutcome\b[^=\n]*= "(\w+)"')
    outcomes = {word for path, text in CODE.items() for word in written.findall(text)}
    assert set(table("security-teams.md", "The audit", 2).by("outcome")) == outcomes | {
        each.kind for each in every_refusal()
    }


def test_the_reasons_of_a_replay_are_those_of_the_code():
    told = table("policy/replay.md", "Replay", 1).by("`why` in JSON")
    assert {why: row["told to people as"] for why, row in told.items()} == REASONS


def test_the_reasons_why_a_connection_does_not_serve_are_those_of_the_code():
    assert set(table("operators.md", "Connected accounts").by("reason")) == set(Broken)


def test_the_roots_of_conditions_are_those_of_the_code():
    assert set(table("security-teams.md", "What conditions see").by("root")) == condition_text._ROOTS
    told = table("security-teams.md", "What conditions see").by("root")["tool"]["holds"].partition(":")[0]
    assert set(re.findall(r"`(\w+)`", told)) == {path[1] for path in condition_text.FIXED_PATHS if path[0] == "tool"}


def test_the_collections_are_those_of_the_code():
    row = next(row for row in table("operators.md", "Where things are kept").rows if "MONGODB_URI" in row[0])
    used = {mongo.RECORDS, mongo.STATE, mongo_trail.BUNDLES, mongo_trail.PIECES, mongo_trail.HEADS, mongo_trail.AUDIT}
    assert set(re.findall(r"`(\w+)`", row[1])) == used


@pytest.mark.parametrize("text", table("operators.md", "When something is wrong").by("text"))
def test_an_error_text_is_one_that_the_product_says(text: str):
    said = "\n".join(CODE.values()) + os.strerror(98).lower()
    for part in text.split("…"):
        assert part.strip(" :") in said, part
