"""The definition of a prompt as its maker writes it, read into a record: whatever is wrong is told, with its place.

Its texts stand in the handler, where such definitions have had them elsewhere; a handler that would run something is
refused. Pure.
"""

from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

from gateway.custom.fields import Fields
from gateway.custom.known import record_id
from gateway.custom.prompts import TEMPLATE, document, gaps_of
from gateway.custom.reading import (
    LONGEST_DESCRIPTION,
    LONGEST_TITLE,
    ROLES,
    Definition,
    continued,
    misfits,
    read_name,
    read_roles,
    too_much,
)
from gateway.mcp.jsonrpc import quoted
from gateway.policy.mapping import TEMPLATES
from gateway.policy.terms import Json
from gateway.records import CustomPrompt, PromptArgument, PromptMessage

CHANGEABLE: Final = ("title", "description", "arguments", "handler", ROLES, "alwaysVisible")
"""What can be changed of a prompt that is there."""

MOST_ARGUMENTS: Final = 50
MOST_MESSAGES: Final = 50
LONGEST_TEXT: Final = 32_000

_WRITERS: Final = ("user", "assistant")
_LONGEST_NAME: Final = 64
_ELSE: Final = "…"
"""Stands in a message that is never kept."""

_Placed: TypeAlias = tuple[str, PromptMessage]
"""A message, and where its maker wrote it."""


def read_prompt(given: Mapping[str, Json], *, owner: str, by: str, now: int) -> Definition[CustomPrompt] | list[str]:
    """The prompt that ``given`` defines for ``owner``, made by ``by`` at ``now`` (ms since the epoch), or all that is
    wrong with it.
    """
    if sentence := too_much(given):
        return [sentence]
    fields = Fields(given, [])
    name = read_name(fields)
    arguments, placed = _arguments(fields), _messages(fields)
    messages = tuple(message for _, message in placed)
    prompt = CustomPrompt(
        id=record_id(owner, name),
        owner=owner,
        name=name,
        title=fields.text("title", most=LONGEST_TITLE),
        description=fields.text("description", most=LONGEST_DESCRIPTION),
        arguments=arguments,
        messages=messages,
        always_visible=fields.flag("alwaysVisible") or False,
        by=by,
        created_at=now,
        updated_at=now,
    )
    roles = read_roles(fields)
    fields.close()
    gaps = gaps_of(messages, arguments)
    wrong = [_where(sentence, placed) for sentence in gaps] if isinstance(gaps, list) else []
    return (fields.problems + wrong) or Definition(prompt, roles)


def changed_prompt(
    prompt: CustomPrompt, updates: Mapping[str, Json], *, by: str, now: int
) -> Definition[CustomPrompt] | list[str]:
    """``prompt`` with ``updates``, whose fields replace its own as a whole (``null``: none), or all that is wrong."""
    if problems := prompt_misfits(updates):
        return problems
    read = read_prompt({**document(prompt), **updates}, owner=prompt.owner, by=by, now=now)
    return read if isinstance(read, list) else continued(read, prompt)


def prompt_misfits(updates: Mapping[str, Json]) -> list[str]:
    """What is wrong with ``updates`` of a prompt, whichever it is."""
    return misfits(updates, CHANGEABLE)


def _arguments(fields: Fields) -> tuple[PromptArgument, ...]:
    read = [_argument(each) for each in fields.each("arguments", most=MOST_ARGUMENTS)]
    names = [each.name for each in read]
    for name in dict.fromkeys(each for each in names if each and names.count(each) > 1):
        fields.problem(f"{quoted(name)} stands there twice", "arguments")
    return tuple(read)


def _argument(fields: Fields) -> PromptArgument:
    name = fields.text("name", most=_LONGEST_NAME, required=True)
    description = fields.text("description", most=LONGEST_DESCRIPTION)
    read = PromptArgument(name=name, description=description, required=fields.flag("required") or False)
    fields.close()
    return read


def _messages(fields: Fields) -> list[_Placed]:
    """The texts of the handler: one ``template``, which the user says, or several ``messages``."""
    handler = fields.below("handler", required=True)
    if handler is None:
        return []
    type, config = handler.text("type", most=_LONGEST_NAME, required=True), handler.below("config", required=True)
    handler.close()
    if type not in ("", TEMPLATE):
        handler.problem(f"{quoted(type)} would run something, and prompts run nothing: write `{TEMPLATE}`", "type")
        return []
    return [] if config is None else _texts(config)


def _texts(config: Fields) -> list[_Placed]:
    given = [name for name in ("template", "messages") if config.has(name)]
    read = [(config.named("template"), "user", config.text("template", most=LONGEST_TEXT))]
    if "template" not in given:
        read = [_message(each) for each in config.each("messages", most=MOST_MESSAGES)]
    config.json("messages")
    config.close()
    if len(given) != 1:
        config.problem("has either a text under `template` or a list under `messages`")
    elif not read or not all(text for _, _, text in read):
        config.problem("holds no message, or an empty one", given[0])
    return [(place, PromptMessage(role=role, text=text)) for place, role, text in read]


def _message(fields: Fields) -> tuple[str, str, str]:
    """Where a message stands, who says it, and its text: under ``text``, or under ``content``, as a text or as MCP has
    it.
    """
    role = fields.text("role", most=_LONGEST_NAME) or "user"
    if role not in _WRITERS:
        fields.problem(f"{quoted(role)} is not one of `user`, `assistant`", "role")
    named = "content" if fields.has("content") else "text"
    whole = fields.below(named) if isinstance(fields.given.get(named), dict) else None
    text = _content(whole) if whole is not None else fields.text(named, most=LONGEST_TEXT)
    fields.close()
    return fields.place, role, text


def _content(content: Fields) -> str:
    if content.text("type", most=_LONGEST_NAME) != "text":
        content.problem("is to be `text`: prompts hold nothing else", "type")
        return _ELSE
    text = content.text("text", most=LONGEST_TEXT)
    content.close()
    return text


def _where(sentence: str, placed: Sequence[_Placed]) -> str:
    """A sentence about the texts by their numbers, with the place where the maker wrote them."""
    number, _, rest = sentence.removeprefix(f"{TEMPLATES}.").partition(":")
    return f"{placed[int(number)][0]}:{rest}"
