"""How often: the hundred-and-first request of a minute is refused, and nobody else is touched."""

from tests.corridor.house import House, modern, result_of


def test_the_101st_request_of_a_minute_is_429_and_other_principals_are_unaffected(house: House):
    busy, calm = house.add_user("busy@example.com", "user"), house.add_user("calm@example.com", "user")
    with house.client(busy) as client, house.client(calm) as other:
        answers = [client.post("/mcp", **modern("tools/list")) for _ in range(101)]
        assert {answer.status_code for answer in answers[:100]} == {200}
        refused = answers[100]
        assert refused.status_code == 429
        assert 0 < int(refused.headers["retry-after"]) <= 60
        assert result_of(refused)["error"]["data"]["retryAfter"] == int(refused.headers["retry-after"])
        assert other.post("/mcp", **modern("tools/list")).status_code == 200
        assert client.post("/mcp/demo-only", **modern("tools/list")).status_code == 200, "each server counts for itself"


def test_health_and_status_have_their_reference_forms_and_need_no_key(house: House):
    with house.client() as client:
        health, status = client.get("/health"), client.get("/status")
        assert health.json()["status"] == "healthy"
        assert set(health.json()) == {"status", "timestamp"}
        assert status.json() == {"status": "ok"}
        assert client.get("/nowhere").json() == {"error": "Not Found"}
        assert client.post("/health").status_code == 405
