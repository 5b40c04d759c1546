"""Whether an access is due for renewal, and whether it may serve meanwhile. Pure: time comes in as an argument."""

from dataclasses import dataclass

from connectors.definition.platform import Platform
from connectors.definition.terms import Renewal
from gateway.connections.material import Material
from gateway.records import Connected


@dataclass(frozen=True, slots=True, repr=False)
class Wanted:
    """An access to ``platform`` that is not near its end; also another one than ``refused``, which the platform does
    not take any more, and one that came after ``changed_before`` (ms since the epoch).
    """

    platform: Platform
    refused: str = ""
    changed_before: int = 0

    @property
    def renewal(self) -> Renewal:
        oauth = self.platform.definition.auth.oauth
        return Renewal() if oauth is None else oauth.renewal

    @property
    def title(self) -> str:
        return self.platform.definition.title

    def due(self, record: Connected, material: Material, now: int) -> bool:
        """Whether to have what is there renewed; not while its platform is to be left alone and it still serves."""
        if record.retry_at > now and self.serves(record, now):
            return False
        refused = self.refused != "" and material.access == self.refused
        return refused or record.updated_at < self.changed_before or self.near_end(record, now)

    def near_end(self, record: Connected, now: int) -> bool:
        """Whether the access ends within the platform's margin, which is at most half of its life."""
        if record.expires_at is None or not record.renewable:
            return ended(record, now)
        life = max(0, record.expires_at - record.updated_at)
        return record.expires_at - min(self.renewal.margin_s * 1000, life // 2) <= now

    def serves(self, record: Connected, now: int) -> bool:
        """Whether the access at hand may serve while a new one is not to be had."""
        return not self.refused and not ended(record, now)


def ended(record: Connected, now: int) -> bool:
    """Whether the access is over for sure."""
    return record.expires_at is not None and record.expires_at <= now
