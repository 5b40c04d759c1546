"""The pure parts of flows: slips, addresses, what is typed, what is found, who may finish."""

from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.base import Secret
from connectors.definition.terms import Input
from gateway.connections import fields
from gateway.connections.binding import binding_for, stranger
from gateway.connections.flows import ENDS, seen
from gateway.connections.found import Found, bytes_of, bytes_of_wait, found_in, wait_in
from gateway.connections.material import Material
from gateway.connections.redirects import address_back, callback_uri, is_registered
from gateway.connections.slips import Slips, Use, flow_of, new_id, new_slip
from gateway.connections.terms import BadInputs, Why
from gateway.errors import InvalidArguments
from gateway.identity import KeyRing
from gateway.records import Flow, Stage
from gateway.settings import Binding
from gateway.vault import Unsealable
from tests.connections.world import ALICE, BACK, BOB, CANARY, KEYED, NOON, RING, World

REGISTERED = ("https://app.example.com/cb", "http://127.0.0.1:3000/cb")
REFUSED = [
    "",
    "https://app.example.com/cb/",
    "https://app.example.com/cb/../evil",
    "https://app.example.com/cb?x=1",
    "https://app.example.com/cb#x",
    "https://app.example.com/CB",
    "https://APP.example.com/cb",
    "HTTPS://app.example.com/cb",
    "http://app.example.com/cb",
    "https://app.example.com:443/cb",
    "https://app.example.com.evil.com/cb",
    "https://app.example.com@evil.com/cb",
    "https://evil.com\\@app.example.com/cb",
    "https://evil.com/cb#https://app.example.com/cb",
    "https://evil.com/?u=https://app.example.com/cb",
    "//app.example.com/cb",
    "/cb",
    "javascript:alert(1)//https://app.example.com/cb",
    "data:text/html,https://app.example.com/cb",
    " https://app.example.com/cb",
    "https://app.example.com/cb\n",
    "https://app.example.com/%63b",
    "https://аpp.example.com/cb",  # a Cyrillic letter
    "http://localhost:3000/cb",
    "http://127.0.0.1:3001/cb",
    "https://app.example.com\t/cb",
]


@pytest.mark.parametrize("back", REFUSED)
async def test_a_browser_is_sent_to_no_address_that_is_not_registered_to_the_letter(back):
    assert not is_registered(back, REGISTERED)
    if back:
        world = World()
        with pytest.raises(InvalidArguments, match="to the letter") as info:
            await world.linking.start(ALICE, "acme", back=back)
        assert back not in info.value.text
        assert await world.store.flows.page() == []


def test_the_registered_addresses_are_taken():
    assert all(is_registered(each, REGISTERED) for each in REGISTERED)


def flow(**changes) -> Flow:
    usual = {"id": "f" * 24, "owner": ALICE, "by": ALICE, "connector": "acme", "binding": "session", "expires_at": NOON}
    return Flow(**{**usual, **changes})


@given(st.sampled_from(Stage), st.booleans(), st.text(max_size=40))
def test_what_is_appended_to_an_address_is_ours_alone_and_leaves_the_rest_as_it_is(stage, query, reason):
    base = BACK + ("?tenant=1" if query else "")
    sent = address_back(flow(stage=stage, reason=reason, label=reason, back=base))
    assert sent.startswith(base)
    parts = urlsplit(sent)
    assert parts.netloc == "app.example.com"
    assert parse_qsl(parts.query)[1 if query else 0 :] == [("flow", "f" * 24), ("status", stage.value)]


@given(*(st.text(min_size=1, max_size=30) for _ in range(4)))
def test_two_pairs_of_tenant_and_connector_never_share_a_callback(one, two, three, four):
    same = (one, two) == (three, four)
    assert (callback_uri("https://g", one, two) == callback_uri("https://g", three, four)) is same


@given(st.text(max_size=80), st.sampled_from(Use), st.sampled_from(Use))
def test_only_the_slip_itself_fits_and_only_for_its_use(other, use, another):
    slips = Slips(RING)
    slip = new_slip(new_id())
    kept = slips.hash(use, slip)
    assert slips.fits(use, slip, kept)
    assert slips.fits(another, slip, kept) is (use is another)
    assert not slips.fits(use, other, kept)
    assert not slips.fits(use, "", "")
    assert not slips.fits(use, slip, "")
    assert not slips.fits(use, "", kept)
    assert slip.split(".")[1] not in kept + repr(slips)


def test_a_slip_still_fits_after_the_operators_secret_was_changed():
    old, new = ("k1", b"a secret of thirty-two bytes or so"), ("k2", b"another secret of thirty-two bytes")
    slip = new_slip(new_id())
    kept = Slips(KeyRing([old])).hash(Use.STATE, slip)
    assert Slips(KeyRing([new, old])).fits(Use.STATE, slip, kept)
    assert not Slips(KeyRing([new])).fits(Use.STATE, slip, kept)


@given(st.text(max_size=100))
def test_any_text_speaks_of_a_flow_or_of_none(text):
    assert flow_of(text) in ("", text.partition(".")[0])


def test_a_slip_names_its_flow():
    id = new_id()
    assert flow_of(new_slip(id)) == id
    assert flow_of(id) == flow_of(f"{id}.short") == flow_of(f" {new_slip(id)}") == ""


@given(st.sampled_from(Stage), st.integers(-5, 5))
def test_a_flow_is_seen_as_expired_from_its_last_moment_on_unless_it_has_ended(stage, after):
    found = seen(flow(stage=stage), NOON + after)
    assert found.stage is (Stage.EXPIRED if after >= 0 and stage not in ENDS else stage)


TEXTS = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=20)


@given(
    secrets=st.dictionaries(TEXTS, TEXTS, max_size=3),
    plain=st.dictionaries(TEXTS, TEXTS, max_size=3),
    account=TEXTS,
    scopes=st.lists(TEXTS, max_size=3),
    expires=st.none() | st.integers(0, 2**53),
)
def test_what_was_found_comes_back_as_it_was(secrets, plain, account, scopes, expires):
    material = Material({name: Secret(text) for name, text in secrets.items()}, plain)
    found = Found(material, account, account[::-1], tuple(scopes), plain, expires)
    back = found_in(bytes_of(found))
    assert {name: secret.reveal() for name, secret in back.material.secrets.items()} == secrets
    assert (back.material.plain, back.account, back.label) == (plain, account, account[::-1])
    assert (back.scopes, back.inputs, back.expires_at) == (tuple(scopes), plain, expires)


@given(st.none() | TEXTS, st.dictionaries(TEXTS, TEXTS, max_size=3), TEXTS)
def test_the_verifier_typed_secrets_and_the_issuer_come_back_as_they_were(verifier, secrets, issuer):
    packed = bytes_of_wait(
        None if verifier is None else Secret(verifier), {name: Secret(text) for name, text in secrets.items()}, issuer
    )
    proof, back, told = wait_in(packed)
    assert told == issuer
    assert (None if proof is None else proof.reveal()) == verifier
    assert {name: secret.reveal() for name, secret in back.items()} == secrets


@given(st.binary(max_size=60))
def test_bytes_that_we_never_made_are_refused(raw):
    for read in (found_in, wait_in):
        try:
            read(raw)
        except Unsealable:
            continue


def test_what_was_found_prints_no_secret():
    found = Found(Material({"access_token": Secret(CANARY)}), inputs={"a": CANARY})
    assert CANARY not in repr(found)


@given(st.dictionaries(st.sampled_from(["api_key", "site", "note", "region", "x"]), st.text(max_size=2100)))
def test_what_is_typed_is_taken_only_where_it_fits(given_):
    asked = {each.name: each for each in fields.asked_for(KEYED)}
    bad = None
    try:
        typed = fields.typed(KEYED, given_)
    except BadInputs as refusal:
        bad = refusal
    if bad is not None:
        assert bad.fields
        assert all(len(value) < 20 or value not in bad.text for value in given_.values())
        return
    assert set(given_) <= set(asked)
    assert set(typed.secrets) == {"api_key"}
    assert typed.plain["site"] == given_["site"].strip()
    assert "api_key" not in typed.plain


def test_a_default_stands_for_what_is_not_typed_and_a_secret_without_a_form_is_any_line():
    inputs = (Input("host", "Host", "^[a-z.]+$", default="api.example"), Input("key", "Key", "", secret=True))
    platform = type(KEYED)(
        "x", type(KEYED.definition)("x", "X", KEYED.definition.auth, KEYED.definition.api, inputs=inputs)
    )
    typed = fields.typed(platform, {"key": "any thing"})
    assert (typed.plain, typed.secrets["key"].reveal()) == ({"host": "api.example"}, "any thing")
    with pytest.raises(BadInputs, match="cannot be typed"):
        fields.typed(platform, {"key": "two\nlines"})


@pytest.mark.parametrize(
    ("help", "said"),
    [
        ("What stands before .acme.com", "does not have the form that is expected here: What stands before .acme.com"),
        ("", "does not have the form that is expected here; look for a typing error"),
    ],
)
def test_what_is_typed_wrongly_is_told_in_words_and_not_as_a_pattern(help, said):
    site = Input("site", "Site", "^[a-z]{1,20}$", help=help)
    platform = type(KEYED)(
        "x", type(KEYED.definition)("x", "X", KEYED.definition.auth, KEYED.definition.api, inputs=(site,))
    )
    with pytest.raises(BadInputs) as info:
        fields.typed(platform, {"site": "Not so!"})
    assert info.value.fields == {"site": said}


OWNERS = st.sampled_from([ALICE, BOB, "end:s1/u", "end:s1/v", "server:s1", "system", "", "*"])


@given(OWNERS, OWNERS, st.sampled_from(Binding))
def test_nobody_begins_a_flow_that_he_could_not_be_proven_to_finish(owner, by, usual):
    binding = binding_for(owner, by, usual)
    if binding is not None:
        assert owner in (by, "system")
        assert by.startswith(("user:", "end:"))
        assert binding is (usual if by.startswith("user:") else Binding.CONFIRM)
        assert owner == by or by.startswith("user:")


@given(st.sampled_from(["session", "confirm", "same_browser", "", "none"]), OWNERS, st.booleans())
def test_only_the_person_of_a_flow_passes_and_an_unknown_binding_lets_nobody_pass(binding, signed_in, several):
    why = stranger(flow(binding=binding), signed_in=signed_in, several_users=several)
    if why is None:
        assert (
            binding == "confirm"
            or (binding == "session" and signed_in == ALICE)
            or (binding == "same_browser" and not several)
        )
    elif binding == "session":
        assert why is (Why.OTHER_PERSON if signed_in else Why.SIGN_IN)
