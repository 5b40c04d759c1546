"""What a tool made at run time calls, among what one server offers to one principal."""

import pytest

from connectors.egress import Egress
from connectors.http_calls.connector import HttpCalls
from connectors.http_calls.secrets import Secrets
from connectors.packages.connector import PackageConnector
from gateway.catalogue.views import merge
from gateway.custom.known import record_id
from gateway.policy.terms import SYSTEM
from gateway.records import CustomTool, Handler
from gateway.targets import HandlerTargets
from tests.connectors.packages.building import call, package
from tests.fakes import FakeConnector, tool

ANN = "user:ann@example.com"


@pytest.fixture
async def http():
    egress = Egress()
    yield HttpCalls(egress, lambda: 0, secrets=Secrets())
    await egress.close()


def made(type, config, *declared, owner=ANN, name="mine"):
    schema = {"type": "object", "properties": {each: {} for each in declared}}
    handler = Handler(type=type, config=config)
    return CustomTool(id=record_id(owner, name), owner=owner, name=name, schema=schema, handler=handler)


async def view(*connectors, meta=()):
    return merge([(each, await each.catalogue(ANN)) for each in connectors], prefixed=True, meta=frozenset(meta))


async def test_a_tool_of_a_connector_is_the_very_one_of_the_view(http):
    desk = FakeConnector("desk", [tool("open", schema={"type": "object", "properties": {"t": {}}})])
    seen = await view(desk)
    for type, config in (
        ("connector", {"connector": "desk", "action": "open", "args": {"t": "{{x}}"}}),
        ("upstream", {"upstream": "desk", "tool": "open", "args": {"t": "{{x}}"}}),
    ):
        found = HandlerTargets(http).find(made(type, config, "x"), seen)
        assert found is not None
        assert found.offer is seen.tools["desk/open"]
        assert found.mapping.filled({"x": 1}) == {"t": 1}


async def test_a_tool_behind_the_meta_tools_can_be_called_too(http):
    seen = await view(FakeConnector("desk", [tool("open")]), meta=["desk"])
    found = HandlerTargets(http).find(made("connector", {"connector": "desk", "action": "open"}), seen)
    assert found is not None
    assert found.offer.object == "desk/open"


@pytest.mark.parametrize(
    ("type", "config"),
    [
        ("connector", {"connector": "desk", "action": "close"}),
        ("connector", {"connector": "shop", "action": "open"}),
        ("connector", {"connector": "desk", "action": "open", "args": {"t": "{{nothing}}"}}),
        ("desk", {"action": "open"}),
        ("weather", {"action": "forecast"}),
        ("http", {"url": "https://{{x}}/"}),
        ("gateway", {"action": "add-user"}),
    ],
)
async def test_what_is_not_to_be_had_here_is_nothing(http, type, config):
    seen = await view(FakeConnector("desk", [tool("open")]))
    assert HandlerTargets(http).find(made(type, config), seen) is None


async def test_a_host_is_called_by_its_object_whatever_the_server_offers(http):
    found = HandlerTargets(http).find(
        made("http", {"url": "https://a.example:8443/{{x}}", "method": "POST"}, "x"), await view()
    )
    assert found is not None
    offer = found.offer
    assert (offer.object, offer.item.level, offer.item.facts.destructive) == ("http/a.example%3A8443", "write", True)
    assert offer.connector.owners(ANN) == (ANN,)
    judged = found.mapping.filled({"x": "a"})
    assert not offer.arguments.problems(judged)
    assert offer.arguments.problems({**judged, "method": "GET"})


async def test_a_host_with_a_secret_is_the_operators(http):
    found = HandlerTargets(http).find(made("http", {"url": "https://a.example?k={{secret.K}}"}), await view())
    assert found is not None
    assert found.offer.connector.owners(ANN) == (SYSTEM,)


async def test_a_package_is_told_the_configuration_of_the_tool(http):
    weather = PackageConnector(package())
    seen = await view(weather)
    targets = HandlerTargets(http, [weather])
    found = targets.find(made("weather", {"action": "forecast", "unit": "F", "args": {"city": "{{x}}"}}, "x"), seen)
    assert found is not None
    assert (found.offer.object, found.offer.item) == ("weather/forecast", seen.tools["weather/forecast"].item)
    result = await call(found.offer.connector, found.mapping.filled({"x": "Ulm"}))
    assert result["structuredContent"]["args"] == {"city": "Ulm"}
    assert result["structuredContent"]["config"] == {"unit": "F", "action": "forecast"}
    assert targets.find(made("weather", {"action": "other"}), seen) is None
    assert targets.find(made("weather", {"action": "forecast"}), await view()) is None
