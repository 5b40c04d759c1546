"""Metrics and readiness over whole requests: what moves them, who sees them, and what they never tell."""

import json
from ipaddress import ip_network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families as plain

from connectors.base import Secret
from gateway.audit import AuditEntry
from gateway.follower import now_ms
from gateway.observing.levels import Levels
from gateway.observing.metrics import MOST_VALUES, Metrics
from gateway.observing.times import Times
from gateway.observing.watchers import may_watch
from gateway.settings import MetricsSettings
from gateway.store.base import Unavailable
from tests.web.api.whole import ANN, SETTINGS, Whole, whole

WATCHED = SETTINGS + '[metrics]\nallow = ["203.0.113.7/32"]\n'
LEVELS = Levels(True, "3.4", 0.5, (), True, 0, 0, False, 2, 1)


async def values(house: Whole, **headers: str) -> dict[str, float]:
    answer = await house("GET", "/metrics", key="", **headers)
    assert answer.status == 200, answer.raw
    return {
        f"{each.name}{json.dumps(each.labels, sort_keys=True) if each.labels else ''}": each.value
        for family in plain(answer.raw.decode())
        for each in family.samples
    }


def initialize(id: int = 1) -> dict[str, object]:
    hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
    return {"jsonrpc": "2.0", "id": id, "method": "initialize", "params": hello}


async def test_calls_sessions_and_denials_move_the_metrics(tmp_path: Path):
    async with whole(tmp_path, config=WATCHED) as house:
        before = await values(house)
        both = "application/json, text/event-stream"
        assert (await house("POST", "/mcp", ANN, body=initialize(), accept=both)).status == 200
        assert (await house("POST", "/mcp", key="ost_nobody", body=initialize(), accept=both)).status == 401
        assert (await house("POST", "/api/users", ANN, body={"email": "new@example.com"})).status == 403
        after = await values(house)

    def grown(name: str) -> float:
        return after.get(name, 0) - before.get(name, 0)

    assert grown('ostiary_calls_total{"outcome": "ok"}') >= 1
    assert grown('ostiary_calls_total{"outcome": "unauthenticated"}') == 1
    assert grown('ostiary_call_seconds_count{"transport": "mcp"}') == 2
    assert grown("ostiary_sessions") == 1
    assert grown('ostiary_decisions_total{"reason": "no_rule"}') == 1
    assert after["ostiary_ready"] == after["ostiary_store_up"] == 1
    assert 0 <= after["ostiary_policy_age_seconds"] < 30
    assert after["process_resident_memory_bytes"] > 0


async def test_the_version_in_force_is_told(tmp_path: Path):
    async with whole(tmp_path, config=WATCHED) as house:
        version = house.gateway.follower.current.policy.version
        assert f'ostiary_policy_info{{"version": "{version}"}}' in await values(house)


async def test_openmetrics_is_for_who_accepts_it(tmp_path: Path):
    async with whole(tmp_path, config=WATCHED) as house:
        answer = await house("GET", "/metrics", key="", accept="application/openmetrics-text; version=1.0.0")
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert "ostiary_calls" in {family.name for family in open_metrics(answer.raw.decode())}


async def test_neither_subject_nor_key_nor_session_stands_in_the_metrics(tmp_path: Path):
    async with whole(tmp_path, config=WATCHED) as house:
        both = "application/json, text/event-stream"
        opened = await house("POST", "/mcp", ANN, body=initialize(), accept=both, user_agent="canary-client")
        await house("POST", "/mcp/canary-server", ANN, body=initialize(), accept=both)
        await house("GET", "/canary-path", key="")
        told = (await house("GET", "/metrics", key="")).raw.decode()
        secret = house.keys[ANN]
    for canary in ("canary", ANN, "example.com", secret, opened.headers["mcp-session-id"], "203.0.113"):
        assert canary not in told


async def test_a_stranger_learns_whether_we_are_ready_and_nothing_else(tmp_path: Path):
    async with whole(tmp_path) as house:
        answer = await house("GET", "/ready", key="")
        assert (answer.status, answer.json) == (200, {"ready": True})
        assert (await house("GET", "/metrics", key="")).status == 404


async def test_who_may_watch_is_told_each_part_of_readiness(tmp_path: Path):
    async with whole(tmp_path, config=WATCHED) as house:
        told = (await house("GET", "/ready", key="")).json
    assert told["ready"] is True
    assert told["store"] == "up"
    assert told["audit"]["full"] is False
    assert told["policy"]["age_s"] < 30
    assert told["upstreams"] == {}


async def test_a_store_that_is_away_is_told_at_once_and_makes_us_unready_when_the_policy_is_stale(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    async with whole(tmp_path, config=WATCHED) as house:
        follower = house.gateway.follower

        async def down() -> None:
            raise Unavailable("gone")

        with monkeypatch.context() as broken:
            broken.setattr(house.gateway.store, "heads", down)
            with pytest.raises(Unavailable):
                await follower.catch_up()
            answer = await house("GET", "/ready", key="")
            assert (answer.status, answer.json["store"]) == (200, "down")
            broken.setattr("gateway.assembly.watched.now_ms", lambda: now_ms() + 31_000)
            answer = await house("GET", "/ready", key="")
            assert (answer.status, answer.json["store"]) == (503, "down")
            assert (await house("GET", "/health", key="")).status == 200
        await follower.catch_up()
        assert (await house("GET", "/ready", key="")).status == 200


def test_an_upstream_that_fails_is_told_and_costs_no_readiness():
    metrics = Metrics(lambda: LEVELS)
    metrics.passed(AuditEntry(id="1", at=0, outcome="upstream_failed"), Times(upstream=0.2, connector="a", failed=True))
    assert 'ostiary_upstream_up{connector="a"} 0.0' in metrics.exposition("")[0].decode()
    assert LEVELS.told(metrics.upstreams)["upstreams"] == {"a": "down"}
    assert LEVELS.ready
    metrics.passed(AuditEntry(id="1", at=0, outcome="ok"), Times(connected=0.1, upstream=0.2, connector="a"))
    assert metrics.upstreams == {"a": True}
    assert 'ostiary_connect_seconds_count{connector="a"} 1.0' in metrics.exposition("")[0].decode()


def test_a_label_never_takes_more_values_than_its_bound():
    metrics = Metrics(lambda: LEVELS)
    for number in range(3 * MOST_VALUES):
        metrics.passed(AuditEntry(id="1", at=0, outcome=f"o{number}"), Times())
    told = metrics.exposition("")[0].decode()
    assert told.count("ostiary_calls_total{") == MOST_VALUES + 1
    assert 'ostiary_calls_total{outcome="other"} 200.0' in told


TOKEN = "t" * 40
SET = MetricsSettings((ip_network("10.0.0.0/8"), ip_network("127.0.0.1/32")), Secret(TOKEN))


@pytest.mark.parametrize(
    ("address", "headers", "forwarded", "may"),
    [
        ("10.1.2.3", {}, False, True),
        ("11.1.2.3", {}, False, False),
        ("11.1.2.3", {"authorization": f"Bearer {TOKEN}"}, False, True),
        ("10.1.2.3", {"authorization": "Bearer wrong"}, False, False),
        ("127.0.0.1", {"x-forwarded-for": "9.9.9.9"}, False, False),
        ("10.1.2.3", {"x-forwarded-for": "10.1.2.3"}, True, True),
        ("", {}, False, False),
    ],
)
def test_who_may_watch(address: str, headers: dict[str, str], forwarded: bool, may: bool):
    assert may_watch(SET, address, headers, forwarded=forwarded) is may
    assert not may_watch(MetricsSettings(), address, headers, forwarded=forwarded)


@given(st.text())
def test_no_other_token_opens(text: str):
    headers = {"authorization": f"Bearer {text}"}
    assert may_watch(SET, "9.9.9.9", headers, forwarded=False) is (text == TOKEN)
