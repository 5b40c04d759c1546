"""The way out on a user's own credential."""

import pytest

from connectors.base import Credential, Personal, Secret
from connectors.keyed import Keyed
from gateway.errors import NotConnected
from tests.connectors.raw_http import answer, ask, replies

TOO_LITTLE = answer(
    b"{}", status="403 Forbidden", headers='WWW-Authenticate: Bearer error="insufficient_scope", scope="b"\r\n'
)
REFUSED = answer(b"{}", status="401 Unauthorized", headers='WWW-Authenticate: Bearer scope="a"\r\n')
OK = answer(b"{}")


class Purse:
    """One connection whose tokens a test sets; the last is not renewed."""

    def __init__(self, *tokens, name="access_token"):
        self.tokens, self.name, self.opened, self.renewed = list(tokens), name, [], 0

    def ids(self, owner):
        return ("c1",) if owner == "user:a" else ()

    def owner(self, id):
        return "user:a" if id == "c1" else ""

    async def open(self, owner, id=""):
        self.opened.append((owner, id))
        return Credential("c1", {self.name: Secret(self.tokens[0])})

    async def renew(self, used):
        self.renewed += 1
        if len(self.tokens) == 1:
            return None
        self.tokens.pop(0)
        return Credential("c1", {self.name: Secret(self.tokens[0])})


def keyed(egress, purse, doubts, personal=None):
    told = {"connector": "docs", "owner": "user:a", "id": "", "doubt": lambda: doubts.append(1)}
    return Keyed(egress, purse, personal or Personal(True), **told)


async def test_each_request_carries_the_credential_of_now(serve, egress):
    server, purse = await serve(replies(OK)), Purse("t1")
    out = keyed(egress, purse, [])
    assert await ask(out, server.url, method="POST", headers={"Accept": "x"}) == (200, b"{}")
    purse.tokens = ["t2"]
    await ask(out, server.url)
    assert [each.header("authorization") for each in server.heard] == ["Bearer t1", "Bearer t2"]
    assert server.heard[0].header("accept") == "x"


async def test_a_key_stands_in_the_header_that_the_operator_named(serve, egress):
    server = await serve(replies(OK))
    personal = Personal(False, header="X-Key", prefix="")
    await ask(keyed(egress, Purse("k1", name="api_key"), [], personal), server.url)
    assert server.heard[0].header("x-key") == "k1"
    assert server.heard[0].header("authorization") is None


async def test_a_refused_request_is_made_once_more_with_a_newer_credential(serve, egress):
    server, doubts = await serve(replies(REFUSED, OK)), []
    assert await ask(keyed(egress, Purse("t1", "t2"), doubts), server.url, method="POST", body=b"x") == (200, b"{}")
    assert [each.header("authorization") for each in server.heard] == ["Bearer t1", "Bearer t2"]
    assert [each.body for each in server.heard] == [b"x", b"x"]
    assert len(doubts) == 1


@pytest.mark.parametrize(("tokens", "requests"), [(("t1",), 1), (("t1", "t2"), 2), (("t1", "t2", "t3"), 2)])
async def test_a_credential_that_stays_refused_has_to_be_connected_anew(tokens, requests, serve, egress):
    server = await serve(replies(REFUSED))
    with pytest.raises(NotConnected, match="connect it anew") as caught:
        await ask(keyed(egress, Purse(*tokens), []), server.url, method="POST")
    assert (caught.value.connector, caught.value.owner, caught.value.reconnect) == ("docs", "user:a", "c1")
    assert len(server.heard) == requests


async def test_a_credential_that_may_too_little_has_to_be_connected_anew_for_more_and_is_not_renewed(serve, egress):
    server, purse, doubts = await serve(replies(TOO_LITTLE)), Purse("t1", "t2"), []
    with pytest.raises(NotConnected, match=r"lacks rights \(`b`\): connect it anew") as caught:
        await ask(keyed(egress, purse, doubts), server.url, method="POST")
    assert (caught.value.connector, caught.value.reconnect, caught.value.scopes) == ("docs", "c1", ("b",))
    assert (purse.renewed, len(server.heard), doubts) == (0, 1, [])


SILENT = answer(b"{}", status="403 Forbidden", headers='WWW-Authenticate: Bearer error="insufficient_scope"\r\n')


@pytest.mark.parametrize(
    ("refusal", "personal", "said"),
    [(TOO_LITTLE, Personal(True, scopes=("a",)), "`b`"), (SILENT, Personal(True), "it does not say which")],
)
async def test_rights_that_cannot_be_asked_for_lead_nowhere(refusal, personal, said, serve, egress):
    server = await serve(replies(refusal))
    with pytest.raises(NotConnected, match=said) as caught:
        await ask(keyed(egress, Purse("t1"), [], personal), server.url, method="POST")
    assert (caught.value.connector, caught.value.reconnect) == ("", "")


@pytest.mark.parametrize(
    ("refusal", "personal"),
    [(answer(b"{}", status="403 Forbidden"), Personal(True)), (TOO_LITTLE, Personal(False))],
)
async def test_what_is_forbidden_for_another_reason_is_told_as_the_server_said_it(refusal, personal, serve, egress):
    server, purse, doubts = await serve(replies(refusal)), Purse("t1", "t2", name=personal.secret), []
    assert (await ask(keyed(egress, purse, doubts, personal), server.url, method="POST"))[0] == 403
    assert (purse.renewed, len(server.heard), doubts) == (0, 1, [])


async def test_a_goodbye_that_is_refused_is_told_as_the_server_said_it(serve, egress):
    server, purse = await serve(replies(REFUSED)), Purse("t1", "t2")
    assert (await ask(keyed(egress, purse, []), server.url, method="DELETE"))[0] == 401
    assert purse.renewed == 0


async def test_a_standing_stream_is_opened_with_a_newer_credential_too(serve, egress):
    server, purse = await serve(replies(REFUSED, OK)), Purse("t1", "t2")
    assert (await ask(keyed(egress, purse, []), server.url))[0] == 200
    assert purse.renewed == 1


async def test_a_connection_without_the_secret_it_needs_is_told_so(serve, egress):
    server = await serve(replies(OK))
    with pytest.raises(NotConnected, match="cannot be used any more"):
        await ask(keyed(egress, Purse("t1", name="other"), []), server.url, method="POST")
    assert server.heard == []
