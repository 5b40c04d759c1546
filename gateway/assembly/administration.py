"""Everything by which users make and share things, put together from what was set: the gateway's own tools, what tools
made at run time can call, and where their operations work.

Part of the composition root; builds, and decides nothing.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass

from connectors.addresses import PUBLIC_ONLY, Exceptions, parse
from connectors.egress import Egress
from connectors.http_calls.connector import HttpCalls
from connectors.http_calls.secrets import Secrets
from connectors.packages.connector import PackageConnector
from connectors.packages.finding import installed
from gateway.builtins.keys import keys
from gateway.builtins.people import people
from gateway.builtins.prompts import prompts
from gateway.builtins.shares import shares
from gateway.builtins.terms import Builtin
from gateway.builtins.tools import tools
from gateway.follower import Follower, now_ms
from gateway.identity import KeyRing
from gateway.letters import letters
from gateway.manage.office import Office
from gateway.policy.terms import MAIN
from gateway.settings import Settings
from gateway.store.base import Store
from gateway.targets import HandlerTargets

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Administration:
    """``packages`` are connectors like any other; ``targets`` is what tools made at run time can call."""

    office: Office
    builtins: tuple[Builtin, ...]
    packages: tuple[PackageConnector, ...]
    targets: HandlerTargets


def administration(
    settings: Settings, *, store: Store, ring: KeyRing, follower: Follower, egress: Egress, taken: Iterable[str]
) -> Administration:
    """``taken`` are the ids of the other connectors. A handler package that cannot be used is told in the log, and
    offered nowhere.
    """
    packages = _packages(settings, taken)
    office = Office(
        store,
        ring,
        lambda: follower.current,
        follower.catch_up,
        letters=letters(settings),
        servers=frozenset((MAIN, *(each.id for each in settings.servers))),
    )
    return Administration(
        office,
        _builtins(settings, office, frozenset(each.id for each in packages)),
        packages,
        HandlerTargets(_http(settings, egress), packages),
    )


def _packages(settings: Settings, taken: Iterable[str]) -> tuple[PackageConnector, ...]:
    found = installed(omit=settings.handlers.omit, taken=frozenset(taken))
    for problem in found.problems:
        log.warning("%s", problem)
    return tuple(PackageConnector(each, timeout=settings.handlers.timeout_s) for each in found.packages)


def _builtins(settings: Settings, office: Office, packages: frozenset[str]) -> tuple[Builtin, ...]:
    """All but those of the groups that the operator leaves out."""
    groups = {
        "user-management": (*people(office), *keys(office), *shares(office)),
        "tool-management": tools(office, packages),
        "prompt-management": prompts(office),
    }
    return tuple(each for name, group in groups.items() if not settings.handlers.omits(name) for each in group)


def _http(settings: Settings, egress: Egress) -> HttpCalls:
    private = parse(settings.http.private_hosts)
    return HttpCalls(
        egress,
        now_ms,
        secrets=Secrets.of(settings.named_secrets),
        private=private if isinstance(private, Exceptions) else PUBLIC_ONLY,
        timeout=settings.http.timeout_s,
    )
