"""Telling an operator's server of every change: signed, tried again, bounded, and without a secret."""

import asyncio
import base64
import hashlib
import hmac
import json
import logging

import pytest

from connectors.base import Secret
from connectors.egress import Egress
from gateway.connections import webhook
from gateway.connections.webhook import Message, Webhook, headers, key_of
from gateway.records import Status
from tests.connections.renewal import ADA, NOON, Clock, connection
from tests.connectors.conftest import egress, serve  # noqa: F401 (fixtures)
from tests.connectors.raw_http import LOCAL, TLS, Names

SECRET = Secret("whsec_" + base64.b64encode(b"canary-webhook-key-of-some-length").decode())
A = "a" * 24


def answers(*statuses):
    """A receiver that answers so, the last one from then on."""
    left = list(statuses)

    async def reply(_, writer):
        status = left.pop(0) if len(left) > 1 else left[0]
        writer.write(f"HTTP/1.1 {status} x\r\nContent-Length: 0\r\n\r\n".encode())

    return reply


@pytest.fixture
def told(egress):  # noqa: F811
    """A webhook that goes to a server of this machine and has little patience."""

    def made(server, **more):
        given = {"clock": Clock(), "allow": LOCAL, "pauses": (0.0, 0.01)} | more
        return Webhook(f"{server.url}/hooks?team=1", SECRET, egress, **given)

    return made


def test_the_signature_is_that_of_the_standard():
    """The example of its documentation."""
    key = key_of(Secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"))
    made = headers(key, Message("msg_p5jXN8AQM9LWM0D4loKWxJek", b'{"test": 2432232314}'), 1_614_265_330_999)
    assert made["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert made["webhook-timestamp"] == "1614265330"
    assert made["webhook-id"] == "msg_p5jXN8AQM9LWM0D4loKWxJek"


@pytest.mark.parametrize("text", ["a plain secret of some length", "whsec_not base64!", "whsec_YWJj?"])
def test_a_secret_that_is_no_base64_is_taken_as_it_is(text):
    assert key_of(Secret(text)) == text.encode()


async def test_a_change_is_told_once_with_whose_it_is_and_what_became_of_it(serve, told):  # noqa: F811
    server = await serve(answers(204))
    hook = told(server)
    hook.changed(connection(status=Status.NEEDS_REAUTH, reason="renewal_refused"))
    await hook.drain()
    [heard] = server.heard
    assert (heard.method, heard.target) == ("POST", "/hooks?team=1")
    assert heard.header("content-type") == "application/json"
    assert json.loads(heard.body) == {
        "type": "connection.changed",
        "timestamp": NOON // 1000,
        "data": {
            "connection": A,
            "tenant": "main",
            "owner": ADA,
            "connector": "slack",
            "status": "needs_reauth",
            "reason": "renewal_refused",
            "at": NOON,
        },
    }
    signed = f"{heard.header('webhook-id')}.{heard.header('webhook-timestamp')}.".encode() + heard.body
    proof = hmac.digest(b"canary-webhook-key-of-some-length", signed, hashlib.sha256)
    assert heard.header("webhook-signature") == f"v1,{base64.b64encode(proof).decode()}"
    assert "canary" not in str(heard)


async def test_what_is_not_taken_is_told_again_under_the_same_id_and_a_time_of_its_own(serve, told):  # noqa: F811
    server, clock = await serve(answers(500, 429, 200)), Clock()
    hook = told(server, clock=clock)
    hook.changed(connection())
    clock.now += 1_000
    await hook.drain()
    assert len(server.heard) == 3
    assert len({each.header("webhook-id") for each in server.heard}) == 1
    assert len({each.body for each in server.heard}) == 1
    assert server.heard[0].header("webhook-timestamp") == str(NOON // 1000 + 1)


async def test_it_is_tried_only_so_often(serve, told, caplog):  # noqa: F811
    server = await serve(answers(503))
    hook = told(server)
    hook.changed(connection())
    await hook.drain()
    assert len(server.heard) == 3
    assert "the webhook did not take msg_" in caplog.text
    assert "HTTP 503" in caplog.text


@pytest.mark.parametrize("status", [400, 401, 404, 410])
async def test_what_the_receiver_refuses_is_not_told_again(serve, told, status):  # noqa: F811
    server = await serve(answers(status))
    hook = told(server)
    hook.changed(connection())
    await hook.drain()
    assert len(server.heard) == 1


async def test_a_receiver_that_redirects_is_not_followed(serve, told, caplog):  # noqa: F811
    async def reply(_, writer):
        writer.write(b"HTTP/1.1 302 x\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n")

    server = await serve(reply)
    hook = told(server)
    hook.changed(connection())
    await hook.drain()
    assert "redirects" in caplog.text


async def test_a_private_address_is_not_told_unless_it_is_listed(serve, caplog):  # noqa: F811
    server, out = await serve(answers(200)), Egress(resolver=Names(["127.0.0.1"]), tls=TLS)
    hook = Webhook(f"{server.url}/hooks", SECRET, out, clock=Clock(), pauses=())
    hook.changed(connection())
    await hook.drain()
    await out.close()
    assert server.heard == []
    assert "did not take" in caplog.text
    assert "/hooks" not in caplog.text, "a path may hold a token"


async def test_one_that_fails_does_not_keep_the_next_from_being_told(serve, told):  # noqa: F811
    server = await serve(answers(400, 200))
    hook = told(server)
    hook.changed(connection())
    hook.changed(connection("b" * 24))
    await hook.drain()
    assert [json.loads(each.body)["data"]["connection"] for each in server.heard] == [A, "b" * 24]


async def test_what_happens_while_it_runs_is_told_in_order(serve, told):  # noqa: F811
    server = await serve(answers(500, 200))
    hook = told(server)
    task = asyncio.create_task(hook.run())
    for number in range(3):
        hook.changed(connection(f"{number:024x}"))
    await server.until(4)
    task.cancel()
    await asyncio.wait({task})
    ids = [json.loads(each.body)["data"]["connection"] for each in server.heard]
    assert ids == [f"{number:024x}" for number in (0, 0, 1, 2)]


async def test_too_much_that_waits_is_not_kept_and_said_aloud(serve, told, monkeypatch, caplog):  # noqa: F811
    monkeypatch.setattr(webhook, "MOST_WAITING", 2)
    server = await serve(answers(200))
    hook = told(server)
    with caplog.at_level(logging.ERROR):
        for number in range(3):
            hook.changed(connection(f"{number:024x}"))
    assert f"is not told of connection `{2:024x}`: 2 changes wait already" in caplog.text
    await hook.drain()
    assert len(server.heard) == 2


async def test_neither_secret_nor_signature_stands_in_a_log(serve, told, caplog):  # noqa: F811
    caplog.set_level(logging.DEBUG)
    server = await serve(answers(500))
    hook = told(server)
    hook.changed(connection())
    await hook.drain()
    for secret in ("canary", SECRET.reveal(), str(server.heard[0].header("webhook-signature"))):
        assert secret not in caplog.text
    assert "canary" not in repr(hook) + repr(vars(hook).get("_url"))
