"""From a dump to what would be written: accounts with their roles and shares, tools and prompts with their rows.

Pure: what is there already and the time come in. The rows are those that giving a role, sharing and permitting roles
write; what somebody shared that was not his is not among them.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from msgspec import structs

from connectors.addresses import PUBLIC_ONLY, Exceptions
from connectors.base import Secret
from gateway.custom.names import prompt_object, tool_object
from gateway.custom.reading import Definition
from gateway.identity import normal_email
from gateway.imports.documents import Document, Found, Unreadable
from gateway.imports.made import Ground, called, read_made_prompt, read_made_tool
from gateway.imports.naming import Known
from gateway.imports.people import Person, Received, read_person
from gateway.imports.telling import Remark, Remarks, shown
from gateway.manage.loans import Level
from gateway.manage.share_rows import Terms, allowance, share_grants
from gateway.manage.users import role_grant
from gateway.policy.terms import SYSTEM
from gateway.records import CustomPrompt, CustomTool, Grant, User
from gateway.store.base import Changes

R = TypeVar("R", CustomTool, CustomPrompt)

BY: Final = "import"
"""Who made what an import made."""

SHARE_DAYS: Final = 366
"""How long a share of the dump lasts from its import on: there it had no end."""

DAY_MS: Final = 24 * 60 * 60 * 1000


@dataclass(frozen=True, slots=True)
class Arrival:
    """An account to be made, or (``there``) one that gets the rest of what is its own. ``key`` is the old one."""

    user: User
    key: Secret | None = field(repr=False)
    grants: tuple[Grant, ...]
    there: bool


@dataclass(frozen=True, slots=True)
class Making(Generic[R]):
    """A tool or a prompt to be made, with the rows that say who else may use it."""

    record: R
    grants: tuple[Grant, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """What an import would write, and what it would not."""

    people: tuple[Arrival, ...]
    tools: tuple[Making[CustomTool], ...]
    prompts: tuple[Making[CustomPrompt], ...]
    told: frozenset[str]
    """The ids of all rows that the dump tells of for people, also for those who have an account already."""
    remarks: tuple[Remark, ...]

    @property
    def grants(self) -> tuple[Grant, ...]:
        """Every row of it."""
        making = (*(each.grants for each in self.tools), *(each.grants for each in self.prompts))
        return tuple(grant for rows in (*(each.grants for each in self.people), *making) for grant in rows)


@dataclass(frozen=True, slots=True)
class Given:
    """What an import is told: the collections, what the store holds, which handler packages are installed, which
    hosts tools may reach although they are not public, and whether accounts that are there already get the rest.
    """

    documents: Mapping[str, tuple[Found, ...]] = field(repr=False)
    there: Changes = field(repr=False)
    packages: Collection[str]
    now: int
    private: Exceptions = PUBLIC_ONLY
    existing: bool = False


def plan(given: Given) -> Plan:
    """What would be written."""
    return _Planning(given).plan()


class _Planning:
    def __init__(self, given: Given) -> None:
        self._given = given
        self._remarks = Remarks()
        self._users = {user.id: user for user in given.there.users}
        self._meant: list[CustomTool] = []
        """The tools that the dump means by its names: what it brings, and what an import brought before."""

    def plan(self) -> Plan:
        people = tuple(self._people())
        accounts = {*self._users, *(person.id for person in people)}
        ground = Ground(accounts, self._given.packages, self._given.private, BY, self._given.now)
        tools = tuple(self._tools(ground))
        prompts = tuple(self._prompts(ground))
        known = Known.of(self._meant, self._given.packages)
        arrivals = tuple(self._arrival(person, known) for person in people)
        return Plan(
            tuple(each for each in arrivals if self._wanted(each)),
            tools,
            prompts,
            frozenset(grant.id for each in arrivals for grant in each.grants),
            tuple(self._remarks.all),
        )

    # -- reading the collections

    def _documents(self, collection: str) -> Iterator[Document]:
        for at, found in enumerate(self._given.documents.get(collection, ()), 1):
            if isinstance(found, Unreadable):
                self._remarks.refused(f"{collection} {at}", found.sentence)
            else:
                yield found

    def _people(self) -> Iterator[Person]:
        seen: set[str] = set()
        keys: set[str] = set()
        for document in self._documents("users"):
            person = read_person(document, self._remarks)
            if person is None:
                continue
            if person.id in seen:
                self._remarks.refused(f"user {shown(document.get('email'))}", "another one has this address already")
                continue
            seen.add(person.id)
            yield self._with_own_key(person, keys)

    def _with_own_key(self, person: Person, keys: set[str]) -> Person:
        """One key proves one person: who comes with a key of another gets a new one."""
        text = person.key.reveal() if person.key else ""
        if not text or text not in keys:
            keys.add(text)
            return person
        self._remarks.refused(f"user {person.id}", "has the same key as another: a new one is made")
        return person.without_key()

    def _wanted(self, arrival: Arrival) -> bool:
        if self._given.existing or not arrival.there:
            return True
        told = "has an account here already, which stays as it is (`--existing` adds key, roles and shares)"
        self._remarks.left(f"user {arrival.user.id}", told)
        return False

    # -- tools and prompts

    def _tools(self, ground: Ground) -> Iterator[Making[CustomTool]]:
        found = {tool.id: tool for tool in self._given.there.tools}
        there = set(found)
        for document in self._documents("tools"):
            read = read_made_tool(document, ground, self._remarks)
            if read is None:
                continue
            if found.get(read.record.id, read.record).by == BY:
                self._meant.append(read.record)
            if self._new("tool", read.record, there):
                yield Making(read.record, tuple(self._permitted(tool_object(read.record.name), read)))

    def _prompts(self, ground: Ground) -> Iterator[Making[CustomPrompt]]:
        there = {prompt.id for prompt in self._given.there.prompts}
        for document in self._documents("prompts"):
            read = read_made_prompt(document, ground, self._remarks)
            if read is not None and self._new("prompt", read.record, there):
                yield Making(read.record, tuple(self._permitted(prompt_object(read.record.name), read)))

    def _permitted(self, object: str, read: Definition[R]) -> Iterator[Grant]:
        """What lets everybody in a role use it."""
        for role in read.roles or ():
            terms = Terms(f"role:{role}", read.record.owner, object, Level.READ)
            yield from share_grants(terms, made_by=BY, now=self._given.now, expires_at=None)

    def _new(self, kind: str, record: CustomTool | CustomPrompt, there: set[str]) -> bool:
        if record.id in there:
            self._remarks.left(called(kind, record.owner, record.name), "is there already, and stays as it is")
            return False
        there.add(record.id)
        return True

    # -- accounts

    def _arrival(self, person: Person, known: Known) -> Arrival:
        there = self._users.get(person.id)
        hidden = tuple(self._hidden(person, known))
        if there is None:
            user = User(id=person.id, name=person.name, hidden=hidden, created_at=self._given.now)
        else:
            user = structs.replace(there, hidden=tuple(dict.fromkeys((*there.hidden, *hidden))))
        rows = [*self._roles(person), *self._shares(person, known), *self._allowances(person, known)]
        return Arrival(user, person.key, tuple({grant.id: grant for grant in rows}.values()), there is not None)

    def _roles(self, person: Person) -> Iterator[Grant]:
        return (role_grant(person.id, role, author=BY, now=self._given.now) for role in person.roles)

    def _shares(self, person: Person, known: Known) -> Iterator[Grant]:
        for each in person.received:
            what = f"share of {shown(each.tool)} with {person.id}"
            try:
                yield from self._share(person, each, known)
            except ValueError as error:
                self._remarks.refused(what, str(error))

    def _share(self, person: Person, received: Received, known: Known) -> tuple[Grant, ...]:
        """Raises ``ValueError`` with a sentence."""
        by = f"user:{normal_email(received.by)}"
        owner, name = known.custom(received.tool, by)
        if owner != by:
            raise ValueError(f"`{shown(received.by)}` shared what was not his: let its owner share it")
        if owner == person.subject:
            return ()
        if received.level not in tuple(Level):
            raise ValueError(f"the level `{shown(received.level)}` is not one of `read`, `write`")
        terms = Terms(person.subject, owner, tool_object(name), Level(received.level))
        ends = self._given.now + SHARE_DAYS * DAY_MS
        return share_grants(terms, made_by=by, now=received.at or self._given.now, expires_at=ends)

    def _allowances(self, person: Person, known: Known) -> Iterator[Grant]:
        for tool in person.allowed:
            what = f"allowed tool {shown(tool)} of {person.id}"
            try:
                owner, object = known.allowed(tool, person.subject)
            except LookupError as told:
                self._remarks.left(what, str(told.args[0]))
                continue
            except ValueError as error:
                self._remarks.refused(what, str(error))
                continue
            if owner != person.subject:
                yield self._allowance(person, owner, object)

    def _allowance(self, person: Person, owner: str, object: str) -> Grant:
        """What an administrator let him use: of nobody's as a row alone, of another's as what that one shares."""
        now = self._given.now
        if owner in ("self", SYSTEM):
            return allowance(person.subject, owner, object, made_by=BY, now=now)
        terms = Terms(person.subject, owner, object, Level.READ)
        (grant,) = share_grants(terms, made_by=BY, now=now, expires_at=now + SHARE_DAYS * DAY_MS)
        return grant

    def _hidden(self, person: Person, known: Known) -> Iterator[str]:
        for tool in person.hidden:
            address = known.address(tool, person.subject)
            if address:
                yield address
            else:
                self._remarks.left(f"hidden tool {shown(tool)} of {person.id}", "there is no such tool here")
