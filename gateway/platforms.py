"""The platforms in use: what operators set, put together with the definitions in their folders and in ours.

Definitions are read again when their files change. A definition or a setting that does not fit leaves the last good
platform in place, and is told in ``problems``. This file knows no connection and no request.
"""

import asyncio
import logging
import re
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from connectors import addresses
from connectors.base import Secret
from connectors.definition.fixing import fixed_inputs
from connectors.definition.folder import SHIPPED, Definitions, read_folders
from connectors.definition.platform import Platform, relocated
from connectors.definition.terms import AuthKind, ClientAuth, Definition, Input
from gateway.policy.terms import Place, Problem
from gateway.settings import ConnectorSettings, Settings
from gateway.settings.values import suggestion

EVERY_S: Final = 2.0
ACCESS_TOKEN: Final = "access_token"  # noqa: S105 (the name of a template's field)

Marks: TypeAlias = frozenset[tuple[str, int, int, int]]

_OTHERS_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH
_OAUTH: Final = (AuthKind.OAUTH2, AuthKind.CLIENT_CREDENTIALS)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Reading:
    platforms: Mapping[str, Platform]
    problems: tuple[Problem, ...]


class Platforms:
    """Every connector's platform by its id, as of the last ``look``; the first is taken when this is made."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._listeners: list[Callable[[frozenset[str]], None]] = []
        self._marks: Marks = frozenset()
        self.current: Mapping[str, Platform] = {}
        self.problems: tuple[Problem, ...] = ()
        self.look()

    def watch(self, listener: Callable[[frozenset[str]], None]) -> None:
        """Call ``listener`` with the ids of what changed, from now on."""
        self._listeners.append(listener)

    def problems_of(self, id: str) -> list[Problem]:
        """Why there is no platform for connector ``id``: what is wrong with its settings, or with its definition."""
        beginning = f"`connectors.{id}`:"
        return [each for each in self.problems if each.sentence.startswith(beginning)] or list(self.problems)

    def look(self) -> frozenset[str]:
        """Read definitions again if a file of them changed; the ids of the platforms that are others now."""
        marks = self._seen()
        if marks == self._marks:
            return frozenset()
        return self._take(marks, self._read())

    async def run(self, every_s: float = EVERY_S) -> None:
        """``look`` every so often, with the reading beside the event loop, for as long as it is not cancelled."""
        while True:
            await asyncio.sleep(every_s)
            marks = await asyncio.to_thread(self._seen)
            if marks != self._marks:
                self._take(marks, await asyncio.to_thread(self._read))

    def _seen(self) -> Marks:
        return frozenset(mark for folder in (SHIPPED, *self._settings.definition_folders) for mark in _marks(folder))

    def _read(self) -> _Reading:
        folders = self._settings.definition_folders
        if exposed := [problem for folder in folders for problem in _exposed(folder)]:
            return _Reading({}, tuple(exposed))
        definitions = read_folders((SHIPPED, *folders))
        platforms: dict[str, Platform] = {}
        problems = [*definitions.problems]
        for settings in self._settings.connectors:
            use = _Use(settings, f"{self._settings.folder.name}/connectors.toml")
            if (platform := use.platform(definitions)) is not None:
                platforms[settings.id] = platform
            problems += use.problems
        return _Reading(platforms, tuple(problems))

    def _take(self, marks: Marks, reading: _Reading) -> frozenset[str]:
        for problem in reading.problems:
            if problem not in self.problems:
                log.error("%s", problem)
        changed = frozenset(id for id, each in reading.platforms.items() if self.current.get(id) != each)
        self._marks, self.problems = marks, reading.problems
        self.current = {**self.current, **reading.platforms}
        for listener in self._listeners if changed else ():
            listener(changed)
        return changed


class _Use:
    """One definition put to use; ``problems`` gather on the way."""

    def __init__(self, settings: ConnectorSettings, file: str) -> None:
        self.settings, self._file = settings, file
        self.problems: list[Problem] = []

    def platform(self, definitions: Definitions) -> Platform | None:
        """``None`` when anything does not fit, told in ``problems``."""
        settings = self.settings
        definition = definitions.by_id.get(settings.definition)
        if definition is None:
            known = suggestion(settings.definition, definitions.by_id)
            self._problem(f"there is no definition `{settings.definition}` that can be used{known}")
            return None
        self._check(definition)
        exceptions = addresses.parse(settings.private_hosts)
        moved = self._moved(definition)
        if self.problems or moved is None or isinstance(exceptions, list):
            return None
        oauth = definition.auth.oauth
        asked = () if oauth is None else oauth.scopes.default
        return Platform(
            id=settings.id,
            definition=moved,
            client_id=settings.client_id,
            client_secret=settings.client_secret,
            scopes=asked if settings.scopes is None else settings.scopes,
            inputs=settings.inputs,
            exceptions=exceptions,
        )

    def _moved(self, definition: Definition) -> Definition | None:
        try:
            return relocated(definition, self.settings.at)
        except ValueError as error:
            self._problem(f"`at`: {error}")
            return None

    def _check(self, definition: Definition) -> None:
        self._check_client(definition)
        inputs = {each.name: each for each in definition.inputs}
        for name, value in self.settings.inputs.items():
            self._check_input(name, value, inputs)
        for name in sorted(fixed_inputs(definition) - self.settings.inputs.keys()):
            self._problem(f"`inputs` needs `{name}`: it says where the client's secret goes, so nobody else may")
        if self.settings.credential:
            self._check_credential(definition)

    def _check_client(self, definition: Definition) -> None:
        settings, oauth = self.settings, definition.auth.oauth
        if definition.auth.kind not in _OAUTH or oauth is None:
            if settings.client_id or settings.scopes is not None:
                self._problem(f"`{definition.id}` is not reached by OAuth: it has no `client_id` and no `scopes`")
            return
        if not settings.client_id and not settings.credential:
            self._problem("needs `client_id`: register an application with the platform")
        if settings.client_id and settings.client_secret is None and oauth.client_auth is not ClientAuth.NONE:
            self._problem("needs `client_secret`, which came with `client_id`")

    def _check_input(self, name: str, value: str, inputs: Mapping[str, Input]) -> None:
        if (known := inputs.get(name)) is None:
            self._problem(f"`inputs.{name}`: `{self.settings.definition}` has no such input{suggestion(name, inputs)}")
        elif known.secret:
            self._problem(f"`inputs.{name}` is a secret; hand it over in `credential`")
        elif re.fullmatch(known.pattern, value) is None:
            self._problem(f"`inputs.{name}` is `{value}`, which does not match `{known.pattern}`")

    def _check_credential(self, definition: Definition) -> None:
        given, kind = self.settings.credential, definition.auth.kind
        if kind is AuthKind.CLIENT_CREDENTIALS:
            self._problem("`credential` does not belong here: `client_id` and `client_secret` are the credential")
            return
        secret = {each.name: each for each in definition.inputs if each.secret}
        if kind is AuthKind.OAUTH2:
            secret = {ACCESS_TOKEN: _ANY}
        for name, value in given.items():
            self._check_secret(name, value, secret)
        for each in (*secret.values(), *definition.inputs):
            optional = each.optional or each.default
            if each.name not in given and each.name not in self.settings.inputs and not optional:
                self._problem(f"`{'credential' if each.secret else 'inputs'}` needs `{each.name}`")

    def _check_secret(self, name: str, value: Secret, known: Mapping[str, Input]) -> None:
        if name not in known:
            self._problem(f"`credential.{name}`: there is no such secret{suggestion(name, known)}")
        elif re.fullmatch(known[name].pattern, value.reveal()) is None:
            self._problem(f"`credential.{name}` does not match `{known[name].pattern}`")

    def _problem(self, sentence: str) -> None:
        self.problems.append(Problem(Place(self._file), f"`connectors.{self.settings.id}`: {sentence}"))


_ANY: Final = Input(name=ACCESS_TOKEN, label="", pattern=r"[\x21-\x7e]+", secret=True)


def _marks(folder: Path) -> Iterator[tuple[str, int, int, int]]:
    """What changes when a file of the folder does; of one that is gone, or not to be looked at, nothing."""
    try:
        for path in (folder, *folder.iterdir()):
            found = path.stat()
            yield str(path), found.st_mtime_ns, found.st_size, found.st_mode
    except OSError:
        return


def _exposed(folder: Path) -> list[Problem]:
    """Who can write a definition sends the credentials of everybody where he likes."""
    writable = sorted(name for name, _, _, mode in _marks(folder) if mode & _OTHERS_WRITE)
    sentence = "others can write it; run `chmod go-w` on it"
    return [Problem(Place(str(Path(name).relative_to(folder.parent))), sentence) for name in writable]
