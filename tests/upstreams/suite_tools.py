"""The tools and prompts that the conformance suite expects: their names, and what they answer, are the suite's."""

import base64
import json
from collections.abc import Callable
from typing import Any

import anyio
from everything import NOTHING, bus, sessions
from mcp.server.subscriptions import PromptsListChanged, ToolsListChanged
from mcp.shared.exceptions import MCPError
from suite_client import Client, Params, Tool, form, sample, says, takes, text
from suite_tasks import NEEDED, Task, begun

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
WAV = base64.b64encode(
    b"RIFF&\0\0\0WAVEfmt \x10\0\0\0\1\0\1\0@\x1f\0\0@\x1f\0\0\1\0\x08\0data\2\0\0\0\x80\x80"
).decode()

ROOTS: tuple[str, Params] = ("roots/list", {})
WORD = {"type": "string"}
CHOICE = {"type": "string", "enum": ["active", "inactive", "pending"]}

TOOLS: dict[str, tuple[Params, Tool]] = {}
PROMPTS: dict[str, tuple[Params, Tool]] = {}


def tool(description: str, schema: Params = NOTHING) -> Callable[[Tool], Tool]:
    def add(run: Tool) -> Tool:
        TOOLS[run.__name__] = ({"name": run.__name__, "description": description, "inputSchema": schema}, run)
        return run

    return add


def prompt(description: str, *arguments: str) -> Callable[[Tool], Tool]:
    named = [{"name": name, "description": name, "required": True} for name in arguments]

    def add(run: Tool) -> Tool:
        PROMPTS[run.__name__] = ({"name": run.__name__, "description": description, "arguments": named}, run)
        return run

    return add


def image() -> Params:
    return {"type": "image", "data": PNG, "mimeType": "image/png"}


def embedded(uri: str, kind: str, words: str) -> Params:
    return {"type": "resource", "resource": {"uri": uri, "mimeType": kind, "text": words}}


@tool("a text")
async def test_simple_text(client: Client) -> Params:
    return says("This is a simple text response for testing.")


@tool("an image")
async def test_image_content(client: Client) -> Params:
    return says(image())


@tool("a sound")
async def test_audio_content(client: Client) -> Params:
    return says({"type": "audio", "data": WAV, "mimeType": "audio/wav"})


@tool("a resource")
async def test_embedded_resource(client: Client) -> Params:
    return says(embedded("test://embedded-resource", "text/plain", "This is an embedded resource content."))


@tool("a text, an image and a resource")
async def test_multiple_content_types(client: Client) -> Params:
    data = embedded("test://mixed-content-resource", "application/json", '{"test":"data","value":123}')
    return says("Multiple content types test:", image(), data)


@tool("three log lines on the way")
async def test_tool_with_logging(client: Client) -> Params:
    await client.log("Tool execution started", "Tool processing data", "Tool execution completed")
    return says("logged")


@tool("a log line on the way")
async def test_logging_tool(client: Client) -> Params:
    await client.log("Only for those who want it")
    return says("logged")


@tool("progress on the way")
async def test_tool_with_progress(client: Client) -> Params:
    for step in (0, 50, 100):
        await client.ctx.session.report_progress(step, 100, f"Completed step {step} of 100")
        await anyio.sleep(0.02)
    return says("done")


@tool("a tool error")
async def test_error_handling(client: Client) -> Params:
    return says("This tool intentionally returns an error for testing", isError=True)


@tool("ends its stream on the way, and goes on when the client is back")
async def test_reconnection(client: Client) -> Params:
    await client.log("Before disconnect")
    if client.ctx.close_sse_stream is not None:
        await client.ctx.close_sse_stream()
    await anyio.sleep(0.2)
    await client.log("After reconnect")
    return says("Reconnection test completed")


@tool("what the client's model says", takes(prompt=WORD))
async def test_sampling(client: Client) -> Params:
    answer = await client.ask({"reply": sample(client.arguments.get("prompt", ""))})
    return says(f"LLM response: {answer['reply']['content']['text']}")


async def answered(client: Client, question: tuple[str, Params], *, state: bool = True) -> Params:
    answer = (await client.ask({"form": question}, state=state))["form"]
    return says(f"User response: action={answer['action']}, content={json.dumps(answer.get('content', {}))}")


@tool("what the user says", takes(message=WORD))
async def test_elicitation(client: Client) -> Params:
    return await answered(client, form(client.arguments.get("message", ""), response=WORD))


@tool("what the user says, asked while the answer is a stream")
async def test_streaming_elicitation(client: Client) -> Params:
    return await answered(client, form("Go on?", response=WORD), state=False)


@tool("a form with a default for every primitive type")
async def test_elicitation_sep1034_defaults(client: Client) -> Params:
    fields = {
        "name": WORD | {"default": "John Doe"},
        "age": {"type": "integer", "default": 30},
        "score": {"type": "number", "default": 95.5},
        "status": CHOICE | {"default": "active"},
        "verified": {"type": "boolean", "default": True},
    }
    return await answered(client, form("Please check your data", **fields))


def titled(word: str, **options: str) -> Params:
    return {word: [{"const": value, "title": title} for value, title in options.items()]}


@tool("a form with every kind of choice")
async def test_elicitation_sep1330_enums(client: Client) -> Params:
    fields = {
        "untitledSingle": CHOICE,
        "titledSingle": WORD | titled("oneOf", value1="First Option", value2="Second Option", value3="Third Option"),
        "legacyEnum": WORD | {"enum": ["opt1", "opt2", "opt3"], "enumNames": ["One", "Two", "Three"]},
        "untitledMulti": {"type": "array", "items": CHOICE},
        "titledMulti": {
            "type": "array",
            "items": titled("anyOf", value1="First Choice", value2="Second Choice", value3="Third Choice"),
        },
    }
    return await answered(client, form("Please choose", **fields))


@tool(
    "its input schema uses much of JSON Schema 2020-12",
    {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "$defs": {"address": {"$anchor": "addressDef", **takes(street=WORD, city=WORD)}},
        "properties": {
            "name": WORD,
            "address": {"$ref": "#/$defs/address"},
            "contactMethod": WORD | {"enum": ["phone", "email"]},
            "phone": WORD,
            "email": WORD,
        },
        "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
        "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
        "then": {"required": ["phone"]},
        "else": {"required": ["email"]},
        "additionalProperties": False,
    },
)
async def json_schema_2020_12_tool(client: Client) -> Params:
    return says(json.dumps(client.arguments))


@tool("its `region` travels in a header too", takes(region=WORD | {"x-mcp-header": "Region"}))
async def test_x_mcp_header(client: Client) -> Params:
    return says(f"region={client.arguments.get('region')}")


@tool("refused unless the client can be asked for a sample")
async def test_missing_capability(client: Client) -> Params:
    return says("The client can be asked.") if "sampling" in client.can else client.lacks(sampling={})


NAME = form("What is your name?", name=WORD)


@tool("greets who answers")
async def test_input_required_result_elicitation(client: Client) -> Params:
    answer = (await client.ask({"user_name": NAME}, state=False))["user_name"]
    return says(f"Hello, {answer.get('content', {}).get('name', 'stranger')}!")


@tool("what the client's model knows")
async def test_input_required_result_sampling(client: Client) -> Params:
    answer = await client.ask({"capital_question": sample("What is the capital of France?")}, state=False)
    return says(f"The model said: {answer['capital_question']['content']['text']}")


@tool("how many roots the client has")
async def test_input_required_result_list_roots(client: Client) -> Params:
    answer = await client.ask({"client_roots": ROOTS}, state=False)
    return says(f"{len(answer['client_roots']['roots'])} roots")


@tool("asks, and wants its state back")
async def test_input_required_result_request_state(client: Client) -> Params:
    await client.ask({"confirm": form("Please confirm", ok={"type": "boolean"})})
    return says("state-ok" if not client.modern or "requestState" in client.ctx.params else "the state is gone")


@tool("asks, and wants its state back unchanged")
async def test_input_required_result_tampered_state(client: Client) -> Params:
    return await test_input_required_result_request_state(client)


@tool("asks three things at once")
async def test_input_required_result_multiple_inputs(client: Client) -> Params:
    await client.ask({"user_name": NAME, "greeting": sample("Generate a greeting"), "client_roots": ROOTS})
    return says("All inputs received.")


@tool("asks twice")
async def test_input_required_result_multi_round(client: Client) -> Params:
    first = await client.ask({"step1": form("Step 1: What is your name?", name=WORD)})
    second = await client.ask({"step2": form("Step 2: What is your favorite color?", color=WORD)})
    return says(f"{first['step1']['content']['name']} likes {second['step2']['content']['color']}.")


@tool("asks what the client says it can be asked")
async def test_input_required_result_capabilities(client: Client) -> Params:
    possible = {"sampling": ("sample", sample("Say hello")), "elicitation": ("ask", NAME)}
    answers = await client.ask(dict(question for word, question in possible.items() if word in client.can))
    return says(f"answered: {', '.join(answers)}")


async def changed(kind: str, name: str, entries: dict[str, tuple[Params, Tool]], like: str, event: Any) -> Params:
    """Adds ``name`` to what is offered, or takes it away again, and announces that."""
    if entries.pop(name, None) is None:
        described, run = entries[like]
        entries[name] = ({**described, "name": name}, run)
    for session in list(sessions.values()):
        try:
            await getattr(session, f"send_{kind}_list_changed")()
        except Exception:  # noqa: BLE001 - a session that is gone need not be told
            continue
    await bus.publish(event)
    return says(f"{name} came or went")


@tool("one tool comes or goes")
async def test_trigger_tool_change(client: Client) -> Params:
    return await changed("tool", "test_dynamic_tool", TOOLS, "test_simple_text", ToolsListChanged())


@tool("one prompt comes or goes")
async def test_trigger_prompt_change(client: Client) -> Params:
    return await changed("prompt", "test_dynamic_prompt", PROMPTS, "test_simple_prompt", PromptsListChanged())


@tool("greets", takes(name=WORD))
async def greet(client: Client) -> Params:
    return says(f"Hello, {client.arguments.get('name')}!")


@tool("takes as long as it is told, as a task if it can", takes(seconds={"type": "number"}, label=WORD))
async def slow_compute(client: Client) -> Params:
    async def work() -> Params:
        await anyio.sleep(client.arguments.get("seconds", 0))
        return says(f"computed: {client.arguments.get('label')}")

    return begun(client, lambda task: work()) or await work()


@tool("a task that ends in a tool error")
async def failing_job(client: Client) -> Params:
    async def work(task: Task) -> Params:
        await anyio.sleep(0.5)
        return says("the job failed", isError=True)

    return begun(client, work) or client.lacks(**NEEDED)


@tool("a task that ends in an error of the protocol")
async def protocol_error_job(client: Client) -> Params:
    async def work(task: Task) -> Params:
        raise MCPError(code=-32603, message="the job broke")

    return begun(client, work) or client.lacks(**NEEDED)


@tool("a task that asks first", takes(filename=WORD))
async def confirm_delete(client: Client) -> Params:
    async def work(task: Task) -> Params:
        answer = await task.ask("confirm", form("Delete it?", confirm={"type": "boolean"}))
        return says(f"{client.arguments.get('filename')}: {answer['action']}")

    return begun(client, work) or says("not deleted: nobody was asked", isError=True)


@tool("a task that asks two things at once")
async def multi_input(client: Client) -> Params:
    async def work(task: Task) -> Params:
        async with anyio.create_task_group() as together:
            for key in ("first", "second"):
                together.start_soon(task.ask, key, NAME)
        return says("both answered")

    return begun(client, work) or client.lacks(**NEEDED)


@tool("asks, and goes on as a task")
async def test_tool_with_task(client: Client) -> Params:
    name = (await client.ask({"user_name": NAME}))["user_name"]["content"]["name"]

    async def work(task: Task) -> Params:
        return says(f"Hello, {name}!")

    return begun(client, work) or client.lacks(**NEEDED)


@tool("nobody may use this one")
async def forbidden(client: Client) -> Params:
    return says("used")


def messages(*blocks: Params) -> Params:
    return {"messages": [{"role": "user", "content": block} for block in blocks]}


@prompt("without arguments")
async def test_simple_prompt(client: Client) -> Params:
    return messages(text("This is a simple prompt for testing."))


@prompt("with two arguments", "arg1", "arg2")
async def test_prompt_with_arguments(client: Client) -> Params:
    given = ", ".join(f"{name}='{client.arguments.get(name)}'" for name in ("arg1", "arg2"))
    return messages(text(f"Prompt with arguments: {given}"))


@prompt("with a resource in it", "resourceUri")
async def test_prompt_with_embedded_resource(client: Client) -> Params:
    resource = embedded(client.arguments["resourceUri"], "text/plain", "Embedded resource content for testing.")
    return messages(resource, text("Please process the embedded resource above."))


@prompt("with an image in it")
async def test_prompt_with_image(client: Client) -> Params:
    return messages(image(), text("Please analyze the image above."))


@prompt("asks first")
async def test_input_required_result_prompt(client: Client) -> Params:
    answer = await client.ask({"user_context": form("What context should the prompt use?", context=WORD)}, state=False)
    return messages(text(f"Use this context: {answer['user_context'].get('content', {}).get('context')}"))
