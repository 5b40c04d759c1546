"""What users make at run time: frozen records, no behaviour."""

from typing import Any

import msgspec


class Handler(msgspec.Struct, frozen=True, kw_only=True):
    """What a tool made at run time calls: ``type`` is ``http``, ``connector``, ``upstream`` or a handler package;
    ``config`` says what of it, and with which arguments.
    """

    type: str
    config: dict[str, Any] = {}


class CustomTool(msgspec.Struct, frozen=True, kw_only=True):
    """A tool that ``owner`` (a subject, or ``system``) made at run time; ``id`` is ``OWNER/NAME``. Who else may use it
    is a matter of grants. ``by`` changed it last.
    """

    id: str
    owner: str
    name: str
    title: str = ""
    description: str = ""
    schema: dict[str, Any]
    annotations: dict[str, Any] = {}
    handler: Handler
    always_visible: bool = False
    by: str = ""
    created_at: int = 0
    updated_at: int = 0
    rev: int = 0


class PromptArgument(msgspec.Struct, frozen=True, kw_only=True):
    """What a prompt can be given, always a text."""

    name: str
    description: str = ""
    required: bool = False


class PromptMessage(msgspec.Struct, frozen=True, kw_only=True):
    """One message of a prompt; ``role`` is ``user`` or ``assistant``, ``text`` may hold ``{{argument}}``."""

    role: str
    text: str


class CustomPrompt(msgspec.Struct, frozen=True, kw_only=True):
    """A prompt that ``owner`` made at run time: texts with gaps, and nothing that runs. ``id`` is ``OWNER/NAME``."""

    id: str
    owner: str
    name: str
    title: str = ""
    description: str = ""
    arguments: tuple[PromptArgument, ...] = ()
    messages: tuple[PromptMessage, ...]
    always_visible: bool = False
    by: str = ""
    created_at: int = 0
    updated_at: int = 0
    rev: int = 0
