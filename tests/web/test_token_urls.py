"""How clients come in to a server that a user offers: by its token URL, with a key, as an end user of it; over both
transports, with and without sessions.
"""

import json
import logging
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.errors import Refusal, Unauthenticated
from gateway.policy.terms import Subject
from gateway.records import ApiKey, Listing, Mode, Restrictions, Server, Token
from gateway.servers.rows import end_user
from gateway.snapshot import Snapshot
from gateway.web.arrivals import UNSEEN, arrival_of, place_of, redacted
from gateway.web.asgi import Incoming
from tests.builders import NOON, RING, Door
from tests.fakes import FakeConnector, tool
from tests.web.plane import HELLO, HOST, MODERN, MODERN_META, Exchange, Front, message, until

OWNER, EVE = "otto@example.com", "eve@example.com"
ID = "desk-a1b2c3d4"
TOKEN = "mcp_token_" + "s3cr3t" * 7
HERE, BY_TOKEN = f"/mcp/{ID}", f"/mcp/{ID}/{TOKEN}"
OLD = {**HELLO, "protocolVersion": "2024-11-05"}
SAID = "Ask for the blue folder."
ROWS = """
p, user:otto@example.com, main, self, *, write, , allow
p, user:otto@example.com, main, self, *, connect, , allow
"""
ACTS = "p, user:otto@example.com, main, self, gateway/end-users, act-as, , allow\n"


@dataclass
class Signed:
    """Stands for whoever checks tokens of end users: a token ``of:NAME`` proves that one, as long as he is told so."""

    lives: bool = True
    asked: list[str] = field(default_factory=list)

    async def end_user(self, token: str, domain: str, snapshot: Snapshot, now: int) -> Subject:
        self.asked.append(token)
        if not token.startswith("of:") or snapshot.servers.get(domain) is None:
            raise Unauthenticated("no such token")
        proof = f"tok-{snapshot.servers.by_id[domain].tokens[0].id[:16]}"
        return Subject(end_user(domain, token[3:]), credential=proof, expires_at=now + 60_000)

    async def bearer(self, key: str, domain: str, snapshot: Snapshot, now: int) -> Subject | None:
        return await self.end_user(f"of:{key[7:]}", domain, snapshot, now) if key.startswith("eyJ.of.") else None


def token(text: str = TOKEN) -> Token:
    return Token(id=RING.hash(text), secret_id="k1", prefix=text[:11], created_at=1, expires_at=NOON + 30_000)


def server(**more: Any) -> Server:
    known: dict[str, Any] = {"mode": Mode.DIRECT, "instructions": SAID, "tokens": (token(),), **more}
    return Server(id=ID, owner=f"user:{OWNER}", name="Desk", **known)


def front(rows: str = ROWS, **more: Any) -> Front:
    connectors = [FakeConnector("a", [tool("x"), tool("y")]), FakeConnector("b", [tool("x")])]
    door = Door(rows, connectors, proofs=Signed())
    door.person(OWNER)
    door.offer(server(**more))
    return Front(door)


async def asked(at: Front, path: str, method: str = "tools/list", *, key: str | None = None, **more: Any) -> Exchange:
    headers = {"x_apikey": None if key is None else at.key(key), **more.pop("headers", {})}
    return await at.open("POST", path, message(method, **more), **headers).done()


def named(answer: Exchange) -> list[str]:
    return [each["name"] for each in answer.told["result"]["tools"]]


def who(at: Front) -> tuple[str, str]:
    return at.door.last.subject, at.door.last.outcome


# -- by the URL alone


async def test_a_client_without_sessions_needs_nothing_but_the_url():
    at = front()
    headers = {"accept": "application/json,text/event-stream"}
    hello = await asked(at, BY_TOKEN, "initialize", headers=headers, **OLD)
    assert hello.told["result"]["protocolVersion"] == "2024-11-05"
    assert hello.told["result"]["instructions"] == SAID
    assert named(await asked(at, BY_TOKEN, headers=headers)) == ["a__x", "a__y", "b__x"]
    called = await asked(at, BY_TOKEN, "tools/call", headers=headers, name="a__x", arguments={})
    assert "isError" not in called.told["result"]
    assert who(at) == (f"server:{ID}", "ok")


@pytest.mark.parametrize("id", [1, "1", 2**40, "a-b"])
async def test_an_answer_bears_the_very_id_of_its_request_on_one_line(id: Any):
    answer = await asked(front(), BY_TOKEN, id=id)
    assert answer.told["id"] == id
    assert type(answer.told["id"]) is type(id)
    assert "\n" not in answer.text


async def test_a_tool_that_may_not_be_used_is_no_fault_of_http():
    at = front(restrictions=Restrictions(actions=Listing(allow=True, names=("a:x",))))
    answer = await asked(at, BY_TOKEN, "tools/call", name="b__x", arguments={})
    assert answer.status == 200
    assert answer.told["error"]["code"] == -32602


async def test_a_client_of_the_modern_era_reads_the_instructions_as_well():
    at = front()
    body = message("server/discover", _meta=MODERN_META)
    answer = await at.open("POST", BY_TOKEN, body, x_apikey=None, mcp_method="server/discover", **MODERN).done()
    assert answer.told["result"]["instructions"] == SAID


async def test_sessions_and_their_streams_are_there_for_who_wants_them():
    at = front()
    session = (await asked(at, BY_TOKEN, "initialize", **HELLO)).headers["mcp-session-id"]
    news = at.open("GET", BY_TOKEN, mcp_session_id=session, x_apikey=None)
    await until(lambda: news.sent)
    assert news.status == 200
    assert (await asked(at, BY_TOKEN, headers={"mcp_session_id": session})).status == 200
    assert (await at.open("DELETE", BY_TOKEN, mcp_session_id=session, x_apikey=None).done()).status == 200
    assert (await news.done()).ended


@pytest.mark.parametrize("beside", ["key", "wrong"])
async def test_a_key_beside_a_token_is_one_proof_too_many(beside: str):
    at = front()
    answer = await asked(at, BY_TOKEN, headers={"x_apikey": at.key(OWNER) if beside == "key" else "ost_wrong"})
    assert answer.status == 401
    assert answer.told["error"]["code"] == "UNAUTHORIZED"


async def test_of_all_that_is_answered_nothing_is_kept_and_the_url_is_told_nobody():
    at = front()
    session = (await asked(at, BY_TOKEN, "initialize", **HELLO)).headers["mcp-session-id"]
    news = at.open("GET", BY_TOKEN, mcp_session_id=session, x_apikey=None)
    stream = at.open("GET", f"/sse/{ID}/{TOKEN}", x_apikey=None)
    await until(lambda: news.sent and stream.sent)
    answers = [
        news,
        stream,
        await asked(at, BY_TOKEN),
        await asked(at, BY_TOKEN[:-1]),
        await asked(at, BY_TOKEN, "notifications/initialized", id=None),
        await at.open("PUT", BY_TOKEN, x_apikey=None).done(),
        await asked(at, f"{BY_TOKEN}/more"),
    ]
    for each in answers:
        assert "no-store" in each.headers["cache-control"]
        assert each.headers["referrer-policy"] == "no-referrer"


# -- who may be here


async def test_a_stranger_learns_nothing_of_a_server():
    at = front()
    for method, params in (("initialize", HELLO), ("tools/list", {})):
        answer = await asked(at, HERE, method, key=EVE, **params)
        assert answer.status == 403
        assert answer.told["error"]["code"] == "FORBIDDEN"
        assert SAID not in answer.text
        entry = at.door.last
        assert (entry.subject, entry.domain, entry.allowed, entry.outcome) == (f"user:{EVE}", ID, False, "barred")


async def test_whom_a_server_keeps_out_by_name_is_a_stranger_there():
    at = front(public=True, restrictions=Restrictions(users=Listing(allow=False, names=(EVE,))))
    assert (await asked(at, HERE, key=EVE)).status == 403
    assert (await asked(at, HERE, key="amy@example.com")).status == 200


@pytest.mark.parametrize(("key", "status", "code"), [(EVE, 404, "NOT_FOUND"), (None, 401, "UNAUTHORIZED")])
@pytest.mark.parametrize("path", ["/mcp/nowhere", "/sse/nowhere"])
async def test_that_there_is_no_such_server_is_told_to_those_with_a_key(
    path: str, key: str | None, status: int, code: str
):
    at = front()
    method = "GET" if path.startswith("/sse") else "POST"
    body = b"" if method == "GET" else message("tools/list")
    answer = await at.open(method, path, body, x_apikey=key and at.key(key)).done()
    assert answer.status == status
    assert answer.told["error"]["code"] == code
    assert "details" in answer.told["error"]


async def test_a_key_of_other_servers_does_not_count_here():
    at = front()
    key = ApiKey(id=RING.hash("ost_narrow"), secret_id="k1", user=OWNER, prefix="ost_", created_at=1, servers=("else",))
    identities = at.door.follower.current.identities
    at.door._swap(identities=identities.changed(keys=[key]))
    assert (await asked(at, HERE, headers={"x_apikey": "ost_narrow"})).status == 401
    at.door._swap(identities=identities.changed(keys=[replace(key, servers=("else", ID))]))
    assert (await asked(at, HERE, headers={"x_apikey": "ost_narrow"})).status == 200


@pytest.mark.parametrize(
    ("method", "headers", "status", "code"),
    [
        ("POST", {"x_apikey": "ost_wrong"}, 401, "UNAUTHORIZED"),
        ("PUT", {}, 405, "INVALID_REQUEST"),
        ("POST", {"accept": "application/json"}, 406, "INVALID_REQUEST"),
        ("POST", {"content_type": "text/plain"}, 415, "INVALID_REQUEST"),
        ("POST", {"content_length": "99999999"}, 413, "INVALID_REQUEST"),
        ("POST", {"ostiary_policy_at_least": "99"}, 503, "UNAVAILABLE"),
        ("POST", {"host": "evil.example"}, 421, "INVALID_REQUEST"),
    ],
)
async def test_a_fault_of_http_is_told_in_the_envelope_here_and_as_ever_on_the_main_server(
    method: str, headers: dict[str, str], status: int, code: str
):
    at = front()
    own = {"x_apikey": at.key(OWNER), **headers}
    answer = await at.open(method, HERE, message("tools/list"), **own).done()
    assert answer.status == status
    assert answer.told["error"]["code"] == code
    assert answer.told["error"]["message"]
    main = await at.open(method, "/mcp", message("tools/list"), **own).done()
    assert main.status == status
    assert main.told.keys() == ({"error"} if status == 401 else {"jsonrpc", "id", "error"})


async def test_what_is_wrong_with_a_message_and_all_that_a_modern_client_does_wrong_is_an_error_of_json_rpc():
    at = front()
    assert (await at.open("POST", BY_TOKEN, b"{", x_apikey=None).done()).told["error"]["code"] == -32700
    modern = await at.open("POST", BY_TOKEN, b"{}", x_apikey=None, accept="text/html", **MODERN).done()
    assert modern.status == 406
    assert modern.told["jsonrpc"] == "2.0"


# -- headers that say more


async def test_a_header_names_the_server_where_the_url_does_not():
    at = front()
    answer = await asked(at, "/mcp", key=OWNER, headers={"x_mcp_server_id": ID})
    assert named(answer) == ["a__x", "a__y", "b__x"]
    assert at.door.last.domain == ID
    stream = at.open("GET", "/sse", x_apikey=at.key(OWNER), x_mcp_server_id=ID)
    place = await placed(stream)
    await at.open("POST", place, message("initialize", **OLD), x_apikey=at.key(OWNER)).done()
    await until(lambda: stream.messages)
    assert stream.messages[0]["result"]["instructions"] == SAID


@pytest.mark.parametrize("path", [f"/mcp/{ID}", f"/sse/{ID}", BY_TOKEN])
async def test_a_header_that_names_another_server_than_the_url_is_refused(path: str):
    at = front()
    key = None if path == BY_TOKEN else at.key(OWNER)
    method = "GET" if path.startswith("/sse") else "POST"
    answer = await at.open(method, path, message("tools/list"), x_apikey=key, x_mcp_server_id="main").done()
    assert answer.status == 400
    assert not any(entry.outcome == "ok" for entry in at.door.entries)


async def test_the_user_of_the_key_may_say_that_he_is_himself():
    at = front()
    for header in ("x_alloy_userid", "x_user_id"):
        for path in (HERE, "/mcp"):
            answer = await asked(at, path, "initialize", key=OWNER, headers={header: OWNER.upper()}, **HELLO)
            assert answer.status == 200
            assert who(at) == (f"user:{OWNER}", "ok")


async def test_only_whom_the_policy_lets_acts_as_an_end_user():
    at = front()
    answer = await asked(at, HERE, key=OWNER, headers={"x_alloy_userid": "u-1"})
    assert (answer.status, answer.told["error"]["code"]) == (403, "FORBIDDEN")
    entry = at.door.last
    assert (entry.subject, entry.action, entry.allowed) == (f"user:{OWNER}", "act-as", False)
    at.door.apply(ROWS + ACTS)
    at.door.offer(server())
    assert (await asked(at, HERE, key=OWNER, headers={"x_alloy_userid": "u-1"})).status == 200
    assert who(at) == (f"end:{ID}/u-1", "ok")
    assert at.door.last.credential.startswith("act-")


async def test_acting_never_makes_a_user_of_the_gateway():
    at = front(ROWS + ACTS + f"p, user:{EVE}, *, self, *, write, , allow\n")
    at.door.person(EVE)
    await asked(at, HERE, key=OWNER, headers={"x_alloy_userid": EVE})
    assert at.door.last.subject == end_user(ID, EVE)
    assert (await asked(at, "/mcp", key=OWNER, headers={"x_alloy_userid": EVE})).status == 403
    assert (await asked(at, HERE, key=EVE, headers={"x_alloy_userid": OWNER})).status == 403


async def test_acting_asks_of_which_server_of_which_user_and_from_where():
    row = "p, user:otto@example.com, main, self, gateway/end-users, act-as, {}, allow\n"
    for when, status in (
        (f"args.server == '{ID}' and args.user == 'u-1'", 200),
        ("args.user == 'u-2'", 403),
        ("cidr(env.address, '203.0.113.0/24')", 200),
        ("cidr(env.address, '10.0.0.0/8')", 403),
    ):
        at = front(ROWS + row.format(when))
        assert (await asked(at, HERE, key=OWNER, headers={"x_user_id": "u-1"})).status == status, when


async def test_an_end_user_is_a_stranger_to_what_is_his_hosts():
    at = front(ROWS + ACTS + "p, user:otto@example.com, main, self, gateway/*, manage, , allow\n")
    answer = await asked(at, HERE, key=OWNER, headers={"x_alloy_userid": "u-1"})
    assert named(answer) == ["a__x", "a__y", "b__x"]
    subject = Subject(f"end:{ID}/u-1")
    assert not at.door.follower.current.policy.enters(subject, "main", NOON)


async def test_on_a_token_url_nobody_is_somebody_by_saying_so():
    at = front(ROWS + ACTS)
    for name in ("u-1", OWNER):
        assert (await asked(at, BY_TOKEN, headers={"x_alloy_userid": name})).status == 403
    signed = {"x_alloy_user_token": "of:u-1"}
    assert (await asked(at, BY_TOKEN, headers={**signed, "x_alloy_userid": "u-2"})).status == 403
    assert (await asked(at, BY_TOKEN, headers={**signed, "x_alloy_userid": "u-1"})).status == 200
    assert who(at) == (f"end:{ID}/u-1", "ok")


@pytest.mark.parametrize("header", ["x_alloy_user_token", "x_user_token"])
async def test_a_signed_token_makes_its_end_user_beside_a_key_beside_a_token_and_alone(header: str):
    at = front()
    for path, key in ((HERE, OWNER), (BY_TOKEN, None), (HERE, None)):
        assert (await asked(at, path, key=key, headers={header: "of:u-1"})).status == 200
        assert who(at) == (f"end:{ID}/u-1", "ok")
    assert (await asked(at, HERE, key=OWNER, headers={header: "forged"})).status == 401
    assert (await asked(at, HERE, headers={header: "of:u-1", "x_apikey": "ost_wrong"})).status == 401
    assert (await asked(at, "/mcp", key=OWNER, headers={header: "of:u-1"})).status == 401


async def test_two_signed_tokens_of_different_users_prove_neither():
    at = front()
    both = {"authorization": "Bearer eyJ.of.u-1", "x_user_token": "of:u-1"}
    assert (await asked(at, HERE, headers=both)).status == 200
    assert who(at)[0] == end_user(ID, "u-1")
    assert (await asked(at, HERE, headers={**both, "x_user_token": "of:u-2"})).status == 401


@pytest.mark.parametrize("path", [f"/mcp//{TOKEN}", f"/sse//{TOKEN}", "/messages//x", f"{BY_TOKEN}/x"])
async def test_a_path_that_leaves_out_the_server_leads_nowhere(path: str):
    answer = await front().open("POST", path, message("tools/list"), x_mcp_server_id=ID, x_apikey=None).done()
    assert answer.status == 404


async def test_who_came_with_a_key_and_a_signed_token_stays_as_long_as_both_count():
    at = front(ROWS)
    other = token("mcp_token_other")
    at.door.offer(server(tokens=(token(), other)))
    opened = await asked(at, HERE, "initialize", key=OWNER, headers={"x_user_token": "of:u-1"}, **HELLO)
    stream = at.open("GET", HERE, x_apikey=at.key(OWNER), x_user_token="of:u-1", **session_of(opened))
    await until(lambda: stream.sent)
    at.sessions.end_where(lambda *where: not at.still_valid(*where))
    assert not stream.ended
    at.door.dismiss(OWNER)
    at.sessions.end_where(lambda *where: not at.still_valid(*where))
    assert (await stream.done()).ended


# -- what ends it


def session_of(answer: Exchange) -> dict[str, str]:
    return {"mcp_session_id": answer.headers["mcp-session-id"]}


CHANGES = {
    "rotated": lambda at: at.door.offer(server(tokens=(token("mcp_token_new"),))),
    "deleted": lambda at: at.door.offer(gone=(ID,)),
    "ended": lambda at: setattr(at.door, "now", NOON + 30_000),
    "named": lambda at: at.door.offer(server(restrictions=Restrictions(users=Listing(allow=True, names=("u-9",))))),
    "emptied": lambda at: at.door.offer(server(restrictions=Restrictions(permissions=()))),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
async def test_what_closes_a_server_binds_on_the_next_request_and_ends_its_streams(change: Any):
    at = front()
    opened = await asked(at, BY_TOKEN, "initialize", **HELLO)
    news = at.open("GET", BY_TOKEN, x_apikey=None, **session_of(opened))
    stream = at.open("GET", f"/sse/{ID}/{TOKEN}", x_apikey=None)
    place = await placed(stream)
    await until(lambda: news.sent)
    change(at)
    assert (await asked(at, BY_TOKEN)).status in (401, 403)
    assert (await at.open("POST", place, message("tools/list"), x_apikey=None).done()).status == 401
    at.sessions.end_where(lambda *where: not at.still_valid(*where))
    assert (await news.done()).ended
    assert (await stream.done()).ended


@pytest.mark.parametrize("change", [CHANGES["deleted"], CHANGES["emptied"]], ids=["deleted", "emptied"])
async def test_whoever_came_with_a_key_leaves_with_the_server(change: Any):
    at = front()
    opened = await asked(at, HERE, "initialize", key=OWNER, **HELLO)
    news = at.open("GET", HERE, x_apikey=at.key(OWNER), **session_of(opened))
    await until(lambda: news.sent)
    change(at)
    assert (await asked(at, HERE, key=OWNER)).status in (403, 404)
    at.sessions.end_where(lambda *where: not at.still_valid(*where))
    assert (await news.done()).ended


async def test_who_may_no_longer_act_as_somebody_stops_at_once():
    at = front(ROWS + ACTS)
    headers = {"x_alloy_userid": "u-1"}
    opened = await asked(at, HERE, "initialize", key=OWNER, headers=headers, **HELLO)
    news = at.open("GET", HERE, x_apikey=at.key(OWNER), **headers, **session_of(opened))
    await until(lambda: news.sent)
    at.sessions.end_where(lambda *where: not at.still_valid(*where))
    assert not news.ended
    at.door.apply(ROWS)
    at.door.offer(server())
    assert (await asked(at, HERE, key=OWNER, headers=headers)).status == 403
    at.sessions.end_where(lambda *where: not at.still_valid(*where))
    assert (await news.done()).ended


async def test_a_session_belongs_to_who_opened_it_whoever_else_is_let_in():
    at = front(ROWS + ACTS)
    opened = session_of(await asked(at, BY_TOKEN, "initialize", **HELLO))
    for key, headers in ((OWNER, {}), (OWNER, {"x_user_id": "u-1"}), (None, {"x_user_token": "of:u-1"})):
        assert (await asked(at, HERE, key=key, headers={**headers, **opened})).status == 404
    assert (await asked(at, BY_TOKEN, headers=opened)).status == 200


# -- over /sse


async def placed(stream: Exchange) -> str:
    """Where messages go, as the stream says."""
    await until(lambda: stream.events)
    return stream.events[0].data.decode()


@pytest.mark.parametrize(
    ("path", "headers", "subject"),
    [
        (f"/sse/{ID}/{TOKEN}", {}, f"server:{ID}"),
        (f"/sse/{ID}/{TOKEN}", {"x_user_token": "of:u-1"}, f"end:{ID}/u-1"),
        (f"/sse/{ID}", {"x_apikey": OWNER}, f"user:{OWNER}"),
        (f"/sse/{ID}", {"x_apikey": OWNER, "x_alloy_userid": "u-1"}, f"end:{ID}/u-1"),
        (f"/sse/{ID}", {"x_user_token": "of:u-1"}, f"end:{ID}/u-1"),
    ],
)
async def test_a_stream_is_opened_by_all_that_opens_a_session(path: str, headers: dict[str, str], subject: str):
    at = front(ROWS + ACTS)
    given = {"x_apikey": None, **headers}
    if "x_apikey" in headers:
        given["x_apikey"] = at.key(OWNER)
    stream = at.open("GET", path, **given)
    place = await placed(stream)
    assert TOKEN not in place
    assert (await at.open("POST", place, message("tools/list"), **given).done()).status == 202
    await until(lambda: stream.messages)
    assert [each["name"] for each in stream.messages[0]["result"]["tools"]] == ["a__x", "a__y", "b__x"]
    assert who(at) == (subject, "ok")


async def test_what_opened_a_stream_by_headers_has_to_come_with_each_message():
    at = front(ROWS + ACTS)
    own = {"x_apikey": at.key(OWNER)}
    place = await placed(at.open("GET", f"/sse/{ID}", **own, x_alloy_userid="u-1"))
    for headers, status in (
        ({"x_apikey": None}, 401),
        (own, 404),
        ({**own, "x_alloy_userid": "u-2"}, 404),
        ({**own, "x_alloy_userid": "u-1", "x_mcp_server_id": "main"}, 400),
        ({**own, "x_alloy_userid": "u-1"}, 202),
    ):
        assert (await at.open("POST", place, message("ping"), **headers).done()).status == status


# -- what is never seen


async def test_a_token_stands_in_no_entry_no_log_no_answer_and_nothing_that_a_web_server_could_log(
    caplog: pytest.LogCaptureFixture,
):
    caplog.set_level(logging.DEBUG)
    at, seen = front(), []
    plane = at.plane

    async def serving(scope: Any, receive: Any, send: Any) -> None:
        try:
            await plane(scope, receive, send)
        finally:
            seen.append(repr({name: scope[name] for name in ("path", "raw_path", "query_string")}))

    at.plane = serving  # type: ignore[assignment]
    wrong = f"{TOKEN}x"
    paths = [
        f"/mcp/{ID}/{TOKEN}",
        f"/mcp/{ID}/{wrong}",
        f"/mcp/nowhere/{TOKEN}",
        f"/mcp/{ID}/{TOKEN}/",
        f"/mcp//{TOKEN}",
    ]
    paths += [f"/messages/{ID}/{TOKEN}", f"/sse/nowhere/{TOKEN}", f"/mcp?apiKey={TOKEN}", f"/mcp/{ID}?apiKey={TOKEN}"]
    told = [
        await asked(at, path, method, **params) for path in paths for method, params in (("ping", {}), ("nope", {}))
    ]
    bad = await asked(at, f"/mcp/{ID}/{TOKEN}", headers={"host": "evil.example"})
    written = [caplog.text, repr(at.door.entries), *seen, *(each.text for each in (*told, bad))]
    written += [repr(each.headers) for each in told]
    assert not any("s3cr3t" in each for each in written)
    assert any(UNSEEN in each for each in seen)


@given(st.text(max_size=20), st.text(alphabet="abc/", max_size=12), st.text(min_size=1))
def test_a_path_without_its_token_holds_the_server_alone(root: str, domain: str, token: str):
    path = f"/{root.replace('/', '')}/{domain.replace('/', '')}/{token}"
    assert place_of(path)[2] == token
    assert redacted(path) == path[: len(path) - len(token)] + UNSEEN
    assert redacted(redacted(path)) == redacted(path)


def test_a_request_shows_neither_its_headers_nor_its_query():
    incoming = Incoming("POST", "/mcp", b"apiKey=s3cr3t", ((b"x-apikey", b"s3cr3t"),), "203.0.113.7", lambda: None)  # type: ignore[arg-type, return-value]
    assert "s3cr3t" not in repr(incoming)


HEADERS = ("x-alloy-userid", "x-user-id", "x-alloy-user-token", "x-user-token", "x-mcp-server-id", "x-credential-id")
values = st.binary(max_size=12) | st.sampled_from([b"u-1", b"u-2", ID.encode(), b"main"])
sent = st.lists(st.tuples(st.sampled_from([each.encode() for each in HEADERS]), values), max_size=5)


@given(sent, st.sampled_from([None, ID, "main"]))
def test_headers_say_one_thing_or_are_refused(headers: list[tuple[bytes, bytes]], domain: str | None):
    names = [name for name, _ in headers]
    try:
        arrival = arrival_of(headers, b"", accept_query=False, domain=domain)
    except Refusal:
        return
    assert len(set(names)) == len(names)
    said = dict(headers)
    for first, second, value in (
        (b"x-alloy-userid", b"x-user-id", arrival.acts_as),
        (b"x-alloy-user-token", b"x-user-token", arrival.end_user),
    ):
        found = {said[name].strip(b" \t").decode() for name in (first, second) if name in said}
        assert found == (set() if value is None else {value})
    if b"x-mcp-server-id" in said:
        assert arrival.domain == said[b"x-mcp-server-id"].strip(b" \t").decode()
    assert domain in (None, arrival.domain)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x-alloy-userid", b""),
        ("x-alloy-userid", b"a\x7fb"),
        ("x-alloy-userid", b"\xff"),
        ("x-alloy-userid", b"a" * 10_001),
        ("x-user-token", b""),
        ("x-mcp-server-id", b"   "),
        ("x-credential-id", b""),
    ],
)
def test_what_cannot_be_read_is_refused(name: str, value: bytes):
    with pytest.raises(Refusal):
        arrival_of([(name.encode(), value)], b"", accept_query=False)


def test_a_user_may_be_called_by_ten_thousand_letters_of_any_script():
    name = "ü" * 10_000
    assert arrival_of([(b"X-User-Id", name.encode())], b"", accept_query=False).acts_as == name


@pytest.mark.parametrize("wish", ["x-credential-id", "x-redirect-uri"])
async def test_a_wish_that_stands_there_twice_is_refused(wish: str):
    with pytest.raises(Refusal, match=wish):
        arrival_of([(wish.encode(), b"a"), (wish.encode(), b"a")], b"", accept_query=False)


async def test_what_says_nothing_for_itself_is_told_as_any_other_message():
    at = front()
    answer = await at.open("POST", BY_TOKEN, json.dumps({"jsonrpc": "2.0", "id": 1}).encode(), x_apikey=None).done()
    assert answer.status == 400
    assert answer.told["error"]["code"] == -32600
    assert HOST not in answer.text
