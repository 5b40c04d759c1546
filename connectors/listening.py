"""Hearing what a server says unasked: the GET stream of legacy HTTP, ``subscriptions/listen`` of the modern era.

It knows how to keep such a stream open; what is heard goes the conversation's own way.
"""

import asyncio
import logging
from collections.abc import Callable, Collection
from typing import Final

from connectors.conversation import Conversation
from connectors.transport import HttpAnswer, TransportLost
from gateway.errors import NotConnected, Refusal
from gateway.mcp.terms import Era, Params

_LOG = logging.getLogger(__name__)

FIRST_PAUSE: Final = 0.5
MOST_PAUSE: Final = 60.0

PASSING: Final = frozenset({408, 429, 500, 502, 503, 504})
"""HTTP answers that say nothing of what the server offers once it is well again."""

_LISTS: Final = (
    ("tools", "toolsListChanged"),
    ("prompts", "promptsListChanged"),
    ("resources", "resourcesListChanged"),
)


async def listen(talk: Conversation, uris: Collection[str], missed: Callable[[], None]) -> None:
    """Listen until the conversation ends or the server offers nothing to hear; ``uris`` are the resources
    whose updates are wanted. ``missed`` is called when something may have been said in between.
    """
    if talk.terms is None:
        return
    if talk.terms.era is Era.LEGACY:
        await _legacy(talk, talk.terms.capabilities, missed)
    elif wanted := _wanted(talk.terms.capabilities, uris):
        await _modern(talk, wanted, missed)


def offers(capabilities: Params, name: str, flag: str) -> bool:
    offered = capabilities.get(name)
    return isinstance(offered, dict) and offered.get(flag) is True


def _wanted(capabilities: Params, uris: Collection[str]) -> Params:
    wanted: Params = {word: True for name, word in _LISTS if offers(capabilities, name, "listChanged")}
    if uris and offers(capabilities, "resources", "subscribe"):
        wanted["resourceSubscriptions"] = [*sorted(uris)]
    return wanted


async def _legacy(talk: Conversation, capabilities: Params, missed: Callable[[], None]) -> None:
    speaks = any(offers(capabilities, name, "listChanged") for name, _ in _LISTS)
    # a server that may ask need not ask on the stream of a request
    if speaks or offers(capabilities, "resources", "subscribe") or talk.declares:
        try:
            await talk.listen()
        except (TransportLost, HttpAnswer, Refusal) as fault:
            _LOG.debug("upstream `%s` ended its stream of events: %s", talk.name, fault)
            missed()  # who reads now finds out, too, whether the session is forgotten


async def _modern(talk: Conversation, wanted: Params, missed: Callable[[], None]) -> None:
    loop = asyncio.get_running_loop()
    pause = FIRST_PAUSE
    while True:
        began = loop.time()
        try:
            answer = await talk.ask("subscriptions/listen", {"notifications": wanted}, patience=None)
        except HttpAnswer as fault:
            _LOG.debug("upstream `%s` refused its stream of events: %s", talk.name, fault)
            if fault.status not in PASSING:
                return
        except NotConnected:
            return  # nobody's account is behind it any more
        except (TransportLost, Refusal) as lost:
            _LOG.debug("upstream `%s` broke off its stream of events: %s", talk.name, lost)
        else:
            if answer.error is not None and loop.time() - began < FIRST_PAUSE:
                return  # it does not offer what its capabilities say
        if talk.over:
            return
        pause = FIRST_PAUSE if loop.time() - began > MOST_PAUSE else min(2 * pause, MOST_PAUSE)
        await asyncio.sleep(pause)
        missed()
