"""What the parts of one operation are put into while they are translated, and what is known of its document. Pure."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from connectors.openapi.arguments import Arguments
from connectors.openapi.credentials import Keys
from connectors.openapi.document import Document, DocumentError, Version
from connectors.openapi.schemas import DEEPEST, Schema, Schemas, merged, types_of
from gateway.policy.terms import Json

LONGEST_TEXT: Final = 300
"""Characters that an argument is described in."""


@dataclass(slots=True)
class Translation:
    """``stripped`` are credentials that were left out, ``dropped`` what cannot be sent and need not be; ``more`` is
    what the action says besides its arguments; ``cut`` whether schemas were cut for their size.
    """

    schemas: Schemas
    keys: Keys
    deepest: int = DEEPEST
    arguments: Arguments = field(default_factory=Arguments)
    stripped: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    more: dict[str, Json] = field(default_factory=dict)
    cut: bool = False
    _met: dict[str, None] = field(default_factory=dict)

    @property
    def document(self) -> Document:
        return self.schemas.document

    def schema(self, node: Json) -> Schema:
        """The schema of one argument. Raises ``DocumentError``."""
        part = self.schemas.part(node, self.deepest)
        self._met.update(dict.fromkeys(part.references))
        self.cut = self.cut or part.cut
        return part.schema

    def defs(self, room: int) -> dict[str, Schema]:
        """What the arguments refer to, the nearest first and whole as long as there is room for its bytes. Raises
        ``DocumentError``.
        """
        found: dict[str, Schema] = {}
        waiting = deque(self._met)
        while waiting:
            reference = waiting.popleft()
            part = self.schemas.referred(reference)
            if part.size > room:
                self.cut = True
                found[self.schemas.name(reference)] = self.schemas.bare(reference)
                continue
            room -= part.size
            self.cut = self.cut or part.cut
            found[self.schemas.name(reference)] = part.schema
            news = [each for each in part.references if each not in self._met]
            self._met.update(dict.fromkeys(news))
            waiting.extend(news)
        return found

    @property
    def is_v2(self) -> bool:
        return self.document.version is Version.V2

    def without(self, name: str, why: str, *, needed: bool) -> None:
        """Leave an argument out. Raises ``DocumentError`` where the operation needs it."""
        if needed:
            raise DocumentError(f"its parameter `{name[:100]}` {why}")
        self.dropped.append(name)

    def nests(self, node: Json) -> bool:
        """Whether it is more than one plain value."""
        schema = merged(self.document, node)
        types = types_of(schema, self.document.version)
        return bool({"object", "array"} & set(types)) or any(each in schema for each in ("properties", "items"))


def schema_itself(parameter: Mapping[str, Json]) -> dict[str, Json]:
    """A parameter of 2.0, which is its own schema, as that alone: there ``required`` means something else."""
    return {key: value for key, value in parameter.items() if key != "required"}
