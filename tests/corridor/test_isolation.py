"""Nobody gets another one's answer, identity or session."""

import asyncio
import json
from typing import Any

import aiohttp
import httpx2

from tests.corridor.house import House, modern, result_of, until

INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
}
CLIENTS = 1_000


def legacy(method: str, id: Any = 1, **params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": id, "method": method, "params": params}


def told(answer: httpx2.Response) -> Any:
    return json.loads(result_of(answer)["result"]["content"][0]["text"])


async def test_a_thousand_clients_at_once_that_all_use_id_1_see_only_their_own_answers(house: House, user_key: str):
    headers = {
        "accept": "application/json, text/event-stream",
        "content-type": "application/json",
        "x-apikey": user_key,
    }

    async def one(client: aiohttp.ClientSession, number: int) -> bool:
        connector = "demo" if number % 2 else "web"
        question = modern("tools/call", name=f"{connector}__echo", arguments={"text": str(number)})
        async with client.post(f"{house.url}/mcp", json=question["json"], headers=question["headers"]) as answer:
            message = await answer.json()
        assert message["id"] == 1
        return json.loads(message["result"]["content"][0]["text"])["arguments"] == {"text": str(number)}

    limits, patience = aiohttp.TCPConnector(limit=CLIENTS), aiohttp.ClientTimeout(total=120)
    async with aiohttp.ClientSession(headers=headers, connector=limits, timeout=patience) as client:
        outcomes = await asyncio.gather(*(one(client, number) for number in range(CLIENTS)))
    assert outcomes == [True] * CLIENTS


async def test_sessions_that_all_use_id_1_see_only_their_own_answers(house: House, user_key: str):
    headers = {"accept": "application/json, text/event-stream", "x-apikey": user_key}

    async def one(client: httpx2.AsyncClient, nonce: str) -> bool:
        opened = await client.post("/mcp", json=INITIALIZE)
        session = {"mcp-session-id": opened.headers["mcp-session-id"], "mcp-protocol-version": "2025-11-25"}
        call = legacy("tools/call", name="demo__echo", arguments={"text": nonce})
        answer = await client.post("/mcp", json=call, headers=session)
        return result_of(answer)["id"] == 1 and told(answer)["arguments"] == {"text": nonce}

    async with httpx2.AsyncClient(base_url=house.url, headers=headers, timeout=90) as client:
        assert all(await asyncio.gather(*(one(client, str(number)) for number in range(50))))


async def test_two_users_interleaved_run_as_themselves(house: House):
    users = {
        name: await asyncio.to_thread(house.add_user, f"{name}@example.com", role)
        for name, role in (("twin-a", "user"), ("twin-b", "half"))
    }
    before = {entry.id for entry in await asyncio.to_thread(house.entries)}

    async def call(key: str, text: str) -> Any:
        headers = {"accept": "application/json, text/event-stream", "x-apikey": key}
        async with httpx2.AsyncClient(base_url=house.url, headers=headers, timeout=60) as client:
            return result_of(
                await client.post("/mcp", **modern("tools/call", name="demo__echo", arguments={"text": text}))
            )

    plan = [(name, text) for _ in range(10) for name in users for text in ("only this", "something else")]
    answers = await asyncio.gather(*(call(users[name], text) for name, text in plan))
    for (name, text), answer in zip(plan, answers, strict=True):
        if name == "twin-b" and text == "something else":
            assert answer["result"]["isError"] is True
        else:
            assert json.loads(answer["result"]["content"][0]["text"])["arguments"] == {"text": text}

    def written() -> Any:
        found = [entry for entry in house.entries() if entry.id not in before]
        return found if len(found) >= len(plan) else None

    entries = await asyncio.to_thread(until, written)
    for name in users:
        mine = [entry for entry in entries if entry.subject == f"user:{name}@example.com"]
        assert len(mine) == len(plan) / 2
        assert sum(entry.allowed is False for entry in mine) == (10 if name == "twin-b" else 0)


def test_a_session_of_another_user_is_not_found(house: House, user_key: str, auditor_key: str):
    with house.client(user_key) as mine, house.client(auditor_key) as other:
        session = mine.post("/mcp", json=INITIALIZE).headers["mcp-session-id"]
        headers = {"mcp-session-id": session}
        for client, status in ((other, 404), (mine, 200)):
            assert client.post("/mcp", json=legacy("ping"), headers=headers).status_code == status
        assert other.get("/mcp", headers=headers).status_code == 404
        assert other.delete("/mcp", headers=headers).status_code == 404
        assert mine.post("/mcp/demo-only", json=legacy("ping"), headers=headers).status_code == 404
        assert mine.delete("/mcp", headers=headers).status_code == 200
        assert mine.post("/mcp", json=legacy("ping"), headers=headers).status_code == 404
