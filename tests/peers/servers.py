"""The servers that people put behind a gateway, and what is asked of each: a call that passes, one that does not."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

OFFICIAL = "@modelcontextprotocol"


@dataclass(frozen=True)
class Server:
    """``id`` in ``upstreams.toml``; ``package`` is what it is made of. ``tool`` answers ``good`` with ``text``, and a row
    denies it ``bad``; ``hidden`` is denied altogether. ``{folder}`` stands for the folder of this run.
    """

    id: str
    package: str
    transport: str
    tool: str
    good: dict[str, Any]
    text: str
    bad: dict[str, Any]
    hidden: str
    over: str = field(default="", kw_only=True)

    def __str__(self) -> str:
        return self.id

    def arguments(self, given: dict[str, Any], folder: Path) -> dict[str, Any]:
        """``given`` as it is sent."""
        return {
            name: value.replace("{folder}", str(folder)) if isinstance(value, str) else value
            for name, value in given.items()
        }


def _everything(id: str, transport: str) -> Server:
    package, bad = f"{OFFICIAL}/server-everything", {"message": "forbidden"}
    return Server(id, package, transport, "echo", {"message": "hello"}, "Echo: hello", bad, "get-env")


def _bridged(id: str, transport: str) -> Server:
    package, bad = f"{OFFICIAL}/server-memory", {"query": "secret"}
    good = {"query": "nobody"}
    return Server(
        id, package, transport, "search_nodes", good, '"entities": []', bad, "delete_entities", over="supergateway"
    )


def _entity(name: str) -> dict[str, Any]:
    return {"entities": [{"name": name, "entityType": "person", "observations": []}]}


def _file(name: str) -> dict[str, Any]:
    return {"path": f"{{folder}}/files/{name}"}


def _log(count: int) -> dict[str, Any]:
    return {"repo_path": "{folder}/repository", "max_count": count}


def _zone(name: str) -> dict[str, Any]:
    return {"timezone": name}


_FILES, _MEMORY = f"{OFFICIAL}/server-filesystem", f"{OFFICIAL}/server-memory"

SERVERS = (
    _everything("everything", "stdio"),
    _everything("everything-http", "http"),
    _everything("everything-sse", "sse"),
    Server("files", _FILES, "stdio", "read_text_file", _file("note.txt"), "a note", _file("other.txt"), "move_file"),
    Server("memory", _MEMORY, "stdio", "create_entities", _entity("Ann"), "Ann", _entity("secret"), "delete_entities"),
    Server("git", "mcp-server-git", "stdio", "git_log", _log(5), "the first one", _log(6), "git_reset"),
    Server("time", "mcp-server-time", "stdio", "get_current_time", _zone("UTC"), "UTC", _zone("CET"), "convert_time"),
    Server("sums", "mcp", "stdio", "divide", {"a": 1, "b": 2}, "0.5", {"a": 1, "b": 0}, "forget"),
    _bridged("bridged-http", "http"),
    _bridged("bridged-sse", "sse"),
)
