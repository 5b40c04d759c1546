"""With which account a resource was subscribed to, so that it is released with the same one."""

from collections import OrderedDict
from typing import Final

from gateway.pipeline.accounts import Account

KEPT: Final = 10_000
"""Subscriptions remembered at most; of more, those made first are released as if they were made anew."""


class Followed:
    """By principal, domain and URI."""

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._accounts: OrderedDict[tuple[str, str, str], Account] = OrderedDict()

    def put(self, principal: str, domain: str, uri: str, account: Account) -> None:
        key = principal, domain, uri
        self._accounts[key] = account
        self._accounts.move_to_end(key)
        if len(self._accounts) > self._kept:
            self._accounts.popitem(last=False)

    def get(self, principal: str, domain: str, uri: str) -> Account | None:
        return self._accounts.get((principal, domain, uri))
