"""``ostiary policy inventory``: what the servers offer, as a file for the commands that take ``--tools``."""

import asyncio

import click

from gateway.cli.inventory import LIVE, things_of, written
from gateway.cli.operation import Given


@click.command()
@click.pass_obj
def inventory(given: Given) -> None:
    """Write what the upstreams offer now to standard output, as JSON, for `--tools FILE` where they cannot be asked."""
    click.echo(written(asyncio.run(things_of(given.settings(), LIVE))).decode())
