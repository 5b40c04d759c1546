"""``[mail]`` of ``ostiary.toml``: the server by which sign-in codes, welcomes and news of keys go out."""

from importlib.util import find_spec
from typing import Final

from connectors import addresses
from gateway.identity import normal_email
from gateway.settings.connectors import is_loopback
from gateway.settings.terms import MailSettings, Mode
from gateway.settings.upstreams import REFERENCE
from gateway.settings.values import References, Table

CLIENT: Final = "aiosmtplib"
"""What speaks SMTP; the extra ``mail`` installs it."""


def read_mail(top: Table, references: References, mode: Mode) -> MailSettings | None:
    """What ``[mail]`` says, ``None`` where there is none."""
    if not top.has("mail"):
        return None
    if (table := top.table("mail")).faulty:
        return None
    settings = MailSettings(
        host=table.parsed("host", _host, ""),
        port=table.integer("port", 587, 1, 65_535),
        sender=table.parsed("sender", normal_email, ""),
        user=table.text("user"),
        password=table.table("password", REFERENCE).reference(references) if table.has("password") else None,
        starttls=table.flag("starttls", True),
        send_keys=table.flag("send_keys", False),
    )
    for key in ("host", "sender"):
        if not table.has(key):
            table.problem(f"`mail` needs `{key}`")
    if table.has("user") != table.has("password"):
        table.problem("`user` and `password` go together", "user")
    if mode is Mode.PRODUCTION and not settings.starttls and not is_loopback(settings.host):
        table.problem("production hands mails in encrypted, for they hold codes; remove `starttls`", "starttls")
    if find_spec(CLIENT) is None:
        table.problem("mail needs the package `aiosmtplib`; run `pip install 'ostiary[mail]'`")
    table.close()
    return settings


def _host(text: str) -> str:
    if addresses.literal(text) is None and not addresses.is_name(text):
        raise ValueError(f"`{text}` is not a host")
    return text
