"""What the tests of handler packages share: one in few words, and a call of it."""

from types import SimpleNamespace

from connectors.base import QUIET
from connectors.packages.connector import PackageConnector
from connectors.packages.package import Package, read_package

ANN = "user:ann@example.com"
FORECAST = {
    "name": "forecast",
    "description": "Tells the weather.",
    "inputSchema": {"type": "object", "properties": {"city": {"type": "string"}}},
    "annotations": {"readOnlyHint": True, "openWorldHint": False},
}


async def echo(args, context, config, progress):
    return {"args": args, "email": context.email, "config": config}


def author(handle=echo, *tools, name="weather", **more):
    """An author's object."""
    return SimpleNamespace(name=name, tools=[*(tools or (FORECAST,))], handle=handle, **more)


def package(*args, **more) -> Package:
    found = read_package(author(*args, **more))
    assert isinstance(found, Package), found
    return found


def offered(*args, timeout=10.0, **more) -> PackageConnector:
    return PackageConnector(package(*args, **more), timeout=timeout)


async def call(connector, args=None, *, tool="forecast", caller=QUIET, who=ANN, **more):
    connection = await connector.open(who, who)
    return await connection.send("tools/call", {"name": tool, "arguments": args or {}, **more}, caller)


def texts(result):
    return [each["text"] for each in result["content"]]
