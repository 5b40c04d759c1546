"""Real servers, attached as an operator attaches them, behind a gateway with a policy."""

import pytest

from tests.clients.talking import PROGRAMS, converse
from tests.corridor.house import until
from tests.peers.house import POLICY
from tests.peers.servers import SERVERS, Server
from tests.peers.site import Site


@pytest.mark.parametrize("server", SERVERS, ids=str)
def test_all_of_a_real_server_is_seen_but_what_the_policy_hides(site: Site, server: Server):
    seen = {name.partition("__")[2] for name in site.list() if name.startswith(f"{server.id}__")}
    assert seen == site.offered[server.id] - {server.hidden}
    assert server.hidden in site.offered[server.id]


@pytest.mark.parametrize("server", SERVERS, ids=str)
def test_a_tool_of_a_real_server_is_called_and_refused_by_its_row(site: Site, server: Server):
    name = f"{server.id}__{server.tool}"
    answered = site.call(name, server.arguments(server.good, site.folder))["result"]
    assert not answered.get("isError"), answered
    assert server.text in answered["content"][0]["text"]
    denied = site.call(name, server.arguments(server.bad, site.folder))["result"]
    assert denied["isError"] is True
    assert "denied by policy" in denied["content"][0]["text"]
    assert deciding_rows(site, server) == {f"p, *, *, *, {server.id}/{server.tool}"}


def deciding_rows(site: Site, server: Server) -> set[str]:
    """The beginnings of the rows that refused calls of the server's tool, as the audit has them."""
    denials = until(lambda: [entry for entry in site.house.entries() if refused(entry, server)])
    lines = {int(entry.rule.rpartition(":")[2]) for entry in denials}
    return {", ".join(POLICY.splitlines()[line - 1].split(", ")[:5]) for line in lines}


def refused(entry, server: Server) -> bool:
    return entry.allowed is False and entry.object == f"{server.id}/{server.tool}"


@pytest.mark.parametrize("server", SERVERS, ids=str)
def test_a_hidden_tool_of_a_real_server_answers_like_none(site: Site, server: Server):
    hidden, missing = f"{server.id}__{server.hidden}", f"{server.id}__nothing_of_the_kind"
    told = [site.call(name, {})["error"] for name in (hidden, missing)]
    assert told[0]["code"] == -32602
    assert told[0]["message"].replace(hidden, "X") == told[1]["message"].replace(missing, "X")


@pytest.mark.parametrize("mode", ["legacy", "auto"])
@pytest.mark.parametrize("server", ["everything-http", "everything-sse"])
def test_a_real_server_asks_the_client_through_the_gateway(site: Site, server: str, mode: str):
    """The tools that ask something are there for clients that can be asked."""
    steps = [
        ["call", f"{server}__trigger-elicitation-request", {}],
        ["call", f"{server}__trigger-sampling-request", {"prompt": "what?"}],
    ]
    plan = {"url": f"{site.house.url}/mcp", "transport": "http", "mode": mode, "steps": steps, "answers": True}
    plan["headers"] = {"x-apikey": site.newcomer(f"{server}-{mode}")}
    told = converse(PROGRAMS["python-v2"], plan)["answers"]
    assert all("content" in answer for answer in told), told
    elicited, sampled = ("\n".join(block["text"] for block in answer["content"]) for answer in told)
    assert "- Name: Ann" in elicited
    assert "a word" in sampled
