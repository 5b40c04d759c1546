"""Secrets of the operator that single tools may put on requests to single hosts.

This file knows no request; what it hands out stays a ``Secret``.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from connectors.base import Secret
from gateway.errors import NotConnected


@dataclass(frozen=True, slots=True)
class NamedSecret:
    """``value`` is for the ``tools`` (``creator@example.com:name``, ``system:name``) and goes to the ``hosts``
    (``api.example.com``, ``api.example.com:8443``), for no other and to no other.
    """

    name: str
    value: Secret
    hosts: frozenset[str]
    tools: frozenset[str]


@dataclass(frozen=True, slots=True)
class Secrets:
    """All that the operator has set, by name."""

    by_name: Mapping[str, NamedSecret] = field(default_factory=dict)

    @classmethod
    def of(cls, named: Iterable[NamedSecret]) -> "Secrets":
        return cls({each.name: each for each in named})

    def granted(self, names: Iterable[str], tool: str, host: str) -> Mapping[str, Secret]:
        """The secrets ``names`` for ``tool`` at ``host``. Raises ``NotConnected``, with the same words for one that is
        meant for others and for one that there is not.
        """
        return {name: self._granted(name, tool, host) for name in names}

    def _granted(self, name: str, tool: str, host: str) -> Secret:
        found = self.by_name.get(name)
        if found is None or tool not in found.tools or host not in found.hosts:
            raise NotConnected(f"the operator has set no secret `{name}` for the tool `{tool}` at `{host}`")
        return found.value
