"""Every tool and prompt that users made, as of one moment: by id, and by owner. Never changed in place.

Here are the records as the store holds them; this file knows no store and no policy.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from gateway.records import CustomPrompt, CustomTool

R = TypeVar("R", CustomTool, CustomPrompt)


@dataclass(frozen=True, slots=True)
class Made(Generic[R]):
    """Records of one kind; those of one owner stand in order of name."""

    by_id: Mapping[str, R] = field(default_factory=dict)
    by_owner: Mapping[str, tuple[R, ...]] = field(default_factory=dict)

    def get(self, owner: str, name: str) -> R | None:
        return self.by_id.get(f"{owner}/{name}")

    def of(self, owner: str) -> tuple[R, ...]:
        """Those that ``owner`` made, in order of name."""
        return self.by_owner.get(owner, ())

    def changed(self, put: Iterable[R], gone: Iterable[str] = ()) -> "Made[R]":
        """The next moment: records put in, ids taken out; this one where nothing is to be done."""
        fresh: dict[str, R] = {record.id: record for record in put}
        former: dict[str, R] = {id: self.by_id[id] for id in {*fresh, *gone} if id in self.by_id}
        if not fresh and not former:
            return self
        by_id = {id: each for id, each in self.by_id.items() if id not in former} | fresh
        by_owner = dict(self.by_owner)
        theirs: dict[str, list[R]] = {each.owner: [] for each in former.values()}
        for each in fresh.values():
            theirs.setdefault(each.owner, []).append(each)
        for owner, mine in theirs.items():
            mine[:0] = [each for each in by_owner.pop(owner, ()) if each.id not in former]
            if mine:
                by_owner[owner] = tuple(sorted(mine, key=lambda each: each.name))
        return Made(by_id, by_owner)

    def moved(self, before: "Made[R]") -> frozenset[str]:
        """Whose records are others than ``before``."""
        owners = self.by_owner.keys() | before.by_owner.keys()
        return frozenset(each for each in owners if self.by_owner.get(each) is not before.by_owner.get(each))


@dataclass(frozen=True, slots=True)
class Custom:
    """What users made."""

    tools: Made[CustomTool] = field(default_factory=Made)
    prompts: Made[CustomPrompt] = field(default_factory=Made)


NOTHING_MADE: Final = Custom()


def record_id(owner: str, name: str) -> str:
    """The id of what ``owner`` made under that name."""
    return f"{owner}/{name}"
