"""Accounts, their keys and their sign-ins, and end users of tenants: frozen records, no behaviour."""

import msgspec


class User(msgspec.Struct, frozen=True, kw_only=True):
    """An account of the gateway; ``id`` is the e-mail address, lower case and NFC. ``hidden`` are the tools that his
    lists leave out, as ``creator:name``: how he wants to see them, not what he may. Sign-ins from before ``reset_at``
    have ended.
    """

    id: str
    name: str = ""
    hidden: tuple[str, ...] = ()
    created_at: int = 0
    reset_at: int = 0
    rev: int = 0


class ApiKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key that proves ``user``; ``id`` is the keyed hash, ``secret_id`` names the secret it was keyed with. It counts
    on the ``servers`` alone that it names, where it names any.
    """

    id: str
    secret_id: str
    user: str
    prefix: str
    name: str = ""
    servers: tuple[str, ...] = ()
    created_at: int = 0
    expires_at: int | None = None
    rev: int = 0


class SignIn(msgspec.Struct, frozen=True, kw_only=True):
    """A browser in which ``subject`` signed in; ``id`` is the keyed hash of its cookie, ``how`` one of ``key``,
    ``mail``, ``oidc``. ``key`` is the credential of the API key that was typed, ``""`` where none was.
    """

    id: str
    subject: str
    how: str
    key: str = ""
    created_at: int = 0
    expires_at: int = 0
    rev: int = 0


class MailedCode(msgspec.Struct, frozen=True, kw_only=True):
    """A code that was mailed to ``subject`` (``""``: nobody has that address); ``id`` is the keyed hash of the cookie
    of the browser that asked for it, ``code`` that of the code, ``tries`` how many wrong ones were typed.
    """

    id: str
    subject: str
    code: str
    tries: int = 0
    created_at: int = 0
    expires_at: int = 0
    rev: int = 0


class EndUser(msgspec.Struct, frozen=True, kw_only=True):
    """An end user of ``tenant`` (a ``user:``), who knows him as ``username``; ``id`` is ``TENANT/ID``. He is no account
    of the gateway.
    """

    id: str
    tenant: str
    username: str
    full_name: str = ""
    created_at: int = 0
    rev: int = 0
