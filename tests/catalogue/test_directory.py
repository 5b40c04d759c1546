"""Where things are: views over many connectors, names, routing of URIs, and what a dead server may not do."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.base import Change, Event, UpstreamError
from gateway.catalogue import Directory, Server
from gateway.catalogue.directory import AGAIN_S
from gateway.catalogue.views import View, filled, fits, literal_prefix
from gateway.errors import Unknown, UpstreamFailed
from gateway.mcp.terms import Kind
from gateway.policy.terms import MAIN
from tests.fakes import FakeConnector, prompt, resource, template, tool

AMY, BOB = "user:amy@example.com", "user:bob@example.com"


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def directory(
    *connectors: FakeConnector,
    servers: tuple[Server, ...] = (),
    clock: Callable[[], float] | None = None,
    patience: float = 5.0,
) -> Directory:
    main = Server(MAIN, tuple(each.id for each in connectors))
    return Directory((main, *servers), connectors, clock=clock or Clock(), patience=patience)


def names(view: View, kind: Kind = Kind.TOOL) -> list[str]:
    return [offer.name for offer in view.listed[kind]]


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0)


# -- views


@pytest.mark.parametrize("look", [Directory.view, Directory.glance])
async def test_a_server_that_is_first_met_learns_what_the_client_can_be_asked_for(look: Callable[..., Awaitable[View]]):
    a = FakeConnector("a", [tool("x")])
    shelf = directory(a)
    await look(shelf, MAIN, AMY, {"roots": {}})
    await look(shelf, MAIN, AMY, {"sampling": {}})
    assert a.met == [{"roots": {}}]


async def test_main_holds_every_connector_and_a_server_its_own():
    a, b = FakeConnector("a", [tool("x"), prompt("p")]), FakeConnector("b", [tool("x")])
    shelf = directory(a, b, servers=(Server("side", ("b",), prefixed=False),))
    assert names(await shelf.view(MAIN, AMY)) == ["a__x", "b__x"]
    assert names(await shelf.view(MAIN, AMY), Kind.PROMPT) == ["a__p"]
    side = await shelf.view("side", AMY)
    assert names(side) == ["x"]
    assert side.find(Kind.TOOL, "x").object == "b/x"
    assert side.find(Kind.TOOL, "b__x") is None
    with pytest.raises(Unknown) as unknown:
        await shelf.view("nowhere", AMY)
    assert unknown.value.status == 404


async def test_bare_names_that_meet_are_told_apart_the_same_way_every_time():
    def both() -> Directory:
        side = Server("side", ("a", "b"), prefixed=False)
        return directory(FakeConnector("a", [tool("x"), tool("y")]), FakeConnector("b", [tool("x")]), servers=(side,))

    first, again = [names(await shelf.view("side", AMY)) for shelf in (both(), both())]
    assert first == again
    assert len(set(first)) == 3
    assert "y" in first
    view = await both().view("side", AMY)
    assert {view.find(Kind.TOOL, name).object for name in first} == {"a/x", "a/y", "b/x"}


async def test_a_warm_view_is_remembered_and_shared_by_those_to_whom_the_same_is_said():
    shelf = directory(connector := FakeConnector("a", [tool("x")], private={BOB: [tool("y")]}))
    view = await shelf.view(MAIN, AMY)
    asked = connector.asked
    looking = shelf.view(MAIN, AMY)
    with pytest.raises(StopIteration) as done:  # not even one turn of the loop
        looking.send(None)
    assert done.value.value is view
    assert connector.asked == asked
    assert await shelf.view(MAIN, "user:carl@example.com") is view
    assert names(await shelf.view(MAIN, BOB)) == ["a__y"]


async def test_the_schema_check_of_a_tool_is_compiled_once():
    shelf = directory(FakeConnector("a", [tool("x", schema={"type": "object", "required": ["n"]})]))
    offer = (await shelf.view(MAIN, AMY)).find(Kind.TOOL, "a__x")
    assert offer.arguments is (await shelf.view(MAIN, AMY)).find(Kind.TOOL, "a__x").arguments
    assert offer.arguments.problems({})
    assert not offer.arguments.problems({"n": 1})


async def test_a_listing_asks_about_the_schema_of_a_tool_in_a_form_that_is_made_once():
    schema = {"type": "object", "required": ["n"]}
    shelf = directory(FakeConnector("a", [tool("x", schema=schema)]))
    offer = (await shelf.view("main", "user:ada@example.com")).find(Kind.TOOL, "a__x")
    asked = offer.narrowing.narrowing
    assert offer.narrowing.narrowing is asked
    assert asked.value == offer.schema == schema


async def test_a_server_of_what_users_make_says_that_its_tools_and_prompts_can_change():
    directory = Directory([Server(MAIN, ("a",), custom=True)], [FakeConnector("a", capabilities={"logging": {}})])
    found = (await directory.view(MAIN, AMY)).capabilities
    assert found == {"tools": {"listChanged": True}, "prompts": {"listChanged": True}, "logging": {}}
    assert not (await directory.view(MAIN, AMY)).listed[Kind.TOOL]


async def test_a_view_knows_every_tool_by_its_object_wherever_it_stands():
    connectors = [FakeConnector("a", [tool("x"), prompt("p")]), FakeConnector("b", [tool("y/z")])]
    directory = Directory([Server(MAIN, ("a", "b"), meta=frozenset("b"))], connectors)
    view = await directory.view(MAIN, AMY)
    assert {object: offer.item.name for object, offer in view.tools.items()} == {"a/x": "x", "b/y%2Fz": "y/z"}
    assert view.tools["b/y%2Fz"] is view.behind["b/y%2Fz"]


async def test_capabilities_are_those_of_any_connector():
    shelf = directory(
        FakeConnector("a", capabilities={"tools": {}, "resources": {}}),
        FakeConnector("b", capabilities={"resources": {"subscribe": True}, "logging": {}, "vendor": {}}),
    )
    assert (await shelf.view(MAIN, AMY)).capabilities == {
        "tools": {"listChanged": True},
        "resources": {"listChanged": True, "subscribe": True},
        "logging": {},
    }


# -- resources


async def test_a_uri_belongs_to_who_lists_it_then_to_the_closest_template():
    a = FakeConnector("a", [resource("x://1"), template("x://{n}"), template("y://{+path}")])
    b = FakeConnector("b", [resource("x://1"), resource("x://2"), template("y://docs/{name}.md")])
    view = await directory(a, b).view(MAIN, AMY)
    wanted = {"x://1": "a", "x://2": "b", "x://3": "a", "y://docs/z.md": "b", "y://docs/z.txt": "a"}
    for uri, connector in wanted.items():
        offer = view.find(Kind.RESOURCE, uri)
        assert (offer.connector.id, offer.name, offer.item.name) == (connector, uri, uri)
        assert offer.object == f"{connector}/resource:{uri}"
        assert (offer.item.kind, offer.item.facts.name, offer.item.facts.kind) == (Kind.RESOURCE, uri, "resource")
    assert view.find(Kind.RESOURCE, "z://1") is None
    assert names(view, Kind.RESOURCE) == ["x://1", "x://2"]


async def test_an_unlisted_uri_belongs_to_the_only_connector_if_it_has_resources_at_all():
    one = await directory(FakeConnector("a", [resource("x://1")])).view(MAIN, AMY)
    assert one.find(Kind.RESOURCE, "z://1").object == "a/resource:z://1"
    none = await directory(FakeConnector("a", [tool("t")])).view(MAIN, AMY)
    assert none.find(Kind.RESOURCE, "z://1") is None


@pytest.mark.parametrize("uri", ["file:///a/../b", "file:///a/%2e%2E/b", "file:///a\\..\\b"])
async def test_a_uri_that_climbs_belongs_to_nobody(uri: str):
    view = await directory(FakeConnector("a", [resource(uri), template("file:///{+path}")])).view(MAIN, AMY)
    assert view.find(Kind.RESOURCE, uri) is None
    assert names(view, Kind.RESOURCE) == []


PARTS = st.text("ab/.-", max_size=4)


@given(literals=st.lists(PARTS, min_size=1, max_size=5), values=st.lists(PARTS, min_size=4, max_size=4))
def test_a_template_fits_every_uri_that_it_makes(literals: list[str], values: list[str]):
    template = "{v}".join(literals)
    uri = "".join(literal + value for literal, value in zip(literals, [*values[: len(literals) - 1], ""], strict=True))
    assert fits(template, uri)
    assert uri.startswith(literal_prefix(template))


@pytest.mark.parametrize(
    ("template", "uri"),
    [
        ("a://{x}/b", "a://1/c"),
        ("a://{x}", "b://1"),
        ("a{x}a", "a"),
        ("a{x}b{y}c", "a-c"),
        ("a", "ab"),
        ("a{x}bb{y}b", "abb"),
    ],
)
def test_a_template_does_not_fit_what_lacks_its_words(template: str, uri: str):
    assert not fits(template, uri)


# -- dead servers


async def test_a_dead_server_harms_no_other():
    dead = FakeConnector("a", [tool("x")], failure=UpstreamFailed("dead"))
    living = FakeConnector("b", [tool("y")], capabilities={"tools": {}})
    view = await directory(dead, living).view(MAIN, AMY)
    assert names(view) == ["b__y"]
    assert view.missing == {"a"}
    # what it can do will be known when it comes
    assert view.capabilities["prompts"] == {"listChanged": True}
    assert view.capabilities["logging"] == {}


@pytest.mark.parametrize("failure", [UpstreamFailed("dead"), UpstreamError(-32603, "dead"), RuntimeError("a bug")])
async def test_a_server_that_died_keeps_its_last_known_items(failure: Exception, caplog: pytest.LogCaptureFixture):
    shelf = directory(a := FakeConnector("a", [tool("x")]))
    await shelf.view(MAIN, AMY)
    a.failure = failure
    a.change(Event.TOOLS)
    view = await shelf.view(MAIN, AMY)
    assert names(view) == ["a__x"]
    assert view.missing == {"a"}
    assert "a does not say what it offers" in caplog.text


async def test_a_server_that_comes_back_is_asked_again_in_the_background_and_announced():
    clock = Clock()
    a = FakeConnector("a", [tool("x")], failure=UpstreamFailed("dead"))
    shelf = directory(a, clock=clock)
    heard: list[Change] = []
    shelf.watch(heard.append)
    await shelf.view(MAIN, AMY)
    a.failure = None
    asked = a.asked
    clock.now += AGAIN_S / 2
    assert names(await shelf.view(MAIN, AMY)) == []
    await asyncio.sleep(0)
    assert a.asked == asked
    clock.now += AGAIN_S
    assert names(await shelf.view(MAIN, AMY)) == []
    await until(lambda: heard)
    assert {change.event for change in heard} == {Event.TOOLS, Event.PROMPTS, Event.RESOURCES}
    assert {change.principal for change in heard} == {AMY}
    assert names(await shelf.view(MAIN, AMY)) == ["a__x"]


async def test_a_hanging_server_delays_one_look_by_the_patience_and_no_other_look_at_all():
    hanging = FakeConnector("a", [tool("x")], gate=asyncio.Event())
    shelf = directory(hanging, FakeConnector("b", [tool("y")]), patience=0.01)
    assert names(await shelf.view(MAIN, AMY)) == ["b__y"]
    shelf._patience = 1_000  # waiting for the hanging one again would never end
    assert names(await asyncio.wait_for(shelf.view(MAIN, BOB), 5)) == ["b__y"]
    hanging.gate.set()
    await until(lambda: not shelf._asking)
    assert names(await shelf.view(MAIN, AMY)) == ["a__x", "b__y"]
    assert names(await shelf.view(MAIN, BOB)) == ["a__x", "b__y"]


async def test_closing_ends_what_is_still_being_asked():
    hanging = FakeConnector("a", gate=asyncio.Event())
    shelf = directory(hanging, patience=0.01)
    await shelf.view(MAIN, AMY)
    await shelf.close()
    assert len(asyncio.all_tasks()) == 1


# -- changes


async def test_a_change_is_seen_by_the_next_look_and_told_after_that_is_so():
    shelf = directory(a := FakeConnector("a", [tool("x")]), servers=(Server("side", ("a",)), Server("other", ())))
    before = await shelf.view(MAIN, AMY)
    await shelf.view("other", AMY)
    asked = a.asked
    looks: list[asyncio.Task[View]] = []
    shelf.watch(lambda _: looks.append(asyncio.get_running_loop().create_task(shelf.view(MAIN, AMY))))
    a.offered = [tool("y")]
    a.change(Event.TOOLS)
    assert names(await looks[0]) == ["a__y"]
    assert shelf.former(MAIN, AMY) is before
    assert a.asked == asked + 1
    a.change(Event.UPDATED, uri="x://1")
    assert await looks[1] is await looks[0]


async def test_a_change_of_one_principal_leaves_the_views_of_others():
    side = Server("side", ("a",))
    shelf = directory(a := FakeConnector("a", [tool("x")], private={AMY: [tool("z")]}), servers=(side,))
    amys, bobs = await shelf.view(MAIN, AMY), await shelf.view(MAIN, BOB)
    a.private = {AMY: [tool("y")]}
    a.change(Event.TOOLS, AMY)
    assert names(await shelf.view(MAIN, AMY)) == ["a__y"]
    asked = a.asked
    assert await shelf.view(MAIN, BOB) is bobs
    assert names(await shelf.view("side", BOB)) == ["a__x"]
    assert a.asked == asked
    assert shelf.former(MAIN, AMY) is amys
    assert shelf.former(MAIN, BOB) is None


async def test_what_changes_while_it_is_being_read_is_read_again():
    shelf = directory(a := FakeConnector("a", old := [tool("x")], gate=asyncio.Event()))
    looking = asyncio.create_task(shelf.view(MAIN, AMY))
    await until(lambda: a.asked)
    a.change(Event.TOOLS)
    a.gate.set()
    assert (await looking).missing == frozenset()
    assert a.asked == 2
    assert a.offered is old


async def test_a_list_that_never_stands_still_is_shown_but_not_remembered():
    a = FakeConnector("a", [tool("x")])
    shelf = directory(a)
    plain = a.catalogue

    async def restless(principal: str, _: object):
        a.change(Event.TOOLS)
        return await plain(principal)

    a.catalogue = restless
    assert names(await shelf.view(MAIN, AMY)) == ["a__x"]
    asked = a.asked
    assert names(await shelf.view(MAIN, AMY)) == ["a__x"]
    assert a.asked > asked


async def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("gateway.catalogue.directory.KEPT", 3)
    shelf = directory(a := FakeConnector("a", [tool("x")]))
    for number in range(8):
        await shelf.view(MAIN, f"user:{number}@example.com")
        a.change(Event.TOOLS)
    for number in range(8):
        await shelf.view(MAIN, f"user:{number}@example.com")
    for kept in (shelf._views[shelf.server(MAIN)], shelf._former[shelf.server(MAIN)], shelf._known["a"]):
        assert len(kept) <= 3


async def test_a_glance_does_not_wait_for_a_slow_connector_and_a_list_still_does(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("gateway.catalogue.directory.GLANCE_S", 0.01)
    shelf = directory(a := FakeConnector("a", [tool("x")], gate=asyncio.Event()))
    glanced = await shelf.glance(MAIN, AMY)
    assert names(glanced) == []
    assert "tools" in glanced.capabilities, "who was not heard yet may offer anything"
    looking = asyncio.create_task(shelf.view(MAIN, AMY))
    await asyncio.sleep(0)
    a.gate.set()
    assert names(await looking) == ["a__x"]
    assert await shelf.glance(MAIN, AMY) is await shelf.view(MAIN, AMY)


async def test_what_a_glance_has_heard_from_all_is_remembered():
    shelf = directory(FakeConnector("a", [tool("x")]), FakeConnector("b", failure=UpstreamFailed("down")))
    glanced = await shelf.glance(MAIN, AMY)
    assert names(glanced) == ["a__x"]
    assert await shelf.glance(MAIN, AMY) is glanced


async def test_a_glance_does_not_ask_again_who_has_just_failed():
    shelf = directory(a := FakeConnector("a", [tool("x")], failure=UpstreamFailed("down")))
    await shelf.glance(MAIN, AMY)
    asked = a.asked
    await shelf.glance(MAIN, AMY)
    assert a.asked == asked


# -- order, and templates of which something is known


async def test_a_list_has_the_order_of_the_configuration_then_of_names_whatever_the_server_does():
    a, b = FakeConnector("z", [tool("b"), tool("a")]), FakeConnector("a", [tool("c")])
    shelf = directory(a, b)
    for offered in ([tool("b"), tool("a")], [tool("a"), tool("b")]):
        a.offered = offered
        a.change(Event.TOOLS)
        offers = (await shelf.view("main", AMY)).listed[Kind.TOOL]
        assert [offer.name for offer in offers] == ["z__a", "z__b", "a__c"]
        assert [offer.position for offer in offers] == [(0, "a"), (0, "b"), (1, "c")]


@pytest.mark.parametrize(
    ("template", "known", "wanted"),
    [
        ("a://{x}/{y}", {"x": "1"}, "a://1/{y}"),
        ("a://{x}/{y}", {"x": "1", "y": "2"}, "a://1/2"),
        ("a://{x}/{y}", {"y": "2"}, "a://{x}/{y}"),
        ("a://{x}/{x}", {"x": "a b/{y}"}, "a://a%20b%2F%7By%7D/a%20b%2F%7By%7D"),
        ("a://{+x}/{y}", {"x": "1", "y": "2"}, "a://{+x}/{y}"),
        ("a://{x,y}", {"x": "1", "y": "2"}, "a://{x,y}"),
        ("a://plain", {"x": "1"}, "a://plain"),
        ("a://{x", {"x": "1"}, "a://1"),
    ],
)
def test_a_template_is_filled_with_what_is_known_as_far_as_that_is_plain(template, known, wanted):
    assert filled(template, known) == wanted


# -- what stands behind the meta tools


async def test_the_tools_of_a_meta_connector_stand_behind_and_in_no_list_while_all_else_of_it_is_listed():
    a, b = FakeConnector("a", [tool("x"), tool("w"), prompt("p")], title="The A"), FakeConnector("b", [tool("x")])
    shelf = directory(a, b, servers=(Server("side", ("a", "b"), meta=frozenset({"a"})),))
    side = await shelf.view("side", AMY)
    assert (names(side), names(side, Kind.PROMPT)) == (["b__x"], ["a__p"])
    assert [(object, offer.item.name) for object, offer in side.behind.items()] == [("a/w", "w"), ("a/x", "x")]
    assert side.find(Kind.TOOL, "a__x") is side.find(Kind.TOOL, "a/x") is None
    assert (side.title_of(a), side.title_of(b)) == ("The A", "b")
    everything = await shelf.view(MAIN, AMY)
    assert names(everything) == ["a__w", "a__x", "b__x"]
    assert not everything.behind


async def test_only_where_there_are_meta_tools_their_names_are_taken():
    a, b = FakeConnector("a", [tool("x")]), FakeConnector("b", [tool("execute_action"), prompt("execute_action")])
    bare = Server("bare", ("a", "b"), prefixed=False)
    shelf = directory(a, b, servers=(bare, replace(bare, id="meta", meta=frozenset({"a"}))))
    assert names(await shelf.view("bare", AMY)) == ["x", "execute_action"]
    [name] = names(await shelf.view("meta", AMY))
    assert name.startswith("execute_action--")
    assert names(await shelf.view("meta", AMY), Kind.PROMPT) == ["execute_action"], "a prompt is no tool"


async def test_the_connectors_of_a_server_are_told_in_their_order():
    a, b = FakeConnector("a"), FakeConnector("b")
    shelf = directory(a, b, servers=(Server("side", ("b", "a")),))
    assert shelf.connectors("side") == (b, a)
    with pytest.raises(Unknown):
        shelf.connectors("nowhere")
