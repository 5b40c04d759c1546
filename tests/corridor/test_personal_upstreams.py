"""Servers behind the gateway to which every user brings an account or a key of his own, over a whole gateway, real MCP
servers and a real authorization server.
"""

import json
import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from tests.corridor.guards import Guard, Town, User, link_in, town
from tests.corridor.house import free_port, result_of, until
from tests.corridor.test_isolation import INITIALIZE, legacy
from tests.corridor.test_streams import following
from tests.platforms.counterparts import Authority, authorities

INVITATION = "connect_account"
PEOPLE = [
    "ann",
    "bob",
    "cal",
    "dee",
    "eli",
    "fay",
    "gus",
    "hal",
    "ida",
    "jon",
    "kay",
    "kim",
    "lou",
    "max",
    "tom",
    "vic",
    "wes",
]
KEYS = {"key-of-kim": "kim", "key-of-lou": "lou"}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """``docs`` keeps sessions, ``brief`` gives access for six seconds, ``notes`` wants a key, ``moves`` is free to
    name the authority of ``brief``, ``evil`` names whatever it is told to.
    """
    ports = {id: free_port() for id in ("docs", "brief", "notes", "moves", "evil")}
    urls = [f"http://127.0.0.1:{port}/mcp" for port in ports.values()]
    with ExitStack() as stack:
        lasting = stack.enter_context(authorities(resources=urls))
        short = stack.enter_context(authorities(resources=urls, access_seconds=6))
        guards = {
            "docs": Guard(ports["docs"], "legacy", lasting),
            "brief": Guard(ports["brief"], "auto", short),
            "notes": Guard(ports["notes"], keys=KEYS),
            "moves": Guard(ports["moves"], "auto", lasting, more_hosts=(short.host,)),
            "evil": Guard(ports["evil"], "auto", lasting),
        }
        more = {"notes": 'kind = "key"\nheader = "x-key"\nlabel = "key of Notes"\n'}
        yield stack.enter_context(town(tmp_path_factory.mktemp("town"), guards, PEOPLE, more=more))


def authority_of(place: Town, id: str) -> Authority:
    authority = place.guards[id].authority
    assert authority is not None
    return authority


def tokens_in(text: str) -> list[str]:
    return re.findall(r"Bearer ([\w.-]+)", text)


# -- accounts


def test_two_users_with_accounts_of_their_own_share_neither_a_token_nor_a_session(place: Town):
    users = [place.people[name] for name in ("ann", "bob")]
    for user in users:
        assert user.tools("docs") == {INVITATION}
        assert "Connected docs" in user.connects("docs")
        until(lambda user=user: "headers" in user.tools("docs"))
    seen = [user.seen("docs") for user in users for _ in range(2)]
    assert [each["x-who"] for each in seen] == [user.who for user in users for _ in range(2)]
    assert len({each["authorization"] for each in seen}) == 2
    used = place.guards["docs"].state["calls"]
    for user in users:
        mine = [each for each in used if each[0] == user.who]
        others = [each for each in used if each[0] != user.who]
        assert {token for _, token, _ in mine}.isdisjoint(token for _, token, _ in others)
        sessions = {session for *_, session in mine if session}
        assert sessions
        assert sessions.isdisjoint(session for *_, session in others)


def test_tokens_stand_neither_in_the_log_nor_in_the_store_nor_in_the_audit(place: Town):
    user = place.people["tom"]
    user.joins("docs")
    token = user.seen("docs")["authorization"].removeprefix("Bearer ")
    assert len(token) > 20
    assert token not in place.house.log
    assert all(token.encode() not in path.read_bytes() for path in (place.house.folder / "var").iterdir())
    assert token not in str(place.house.entries())


def test_a_client_hears_that_there_is_more_once_an_account_is_connected(place: Town):
    user = place.people["cal"]
    with place.house.client(user.key) as client:
        session = {"mcp-session-id": client.post("/mcp", json=INITIALIZE).headers["mcp-session-id"]}
        listed = result_of(client.post("/mcp", json=legacy("tools/list"), headers=session))["result"]["tools"]
        assert "docs__headers" not in {each["name"] for each in listed}
        with following(place.house, user.key, "GET", "/mcp", headers=session) as heard:
            user.joins("docs")
            assert heard()["method"].endswith("/list_changed")
        until(lambda: "docs__headers" in client.post("/mcp", json=legacy("tools/list"), headers=session).text)


def test_pins_hold_for_everybody_whoever_connected_first(place: Town):
    dee, eli = place.people["dee"], place.people["eli"]
    dee.joins("docs")
    assert "headers" in dee.tools("docs")
    grown = dee.says("docs__grow")
    eli.joins("docs")
    for user in (dee, eli):
        until(lambda user=user: "headers" in user.tools("docs"))
        assert grown not in user.tools("docs")
        assert user.call(f"docs__{grown}")["code"] == -32602


def test_an_access_that_ends_is_renewed_without_anybody_noticing(place: Town):
    user = place.people["fay"]
    user.joins("brief")
    first = user.seen("brief")["authorization"]
    until(lambda: user.seen("brief")["authorization"] != first)
    assert user.seen("brief")["x-who"] == user.who
    counts = authority_of(place, "brief").counts()
    assert counts["granted refresh_token"] >= 1
    assert not any(name.startswith("refused") for name in counts)


def test_disconnecting_ends_everything_at_once(place: Town):
    user, guard = place.people["gus"], place.guards["docs"]
    user.joins("docs")
    token = user.seen("docs")["authorization"]
    until(lambda: user.who in guard.state["open"])  # the stream on which the server speaks unasked
    user.disconnects("docs")
    until(lambda: user.who not in guard.state["open"])
    assert user.tools("docs") == {INVITATION}
    before = len(guard.state["calls"])
    assert "/connect/" in user.says("docs__headers") or user.call("docs__headers")["code"] == -32602
    assert len(guard.state["calls"]) == before
    user.joins("docs")
    assert user.seen("docs")["authorization"] != token


def test_a_token_that_was_withdrawn_leads_to_the_invitation_and_back(place: Town):
    user, guard = place.people["hal"], place.guards["brief"]
    user.joins("brief")
    assert user.seen("brief")["x-who"] == user.who
    guard.tell(resource="withdrawn")
    refused = user.says("brief__headers")
    assert "was refused" in refused
    guard.tell(resource="")
    user.visits(refused)
    assert user.seen("brief")["x-who"] == user.who
    assert len(user.connections()) == 1


def test_what_needs_more_rights_asks_for_them_and_only_of_who_calls_it(place: Town):
    ida, jon, guard = place.people["ida"], place.people["jon"], place.guards["docs"]
    for user in (ida, jon):
        user.joins("docs")
    guard.tell(needs={"echo": "tools:write"})
    try:
        refused = ida.says("docs__echo", text="hi")
        assert "tools:write" in refused
        assert {scope for each in ida.connections() for scope in each["scopes"]} >= {"tools:read"}
        ida.visits(refused)
        assert '"hi"' in ida.says("docs__echo", text="hi")
        assert {"tools:read", "tools:write"} <= {scope for each in ida.connections() for scope in each["scopes"]}
        assert "tools:write" not in {scope for each in jon.connections() for scope in each["scopes"]}
        assert "/connect/" in jon.says("docs__echo", text="hi")
    finally:
        guard.tell(needs={})


def test_a_server_that_moves_to_another_authority_gets_nothing_of_the_former_one(place: Town):
    user, guard = place.people["kay"], place.guards["moves"]
    former, later = authority_of(place, "moves"), authority_of(place, "brief")
    user.joins("moves")
    registered, asked = former.counts()["POST /reg"], later.counts().get("POST /token", 0)
    guard.tell(authority=later.issuer)
    try:
        refused = user.says("moves__headers")
        assert "was refused" in refused
        user.visits(refused)
        assert user.seen("moves")["x-who"] == user.who
        assert former.counts()["POST /reg"] == registered
        assert later.counts()["POST /token"] >= asked + 1
        assert not any(name.startswith("refused") for name in later.counts())
    finally:
        guard.tell(authority=former.issuer)


# -- keys


def test_each_user_types_a_key_of_his_own(place: Town):
    kim, lou = place.people["kim"], place.people["lou"]
    for user, key in ((kim, "key-of-kim"), (lou, "key-of-lou")):
        assert user.tools("notes") == {INVITATION}
        user.joins("notes", api_key=key)
    assert [kim.seen("notes")["x-who"], lou.seen("notes")["x-who"]] == ["kim", "lou"]
    assert kim.seen("notes")["x-key"] == "key-of-kim"
    assert "authorization" not in kim.seen("notes")
    assert all(key not in place.house.log for key in KEYS)


def test_a_wrong_key_is_found_out_and_put_right(place: Town):
    user = place.people["max"]
    user.connects("notes", api_key="mistyped")
    assert user.tools("notes") == {INVITATION}
    refused = user.says(f"notes__{INVITATION}")
    assert "was refused" in refused
    user.visits(refused, api_key="key-of-kim")
    assert user.seen("notes")["x-who"] == "kim"
    assert len(user.connections()) == 1


# -- a server that means harm


@contextmanager
def trap() -> Iterator[tuple[socket.socket, str]]:
    """Something inside that nobody may reach."""
    with socket.create_server(("127.0.0.1", free_port())) as listening:
        listening.setblocking(False)
        yield listening, f"http://127.0.0.1:{listening.getsockname()[1]}"


def reached(listening: socket.socket) -> bool:
    try:
        listening.accept()
    except BlockingIOError:
        return False
    return True


def said_by(guard: Guard, servers: list[str], resource: str = "") -> str:
    return json.dumps({"resource": resource or guard.url, "authorization_servers": servers})


@pytest.fixture
def evil(place: Town) -> Iterator[Guard]:
    guard = place.guards["evil"]
    yield guard
    guard.tell(document="", needs={})


@pytest.fixture(scope="module")
def victim(place: Town) -> User:
    return place.people["vic"]


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        ("{" * 10_000, "not JSON"),
        ('"' + "x" * 300_000 + '"', "exceeds"),
        ('{"resource": 1}', "no `resource`"),
        ('{"resource": "https://bank.example", "authorization_servers": ["https://bank.example"]}', "not this server"),
    ],
)
def test_what_a_server_says_and_cannot_be_used_is_told_and_leads_nowhere(
    evil: Guard, victim: User, document: str, sentence: str
):
    evil.tell(document=document)
    said = victim.says(f"evil__{INVITATION}")
    assert sentence in said
    assert "/connect/" not in said


@pytest.mark.parametrize("path", ["", "/tenant"])
def test_a_server_cannot_send_the_gateway_into_the_network_behind_it(evil: Guard, victim: User, path: str):
    with trap() as (listening, inside):
        evil.tell(document=said_by(evil, [inside + path]))
        said = victim.says(f"evil__{INVITATION}")
        assert "not public" in said
        assert "/connect/" not in said
        assert not reached(listening)
    evil.tell(document=said_by(evil, ["http://169.254.169.254/latest/meta-data"]))
    assert "not public" in victim.says(f"evil__{INVITATION}")


def test_nobody_is_asked_for_ever_more(place: Town, evil: Guard):
    user = place.people["wes"]
    user.joins("evil")
    assert "headers" in user.tools("evil")
    evil.tell(needs={"echo": " ".join(f"right-{each}" for each in range(150))})
    said = user.says("evil__echo", text="hi")
    assert "more rights than" in said
    assert "/connect/" not in said
    evil.tell(needs={"echo": "tools:write"})
    link_in(user.says("evil__echo", text="hi"))
