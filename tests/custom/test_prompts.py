"""Prompts that users made: what is read out of a definition, how arguments fill it, and that nothing of it runs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.custom.prompts import definition, document, rendered
from gateway.custom.reading import Definition
from gateway.custom.reading_prompts import changed_prompt, read_prompt
from gateway.errors import InvalidArguments
from gateway.records import CustomPrompt, PromptArgument, PromptMessage

ANN, BOB = "user:ann@example.com", "user:bob@example.com"
ARGUMENTS = [{"name": "who", "description": "Whom.", "required": True}, {"name": "how"}]
HANDLER = {"type": "template", "config": {"template": "Greet {{who}} {{ how }}!"}}
GIVEN = {"name": "greet", "description": "Greets.", "arguments": ARGUMENTS, "handler": HANDLER}
PLAIN = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), max_size=12)


def read(given):
    return read_prompt(given, owner=ANN, by=BOB, now=7)


def good(**fields):
    found = read({**GIVEN, **fields})
    assert isinstance(found, Definition), found
    return found.record


def faults(**fields):
    found = read({**GIVEN, **fields})
    assert isinstance(found, list), found
    return found


def of(**config):
    return {"type": "template", "config": config}


def texts(result):
    return [(each["role"], each["content"]["text"]) for each in result["messages"]]


# -- what is read


def test_a_definition_becomes_a_record_of_its_owner():
    prompt = good(title="Greet", rolesPermitted=["user"], alwaysVisible=True)
    assert (prompt.id, prompt.owner, prompt.by, prompt.created_at) == (f"{ANN}/greet", ANN, BOB, 7)
    assert (prompt.title, prompt.description, prompt.always_visible) == ("Greet", "Greets.", True)
    assert prompt.arguments == (
        PromptArgument(name="who", description="Whom.", required=True),
        PromptArgument(name="how"),
    )
    assert prompt.messages == (PromptMessage(role="user", text="Greet {{who}} {{ how }}!"),)
    assert read({**GIVEN, "rolesPermitted": ["role:user"]}).roles == ("user",)


@pytest.mark.parametrize("text", [{"text": "Hi"}, {"content": "Hi"}, {"content": {"type": "text", "text": "Hi"}}])
def test_messages_are_written_in_any_of_the_usual_ways(text):
    prompt = good(handler=of(messages=[{"role": "assistant", **text}, {"text": "Ho"}]))
    assert prompt.messages == (PromptMessage(role="assistant", text="Hi"), PromptMessage(role="user", text="Ho"))


def test_a_record_reads_as_its_own_definition():
    prompt = good(title="Greet", handler=of(messages=[{"role": "assistant", "text": "{{who}}?"}]))
    assert read(document(prompt)).record == prompt


# -- what is wrong


@pytest.mark.parametrize("type", ["weather", "http", "connector", "user-management", "Template"])
def test_a_handler_that_would_run_something_is_refused(type):
    config = {"action": "add-user", "template": "x"}
    said = f"handler.type: `{type}` would run something, and prompts run nothing: write `template`"
    assert faults(handler={"type": type, "config": config}) == [said]


CONFIG = "handler.config"
EITHER = f"{CONFIG}: has either a text under `template` or a list under `messages`"
FIRST = f"{CONFIG}.messages[0]"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"name": "list-prompts"}, "name: `list-prompts` is the name of a tool of the gateway itself; choose another"),
        ({"handler": None}, "handler: is missing; write an object"),
        ({"handler": {}}, "handler.type: is missing; write a text"),
        ({"handler": {"type": "template"}}, "handler.config: is missing; write an object"),
        ({"handler": of()}, EITHER),
        ({"handler": of(template="x", messages=[{"text": "y"}])}, EITHER),
        ({"handler": of(template="")}, f"{CONFIG}.template: holds no message, or an empty one"),
        ({"handler": of(messages=[])}, f"{CONFIG}.messages: holds no message, or an empty one"),
        ({"handler": of(messages=[{"text": ""}])}, f"{CONFIG}.messages: holds no message, or an empty one"),
        ({"handler": of(messages=["x"])}, f"{FIRST}: is not an object"),
        ({"handler": of(messages="x")}, f"{CONFIG}.messages: is not a list"),
        ({"handler": of(messages=[{"text": "x"}] * 51)}, f"{CONFIG}.messages: has 51 members; at most 50 fit"),
        ({"handler": of(messages=[{"role": "system", "text": "x"}])}, f"{FIRST}.role: `system` is not one of `user`, `assistant`"),
        ({"handler": of(messages=[{"content": {"type": "image", "data": "eA=="}}])}, f"{FIRST}.content.type: is to be `text`: prompts hold nothing else"),
        ({"handler": of(messages=[{"content": {"type": "text", "text": "x", "url": "y"}}])}, f"`{FIRST}.content.url`: is not known"),
        ({"handler": of(template="Hi {{me}}")}, f"{CONFIG}.template: `{{{{me}}}}` is no argument that the tool declares; only whole arguments can be read, by their names"),
        ({"handler": of(messages=[{"text": "a"}, {"text": "{{who}"}])}, f"{CONFIG}.messages[1]: the braces of `{{{{who}}` do not match; for the argument `x` write `{{{{x}}}}`"),
        ({"arguments": [{"name": "who"}, {"name": "how"}, {"name": "who"}]}, "arguments: `who` stands there twice"),
        ({"arguments": [{"name": "who"}, {"name": "how"}, {}]}, "arguments[2].name: is missing; write a text"),
        ({"arguments": [{"name": "who", "requird": True}, {"name": "how"}]}, "`arguments[0].requird`: is not known; did you mean `required`?"),
        ({"createdBy": "x"}, "`createdBy`: is not known"),
    ],
)  # fmt: skip
def test_a_fault_is_told_with_its_place(fields, said):
    assert said in faults(**fields)


def test_a_long_text_and_a_hidden_sign_are_refused():
    (said,) = faults(handler=of(template="x" * 32_001))[:1]
    assert said == f"{CONFIG}.template: has 32001 characters; at most 32000 fit"
    assert faults(handler=of(template="x\u202ey"))[0].startswith("the definition holds a sign that nobody sees")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=8) | st.sampled_from(["{{who}}", "template"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["template", "messages", "text", "role", "content", "type", "x"]), inner, max_size=3
        )
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from([*GIVEN, "x"]), JSON, max_size=5), JSON)
def test_whatever_is_given_is_read_or_told_and_what_is_read_can_be_rendered(fields, config):
    for whole in (fields, {**GIVEN, **fields}, {**GIVEN, "handler": {"type": "template", "config": config}}):
        found = read(whole)
        if isinstance(found, list):
            assert found
            assert all(found)
        else:
            result = rendered(found.record, {each.name: "v" for each in found.record.arguments})
            assert len(result["messages"]) == len(found.record.messages) > 0


# -- changing


def test_a_change_replaces_fields_and_keeps_the_rest():
    prompt = good()
    changed = changed_prompt(prompt, {"handler": of(template="Bye {{who}}")}, by=BOB, now=9).record
    assert changed.messages == (PromptMessage(role="user", text="Bye {{who}}"),)
    assert (changed.arguments, changed.created_at, changed.updated_at) == (prompt.arguments, 7, 9)
    assert changed_prompt(prompt, {"name": "x"}, by=BOB, now=9) == [
        "name: never changes; add another, and delete this one"
    ]


def test_a_change_of_arguments_has_to_fit_the_texts():
    (said, *_) = changed_prompt(good(), {"arguments": []}, by=BOB, now=9)
    assert said.startswith("handler.config.messages[0]: `{{who}}` is no argument")


# -- filling


def test_arguments_fill_the_gaps_and_what_is_absent_is_empty():
    assert texts(rendered(good(), {"who": "Bob", "how": "kindly"})) == [("user", "Greet Bob kindly!")]
    assert rendered(good(), {"who": "Bob"}) == {
        "description": "Greets.",
        "messages": [{"role": "user", "content": {"type": "text", "text": "Greet Bob !"}}],
    }


def test_a_text_that_is_nothing_but_an_absent_argument_is_empty():
    assert texts(rendered(good(handler=of(template="{{how}}")), {"who": "Bob"})) == [("user", "")]


@given(PLAIN)
def test_what_is_filled_in_is_never_read_as_a_gap_again(text):
    who = f"{{{{how}}}} {text}"
    assert texts(rendered(good(), {"who": who, "how": "x"})) == [("user", f"Greet {who} x!")]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ({}, "`who`: is missing"),
        ({"who": 3}, "`who`: is not a text"),
        ({"who": "x", "env": "y"}, "`env`: is not known"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(args, said):
    with pytest.raises(InvalidArguments) as refused:
        rendered(good(), args)
    assert refused.value.text == said


def test_a_damaged_record_is_not_rendered():
    prompt = CustomPrompt(
        id="x", owner=ANN, name="x", messages=(PromptMessage(role="user", text="{{gone}} {{secret.KEY}}"),)
    )
    with pytest.raises(InvalidArguments, match="damaged"):
        rendered(prompt, {})


# -- what others see


def test_the_item_of_a_list_tells_name_texts_and_arguments():
    assert definition(good(title="Greet"), "greet--0a1b2c") == {
        "name": "greet--0a1b2c",
        "title": "Greet",
        "description": "Greets.",
        "arguments": [
            {"name": "who", "required": True, "description": "Whom."},
            {"name": "how", "required": False},
        ],
    }
    assert definition(good(description="", arguments=ARGUMENTS), "greet").keys() == {"name", "arguments"}
