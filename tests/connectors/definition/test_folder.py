"""Definitions come from folders: the operator's before the shipped ones, and a slip hides nothing behind it."""

from connectors.definition.folder import SHIPPED, read_folders
from tests.connectors.definition.test_meaning import SMALL


def put(folder, name, text):
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")
    return folder


def test_every_file_of_every_folder_is_read_by_its_id(tmp_path):
    first = put(tmp_path / "a", "small.yaml", SMALL)
    second = put(tmp_path / "b", "other.yaml", SMALL.replace("id: small", "id: other"))
    found = read_folders([first, second])
    assert (set(found.by_id), found.problems) == ({"small", "other"}, ())


def test_a_later_folder_counts_before_an_earlier_one(tmp_path):
    first = put(tmp_path / "a", "small.yaml", SMALL)
    second = put(tmp_path / "b", "small.yaml", SMALL.replace("title: Small", "title: Mine"))
    assert read_folders([first, second]).by_id["small"].title == "Mine"
    assert read_folders([second, first]).by_id["small"].title == "Small"


def test_a_file_with_a_slip_never_brings_the_earlier_one_back(tmp_path):
    first = put(tmp_path / "a", "small.yaml", SMALL)
    second = put(tmp_path / "b", "small.yaml", SMALL.replace("title:", "titel:"))
    found = read_folders([first, second])
    assert found.by_id == {}
    assert any(str(each).startswith("b/small.yaml:2: `titel`") for each in found.problems)


def test_a_file_is_named_like_its_definition(tmp_path):
    folder = put(tmp_path / "a", "slack.yaml", SMALL)
    put(folder, "small.yml", SMALL)
    put(folder, ".small.yaml.swp", "garbage")
    put(folder, "notes.txt", "garbage")
    found = read_folders([folder])
    assert found.by_id == {}
    assert sorted(map(str, found.problems)) == [
        "a/slack.yaml: holds `small`; name the file `small.yaml`",
        "a/small.yml: holds `small`; name the file `small.yaml`",
    ]


def test_what_cannot_be_read_is_told(tmp_path):
    folder = put(tmp_path / "a", "small.yaml", SMALL)
    (folder / "bad.yaml").write_bytes(b"\xff\xfe\xff")
    (folder / "dir.yaml").mkdir()
    (folder / "huge.yaml").write_bytes(b"#" * (16 * 2**20 + 1))
    found = read_folders([folder, tmp_path / "missing"])
    assert set(found.by_id) == {"small"}
    assert sorted(map(str, found.problems)) == [
        "a/bad.yaml: is not UTF-8 text",
        "a/dir.yaml: cannot be read: is a directory",
        "a/huge.yaml: the file has more than 4194304 characters; split it",
        "missing: cannot be read: no such file or directory",
    ]


def test_the_shipped_folder_has_no_problem():
    found = read_folders([SHIPPED])
    assert found.problems == ()
    assert {"github", "slack"} <= set(found.by_id)
