"""What the documents show is so: links and blocks, and every command and answer against a running gateway.

``test_docs_tables.py`` compares their tables with the code, ``policy/test_readme.py`` holds ``policies/README.md``.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from gateway.audit import AuditEntry
from gateway.connections.webhook import message
from gateway.custom.reading import read_tool
from gateway.identity import offered
from gateway.policy.limits import Limits, read_limits
from gateway.policy.rules import read
from gateway.records import Connected
from gateway.settings import load
from tests.corridor.house import MODEL, House, free_port, modern, result_of, running, until
from tests.documents import (
    GUIDES,
    NARRATED,
    PAGES,
    ROOT,
    Block,
    Terminal,
    all_blocks,
    blocks,
    commands,
    missing_part,
    table,
    write_settings,
)
from tests.policy import test_readme as policy_readme

LANGUAGES = {"console", "sh", "text", "json", "toml", "policy", "mistakes", "python"}
NONE = "–"


# -- blocks and links


def test_every_block_is_of_a_kind_that_is_checked():
    assert {block.language for page in PAGES for block in blocks(page)} == LANGUAGES


@pytest.mark.parametrize("page", NARRATED, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_and_every_path_leads_somewhere(page: Path):
    text = page.read_text()
    for target, _, anchor in (found.partition("#") for found in re.findall(r"\]\((?!https?://)([^)]+)\)", text)):
        linked = page.parent / target if target else page
        assert linked.exists(), target
        headings = re.findall(r"^#+ (.+)$", linked.read_text(), re.MULTILINE) if anchor else []
        assert not anchor or anchor in {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}
    for named in re.findall(
        r"`((?:gateway|connectors|tests|policies|config|docs|benchmarks)/(?:[\w/-]+\.\w+|(?:[\w-]+/)*))`", text
    ):
        assert (ROOT / named).exists(), named


MAKE = re.compile(r"(?:`|^)make ([a-z-]+)", re.MULTILINE)


@pytest.mark.parametrize("target", sorted({target for page in PAGES for target in MAKE.findall(page.read_text())}))
def test_every_make_target_exists(target: str):
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    done = subprocess.run(["make", "-n", target], cwd=ROOT, env=clean, capture_output=True, text=True, timeout=20)
    assert done.returncode == 0, done.stderr


def test_the_readme_names_every_make_target():
    targets = re.search(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert targets
    assert set(targets[1].split()) == set(MAKE.findall(PAGES[0].read_text()))


@pytest.mark.parametrize("block", all_blocks("sh"), ids=str)
def test_what_is_not_run_here_is_a_make_target(block: Block):
    assert re.fullmatch(r"(make [a-z-]+\n)+", block.text)


@pytest.mark.parametrize("block", all_blocks("json"), ids=str)
def test_json_is_what_it_shows(block: Block):
    shown = json.loads(block.text.replace("ost_…", "ost_" + "x" * 43))
    if "outcome" in shown:
        assert list(shown) == list(AuditEntry.__struct_fields__)
        return
    if shown.get("type") == "connection.changed":
        told = dict(shown["data"])
        at, id = told.pop("at"), told.pop("connection")
        assert json.loads(message(Connected(id=id, **told), at).body) == shown
        return
    if "inputSchema" in shown:
        assert not isinstance(read_tool(shown, owner="user:ann@example.com", by="x", now=0), list)
        return
    for server in shown["mcpServers"].values():
        root = {"http": "mcp", "sse": "sse"}[server["type"]]
        assert re.fullmatch(rf"http://127\.0\.0\.1:4001/{root}(/git)?", server["url"])
        headers = [(name.encode(), value.encode()) for name, value in server["headers"].items()]
        assert offered(headers, b"", accept_query=False) == "ost_" + "x" * 43


@pytest.mark.parametrize("block", all_blocks("policy"), ids=str)
def test_an_example_policy_answers_as_it_says(block: Block):
    policy_readme.test_an_example_of_the_readme_holds(block.text)


MISTAKES = [
    pair for block in all_blocks("mistakes") for pair in re.findall(r"^(.+)\n! (.+)$", block.text, re.MULTILINE)
]


@pytest.mark.parametrize(("row", "sentence"), MISTAKES)
def test_a_mistake_is_refused_in_these_words(row: str, sentence: str):
    problems = read({"policies/model.conf": MODEL, "policies/rules.csv": row})
    assert isinstance(problems, list)
    assert any(sentence in problem.sentence for problem in problems), problems


@pytest.mark.parametrize(
    "block", [each for each in all_blocks("toml") if not each.text.startswith("# pyproject.toml\n")], ids=str
)
def test_a_settings_example_loads(block: Block, tmp_path: Path):
    named = re.match(r"# (config|policies)/([a-z]+\.toml)\n", block.text)
    assert named, "the first line names the file"
    if named[1] == "policies":
        assert isinstance(read_limits(block.text, named[2]), Limits)
        return
    for name in ("ostiary", "upstreams"):
        write_settings(tmp_path, name, (ROOT / "config" / f"{name}.toml").read_text())
    write_settings(tmp_path, named[2].removesuffix(".toml"), block.text)
    environ = dict.fromkeys(re.findall(r'\benv = "(\w+)"', block.text), "x" * 40)
    for file in re.findall(r'\bfile = "([^"]+)"', block.text):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text("x" * 40)
        (tmp_path / file).chmod(0o600)
    load(tmp_path / "config", environ)


# -- a running gateway


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A clone after `make run`: sample settings and policy, the sample servers, a repository, environments."""
    place = tmp_path_factory.mktemp("clone")
    place.chmod(0o700)
    for name in ("config", "policies"):
        shutil.copytree(ROOT / name, place / name)
    for path in place.rglob("*"):
        path.chmod(0o700 if path.is_dir() else 0o600)
    (place / ".envs").symlink_to(ROOT / ".envs")
    (place / ".venv").symlink_to(sys.prefix)
    author = ("-c", "user.name=a", "-c", "user.email=a@example.com")
    for words in (("init", "-q"), ("add", "config", "policies"), (*author, "commit", "-qm", "first")):
        subprocess.run(["git", *words], cwd=place, check=True)
    with running(House(place, free_port(), str(place / "var" / "ostiary.db"))) as started:
        yield started


@pytest.fixture(scope="module")
def key(house: House) -> str:
    return until(lambda: re.search(r"ost_[A-Za-z0-9_-]{43}", house.log)).group(0)


def here(text: str, house: House) -> str:
    return text.replace("127.0.0.1:4001", f"127.0.0.1:{house.port}")


@pytest.mark.parametrize("block", all_blocks("text"), ids=str)
def test_the_first_start_prints_what_is_shown(block: Block, house: House, key: str):
    assert key in house.log
    assert missing_part(here(block.text, house), house.log) == ""


@pytest.mark.parametrize(
    "page", [page for page in (*PAGES, *GUIDES) if "```console" in page.read_text()], ids=lambda page: page.name
)
def test_every_command_prints_what_is_shown(page: Path, house: House, key: str):
    terminal = Terminal(house.folder, house.environment)
    try:
        for block in blocks(page):
            for command, expected in commands(block) if block.language == "console" else ():
                assert_prints(terminal, here(command.replace("KEY=ost_…", f"KEY={key}"), house), here(expected, house))
    finally:
        terminal.close()


def assert_prints(terminal: Terminal, command: str, expected: str) -> None:
    """Asked again until it is so: servers behind the gateway start, and edits apply, in the background."""
    told: list[str] = []

    def as_shown() -> bool:
        printed, status = terminal.run(command)
        told.append(printed)
        ends_badly = any(line.startswith("error:") for line in expected.splitlines())
        return missing_part(expected, printed) == "" and (status != 0) == ends_badly

    try:
        until(as_shown, 10)
    except AssertionError:
        raise AssertionError(
            f"{command}\nis to print\n{expected}\nand prints\n{told[0]}\nat last\n{told[-1]}"
        ) from None


def legacy(method: str, **params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}


HELLO = legacy("initialize", protocolVersion="2025-11-25", capabilities={}, clientInfo={"name": "t", "version": "1"})
TWICE = b'{"jsonrpc":"2.0","id":1,"method":"ping","method":"ping"}'
SPECIAL: dict[str, dict[str, Any]] = {
    "the body is not JSON in UTF-8": {"content": b"\xff"},
    "an object has a key twice, or two that differ only in case": {"content": TWICE},
    "no session id on `/mcp`": {"json": legacy("tools/list")},
    "a session that never was, has ended, or is another's": {
        "json": legacy("ping"),
        "headers": {"mcp-session-id": "x"},
    },
    "no such server": {"json": HELLO, "path": "/mcp/nowhere"},
    "no such method, 2026-07-28": modern("tools/nothing"),
    "no such method, with session": {"json": legacy("tools/nothing"), "path": "/mcp/git"},
    "a parameter of the wrong type, 2026-07-28": modern("tools/list", cursor=1),
    "a parameter of the wrong type, with session": {"json": legacy("tools/list", cursor=1), "path": "/mcp/git"},
    "a `requestState` that is not good for this request, any more or at all; `inputResponses` of the wrong shape": modern(
        "tools/call",
        name="git__git_log",
        arguments={"repo_path": ".", "max_count": 1},
        inputResponses={},
        requestState="x",
    ),
    "a header contradicts the body": {"json": modern("tools/list")["json"], "headers": modern("tools/call")["headers"]},
    "a revision that is not served": {"json": legacy("ping"), "headers": {"mcp-protocol-version": "2099-01-01"}},
    "an unknown resource, 2026-07-28": modern("resources/read", uri="test://nothing"),
    "an unknown resource, with session": {"json": legacy("resources/read", uri="test://nothing"), "path": "/mcp/git"},
    "`Accept` lacks one of the two media types": {"json": HELLO, "headers": {"accept": "application/json"}},
    "`Content-Type` is not JSON": {"json": HELLO, "headers": {"content-type": "text/plain"}},
    "the body is too large": {"content": b" " * (10 * 1024 * 1024 + 1)},
    "nothing is at this path": {"json": HELLO, "path": "/mcp/git/more/still"},
}


@pytest.mark.parametrize("row", table("clients.md", "Errors", 1).rows, ids=lambda row: row[0])
def test_a_special_case_has_its_code_and_status(row: tuple[str, ...], house: House, key: str):
    case, code, status = row
    parts = dict(SPECIAL[case])
    with house.client(key) as client:
        answer = client.post(parts.pop("path", "/mcp"), **parts)
    told = answer.json().get("error", {}).get("code")
    assert (str(told), answer.status_code) == (code.strip("`"), int(status)), answer.text


def test_every_special_case_has_its_row():
    assert {case for case, _, _ in table("clients.md", "Errors", 1).rows} == set(SPECIAL)


def test_a_limited_client_is_told_when_to_come_back(house: House):
    with house.client(house.add_user("often@example.com", "user")) as client:
        answer = until(lambda: limited(client))
    error = answer.json()["error"]
    assert 0 < int(answer.headers["retry-after"]) <= 60
    assert error["data"]["retryAfter"] == int(answer.headers["retry-after"])
    assert error["code"] == -31029


def limited(client: httpx2.Client) -> httpx2.Response | None:
    answer = client.post("/mcp", **modern("tools/list"))
    return answer if answer.status_code == 429 else None


def test_denied_hidden_and_unknown_are_told_as_the_table_says(house: House, key: str):
    log = {"repo_path": ".", "max_count": 500}
    asked = [("git__git_log", log), ("git__git_reset", {"repo_path": "."}), ("git__nothing", {})]
    with house.client(key) as client:
        until(lambda: "git__git_log" in client.post("/mcp", **modern("tools/list")).text)
        listed = client.post("/mcp", **modern("tools/list")).text
        before = {entry.id for entry in house.entries()}
        answers = [result_of(client.post("/mcp", **modern("tools/call", name=n, arguments=a))) for n, a in asked]

    def written() -> list[AuditEntry] | None:
        found = [each for each in house.entries() if each.id not in before and each.method == "tools/call"]
        return found if len(found) == len(asked) else None

    entries = until(written)
    for row, (name, _), answer, entry in zip(
        table("security-teams.md", "Denied, hidden, unknown").by("case").values(), asked, answers, entries, strict=True
    ):
        assert (row["listed"] == "yes") == (f'"{name}"' in listed)
        assert row["audit `outcome`"] == f"`{entry.outcome}`"
        assert row["audit `allowed`"] == f"`{json.dumps(entry.allowed)}`"
        assert (row["audit `rule`"] == NONE) == (entry.rule == "")
        assert ("result" in answer) == ("isError" in row["answer to `tools/call`"])
    assert "denied by policy" in answers[0]["result"]["content"][0]["text"]
    assert [each["error"]["message"] for each in answers[1:]] == [f"unknown tool: `{name}`" for name, _ in asked[1:]]
