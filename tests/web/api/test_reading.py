"""What is told of a word that is none of a closed list, wherever it stands in a body."""

from enum import StrEnum
from typing import Annotated, Literal

import msgspec
import pytest
from quart import Quart

from gateway.errors import Malformed
from gateway.web.api.reading import read_body, read_query


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Part(msgspec.Struct, rename="camel"):
    its_colour: Colour | None = None


class Whole(msgspec.Struct):
    name: Annotated[str, msgspec.Meta(max_length=30)] = ""
    order: Annotated[Literal["newest", "oldest"], msgspec.Meta(description="Which come first.")] = "newest"
    parts: Annotated[tuple[Part, ...], msgspec.Meta(max_length=3)] = ()
    listed: list[Colour] = msgspec.field(default_factory=list)


COLOURS = "; it is one of `red`, `blue`"


async def told(body: str) -> str:
    async with Quart("test").test_request_context("/", method="POST", data=body):
        with pytest.raises(Malformed) as refused:
            await read_body(Whole)
    return str(refused.value)


@pytest.mark.parametrize(
    ("body", "end"),
    [
        ('{"parts": [{}, {"itsColour": "green"}]}', f"at `$.parts[1].itsColour`{COLOURS}"),
        ('{"listed": ["red", "green"]}', f"at `$.listed[1]`{COLOURS}"),
        ('{"order": "up"}', "at `$.order`; it is one of `newest`, `oldest`"),
        ('{"order": "up - at `$.listed[0]`"}', "at `$.order`; it is one of `newest`, `oldest`"),
    ],
)
async def test_the_words_that_may_stand_there_are_told(body, end):
    assert (await told(body)).endswith(end)


@pytest.mark.parametrize("body", ['{"nmae": 1, "order": 1}', '{"listed": [1]}', '{"order": "newest"', "[]"])
async def test_other_faults_name_no_words(body):
    assert "one of" not in await told(body)


async def test_a_query_is_told_the_same():
    async with Quart("test").test_request_context("/?order=up"):
        with pytest.raises(Malformed, match=r"at `\$\.order`; it is one of `newest`, `oldest`"):
            read_query(Whole)
