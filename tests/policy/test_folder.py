"""A folder of files becomes a policy, unless others could have written it."""

import os
from pathlib import Path

import pytest

from gateway.policy import folder as folder_module
from gateway.policy.bundle import Bundle
from gateway.policy.folder import fingerprint, read_folder
from gateway.policy.terms import Place
from tests.policy.builders import MODEL

ROW = "p, *, *, *, a/*, read, , deny\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "policies"
    path.mkdir(mode=0o755)
    write(path / "model.conf", MODEL)
    write(path / "rules.csv", ROW)
    return path


def write(path: Path, text: str | bytes) -> None:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    path.chmod(0o644)


def told(path: Path) -> list[str]:
    found = read_folder(path)
    assert isinstance(found, list)
    return [str(problem) for problem in found]


def test_all_files_of_a_folder_make_one_policy(folder):
    write(folder / "roles.csv", "g, role:a, role:b, main")
    write(folder / "limits.toml", "[[class]]\nname = 'x'\ncalls = 1\nwindow_s = 1")
    write(folder / "README.md", "words")
    write(folder / ".hidden.csv", "nonsense")
    write(folder / "rules.csv~", "nonsense")
    found = read_folder(folder)
    assert isinstance(found, Bundle)
    assert found.cases == {}
    assert found.rules[0].place == Place("policies/rules.csv", 1)
    assert (len(found.links), len(found.limits.classes)) == (1, 1)


@pytest.mark.parametrize("mode", [0o664, 0o646, 0o666])
def test_a_file_that_others_can_write_is_refused(folder, mode):
    (folder / "rules.csv").chmod(mode)
    assert told(folder) == [
        "policies/rules.csv: others can write this file and so decide everything; run `chmod go-w` on it"
    ]


@pytest.mark.parametrize("mode", [0o775, 0o757])
def test_a_folder_that_others_can_write_is_refused(folder, mode):
    folder.chmod(mode)
    assert told(folder) == ["policies: others can write this folder and so decide everything; run `chmod go-w` on it"]


@pytest.fixture
def tests(folder: Path) -> Path:
    path = folder / "tests"
    path.mkdir(mode=0o755)
    write(path / "one.yaml", "cases: []")
    return path


def test_the_tests_of_a_policy_are_kept_as_they_are_written(folder, tests):
    write(tests / "two.yaml", "ü: [")
    write(tests / "README.md", "words")
    write(tests / ".hidden", "words")
    found = read_folder(folder)
    assert isinstance(found, Bundle)
    assert found.cases == {"policies/tests/one.yaml": "cases: []", "policies/tests/two.yaml": "ü: ["}
    assert len(found.rules) == 1


@pytest.mark.parametrize("name", ["two.yml", "rules.csv", "model.conf", "two.yaml.bak", "deeper"])
def test_what_is_no_test_among_the_tests_is_a_problem(folder, tests, name):
    write(tests / name, "cases: []")
    assert told(folder) == [f"policies/tests/{name}: this is none of the policy's own tests; they are `tests/*.yaml`"]


def test_the_tests_are_as_well_guarded_as_the_rows(folder, tests, tmp_path, monkeypatch):
    (tests / "one.yaml").chmod(0o666)
    write(tests / "bytes.yaml", b"\xff")
    write(tmp_path / "elsewhere.yaml", "")
    (tests / "link.yaml").symlink_to(tmp_path / "elsewhere.yaml")
    (tests / "folder.yaml").mkdir()
    assert told(folder) == [
        "policies/tests/bytes.yaml: the file is not UTF-8: see byte 1",
        "policies/tests/folder.yaml: the file cannot be read: is a directory",
        "policies/tests/link.yaml: this is a link out of the folder; put the file itself here",
        "policies/tests/one.yaml: others can write this file and so decide everything; run `chmod go-w` on it",
    ]


def test_tests_in_a_folder_that_others_can_write_are_refused(folder, tests):
    tests.chmod(0o777)
    assert told(folder) == [
        "policies/tests: others can write this folder and so decide everything; run `chmod go-w` on it"
    ]


def test_tests_that_lie_elsewhere_or_are_a_file_are_a_problem(folder, tests, tmp_path):
    expected = ["policies/tests: this is not a folder; the policy's own tests stand in it"]
    tests.rename(tmp_path / "elsewhere")
    tests.symlink_to(tmp_path / "elsewhere")
    assert told(folder) == expected
    tests.unlink()
    write(tests, "cases: []")
    assert told(folder) == expected


def test_a_link_out_of_the_folder_is_refused_and_one_within_is_followed(folder, tmp_path):
    write(tmp_path / "elsewhere.csv", ROW)
    (folder / "more.csv").symlink_to(tmp_path / "elsewhere.csv")
    assert told(folder) == ["policies/more.csv: this is a link out of the folder; put the file itself here"]
    (folder / "more.csv").unlink()
    write(folder / ".current", ROW)
    (folder / "more.csv").symlink_to(folder / ".current")
    assert len(read_folder(folder).rules) == 2


def test_a_dangling_link_is_a_problem(folder):
    (folder / "more.csv").symlink_to(folder / "gone")
    assert told(folder) == ["policies/more.csv: the file cannot be read: no such file or directory"]


@pytest.mark.parametrize("name", ["rules.CSV", "rules.txt", "rules.csv.bak", "more"])
def test_a_file_that_would_be_missed_is_a_problem(folder, name):
    write(folder / name, ROW)
    assert told(folder)[0].startswith(f"policies/{name}: a policy has no such file; it has `model.conf`")


def test_a_folder_or_a_pipe_in_place_of_a_file_is_a_problem(folder):
    (folder / "more.csv").mkdir()
    os.mkfifo(folder / "pipe.csv")
    assert told(folder) == [
        "policies/more.csv: the file cannot be read: is a directory",
        "policies/pipe.csv: this is not a plain file",
    ]


def test_other_bytes_than_utf8_are_a_problem(folder):
    write(folder / "rules.csv", ROW.encode() + b"\xff")
    assert told(folder) == ["policies/rules.csv: the file is not UTF-8: see byte 31"]


def test_a_huge_file_is_a_problem(folder, monkeypatch):
    monkeypatch.setattr(folder_module, "LARGEST", 10)
    assert told(folder)[0] == "policies/model.conf: the file is larger than 10 bytes"


def test_a_missing_folder_is_a_problem(tmp_path):
    assert told(tmp_path / "none") == [f"{tmp_path / 'none'}: the folder cannot be read: no such file or directory"]
    assert fingerprint(tmp_path / "none") == ""


def test_problems_of_files_and_of_rows_are_told_together(folder):
    write(folder / "bad.csv", "x")
    (folder / "rules.csv").chmod(0o666)
    assert [each.partition(": ")[0] for each in told(folder)] == ["policies/rules.csv", "policies/bad.csv:1"]


def test_a_fingerprint_changes_with_every_change(folder):
    seen = [fingerprint(folder)]
    assert fingerprint(folder) == seen[0]

    def changed() -> bool:
        seen.append(fingerprint(folder))
        return seen[-1] not in seen[:-1]

    write(folder / "rules.csv", ROW + ROW)
    assert changed()
    write(folder / "new.csv", "")
    assert changed()
    (folder / "new.csv").chmod(0o666)
    assert changed()
    os.utime(folder / "rules.csv", ns=(1, 1))
    assert changed()
    (folder / "tests").mkdir()
    assert changed()
    write(folder / "tests" / "one.yaml", "")
    assert changed()
    write(folder / "tests" / "one.yaml", "more")
    assert changed()
    (folder / "tests").chmod(0o777)
    assert changed()
    write(folder / ".hidden", "")
    assert not changed()
