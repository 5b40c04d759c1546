"""Accounts on platforms that people connect: frozen records, no behaviour."""

from enum import StrEnum

import msgspec


class Status(StrEnum):
    """Where a connection stands. Only ``active`` serves calls."""

    ACTIVE = "active"
    NEEDS_REAUTH = "needs_reauth"
    REVOKED = "revoked"


class Connected(msgspec.Struct, frozen=True, kw_only=True):
    """One account of a platform that ``owner`` (a subject, or ``system``) connected; ``id`` is 24 hexadecimal digits.

    ``sealed`` is what the vault made of its credential. ``account`` is the platform's own id of the account, ``label``
    what people read. ``connected_at`` is when its owner connected it last, ``updated_at`` when its credential changed,
    ``expires_at`` when the access token ends (``None``: not told). ``leased_by`` renews it until
    ``leased_until``; after ``attempts`` failures nobody tries before ``retry_at``. ``reason`` says why it does not
    serve, one of a closed list.
    """

    id: str
    owner: str
    connector: str
    tenant: str = "main"
    status: Status = Status.ACTIVE
    reason: str = ""
    account: str = ""
    label: str = ""
    scopes: tuple[str, ...] = ()
    inputs: dict[str, str] = {}
    sealed: bytes = b""
    renewable: bool = False
    expires_at: int | None = None
    leased_by: str = ""
    leased_until: int = 0
    attempts: int = 0
    retry_at: int = 0
    created_at: int = 0
    connected_at: int = 0
    updated_at: int = 0
    used_at: int = 0
    rev: int = 0


class Stage(StrEnum):
    """Where a flow stands; the last four are its ends."""

    CREATED = "created"
    AUTHORIZING = "authorizing"
    PENDING = "pending_confirmation"
    ASKING = "other_account"
    DONE = "done"
    FAILED = "failed"
    DISCARDED = "discarded"
    EXPIRED = "expired"


class Flow(msgspec.Struct, frozen=True, kw_only=True):
    """An account of ``connector`` being connected for ``owner``, which ``by`` began and has to finish (``""``: that is
    the owner); ``id`` is public, 24 hexadecimal digits.

    ``link``, ``state`` and ``code`` are keyed hashes of what was handed out: to open the page, to the platform, to the
    host application; ``""`` once used or not made yet. ``browser`` is the keyed hash of the cookie of the browser that
    opened the page. ``sealed`` holds the PKCE verifier and whatever waits for a confirmation. ``back`` is where the
    browser goes at the end, ``""`` for our own page. ``reconnects`` is the connection that is made anew, ``result`` the
    one that was made, ``label`` what people read of the account that was found. ``reason`` is one of a closed list.
    ``domain`` is where the policy was asked whether he may.
    """

    id: str
    owner: str
    connector: str
    tenant: str = "main"
    domain: str = "main"
    by: str = ""
    binding: str
    stage: Stage = Stage.CREATED
    reason: str = ""
    link: str = ""
    state: str = ""
    code: str = ""
    browser: str = ""
    sealed: bytes = b""
    back: str = ""
    reconnects: str = ""
    result: str = ""
    label: str = ""
    scopes: tuple[str, ...] = ()
    inputs: dict[str, str] = {}
    client: str = ""
    created_at: int = 0
    expires_at: int = 0
    rev: int = 0


class Registration(msgspec.Struct, frozen=True, kw_only=True):
    """What an authorization server knows us as; ``id`` is made of its issuer and of what we registered for.
    ``sealed`` holds the client secret, if there is one. ``expires_at`` is ms since the epoch (``None``: never).
    """

    id: str
    issuer: str
    client_id: str
    redirect_uri: str
    sealed: bytes = b""
    created_at: int = 0
    expires_at: int | None = None
    rev: int = 0
