"""The tools by which tools and prompts are listed, made, changed and deleted: what they take, and what they answer."""

from dataclasses import replace

import msgspec
import pytest

from gateway.builtins.prompts import prompts
from gateway.builtins.terms import Whose
from gateway.builtins.tools import SHOWN_DESCRIPTION, tools
from gateway.custom.names import BUILTINS
from gateway.errors import Denied, InvalidArguments
from gateway.manage.asking import VisiblePrompt, VisibleTool
from tests.manage.sharing import ANN, BOB, House, Seen, refusal_of

CALLS = {"type": "echo", "config": {"action": "say", "args": {"text": "{{text}}"}}}
SAY = {"name": "say", "description": "Says it.", "inputSchema": {"properties": {"text": {}}}, "handler": CALLS}
GREET = {
    "name": "greet",
    "handler": {"type": "template", "config": {"template": "Hi {{who}}"}},
    "arguments": [{"name": "who"}],
}


class Looking(Seen):
    """What somebody sees, prompts too."""

    def prompts(self):
        said = ({"name": "who", "required": True},)
        return (VisiblePrompt("ann@example.com:Greet", "Greet", "", "Greets.", ANN, said),)


@pytest.fixture
async def house():
    return await House().settle()


def named(house):
    return {each.name: each for each in (*tools(house.office, ["echo"]), *prompts(house.office))}


async def used(house, tool, who=ANN, seen=(), **args):
    """What the tool says to arguments that fit its schema."""
    builtin = named(house)[tool]
    assert builtin.arguments.problems(args) == []

    async def look(*_):
        return Looking(tuple(seen))

    return await builtin.does(replace(house.asker(who), look=look), args)


def tool(id, name="", owner="", *, hidden=False, description="", always=False):
    name = name or id.rpartition(":")[2]
    return VisibleTool(id, name, "", description, owner, "", "", always_visible=always, hidden=hidden)


# -- what they are


async def test_their_names_are_reserved_and_their_schemas_closed(house):
    found = named(house)
    assert set(found) <= BUILTINS
    assert set(found) == {f"{does}-{what}" for does in ("add", "update", "delete") for what in ("tool", "prompt")} | {
        "list-tools",
        "list-prompts",
    }
    for each in found.values():
        assert each.arguments.unchecked == ""
        assert each.arguments.problems({"no such": 1})
        assert each.schema["additionalProperties"] is False
        assert each.description.endswith(".")
        assert msgspec.json.decode(msgspec.json.encode(each.definition)) == each.definition


async def test_lists_can_always_be_seen_and_ask_about_oneself(house):
    for name, each in named(house).items():
        assert each.always_visible == name.startswith("list-")
        (could,) = each.could
        if name.startswith("list-"):
            assert (could.object, could.action, could.whose) == ("gateway/directory", "inspect", Whose.OWN)
        else:
            assert could.object == ("custom/*" if name.endswith("tool") else "custom/prompt:*")
            assert (could.action, could.known) == ("manage", {"operation": name.split("-")[0]})


async def test_hints_tell_what_they_do(house):
    hints = {name: each.hints for name, each in named(house).items()}
    assert all(hints[name]["readOnlyHint"] for name in ("list-tools", "list-prompts"))
    assert all(hints[name]["destructiveHint"] for name in ("delete-tool", "update-prompt"))
    assert not hints["add-tool"]["destructiveHint"]


# -- lists


async def test_a_list_tells_what_is_seen_and_what_is_hidden(house):
    seen = [
        tool("system:list-tools", always=True),
        tool("slack:send", "slack__send", hidden=True),
        tool("ann@example.com:say", owner=ANN, description="x" * 301),
    ]
    answer = await used(house, "list-tools", seen=seen)
    assert answer.result["visibleTools"] == [
        {"name": "list-tools", "id": "system:list-tools", "title": "", "description": "", "hidden": False, "alwaysVisible": True},
        {"name": "say", "id": "ann@example.com:say", "title": "", "description": "x" * (SHOWN_DESCRIPTION - 1) + "…", "hidden": False, "alwaysVisible": False},
    ]  # fmt: skip
    assert answer.result["hiddenTools"] == ["slack:send"]
    assert (answer.result["total"], answer.result["filtered"]) == (3, False)
    assert "duplicateBaseNames" not in answer.result
    assert answer.message == "Your list leaves out `slack:send`."


async def test_a_filter_is_a_plain_text_in_any_case(house):
    seen = [tool("ann@example.com:Say.it", owner=ANN), tool("bob@example.com:other", owner=BOB)]
    for contains, ids in (
        ("say.", ["ann@example.com:Say.it"]),
        ("BOB@", ["bob@example.com:other"]),
        ("s.y", []),
        (".*", []),
    ):
        answer = await used(house, "list-tools", seen=seen, nameContains=contains)
        assert [each["id"] for each in answer.result["visibleTools"]] == ids
        assert (answer.result["total"], answer.result["filtered"]) == (len(ids), True)
    assert (await used(house, "list-prompts", nameContains="GREET")).result["total"] == 1
    assert (await used(house, "list-prompts", nameContains="gre.t")).result["total"] == 0


async def test_several_tools_of_one_name_are_pointed_out(house):
    seen = [
        tool("ann@example.com:say", owner=ANN),
        tool("bob@example.com:say", "say--0a1b2c", owner=BOB),
        tool("echo:say", "echo__say"),
        tool("ann@example.com:other", owner=ANN),
    ]
    answer = await used(house, "list-tools", seen=seen)
    both = ["ann@example.com:say", "bob@example.com:say"]
    assert answer.result["duplicateBaseNames"] == [{"baseName": "say", "namespacedNames": both}]
    assert "Several tools are called `say`: `ann@example.com:say`, `bob@example.com:say`." in answer.message


async def test_a_list_of_prompts_tells_their_arguments_and_nothing_of_their_texts(house):
    answer = await used(house, "list-prompts")
    assert answer.result == {
        "prompts": [
            {
                "name": "Greet",
                "id": "ann@example.com:Greet",
                "title": "",
                "description": "Greets.",
                "arguments": [{"name": "who", "required": True}],
            }
        ],
        "total": 1,
        "filtered": False,
    }
    assert answer.message == "1 prompt."
    assert (await used(house, "list-prompts", nameContains="none")).next_steps == ("`add-prompt` makes one.",)


async def test_lists_ask():
    house = await House("p, user:*, main, self, custom/*, manage, , allow\n").settle()
    assert isinstance(await refusal_of(used(house, "list-tools")), Denied)
    assert isinstance(await refusal_of(used(house, "list-prompts")), Denied)


async def test_a_whole_definition_is_told_to_who_may_see_it(house):
    made = (await used(house, "add-tool", **SAY)).result["tool"]
    assert (await used(house, "list-tools", definitionOf="say")).result["definition"] == made
    assert isinstance(await refusal_of(used(house, "list-tools", BOB, definitionOf="ann@example.com:say")), Denied)
    greet = (await used(house, "add-prompt", **GREET)).result["prompt"]
    assert (await used(house, "list-prompts", definitionOf="greet")).result["definition"] == greet


# -- making


async def test_a_tool_is_made_from_fields_or_from_one_object(house):
    answer = await used(house, "add-tool", **SAY)
    assert (answer.result["success"], answer.result["name"]) == (True, "say")
    assert answer.result["tool"]["id"] == "ann@example.com:say"
    assert answer.message == "The tool `ann@example.com:say` was added."
    assert answer.next_steps[0] == "Call it as `say`."
    again = await used(house, "add-tool", toolDefinition={**SAY, "name": "say-2"})
    assert again.result["tool"]["handler"] == CALLS
    refusal = await refusal_of(used(house, "add-tool", name="x", toolDefinition=SAY))
    assert refusal.text == "`toolDefinition`: has all fields in it; leave the others out"


async def test_a_handler_package_that_is_not_there_is_told(house):
    handler = {"type": "tool-management", "config": {"action": "list"}}
    refusal = await refusal_of(used(house, "add-tool", **{**SAY, "handler": handler}))
    assert isinstance(refusal, InvalidArguments)
    assert "`tool-management` is no type of handler; there are `http`, `connector`, `upstream`, `echo`" in refusal.text


async def test_a_tool_is_changed_and_deleted(house):
    await used(house, "add-tool", **SAY)
    answer = await used(house, "update-tool", name="say", updates={"description": "Other."}, rev=1.0)
    assert (answer.result["success"], answer.result["updated"]["description"]) == (True, "Other.")
    assert (answer.message, answer.result["updated"]["rev"]) == ("The tool `ann@example.com:say` was updated.", 2)
    assert (
        "changed meanwhile"
        in (await refusal_of(used(house, "update-tool", name="say", updates={"title": "x"}, rev=1))).text
    )
    answer = await used(house, "delete-tool", name="ann@example.com:say")
    assert answer.result == {"success": True, "name": "ann@example.com:say"}
    assert house.store.tools.records == {}


async def test_a_prompt_is_made_changed_and_deleted(house):
    answer = await used(house, "add-prompt", **GREET)
    assert (answer.result["name"], answer.result["prompt"]["creator"]) == ("greet", "ann@example.com")
    answer = await used(house, "update-prompt", name="greet", updates={"title": "Greet"})
    assert (answer.result["prompt"]["title"], answer.message) == (
        "Greet",
        "The prompt `ann@example.com:greet` was updated.",
    )
    answer = await used(house, "delete-prompt", name="greet")
    assert answer.message == "The prompt `ann@example.com:greet` was deleted, with all shares of it."
    assert house.store.prompts.records == {}


async def test_updates_take_no_other_fields(house):
    found = named(house)
    for name in ("update-tool", "update-prompt"):
        for field in ("name", "creator", "owner", "$set", "handler.config"):
            assert found[name].arguments.problems({"name": "x", "updates": {field: 1}})


async def test_who_may_not_is_refused(house):
    for name, args in (
        ("add-tool", SAY),
        ("update-tool", {"name": "say", "updates": {"title": "x"}}),
        ("delete-tool", {"name": "ann@example.com:say"}),
        ("add-prompt", GREET),
        ("update-prompt", {"name": "greet", "updates": {"title": "x"}}),
        ("delete-prompt", {"name": "greet"}),
    ):
        assert isinstance(await refusal_of(used(house, name, BOB, **args)), Denied), name
    assert house.store.tools.records == house.store.prompts.records == {}
