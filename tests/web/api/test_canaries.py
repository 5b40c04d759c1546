"""Secrets on their way through the management API: each is shown in the one answer that makes it. It stands in no
other answer, in no header, no refusal, no line of the log, no audit entry, and nowhere in the store.
"""

import logging
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.builders import MODEL
from tests.web.api.test_audit_api import written
from tests.web.api.whole import ANN, BOB, ROWS, SEC, SECRET, SETTINGS, Answer, Whole, whole

JWT = "canary-for-signing-of-end-users-tokens"
TYPED = "sk_test_canaryofathirdparty"
SENT = "canary-that-was-sent-in-a-wrong-place"
ISSUED = re.compile(r"ost_[\w-]{30,}|mcp_token_[\w-]{30,}|eyJ[\w-]+\.[\w-]+\.[\w-]+")
UNLIMITED = f"{SETTINGS}[limits]\nfailures = 100000\nvisits = 100000\n"
FEW = f"""{ROWS}\
p, user:*, main, self, stripe/*, write, , allow
p, user:*, *, self, *, rate:often, , allow
p, user:{ANN}, main, self, gateway/end-users, act-as, , allow
p, user:{ANN}, main, self, *, share, , allow
"""
OFTEN = '[[class]]\nname = "often"\ncalls = 1000000\nwindow_s = 60\n'
FILES = {"policies/model.conf": MODEL, "policies/rules.csv": FEW, "policies/limits.toml": OFTEN}

SIGNED = {"issuer": "https://issuer.example.com", "algorithm": "HS256", "secret": JWT}
TYPING = {"userId": ANN, "authenticationType": "api_key", "data": {"api_key": TYPED}}
QUESTION = {"subject": f"user:{ANN}", "object": "stripe/list_customers", "action": "read"}
SHARE = {"email": BOB, "toolId": "no_such_tool"}
CONNECTOR_STEPS = (
    (ANN, "GET /connectors", None),
    (ANN, "GET /connectors/{connector}/resources", None),
    (ANN, "GET /connectors/{connector}/actions/{action}", None),
    (ANN, "GET /connectors/{connector}/credentials/metadata", None),
    (ANN, "POST /connectors/{connector}/credentials", TYPING),
    (ANN, "GET /connectors/{connector}/credentials", None),
    (ANN, "GET /users/{user}/credentials", None),
    (ANN, "DELETE /connectors/{connector}/credentials/{credential}", None),
    (ANN, "POST /connectors/{connector}/actions/{action}/execute", {"additionalHeaders": {"a": SENT}}),
)
STEPS: tuple[tuple[str, str, Any], ...] = (
    *CONNECTOR_STEPS,
    *((who, step.replace(" /", " /api/"), body) for who, step, body in CONNECTOR_STEPS),
    (ANN, "POST /api/servers", {"name": "one", "jwt": [SIGNED]}),
    (ANN, "GET /api/servers", None),
    (ANN, "GET /api/servers/{server}", None),
    (ANN, "PUT /api/servers/{server}", {"name": "two", "jwt": [SIGNED]}),
    (ANN, "POST /api/servers/{server}/regenerate-token", {"graceSeconds": 60}),
    (ANN, "POST /api/keys", {"name": "mine"}),
    (ANN, "GET /api/keys", None),
    (ANN, "POST /api/keys/{key}/rotate", {"overlapSeconds": 60}),
    (ANN, "DELETE /api/keys/{key}", None),
    (SEC, "POST /api/users", {"email": "new@example.com", "roles": ["user"]}),
    (SEC, "GET /api/users", None),
    (SEC, "GET /api/users/{email}", None),
    (SEC, "PATCH /api/users/{email}", {"name": "New"}),
    (SEC, "DELETE /api/users/{email}", None),
    (ANN, "POST /users", {"username": "u1", "fullName": "One"}),
    (ANN, "GET /users", None),
    (ANN, "GET /users/{user}", None),
    (ANN, "GET /users/{user}/token", None),
    (ANN, "POST /users", {"username": "u2", "fullName": "Two"}),
    (ANN, "POST /users/{user}/token", {}),
    (ANN, "GET /api/connections", None),
    (ANN, "POST /api/connections/{connector}/start", {}),
    (ANN, "GET /api/flows/{flow}", None),
    (ANN, "POST /api/connectors/{connector}/credentials", TYPING),
    (ANN, "POST /api/connections/{connection}/reconnect", {}),
    (ANN, "GET /api/connections/{connection}/loans", None),
    (ANN, "POST /api/connections/{connection}/loans", {"to": BOB}),
    (ANN, "DELETE /api/connections/{connection}/loans/{loan}", None),
    (ANN, "DELETE /api/connections/{connection}", None),
    (ANN, "POST /api/flows/{code}/confirm", {}),
    (ANN, "POST /api/flows/{flow}/settle", {"keep": True}),
    (ANN, "POST /tools/share", SHARE),
    (ANN, "GET /tools/shared", None),
    (ANN, "DELETE /tools/share", SHARE),
    (SEC, "GET /api/policy", None),
    (SEC, "GET /api/policy/history", None),
    (SEC, "POST /api/policy/plan", {"files": FILES}),
    (SEC, "POST /api/policy/apply", {"files": FILES, "why": "the same", "expected": 1}),
    (SEC, "POST /api/policy/rollback", {"version": 1, "why": "as before"}),
    (SEC, "POST /api/policy/explain", QUESTION),
    (SEC, "GET /api/policy/who-can?object=stripe/list_customers&action=read", None),
    (SEC, f"GET /api/policy/what-can?subject=user:{ANN}", None),
    (SEC, "GET /api/audit?subject=*&limit=1000", None),
    (ANN, "DELETE /api/servers/{server}/token", None),
    (ANN, "DELETE /users/{user}", None),
    (ANN, "DELETE /api/servers/{server}", None),
)  # fmt: skip
MAKING = {
    "POST /api/servers", "POST /api/servers/{server}/regenerate-token", "POST /api/keys", "POST /api/keys/{key}/rotate",
    "POST /api/users", "GET /users/{user}/token", "POST /users/{user}/token",
}  # fmt: skip
LEARNT = {
    "POST /api/servers": {"server": "serverId"},
    "POST /api/keys": {"key": "id"},
    "POST /users": {"user": "userId"},
    "POST /connectors/{connector}/credentials": {"credential": "credentialId", "connection": "credentialId"},
    "POST /api/connectors/{connector}/credentials": {"credential": "credentialId", "connection": "credentialId"},
    "POST /api/connections/{connection}/loans": {"loan": "id"},
}
NEEDS_MORE = {
    "POST /connectors/{connector}/actions/{action}/execute", "POST /api/connectors/{connector}/actions/{action}/execute",
    "POST /api/flows/{code}/confirm", "POST /api/flows/{flow}/settle", "POST /tools/share", "DELETE /tools/share",
}  # fmt: skip
"""Routes that no step leads to a good end, for want of a platform, a browser or a tool; that end has tests elsewhere."""


@dataclass
class Walk:
    """Somebody who goes from route to route and remembers every secret that he was shown."""

    house: Whole
    folder: Path
    ids: dict[str, str] = field(
        default_factory=lambda: {
            "connector": "stripe",
            "action": "list_customers",
            "email": "new@example.com",
            **dict.fromkeys(("server", "key", "user", "connection", "credential", "loan", "flow", "code"), "1" * 24),
        }
    )
    secrets: set[str] = field(default_factory=lambda: {JWT, TYPED, SENT, SECRET})
    walked: set[str] = field(default_factory=set)
    done: set[str] = field(default_factory=set)

    async def step(self, who: str, step: str, body: Any) -> None:
        route = step.partition("?")[0]
        verb, path = step.split(" ")
        answer = await self.house(verb, path.format(**self.ids), who, body=body)
        self.walked.add(route)
        self.shows_nothing(answer, route)
        shown = set(ISSUED.findall(answer.raw.decode()))
        assert bool(shown) == (route in MAKING), (route, answer.status, answer.raw)
        self.secrets |= shown
        if answer.status < 400:
            self.done.add(route)
            self.ids |= {name: answer.json[of] for name, of in LEARNT.get(route, {}).items()}
        if route == "POST /api/connections/{connector}/start":
            self.ids["flow"] = answer.json["flow"]["id"]

    def shows_nothing(self, answer: Answer, place: object) -> None:
        told = f"{answer.headers}{answer.raw.decode()}"
        assert not [each for each in self.secrets if each in told], (place, told)
        assert answer.headers["cache-control"] == "no-store", place

    async def left_nothing(self, *texts: str) -> None:
        await written(self.house)
        kept = b"".join(each.read_bytes() for each in (self.folder / "var").iterdir() if each.is_file())
        assert b"servers.create" in kept, "entries are read here as they were written"
        told = (await self.house("GET", "/api/audit?subject=*&limit=1000")).raw
        everywhere = b"".join([kept, told, *(each.encode() for each in texts)])
        assert not [each for each in self.secrets if each.encode() in everywhere]


@pytest.fixture
async def walk(tmp_path: Path) -> AsyncIterator[Walk]:
    (tmp_path / "config").mkdir(mode=0o700)
    connectors = tmp_path / "config" / "connectors.toml"
    connectors.write_text("[connectors.stripe]\n")
    connectors.chmod(0o600)
    async with whole(tmp_path, rows=FEW, config=UNLIMITED, limits=OFTEN) as house:
        walk = Walk(house, tmp_path)
        walk.secrets |= set(house.keys.values())
        yield walk


def routes(walk: Walk) -> set[str]:
    return {f"{each.verb} {each.rule}" for each in walk.house.gateway._api()}


async def test_a_secret_is_shown_where_it_is_made_and_nowhere_else(
    walk: Walk, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
):
    caplog.set_level(logging.DEBUG)
    for who, step, body in STEPS:
        await walk.step(who, step, body)
    assert walk.walked == routes(walk), "every route is walked; a new one needs a step here"
    assert sorted(walk.walked - walk.done) == sorted(NEEDS_MORE), "and to its good end"
    assert len(walk.secrets) >= 4 + 3 + len(MAKING)
    await walk.left_nothing(caplog.text, *capfd.readouterr())


PLACES: tuple[dict[str, Any], ...] = (
    {"key": SENT},
    {"key": "", "authorization": f"Bearer {SENT}"},
    {"key": "", "authorization": f"Basic {SENT}"},
    {"x_alloy_user_token": SENT},
    {"x_user_token": f"a.{SENT}.b"},
    {"cookie": f"session={SENT}"},
    {"raw": f'{{"secret": "{SENT}"'.encode()},
    {"raw": f'"{SENT}"'.encode()},
    {"body": {"apiKey": SENT, "data": SENT, "jwt": SENT}},
    {"body": {"jwt": [{"issuer": "https://i.example.com", "algorithm": "HS256", "secret": SENT[:20]}]}},
    {"body": {**TYPING, "data": {"api_key": SENT, "password": SENT}}},
)


async def test_a_secret_that_was_sent_wrongly_is_repeated_nowhere(
    walk: Walk, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
):
    caplog.set_level(logging.DEBUG)
    await walk.step(ANN, "POST /api/servers", {"name": "one", "jwt": [SIGNED]})
    walk.secrets.add(SENT[:20])
    for route in sorted(routes(walk)):
        verb, path = route.split(" ")
        for given in PLACES:
            answer = await walk.house(verb, path.format(**walk.ids), ANN, **given)
            walk.shows_nothing(answer, (route, given))
        answer = await walk.house(verb, f"{path.format(**walk.ids)}?apikey={SENT}&access_token={SENT}", ANN)
        walk.shows_nothing(answer, route)
    await walk.left_nothing(caplog.text, *capfd.readouterr())
