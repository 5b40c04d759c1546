"""The weak points of Alloy's hosted server, each tried on a whole gateway: what succeeds there must fail here.

A test is named after its number. What other suites hold is named in ``ELSEWHERE`` and not repeated. ``INCIDENTS`` says
the same of faults that became known in other gateways.
"""

import ast
import time
from typing import Any

import pytest
from joserfc.jwk import OctKey

from tests.corridor.house import ROOT
from tests.proofs.signing import ISSUER, RSA, SECRET, changed, macked, pieces
from tests.web.api.test_audit_api import written
from tests.web.api.whole import ANN, BOB, ROWS, SEC, SETTINGS, Answer, Whole, whole

CONNECTORS = "web/api/test_connectors.py"
ELSEWHERE = {
    4: ("pipeline/test_remembering.py", "test_nothing_of_it_is_told_to_anybody_else"),
    5: (CONNECTORS, "test_one_customers_connections_are_never_anothers"),
    6: (CONNECTORS, "test_the_browser_goes_back_to_no_address_that_the_server_does_not_have"),
    10: ("corridor/test_connecting.py", "test_a_link_is_of_no_use_to_somebody_else"),
}
INCIDENTS = {
    "a bad proof becomes an empty identity": (
        "proofs/test_issuers.py", "test_a_token_of_nobody_known_is_no_more_than_a_wrong_key",
    ),
    "crafted host": ("web/test_hosts.py", "test_no_text_but_our_own_names_passes_as_host"),
    "foreign origin": ("web/test_hosts.py", "test_a_foreign_origin_is_refused"),
    "two readers": ("web/test_plane.py", "test_a_connection_on_which_two_readers_could_disagree_is_closed"),
    "session of another": (
        "web/test_token_urls.py", "test_a_session_belongs_to_who_opened_it_whoever_else_is_let_in",
    ),
    "confused deputy": (CONNECTORS, "test_what_another_customer_connected_by_a_forwarded_link_is_given_back"),
    "confirmed by somebody else": (CONNECTORS, "test_only_who_may_act_as_him_confirms_what_a_customer_connected"),
    "owner reads his customers": (CONNECTORS, "test_the_owner_uses_none_of_his_customers_connections_for_himself"),
    "object of another": ("web/test_end_users_api.py", "test_another_tenants_end_user_and_none_at_all_are_the_same_404"),
    "key of another": ("web/test_keys_api.py", "test_another_users_key_and_none_at_all_are_the_same_404"),
    "token for another audience": (
        "proofs/test_issuers.py", "test_a_token_counts_on_the_endpoint_that_it_was_given_for_and_on_no_other",
    ),
    "keys from inside": ("proofs/test_signers.py", "test_keys_are_fetched_from_no_private_address"),
    "key in the header": (
        "proofs/test_signers.py", "test_a_key_that_the_token_brings_itself_counts_for_nothing",
    ),
    "confused algorithm": ("proofs/test_signers.py", "test_a_public_key_is_never_a_shared_secret"),
    "unknown key": ("proofs/test_signers.py", "test_a_new_key_is_found_at_once_and_then_once_a_minute_at_most"),
    "oversized token": ("proofs/test_signers.py", "test_an_oversized_token_is_not_even_read"),
    "stale authority": (
        "web/test_token_urls.py", "test_what_closes_a_server_binds_on_the_next_request_and_ends_its_streams",
    ),
    "token in a log": (
        "web/test_token_urls.py",
        "test_a_token_stands_in_no_entry_no_log_no_answer_and_nothing_that_a_web_server_could_log",
    ),
    "guessing": (
        "pipeline/test_knocks.py", "test_an_address_that_failed_too_often_is_refused_until_a_minute_has_passed",
    ),
    "forged address": (
        "corridor/test_hosted_weak_points.py", "test_nobody_goes_on_guessing_by_naming_another_address",
    ),
}  # fmt: skip
SERVERS = "/api/servers"
ACTING = ROWS + f"p, user:{ANN}, main, self, gateway/end-users, act-as, , allow\n"
OFFERED = {"name": "Desk", "mode": "direct"}
SIGNED = {**OFFERED, "jwt": [{"issuer": ISSUER, "algorithm": "HS256", "secret": SECRET.decode()}]}


@pytest.fixture
async def house(tmp_path):
    async with whole(tmp_path, rows=ACTING, config=f"{SETTINGS}[limits]\nfailures = 1000\n") as started:
        yield started


@pytest.mark.parametrize("number", range(1, 13))
def test_every_weak_point_has_a_test(number: int):
    found(*ELSEWHERE.get(number, ("corridor/test_hosted_weak_points.py", f"test_a{number:02}_")))


@pytest.mark.parametrize("where", INCIDENTS.values(), ids=INCIDENTS)
def test_every_incident_has_a_test(where: tuple[str, str]):
    found(*where)


def found(path: str, name: str) -> None:
    tree = ast.parse((ROOT / "tests" / path).read_text())
    names = [each.name for each in ast.walk(tree) if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)]
    assert any(each.startswith(name) for each in names), (path, name)


async def offered(house: Whole, **wish: Any) -> dict[str, Any]:
    made = await house("POST", SERVERS, ANN, body=OFFERED | wish)
    assert made.status == 201, made.raw
    told: dict[str, Any] = made.json
    return told


async def asks(house: Whole, path: str, who: str = "", method: str = "tools/list", **headers: str) -> Answer:
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {}}
    return await house("POST", path, who, body=body, accept="application/json,text/event-stream", **headers)


def token(server: str, **claims: Any) -> str:
    now = int(time.time())
    return changed(**{"aud": server, "exp": now + 300, "iat": now, **claims})


async def who_came(house: Whole) -> str:
    """Whom the newest entry of a call names."""
    await written(house)
    entries = (await house("GET", "/api/audit?subject=*&limit=100")).json["entries"]
    subject: str = next(each["subject"] for each in entries if each["method"] == "tools/list")
    return subject


# -- A1: the token in the URL


async def test_a01_a_token_is_told_once_kept_nowhere_and_asks_to_be_kept_nowhere(house, tmp_path):
    told = await offered(house)
    id, secret = told["serverId"], told["accessToken"]
    assert told["accessUrl"].endswith(f"/mcp/{id}/{secret}")
    answer = await asks(house, f"/mcp/{id}/{secret}")
    assert answer.status == 200
    assert (answer.headers["cache-control"], answer.headers["referrer-policy"]) == ("no-store", "no-referrer")
    await written(house)
    later = [
        await house("GET", SERVERS, ANN),
        await house("GET", f"{SERVERS}/{id}", ANN),
        await house("PUT", f"{SERVERS}/{id}", ANN, body=OFFERED),
        await house("GET", "/api/audit?subject=*&limit=100"),
        answer,
    ]
    assert f"server:{id}".encode() in later[3].raw, "its use is on record"
    assert all(each.status == 200 for each in later)
    assert later[1].json["accessToken"] == f"{secret[:12]}…"
    files = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert any(id.encode() in each for each in files), "the record is kept in one of them"
    assert not any(secret.encode() in each for each in (*files, *(each.raw for each in later)))


async def test_a01_who_stole_the_store_has_no_token(house):
    told = await offered(house)
    (record,) = (each for each in house.gateway.follower.current.servers.by_id.values() if each.id == told["serverId"])
    for kept in (record.tokens[0].id, record.tokens[0].prefix):
        assert (await asks(house, f"/mcp/{record.id}/{kept}")).status == 401


# -- A2: the user in a header


async def test_a02_a_header_makes_nobody_of_who_has_a_token_url_or_a_key_of_his_own(house):
    told = await offered(house, isPublic=True)
    id = told["serverId"]
    for header in ("x_alloy_userid", "x_user_id"):
        for name in ("u1", ANN, f"user:{SEC}", SEC):
            assert (await asks(house, f"/mcp/{id}/{told['accessToken']}", **{header: name})).status == 403
            assert (await asks(house, f"/mcp/{id}", BOB, **{header: name})).status == 403
    assert (await asks(house, f"/mcp/{id}", ANN, x_alloy_userid=f"user:{SEC}")).status == 200
    assert (await who_came(house)) == f"end:{id}/user%3Asec@example.com", "an end user, whatever he is called"


# -- A3: the token of the user


async def test_a03_nothing_proves_a_user_but_what_was_signed_for_this_server(house):
    told = await offered(house, **SIGNED)
    id, url = told["serverId"], f"/mcp/{told['serverId']}/{told['accessToken']}"
    now = int(time.time())
    assert (await asks(house, url, x_alloy_user_token=token(id))).status == 200
    assert await who_came(house) == f"end:{id}/u1"
    claims = {"iss": ISSUER, "aud": id, "sub": "u1", "exp": now + 300, "iat": now}
    wrong = {
        "unsigned": pieces({"alg": "none", "typ": "JWT"}, claims, b""),
        "no signature": f"{token(id).rpartition('.')[0]}.",
        "expired": token(id, exp=now - 300, iat=now - 600),
        "endless": token(id, exp=...),
        "not yet": token(id, nbf=now + 300),
        "another server": token("desk-00000000"),
        "for nobody": token(id, aud=...),
        "another issuer": token(id, iss="https://evil.example.com"),
        "another secret": token(id, key=OctKey.import_key(b"f" * 32)),
        "another algorithm": token(id, alg="RS256"),
        "nobody": token(id, sub=""),
    }
    for fault, text in wrong.items():
        for path, who in ((url, ""), (f"/mcp/{id}", ANN), (f"/mcp/{id}", "")):
            answer = await asks(house, path, who, x_alloy_user_token=text)
            assert (answer.status, answer.json["error"]["code"]) == (401, "UNAUTHORIZED"), fault


async def test_a03_a_public_key_signs_nothing_as_a_shared_secret(house):
    keys = {"issuer": ISSUER, "algorithm": "RS256", "jwksUrl": "https://login.example.com/keys"}
    id = (await offered(house, jwt=[keys]))["serverId"]
    now = int(time.time())
    claims = {"iss": ISSUER, "aud": id, "sub": "u1", "exp": now + 300, "iat": now}
    forged = macked({"alg": "HS256", "typ": "JWT", "kid": "r1"}, claims, RSA.as_pem(private=False))
    assert (await asks(house, f"/mcp/{id}", x_alloy_user_token=forged)).status == 401


@pytest.mark.parametrize("name", [SEC, f"user:{SEC}", "..", f"../user:{SEC}", "*"])
async def test_a03_who_signs_for_his_server_gains_nothing_by_the_names_that_he_signs(house, name):
    id = (await offered(house, **SIGNED, restrictions={"users": {"mode": "allowlist", "allowedIds": ["u1"]}}))[
        "serverId"
    ]
    everything = "".join(
        f"p, {subject}, {id}, {own}, *, {action}, , allow\n"
        for subject in (f"user:{SEC}", "group:corp/ops", "role:security")
        for own in ("self", "system")
        for action in ("manage", "connect")
    )
    await house.apply(ACTING + everything)
    groups = ["corp/ops", "group:corp/ops", "../corp/ops", "role:security", "security", "*"]
    signed = token(id, sub=name, groups=groups, email=SEC, email_verified=True, roles=["security"])
    assert (await asks(house, f"/mcp/{id}", x_alloy_user_token=signed)).status == 403
    assert (await asks(house, f"/mcp/{id}", authorization=f"Bearer {signed}")).status == 403
    assert (await asks(house, f"/mcp/{id}", x_alloy_user_token=token(id, groups=groups))).status == 200
    for path in ("/api/users", "/api/policy", "/api/audit", "/api/servers"):
        assert (await house("GET", path, "", authorization=f"Bearer {signed}")).status == 401
    assert (await asks(house, "/mcp", authorization=f"Bearer {signed}")).status == 401


# -- A7: an update that forgets


async def test_a07_an_update_that_opens_says_so_and_one_that_is_late_does_nothing(house):
    only = {"connectors": {"mode": "allowlist", "allowedIds": ["custom"]}}
    told = await offered(house, restrictions=only)
    path, read = f"{SERVERS}/{told['serverId']}", f'"{told["rev"]}"'
    opened = await house("PUT", path, ANN, body=OFFERED, if_match=read)
    assert opened.status == 200
    assert opened.json["warnings"]
    late = await house("PUT", path, ANN, body={**OFFERED, "restrictions": only}, if_match=read)
    assert (late.status, late.code) == (412, "CONFLICT")
    assert (await house("GET", path, ANN)).json["hasRestrictions"] is False
    shut = await house("PUT", path, ANN, body={**OFFERED, "restrictions": only}, if_match=opened.headers["etag"])
    assert (shut.status, shut.json["warnings"]) == (200, [])


# -- A8: actions of one connector


async def test_a08_an_action_may_be_named_with_its_connector_and_an_unknown_one_is_refused(house):
    told = await offered(house, restrictions={"actions": {"mode": "allowlist", "allowedActions": ["custom:*"]}})
    for object, allowed in (("custom/report", True), ("http/report", False)):
        asked = {"subject": f"end:{told['serverId']}/u1", "object": object, "action": "write", "own": "self"}
        answer = await house("POST", "/api/policy/explain", body={**asked, "domain": told["serverId"]})
        assert answer.json["explanation"]["allowed"] is allowed
    for names in (["nowhere:x"], ["nothing_has_this"]):
        wish = {"name": "Other", "restrictions": {"actions": {"mode": "blocklist", "blockedActions": names}}}
        assert (await house("POST", SERVERS, ANN, body=wish)).status in (400, 404)
    assert (await house("GET", SERVERS, ANN)).json["total"] == 1


# -- A9: how often


async def test_a09_who_makes_up_end_users_calls_no_more_often_and_nobody_else_notices(house):
    id = (await offered(house, **SIGNED))["serverId"]
    other = (await offered(house, **{**SIGNED, "name": "Other"}))["serverId"]
    told = [(await asks(house, f"/mcp/{id}", x_user_token=token(id, sub=f"u{n}"))).status for n in range(100)]
    assert set(told) == {200}
    refused = await asks(house, f"/mcp/{id}", x_user_token=token(id, sub="one more"))
    assert refused.status == 429
    assert 0 < int(refused.headers["retry-after"]) <= 60
    counts = len(house.gateway._buckets)
    for n in range(9):
        assert (await asks(house, f"/mcp/{id}", x_user_token=token(id, sub=f"later{n}"))).status == 429
    assert len(house.gateway._buckets) == counts, "nothing is kept of who was refused"
    assert (await asks(house, f"/mcp/{other}", x_user_token=token(other))).status == 200
    assert (await asks(house, f"/mcp/{id}", BOB)).status == 403, "who is not let in, as ever"
    assert (await house("GET", SERVERS, ANN)).status == 200


async def test_nobody_goes_on_guessing_by_naming_another_address(tmp_path):
    async with whole(tmp_path) as house:
        id = (await offered(house))["serverId"]
        told = []
        for n in range(22):
            named = {"x_forwarded_for": f"198.51.100.{n}", "forwarded": f"for=198.51.100.{n}"}
            told.append((await asks(house, f"/mcp/{id}/mcp_token_{n}", **named)).status)
    assert told == [401] * 20 + [429] * 2


# -- A11: tokens without an end


async def test_a11_a_token_ends_unless_its_owner_says_that_it_does_not(house):
    def days(told: dict[str, Any]) -> float:
        ends = time.mktime(time.strptime(told["tokenExpiresAt"][:19], "%Y-%m-%dT%H:%M:%S")) - time.timezone
        return round((ends - time.time()) / 86_400)

    assert days(await offered(house)) == 90
    assert days(await offered(house, name="Short", tokenExpiresInDays=1)) == 1
    for said in (None, 0):
        assert (await offered(house, name=f"Endless {said}", tokenExpiresInDays=said))["tokenExpiresAt"] is None
    for wrong in (-1, 366, 1.5, "90"):
        refused = await house("POST", SERVERS, ANN, body={**OFFERED, "name": "Wrong", "tokenExpiresInDays": wrong})
        assert refused.status == 400, wrong


# -- A12: nobody can see what was decided and why


async def test_a12_what_was_decided_is_told_with_its_rows_and_can_be_taken_away(house):
    told = await offered(house, restrictions={"connectors": {"mode": "allowlist", "allowedIds": ["custom"]}})
    await asks(house, f"/mcp/{told['serverId']}/{told['accessToken']}")
    await written(house)
    lines = await house("GET", "/api/audit?subject=*&limit=100", accept="application/x-ndjson")
    assert f'"server:{told["serverId"]}"'.encode() in lines.raw
    asked = {"subject": f"server:{told['serverId']}", "object": "http/x", "action": "write", "own": f"user:{ANN}"}
    answer = await house("POST", "/api/policy/explain", body={**asked, "domain": told["serverId"]})
    said = answer.json["explanation"]
    assert said["allowed"] is False
    assert any(f"grant:server/{told['serverId']}/" in spoke["rule"] for spoke in said["spoke"])
