"""Decisions as a gateway records them, made from a policy and a question."""

from gateway.audit import AuditEntry
from gateway.audit.masking import hashed_value, keyed_hash, masked, masked_target
from gateway.audit.question import key_mark, question_of
from gateway.policy.engine import Policy
from gateway.policy.terms import Access, Chain

HASHED = keyed_hash(b"k" * 32)
OLDER = keyed_hash(b"o" * 32)
DIGESTS = {key_mark(each): (lambda value, each=each: hashed_value(value, each)) for each in (HASHED, OLDER)}


def entry(
    policy: Policy, *chain: Access, id: str = "1", hashed=HASHED, readable=None, claims=None, **other
) -> AuditEntry:
    """What ``policy`` leaves in the audit about a question; ``readable`` and ``claims`` may say otherwise what is shown."""
    return written(policy.decide(chain), chain, policy, id, hashed, readable, claims, other)


def written(decision, chain: Chain, policy: Policy, id, hashed, readable, claims, other) -> AuditEntry:
    first = chain[0]
    args = first.context.args or {}
    shown, hidden = masked(args, policy.readable if readable is None else readable, hashed)
    object = masked_target(first.object)
    asked = question_of(
        chain,
        shown=object,
        hidden=hidden,
        readable_claims=policy.readable_claims if claims is None else claims,
        hashed=hashed,
    )
    fields = {
        "id": id,
        "at": first.context.env["now"],
        "subject": first.subject,
        "domain": first.domain,
        "address": first.context.env["address"],
        "method": "tools/call",
        "owner": first.owner,
        "object": object,
        "action": first.action,
        "allowed": decision.allowed,
        "reason": decision.reason.value,
        "rule": "" if decision.rule is None else str(decision.rule.place),
        "policy": decision.version,
        "arguments": shown,
        "hashed": hidden,
        "asked": asked,
    }
    return AuditEntry(**{**fields, **other})
