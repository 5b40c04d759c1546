"""Whose account it is: told by the platform, refused by it, or not to be found out now."""

from dataclasses import replace

import pytest

from connectors.base import Credential, Secret
from connectors.definition.terms import AuthKind, Equals, Identity
from connectors.rest.identity import LONGEST, Account, whose
from gateway.errors import NotConnected, UpstreamFailed
from tests.connectors.rest.building import TOKEN, credential

ME = {"url": "", "id": "user.id", "label": "{user.name} @ {team}"}


@pytest.fixture
def asked(desk, egress):
    """``await asked(status, body, …)``: whose account it is at a platform that answers so, and what it heard."""

    async def ask(status, answer, *, api=None, **identity):
        server, connector, _ = await desk(lambda _: (status, answer), **(api or {}))
        told = Identity(**{**ME, "url": f"http://127.0.0.1:{server.port}/me", **identity})
        place = replace(connector.platform, definition=replace(connector.platform.definition, identity=told))
        return await whose(place, credential(), egress), server

    return ask


async def test_an_account_has_an_id_and_a_label(asked):
    account, server = await asked(200, {"user": {"id": 7, "name": "Ann"}, "team": "Desk"})
    assert account == Account("7", "Ann @ Desk")
    (heard,) = server.heard
    assert (heard.method, heard.target, heard.header("authorization")) == ("GET", "/me", f"Bearer {TOKEN}")


async def test_a_query_may_be_posted(asked):
    _, server = await asked(200, {"user": {"id": "u"}}, method="POST", body={"query": "{ viewer { id } }"})
    (heard,) = server.heard
    assert (heard.method, heard.body) == ("POST", b'{"query":"{ viewer { id } }"}')
    assert heard.header("content-type") == "application/json"


async def test_a_platform_without_a_question_tells_nothing(desk, egress):
    server, connector, _ = await desk(lambda _: (200, {}))
    assert await whose(connector.platform, credential(), egress) == Account("", "")
    assert server.heard == []


async def test_a_label_is_one_short_line(asked):
    account, _ = await asked(200, {"user": {"id": "u\r\n1", "name": "A\x1b[31m\nB\u202e" + "x" * 999}, "team": ""})
    assert account.id == "u 1"
    assert account.label.startswith("A [31m B xxx")
    assert account.label.isprintable()
    assert len(account.label) == LONGEST


async def test_without_a_label_the_id_is_shown(asked):
    account, _ = await asked(200, {"user": {"id": "u"}}, label="{user.name}")
    assert account == Account("u", "u")


@pytest.mark.parametrize(
    ("status", "body", "more"),
    [
        (401, {"message": TOKEN}, {}),
        (403, {}, {}),
        (200, {"ok": False, "error": TOKEN, "user": {"id": "u"}}, {"error_when": Equals("ok", False)}),
        (200, {"data": None, "user": {"id": "u"}}, {"api": {"error_when": Equals("data")}}),
    ],
)
async def test_a_credential_that_the_platform_refuses_is_not_connected(asked, status, body, more):
    with pytest.raises(NotConnected, match=r"^`desk` does not accept this credential$") as caught:
        await asked(status, body, **more)
    assert caught.value.connector == "desk"


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        (500, {}, "answered HTTP 500 when asked whose account this is"),
        (429, {}, "answered HTTP 429 when asked whose account this is"),
        (200, {"user": {}}, "did not tell whose account this is"),
        (200, {"user": {"id": {"a": 1}}}, "did not tell whose account this is"),
        (200, {"user": {"id": "\n"}}, "did not tell whose account this is"),
        (200, [], "did not tell whose account this is"),
        (200, b"<html>", "did not tell whose account this is"),
        (204, b"", "did not tell whose account this is"),
    ],
)
async def test_an_answer_that_does_not_tell_is_a_failure(asked, status, body, told):
    with pytest.raises(UpstreamFailed, match=told):
        await asked(status, body)


async def test_a_question_that_cannot_be_asked_is_a_failure(asked, desk, egress):
    with pytest.raises(UpstreamFailed, match=r"there is no value for `team.id`"):
        await asked(200, {}, url="https://127.0.0.1/{team.id}")
    with pytest.raises(UpstreamFailed, match=r"`evil.example` is not among the allowed hosts"):
        await asked(200, {}, url="https://evil.example/me")


async def test_a_key_is_checked_like_a_token(desk, egress):
    server, connector, _ = await desk(
        lambda _: (200, {"user": {"id": "u"}}), kind=AuthKind.API_KEY, auth={"X-Key": "{api_key}"}
    )
    told = Identity(f"http://127.0.0.1:{server.port}/me", "user.id", "{user.id}")
    place = replace(connector.platform, definition=replace(connector.platform.definition, identity=told))
    key = Credential("", {"api_key": Secret("k-123456")})
    assert (await whose(place, key, egress)).id == "u"
    assert server.heard[0].header("x-key") == "k-123456"
