"""``[limits]`` of ``ostiary.toml``: how often an address may come, and what holds while nodes are cut off."""

from typing import Final

from gateway.settings.terms import LimitSettings, Unsure
from gateway.settings.values import Table

MOST: Final = 1_000_000


def read_address_limits(top: Table) -> LimitSettings:
    """What ``[limits]`` says."""
    table = top.table("limits")
    settings = LimitSettings(
        failures=table.integer("failures", 20, 1, MOST),
        visits=table.integer("visits", 60, 1, MOST),
        unsure=table.choice("unsure", Unsure, Unsure.ALLOW),
    )
    table.close()
    return settings
