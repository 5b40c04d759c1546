"""What the first and every later start say: the key once, and how a client is pointed at us."""

import json
import shlex

from gateway.letters import client_config
from gateway.manage.users import IssuedKey
from gateway.mcp.terms import MODERN_VERSIONS
from gateway.settings import Settings


def new_admin(settings: Settings, issued: IssuedKey) -> str:
    """The words of the first start. They hold the key: they are for the terminal, never for a log."""
    key = issued.key.reveal()
    return f"""
Created the administrator {issued.user} (MCP_ADMIN_EMAIL or [admin] email names another before the first start).

  API key, shown this once:  {key}

For the configuration of an MCP client:

{client_config(settings, key)}

To see what you may use:

{_curl(settings, key)}
"""


def known_accounts(settings: Settings) -> str:
    """The words of every later start."""
    return f"""
{settings.name} at {settings.public_url}/mcp
Keys were shown when they were made. To end one and make another: ostiary users reset-key EMAIL
"""


def _curl(settings: Settings, key: str) -> str:
    """One line that lists the tools, in the protocol revision that needs no session."""
    version = MODERN_VERSIONS[0]
    meta = {
        "io.modelcontextprotocol/protocolVersion": version,
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": {"name": "curl", "version": "1"},
    }
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": meta}})
    headers = {
        "x-apikey": key,
        "content-type": "application/json",
        "accept": "application/json, text/event-stream",
        "mcp-protocol-version": version,
        "mcp-method": "tools/list",
    }
    words = [word for name, value in headers.items() for word in ("-H", shlex.quote(f"{name}: {value}"))]
    return " ".join(["curl", "-s", f"{settings.public_url}/mcp", *words, "-d", shlex.quote(body)])
