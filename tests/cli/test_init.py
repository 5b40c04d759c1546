"""``ostiary init``, from the sources and from a wheel."""

import os
import shutil
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

from gateway.settings import load

ROOT = Path(__file__).parents[2]


def test_a_new_folder_holds_the_samples_and_loads(site):
    target = site.root / "new" / "my place"
    told = site.fine("init", str(target))
    assert f"  cd '{target}'\n" in told
    assert "ostiary serve" in told
    for name in ("config/ostiary.toml", "config/upstreams.toml", "config/servers.toml", "policies/model.conf"):
        assert (target / name).read_bytes() == (ROOT / name).read_bytes()
    settings = load(target / "config", {})
    assert [upstream.id for upstream in settings.upstreams] == ["time", "git"]
    assert "valid" in site.fine("policy", "validate", str(target / "policies"))


def test_what_is_written_cannot_be_written_by_others_whatever_the_umask(site):
    old = os.umask(0)
    try:
        site.fine("init", str(site.root / "new"))
    finally:
        os.umask(old)
    written = [
        path
        for name in ("config", "policies")
        for path in [site.root / "new" / name, *(site.root / "new" / name).rglob("*")]
    ]
    assert len(written) >= 7
    assert not [path for path in written if stat.S_IMODE(path.stat().st_mode) & 0o022]


def test_a_folder_that_holds_something_is_left_alone(site):
    before = sorted(site.root.rglob("*"))
    assert "is not empty; choose a new folder" in site.wrong("init", str(site.root))
    assert sorted(site.root.rglob("*")) == before
    assert "is a file" in site.wrong("init", str(site.root / "config" / "ostiary.toml"), code=2)


def test_a_wheel_holds_the_samples(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    for name in ("gateway", "connectors", "config", "policies"):
        shutil.copytree(ROOT / name, source / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        (source / name).write_bytes((ROOT / name).read_bytes() if (ROOT / name).exists() else b"")
    build = "import setuptools.build_meta as build; print(build.build_wheel('dist'))"
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", build], cwd=source, check=True, capture_output=True, timeout=120
    )
    (wheel,) = (source / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        for name in ("config/ostiary.toml", "config/upstreams.toml", "policies/model.conf"):
            assert archive.read(f"gateway/samples/{name}") == (ROOT / name).read_bytes()
        packed = {
            name.removeprefix("gateway/samples/") for name in archive.namelist() if name.startswith("gateway/samples/")
        }
    kept = {
        str(path.relative_to(ROOT))
        for name in ("config", "policies")
        for path in (ROOT / name).rglob("*")
        if path.is_file()
    }
    assert packed == kept


def test_the_sample_policy_hides_one_tool_and_refuses_one_argument_of_the_sample_upstreams(site):
    site.fine("init", str(site.root / "new"))
    new = type(site)(site.root / "new")
    new.fine("users", "add", "ada@example.com", "--role", "admin")
    reset = new.json("policy", "explain", "user:ada@example.com", "git/git_reset", "write")
    assert (reset["allowed"], reset["reason"]) == (False, "denied")
    assert "policies/rules.csv:" in reset["rule"]
    assert new.json("policy", "explain", "user:ada@example.com", "git/git_add", "write")["allowed"]
    log = ("policy", "explain", "user:ada@example.com", "git/git_log", "read", "--arg")
    assert new.json(*log, "max_count=5")["allowed"]
    assert not new.json(*log, "max_count=5000")["allowed"]
    assert new.json("policy", "explain", "user:ada@example.com", "time/get_current_time", "read", "--domain", "git")[
        "allowed"
    ]
