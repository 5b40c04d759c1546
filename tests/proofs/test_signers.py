"""End users of servers: what a signer of a server proves, and what nobody proves."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import OctKey, RSAKey
from msgspec.structs import replace

from connectors.egress import Egress
from connectors.oauth.key_sets import AGAIN_MS, FRESH_MS, KEPT_MS
from connectors.oauth.signed import MOST_BYTES, NotProven
from gateway.errors import Unavailable
from gateway.policy.terms import Subject
from gateway.proofs.issued import issue
from gateway.proofs.signers import DAY_MS, Signers
from gateway.servers.rows import end_user
from tests.builders import NOON, RING
from tests.connectors.raw_http import LOCAL, TLS
from tests.proofs.signing import (
    CLAIMS,
    ID,
    KEYS,
    NOW_S,
    RSA,
    SECRET,
    VAULT,
    changed,
    macked,
    pieces,
    server,
    signed,
    signer,
)

DESK = server(signer())


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> int:
        return self.now


def signers(egress: Egress | None = None, clock: Clock | None = None) -> Signers:
    return Signers(egress or Egress(tls=TLS), VAULT, RING, clock or Clock(), allow=LOCAL)


async def refused(token: str, at=DESK, *, now: int = NOON) -> str:
    with pytest.raises(NotProven) as no:
        await signers().prove(at, token, now)
    for part in token.split("."):
        assert len(part) < 8 or part not in str(no.value)
    return str(no.value)


async def test_a_token_of_a_shared_secret_proves_an_end_user_and_his_groups_there():
    told = changed(sub="u/1", groups=["ops", "a/b"])
    found = await signers().prove(DESK, told, NOON)
    assert found == Subject(
        f"end:{ID}/u%2F1",
        groups=frozenset({f"group:{ID}/ops", f"group:{ID}/a%2Fb"}),
        credential=f"sig-{ID}/s1",
        expires_at=(NOW_S + 300) * 1000,
    )


@pytest.mark.parametrize("alg", ["RS256", "PS256", "ES256", "EdDSA"])
async def test_published_keys_prove_by_the_algorithm_that_was_agreed_and_by_no_other(alg, publishing, egress):
    at = server(signer(alg, url=f"{publishing.url}/keys"))
    prover = signers(egress)
    assert (await prover.prove(at, signed(alg=alg), NOON)).name == end_user(ID, "u1")
    for other in {"RS256", "PS256", "ES256", "EdDSA", "HS256"} - {alg}:
        with pytest.raises(NotProven):
            await prover.prove(at, signed(alg=other), NOON)


async def test_ed25519_counts_under_its_newer_name_too(publishing, egress):
    at = server(signer("EdDSA", url=f"{publishing.url}/keys"))
    assert await signers(egress).prove(at, signed(alg="Ed25519", key=KEYS["EdDSA"]), NOON)


async def test_what_nobody_signed_proves_nobody():
    for alg in ("none", "None", "", None, 5, ["HS256"]):
        await refused(pieces({"alg": alg, "typ": "JWT"}, CLAIMS, b""))
        await refused(macked({"alg": alg, "typ": "JWT"}, CLAIMS, SECRET))
    await refused(pieces({"typ": "JWT"}, CLAIMS, b""))
    await refused(signed().rpartition(".")[0] + ".")


async def test_a_public_key_is_never_a_shared_secret(publishing, egress):
    at, prover = server(signer("RS256", url=f"{publishing.url}/keys")), signers(egress)
    for text in (RSA.as_pem(private=False), RSA.as_pem(private=False).strip(), b"RS256"):
        for alg in ("HS256", "RS256"):
            with pytest.raises(NotProven):
                await prover.prove(at, macked({"alg": alg, "kid": "r1"}, CLAIMS, text), NOON)


async def test_a_key_that_the_token_brings_itself_counts_for_nothing(publishing, egress):
    own = RSAKey.generate_key(2048, {"kid": "r1"})
    at, prover = server(signer("RS256", url=f"{publishing.url}/keys")), signers(egress)
    brought = ({"jwk": own.as_dict(private=False)}, {"jku": "http://127.0.0.1:9/keys"}, {"x5u": "http://127.0.0.1:9/"})
    for header in ({}, *brought):
        with pytest.raises(NotProven):
            await prover.prove(at, signed(alg="RS256", key=own, **header), NOON)
    assert publishing.asked == ["/keys"]


@pytest.mark.parametrize(
    "header", [{"crit": ["exp"]}, {"crit": []}, {"b64": True}, {"typ": "logout+jwt"}, {"typ": "dpop+jwt"}, {"typ": 5}]
)
async def test_a_header_that_makes_it_something_else_is_refused(header):
    await refused(macked({"alg": "HS256", "typ": "JWT", **header}, CLAIMS, SECRET))


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://evil.example.com"}, {"iss": ...}, {"iss": 5}, {"iss": [CLAIMS["iss"]]},
        {"aud": "other-a1b2c3d4"}, {"aud": ...}, {"aud": []}, {"aud": [5]}, {"aud": None}, {"aud": f"{ID}x"},
        {"aud": {ID: 1}}, {"aud": "https://mcp.example.com"},
        {"exp": ...}, {"exp": NOW_S}, {"exp": NOW_S - 1}, {"exp": "soon"}, {"exp": True}, {"exp": None},
        {"exp": NOW_S + DAY_MS // 1000 + 61}, {"exp": 10**30}, {"exp": 1e306}, {"exp": 10**400},
        {"exp": -1e308}, {"iat": -1e308}, {"nbf": 1e306},
        {"nbf": NOW_S + 61}, {"nbf": "x"}, {"iat": NOW_S + 61}, {"iat": None},
        {"sub": ...}, {"sub": ""}, {"sub": 5}, {"sub": "x" * 10_001}, {"sub": None},
        {"groups": "ops"}, {"groups": [5]}, {"groups": [""]}, {"groups": {"ops": 1}}, {"groups": ["x" * 257]},
        {"groups": [str(each) for each in range(1001)]}, {"cnf": {"jkt": "x"}},
    ],
    ids=str,
)  # fmt: skip
async def test_claims_that_do_not_fit_prove_nobody(claims):
    await refused(changed(**claims))


async def test_claims_at_the_edge_of_what_fits_prove():
    prover = signers()
    for claims in (
        {"aud": ["x", ID]}, {"exp": NOW_S + 1}, {"exp": NOW_S + DAY_MS // 1000 + 60}, {"exp": NOW_S + 0.5},
        {"nbf": NOW_S + 60}, {"iat": ...}, {"sub": "x" * 10_000}, {"groups": []}, {"groups": ["x" * 256]},
    ):  # fmt: skip
        assert await prover.prove(DESK, changed(**claims), NOON)


async def test_a_token_that_is_no_token_proves_nobody():
    for text in ("", ".", "..", "eyJ", "a.b.c", "é.é.é", signed() + "x" * MOST_BYTES, signed(b"5"), signed(b"[]")):
        await refused(text)


@given(st.text(max_size=60))
async def test_any_text_proves_nobody(text):
    with pytest.raises(NotProven):
        await signers().prove(DESK, text, NOON)


async def test_an_oversized_token_is_not_even_read():
    assert await refused(changed(more="x" * MOST_BYTES)) == "the token cannot be read"


async def test_another_secret_or_another_servers_secret_proves_nobody():
    await refused(signed(key=OctKey.import_key(SECRET[::-1])))
    elsewhere = server(replace(DESK.signers[0]), id="else-a1b2c3d4")
    with pytest.raises(Unavailable):  # what was sealed for one server opens for no other
        await signers().prove(elsewhere, changed(aud="else-a1b2c3d4"), NOON)


async def test_a_secret_that_is_too_short_serves_nobody():
    with pytest.raises(Unavailable) as no:
        await signers().prove(server(signer(secret=SECRET[:31])), signed(), NOON)
    assert "secret" in no.value.text
    assert SECRET[:31].decode() not in str(no.value)


async def test_a_signer_that_does_not_fit_together_serves_nobody():
    sealed = signer()
    for wrong in (
        replace(sealed, algorithm="RS256"), replace(sealed, algorithm="none"), replace(sealed, sealed=b""),
        replace(sealed, jwks_url="https://keys.example.com"), replace(sealed, algorithm="HS512"),
    ):  # fmt: skip
        await refused(signed(), server(wrong))


async def test_a_proof_is_remembered_until_it_ends_or_what_it_rests_on_changes():
    prover, token = signers(), signed()
    first = await prover.prove(DESK, token, NOON)
    assert await prover.prove(DESK, token, NOON + 299_999) is first
    with pytest.raises(NotProven):
        await prover.prove(DESK, token, NOON + 300_000)
    first = await prover.prove(DESK, token, NOON)
    with pytest.raises(NotProven):
        await prover.prove(server(), token, NOON)
    turned = server(signer(id="s2", secret=SECRET[::-1]))
    with pytest.raises(NotProven):
        await prover.prove(turned, token, NOON)
    assert await prover.prove(DESK, token, NOON) == first


async def test_two_signers_of_one_issuer_serve_while_a_key_is_changed():
    both = server(signer(id="old", secret=SECRET[::-1]), signer(id="new"))
    prover = signers()
    assert (await prover.prove(both, signed(), NOON)).credential == f"sig-{ID}/new"
    old = signed(key=OctKey.import_key(SECRET[::-1]))
    assert (await prover.prove(both, old, NOON)).credential == f"sig-{ID}/old"


async def test_a_new_key_is_found_at_once_and_then_once_a_minute_at_most(publishing, egress):
    clock, at = Clock(), server(signer("RS256", url=f"{publishing.url}/keys"))
    prover = signers(egress, clock)
    await prover.prove(at, signed(alg="RS256"), NOON)
    other = RSAKey.generate_key(2048, {"kid": "r2"})
    for _ in range(5):
        with pytest.raises(NotProven):
            await prover.prove(at, signed(alg="RS256", key=other), NOON)
    assert len(publishing.asked) == 1  # keys were fetched a moment ago
    clock.now += AGAIN_MS + 1
    for _ in range(5):
        with pytest.raises(NotProven):
            await prover.prove(at, signed(alg="RS256", key=other), NOON)
    assert len(publishing.asked) == 2
    publishing.keys = [other]
    clock.now += AGAIN_MS + 1
    assert await prover.prove(at, signed(alg="RS256", key=other), NOON)
    assert len(publishing.asked) == 3


async def test_a_key_that_was_taken_back_proves_nobody_not_even_who_was_known(publishing, egress):
    clock, at = Clock(), server(signer("RS256", url=f"{publishing.url}/keys"))
    prover, token = signers(egress, clock), changed(alg="RS256", exp=NOW_S + 7200)
    await prover.prove(at, token, NOON)
    publishing.keys = [KEYS["ES256"]]
    clock.now += FRESH_MS + 1
    with pytest.raises(NotProven):
        await prover.prove(at, token, clock.now)


async def test_keys_that_cannot_be_fetched_serve_an_hour_and_then_nobody(publishing, egress):
    clock, at = Clock(), server(signer("RS256", url=f"{publishing.url}/keys"))
    prover, token = signers(egress, clock), changed(alg="RS256", exp=NOW_S + 7200)
    await prover.prove(at, token, NOON)
    publishing.status = "503 Service Unavailable"
    clock.now = NOON + KEPT_MS
    assert await prover.prove(at, token, clock.now)
    clock.now += 1
    for _ in range(3):
        with pytest.raises(Unavailable):
            await prover.prove(at, token, clock.now)
    assert len(publishing.asked) == 2  # and nobody asks again for a minute
    publishing.status = "200 OK"
    clock.now += AGAIN_MS + 1
    assert await prover.prove(at, token, clock.now)


async def test_who_leaves_while_keys_are_fetched_keeps_nobody_else_from_them(publishing, egress):
    """Otherwise one client that hangs up would close a server to everybody for a minute."""
    at, prover = server(signer("RS256", url=f"{publishing.url}/keys")), signers(egress)
    first = asyncio.create_task(prover.prove(at, signed(alg="RS256"), NOON))
    await asyncio.sleep(0)
    first.cancel()
    others = [prover.prove(at, signed(alg="RS256"), NOON) for _ in range(5)]
    assert len(await asyncio.gather(*others)) == 5
    assert publishing.asked == ["/keys"]


async def test_keys_are_fetched_from_no_private_address(publishing, egress):
    at = server(signer("RS256", url=f"{publishing.url}/keys"))
    guarded = Signers(egress, VAULT, RING, Clock())
    with pytest.raises(Unavailable):
        await guarded.prove(at, signed(alg="RS256"), NOON)
    assert publishing.asked == []


async def test_who_names_many_places_of_keys_drives_out_none_that_others_need(publishing, egress):
    at = server(signer("RS256", url=f"{publishing.url}/keys"))
    prover = Signers(egress, VAULT, RING, Clock(), allow=LOCAL, most_sets=4)
    assert await prover.prove(at, signed(alg="RS256"), NOON)
    for number in range(6):
        many = server(signer("RS256", url=f"{publishing.url}/many/{number}"), owner="user:eve@example.com")
        with pytest.raises(Unavailable):
            await prover.prove(many, signed(alg="RS256"), NOON)
    asked = len(publishing.asked)
    assert await prover.prove(at, changed(alg="RS256", jti="2"), NOON)
    assert len(publishing.asked) == asked


async def test_a_token_of_the_gateway_counts_on_the_servers_of_its_tenant_alone():
    prover = signers()
    token = issue(RING, tenant=DESK.owner, servers=[ID, "x-a1b2c3d4"], name="u1", now=NOON, groups=["g"]).token.reveal()
    found = await prover.prove(DESK, token, NOON)
    assert (found.name, found.groups) == (end_user(ID, "u1"), frozenset({f"group:{ID}/g"}))
    assert (found.credential, found.expires_at) == (f"sig-{ID}/ostiary", NOON + 3_600_000)
    await refused(token, server(owner="user:eve@example.com"))
    await refused(token, server(id="other-a1b2c3d4"))
    await refused(token, now=NOON + 3_600_000)


async def test_a_signer_cannot_call_itself_the_gateway():
    forged = replace(signer(), issuer="ostiary")
    await refused(changed(iss="ostiary", tenant=DESK.owner), server(forged))


def test_what_cannot_be_issued_is_not():
    whole = {"tenant": DESK.owner, "servers": [ID], "name": "u1", "now": NOON}
    for wrong in (
        {"lasts_ms": 0}, {"lasts_ms": 3_600_001}, {"servers": []}, {"servers": ["x"] * 101}, {"name": ""},
        {"name": "x" * 10_001}, {"name": "ü" * 10_000, "groups": ["x" * 256] * 40},
    ):  # fmt: skip
        with pytest.raises(ValueError):
            issue(RING, **{**whole, **wrong})
    made = issue(RING, **whole)
    assert made.token.reveal() not in repr(made)
