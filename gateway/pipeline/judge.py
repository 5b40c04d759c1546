"""One subject on one server, before one version of the policy: what he may do, and what he may see.

Seeing is asked of the same rules as doing, with the arguments unknown: an item is visible exactly when some
call of it could be allowed. This file knows no message, no connection and no clock.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import cast

from msgspec import Struct

from connectors.base import Connector, Item
from gateway.catalogue.views import Offer
from gateway.custom.known import NOTHING_MADE, Custom
from gateway.mcp.terms import Kind
from gateway.pipeline.accounts import NO_RECORDS, Account, Records, account_of, accounts_of, needs_one
from gateway.pipeline.chain import CONNECT, chain_of, inspection, operation_chain
from gateway.policy.engine import Policy
from gateway.policy.mapping import ArgumentMapping
from gateway.policy.schema import Schema
from gateway.policy.terms import MAIN, NOTHING, SYSTEM, Chain, Decision, Json, Subject


class Judge(Struct, frozen=True):
    """``records`` are the connections that there are, ``custom`` is what users made. ``server_owner`` is whose loan the
    server of this domain is (``""``: the operator's).
    """

    policy: Policy
    subject: Subject
    domain: str
    env: Mapping[str, Json]
    records: Records = NO_RECORDS
    custom: Custom = NOTHING_MADE
    server_owner: str = ""
    _accounts: dict[str, tuple[Account, ...]] = {}

    @property
    def now(self) -> int:
        """Ms since the epoch."""
        return cast("int", self.env["now"])

    @property
    def server_class(self) -> str:
        """The rate class of all calls of this server together: that of its owner there."""
        return self.policy.rate_class(Subject(self.server_owner, groups=None), self.domain, self.env)

    def chain(self, offer: Offer, account: Account, args: Mapping[str, Json] | None) -> Chain:
        """What has to be allowed for a use of the item on ``account``: of what a user made as of that which it calls,
        with the arguments that this gets, which are those of the last access.
        """
        item, called = offer.item, offer.target
        if item.kind is Kind.TEMPLATE:  # what would be used is a resource
            item = replace(item, facts=replace(item.facts, kind=Kind.RESOURCE.value))
        asked = self._chain(item, offer.object, offer.owner or account.owner, account, args)
        if called is None:
            return asked
        filled = None if args is None else called.mapping.filled(args)
        mapping = called.mapping if args is None else None
        return asked + self._chain(called.offer.item, called.offer.object, account.owner, account, filled, mapping)

    def _chain(
        self,
        item: Item,
        object: str,
        owner: str,
        account: Account,
        args: Mapping[str, Json] | None,
        mapping: ArgumentMapping | None = None,
    ) -> Chain:
        return chain_of(
            item,
            object,
            self.subject,
            domain=self.domain,
            owner=owner,
            args=args,
            env=self.env,
            connection=account.facts,
            server_owner=self.server_owner,
            mapping=mapping,
        )

    def decided(self, offer: Offer, account: Account, args: Mapping[str, Json]) -> tuple[Account, Chain, Decision]:
        """Whether the use of the item on ``account`` is allowed, and what was asked for it."""
        chain = self.chain(offer, account, args)
        return account, chain, self.policy.decide(chain)

    def accounts(self, connector: Connector) -> tuple[Account, ...]:
        """The accounts that could serve, best first: his own, those lent to him, the operator's."""
        if (known := self._accounts.get(connector.id)) is None:
            lenders = self.lenders(connector) if needs_one(connector) else None
            known = accounts_of(connector, self.subject.name, lenders, self.records)
            self._accounts[connector.id] = known
        return known

    def serves(self, offer: Offer) -> tuple[Account, ...]:
        """The accounts that could serve a use of the item, best first. What a user made is served by those of whoever
        calls it, of its maker and of the operator, whoever else may lend something.
        """
        if offer.made is None:
            return self.accounts(offer.connector)
        if offer.target is None:
            return (Account(offer.owner),)
        made_by = () if offer.owner in (self.subject.name, SYSTEM) else (offer.owner,)
        lenders = made_by if needs_one(offer.connector) else None
        there = accounts_of(offer.connector, self.subject.name, lenders, self.records)
        return tuple(each for each in there if each.owner in (self.subject.name, offer.owner, SYSTEM))

    def lenders(self, connector: Connector) -> tuple[str, ...]:
        """Those who lend him something of the connector."""
        return self.policy.lenders(self.subject, self.domain, connector.id, self.now)

    def account(self, connector: Connector, owner: str, credential: str) -> Account:
        """The account of ``owner`` that was used before, as it stands now."""
        return account_of(connector, owner, credential, self.records)

    def serving(self, offer: Offer, credential: str = "") -> tuple[Account, ...]:
        """The accounts of the one whose connection serves: of the first who holds one with which some call could be
        allowed, else of the first who could make such a one, else of the first at all.

        Where a ``credential`` is named it is that one: his own, or one with which some call could be allowed. For all
        others there is none.
        """
        accounts = self.serves(offer)
        if credential and needs_one(offer.connector):
            return self._named(offer, credential)
        if len(accounts) <= 1:
            return accounts
        fit = [each for each in accounts if self.possible(offer, each)]
        fit = [each for each in fit if each.held] or fit or [accounts[0]]
        return tuple(each for each in fit if each.owner == fit[0].owner)

    def visible(self, offer: Offer) -> bool:
        return any(self.possible(offer, each) for each in self.serves(offer))

    def possible(self, offer: Offer, account: Account) -> bool:
        """Whether some use of the item on ``account`` could be allowed. Reading a resource has no arguments; a
        template stands for every URI that begins like it.
        """
        if offer.item.kind is Kind.RESOURCE:
            return self.policy.decide(self.chain(offer, account, NOTHING)).allowed
        if offer.item.kind is Kind.TEMPLATE:
            return self.policy.possible_below(self.chain(offer, account, NOTHING))
        possible = self.policy.possible(self.chain(offer, account, None), offer.narrowing)
        return possible and (offer.target is None or self._takes(offer.target.offer, account))

    def _takes(self, called: Offer, account: Account) -> bool:
        """Whether a tool that users' tools call could be called so with any arguments that it takes."""
        chain = self._chain(called.item, called.object, account.owner, account, None)
        return self.policy.possible(chain, called.narrowing)

    def may_complete(self, offer: Offer, account: Account, known: Mapping[str, str]) -> bool:
        """Whether some use of a prompt or template could be allowed in which its arguments are those ``known``."""
        if not known:
            return self.possible(offer, account)
        if offer.item.kind is Kind.PROMPT:
            return self.policy.possible(self.chain(offer, account, None), Schema(offer.knowing(known)))
        below = offer.below(known)
        return below is not None and self.possible(below, account)

    def may_inspect(self) -> bool:
        """Whether he may be told by which row he was refused."""
        return self.policy.decide(inspection(self.subject, self.env)).allowed

    def roles_of(self, owner: str) -> tuple[str, ...]:
        """The roles of whose record is concerned; the operator has none."""
        if owner == SYSTEM:
            return ()
        groups = self.subject.groups if owner == self.subject.name else frozenset[str]()
        return tuple(sorted(self.policy.roles_of(owner, MAIN, self.now, groups)))

    def may_connect(self, connector: str, owner: str) -> Decision:
        """Whether he may connect an account for ``owner``."""
        chain = operation_chain(
            connector,
            CONNECT,
            self.subject,
            domain=self.domain,
            owner=owner,
            args=NOTHING,
            env=self.env,
            server_owner=self.server_owner,
        )
        return self.policy.decide(chain)

    def _named(self, offer: Offer, credential: str) -> tuple[Account, ...]:
        accounts = self.serves(offer)
        owner = offer.connector.owner(credential)
        named = [each for each in accounts if each.id == credential and each.owner == owner]
        if not named and any(each.owner == owner for each in accounts):
            named = [Account(owner, credential)]  # the operator's own has no record
        return tuple(each for each in named if owner == self.subject.name or self.possible(offer, each))
