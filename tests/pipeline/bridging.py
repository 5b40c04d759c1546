"""Clients of both eras at a server that asks: what the tests of the bridge have in common."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pytest

from gateway.errors import Refusal
from gateway.mcp.terms import CAPABILITIES_KEY, Era, Params
from tests.builders import AMY, Door, call, text_of
from tests.fakes import (
    ANSWERS,
    ELICITATION,
    EVERYTHING,
    FORM,
    ROOTS,
    SAMPLE,
    SAMPLING,
    Client,
)

NAME = {"name": (ELICITATION, FORM)}
ALL_AT_ONCE = {"a": (SAMPLING, SAMPLE), "b": (ELICITATION, FORM), "c": (ROOTS, {})}


async def post(
    door: Door, email: str = AMY, *, capabilities: Params = EVERYTHING, client: Client | None = None, **params: Any
) -> Params:
    """A POST of a modern client, by default of ``slack__send`` with no arguments."""
    client = client or Client(capabilities)
    meta = {CAPABILITIES_KEY: client.capabilities, **params.pop("_meta", {})}
    params = {"name": "slack__send", "arguments": {}, **params}
    asked = call("tools/call", era=Era.MODERN, _meta=meta, **params)
    return await door.handle(email, asked, caller=client)


async def use(door: Door, client: Client, email: str = AMY) -> Params:
    """The same of a legacy client."""
    return await door.handle(email, call("tools/call", name="slack__send", arguments={}), caller=client)


def again(asked: Params, **answers: Params) -> dict[str, Any]:
    """The parameters by which a client repeats what it was asked about."""
    return {"inputResponses": answers, "requestState": asked["requestState"]}


def answered(asked: Params, answers: Mapping[str, Params] = ANSWERS) -> dict[str, Any]:
    """Each question answered as its kind is."""
    return again(asked, **{key: answers[each["method"]] for key, each in asked["inputRequests"].items()})


def told(result: Params) -> Any:
    return json.loads(text_of(result))


def methods(asked: Params) -> list[str]:
    return [each["method"] for each in asked["inputRequests"].values()]


async def settled(work: "asyncio.Task[Any] | None" = None) -> None:
    """Let everything run that can run now."""
    for _ in range(20):
        await asyncio.sleep(0)


async def refusal_of(work: Any) -> Refusal:
    with pytest.raises(Refusal) as caught:
        await work
    return caught.value
