"""One call on its way through the door: what is fixed about it, and what becomes known of it for the audit entry.

This file decides nothing and writes nothing; ``steps.py`` fills a passage in and hands its entry over.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from gateway.audit import AuditEntry
from gateway.audit.entry import Shadowed
from gateway.audit.masking import TARGET, Hash, masked, masked_target
from gateway.audit.question import question_of
from gateway.catalogue.views import Offer
from gateway.errors import Denied, Fault, NotConnected, Refusal, Unanswered, UpstreamFailed
from gateway.mcp.terms import Kind
from gateway.observing.times import Times
from gateway.pipeline.accounts import Account
from gateway.pipeline.buckets import Reading, check
from gateway.policy.engine import Policy
from gateway.policy.terms import NOTHING, Chain, Decision, Json, Subject

NOBODY = Subject("")
"""Stands where no subject was verified; no policy is ever asked about it."""

_SHORT: Final = 200

TOLD_WITH_REFERENCE: Final = (Denied, Fault, NotConnected, Unanswered, UpstreamFailed)


@dataclass(slots=True)
class Aside:
    """What can be said of an answer beside it: whether it was ``cached``, and the ``reading`` of the tightest limit."""

    cached: bool = False
    reading: Reading | None = None

    def read(self, reading: Reading) -> None:
        """Note a limit that was taken from. Raises ``Limited`` where it refused."""
        if self.reading is None or reading.wait_ms or reading.left < self.reading.left:
            self.reading = reading
        check(reading)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a request comes from: the client's ``address`` and ``transport``, and what ``client`` calls itself
    (unverified, for the audit entry only). ``aside`` is for whoever sends the answer there.
    """

    address: str
    transport: str = ""
    client: str = ""
    aside: Aside = field(default_factory=Aside, compare=False, repr=False)


@dataclass(slots=True)
class Passage:
    """``at`` is ms since the epoch. ``id`` is the audit entry's, and the reference that clients are told."""

    id: str
    at: int
    origin: Origin
    domain: str
    method: str
    subject: Subject = NOBODY
    request_id: str = ""
    session: str = ""
    policy: str = ""
    readable: frozenset[str] = frozenset()
    readable_claims: frozenset[str] = frozenset()
    kind: Kind | None = None
    object: str = ""
    action: str = ""
    rate_class: str = ""
    owner: str = ""
    connection: str = ""
    arguments: Mapping[str, Json] = field(default_factory=lambda: NOTHING)
    decision: Decision | None = None
    chain: Chain = ()
    judge: Policy | None = None
    shadow: Shadowed | None = None
    outcome: str = "ok"
    error: str = ""
    cached: bool = False
    times: Times = field(default_factory=Times)
    began: float = field(default_factory=time.perf_counter)

    @property
    def now(self) -> int:
        """Ms since the epoch."""
        return self.at + round(self._took)

    @property
    def _took(self) -> float:
        return (time.perf_counter() - self.began) * 1000

    def concerns(self, offer: Offer, account: Account) -> None:
        self.kind, self.object, self.action = offer.item.kind, offer.object, offer.item.level
        self.owner, self.connection = offer.owner or account.owner, account.id

    def judged(self, policy: Policy, chain: Chain, decision: Decision) -> None:
        """Note what ``policy`` decided about one use of one thing."""
        self.judge, self.chain, self.decision = policy, chain, decision

    def barred(self, decision: Decision) -> None:
        """Note that somebody did not come in, who he is, and what the policy was asked."""
        self.decision = decision
        if (asked := decision.access) is not None:
            self.subject = self.subject if self.subject.name else Subject(asked.subject)
            self.object, self.action, self.owner = asked.object, asked.action, asked.owner

    def refused(self, refusal: Refusal) -> None:
        """Note a refusal, and tell it by which entry it can be found."""
        self.outcome, self.error = refusal.kind, str(refusal.code)
        # Several who wait for the same connection get the same exception when it fails.
        ours = refusal.data is None or refusal.data == {"reference": refusal.reference}
        refusal.reference = self.id
        if ours and isinstance(refusal, TOLD_WITH_REFERENCE):
            refusal.data = {"reference": self.id}

    def entry(self, hashed: Hash, node: str) -> AuditEntry:
        """The audit entry, with nothing in it that must not be read (see ``masking.py``)."""
        decision = self.decision
        shown, hidden = masked(self.arguments, self.readable, hashed) if self.arguments else ({}, {})
        object = self.object[:TARGET] if self.kind is Kind.TOOL else masked_target(self.object)
        asked = None
        if self.chain:
            asked = question_of(
                self.chain,
                shown=object,
                hidden=hidden,
                readable_claims=self.readable_claims,
                hashed=hashed,
                readable=self.readable,
            )
        return AuditEntry(
            id=self.id,
            at=self.at,
            node=node,
            subject=self.subject.name,
            credential=self.subject.credential,
            client=self.origin.client[:_SHORT],
            address=self.origin.address,
            transport=self.origin.transport,
            session=hashed(self.session.encode()) if self.session else "",
            domain=self.domain[:_SHORT],
            method=self.method,
            request_id=self.request_id,
            owner=self.owner,
            connection=self.connection[:_SHORT],
            object=object,
            action=self.action,
            allowed=None if decision is None else decision.allowed,
            reason="" if decision is None else decision.reason.value,
            rule="" if decision is None or decision.rule is None else str(decision.rule.place),
            policy=self.policy,
            outcome=self.outcome,
            error=self.error,
            took=round(self._took, 3),
            cached=self.cached,
            arguments=shown,
            hashed=hidden,
            asked=asked,
            shadow=self.shadow,
        )
