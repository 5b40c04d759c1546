"""Tools of connectors that are shared: one tool of one connection, as a loan of that connection.

A loan of a single tool is kept beside whatever else is lent of the connection. This file asks nobody.
"""

from dataclasses import dataclass

from gateway.custom.names import CUSTOM
from gateway.errors import InvalidArguments
from gateway.manage.asking import Asker, now_of
from gateway.manage.loans import Level, end_tool, loan_grant, wish
from gateway.manage.office import Office
from gateway.manage.share_checks import Wanted
from gateway.manage.share_rows import PROMPT_KIND
from gateway.mcp.names import object_name
from gateway.mcp.terms import Kind
from gateway.policy.spelling import read_name
from gateway.policy.terms import SYSTEM
from gateway.records import Connected, Grant


@dataclass(frozen=True, slots=True)
class Item:
    """A tool of a connector; ``action`` is the level that calling it needs, ``""`` where he does not see it."""

    connector: str
    tool: str
    action: str = ""

    @property
    def object(self) -> str:
        return object_name(self.connector, Kind.TOOL, self.tool)


async def found(asker: Asker, text: str) -> Item | None:
    """The tool of a connector that ``text`` names, as ``connector:tool`` or as clients see it; ``None`` where it names
    something else. Whether there is such a tool is only known where he sees it.
    """
    if not _could_be(text):
        return None
    for each in await asker.visible_tools():
        connector, _, item = each.object.partition("/")
        if text in (each.id, each.name) and connector not in ("", CUSTOM):
            return Item(connector, read_name(item), each.action)
    connector, colon, tool = text.partition(":")
    return Item(connector, tool) if colon else None


def lent(office: Office, asker: Asker, item: Item, wanted: Wanted, connection: str) -> Grant:
    """The row that lends one tool of a connection of his. Raises ``InvalidArguments``."""
    if item.action == Level.WRITE and wanted.level is Level.READ:
        raise InvalidArguments(f"`{item.tool}` changes something; share it at access level `write`")
    connected = connection_of(office, asker.subject.name, item.connector, connection)
    wished = wish(wanted.to, wanted.level.value, (item.tool,), wanted.days or 0, lender=asker.subject.name)
    return loan_grant(connected, wished, made_by=asker.subject.name, now=now_of(asker), apart=item.tool)


async def end(office: Office, asker: Asker, item: Item, borrower: str) -> int:
    """End what ``borrower`` may do with the tool on any connection of his; how many loans it was in."""
    known = office.snapshot().connections.of(asker.subject.name, item.connector)
    return sum([await end_tool(office.store, each, borrower, item.tool) for each in known])


def _could_be(text: str) -> bool:
    head, colon, _ = text.partition(":")
    return "__" in text if not colon else "@" not in head and head not in (SYSTEM, PROMPT_KIND, "gateway")


def connection_of(office: Office, owner: str, connector: str, id: str) -> Connected:
    """The connection that is meant: the one with that ``id``, or his only one. Raises ``InvalidArguments``."""
    known = [each for each in office.snapshot().connections.of(owner, connector) if id in ("", each.id)]
    if not known:
        which = f"no connection `{id[:40]}` to" if id else "no connection to"
        raise InvalidArguments(
            f"you have {which} `{connector}` that could be shared; connect an account of yours first"
        )
    if len(known) > 1:
        named = ", ".join(f"`{each.id}` ({each.label or each.account})" for each in known)
        raise InvalidArguments(f"you have several connections to `{connector}`; say with `connection` which: {named}")
    return known[0]
