"""``ostiary serve``: the first words, the first account, and then the gateway until it is told to stop."""

import asyncio
import gc
import logging
import os
import socket
import sys
from pathlib import Path
from typing import Final

import click

from gateway.app import Gateway
from gateway.cli.banner import known_accounts, new_admin
from gateway.cli.operation import Given, operation
from gateway.cli.output import Failure
from gateway.cli.running import allow_many_files, leave_no_core, listen, run
from gateway.letters import log_key
from gateway.manage.users import bootstrap_admin
from gateway.settings import Settings

LOG_FORMAT: Final = "%(asctime)s %(levelname)s %(name)s: %(message)s"


@click.command()
@click.pass_obj
def serve(given: Given) -> None:
    """Run the gateway until SIGTERM or Ctrl-C; the first start creates the administrator."""
    settings = given.settings()
    allow_many_files()
    leave_no_core()
    with _listen(settings) as listening:
        logging.basicConfig(level=logging.INFO, stream=sys.stderr, format=LOG_FORMAT)
        for note in (*settings.notes, *missing_commands(settings)):
            click.echo(note, err=True)
        aside = settings.audit.jsonl == "stdout"  # standard output is for audit entries alone
        asyncio.run(_serve(settings, listening, aside=aside))


async def _serve(settings: Settings, listening: socket.socket, *, aside: bool) -> None:
    email = settings.admin_email
    async with operation(settings, "users.bootstrap", "gateway/users", "manage", email=email) as desk:
        issued = await bootstrap_admin(desk.store, desk.ring, email, now=desk.now)
        click.echo(known_accounts(settings) if issued is None else new_admin(settings, issued), err=aside)
        if issued is not None and settings.log_new_keys:
            log_key(issued)
    gateway = Gateway(settings)
    gc.collect()
    gc.freeze()  # all that was imported stays, and no collection beside a call has to look into it again
    await run(gateway, listening, said=f"listening on {settings.bind}")


def _listen(settings: Settings) -> socket.socket:
    """The bound socket, before anything else is done: a port in use must not cost the only sight of a key."""
    try:
        return listen(settings.host, settings.port)
    except OSError as error:
        raise Failure(f"cannot listen on {settings.bind}: {(error.strerror or str(error)).lower()}") from None


def missing_commands(settings: Settings) -> list[str]:
    """A sentence for each upstream whose program is not there."""
    return [
        f"upstream `{spec.id}`: there is no `{os.path.relpath(spec.command[0], settings.root)}`; "
        "`make run` and the steps of `ostiary init` install the sample upstreams"
        for spec in settings.upstreams
        if spec.command and "/" in spec.command[0] and not Path(spec.command[0]).exists()
    ]
