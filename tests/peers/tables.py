"""What was found, as the two tables that stand in ``docs/protocol.md`` between two marks."""

import json
from importlib.metadata import distributions
from pathlib import Path

from tests.clients.talking import ENVIRONMENTS
from tests.corridor.house import ROOT
from tests.documents import written
from tests.peers.clients import BRIDGES, CLIENTS, Client
from tests.peers.house import MODULES
from tests.peers.servers import SERVERS, Server
from tests.peers.site import Site

MARK = "peers"

PACKAGES: dict[str, tuple[str, Path | None, str]] = {
    "python-v1": ("Python SDK v1", ENVIRONMENTS / "sdk-v1", "mcp"),
    "python-v2": ("Python SDK v2", None, "mcp"),
    "typescript-v1": ("TypeScript SDK v1", ROOT / "tests" / "clients", "@modelcontextprotocol/sdk"),
    "typescript-v2": ("TypeScript SDK v2", ROOT / "tests" / "clients", "@modelcontextprotocol/client"),
    "fastmcp": ("fastmcp", ENVIRONMENTS / "peers", "fastmcp"),
    "inspector": ("MCP Inspector, command line", MODULES.parent, "@modelcontextprotocol/inspector"),
    "mcp-remote": ("mcp-remote", MODULES.parent, "mcp-remote"),
    "supergateway": ("supergateway", MODULES.parent, "supergateway"),
    "mcp-server-git": ("mcp-server-git", ENVIRONMENTS / "upstreams", "mcp-server-git"),
    "mcp-server-time": ("mcp-server-time", ENVIRONMENTS / "upstreams", "mcp-server-time"),
    "mcp": ("a server on the Python SDK v2", None, "mcp"),
}
"""What stands in a table → its name for people, where it is installed (``None``: with the tests), its package."""


def rendered(site: Site) -> str:
    """Both tables, with every client and server asked that was not yet."""
    clients = ([*_client(each), site.visit(each).revision] for each in CLIENTS)
    servers = ([*_server(each), site.revisions[each.id], str(len(site.offered[each.id]))] for each in SERVERS)
    return "\n".join(
        (
            written(("client", "version", "to the gateway over", "told to speak", "revision agreed"), clients),
            written(("server", "version", "to the gateway over", "revision agreed", "tools"), servers),
        )
    )


def _client(client: Client) -> tuple[str, ...]:
    name, version = _named(client.name)
    if client.name in BRIDGES:
        name += ", for a client on standard input and output"
    return name, version, f"`/{'sse' if client.transport == 'sse' else 'mcp'}`", client.mode


def _server(server: Server) -> tuple[str, ...]:
    name, version = _named(server.package)
    if server.over:
        bridge, its = _named(server.over)
        name, version = f"{name} behind {bridge}", f"{version}, {its}"
    return name, version, server.transport


def _named(word: str) -> tuple[str, str]:
    """For people, with the version that is installed."""
    name, where, package = PACKAGES.get(word, (word, MODULES.parent, word))
    if where is not None and (manifest := where / "node_modules" / package / "package.json").exists():
        return name, str(json.loads(manifest.read_text())["version"])
    path = {} if where is None else {"path": [str(each) for each in where.glob("lib/python3.*/site-packages")]}
    [version] = {each.version for each in distributions(name=package, **path)}
    return name, version
