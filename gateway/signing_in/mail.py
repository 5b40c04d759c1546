"""The mail by which somebody signs in: a code, good once. How a mail is handed in is not known here."""

from collections.abc import Awaitable, Callable
from email.message import EmailMessage
from typing import TypeAlias

from connectors.base import Secret
from gateway.mail import Post, letter

PostCode: TypeAlias = Callable[[str, Secret], Awaitable[None]]
"""Mails a code to an address. Raises ``NotMailed``."""


def post_code(post: Post, sender: str, name: str) -> PostCode:
    """What mails the codes of the gateway ``name``."""

    async def send(to: str, code: Secret) -> None:
        await post(code_mail(sender, to, code, name))

    return send


def code_mail(sender: str, to: str, code: Secret, name: str) -> EmailMessage:
    """The mail with a code. The code stands in the text alone: subjects are shown on locked screens."""
    digits = code.reveal()
    half = len(digits) // 2
    return letter(
        sender,
        to,
        f"Your code for {name}",
        f"Your code to sign in to {name}:\n\n    {digits[:half]} {digits[half:]}\n\n"
        "It holds for ten minutes, only in the browser that asked for it, and only once.\n"
        "Nobody will ever ask you for it. If you did not ask for it, somebody typed your\n"
        "address by mistake; without this code he gets no further.\n",
    )
