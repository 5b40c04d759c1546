"""What a server asks while a request runs: whose question it is, how it is answered, how long one waits for it."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.asking import AT_ONCE, MAX_LINKS, Links
from connectors.base import QUIET, UpstreamError
from connectors.conversation import FLOOD
from connectors.transport import HttpAnswer, TransportLost
from connectors.waiting import STANDSTILL
from gateway.errors import Unavailable, UpstreamFailed
from gateway.mcp.questions import QUESTIONS, relayable
from gateway.mcp.terms import Notification, Request, Response
from tests.connectors.asked import EVERYTHING, FILLED, REFUSED, ROOTS, Client
from tests.connectors.scripted import LEGACY, MODERN, Scripted, error, talking

FORM = {"message": "Name?", "requestedSchema": {"type": "object", "properties": {}}}
CALL = {"name": "echo", "arguments": {}}
NEVER = {"elicitation/create": None, "roots/list": None}
COMPLETE = "notifications/elicitation/complete"


class Asking(Scripted):
    """Over HTTP: says ``questions`` on the stream of the next call, which then stays open."""

    def __init__(self, *questions, http=True):
        super().__init__(http=http)
        self.questions = list(questions)

    async def send(self, message, **given):
        if isinstance(message, Request) and message.method == "tools/call":
            said, self.questions = self.questions, []
            for question in said:
                self.receive(question)
        await super().send(message, **given)

    async def answers_to(self, count=1):
        async with asyncio.timeout(5), self.changed:
            await self.changed.wait_for(lambda: len(self._answers()) >= count)
        return self._answers()

    def _answers(self):
        return [each for each in self.sent if isinstance(each, Response)]


def form(id=1, **more):
    return Request(id, "elicitation/create", FORM | more)


async def asking(*questions, http=True, terms=LEGACY, declares=EVERYTHING, **given):
    transport = Asking(*questions, http=http)
    return transport, await talking(transport, terms, declares=relayable(declares), **given)


def begin(talk, caller=QUIET, params=None):
    return asyncio.create_task(talk.request("tools/call", params or CALL, caller))


async def soon(task):
    async with asyncio.timeout(5):
        return await task


async def finish(transport, task, result=None):
    (call,) = [each for each in transport.sent if getattr(each, "method", "") == "tools/call"][-1:]
    transport.answer(call.id, result or {"fine": True})
    return await soon(task)


async def turns(count=10):
    for _ in range(count):
        await asyncio.sleep(0)


async def test_a_question_is_put_to_the_caller_and_his_answer_brought_to_the_server():
    transport, talk = await asking(form("q"))
    client = Client()
    task = begin(talk, client)
    assert await transport.answers_to() == [Response("q", result=FILLED)]
    assert client.asked == [("elicitation/create", FORM)]
    assert await finish(transport, task) == {"fine": True}


async def test_what_concerns_the_hop_to_us_alone_is_not_in_the_question():
    meta = {"progressToken": 7, "io.modelcontextprotocol/clientInfo": {}, "vendor/x": 1}
    transport, talk = await asking(form(task={"ttl": 1}, _meta=meta), form(2, _meta={"progressToken": 8}))
    client = Client()
    task = begin(talk, client)
    await transport.answers_to(2)
    assert client.asked == [
        ("elicitation/create", {**FORM, "_meta": {"vendor/x": 1}}),
        ("elicitation/create", FORM),
    ]
    await finish(transport, task)


async def test_several_questions_at_once_are_each_answered_under_their_own_id():
    ids = [1, "1", 2, "two", 0]
    transport, talk = await asking(*(form(id) for id in ids), Request(9, "roots/list"))
    task = begin(talk, Client())
    answers = await transport.answers_to(6)
    assert {(each.id, type(each.id)): each.result for each in answers} == {
        **{(id, type(id)): FILLED for id in ids},
        (9, int): ROOTS,
    }
    await finish(transport, task)


async def test_the_error_of_the_client_is_told_as_it_is():
    transport, talk = await asking(Request(1, "sampling/createMessage"))
    client = Client(answers={"sampling/createMessage": REFUSED})
    task = begin(talk, client)
    (answer,) = await transport.answers_to()
    assert answer.error == {"code": -1, "message": "the user rejected sampling", "data": {"why": "no"}}
    await finish(transport, task)


@pytest.mark.parametrize("failure", [Unavailable("the token is xyz"), ValueError("a mistake")])
async def test_any_other_failure_of_asking_is_an_internal_error_without_its_words(failure, caplog):
    transport, talk = await asking(form())
    task = begin(talk, Client(answers={"elicitation/create": failure}))
    (answer,) = await transport.answers_to()
    assert answer.error == {"code": -32603, "message": "the client of this request could not be asked"}
    assert ("Traceback" in caplog.text) == isinstance(failure, ValueError)
    await finish(transport, task)


@pytest.mark.parametrize(
    ("question", "declared", "code"),
    [
        (Request(1, "roots/list"), {"elicitation": {}}, -32601),
        (form(), {"roots": {}}, -32601),
        (form(mode="url"), {"elicitation": {}}, -32602),
        (Request(1, "sampling/createMessage", {"tools": []}), {"sampling": {}}, -32602),
    ],
)
async def test_what_a_caller_did_not_declare_he_is_not_asked(question, declared, code):
    transport, talk = await asking(question)
    client = Client(capabilities=declared)
    task = begin(talk, client)
    (answer,) = await transport.answers_to()
    assert answer.error["code"] == code
    assert client.asked == []
    await finish(transport, task)


async def test_what_the_session_did_not_declare_is_no_method():
    transport, talk = await asking(form(), declares={})
    client = Client()
    task = begin(talk, client)
    (answer,) = await transport.answers_to()
    assert (answer.error["code"], client.asked) == (-32601, [])
    await finish(transport, task)


@pytest.mark.parametrize("method", sorted(QUESTIONS))
@pytest.mark.parametrize("http", [True, False])
async def test_a_modern_server_cannot_ask_by_a_request(method, http):
    transport, talk = await asking(Request(1, method), http=http, terms=MODERN, exclusive=True)
    client = Client()
    task = begin(talk, client)
    (answer,) = await transport.answers_to()
    assert (answer.error["code"], client.asked) == (-32601, [])
    await finish(transport, task)


async def test_a_server_that_asks_while_nobody_waits_gets_an_error():
    transport, _ = await asking(http=False, exclusive=True)
    transport.receive(form())
    (answer,) = await transport.answers_to()
    assert answer.error["code"] == -32603


@pytest.mark.parametrize(("exclusive", "http"), [(False, True), (False, False)])
async def test_where_several_principals_share_a_stream_nobody_is_asked_on_it(exclusive, http):
    transport, talk = await asking(http=http, exclusive=exclusive)
    client = Client()
    task = begin(talk, client)
    await transport.until(1)
    transport.receive(form())
    (answer,) = await transport.answers_to()
    assert (answer.error["code"], client.asked) == (-32603, [])
    await finish(transport, task)


@pytest.mark.parametrize("http", [True, False])
async def test_on_a_stream_of_one_principal_the_newest_caller_who_can_be_asked_is(http):
    transport, talk = await asking(http=http, exclusive=True)
    clients = [Client(), Client(), Client(capabilities={"roots": {}}), QUIET]
    tasks = [begin(talk, client) for client in clients]
    sent = await transport.until(4)
    transport.receive(form())
    assert [each.result for each in await transport.answers_to()] == [FILLED]
    assert [len(client.asked) for client in clients[:3]] == [0, 1, 0]
    for each in sent:
        transport.answer(each.id, {})
    await soon(asyncio.gather(*tasks))


async def test_on_a_stream_of_one_principal_whose_callers_cannot_be_asked_that_the_server_learns_why():
    transport, talk = await asking(http=False, exclusive=True)
    task, ours = begin(talk, Client(capabilities={"elicitation": {}})), begin(talk, QUIET)
    await transport.until(2)
    transport.receive(form(mode="url"))
    (answer,) = await transport.answers_to()
    assert (answer.error["code"], answer.error["data"]) == (
        -32602,
        {"requiredCapabilities": {"elicitation": {"url": {}}}},
    )
    for message in transport.sent[:2]:
        transport.answer(message.id, {})
    await soon(asyncio.gather(task, ours))


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(sorted(QUESTIONS))), max_size=12))
async def test_over_http_every_question_reaches_the_caller_of_the_stream_it_came_on_and_no_other(asked):
    clients = {name: Client(answers={method: {"by": name} for method in QUESTIONS}) for name in "abc"}
    transport, talk = await asking()
    tasks = []
    for name, client in clients.items():
        transport.questions = [
            Request(f"{name}{n}", method) for n, (whose, method) in enumerate(asked) if whose == name
        ]
        tasks.append(begin(talk, client))
        await turns(2)
    answers = await transport.answers_to(len(asked))
    assert {each.id: each.result for each in answers} == {
        f"{name}{n}": {"by": name} for n, (name, _) in enumerate(asked)
    }
    for name, client in clients.items():
        assert [method for method, _ in client.asked] == [method for whose, method in asked if whose == name]
    for each in transport.sent:
        if isinstance(each, Request):
            transport.answer(each.id, {})
    await soon(asyncio.gather(*tasks))


# -- ends


async def test_a_cancelled_call_takes_its_questions_back_and_tells_the_server():
    transport, talk = await asking(form(1), Request(2, "roots/list"))
    client = Client(answers=NEVER)
    task = begin(talk, client)
    await client.until(lambda client: len(client.asked) == 2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await soon(task)
    await client.until(lambda client: client.taken_back == 2)
    answers = await transport.answers_to(2)
    assert {each.id: each.error["code"] for each in answers} == {1: -32603, 2: -32603}
    assert len(await transport.until(1, "notifications/cancelled")) == 1


async def test_a_call_that_is_answered_takes_its_open_questions_back():
    transport, talk = await asking(form())
    client = Client(answers=NEVER)
    task = begin(talk, client)
    await client.until(lambda client: client.asked)
    assert await finish(transport, task) == {"fine": True}
    await client.until(lambda client: client.taken_back == 1)


async def test_only_the_questions_of_the_call_that_ends_are_taken_back():
    transport, talk = await asking(form(1))
    first, second = Client(answers=NEVER), Client(answers=NEVER)
    tasks = [begin(talk, first)]
    await first.until(lambda client: client.asked)
    transport.questions = [form(2)]
    tasks.append(begin(talk, second))
    await second.until(lambda client: client.asked)
    await finish(transport, tasks[1])
    await second.until(lambda client: client.taken_back)
    assert first.taken_back == 0
    await talk.close()
    await asyncio.wait(tasks)


async def test_a_server_that_takes_its_question_back_gets_no_answer():
    transport, talk = await asking(form("q"), form(1))
    client = Client(answers=NEVER)
    task = begin(talk, client)
    await client.until(lambda client: len(client.asked) == 2)
    for strange in ("unknown", None, True, [], 1.0):
        transport.receive(Notification("notifications/cancelled", {"requestId": strange}))
    transport.receive(Notification("notifications/cancelled", {"requestId": "q", "reason": "no"}))
    await client.until(lambda client: client.taken_back == 1)
    await turns()
    assert transport._answers() == []
    assert await finish(transport, task) == {"fine": True}
    assert [each.id for each in await transport.answers_to()] == [1]


@pytest.mark.parametrize("how", ["lost", "closed"])
async def test_when_the_conversation_ends_all_questions_are_taken_back_and_nothing_is_said(how):
    transport, talk = await asking(form())
    client = Client(answers=NEVER)
    task = begin(talk, client)
    await client.until(lambda client: client.asked)
    if how == "lost":
        transport.lost(TransportLost("it ended", sent=True))
    else:
        await talk.close()
    with pytest.raises(UpstreamFailed):
        await soon(task)
    await client.until(lambda client: client.taken_back == 1)
    await turns()
    assert transport._answers() == []


async def test_a_question_that_is_cancelled_before_it_was_put_is_answered_too():
    transport, talk = await asking(form())
    client = Client()
    task = begin(talk, client)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await soon(task)
    assert [each.error["code"] for each in await transport.answers_to()] == [-32603]


async def test_a_second_question_under_the_same_id_is_passed_over():
    transport, talk = await asking(form(5), form(5))
    client = Client(answers=NEVER)
    task = begin(talk, client)
    await client.until(lambda client: client.asked)
    await turns()
    assert len(client.asked) == 1
    await finish(transport, task)


async def test_a_caller_is_asked_only_so_much_at_once():
    transport, talk = await asking(*(form(n) for n in range(AT_ONCE + 3)))
    client = Client(answers=NEVER)
    task = begin(talk, client)
    answers = await transport.answers_to(3)
    assert [(each.id, each.error["code"]) for each in answers] == [(AT_ONCE + n, -32603) for n in range(3)]
    await client.until(lambda client: len(client.asked) == AT_ONCE)
    await finish(transport, task)


async def test_a_server_that_asks_without_end_and_takes_no_answers_holds_a_bounded_number_of_tasks():
    transport, talk = await asking(*(form(n, mode="url") for n in range(3 * FLOOD)))
    send, taken, before = transport.send, asyncio.Event(), len(asyncio.all_tasks())

    async def untaken(message, **given):
        if isinstance(message, Response):
            await taken.wait()
        await send(message, **given)

    transport.send = untaken
    task = begin(talk, Client(capabilities={"elicitation": {"form": {}}}))
    await transport.until(1)
    assert len(asyncio.all_tasks()) <= before + FLOOD + 2
    taken.set()
    await transport.answers_to(FLOOD)
    assert await finish(transport, task) == {"fine": True}
    assert len(transport._answers()) == FLOOD


async def test_a_question_after_the_answer_to_its_request_reaches_nobody():
    transport, talk = await asking()
    send, client = transport.send, Client()

    async def answering_first(message, **given):
        if isinstance(message, Request):
            transport.receive(Response(message.id, {"fine": True}))
            transport.receive(form())
        else:
            await send(message, **given)

    transport.send = answering_first
    assert await soon(begin(talk, client)) == {"fine": True}
    await turns()
    assert (client.asked, transport.sent) == ([], [])


async def test_an_answer_that_the_server_does_not_take_harms_nothing():
    transport, talk = await asking(form())
    task = begin(talk, Client())
    send = transport.send

    async def refusing(message, **given):
        if isinstance(message, Response):
            raise HttpAnswer(400)
        await send(message, **given)

    transport.send = refusing
    await transport.until(1)
    await turns()
    assert await finish(transport, task) == {"fine": True}


async def test_a_server_may_take_an_answer_as_slowly_as_it_answers_itself(monkeypatch):
    monkeypatch.setattr("connectors.conversation.REPLY_TIMEOUT", 0.01)
    transport, talk = await asking(form())
    task, taken = begin(talk, Client()), asyncio.Event()
    send = transport.send

    async def slowly(message, **given):
        if isinstance(message, Response):
            await asyncio.sleep(0.1)
            taken.set()
        await send(message, **given)

    transport.send = slowly
    async with asyncio.timeout(5):
        await taken.wait()
    assert await finish(transport, task) == {"fine": True}


# -- time


async def test_while_a_question_is_with_the_client_the_time_out_stands_still():
    transport, talk = await asking(form(), timeout=0.05)
    client = Client(answers=NEVER)
    task = begin(talk, client)
    await client.until(lambda client: client.asked)
    done, _ = await asyncio.wait([task], timeout=0.2)
    assert not done
    transport.receive(Notification("notifications/cancelled", {"requestId": 1}))
    with pytest.raises(UpstreamFailed, match="did not answer in time"):
        await soon(task)


async def test_a_question_that_is_never_answered_ends_with_the_call():
    transport, talk = await asking(form(), timeout=0.05)
    client = Client(answers=NEVER)
    task = begin(talk, client)
    await transport.until(1)
    (waiting,) = talk._waiting.values()
    assert waiting._allowance == STANDSTILL
    waiting._allowance = 0.0
    waiting.stretch(asyncio.get_running_loop().time())
    with pytest.raises(UpstreamFailed, match="did not answer in time"):
        await soon(task)
    await client.until(lambda client: client.taken_back == 1)


# -- links


async def test_a_client_that_was_sent_to_a_link_is_told_when_its_user_was_there():
    transport, talk = await asking(form(mode="url", elicitationId="here", url="https://x.test"))
    client = Client()
    task = begin(talk, client)
    await transport.answers_to()
    await finish(transport, task)
    told = Notification(COMPLETE, {"elicitationId": "here"})
    for _ in range(2):
        transport.receive(told)
        transport.receive(Notification(COMPLETE, {"elicitationId": "elsewhere"}))
    assert client.heard == [told]


async def test_a_client_that_must_go_to_a_link_first_is_told_when_its_user_was_there():
    data = {"elicitations": [{"mode": "url", "elicitationId": "here", "url": "https://x.test"}, 5]}
    for failing in (error(-32042, "first", data), HttpAnswer(400, error(-32042, "first", data))):
        transport = Scripted({"tools/call": failing}, http=True)
        talk = await talking(transport, declares=EVERYTHING)
        client = Client()
        with pytest.raises(UpstreamError):
            await talk.request("tools/call", CALL, client)
        told = Notification(COMPLETE, {"elicitationId": "here"})
        transport.receive(told)
        assert client.heard == [told]
        await talk.close()


@pytest.mark.parametrize(
    "data", [None, [], {"elicitations": {}}, {"elicitations": [{"mode": "url"}, {"elicitationId": []}]}]
)
async def test_links_of_a_wrong_form_are_nobodys(data):
    transport = Scripted({"tools/call": error(-32042, "first", data)})
    talk = await talking(transport, exclusive=False)
    with pytest.raises(UpstreamError):
        await talk.request("tools/call", CALL, Client())
    for id in ("here", None, [], 5):
        transport.receive(Notification(COMPLETE, {"elicitationId": id}))
    assert talk.test_told == []


async def test_an_unknown_link_is_told_to_the_call_on_whose_stream_it_was_said():
    told = Notification(COMPLETE, {"elicitationId": "unknown"})
    transport, talk = await asking(told)
    client, other = Client(), Client()
    tasks = [begin(talk, client)]
    await transport.until(1)
    tasks.append(begin(talk, other))
    await transport.until(2)
    assert (client.heard, other.heard) == ([told], [])
    await talk.close()
    await asyncio.wait(tasks)


async def test_links_are_forgotten_with_the_conversation():
    transport, talk = await asking(form(mode="url", elicitationId="here", url="https://x.test"))
    task = begin(talk, Client())
    await transport.answers_to()
    await finish(transport, task)
    await talk.close()
    assert talk._links.forget("here") is None


async def test_a_modern_server_has_no_such_news():
    transport, talk = await asking(http=False, terms=MODERN, exclusive=True)
    client = Client()
    task = begin(talk, client)
    await transport.until(1)
    transport.receive(Notification(COMPLETE, {"elicitationId": "here"}))
    assert await finish(transport, task) == {"fine": True}
    assert client.heard == []


async def test_only_so_many_links_are_remembered_and_none_for_ever():
    links, clients = Links(), [Client() for _ in range(MAX_LINKS + 1)]
    for n, client in enumerate(clients):
        links.remember({"mode": "url", "elicitationId": str(n)}, client)
    assert links.forget("0") is None
    assert links.forget("1") is clients[1]
    links.remember({"mode": "url", "elicitationId": "2"}, clients[0])
    assert links.forget("2") is clients[0]
    _, timer = links._callers["3"]
    assert timer.when() - asyncio.get_running_loop().time() == pytest.approx(STANDSTILL, abs=5)
    timer._run()
    assert links.forget("3") is None
    links.close()
    assert links.forget("4") is None
