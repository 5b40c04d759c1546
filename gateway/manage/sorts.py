"""The two sorts of things that users make, tools and prompts, as far as making them differs.

Nothing here asks or acts.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeVar

from gateway.custom import prompts, tools
from gateway.custom.calling import Called, declared_by, read_call
from gateway.custom.known import Custom, Made
from gateway.custom.names import prompt_object, tool_object
from gateway.custom.reading import Definition, changed_tool, read_tool, tool_misfits
from gateway.custom.reading_prompts import changed_prompt, prompt_misfits, read_prompt
from gateway.mcp.terms import Params
from gateway.policy.terms import Json
from gateway.records import CustomPrompt, CustomTool
from gateway.store.base import Records, Store

R = TypeVar("R", CustomTool, CustomPrompt)


class Sort(Protocol[R]):
    """``word`` is what people call it."""

    @property
    def word(self) -> str: ...

    def object(self, name: str) -> str:
        """What the policy calls it."""

    def records(self, store: Store) -> Records[R]: ...

    def made(self, custom: Custom) -> Made[R]: ...

    def read(self, given: Mapping[str, Json], *, owner: str, by: str, now: int) -> Definition[R] | list[str]:
        """A definition as its maker writes it, or all that is wrong with it."""

    def changed(self, record: R, updates: Mapping[str, Json], *, by: str, now: int) -> Definition[R] | list[str]: ...

    def misfits(self, updates: Mapping[str, Json]) -> list[str]:
        """What is wrong with ``updates``, whatever they are made to."""

    def changes(self, updates: Mapping[str, Json]) -> list[str]:
        """What they change, as conditions may ask of it (``args.changes``)."""

    def passes_more(self, before: R, after: R) -> bool:
        """Whether ``after`` hands on arguments of a call that ``before`` did not."""

    def document(self, record: R) -> Params:
        """The definition from which the very same record would be read again."""

    def called(self, record: R) -> Called | None:
        """What it calls; ``None`` where that is nothing, or cannot be read."""

    def handler(self, record: R) -> Params:
        """What conditions may ask of how it works (``args.handler``)."""


@dataclass(frozen=True, slots=True)
class Tools:
    """``packages`` are the handler packages that there are (``None``: not looked at)."""

    packages: Collection[str] | None = None
    word: str = "tool"

    def object(self, name: str) -> str:
        return tool_object(name)

    def records(self, store: Store) -> Records[CustomTool]:
        return store.tools

    def made(self, custom: Custom) -> Made[CustomTool]:
        return custom.tools

    def read(self, given: Mapping[str, Json], *, owner: str, by: str, now: int) -> Definition[CustomTool] | list[str]:
        return read_tool(given, owner=owner, by=by, now=now, packages=self.packages)

    def changed(
        self, record: CustomTool, updates: Mapping[str, Json], *, by: str, now: int
    ) -> Definition[CustomTool] | list[str]:
        return changed_tool(record, updates, by=by, now=now, packages=self.packages)

    def misfits(self, updates: Mapping[str, Json]) -> list[str]:
        return tool_misfits(updates)

    def changes(self, updates: Mapping[str, Json]) -> list[str]:
        return sorted(updates)

    def passes_more(self, before: CustomTool, after: CustomTool) -> bool:
        """Arguments that are declared and that no template reads are handed on as they are, so that declaring one more
        lets callers say what its maker had left out.
        """
        then, now = self.called(before), self.called(after)
        return then is None or now is None or not now.mapping.passed <= then.mapping.passed

    def document(self, record: CustomTool) -> Params:
        return tools.document(record)

    def called(self, record: CustomTool) -> Called | None:
        called = read_call(record.handler, declared_by(record.schema))
        return None if isinstance(called, list) else called

    def handler(self, record: CustomTool) -> Params:
        called = self.called(record)
        return {"type": record.handler.type} if called is None else called.told


@dataclass(frozen=True, slots=True)
class Prompts:
    """Prompts are texts: nothing of them runs."""

    word: str = "prompt"

    def object(self, name: str) -> str:
        return prompt_object(name)

    def records(self, store: Store) -> Records[CustomPrompt]:
        return store.prompts

    def made(self, custom: Custom) -> Made[CustomPrompt]:
        return custom.prompts

    def read(self, given: Mapping[str, Json], *, owner: str, by: str, now: int) -> Definition[CustomPrompt] | list[str]:
        return read_prompt(given, owner=owner, by=by, now=now)

    def changed(
        self, record: CustomPrompt, updates: Mapping[str, Json], *, by: str, now: int
    ) -> Definition[CustomPrompt] | list[str]:
        return changed_prompt(record, updates, by=by, now=now)

    def misfits(self, updates: Mapping[str, Json]) -> list[str]:
        return prompt_misfits(updates)

    def passes_more(self, before: CustomPrompt, after: CustomPrompt) -> bool:  # noqa: ARG002 - it hands on nothing
        return False

    def changes(self, updates: Mapping[str, Json]) -> list[str]:
        """The handler of a prompt is its texts."""
        return sorted("messages" if name == "handler" else name for name in updates)

    def document(self, record: CustomPrompt) -> Params:
        return prompts.document(record)

    def called(self, record: CustomPrompt) -> None:  # noqa: ARG002 - it calls nothing, whichever it is
        return None

    def handler(self, record: CustomPrompt) -> Params:  # noqa: ARG002 - it only has texts, whichever it is
        return {"type": prompts.TEMPLATE}
