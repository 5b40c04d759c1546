"""Prompts that users made: filled with arguments, as an item of a list, and as their makers write them.

A prompt is text with gaps; nothing of it runs. Pure.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from gateway.errors import InvalidArguments
from gateway.mcp.jsonrpc import quoted
from gateway.mcp.terms import Params
from gateway.policy.mapping import ArgumentMapping, read_mapping
from gateway.policy.terms import Json
from gateway.records import CustomPrompt, PromptArgument, PromptMessage

TEMPLATE: Final = "template"
"""The only type of handler that a prompt has."""


def rendered(prompt: CustomPrompt, args: Mapping[str, Json]) -> Params:
    """The result of ``prompts/get``. Raises ``InvalidArguments`` with whatever is wrong with ``args``."""
    gaps = gaps_of(prompt.messages, prompt.arguments)
    if isinstance(gaps, list):
        raise InvalidArguments("the prompt is damaged; ask whoever made it to change it")
    if problems := list(_problems(prompt, args)):
        raise InvalidArguments("; ".join(problems))
    texts = gaps.filled(args)
    messages: list[Json] = [
        {"role": each.role, "content": {"type": "text", "text": texts.get(str(at), "")}}
        for at, each in enumerate(prompt.messages)
    ]
    return {"description": prompt.description, "messages": messages} if prompt.description else {"messages": messages}


def gaps_of(messages: Sequence[PromptMessage], arguments: Sequence[PromptArgument]) -> ArgumentMapping | list[str]:
    """The texts of ``messages`` by their places in the sequence, ready to be filled; or what is wrong with them."""
    return read_mapping({str(at): each.text for at, each in enumerate(messages)}, {each.name for each in arguments})


def definition(prompt: CustomPrompt, public: str) -> Params:
    """The item of ``prompts/list`` under the name ``public``."""
    item: Params = {"name": public, "arguments": [_argument(each) for each in prompt.arguments]}
    if prompt.title:
        item["title"] = prompt.title
    return {**item, "description": prompt.description} if prompt.description else item


def document(prompt: CustomPrompt) -> Params:
    """The definition from which the very same prompt would be read again; of its maker nothing is said."""
    messages: list[Json] = [{"role": each.role, "text": each.text} for each in prompt.messages]
    return {
        "name": prompt.name,
        "title": prompt.title,
        "description": prompt.description,
        "arguments": [_argument(each) for each in prompt.arguments],
        "handler": {"type": TEMPLATE, "config": {"messages": messages}},
        "alwaysVisible": prompt.always_visible,
    }


def _argument(argument: PromptArgument) -> Params:
    named: Params = {"name": argument.name, "required": argument.required}
    return {**named, "description": argument.description} if argument.description else named


def _problems(prompt: CustomPrompt, args: Mapping[str, Json]) -> list[str]:
    declared = {each.name for each in prompt.arguments}
    missing = [each.name for each in prompt.arguments if each.required and each.name not in args]
    return [
        *(f"{quoted(name)}: is missing" for name in missing),
        *(f"{quoted(name)}: is not known" for name in args if name not in declared),
        *(f"{quoted(name)}: is not a text" for name, value in args.items() if not isinstance(value, str)),
    ]
