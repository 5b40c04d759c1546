"""Whose line serves which client: one for each principal, and for each kind of client that a legacy server must know."""

import asyncio

import pytest

from connectors.base import QUIET, Change, Event, Sharing, UpstreamSpec
from connectors.line import Pace
from connectors.lines import OF_ONE
from connectors.upstream import QUESTIONED, Upstream
from gateway.errors import UpstreamFailed
from gateway.mcp.terms import Kind, Request, Response
from tests.connectors.asked import FILLED, Client
from tests.connectors.scripted import Scripted, error
from tests.upstreams.starting import CLIENT

CALL = {"name": "echo", "arguments": {}}
FORMS, ROOTS, NOTHING = {"elicitation": {}}, {"roots": {}}, {}
TOOL = {"name": "echo", "inputSchema": {}}
LEGACY = {
    "server/discover": error(-32601),
    "initialize": {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}, "resources": {"subscribe": True}}},
    "notifications/initialized": {},
    "tools/list": {"tools": [TOOL]},
    "resources/list": {"resources": []},
    "resources/templates/list": {"resourceTemplates": []},
    "resources/subscribe": {},
    "resources/unsubscribe": {},
    "completion/complete": {"completion": {"values": []}},
    "tools/call": {"fine": True},
}
MODERN = LEGACY | {"server/discover": {"supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}}}}


class Curious(Scripted):
    """Asks a question with every call."""

    async def send(self, message, **given):
        if getattr(message, "method", "") == "tools/call":
            self.receive(Request(f"q{message.id}", "elicitation/create", {"message": "?", "requestedSchema": {}}))
        await super().send(message, **given)


class Server:
    """Gives each session a transport of its own, and answers all alike."""

    def __init__(self, transport="http", answers=LEGACY, kind=Scripted, **spec):
        self.kind = kind
        self.sessions = []
        self.answers = answers
        self.http = transport == "http"
        given = {"id": "up", "transport": transport, "url": "https://up.test", "sharing": Sharing.PRINCIPAL}
        self.upstream = Upstream(
            UpstreamSpec(**(given | spec)), None, client=CLIENT, transport=self.session, pace=Pace(first=0.001)
        )

    def session(self):
        self.sessions.append(self.kind(dict(self.answers), http=self.http))
        return self.sessions[-1]

    async def send(self, capabilities, method="tools/call", params=None, who="user:a", caller=None):
        connection = await self.upstream.open(who, who, capabilities)
        async with asyncio.timeout(5):
            return await connection.send(method, params or CALL, caller or Client(capabilities=capabilities))

    def declared(self):
        return [
            message.params["capabilities"]
            for session in self.sessions
            for message in session.sent
            if getattr(message, "method", "") == "initialize"
        ]

    def calls(self):
        return [
            len([each for each in session.sent if getattr(each, "method", "") == "tools/call"])
            for session in self.sessions
        ]


@pytest.fixture
async def made():
    servers = []

    def make(*given, **named):
        servers.append(Server(*given, **named))
        return servers[-1]

    yield make
    for server in servers:
        async with asyncio.timeout(5):
            await server.upstream.close()


async def until(condition):
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.001)


async def test_a_legacy_server_is_told_exactly_what_can_be_relayed_to_the_callers_of_a_session(made):
    server = made()
    for capabilities in (
        FORMS,
        {"elicitation": {"form": {}}, "x": {}},
        NOTHING,
        {"roots": {"listChanged": True}},
        FORMS,
    ):
        await server.send(capabilities)
    assert server.declared() == [{"elicitation": {}}, {}, {"roots": {}}]
    assert server.calls() == [3, 1, 1]


async def test_principals_who_can_be_asked_for_the_same_still_have_sessions_of_their_own(made):
    server = made()
    for who in ("user:a", "user:b", "user:a"):
        await server.send(FORMS, who=who)
    assert (server.declared(), server.calls()) == ([FORMS, FORMS], [2, 1])


@pytest.mark.parametrize(
    ("transport", "sharing", "declared"),
    [
        ("http", Sharing.ALL, FORMS),
        ("stdio", Sharing.ALL, NOTHING),
        ("sse", Sharing.ALL, NOTHING),
        ("stdio", Sharing.PRINCIPAL, FORMS),
        ("sse", Sharing.PRINCIPAL, FORMS),
    ],
)
async def test_nothing_is_declared_where_a_question_could_be_of_several_principals(transport, sharing, declared, made):
    server = made(transport, sharing=sharing)
    await server.send(FORMS)
    await server.send(FORMS, who="user:a")
    assert server.declared() == [declared]


async def test_where_all_share_a_server_over_http_those_who_can_be_asked_alike_share_a_session(made):
    server = made(sharing=Sharing.ALL)
    for who, capabilities in (("user:a", FORMS), ("user:b", FORMS), ("user:c", NOTHING), ("user:b", NOTHING)):
        await server.send(capabilities, who=who)
    assert (server.declared(), server.calls()) == ([FORMS, {}], [2, 2])


async def test_a_modern_server_needs_one_line_whatever_its_callers_can_be_asked_for(made):
    server = made(answers=MODERN)
    for capabilities in (FORMS, ROOTS, NOTHING):
        await server.send(capabilities)
    (session,) = server.sessions
    sent = [each.params["_meta"] for each in session.sent if getattr(each, "method", "") == "tools/call"]
    assert [each["io.modelcontextprotocol/clientCapabilities"] for each in sent] == [FORMS, ROOTS, {}]


async def test_many_kinds_of_clients_that_meet_an_unknown_modern_server_at_once_share_its_line(made):
    server = made(answers=MODERN)
    await asyncio.gather(*(server.send(capabilities) for capabilities in (FORMS, ROOTS, NOTHING)))
    assert (len(server.sessions), server.calls()) == (1, [3])


async def test_what_can_bring_no_question_goes_where_a_session_is(made):
    server = made()
    await server.send(FORMS)
    for method in ("completion/complete", "resources/subscribe", "resources/unsubscribe"):
        await server.send(NOTHING, method, {"uri": "a://1"})
    await server.upstream.catalogue("user:a", ROOTS)
    assert server.declared() == [FORMS]


async def test_a_task_is_asked_for_on_the_line_on_which_it_was_begun(made):
    server = made(answers=LEGACY | {f"tasks/{each}": {} for each in ("get", "result", "cancel")})
    for capabilities in (FORMS, ROOTS):
        await server.send(capabilities)
    for method in ("tasks/get", "tasks/result", "tasks/cancel"):
        await server.send(FORMS, method, {"taskId": "t"})
        await server.send(ROOTS)
    methods = [[getattr(each, "method", "").partition("/")[0] for each in session.sent] for session in server.sessions]
    assert [each.count("tasks") for each in methods] == [3, 0]


async def test_the_first_line_of_a_principal_is_for_whom_it_was_opened_even_to_be_listed(made):
    server = made()
    await server.upstream.catalogue("user:a", FORMS)
    await server.send(FORMS)
    assert server.declared() == [FORMS]


async def test_the_line_that_was_used_last_is_asked_what_there_is(made):
    server = made()
    await server.send(FORMS)
    await server.send(ROOTS)
    await server.send(FORMS)
    await server.upstream.catalogue("user:a")
    assert [len(await session.until(0, "tools/list")) for session in server.sessions] == [1, 0]


async def test_a_subscription_is_ended_on_the_line_on_which_it_was_made(made):
    server = made()
    await server.send(FORMS, "resources/subscribe", {"uri": "a://1"})
    await server.send(ROOTS)
    await server.send(NOTHING, "resources/unsubscribe", {"uri": "a://1"}, caller=QUIET)
    methods = [[getattr(each, "method", "") for each in session.sent] for session in server.sessions]
    assert ["resources/unsubscribe" in each for each in methods] == [True, False]
    assert len(server.sessions) == 2


async def test_a_new_line_shows_what_its_sibling_had_until_its_own_session_was_listed(made):
    server = made()
    heard = []
    server.upstream.watch(heard.append)
    assert len((await server.upstream.catalogue("user:a", FORMS)).items[Kind.TOOL]) == 1
    server.answers = LEGACY | {"tools/list": {"tools": [TOOL, TOOL | {"name": "more"}]}}
    line = server.upstream.line("user:a", ROOTS)
    assert [item.name for item in line.kept.items[Kind.TOOL]] == ["echo"]
    assert heard == []
    await server.send(ROOTS)
    await until(lambda: heard == [Change("up", Event.TOOLS, "user:a")])
    assert len((await server.upstream.catalogue("user:a")).items[Kind.TOOL]) == 2


async def test_a_line_that_nobody_uses_ends_while_its_sibling_goes_on(made):
    server = made(idle_after=0.02)
    await server.send(FORMS, "resources/subscribe", {"uri": "a://1"})
    await server.send(ROOTS)
    await until(lambda: server.sessions[1].closed)
    assert server.sessions[0].closed == 0


async def test_a_line_whose_question_is_with_the_client_is_not_idle(made):
    server = made(
        idle_after=0.02, transport="stdio", answers={key: LEGACY[key] for key in LEGACY if key != "tools/call"}
    )
    client = Client(answers={"elicitation/create": None})
    calling = asyncio.create_task(server.send(FORMS, caller=client))
    await until(lambda: server.sessions)
    (call,) = await server.sessions[0].until(1, "tools/call")
    server.sessions[0].receive(Request(1, "elicitation/create"))
    done, _ = await asyncio.wait([calling], timeout=0.1)
    assert not done
    assert server.sessions[0].closed == 0
    server.sessions[0].answer(call.id, FILLED)
    assert await calling == FILLED


async def test_one_principal_cannot_take_all_sessions_with_many_kinds_of_clients(made):
    server = made("stdio", answers={key: LEGACY[key] for key in LEGACY if key != "tools/call"})
    kinds = [
        {"elicitation": {}},
        {"elicitation": {"url": {}}},
        {"roots": {}},
        {"sampling": {}},
        NOTHING,
    ]
    assert len(kinds) == OF_ONE + 1
    busy = [asyncio.create_task(server.send(kind)) for kind in kinds[:OF_ONE]]
    await until(lambda: server.calls() == [1] * OF_ONE)
    with pytest.raises(UpstreamFailed, match=f"all {OF_ONE} sessions of one principal to upstream `up` are busy"):
        await server.send(kinds[-1])
    other = asyncio.create_task(server.send(kinds[-1], who="user:b"))
    await until(lambda: server.calls() == [1] * (OF_ONE + 1))
    server.sessions[0].answer((await server.sessions[0].until(1, "tools/call"))[0].id, {"fine": True})
    assert await busy[0] == {"fine": True}
    more = asyncio.create_task(server.send(kinds[-1]))
    await until(lambda: server.sessions[0].closed and server.calls() == [1] * (OF_ONE + 2))
    assert [session.closed for session in server.sessions[1:]] == [0] * (OF_ONE + 1)
    for task in (*busy[1:], other, more):
        task.cancel()
    await asyncio.wait([*busy[1:], other, more])


async def test_without_room_for_a_session_one_serves_whose_server_was_told_less(made):
    server = made("stdio", answers={key: LEGACY[key] for key in LEGACY if key != "tools/call"})
    kinds = [NOTHING, ROOTS, FORMS, {"sampling": {}, "roots": {}}]
    tasks = [asyncio.create_task(server.send(kind)) for kind in kinds]
    await until(lambda: server.calls() == [1] * OF_ONE)
    tasks.append(asyncio.create_task(server.send({"elicitation": {}, "sampling": {}, "roots": {}})))
    await until(lambda: server.calls() == [1, 1, 1, 2])
    tasks.append(asyncio.create_task(server.send({"sampling": {}})))
    await until(lambda: server.calls() == [2, 1, 1, 2])
    await server.send({"sampling": {"tools": {}}}, "completion/complete")
    assert len(server.sessions) == OF_ONE
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


async def test_what_can_bring_no_question_finds_a_session_when_all_are_busy(made):
    server = made("stdio", answers={key: LEGACY[key] for key in LEGACY if key != "tools/call"})
    await server.send(NOTHING, "completion/complete")
    kinds = [ROOTS, FORMS, {"sampling": {}}, {"elicitation": {"url": {}}}]
    tasks = [asyncio.create_task(server.send(kind)) for kind in kinds]
    await until(lambda: server.calls() == [0] + [1] * OF_ONE)
    assert server.sessions[0].closed == 1
    assert await server.send(NOTHING, "completion/complete") == {"completion": {"values": []}}
    assert len(server.sessions) == OF_ONE + 1
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


async def test_where_all_share_a_server_no_kind_of_clients_is_one_principal(made):
    server = made(sharing=Sharing.ALL, answers={key: LEGACY[key] for key in LEGACY if key != "tools/call"})
    kinds = [{"elicitation": {}}, {"elicitation": {"url": {}}}, {"roots": {}}, {"sampling": {}}, NOTHING]
    tasks = [asyncio.create_task(server.send(kind, who=f"user:{n}")) for n, kind in enumerate(kinds)]
    await until(lambda: server.calls() == [1] * (OF_ONE + 1))
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


async def test_another_kind_of_client_does_not_wake_a_line_that_ended(made):
    server = made(idle_after=0.02)
    await server.send(FORMS)
    await until(lambda: server.sessions[0].closed)
    await server.send(ROOTS)
    assert server.declared() == [FORMS, ROOTS]


async def test_the_processes_of_all_kinds_of_clients_count_together(made):
    server = made("stdio", max_processes=2)
    for who, capabilities in (("user:a", FORMS), ("user:a", ROOTS), ("user:b", FORMS)):
        await server.send(capabilities, who=who)
    assert [session.closed for session in server.sessions] == [1, 0, 0]


async def test_of_too_many_lines_the_one_that_sleeps_longest_is_forgotten(made, monkeypatch):
    monkeypatch.setattr("connectors.lines.MAX_LINES", 2)
    server = made(idle_after=0.01)
    for capabilities in (FORMS, ROOTS):
        await server.send(capabilities)
    await until(lambda: all(session.closed for session in server.sessions))
    await server.send(NOTHING)
    assert [line.declares for line in server.upstream._lines] == [ROOTS, {}]
    await until(lambda: all(session.closed for session in server.sessions))
    for who in ("user:b", "user:c"):
        await server.send(NOTHING, who=who)
        await until(lambda: all(session.closed for session in server.sessions))
    assert [line.principal for line in server.upstream._lines] == ["user:b", "user:c"]
    assert list(server.upstream._lines._of) == ["user:b", "user:c"]


async def test_a_server_that_may_ask_is_listened_to_although_it_announces_nothing(made):
    silent = {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}}
    for capabilities, listened in ((FORMS, True), (NOTHING, False)):
        server = made(answers=LEGACY | {"initialize": silent})
        await server.send(capabilities)
        await asyncio.sleep(0.01)
        assert server.sessions[0].listened is listened


async def test_one_principal_has_only_so_many_questions_to_answer_and_others_are_asked_all_the_same(made):
    server = made(answers={name: told for name, told in LEGACY.items() if name != "tools/call"}, kind=Curious)
    ann, bob = (Client(capabilities=FORMS, answers={"elicitation/create": None}) for _ in range(2))
    tasks = [asyncio.create_task(server.send(FORMS, caller=ann)) for _ in range(QUESTIONED + 1)]

    def refused():
        return [each.error["code"] for each in server.sessions[0].sent if isinstance(each, Response)]

    await ann.until(lambda client: len(client.asked) == QUESTIONED)
    await until(refused)
    tasks.append(asyncio.create_task(server.send(FORMS, who="user:b", caller=bob)))
    await bob.until(lambda client: client.asked)
    assert (len(ann.asked), refused()) == (QUESTIONED, [-32603])
    tasks[0].cancel()
    await ann.until(lambda client: client.taken_back)
    tasks.append(asyncio.create_task(server.send(FORMS, caller=ann)))
    await ann.until(lambda client: len(client.asked) == QUESTIONED + 1)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    await until(lambda: not server.upstream._questioned)
