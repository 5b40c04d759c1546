"""The official Python SDK's server with the tool of the benchmark and nothing else: no key, no policy, no record.

Run in an environment of its own: ``python sdk_server.py PORT``.
"""

import sys

from mcp.server import MCPServer

server = MCPServer("bench")


@server.tool()
def echo(text: str) -> str:
    """Says what it is told."""
    return text


if __name__ == "__main__":
    server.run(transport="streamable-http", host="127.0.0.1", port=int(sys.argv[1]))
