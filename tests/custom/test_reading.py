"""Definitions of tools as JSON: what is read out of them, and that everything wrong is told, each with its place."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.custom.fields import DEEPEST, unfit
from gateway.custom.reading import LARGEST, LONGEST_DESCRIPTION, Definition, changed_tool, read_tool
from gateway.custom.tools import definition, document, titled
from gateway.mcp.schema import Arguments
from gateway.records import Handler

ANN, BOB = "user:ann@example.com", "user:bob@example.com"
CALLS = {"type": "connector", "config": {"connector": "slack", "action": "send", "args": {"text": "{{text}}"}}}
SCHEMA = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}
GIVEN = {
    "name": "post",
    "title": "Post",
    "description": "Posts a text.",
    "inputSchema": SCHEMA,
    "annotations": {"title": "Post it", "readOnlyHint": False, "idempotentHint": True},
    "handler": CALLS,
    "rolesPermitted": ["user", "role:power-user", "user"],
    "alwaysVisible": True,
}
MINIMAL = {"name": "post", "inputSchema": {}, "handler": {"type": "weather", "config": {"action": "today"}}}
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.text(max_size=8)
    | st.sampled_from(["{{text}}", "object", "a b"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def read(given, owner=ANN, packages=None):
    return read_tool(given, owner=owner, by=BOB, now=7, packages=packages)


def good(given, **more):
    found = read(given, **more)
    assert isinstance(found, Definition), found
    return found


def faults(**fields):
    found = read({**GIVEN, **fields})
    assert isinstance(found, list), found
    return found


# -- what is read


def test_a_definition_becomes_a_record_of_its_owner():
    found = good(GIVEN)
    tool = found.record
    assert (tool.id, tool.owner, tool.name, tool.by) == (f"{ANN}/post", ANN, "post", BOB)
    assert (tool.title, tool.description, tool.always_visible) == ("Post", "Posts a text.", True)
    assert tool.annotations == {"title": "Post it", "readOnlyHint": False, "idempotentHint": True}
    assert tool.handler == Handler(type="connector", config=CALLS["config"])
    assert (tool.created_at, tool.updated_at, tool.rev) == (7, 7, 0)
    assert found.roles == ("user", "power-user")
    assert found.called.object == "slack/send"


def test_what_is_not_said_is_empty_and_null_says_nothing():
    for whole in (MINIMAL, {**dict.fromkeys(GIVEN), **MINIMAL}):
        found = good(whole)
        assert (found.record.title, found.record.description, found.record.annotations) == ("", "", {})
        assert found.record.always_visible is False
        assert found.roles is None


def test_that_nobody_else_has_it_is_said_by_an_empty_list():
    assert good({**GIVEN, "rolesPermitted": []}).roles == ()


def test_the_older_name_of_templates_means_the_same():
    config = {"connector": "slack", "action": "send"}
    for named in ("args", "argMappings"):
        found = good({**GIVEN, "handler": {"type": "connector", "config": {**config, named: {"text": "{{ text }}"}}}})
        assert found.called.mapping.filled({"text": "hi"}) == {"text": "hi"}


def test_a_schema_is_closed_unless_it_says_otherwise():
    assert good(GIVEN).record.schema == {**SCHEMA, "additionalProperties": False}
    assert good(MINIMAL).record.schema == {"type": "object", "properties": {}, "additionalProperties": False}
    for said in ({"additionalProperties": True}, {"unevaluatedProperties": False}):
        assert good({**GIVEN, "inputSchema": {**SCHEMA, **said}}).record.schema == {**SCHEMA, **said}


def test_reading_leaves_what_was_given_as_it_was():
    schema = {"properties": {"text": {}}}
    good({**GIVEN, "inputSchema": schema})
    assert schema == {"properties": {"text": {}}}


# -- what is wrong


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"name": None}, "name: is missing; write a text"),
        ({"name": 3}, "name: is missing; write a text"),
        ({"name": "a:b"}, "name: `a:b` is not 1 to 64 letters (a to z), digits, `-` and `_`"),
        ({"name": "add-tool"}, "name: `add-tool` is the name of a tool of the gateway itself; choose another"),
        ({"title": 3}, "title: is not a text"),
        ({"title": "t" * 201}, "title: has 201 characters; at most 200 fit"),
        ({"description": "d" * 8_001}, f"description: has 8001 characters; at most {LONGEST_DESCRIPTION} fit"),
        ({"inputSchema": None}, "inputSchema: is missing; write an object"),
        ({"inputSchema": []}, "inputSchema: is not an object"),
        ({"inputSchema": {"type": "array"}}, "inputSchema.type: is to be `object`: the arguments of a call are one"),
        ({"inputSchema": {"properties": [1]}}, "inputSchema.properties: is not an object"),
        (
            {"annotations": {"readonlyHint": True}},
            "`annotations.readonlyHint`: is not known; did you mean `readOnlyHint`?",
        ),
        ({"annotations": {"readOnlyHint": "yes"}}, "annotations.readOnlyHint: is `true` or `false`"),
        ({"annotations": "none"}, "annotations: is not an object"),
        ({"handler": None}, "handler: is missing; write an object"),
        ({"handler": "http"}, "handler: is not an object"),
        ({"handler": {}}, "handler.type: is missing; write a text"),
        ({"handler": {"type": "connector", "config": 3}}, "handler.config: is not an object"),
        ({"handler": {**CALLS, "confg": {}}}, "`handler.confg`: is not known; did you mean `config`?"),
        ({"rolesPermitted": "user"}, "rolesPermitted: is not a list"),
        ({"rolesPermitted": ["user", 3]}, "rolesPermitted: is a list of texts, none of them empty"),
        ({"rolesPermitted": ["r"] * 51}, "rolesPermitted: has 51 members; at most 50 fit"),
        ({"alwaysVisible": "yes"}, "alwaysVisible: is `true` or `false`"),
        ({"rolePermitted": []}, "`rolePermitted`: is not known; did you mean `rolesPermitted`?"),
        ({"lastUsed": 3}, "`lastUsed`: is not known"),
    ],
)
def test_a_fault_is_told_with_its_place(fields, said):
    assert said in faults(**fields)


def test_all_faults_come_at_once():
    found = faults(name="a b", title=3, inputSchema={"type": "array"}, handler={"type": "connector", "config": {}}, x=1)
    places = ("name:", "title:", "inputSchema.type:", "handler.config.connector:", "handler.config.action:", "`x`:")
    assert all(any(each.startswith(place) for each in found) for place in places), found


def test_templates_read_declared_arguments_alone():
    config = {**CALLS["config"], "args": {"text": "{{text}} {{apiKey}}"}}
    said = faults(handler={"type": "connector", "config": config})
    assert len(said) == 1
    assert said[0].startswith("handler.config.args.text: `{{apiKey}}` is no argument that the tool declares")


def test_a_handler_package_has_to_be_there():
    assert good(MINIMAL, packages=["weather"])
    said = read(MINIMAL, packages=["echo"])
    assert said == ["handler.type: `weather` is no type of handler; there are `http`, `connector`, `upstream`, `echo`"]


@pytest.mark.parametrize("type", ["user-management", "tool-management", "prompt-management", "custom", "gateway"])
def test_administration_and_other_tools_of_users_cannot_be_wrapped(type):
    assert isinstance(
        read({**MINIMAL, "handler": {"type": type, "config": {"action": "list"}}}, packages=["echo"]), list
    )
    for connector in ("custom", "gateway", "http"):
        config = {"connector": connector, "action": "users"}
        assert isinstance(read({**MINIMAL, "handler": {"type": "connector", "config": config}}), list)


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {"text": {"type": "strin"}}},
        {"properties": {"text": {"$ref": "https://example.com/schema.json"}}},
        {"properties": {"text": {"pattern": "("}}},
        {"$defs": {"a": {"anyOf": [{"$ref": "#/$defs/a"}, {"$ref": "#/$defs/a"}]}}, "$ref": "#/$defs/a"},
    ],
)
def test_a_schema_that_cannot_be_checked_is_refused(schema):
    assert any(each.startswith("inputSchema: it") for each in faults(inputSchema=schema))


def test_a_definition_has_a_largest_size():
    enum = ["e" * 1_000] * 70
    (said,) = faults(inputSchema={"properties": {"text": {"enum": enum}}})
    assert said.startswith("the definition has ")
    assert said.endswith(f"at most {LARGEST} fit")


@pytest.mark.parametrize(
    "sign", ["\x00", "\x1b", "\u202e", "\u200b", "\ufeff", "\ue000", "\ud800", "\U000e0041", "\U000e0100"]
)
def test_signs_that_nobody_sees_stand_nowhere(sign):
    seen = "holds a sign that nobody sees"
    assert faults(description=f"Posts.{sign}")[0].startswith(f"the definition {seen}")
    assert faults(inputSchema={"properties": {"a": {"description": f"x{sign}"}}})[0].startswith(
        f"the definition {seen}"
    )
    assert faults(**{f"x{sign}": 1})[0].startswith(f"the definition {seen}")


def test_signs_that_people_write_are_good():
    text = "Où?\n\t10\u00a0€ 👩\u200d🔧 ⚠\ufe0f سلام\u200c"
    assert good({**GIVEN, "description": text}).record.description == text


def test_a_definition_is_read_to_a_bounded_depth():
    deep = "x"
    for _ in range(100_000):
        deep = [deep]
    assert faults(inputSchema={"default": deep}) == [
        f"the definition nests more than {DEEPEST} objects and lists within one another; make it flatter"
    ]


@given(st.dictionaries(st.sampled_from([*GIVEN, "creator", "x"]), JSON, max_size=8))
def test_whatever_is_given_is_read_or_told(fields):
    for whole in (fields, {**GIVEN, **fields}):
        found = read(whole)
        if isinstance(found, list):
            assert found
            assert all(isinstance(each, str) and each for each in found)
        else:
            assert not unfit(document(found.record))
            assert Arguments(found.record.schema).unchecked == ""


# -- changing


def test_a_record_reads_as_its_own_definition():
    tool = good(GIVEN).record
    assert good(document(tool)).record == tool


@given(st.dictionaries(st.sampled_from(sorted({*GIVEN} - {"name"})), JSON, min_size=1, max_size=3))
def test_a_change_is_read_as_the_whole_definition_would_be(updates):
    tool = good(GIVEN).record
    changed = changed_tool(tool, updates, by=BOB, now=9)
    whole = read({**document(tool), **updates})
    assert isinstance(changed, list) == isinstance(whole, list)
    if isinstance(changed, Definition):
        assert document(changed.record) == document(whole.record)
        assert (changed.record.id, changed.record.owner, changed.record.created_at) == (tool.id, tool.owner, 7)
        assert (changed.record.updated_at, changed.record.by) == (9, BOB)


def test_a_change_keeps_the_revision_that_it_was_made_to():
    tool = msgspec.structs.replace(good(GIVEN).record, rev=5)
    assert changed_tool(tool, {"title": "Other"}, by=BOB, now=9).record.rev == 5


@pytest.mark.parametrize("field", ["name", "creator", "createdBy", "owner"])
def test_whose_it_is_and_what_it_is_called_never_changes(field):
    said = changed_tool(good(GIVEN).record, {field: "x", "title": "T"}, by=BOB, now=9)
    assert said == [f"{field}: never changes; add another, and delete this one"]


def test_a_change_of_nothing_or_of_unknown_fields_is_refused():
    tool = good(GIVEN).record
    (empty,) = changed_tool(tool, {}, by=BOB, now=9)
    assert empty.startswith("updates: is empty")
    dotted = changed_tool(tool, {"handler.config": {}, "$set": {}}, by=BOB, now=9)
    assert dotted == ["`handler.config`: is not known; did you mean `handler`?", "`$set`: is not known"]


# -- what others see


def test_the_item_of_a_list_tells_nothing_of_how_it_works():
    tool = good(GIVEN).record
    assert definition(tool, "post--0a1b2c", reads=False, destructive=False, open_world=True) == {
        "name": "post--0a1b2c",
        "title": "Post",
        "description": "Posts a text.",
        "inputSchema": tool.schema,
        "annotations": {
            "readOnlyHint": False,
            "destructiveHint": False,
            "idempotentHint": True,
            "openWorldHint": True,
        },
    }


def test_a_title_may_stand_among_the_hints():
    assert titled(good({**GIVEN, "title": None}).record) == "Post it"
    assert "title" not in definition(good(MINIMAL).record, "post", reads=True, destructive=False, open_world=False)


@given(
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.fixed_dictionaries(
        {}, optional={"readOnlyHint": st.booleans(), "destructiveHint": st.booleans(), "openWorldHint": st.booleans()}
    ),
)
def test_what_its_maker_says_never_makes_a_tool_look_more_harmless_than_what_it_calls(reads, destructive, open, said):
    tool = good({**GIVEN, "annotations": said}).record
    hints = definition(tool, "post", reads=reads, destructive=destructive, open_world=open)["annotations"]
    assert not (hints["readOnlyHint"] and not reads)
    assert hints["destructiveHint"] or reads or not destructive
    assert hints["openWorldHint"] or not open
