"""Wrapping a tool gains nothing, and a list shows what can be called: whatever rows, tools and accounts there are.

What may reach a connector is said here once more, in few words and without the judge: by single decisions.
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from hypothesis import event, given
from hypothesis import strategies as st

from gateway.errors import Refusal
from gateway.policy.engine import Policy
from gateway.policy.terms import MAIN, SYSTEM, Access, Context, Tool
from gateway.records import CustomTool
from tests.builders import AMY, BOB, NOON, Door, call
from tests.fakes import FakeConnector, tool
from tests.pipeline.making import owner_of, schema, targets, wrapper
from tests.pipeline.test_custom import EVE

PEOPLE = (AMY, BOB, EVE)
OWNERS = tuple(map(owner_of, (*PEOPLE, SYSTEM)))
AB = {"enum": ["a", "b"]}
TAKES = (schema(to=AB), schema(to=AB, channel=AB), schema(channel=AB))
WHOLE: tuple[dict[str, Any], ...] = ({}, {"channel": "a"}, {"channel": "{{to}}"}, {"channel": ["{{to}}", "b"]})
MIXED = (*WHOLE, {"channel": "{{to}}{{to}}"}, {"channel": {"deep": "x{{to}}"}, "to": "b"})
GIVEN = ({"to": "a"}, {"to": "b"}, {"to": "a", "channel": "b"}, {"channel": "a"})
CONDITIONS = (
    *(
        "",
        "",
        "",
        "args.channel == 'a'",
        "args.to == 'a'",
        "args.channel in ['a', 'b']",
        "some(args.channel, it == 'a')",
    ),
    *("tool.via == 'custom/post'", "tool.via == 'custom/post' and args.channel == 'a'", "connection.id == '1'"),
)
SUBJECTS, OBJECTS = ("user:*", *OWNERS[:3]), ("slack/send", "slack/tell", "slack/*", "custom/post", "custom/*", "*")
ANY_ROW = st.tuples(
    st.sampled_from(SUBJECTS),
    st.sampled_from(("self", "self", *OWNERS)),
    st.sampled_from(OBJECTS),
    st.sampled_from(("write", "write", "read")),
    st.sampled_from(CONDITIONS),
    st.sampled_from(("allow", "allow", "deny")),
)
USUALLY = st.sampled_from(CONDITIONS[:5])
SHAPED = st.tuples(
    *(
        st.lists(
            st.tuples(st.just("user:*"), st.just(own), st.just(object), st.just("write"), USUALLY, st.just("allow"))
        ).map(lambda rows: rows[:1])
        for own, object in (("self", "custom/*"), ("self", "slack/*"), *product(OWNERS, ("custom/*", "slack/*")))
    )
).map(lambda shapes: [row for shape in shapes for row in shape])
"""What somebody means who writes rows: everybody his own, and what one of them lends."""
ROWS = st.tuples(SHAPED, st.lists(ANY_ROW, max_size=3)).map(lambda found: [*found[0], *found[1]])
HELD = st.dictionaries(st.sampled_from("123"), st.sampled_from((*PEOPLE, SYSTEM)), min_size=1)


@st.composite
def tools(draw, templates) -> list[CustomTool]:
    several = st.tuples(
        st.sampled_from(("post", "other")),
        st.sampled_from((*PEOPLE, SYSTEM)),
        st.sampled_from(("slack/send", "slack/tell", "slack/gone")),
        st.sampled_from(templates),
        st.sampled_from(TAKES),
    )
    drawn = draw(st.lists(several, min_size=1, max_size=5, unique_by=lambda each: each[:2]))
    made = (
        wrapper(name, maker, calls=calls, args=dict(args), takes=takes)
        for name, maker, calls, args, takes in drawn
        if "to" in takes["properties"] or "{{to}}" not in str(args)
    )
    return list(made)


@dataclass
class House:
    """A door, and what may pass it by the words of this file."""

    door: Door
    connector: FakeConnector
    policy: Policy
    tools: list[CustomTool]
    held: Mapping[str, str]

    def may(self, record: CustomTool, caller: str, owner: str, id: str, args: dict[str, Any]) -> bool:
        """Whether the caller may use the tool on that account, with ``args`` for the tool itself."""
        object, target = f"custom/{record.name}", "/".join(_called(record))
        outer = Tool("custom", record.name, "tool", "", destructive=False, open_world=False)
        inner = Tool(*_called(record), "tool", object, destructive=False, open_world=False)
        sent = filled(record, args)
        return (
            owner in (caller, record.owner, SYSTEM)
            and self._asked(caller, record.owner, object, outer, args, id)
            and self._asked(caller, owner, target, inner, sent, id)
        )

    def _asked(self, caller: str, owner: str, object: str, facts: Tool, args: dict[str, Any], id: str) -> bool:
        """He himself, and whoever else it is of, for himself."""
        connection = {"id": id, "account": "", "label": "", "status": "active"} if id else {}
        asked = [(caller, owner), *([] if owner in (caller, SYSTEM) else [(owner, owner)])]
        context = Context(args=args, tool=facts, env={"now": NOON}, connection=connection)
        return all(
            self.policy.decide((Access(who, MAIN, own, object, "write", context),)).allowed for who, own in asked
        )

    def accounts(self, record: CustomTool, caller: str) -> Iterator[tuple[str, str]]:
        """Every account with which it could ever be used."""
        for owner in dict.fromkeys((caller, record.owner, SYSTEM)):
            ids = [id for id, whose in self.held.items() if owner_of(whose) == owner]
            yield from ((owner, id) for id in ids or [""])

    def record(self, name: str, owner: str) -> CustomTool:
        return next(each for each in self.tools if (each.name, each.owner) == (name, owner))


def house(rows, made, held) -> House:
    text = "\n".join(f"p, {s}, main, {o}, {b}, {a}, {w}, {e}" for s, o, b, a, w, e in rows)
    items = [tool(name, schema=schema(to={}, channel={})) for name in ("send", "tell")]
    connector = FakeConnector("slack", items, personal=True, lenders=("", SYSTEM))
    door = Door(text, [connector], targets=targets(), custom=True)
    door.make(*made)
    for id, email in held.items():
        door.connect(connector, email, id)
    return House(door, connector, door.follower.current.policy, made, held)


def _called(record: CustomTool) -> tuple[str, str]:
    return record.handler.config["connector"], record.handler.config["action"]


def filled(record: CustomTool, args: dict[str, Any]) -> dict[str, Any]:
    """The arguments of the target, by the plainest reading of templates."""
    templates = record.handler.config["args"]
    read = str(templates)
    passed = {
        name: value
        for name, value in args.items()
        if f"{{{{{name}}}}}" not in read and name in record.schema["properties"]
    }
    made = {name: _written(template, args) for name, template in templates.items()}
    return {**passed, **{name: value for name, value in made.items() if value is not None}}


def _written(template: Any, args: dict[str, Any]) -> Any:
    match template:
        case "{{to}}":
            return args.get("to")
        case str():
            return template.replace("{{to}}", args.get("to", ""))
        case list():
            return [value for each in template if (value := _written(each, args)) is not None]
        case dict():
            return {key: _written(each, args) for key, each in template.items()}


async def tried(world: House, email: str, name: str, args: dict[str, Any], credential: str) -> bool:
    """Whether a call reached the connector."""
    before = len(world.connector.sent)
    asked = replace(call("tools/call", name=name, arguments=args), credential=credential)
    with suppress(Refusal):
        await world.door.handle(email, asked)
    return len(world.connector.sent) > before


@given(ROWS, tools(MIXED), HELD, st.sampled_from(("", "1", "2")))
async def test_what_reaches_a_connector_through_a_tool_its_caller_could_have_sent_himself(rows, made, held, credential):
    world = house(rows, made, held)
    for email in PEOPLE:
        names = {"post", "other", *(name for name in await world.door.tools(email) if not name.startswith("slack"))}
        for name, args in product(sorted(names), GIVEN):
            if not await tried(world, email, name, args, credential):
                continue
            event("reached")
            entry, sent = world.door.last, world.connector.sent[-1]
            record = world.record(entry.object.removeprefix("custom/"), entry.owner)
            assert sent.principal == owner_of(email)
            assert (sent.params["name"], sent.params["arguments"]) == (_called(record)[1], filled(record, args))
            assert world.may(record, sent.principal, sent.owner, entry.connection, args)
            assert not credential or entry.connection == credential
            assert not entry.connection or owner_of(held[entry.connection]) == sent.owner


@given(ROWS, tools(WHOLE), HELD)
async def test_a_tool_is_listed_exactly_when_some_call_of_it_could_be_allowed(rows, made, held):
    world = house(rows, made, held)
    for email in PEOPLE:
        expected = {
            (record.name, record.owner)
            for record in made
            if _called(record)[1] != "gone"
            and any(
                world.may(record, owner_of(email), owner, id, args)
                for owner, id in world.accounts(record, owner_of(email))
                for args in fitting(record)
            )
        }
        names = [name for name in await world.door.tools(email) if not name.startswith("slack")]
        assert len(names) == len(expected)
        event(f"{min(len(expected), 2)} listed")
        assert {name for name in names if "--" not in name} <= {name for name, _ in expected}


def fitting(record: CustomTool) -> list[dict[str, Any]]:
    """All arguments that its schema lets in."""
    names = list(record.schema["properties"])
    values = [dict(zip(names, chosen, strict=True)) for chosen in product(("a", "b", None), repeat=len(names))]
    return [{name: value for name, value in each.items() if value is not None} for each in values]
