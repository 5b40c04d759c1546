"""Actions as tools: each tells by which description of its platform it was made."""

from dataclasses import replace

from connectors.base import Secret
from connectors.rest.tools import catalogue_of
from gateway.mcp.terms import Kind
from tests.connectors.rest.building import action, platform


def marks(described):
    return {item.platform for item in catalogue_of(described).items[Kind.TOOL]}


def test_every_action_tells_one_description_from_another():
    described = platform("http://127.0.0.1:9001", action(), action("POST"))
    (mark,) = marks(described)
    assert mark
    assert marks(platform("http://127.0.0.1:9001", action(), action("POST"))) == {mark}
    for other in (
        platform("http://127.0.0.1:9002", action(), action("POST")),
        replace(described, inputs={"region": "eu"}),
        replace(described, scopes=("read",)),
    ):
        assert marks(other) != {mark}


def test_no_secret_can_be_found_by_it():
    described = platform("http://127.0.0.1:9001", action())
    assert marks(replace(described, client_secret=Secret("one"))) == marks(
        replace(described, client_secret=Secret("two"))
    )
