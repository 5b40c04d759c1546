"""Prompts that users made, behind the seam behind which everything stands: what answers is their text, filled in.

This file sends nothing and asks nobody.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from connectors.base import NOTHING_ASKED, Caller, Catalogue, Change, UpstreamError
from gateway.custom.names import CUSTOM
from gateway.custom.prompts import rendered
from gateway.mcp.calls import METHOD_NOT_FOUND
from gateway.mcp.terms import Era, Params
from gateway.records import CustomPrompt


@dataclass(frozen=True, slots=True)
class Rendering:
    """The connector of one prompt, and the connection of whoever gets it; nobody's account is needed."""

    prompt: CustomPrompt
    id: str = CUSTOM
    era: Era = Era.MODERN

    def owners(self, subject: str) -> tuple[str, ...]:  # noqa: ARG002 (whoever asks)
        return (self.prompt.owner,)

    async def catalogue(self, principal: str, capabilities: Params = NOTHING_ASKED) -> Catalogue:  # noqa: ARG002
        return Catalogue({})

    def holds(self, owner: str) -> bool:  # noqa: ARG002 (there is nothing to hold)
        return True

    def owner(self, credential: str) -> str:  # noqa: ARG002 (there are none)
        return ""

    async def open(
        self,
        principal: str,  # noqa: ARG002 (it is the same for everybody)
        owner: str,  # noqa: ARG002
        capabilities: Params = NOTHING_ASKED,  # noqa: ARG002
        *,
        credential: str = "",  # noqa: ARG002
    ) -> "Rendering":
        return self

    async def send(self, method: str, params: Params, caller: Caller) -> Params:  # noqa: ARG002 (who is told nothing)
        """The prompt, or no proposals for its arguments. Raises ``InvalidArguments``."""
        match method:
            case "prompts/get":
                return rendered(self.prompt, cast("Params", params.get("arguments", {})))
            case "completion/complete":
                return {"completion": {"values": [], "total": 0, "hasMore": False}}
            case _:
                raise UpstreamError(METHOD_NOT_FOUND, "prompts are got, and nothing else")

    def watch(self, listener: Callable[[Change], None]) -> None:
        """A changed prompt is another one."""

    async def close(self) -> None:
        """Nothing was opened."""
