"""``ostiary``: thin commands over the functions that everything else uses.

Exit codes: 0 fine, 1 something is wrong, 2 the command line itself is wrong.
"""

import os
from importlib import import_module
from pathlib import Path
from typing import Final

import click

from gateway.cli.operation import Given
from gateway.cli.output import Failure, failed
from gateway.settings import SettingsError
from gateway.store.base import Conflict, NotFound, Unavailable

MODULES: Final = (
    "serve",
    "init",
    "users",
    "keys",
    "servers",
    "upstreams",
    "connectors",
    "connections",
    "vault",
    "audit",
    "store",
    "import",
    "policy",
)
"""Each holds the command of its name. They are loaded when asked for: a small one need not wait for the web server."""

ELSEWHERE: Final = {"import": ("importing", "import_")}
"""Module and name of a command that Python cannot call so."""

EXPECTED: Final = (ValueError, OSError, ImportError, Conflict, NotFound, Unavailable)
"""Their texts are written for the operator."""


class Clean(click.Group):
    """Turns whatever goes wrong into one clean line; ``OSTIARY_TRACE=1`` shows where a fault of ours came from."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except SettingsError as wrong:
            raise failed(wrong.problems, "the settings cannot be used") from None
        except (click.ClickException, click.Abort, click.exceptions.Exit):
            raise
        except Exception as fault:
            if os.environ.get("OSTIARY_TRACE"):
                raise
            if isinstance(fault, EXPECTED):
                raise Failure(str(fault)) from None
            told = f"a fault of ours ({type(fault).__name__}: {fault}); OSTIARY_TRACE=1 shows where"
            raise Failure(told) from None


class Commands(Clean):
    """The group whose commands are ``MODULES``."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(MODULES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in MODULES:
            return None
        module, name = ELSEWHERE.get(cmd_name, (cmd_name, cmd_name))
        command: click.Command = getattr(import_module(f"gateway.cli.{module}"), name)
        return command


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="ostiary", prog_name="ostiary")
@click.option(
    "--config",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="OSTIARY_CONFIG",
    default="config",
    show_default=True,
    help="The folder of ostiary.toml, upstreams.toml and servers.toml.",
)
@click.pass_context
def main(ctx: click.Context, config: Path) -> None:
    """An MCP gateway in which one policy decides everything."""
    ctx.obj = Given(config, os.environ)
