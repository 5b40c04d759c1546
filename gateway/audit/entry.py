"""The audit entry: the one record that each call leaves, and in it the question that the policy was asked."""

import msgspec


class Facts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What conditions could ask of the thing that was used (``gateway.policy.terms.Tool``)."""

    connector: str = ""
    name: str = ""
    kind: str = "tool"
    via: str = ""
    destructive: bool = True
    open_world: bool = True
    tags: tuple[str, ...] = ()


class Called(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a tool that a user made calls, which was asked about after it: of the same subject in the same domain, on
    ``owner``'s connection, with ``arguments`` and ``hashed`` as the tool made them. ``lenders`` and ``kinds`` are as in
    ``Question``.
    """

    owner: str
    object: str
    action: str
    tool: Facts = Facts()
    lenders: tuple[str, ...] = ()
    arguments: dict[str, str] = {}
    hashed: dict[str, str] = {}
    kinds: str = ""


class Question(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an entry does not say elsewhere about its decision, so that another policy can be asked the same.

    ``groups`` is ``None`` where they were unknown, ``owner_roles`` where nobody looked them up. ``claims`` and
    ``hashed_claims`` keep the discipline of ``arguments`` and ``hashed``. ``offset`` is minutes east of UTC.
    ``lenders`` were asked about after the subject, each for himself in ``main``. ``connection`` is what conditions
    could ask of the connection that was to serve (``id``, ``account``, ``label``, ``status``). ``cut`` says that object
    or name are not shown whole. ``key`` tells which key the hashes were made with, without telling the key; ``kinds``
    and ``claim_kinds`` of what kind the hashed values are, a letter each (see ``masking.kinds``). ``calls`` is what was
    asked about besides, where a tool that a user made was used.
    """

    tool: Facts = Facts()
    groups: tuple[str, ...] | None = ()
    claims: dict[str, str] = {}
    hashed_claims: dict[str, str] = {}
    owner_roles: tuple[str, ...] | None = None
    lenders: tuple[str, ...] = ()
    connection: dict[str, str] = {}
    offset: int = 0
    cut: bool = False
    key: str = ""
    kinds: str = ""
    claim_kinds: str = ""
    calls: Called | None = None


class Shadowed(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How the policy ``bundle`` (its hash), which was a mere shadow, would have answered, where that differs."""

    bundle: str
    allowed: bool
    reason: str
    rule: str = ""


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """What happened in one call. ``id`` sorts by time; ``at`` is ms since the epoch, ``took`` in ms. ``connection`` is
    the id of the one that was used or concerned, ``""`` where none was; ``cached`` tells of an answer that was
    remembered from before.

    ``arguments`` holds in the clear only the fields that a live condition reads and the policy does
    not mark secret, as JSON pointer → JSON text; every other value stands in ``hashed`` as a keyed hash.
    ``asked`` is ``None`` where the policy was not asked about one use of one thing.
    ``chain``, ``number`` and ``link`` tie it to the entry that was written before it (``gateway.audit.chain``).
    """

    id: str
    at: int
    node: str = ""
    subject: str = ""
    credential: str = ""
    client: str = ""
    address: str = ""
    transport: str = ""
    session: str = ""
    domain: str = ""
    method: str = ""
    request_id: str = ""
    owner: str = ""
    connection: str = ""
    object: str = ""
    action: str = ""
    allowed: bool | None = None
    reason: str = ""
    rule: str = ""
    policy: str = ""
    outcome: str = ""
    error: str = ""
    took: float = 0.0
    cached: bool = False
    arguments: dict[str, str] = {}
    hashed: dict[str, str] = {}
    asked: Question | None = None
    shadow: Shadowed | None = None
    chain: str = ""
    number: int = 0
    link: str = ""
