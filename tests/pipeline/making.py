"""Tools and prompts that users made, in the fewest words."""

from collections.abc import Mapping
from typing import Any

from connectors.egress import Egress
from connectors.http_calls.connector import HttpCalls
from connectors.http_calls.secrets import Secrets
from gateway.custom.known import record_id
from gateway.policy.terms import SYSTEM
from gateway.records import CustomPrompt, CustomTool, Handler, PromptArgument, PromptMessage
from gateway.targets import HandlerTargets
from tests.builders import AMY, NOON

TEXT: dict[str, Any] = {"type": "string"}


def targets() -> HandlerTargets:
    """The ones that the product has, over a way out that no test here takes."""
    return HandlerTargets(HttpCalls(Egress(), lambda: NOON, secrets=Secrets.of(())))


def owner_of(maker: str) -> str:
    return maker if maker == SYSTEM else f"user:{maker}"


def schema(*names: str, **properties: Any) -> dict[str, Any]:
    """The schema of a tool with these arguments, and no others."""
    return {
        "type": "object",
        "properties": {**dict.fromkeys(names, TEXT), **properties},
        "additionalProperties": False,
    }


def wrapper(
    name: str = "post",
    maker: str = AMY,
    *,
    calls: str = "slack/send",
    args: Mapping[str, Any] | None = None,
    takes: Mapping[str, Any] | None = None,
    made: int = 1,
    rev: int = 1,
    **more: Any,
) -> CustomTool:
    """A tool that calls ``calls`` with the templates ``args``."""
    connector, _, action = calls.partition("/")
    owner = owner_of(maker)
    config = {"connector": connector, "action": action, "args": dict(args or {})}
    return CustomTool(
        id=record_id(owner, name),
        owner=owner,
        name=name,
        schema=dict(schema("text") if takes is None else takes),
        handler=Handler(type="connector", config=config),
        created_at=made,
        rev=rev,
        **more,
    )


def http_tool(name: str, maker: str = AMY, **config: Any) -> CustomTool:
    handler = Handler(type="http", config=config)
    owner = owner_of(maker)
    return CustomTool(id=record_id(owner, name), owner=owner, name=name, schema=schema("q"), handler=handler)


def letter(name: str = "greet", maker: str = AMY, text: str = "Dear {{who}}", *, made: int = 1) -> CustomPrompt:
    owner = owner_of(maker)
    return CustomPrompt(
        id=record_id(owner, name),
        owner=owner,
        name=name,
        arguments=(PromptArgument(name="who", required=True),),
        messages=(PromptMessage(role="user", text=text),),
        created_at=made,
    )
