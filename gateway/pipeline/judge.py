"""One subject on one server, before one version of the policy: what he may do, and what he may see.

Seeing is asked of the same rules as doing, with the arguments unknown: an item is visible exactly when some
call of it could be allowed. This file knows no message, no connection and no clock.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from gateway.catalogue.views import Offer
from gateway.mcp.terms import Kind
from gateway.pipeline.chain import chain_of, inspection
from gateway.policy.engine import Policy
from gateway.policy.schema import Schema
from gateway.policy.terms import NOTHING, Chain, Json, Subject


@dataclass(frozen=True, slots=True)
class Judge:
    policy: Policy
    subject: Subject
    domain: str
    env: Mapping[str, Json]

    def chain(self, offer: Offer, owner: str, args: Mapping[str, Json] | None) -> Chain:
        """What has to be allowed for a use of the item on ``owner``'s connection."""
        item = offer.item
        if item.kind is Kind.TEMPLATE:  # what would be used is a resource
            item = replace(item, facts=replace(item.facts, kind=Kind.RESOURCE.value))
        return chain_of(item, offer.object, self.subject, domain=self.domain, owner=owner, args=args, env=self.env)

    def owner(self, offer: Offer) -> str:
        """Whose connection serves: the first for which some call could be allowed, else the first at all."""
        owners = self._owners(offer)
        if len(owners) == 1:
            return owners[0]
        return next((owner for owner in owners if self.possible(offer, owner)), owners[0])

    def visible(self, offer: Offer) -> bool:
        return any(self.possible(offer, owner) for owner in self._owners(offer))

    def possible(self, offer: Offer, owner: str) -> bool:
        """Whether some use of the item on ``owner``'s connection could be allowed. Reading a resource has no
        arguments; a template stands for every URI that begins like it.
        """
        if offer.item.kind is Kind.RESOURCE:
            return self.policy.decide(self.chain(offer, owner, NOTHING)).allowed
        if offer.item.kind is Kind.TEMPLATE:
            return self.policy.possible_below(self.chain(offer, owner, NOTHING))
        return self.policy.possible(self.chain(offer, owner, None), offer.narrowing)

    def may_complete(self, offer: Offer, owner: str, known: Mapping[str, str]) -> bool:
        """Whether some use of a prompt or template could be allowed in which its arguments are those ``known``."""
        if not known:
            return self.possible(offer, owner)
        if offer.item.kind is Kind.PROMPT:
            return self.policy.possible(self.chain(offer, owner, None), Schema(offer.knowing(known)))
        below = offer.below(known)
        return below is not None and self.possible(below, owner)

    def may_inspect(self) -> bool:
        """Whether he may be told by which row he was refused."""
        return self.policy.decide(inspection(self.subject, self.env)).allowed

    def _owners(self, offer: Offer) -> tuple[str, ...]:
        return offer.connector.owners(self.subject.name) or (self.subject.name,)
