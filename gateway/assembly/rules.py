"""The policy's own operations, put together from what was set: who may sign, whether a folder decides, and what the
servers offer to be asked about.

Part of the composition root; builds, and decides nothing.
"""

from collections.abc import Sequence

from gateway.analysis.inventory import Thing
from gateway.catalogue import Directory
from gateway.catalogue.views import Offer, View
from gateway.folder_mode import FolderMode
from gateway.manage.office import Office
from gateway.manage.rulebook import Rulebook, Things
from gateway.mcp.terms import Kind
from gateway.policy.terms import Json
from gateway.settings import Mode, Settings

KINDS = (Kind.TOOL, Kind.PROMPT, Kind.RESOURCE, Kind.TEMPLATE)


def rulebook(settings: Settings, office: Office, directory: Directory, folder: FolderMode) -> Rulebook:
    """Where the operations on the policy work."""

    async def things(subject: str, domains: Sequence[str]) -> Things:
        known = [each for each in domains if directory.serves(each)]
        return {each: things_of(await directory.view(each, subject)) for each in known}

    if settings.mode is Mode.DEVELOPMENT:
        return Rulebook(office, settings.trusted_keys, folder.refuse_apply, things)
    return Rulebook(office, settings.trusted_keys, things=things)


def things_of(view: View) -> tuple[Thing, ...]:
    """Everything that is listed; a template by the beginning of what it stands for."""
    found = (
        Thing(each.object, each.item.level, each.item.facts, _schema(each))
        for kind in KINDS
        for each in view.listed[kind]
    )
    return tuple({each.object: each for each in found}.values())


def _schema(offer: Offer) -> Json:
    """That of what is read by its name alone has no arguments."""
    if offer.item.kind in (Kind.RESOURCE, Kind.TEMPLATE):
        return {"type": "object", "properties": {}, "additionalProperties": False}
    return offer.schema
