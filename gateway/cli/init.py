"""``ostiary init``: a new folder with commented settings and a sample policy."""

import shlex
from importlib.abc import Traversable
from importlib.resources import files
from pathlib import Path
from typing import Final

import click

from gateway.cli.output import Failure

SAMPLES: Final = ("config", "policies")


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
def init(folder: Path) -> None:
    """Write commented sample settings and a sample policy into the new or empty folder DIR."""
    if folder.exists() and any(folder.iterdir()):
        raise Failure(f"`{folder}` is not empty; choose a new folder")
    folder.mkdir(parents=True, exist_ok=True)
    for name in SAMPLES:
        _copy(files("gateway") / "samples" / name, folder / name)
    click.echo(f"{folder}: settings in config/, a policy in policies/\n\nNext:\n\n  cd {shlex.quote(str(folder))}")
    click.echo("  python3 -m venv .envs/upstreams")
    click.echo("  .envs/upstreams/bin/pip install -r config/upstreams-requirements.txt")
    click.echo("  ostiary serve")


def _copy(source: Traversable, target: Path) -> None:
    """Copy a tree with modes of its own: a policy that others can write would be refused."""
    if source.is_dir():
        target.mkdir()
        target.chmod(0o755)
        for entry in source.iterdir():
            _copy(entry, target / entry.name)
        return
    target.write_bytes(source.read_bytes())
    target.chmod(0o644)
