"""Accounts by tokens of an operator's issuer: through the door, from the token to what the policy says."""

import asyncio
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import RSAKey
from msgspec.structs import replace as changed_record

from connectors.base import Unasked
from gateway.errors import Forbidden, InsufficientScope, Refusal, Unauthenticated
from gateway.pipeline import Arrival
from gateway.policy.terms import MAIN, Subject
from gateway.proofs.issuers import Accounts, Issuers
from gateway.proofs.proving import Proofs
from gateway.proofs.signers import Signers
from gateway.records import Mode, User
from gateway.settings.terms import IssuerSettings
from tests.builders import NOON, ORIGIN, RING, Door, call
from tests.fakes import FakeConnector, tool
from tests.proofs.signing import KEYS, NOW_S, VAULT, changed, pieces, server, signed, signer

URL = "https://mcp.example.com"
ANN, ADMIN = "ann@example.com", "admin@example.com"
ROWS = """
p, user:ann@example.com, *, self, a/x, write, , allow
p, group:corp/ops, *, self, a/y, write, , allow
p, role:user, main, self, b/x, write, claims.amr == 'mfa', allow
p, user:admin@example.com, *, self, *, write, , allow
p, user:otto@example.com, *, self, a/x, write, , allow
g, user:ann@example.com, role:user, main
"""


@dataclass
class House:
    """A door whose operator trusts ``issuer``; ``made`` are the accounts that tokens made."""

    publishing: object
    egress: object
    settings: IssuerSettings
    made: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        connectors = [FakeConnector("a", [tool("x"), tool("y")]), FakeConnector("b", [tool("x")])]
        accounts = Accounts(lambda: self.door.follower.current.identities, self.enrol)
        issuers = Issuers([self.settings], self.egress, accounts, public_url=URL, clock=lambda: self.door.now)
        signers = Signers(self.egress, VAULT, RING, lambda: self.door.now)
        self.door = Door(ROWS, connectors, proofs=Proofs(signers, issuers))
        for email in (ANN, ADMIN, "otto@example.com"):
            self.door.person(email)

    async def enrol(self, email: str, issuer: str) -> None:
        self.made.append((email, issuer))
        now = self.door.follower.current
        users = [User(id=email, created_at=NOON)]
        self.door.follower.current = replace(now, identities=now.identities.changed(users=users))

    def token(self, **claims) -> str:
        given = {
            "iss": self.settings.issuer, "aud": f"{URL}/mcp", "email": ANN, "email_verified": True, "sub": "7", **claims
        }  # fmt: skip
        return changed(alg="RS256", **given)

    async def came(self, token: str, domain: str = MAIN, **more) -> Subject:
        return await self.door.pipeline.arrive(Arrival(key=token, domain=domain, **more))

    async def refused(self, token: str, domain: str = MAIN, **more) -> Refusal:
        with pytest.raises(Refusal) as caught:
            await self.came(token, domain, **more)
        return caught.value

    async def listed(self, subject: Subject, domain: str = MAIN) -> list[str]:
        asked = call("tools/list", domain=domain)
        result = await self.door.pipeline.handle(asked, subject, ORIGIN, Unasked(self.door.heard.append))
        return [each["name"] for each in result["tools"]]


@pytest.fixture
def house(publishing, egress):
    def built(**more) -> House:
        at = {"issuer": publishing.url, "jwks_url": f"{publishing.url}/keys", "private_hosts": ("127.0.0.0/8",)}
        return House(publishing, egress, IssuerSettings(name="corp", **{**at, **more}))

    return built


async def test_a_token_of_an_issuer_proves_an_account_its_groups_and_its_claims(house):
    home = house()
    subject = await home.came(home.token(groups=["ops"], amr="mfa"))
    assert (subject.name, subject.groups) == (f"user:{ANN}", frozenset({"group:corp/ops"}))
    assert (subject.credential, subject.expires_at) == (f"iss-corp/{ANN}", (NOW_S + 300) * 1000)
    assert await home.listed(subject) == ["a__x", "a__y", "b__x"]
    assert await home.listed(await home.came(home.token(groups=["eve"]))) == ["a__x"]


async def test_metadata_of_the_issuer_says_where_its_keys_are(house, publishing):
    home = house(jwks_url="")
    assert await home.came(home.token())
    assert publishing.asked == [
        "/.well-known/oauth-authorization-server", "/.well-known/openid-configuration", "/keys",
    ]  # fmt: skip
    publishing.said = {"issuer": "https://evil.example.com"}
    assert (await house(jwks_url="").refused(home.token())).status == 503


async def test_a_token_counts_on_the_endpoint_that_it_was_given_for_and_on_no_other(house):
    home = house()
    home.door.offer(server(public=True))
    main = [URL, f"{URL}/", f"{URL}/mcp", f"{URL}/sse", f"{URL}/api", ["x", f"{URL}/mcp"]]
    offered = [f"{URL}/mcp/{server().id}", f"{URL}/sse/{server().id}"]
    for audience in main:
        assert await home.came(home.token(aud=audience))
        assert (await home.refused(home.token(aud=audience), server().id)).status == 401
    for audience in offered:
        assert await home.came(home.token(aud=audience), server().id)
        assert (await home.refused(home.token(aud=audience))).status == 401
    for audience in ("gateway", "http://mcp.example.com/mcp", f"{URL}/mcp/", f"{URL}.evil.example.com/mcp", []):
        assert (await home.refused(home.token(aud=audience))).status == 401


async def test_an_operator_may_say_for_whom_tokens_are_meant(house):
    home = house(audiences=frozenset({"api://gateway"}))
    assert await home.came(home.token(aud="api://gateway"))
    assert (await home.refused(home.token())).status == 401


@pytest.mark.parametrize(
    "claims",
    [
        {"email": ...}, {"email": ""}, {"email": 5}, {"email": "nobody"}, {"email": "a@b@c"}, {"email": [ANN]},
        {"email_verified": ...}, {"email_verified": False}, {"email_verified": "yes"}, {"email_verified": 1.5},
        {"email": "mi\u212ae@example.com"}, {"groups": "ops"},
        {"exp": NOW_S}, {"exp": ...}, {"nbf": NOW_S + 61}, {"cnf": {"x5t#S256": "x"}},
    ],
    ids=str,
)  # fmt: skip
async def test_what_an_issuer_does_not_vouch_for_is_not_believed(house, claims):
    home = house()
    refusal = await home.refused(home.token(**claims))
    assert isinstance(refusal, Unauthenticated)
    assert ANN not in refusal.text


async def test_claims_may_be_called_otherwise(house):
    home = house(email_claim="upn", verified_claim="xms_edov", groups_claim="roles")
    token = home.token(upn=ADMIN, xms_edov=True, roles=["ops"], email="eve@example.com")
    subject = await home.came(token)
    assert (subject.name, subject.groups) == (f"user:{ADMIN}", frozenset({"group:corp/ops"}))


@pytest.mark.parametrize("more", [{"hasgroups": True}, {"_claim_names": {"groups": "src1"}}])
async def test_groups_that_an_issuer_keeps_to_itself_are_unknown(house, more):
    """Then an allow through a group is off, and a deny through one is on."""
    home = house()
    subject = await home.came(home.token(**more))
    assert subject.groups is None
    assert await home.listed(subject) == ["a__x"]
    home.door.apply(ROWS + "p, group:corp/interns, *, *, a/x, *, , deny\n")
    assert await home.listed(subject) == []


async def test_only_the_algorithms_that_the_operator_named_count(house):
    home = house(algorithms=("ES256",))
    assert (await home.refused(home.token())).status == 401
    claims = {"iss": home.settings.issuer, "aud": URL, "email": ANN, "email_verified": True, "exp": NOW_S + 9}
    assert await home.came(signed(claims, alg="ES256"))
    for token in (pieces({"alg": "none"}, claims, b""), signed(claims), signed(claims, alg="EdDSA")):
        assert (await home.refused(token)).status == 401


async def test_who_has_no_account_gets_none_unless_the_operator_says_so(house):
    home = house()
    refusal = await home.refused(home.token(email="new@example.com"))
    assert (type(refusal), refusal.status, home.made) == (Forbidden, 403, [])
    home = house(create_users=True)
    subject = await home.came(home.token(email="New@Example.com"))
    assert home.made == [("new@example.com", "corp")]
    assert await home.listed(subject) == []
    await home.came(home.token(email="new@example.com"))
    assert len(home.made) == 1


async def test_an_account_that_ended_ends_what_a_token_opened(house):
    home = house()
    subject = await home.came(home.token())
    home.door.dismiss(ANN)
    assert not home.door.follower.current.still_valid(subject, NOON)
    assert (await home.refused(home.token())).status == 403


async def test_what_a_token_opened_ends_with_it(house):
    home = house()
    subject = await home.came(home.token())
    assert home.door.follower.current.still_valid(subject, (NOW_S + 300) * 1000 - 1)
    assert not home.door.follower.current.still_valid(subject, (NOW_S + 300) * 1000)
    home.door.now = (NOW_S + 300) * 1000
    with pytest.raises(Refusal):
        await home.listed(subject)


async def test_a_scope_that_is_wanted_and_missing_is_told(house):
    home = house(scopes=("tools:read", "tools:write"))
    lacking = {"scope": "tools:read"}, {"scp": ["tools:write"]}, {"scope": 5}, {"scope": "tools:readtools:write"}
    for claims in ({}, *lacking):
        refusal = await home.refused(home.token(**claims))
        assert isinstance(refusal, InsufficientScope)
        assert refusal.scopes == ("tools:read", "tools:write")
    both = "tools:write tools:read"
    for claims in ({"scope": f"a {both}"}, {"scp": both.split()}, {"scp": both}):
        assert await home.came(home.token(**claims))


async def test_a_known_token_is_not_checked_again_while_its_key_counts(house, publishing):
    home = house()
    token = home.token(exp=NOW_S + 7200)
    first = await home.came(token)
    assert (await home.came(token)).claims is first.claims
    publishing.keys = [KEYS["ES256"]]
    home.door.now += 600_001
    home.door.follower.current = replace(home.door.follower.current, confirmed_at_ms=home.door.now)
    assert (await home.refused(token)).status == 401


async def test_a_signature_of_somebody_else_proves_nobody(house):
    home = house()
    other = RSAKey.generate_key(2048, {"kid": "r1"})
    assert (await home.refused(changed(alg="RS256", key=other, iss=home.settings.issuer, email=ANN))).status == 401
    head, _, signature = home.token().split(".")
    swapped = home.token(email=ADMIN).split(".")[1]
    assert (await home.refused(f"{head}.{swapped}.{signature}")).status == 401


async def test_a_token_of_nobody_known_is_no_more_than_a_wrong_key(house):
    home = house()
    refusal = await home.refused(changed(alg="RS256", iss="https://evil.example.com"))
    assert (refusal.status, refusal.text.startswith("Invalid apiKey")) == (401, True)


# -- whoever owns a server can sign anything


ATTACKS = [
    {"sub": ADMIN}, {"sub": f"user:{ADMIN}"}, {"sub": "../user:admin"}, {"sub": "*"},
    {"sub": "u1", "email": ADMIN, "email_verified": True}, {"sub": "u1", "groups": ["ops", "corp/ops", "../corp/ops"]},
    {"sub": "u1", "groups": ["group:corp/ops"]}, {"sub": "u1", "roles": ["admin"], "amr": "mfa", "scope": "*"},
]  # fmt: skip


@pytest.mark.parametrize("claims", ATTACKS, ids=str)
async def test_the_signer_of_a_server_proves_no_account_no_group_and_no_claim_of_anybody(house, claims):
    home = house()
    home.door.offer(server(signer(), public=True, mode=Mode.DIRECT))
    token = changed(**claims)
    for way in ({"key": token}, {"key": home.door.keys[ANN], "end_user": token}, {"end_user": token}):
        subject = await home.door.pipeline.arrive(Arrival(domain=server().id, **way))
        assert subject.name.startswith(f"end:{server().id}/")
        assert subject.name.count("/") == 1
        assert (subject.claims, all(each.startswith(f"group:{server().id}/") for each in subject.groups)) == ({}, True)
        assert await home.listed(subject, server().id) == ["a__x"]  # what the owner may himself, and no more
        assert await home.listed(subject) == []
    assert (await home.refused(token)).status == 401


async def test_a_signer_who_calls_himself_the_operators_issuer_stands_in_nobodys_way(house, publishing):
    """Its tokens are the operator's to judge, whoever else wrote its name beside his server."""
    home = house()
    mine = changed_record(signer("RS256", url=f"{publishing.url}/keys"), issuer=home.settings.issuer)
    forger = changed_record(signer(id="s2"), issuer=home.settings.issuer)
    home.door.offer(server(mine, forger, public=True))
    forged = changed(iss=home.settings.issuer, email=ADMIN, email_verified=True, aud=f"{URL}/mcp/{server().id}")
    assert (await home.refused(forged, server().id)).status == 401
    assert (await home.refused(home.token(), server().id, end_user=home.token())).status == 401
    assert (await home.came(home.token(aud=f"{URL}/mcp/{server().id}"), server().id)).name == f"user:{ANN}"


@given(sub=st.text(min_size=1, max_size=40), groups=st.lists(st.text(min_size=1, max_size=20), max_size=4))
def test_whatever_a_signer_signs_is_an_end_user_of_his_server_and_groups_of_it(sub, groups):
    try:
        token = changed(sub=sub, groups=groups)
    except UnicodeEncodeError:
        return
    signers = Signers(None, VAULT, RING, lambda: NOON)  # type: ignore[arg-type]  # a shared secret needs no way out
    subject = asyncio.run(signers.prove(server(signer()), token, NOON))
    kind, _, rest = subject.name.partition(":")
    assert (kind, rest.partition("/")[0], rest.count("/")) == ("end", server().id, 1)
    assert all(each.startswith(f"group:{server().id}/") and each.count("/") == 1 for each in subject.groups)
    assert len(subject.groups) == len(set(groups))


def test_nothing_of_a_token_shows():
    token = changed()
    assert token not in repr(Arrival(key=token, end_user=token))
