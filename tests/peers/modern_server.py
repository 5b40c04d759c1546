"""A server as people write them on the Python SDK v2: three tools over standard input and output."""

from mcp.server.mcpserver import MCPServer

server = MCPServer("sums")


@server.tool()
def add(a: int, b: int) -> int:
    """The sum of two numbers."""
    return a + b


@server.tool()
def divide(a: float, b: float) -> float:
    """The quotient of two numbers."""
    return a / b


@server.tool()
def forget() -> str:
    """Forgets every sum."""
    return "forgotten"


if __name__ == "__main__":
    server.run("stdio")
