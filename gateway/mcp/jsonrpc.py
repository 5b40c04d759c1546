"""Bytes to messages and back: JSON-RPC 2.0 as MCP uses it, with one meaning only.

What this file lets through is judged, and the same value is encoded again and sent on. So it refuses
whatever two readers could understand in two ways (a key twice, keys that differ only in case, numbers
that other languages round away) and whatever costs more than its size (deep nesting, long batches).
It knows no method by name, no era and no transport.
"""

import json
from collections.abc import Collection
from typing import Any, Final, Protocol, cast

import msgspec

from gateway.errors import Malformed
from gateway.mcp.terms import META_KEYS, Message, Notification, Params, Request, Response
from gateway.policy.terms import Json

PARSE_ERROR: Final = -32700
INVALID_REQUEST: Final = -32600

MAX_DEPTH: Final = 64
MAX_VALUES: Final = 100_000
"""What a client may put into one body: checking values costs time that everybody else waits for."""

UNBOUNDED: Final = 2**63

MAX_BATCH: Final = 100
MAX_ID: Final = 256
MAX_METHOD: Final = 128
MIN_INTEGER: Final = -(2**63)
MAX_INTEGER: Final = 2**64 - 1
"""What 64 bits hold exactly; beyond, readers would round or fail, each in its own way."""

_TOO_DEEP: Final = f"the body nests deeper than {MAX_DEPTH} levels; flatten it"

_decode: Final = msgspec.json.Decoder().decode
_encode: Final = msgspec.json.Encoder().encode


class _Words:
    """Keys with a meaning: readers that ignore case would take ``Name`` for ``name``, so only ``name`` may stand."""

    def __init__(self, *words: str) -> None:
        self._exact = frozenset(words)
        self._by_fold = {word.casefold(): word for word in words}

    def refuse_variants(self, value: dict[str, Any]) -> None:
        if value.keys() <= self._exact:
            return
        for key in value:
            word = self._by_fold.get(key.casefold(), key)
            if word != key:
                raise Malformed(f"the key {quoted(key)} must be written `{word}`")


_ENVELOPE: Final = _Words("jsonrpc", "id", "method", "params", "result", "error")
_PARAMS: Final = _Words(
    *("_meta", "name", "arguments", "uri", "ref", "argument", "cursor", "level", "notifications"),
    *("protocolVersion", "capabilities", "clientInfo", "requestId", "requestState", "inputResponses", "task", "taskId"),
)
_META: Final = _Words(*META_KEYS)


class Told(Protocol):
    """What can be told as a JSON-RPC error: a refusal, or what a server behind us answered.

    ``str()`` of it is the message.
    """

    @property
    def code(self) -> int: ...
    @property
    def data(self) -> object: ...


def parse(body: bytes, *, values: int = UNBOUNDED) -> Message | list[Message]:
    """The message that ``body`` holds, or the messages of a batch (which the caller may still refuse). It may
    hold at most so many ``values``, in lists and objects of any depth.

    Raises ``Malformed``: -32700 when the body is not JSON in UTF-8, -32600 when it is not exactly one
    acceptable message; ``request_id`` is set when the id of a single message could be read.
    """
    try:
        value = _decode(body)
    except RecursionError:
        raise Malformed(_TOO_DEEP) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Malformed(f"the body is not JSON in UTF-8: {error}", code=PARSE_ERROR) from None
    try:
        return _messages(value, body, _Contents(values))
    except Malformed as refusal:
        refusal.request_id = _readable_id(value)
        raise


def encode(message: Message) -> bytes:
    """One line of JSON without a line end; ``parse`` gives an equal message back."""
    envelope: dict[str, Json] = {"jsonrpc": "2.0"}
    if isinstance(message, Response):
        envelope["id"] = message.id
        if message.error is None:
            envelope["result"] = message.result
        else:
            envelope["error"] = message.error
        return _encode(envelope)
    if isinstance(message, Request):
        envelope["id"] = message.id
    envelope["method"] = message.method
    if message.params:
        envelope["params"] = message.params
    return _encode(envelope)


def error_response(id: str | int | None, told: Told) -> Response:
    """The answer that tells ``told`` to whoever sent ``id``."""
    error: Params = {"code": told.code, "message": str(told)}
    if told.data is not None:
        error["data"] = cast("Json", told.data)
    return Response(id=id, error=error)


def quoted(text: str) -> str:
    """The user's own word in backticks, short and printable."""
    shown = "".join(sign if sign.isprintable() else "?" for sign in text[:64])
    return f"`{shown}`" if len(text) <= 64 else f"`{shown}…`"


def _messages(value: Any, body: bytes, contents: "_Contents") -> Message | list[Message]:
    if type(value) is not list:
        objects = contents.add(value)
        contents.refuse_repeated_keys(body)
        return _message(value, objects)
    if not 0 < len(value) <= MAX_BATCH:
        raise Malformed(f"a batch must hold 1 to {MAX_BATCH} messages, not {len(value)}")
    batch = [contents.add(item) for item in value]
    contents.refuse_repeated_keys(body)
    messages = [_message(item, objects) for item, objects in zip(value, batch, strict=True)]
    ids = [message.id for message in messages if isinstance(message, Request)]
    if len(set(ids)) < len(ids):
        raise Malformed("a batch holds an id twice; its answers could not be told apart")
    return messages


class _Contents:
    """What decoding left of a body: how many keys, and every string; ``room`` is for so many values more."""

    __slots__ = ("keys", "room", "texts")

    def __init__(self, room: int) -> None:
        self.room = room
        self.keys = 0
        self.texts: list[str] = []

    def add(self, value: Any) -> list[dict[str, Any]]:
        """The objects in ``value``, outermost first, once its depth and its numbers are found acceptable."""
        objects: list[dict[str, Any]] = []
        level = [value]
        for _ in range(MAX_DEPTH + 1):
            below: list[Any] = []
            for node in level:
                children: Collection[Any] = (node,)
                if type(node) is dict:
                    objects.append(node)
                    self.keys += len(node)
                    self.texts += node
                    children = node.values()
                elif type(node) is list:
                    children = node
                self.room -= len(children)
                if self.room < 0:
                    raise Malformed("the body holds too many values; send less at once")
                for child in children:
                    kind = type(child)
                    if kind is str:
                        self.texts.append(child)
                    elif kind is dict or kind is list:
                        below.append(child)
                    elif kind is int and not MIN_INTEGER <= child <= MAX_INTEGER:
                        raise Malformed("a whole number does not fit into 64 bits; send it as a string")
            if not below:
                return objects
            level = below
        raise Malformed(_TOO_DEEP)

    def refuse_repeated_keys(self, body: bytes) -> None:
        """Refuse when an object in ``body`` had a key twice.

        Every colon in ``body`` follows a key or stands in a string. So none was dropped if there are as
        many as keys and as colons in strings now, and no string spells its colon as an escape. When they
        differ, a slower reader looks at every pair.
        """
        surplus = body.count(b":") - self.keys
        if surplus == 0:
            return
        if surplus != "".join(self.texts).count(":") or b"\\u003a" in body or b"\\u003A" in body:
            try:
                json.loads(body.decode(), object_pairs_hook=_refuse_pairs, parse_int=float)
            except RecursionError:
                raise Malformed(_TOO_DEEP) from None


def _refuse_pairs(pairs: list[tuple[str, Any]]) -> None:
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            raise Malformed(f"the key {quoted(key)} stands twice in one object; send it once")
        seen.add(key)


def _message(value: Any, objects: list[dict[str, Any]]) -> Message:
    if type(value) is not dict:
        raise Malformed("a message must be a JSON object")
    _ENVELOPE.refuse_variants(value)
    if value.get("jsonrpc") != "2.0":
        raise Malformed('`jsonrpc`: must be "2.0"')
    if "method" not in value:
        return _response(value)
    _refuse_folding(objects)
    return _request(value)


def _request(value: dict[str, Any]) -> Request | Notification:
    if "result" in value or "error" in value:
        raise Malformed("`method`: cannot stand beside `result` or `error`")
    method = value["method"]
    if type(method) is not str or not 0 < len(method) <= MAX_METHOD:
        raise Malformed(f"`method`: must be a string of 1 to {MAX_METHOD} characters")
    params = value.get("params", {})
    if type(params) is not dict:
        raise Malformed("`params`: must be an object")
    _PARAMS.refuse_variants(params)
    meta = params.get("_meta", {})
    if type(meta) is not dict:
        raise Malformed("`params._meta`: must be an object")
    _META.refuse_variants(meta)
    if "id" not in value:
        return Notification(method, params)
    return Request(_checked_id(value["id"]), method, params)


def _response(value: dict[str, Any]) -> Response:
    if ("result" in value) == ("error" in value):
        raise Malformed("a message needs `method`, or else one of `result` and `error`")
    if "result" in value:
        result = value["result"]
        if type(result) is not dict:
            raise Malformed("`result`: must be an object")
        return Response(_checked_id(value.get("id")), result=result)
    error = value["error"]
    if type(error) is not dict or type(error.get("code")) is not int or type(error.get("message")) is not str:
        raise Malformed("`error`: must be an object with an integer `code` and a string `message`")
    return Response(None if value.get("id") is None else _checked_id(value["id"]), error=error)


def _checked_id(id: Any) -> str | int:
    if type(id) is int or (type(id) is str and len(id) <= MAX_ID):
        return id
    raise Malformed(f"`id`: must be an integer or a string of at most {MAX_ID} characters")


def _readable_id(value: Any) -> str | int | None:
    try:
        return _checked_id(value.get("id")) if type(value) is dict else None
    except Malformed:
        return None


def _refuse_folding(objects: list[dict[str, Any]]) -> None:
    for each in objects:
        if len(each) > 1 and len(set(map(str.casefold, each))) < len(each):
            folds: dict[str, str] = {}
            first, second = next(
                (folds[fold], key) for key in each if folds.setdefault(fold := key.casefold(), key) != key
            )
            raise Malformed(f"the keys {quoted(first)} and {quoted(second)} differ only in case; send one")
