"""What a platform answered, as a result for the caller. Pure: bytes in, a result out.

Nothing is cut in silence, and a failure tells what the platform says of it, but never the credential.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from connectors.definition.paths import found, text_at
from connectors.definition.terms import Action, Api, Equals
from gateway.mcp.terms import Params
from gateway.policy.terms import Json

LONGEST_MESSAGE: Final = 1_000
"""Characters of what a platform says of a failure."""

_MESSAGES: Final = ("message", "error.message", "error_description", "errors.0.message", "errors.0", "error", "detail")
"""Where platforms commonly say what went wrong."""

_TEXTS: Final = ("text/", "application/xml", "application/x-www-form-urlencoded", "application/javascript")


@dataclass(frozen=True, slots=True, repr=False)
class Heard:
    """An answer as it came; the names of ``headers`` are in lower case."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True, repr=False)
class Document:
    """``value`` is what was read where the answer is JSON (``is_json``); else ``text`` is what can be said of it."""

    is_json: bool
    value: Json = None
    text: str = ""


def read(heard: Heard) -> Document:
    """The answer's content."""
    type = heard.headers.get("content-type", "").partition(";")[0].strip().lower()
    body = heard.body
    if not body.strip():
        return Document(False, text=f"HTTP {heard.status}: done; there is nothing more to say")
    if "json" in type or (type in ("", "text/plain", "text/html") and body.lstrip()[:1] in (b"{", b"[")):
        try:
            return Document(True, msgspec.json.decode(body))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            pass
    text = _text(type, heard.headers.get("content-type", ""), body)
    return Document(
        False, text=text or f"HTTP {heard.status}: {len(body)} bytes of `{_safe(type) or 'an unnamed type'}`"
    )


def failure(heard: Heard, document: Document, action: Action, api: Api) -> str:
    """What went wrong, by the status or by what the answer says; ``""``: nothing did."""
    condition = action.error_when or api.error_when
    if heard.status < 400 and not (condition is not None and document.is_json and holds(condition, document.value)):
        return ""
    return _message(document, api.error_path) or "no reason is given"


def holds(condition: Equals, value: Json) -> bool:
    """Whether an answer meets the condition; what is missing is as good as null."""
    there = found(value, condition.path)
    if condition.present:
        return there is not None and there is not False and there not in ("", [], {})
    return there == condition.equals and isinstance(there, bool) == isinstance(condition.equals, bool)


def failed(name: str, status: int, message: str, *notes: str) -> Params:
    """A result that tells a failure."""
    texts = [f"{name} answered HTTP {status}: {_bounded(message)}", *notes]
    return {"content": [{"type": "text", "text": text} for text in texts], "isError": True}


def result(document: Document, action: Action, notes: Sequence[str] = ()) -> Params:
    """A result that shows what the action shows of the answer, with further sentences behind it."""
    if not document.is_json:
        text, cut = _cut(document.text, action.shown.max_bytes)
        return _result(text, [*cut, *notes])
    value = found(document.value, action.shown.pick) if action.shown.pick else document.value
    text = msgspec.json.encode(value).decode()
    if len(text.encode()) > action.shown.max_bytes:
        text, cut = _shortened(value, text, action.shown.max_bytes)
        return _result(text, [*cut, *notes])
    shown = _result(text, notes)
    return {**shown, "structuredContent": value} if isinstance(value, dict) else shown


def _result(text: str, notes: Sequence[str]) -> Params:
    return {"content": [{"type": "text", "text": each} for each in (text, *notes)]}


def _shortened(value: Json, text: str, most: int) -> tuple[str, list[str]]:
    """Of a list, as many members as fit; of everything else, the beginning."""
    if not isinstance(value, list):
        return _cut(text, most)
    size, kept = 2, 0
    for each in value:
        size += len(msgspec.json.encode(each)) + 1
        if size > most:
            break
        kept += 1
    if kept == 0:
        return _cut(text, most)
    told = f"only the first {kept} of {len(value)} are shown, because of their size; ask for less at a time"
    return msgspec.json.encode(value[:kept]).decode(), [told]


def _cut(text: str, most: int) -> tuple[str, list[str]]:
    content = text.encode()
    if len(content) <= most:
        return text, []
    told = f"this was cut after {most} of {len(content)} bytes, so it is not complete; ask for less at a time"
    return content[:most].decode(errors="ignore"), [told]


def _text(type: str, header: str, body: bytes) -> str:
    """The body as text, ``""`` when it is none."""
    if not (type in ("", *_TEXTS) or type.startswith(_TEXTS) or type.endswith(("+xml", "json"))) or b"\0" in body:
        return ""
    latin = "iso-8859-1" in header.lower()
    try:
        return body.decode("latin-1" if latin else "utf-8")
    except UnicodeDecodeError:
        return ""


def _message(document: Document, path: str) -> str:
    if not document.is_json:
        return document.text
    for each in (path, *_MESSAGES) if path else _MESSAGES:
        value = found(document.value, each)
        if isinstance(value, dict | list) and value:
            return msgspec.json.encode(value).decode()
        if text := text_at(document.value, each):
            return text
    return msgspec.json.encode(document.value).decode()


def _bounded(text: str) -> str:
    plain = "".join(each if each.isprintable() else " " for each in text)
    return plain if len(plain) <= LONGEST_MESSAGE else plain[:LONGEST_MESSAGE] + " …"


def _safe(type: str) -> str:
    return "".join(each for each in type if each.isprintable() and each != "`")[:100]
