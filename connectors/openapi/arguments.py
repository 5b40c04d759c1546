"""The arguments of one action, each under a name of its own, and what the platform calls them. Pure."""

from dataclasses import dataclass, field
from typing import Final

from connectors.openapi.schemas import Schema
from connectors.openapi.words import LONGEST_NAME, argument_name
from gateway.policy.terms import Json

PLACES: Final = ("path", "query", "header", "body")


@dataclass(slots=True)
class Arguments:
    """Schemas by place and name; ``wire`` and ``styles`` by name, where they say more than the name does."""

    schemas: dict[str, dict[str, Schema]] = field(default_factory=lambda: {place: {} for place in PLACES})
    required: list[str] = field(default_factory=list)
    wire: dict[str, str] = field(default_factory=dict)
    styles: dict[str, str] = field(default_factory=dict)

    def add(
        self, place: str, wire: str, schema: Schema, *, required: bool, style: str = "", nests: bool = False
    ) -> str:
        """The name it got. ``nests``: dots in the place's names lead inward, unless they are told not to."""
        name = self._free(argument_name(wire), place)
        self.schemas[place][name] = schema
        if name != wire and place != "path":
            self.wire[name] = wire.replace(".", "\\.") if nests else wire
        if required and place != "path":
            self.required.append(name)
        if style:
            self.styles[name] = style
        return name

    def written(self) -> dict[str, Json]:
        """As a definition's file has them."""
        more: dict[str, Json] = {
            "required": list[Json](self.required),
            "wire": dict[str, Json](self.wire),
            "styles": dict[str, Json](self.styles),
        }
        places: dict[str, Json] = {place: dict[str, Json](each) for place, each in self.schemas.items()}
        return {key: value for key, value in {**places, **more}.items() if value}

    def _free(self, name: str, place: str) -> str:
        taken = {other for each in self.schemas.values() for other in each}
        if name not in taken:
            return name
        tail = f"_{place}"
        name = f"{name[: LONGEST_NAME - len(tail)]}{tail}"
        count = 2
        while name in taken:
            name = f"{name.rstrip('0123456789_')[: LONGEST_NAME - 4]}_{count}"
            count += 1
        return name
