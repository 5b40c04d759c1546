"""``upstreams.toml`` and ``servers.toml``: the servers behind us, and those that we offer."""

import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from connectors import addresses
from connectors.base import Secret, Sharing, UpstreamSpec
from gateway.mcp.terms import Era
from gateway.settings.personal import read_personal
from gateway.settings.terms import Names, ServerMode, ServerSpec
from gateway.settings.values import References, Table, looks_secret, suggestion

CUSTOM: Final = "custom"
"""Stands among the upstreams of a server for what users made."""

RESERVED: Final = (CUSTOM, "gateway", "http", "main", "system")
REFERENCE: Final = '`{ env = "NAME" }` or `{ file = "PATH" }`'
"""How a secret is written in a file."""

_ID: Final = re.compile(r"[a-z0-9](?:-?[a-z0-9]){0,31}")
_TOOL: Final = re.compile(r"[^\s*]+\*?|\*")
_HEADER: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class _Transport(StrEnum):
    """What the operator may write; ``STDIO`` follows from a command."""

    STDIO = "stdio"
    HTTP = "http"
    SSE = "sse"


class _Level(StrEnum):
    READ = "read"
    WRITE = "write"
    DESTRUCTIVE = "destructive"


def identifier(text: str) -> str:
    """``text`` as the id of an upstream or server; ``ValueError`` with a sentence."""
    if _ID.fullmatch(text) is None:
        raise ValueError(f"`{text}` is not an id: up to 32 of a to z, 0 to 9 and single hyphens between them")
    if text in RESERVED:
        raise ValueError(f"`{text}` is reserved; choose another id")
    return text


def read_upstreams(root_table: Table, references: References, root: Path) -> tuple[UpstreamSpec, ...]:
    """Every ``[upstreams.ID]``; relative commands and folders start at ``root``."""
    return tuple(_upstream(id, table, references, root) for id, table in named(root_table, "upstreams"))


def read_servers(root_table: Table, known: tuple[str, ...]) -> tuple[ServerSpec, ...]:
    """Every ``[servers.ID]`` over the upstreams and connectors that there are, by their ids."""
    return tuple(_server(id, table, known) for id, table in named(root_table, "servers"))


def named(root_table: Table, key: str) -> list[tuple[str, Table]]:
    """The tables below ``key`` by their ids; nothing else may stand in the file but what was asked for before."""
    tables = root_table.table(key)
    root_table.close()
    for id in tables.names():
        try:
            identifier(id)
        except ValueError as error:
            tables.problem(f"`{key}.{id}`: {error}", id)
    return [(id, tables.table(id)) for id in tables.names()]


def _upstream(id: str, table: Table, references: References, root: Path) -> UpstreamSpec:
    command = table.texts("command", _word)
    url = table.parsed("url", _url, "")
    transport = _transport(table, stdio=bool(command), http=bool(url))
    stdio = transport is _Transport.STDIO
    sharing = table.choice("sharing", Sharing, Sharing.ALL if stdio else Sharing.PRINCIPAL)
    headers = _secrets(table, "headers", references, _HEADER, plain=False)
    spec = UpstreamSpec(
        id=id,
        transport=transport,
        command=_located(command, root),
        env=_secrets(table, "env", references, _VARIABLE, plain=True),
        cwd=str(root / table.text("cwd")) if stdio else table.text("cwd"),
        url=url,
        headers=headers,
        personal=read_personal(table, references, http=not stdio, sharing=sharing, headers=headers),
        sharing=sharing,
        private_hosts=table.texts("private_hosts", private_host),
        tools=_tools(table.table("tools")),
        trust_hints=table.flag("trust_hints", False),
        trust=table.flag("trust", False),
        open_world=table.flag("open_world", True),
        tags=table.texts("tags", _word),
        era=table.choice("era", Era, Era.LEGACY) if table.has("era") else None,
        timeout=table.number("timeout_s", 60.0, 1, 3600),
        start_timeout=table.number("start_timeout_s", 20.0, 1, 600),
        max_processes=table.integer("max_processes", 16, 1, 1000),
        idle_after=table.number("idle_after_s", 300.0, 1, 86_400),
    )
    foreign = ("url", "headers", "private_hosts") if stdio else ("command", "env", "cwd")
    for key in foreign:
        if table.has(key) and (command or url):
            table.problem(f"`{key}` does not belong to an upstream of transport `{transport}`", key)
    table.close()
    return spec


def _transport(table: Table, *, stdio: bool, http: bool) -> _Transport:
    """What is written, or what follows from ``command`` or ``url``."""
    if not stdio and not http and not table.has("command") and not table.has("url"):
        table.problem("an upstream needs either `command` (a list of words) or `url`")
    inferred = _Transport.STDIO if stdio else _Transport.HTTP
    chosen = table.choice("transport", _Transport, inferred)
    if (chosen is _Transport.STDIO) != (inferred is _Transport.STDIO):
        table.problem(f"transport `{chosen}` does not go with {'`command`' if stdio else '`url`'}", "transport")
        return inferred
    return chosen


def _located(command: tuple[str, ...], root: Path) -> tuple[str, ...]:
    """A program named by a relative path starts at ``root``; a bare name is searched for in ``PATH``."""
    if not command or "/" not in command[0]:
        return command
    return (str(root / command[0]), *command[1:])


def _secrets(
    table: Table, key: str, references: References, name: re.Pattern[str], *, plain: bool
) -> Mapping[str, Secret]:
    forms = f'{REFERENCE}, or `{{ value = "…" }}` when it is no secret' if plain else REFERENCE
    entries = table.table(key, f"a table of {forms}")
    found: dict[str, Secret] = {}
    for each in entries.names():
        if name.fullmatch(each) is None:
            entries.problem(f"`{key}.{each}` is not a name that can be sent", each)
        entry = entries.table(each, forms)
        prefix = "" if plain else entry.text("prefix", most=100)
        if (secret := entry.reference(references, plain=plain, more=() if plain else ("prefix",))) is None:
            continue
        text = prefix + secret.reveal()
        if "\0" in text or (not plain and not (text.isascii() and text.isprintable())):
            entries.problem(
                f"`{key}.{each}`: what the reference leads to cannot be sent; it holds control characters", each
            )
        found[each] = Secret(text)
    return found


def _tools(table: Table) -> Mapping[str, str]:
    levels: dict[str, str] = {}
    for name in table.names():
        if _TOOL.fullmatch(name) is None:
            table.problem(f"`{name}` is not a tool name; `*` may stand at its end only", name)
        levels[name] = table.choice(name, _Level, _Level.DESTRUCTIVE).value
    return levels


def _server(id: str, table: Table, known: tuple[str, ...]) -> ServerSpec:
    offered = table.texts("upstreams", _one_of((*known, CUSTOM)))
    single = len(offered) == 1 and CUSTOM not in offered
    mode = table.choice("mode", ServerMode, ServerMode.UPSTREAM if single else ServerMode.DIRECT)
    names = table.choice("names", Names, Names.BARE if mode is ServerMode.UPSTREAM else Names.PREFIXED)
    if not offered and not table.has("upstreams"):
        table.problem("a server needs `upstreams`, a list of ids of `upstreams.toml` and `connectors.toml`")
    if len(set(offered)) != len(offered):
        table.problem("`upstreams` names one upstream twice", "upstreams")
    if not single and mode is ServerMode.UPSTREAM:
        table.problem("mode `upstream` presents exactly one upstream", "mode")
    elif not single and names is Names.BARE:
        table.problem("names `bare` need exactly one upstream, or two tools could have one name", "names")
    spec = ServerSpec(
        id=id,
        upstreams=tuple(each for each in offered if each != CUSTOM),
        mode=mode,
        names=names,
        custom=CUSTOM in offered,
        instructions=table.text("instructions", most=20_000),
    )
    table.close()
    return spec


def _one_of(known: tuple[str, ...]) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in known:
            raise ValueError(f"there is no upstream or connector `{text}`{suggestion(text, known)}")
        return text

    return parse


def _word(text: str) -> str:
    if not text or "\0" in text:
        raise ValueError("a word is empty or holds a zero byte")
    if looks_secret(text):
        raise ValueError("a word looks like a secret; hand it over in `env`")
    return text


def _url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or not (text.isascii() and text.isprintable()):
        raise ValueError("is to be an `http` or `https` URL")
    if parts.username or parts.password or looks_secret(text):
        raise ValueError(f"carries a secret; send it in `headers` as {REFERENCE}")
    return text


def private_host(text: str) -> str:
    """``text`` as an exception to the address guard; ``ValueError`` with a sentence."""
    match addresses.parse((text,)):
        case [sentence]:
            raise ValueError(sentence)
    return text
