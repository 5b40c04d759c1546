"""What the store keeps about people, keys, grants, policies, pins, connections and what users made: frozen records,
no behaviour.

``rev`` is the number that compare-and-set checks (0 = never stored); ``at`` values and expiries
are milliseconds since the epoch. Nothing here holds a readable secret.
"""

from enum import StrEnum
from typing import Any

import msgspec


class User(msgspec.Struct, frozen=True, kw_only=True):
    """An account of the gateway; ``id`` is the e-mail address, lower case and NFC. ``hidden`` are the tools that his
    lists leave out, as ``creator:name``: how he wants to see them, not what he may.
    """

    id: str
    name: str = ""
    hidden: tuple[str, ...] = ()
    created_at: int = 0
    rev: int = 0


class ApiKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key that proves ``user``; ``id`` is the keyed hash, ``secret_id`` names the secret it was keyed with."""

    id: str
    secret_id: str
    user: str
    prefix: str
    name: str = ""
    created_at: int = 0
    expires_at: int | None = None
    rev: int = 0


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """A row made at run time: ``row`` is a ``p`` row (7 fields) or a ``g`` row (3 fields), without its type."""

    id: str
    kind: str
    row: tuple[str, ...]
    made_by: str
    created_at: int = 0
    expires_at: int | None = None
    note: str = ""
    rev: int = 0


class CaseCounts(msgspec.Struct, frozen=True, kw_only=True):
    """How the policy's own tests ended when it came into force; ``covered`` of its ``rows`` were reached by one."""

    passed: int
    failed: int
    covered: int
    rows: int


class RightsChange(msgspec.Struct, frozen=True, kw_only=True):
    """How far rights changed when it came into force: how many were ``widened`` and ``narrowed``, of how many users."""

    widened: int
    narrowed: int
    users: int


class PolicyHead(msgspec.Struct, frozen=True, kw_only=True):
    """Which bundle decides: ``version`` counts the moves of the head from 1.

    ``commit`` is that of the folder it was read from (``-dirty`` behind it when the folder differed), ``signature``
    what an operator's key says of ``bundle``; ``tests`` and ``plan`` are ``None`` where nobody looked.
    """

    version: int
    bundle: str
    author: str
    at: int
    why: str = ""
    commit: str = ""
    tests: CaseCounts | None = None
    plan: RightsChange | None = None
    signature: str = ""


class ShadowHead(msgspec.Struct, frozen=True, kw_only=True):
    """Which bundle is asked beside the one that decides, without any effect (``""``: none); ``mark`` counts how often
    that was set.
    """

    mark: int = 0
    bundle: str = ""
    author: str = ""
    at: int = 0
    why: str = ""


class Approved(msgspec.Struct, frozen=True, array_like=True):
    """The definition of one tool that may be shown and called, by its digest; ``by`` whom, and when."""

    digest: str
    at: int
    by: str


class Waiting(msgspec.Struct, frozen=True, array_like=True):
    """Another definition that a server gave a tool last, and when that was first seen."""

    digest: str
    at: int


class Pins(msgspec.Struct, frozen=True, kw_only=True):
    """What is approved of one upstream (``id``), by the names of its tools, and what waits for approval.

    ``definitions`` holds the definitions of all these digests, packed.
    """

    id: str
    tools: dict[str, Approved] = {}
    waiting: dict[str, Waiting] = {}
    definitions: bytes = b""
    rev: int = 0


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


class Handler(msgspec.Struct, frozen=True, kw_only=True):
    """What a tool made at run time calls: ``type`` is ``http``, ``connector``, ``upstream`` or a handler package;
    ``config`` says what of it, and with which arguments.
    """

    type: str
    config: dict[str, Any] = {}


class CustomTool(msgspec.Struct, frozen=True, kw_only=True):
    """A tool that ``owner`` (a subject, or ``system``) made at run time; ``id`` is ``OWNER/NAME``. Who else may use it
    is a matter of grants. ``by`` changed it last.
    """

    id: str
    owner: str
    name: str
    title: str = ""
    description: str = ""
    schema: dict[str, Any]
    annotations: dict[str, Any] = {}
    handler: Handler
    always_visible: bool = False
    by: str = ""
    created_at: int = 0
    updated_at: int = 0
    rev: int = 0


class PromptArgument(msgspec.Struct, frozen=True, kw_only=True):
    """What a prompt can be given, always a text."""

    name: str
    description: str = ""
    required: bool = False


class PromptMessage(msgspec.Struct, frozen=True, kw_only=True):
    """One message of a prompt; ``role`` is ``user`` or ``assistant``, ``text`` may hold ``{{argument}}``."""

    role: str
    text: str


class CustomPrompt(msgspec.Struct, frozen=True, kw_only=True):
    """A prompt that ``owner`` made at run time: texts with gaps, and nothing that runs. ``id`` is ``OWNER/NAME``."""

    id: str
    owner: str
    name: str
    title: str = ""
    description: str = ""
    arguments: tuple[PromptArgument, ...] = ()
    messages: tuple[PromptMessage, ...]
    always_visible: bool = False
    by: str = ""
    created_at: int = 0
    updated_at: int = 0
    rev: int = 0
