"""What a person has to type to connect an account, and whether what was typed fits.

Pure. Which inputs there are says the definition; what the operator fixed is not asked for.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from connectors.base import Secret
from connectors.definition.patterns import LONGEST_VALUE, fits
from connectors.definition.platform import Platform
from connectors.definition.terms import AuthKind, Input
from gateway.connections.terms import BadInputs

_ANYTHING: Final = "^.*$"
_OTHER_FORM: Final = "does not have the form that is expected here; look for a typing error"


@dataclass(frozen=True, slots=True)
class Typed:
    """What was typed, with the secrets apart."""

    plain: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, Secret] = field(default_factory=dict)


def unconnectable(platform: Platform) -> str:
    """Why nobody connects an account of his own to ``platform``, as a sentence; ``""`` when people do."""
    kind = platform.definition.auth.kind
    if kind in (AuthKind.NONE, AuthKind.CLIENT_CREDENTIALS):
        return f"`{platform.id}` needs no account of yours: there is nothing to connect"
    if kind is AuthKind.OAUTH2 and not platform.client_id:
        return f"`{platform.id}` has no `client_id` in config/connectors.toml, so that nobody can connect an account"
    return ""


def asked_for(platform: Platform) -> tuple[Input, ...]:
    """The inputs that have to be typed."""
    return tuple(each for each in platform.definition.inputs if each.name not in platform.inputs)


def typed(platform: Platform, given: Mapping[str, str]) -> Typed:
    """``given`` as what is asked for; an empty text counts as nothing typed. Raises ``BadInputs`` with every fault."""
    asked = {each.name: each for each in asked_for(platform)}
    unknown = {name[:80]: "is not asked for" for name in given if name not in asked}
    values = {name: given.get(name, "").strip() or each.default for name, each in asked.items()}
    faults = {name: fault for name, each in asked.items() if (fault := _fault(each, values[name]))}
    if unknown or faults:
        raise BadInputs({**unknown, **faults})
    return Typed(
        {name: value for name, value in values.items() if value and not asked[name].secret},
        {name: Secret(value) for name, value in values.items() if value and asked[name].secret},
    )


def _fault(asked: Input, value: str) -> str:
    if not value:
        return "" if asked.optional else "has to be filled in"
    if len(value) > LONGEST_VALUE:
        return f"is longer than {LONGEST_VALUE} characters"
    if not fits(asked.pattern or _ANYTHING, value):
        return _misfit(asked)
    return ""


def _misfit(asked: Input) -> str:
    """In words for people, who read no regular expressions."""
    if not asked.pattern:
        return "holds characters that cannot be typed"
    return f"does not have the form that is expected here: {asked.help}" if asked.help else _OTHER_FORM
