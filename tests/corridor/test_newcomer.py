"""The sample configuration and policy as a newcomer meets them: two real servers, one hidden tool, one refused argument."""

import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.corridor.house import ROOT, House, free_port, modern, result_of, running, until
from tests.documents import CURL


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """The folder that a clone is: sample config and policies, the sample upstreams, a git repository."""
    folder = tmp_path_factory.mktemp("sample")
    folder.chmod(0o700)
    for name in ("config", "policies"):
        shutil.copytree(ROOT / name, folder / name)
    for path in folder.rglob("*"):
        path.chmod(0o700 if path.is_dir() else 0o600)
    (folder / ".envs").symlink_to(ROOT / ".envs")
    (folder / "README.md").write_text("sample\n")
    for words in (
        ["init", "-q"],
        ["add", "README.md"],
        ["-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "-qm", "first"],
    ):
        subprocess.run(["git", *words], cwd=folder, check=True)
    with running(House(folder, free_port(), str(folder / "var" / "ostiary.db"))) as house:
        yield house


@pytest.fixture(scope="module")
def admin_key(sample: House) -> str:
    found = until(lambda: re.search(r"ost_[A-Za-z0-9_-]{43}", sample.log))
    return found.group(0)


def call(house: House, key: str, name: str, **arguments: Any) -> Any:
    with house.client(key) as client:
        return result_of(client.post("/mcp", **modern("tools/call", name=name, arguments=arguments)))


def tools(house: House, key: str) -> set[str]:
    with house.client(key) as client:
        return {tool["name"] for tool in result_of(client.post("/mcp", **modern("tools/list")))["result"]["tools"]}


def test_the_banner_gives_the_key_once_and_a_configuration_that_works(sample: House, admin_key: str):
    assert "admin@example.com" in sample.log
    blocks = re.findall(r"^\{\n.*?^\}", sample.log, re.DOTALL | re.MULTILINE)
    server = next(iter(json.loads(blocks[0])["mcpServers"].values()))
    assert server["url"] == f"{sample.url}/mcp"
    assert admin_key in server["headers"].values() or f"Bearer {admin_key}" in server["headers"].values()
    line = next(line for line in sample.log.replace("\\\n", " ").splitlines() if line.strip().startswith("curl "))

    curl, *words = shlex.split(line)
    program = [curl] if shutil.which(curl) else [sys.executable, str(CURL)]

    def listed() -> bool:
        done = subprocess.run([*program, *words], capture_output=True, text=True, timeout=30)
        return "time__get_current_time" in done.stdout

    until(listed, 30)


def test_two_real_servers_are_listed_and_called(sample: House, admin_key: str):
    until(lambda: {"time__get_current_time", "git__git_log"} <= tools(sample, admin_key))
    now = call(sample, admin_key, "time__get_current_time", timezone="Europe/Paris")
    assert "Europe/Paris" in now["result"]["content"][0]["text"]
    log = call(sample, admin_key, "git__git_log", repo_path=str(sample.folder), max_count=5)
    assert "first" in log["result"]["content"][0]["text"]


def test_one_tool_is_hidden_and_one_argument_is_refused_by_a_rule_with_its_place(sample: House, admin_key: str):
    until(lambda: "git__git_log" in tools(sample, admin_key))
    assert "git__git_reset" not in tools(sample, admin_key)
    assert call(sample, admin_key, "git__git_reset", repo_path=".")["error"]["code"] == -32602
    user = sample.add_user("user@example.com", "user")
    until(lambda: "git__git_log" in tools(sample, user))
    refused = call(sample, user, "git__git_log", repo_path=str(sample.folder), max_count=5_000)["result"]
    assert refused["isError"] is True
    assert ".csv" not in refused["content"][0]["text"]


def test_the_bare_server_of_the_sample_offers_git_under_its_own_names(sample: House, admin_key: str):
    with sample.client(admin_key) as client:
        answer = until(lambda: result_of(client.post("/mcp/git", **modern("tools/list")))["result"]["tools"])
        assert "git_log" in {tool["name"] for tool in answer}


def test_init_writes_a_folder_that_starts(tmp_path: Path):
    folder = tmp_path / "fresh"
    house = House(folder, free_port(), str(folder / "var" / "ostiary.db"))
    house.cli("init", str(folder))
    assert (folder / "policies" / "model.conf").exists()
    with running(house):
        assert "ost_" in house.log
