"""The git commit of a folder: named where there is one, and nothing where there is none."""

import asyncio
import os
import subprocess

import pytest

from gateway.manage import commit as commit_module
from gateway.manage.commit import commit_of


def git(folder, *words):
    who = ("-c", "user.name=x", "-c", "user.email=x@example.com", "-c", "init.defaultBranch=main")
    return subprocess.run(["git", *who, *words], cwd=folder, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def folder(tmp_path):
    """A policy folder inside a work tree with one commit."""
    folder = tmp_path / "tree" / "policies"
    folder.mkdir(parents=True)
    (folder / "rules.csv").write_text("one\n")
    (folder.parent / "beside").write_text("one\n")
    git(folder.parent, "init", "--quiet")
    git(folder.parent, "add", ".")
    git(folder.parent, "commit", "--quiet", "--message", "first")
    return folder


async def test_a_clean_folder_shows_its_commit(folder):
    commit = git(folder, "rev-parse", "HEAD").strip()
    assert len(commit) == 40
    assert await commit_of(folder) == commit
    (folder.parent / "beside").write_text("two\n")
    assert await commit_of(folder) == commit, "what stands beside the folder is not the policy"


@pytest.mark.parametrize("change", ["edit", "add", "remove"])
async def test_a_folder_that_differs_from_its_commit_is_marked(folder, change):
    commit = git(folder, "rev-parse", "HEAD").strip()
    if change == "edit":
        (folder / "rules.csv").write_text("two\n")
    elif change == "add":
        (folder / "more.csv").write_text("two\n")
    else:
        (folder / "rules.csv").unlink()
    assert await commit_of(folder) == f"{commit}-dirty"


async def test_a_folder_outside_git_and_a_tree_without_commits_have_none(tmp_path):
    assert await commit_of(tmp_path) == ""
    assert await commit_of(tmp_path / "missing") == ""
    git(tmp_path, "init", "--quiet")
    assert await commit_of(tmp_path) == ""


async def test_without_git_there_is_no_commit(folder, monkeypatch):
    monkeypatch.setenv("PATH", str(folder))
    assert await commit_of(folder) == ""


async def test_a_git_that_hangs_is_ended(folder, monkeypatch, tmp_path):
    bin = tmp_path / "bin"
    bin.mkdir()
    (bin / "git").write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\nexec sleep 60\n")
    (bin / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{bin}:{os.environ['PATH']}")
    monkeypatch.setattr(commit_module, "PATIENCE_S", 0.3)
    async with asyncio.timeout(20):
        assert await commit_of(folder) == ""
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


async def test_the_callers_own_git_settings_do_not_name_another_tree(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    assert (
        await commit_of(folder)
        == subprocess.run(
            ["git", "rev-parse", "HEAD"],
            cwd=folder,
            env={name: value for name, value in os.environ.items() if name != "GIT_DIR"},
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()
    )


async def test_no_program_that_a_repository_names_is_started(folder, tmp_path):
    ran = tmp_path / "ran"
    (folder.parent / ".git" / "info").mkdir(exist_ok=True)
    (folder.parent / ".git" / "info" / "attributes").write_text("* filter=evil diff=evil\n")
    for key in (
        "filter.evil.clean",
        "filter.evil.smudge",
        "filter.evil.process",
        "diff.evil.command",
        "core.fsmonitor",
    ):
        git(folder, "config", key, f"touch {ran}; cat")
    (folder / "rules.csv").write_text("two\n")
    assert (await commit_of(folder)).endswith("-dirty")
    assert not ran.exists()


async def test_what_is_no_file_of_the_policy_makes_no_difference(folder):
    (folder / "rules.csv~").write_text("two\n")
    (folder / ".swp").write_text("two\n")
    assert await commit_of(folder) == git(folder, "rev-parse", "HEAD").strip()
