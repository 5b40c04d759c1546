"""``ostiary policy keygen``: a key to sign policies with."""

import os
from pathlib import Path

import click
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from gateway.cli.output import Failure, show_json
from gateway.cli.policy.asking import json_option
from gateway.policy.signature import public_text, read_private
from gateway.settings.values import read_secret


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@json_option
def keygen(*, file: Path, as_json: bool) -> None:
    """Write a new private key to FILE, for its owner alone, and print the public key for `trusted_keys`."""
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    try:
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise Failure(f"{file}: there is such a file already; a key is never written over another one") from None
    with os.fdopen(handle, "wb") as opened:
        opened.write(pem)
    if as_json:
        show_json({"file": str(file), "public": public_text(key)})
        return
    click.echo(public_text(key))


def private_key(file: Path) -> Ed25519PrivateKey:
    """The key that ``keygen`` wrote. Raises ``ValueError``, also when others than the owner can read the file."""
    pem = read_secret(file, str(file))
    try:
        return read_private(pem.reveal())
    except ValueError as error:
        raise Failure(f"`{file}` {error}") from None
