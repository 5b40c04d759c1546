"""``ostiary serve``: the first words, the first account, and then the gateway until it is told to stop."""

import asyncio
import gc
import logging
import os
import signal
import socket
import sys
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import click

from gateway.app import Gateway
from gateway.cli.banner import known_accounts, new_admin
from gateway.cli.operation import Given, operation
from gateway.cli.output import Failure
from gateway.cli.running import Leaving, allow_many_files, leave_no_core, listen, run
from gateway.cli.workers import ORDERS, Node, Orders, listen_afar, new_node, node_of
from gateway.letters import log_key
from gateway.manage.users import bootstrap_admin
from gateway.settings import Mode, Settings
from gateway.workers.places import Post

LOG_FORMAT: Final = "%(asctime)s %(levelname)s %(name)s: %(message)s"


@click.command()
@click.option("--workers", type=click.IntRange(1, 64), help="How many processes serve (`[server] workers` otherwise).")
@click.pass_obj
def serve(given: Given, workers: int | None) -> None:
    """Run the gateway until SIGTERM or Ctrl-C; the first start creates the administrator. Several workers are renewed
    one after the other by SIGHUP.
    """
    settings = given.settings()
    allow_many_files()
    leave_no_core()
    if (orders := given.environ.get(ORDERS)) is not None:
        logging.basicConfig(level=logging.INFO, stream=sys.stderr, format=LOG_FORMAT)
        asyncio.run(_work(settings, Orders.read(orders)))
        return
    count = settings.workers if workers is None else workers
    if count > 1 and settings.mode is Mode.DEVELOPMENT:
        raise Failure(
            f"{count} workers: in development one process watches the policy folder; "
            "set `mode` to `production`, or have one worker"
        )
    with ExitStack() as opened:
        if count > 1:
            node = node_of(settings, given.config, given.environ, count, opened)
            _say_first(settings)
            asyncio.run(_serve_many(settings, node, count))
            return
        listening = opened.enter_context(_listen(settings))
        post = _own_post(settings, opened)
        _say_first(settings)
        asyncio.run(_serve(settings, listening, post))


def _say_first(settings: Settings) -> None:
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format=LOG_FORMAT)
    for note in (*settings.notes, *missing_commands(settings)):
        click.echo(note, err=True)


def _own_post(settings: Settings, opened: ExitStack) -> Post | None:
    """What the only worker of a node needs, where there are other nodes."""
    if (afar := listen_afar(settings, opened)) is None:
        return None
    folder = Path(opened.enter_context(TemporaryDirectory(prefix="ostiary-")))
    return Post.of(new_node(), 0, folder, afar=afar, address=settings.node.address)


async def _serve_many(settings: Settings, node: Node, count: int) -> None:
    await _bootstrap(settings)
    await node.serve(count)


async def _work(settings: Settings, orders: Orders) -> None:
    """Serve as one of several."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    gateway = Gateway(settings, orders.post())
    gc.collect()
    gc.freeze()
    listening = socket.socket(fileno=orders.listening)
    said = f"worker {orders.index}: listening on {settings.bind}"
    await run(gateway, listening, said=said, leaving=Leaving(orders.tell_ready, orders.parent))


async def _serve(settings: Settings, listening: socket.socket, post: Post | None) -> None:
    await _bootstrap(settings)
    gateway = Gateway(settings, post)
    gc.collect()
    gc.freeze()  # all that was imported stays, and no collection beside a call has to look into it again
    await run(gateway, listening, said=f"listening on {settings.bind}")


async def _bootstrap(settings: Settings) -> None:
    """The first account, before anything is served."""
    aside = settings.audit.jsonl == "stdout"  # standard output is for audit entries alone
    email = settings.admin_email
    async with operation(settings, "users.bootstrap", "gateway/users", "manage", email=email) as desk:
        issued = await bootstrap_admin(desk.store, desk.ring, email, now=desk.now)
        click.echo(known_accounts(settings) if issued is None else new_admin(settings, issued), err=aside)
        if issued is not None and settings.log_new_keys:
            log_key(issued)


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
