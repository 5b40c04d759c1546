"""Which era and version a conversation begins in, and what proves it."""

import pytest

from connectors.conversation import Terms
from connectors.handshake import ProbeKilled, shake_hands
from connectors.transport import HttpAnswer, TransportLost
from gateway.errors import UpstreamFailed
from gateway.mcp.terms import Era, Response
from tests.connectors.scripted import Scripted, error, talking

DISCOVERED = {"supportedVersions": ["2099-01-01", "2026-07-28"], "capabilities": {"tools": {}}, "instructions": "i"}
INITIALIZED = {"protocolVersion": "2025-06-18", "capabilities": {"prompts": {}}, "instructions": "j"}
MODERN = Terms(Era.MODERN, "2026-07-28", {"tools": {}}, "i")
LEGACY = Terms(Era.LEGACY, "2025-06-18", {"prompts": {}}, "j")
UNSUPPORTED = error(-32022, data={"supported": ["2026-07-28"], "requested": "2025-11-25"})
INITIALIZED_TOO = {"initialize": INITIALIZED, "notifications/initialized": {}}


async def shake(answers, *, http=False, known=None, pinned=False, **given):
    transport = Scripted(answers, http=http)
    talk = await talking(transport, None, **given)
    terms = await shake_hands(talk, known=known, pinned=pinned, probe=0.05, patience=0.2)
    assert talk.terms is terms
    return terms, [getattr(message, "method", "") for message in transport.sent], transport


@pytest.mark.parametrize("http", [False, True])
async def test_a_server_that_answers_discover_is_modern(http):
    terms, sent, transport = await shake({"server/discover": DISCOVERED}, http=http)
    assert (terms, sent) == (MODERN, ["server/discover"])
    assert transport.how[0] == {"version": "2026-07-28", "modern": True, "name": ""}


@pytest.mark.parametrize(
    "answer",
    [
        error(-32601),
        error(-32602, "invalid request parameters"),
        error(0),
        error(-32022, data={"supported": ["2025-11-25"]}),
        error(-32022, data={"supported": "2026-07-28"}),
        {},
        {"supportedVersions": ["2025-11-25"]},
        {"supportedVersions": "2026-07-28"},
        Response(0, result="modern"),
    ],
)
@pytest.mark.parametrize("http", [False, True])
async def test_any_other_answer_to_discover_means_legacy(answer, http):
    terms, sent, transport = await shake({"server/discover": answer, **INITIALIZED_TOO}, http=http)
    assert (terms, sent) == (LEGACY, ["server/discover", "initialize", "notifications/initialized"])
    assert [how["version"] for how in transport.how] == ["2026-07-28", None, "2025-06-18"]
    assert transport.sent[1].params["capabilities"] == {}


@pytest.mark.parametrize("http", [False, True])
async def test_a_server_that_refuses_a_version_it_serves_is_asked_once_more(http):
    refused = HttpAnswer(400, UNSUPPORTED) if http else UNSUPPORTED
    answers = iter([refused, DISCOVERED])
    terms, sent, _ = await shake({"server/discover": lambda _: next(answers)}, http=http)
    assert (terms, sent) == (MODERN, ["server/discover"] * 2)


async def test_a_server_that_goes_on_refusing_what_it_serves_is_given_up():
    with pytest.raises(UpstreamFailed, match="serves no protocol version"):
        await shake({"server/discover": UNSUPPORTED})


@pytest.mark.parametrize("status", [400, 404, 405, 406, 415, 500, 501])
@pytest.mark.parametrize("message", [None, error(-32600, "unsupported protocol version")])
async def test_an_http_refusal_of_discover_means_legacy(status, message):
    terms, _, _ = await shake({"server/discover": HttpAnswer(status, message), **INITIALIZED_TOO}, http=True)
    assert terms == LEGACY


@pytest.mark.parametrize("status", [401, 403, 429, 502, 503, 504])
async def test_a_refused_credential_or_an_outage_proves_no_era(status):
    with pytest.raises(UpstreamFailed, match=f"HTTP {status}"):
        await shake({"server/discover": HttpAnswer(status), **INITIALIZED_TOO}, http=True)


async def test_a_modern_server_without_a_version_of_ours_is_said_to_be_one():
    with pytest.raises(UpstreamFailed, match="no protocol version"):
        await shake({"server/discover": HttpAnswer(400, error(-32022, data={"supported": ["2031-01-01"]}))}, http=True)


async def test_silence_behind_a_pipe_means_legacy():
    terms, sent, _ = await shake(INITIALIZED_TOO)
    assert terms == LEGACY
    assert sent[0] == "server/discover"


async def test_silence_over_http_proves_nothing():
    with pytest.raises(UpstreamFailed, match="did not answer"):
        await shake(INITIALIZED_TOO, http=True)


@pytest.mark.parametrize("refusal", [UNSUPPORTED, error(-32601)])
async def test_a_modern_server_that_only_woke_up_late_is_asked_again(refusal):
    questions = []

    def late(request):
        questions.append(request)
        return TimeoutError() if len(questions) == 1 else DISCOVERED

    terms, sent, _ = await shake({"server/discover": late, "initialize": refusal})
    assert (terms, sent) == (MODERN, ["server/discover", "initialize", "server/discover"])


async def test_a_proven_modern_server_that_is_slow_stays_modern():
    for http in (False, True):
        with pytest.raises(UpstreamFailed, match="did not answer"):
            await shake(INITIALIZED_TOO, http=http, known=Era.MODERN)


async def test_a_proven_era_is_given_up_for_proof_of_the_other():
    assert (await shake({"server/discover": error(-32601), **INITIALIZED_TOO}, known=Era.MODERN))[0] == LEGACY


@pytest.mark.parametrize("code", [-32022, -32020, -32601, -32602, -32600])
async def test_a_legacy_server_that_became_modern_is_found_out_by_its_refusal(code):
    refusal = HttpAnswer(400, error(code))
    answers = {"initialize": refusal, "server/discover": DISCOVERED}
    terms, sent, _ = await shake(answers, http=True, known=Era.LEGACY)
    assert (terms, sent) == (MODERN, ["initialize", "server/discover"])
    with pytest.raises(UpstreamFailed, match="refused the handshake"):
        await shake({"initialize": refusal, "server/discover": refusal}, http=True, known=Era.LEGACY)


async def test_a_proven_legacy_server_is_not_probed():
    _, sent, _ = await shake(INITIALIZED_TOO, known=Era.LEGACY)
    assert sent == ["initialize", "notifications/initialized"]


@pytest.mark.parametrize("declares", [{}, {"roots": {}, "elicitation": {"url": {}}}])
async def test_a_legacy_server_learns_what_callers_can_be_asked_for_and_a_modern_one_does_not_yet(declares):
    _, _, transport = await shake(INITIALIZED_TOO, known=Era.LEGACY, declares=declares)
    assert transport.sent[0].params["capabilities"] == declares
    _, _, transport = await shake({"server/discover": DISCOVERED}, declares=declares)
    assert transport.sent[0].params["_meta"]["io.modelcontextprotocol/clientCapabilities"] == {}


async def test_a_pinned_era_is_never_given_up():
    with pytest.raises(UpstreamFailed, match="modern era: it answered as a legacy server"):
        await shake({"server/discover": error(-32601), **INITIALIZED_TOO}, known=Era.MODERN, pinned=True)
    with pytest.raises(UpstreamFailed, match="refused the handshake"):
        await shake({"initialize": UNSUPPORTED, "server/discover": DISCOVERED}, known=Era.LEGACY, pinned=True)


async def test_a_child_that_dies_of_the_first_question_is_told_apart():
    died = {"server/discover": TransportLost("ended", sent=True)}
    with pytest.raises(ProbeKilled):
        await shake(died)
    for given in ({"known": Era.MODERN}, {"http": True}):
        with pytest.raises(UpstreamFailed) as caught:
            await shake(died, **given)
        assert not isinstance(caught.value, ProbeKilled)


@pytest.mark.parametrize("version", ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"])
async def test_every_legacy_version_is_spoken(version):
    answers = {"initialize": {"protocolVersion": version}, "notifications/initialized": {}}
    assert (await shake(answers, known=Era.LEGACY))[0] == Terms(Era.LEGACY, version, {}, "")


@pytest.mark.parametrize("version", ["2026-07-28", "1.0", "", None, 5, ["2025-11-25"]])
async def test_an_unknown_version_ends_the_handshake(version):
    with pytest.raises(UpstreamFailed, match="protocol version"):
        await shake({"initialize": {"protocolVersion": version}}, known=Era.LEGACY)


@pytest.mark.parametrize("value", [None, "x", ["tools"], 5])
async def test_capabilities_and_instructions_of_a_wrong_form_are_none(value):
    odd = {"protocolVersion": "2025-06-18", "capabilities": value, "instructions": {"x": value}}
    terms, _, _ = await shake({"initialize": odd, "notifications/initialized": {}}, known=Era.LEGACY)
    assert (terms.capabilities, terms.instructions) == ({}, "")


@pytest.mark.parametrize("answer", [HttpAnswer(500), HttpAnswer(503, error(1)), TransportLost("gone", sent=False)])
async def test_a_failing_handshake_is_a_typed_error_without_details(answer):
    with pytest.raises(UpstreamFailed) as caught:
        await shake({"initialize": answer}, known=Era.LEGACY)
    assert "gone" not in caught.value.text


async def test_a_server_that_breaks_off_after_the_handshake_is_a_typed_error():
    answers = {"initialize": INITIALIZED, "notifications/initialized": TransportLost("gone", sent=True)}
    with pytest.raises(UpstreamFailed, match="broke off the handshake"):
        await shake(answers, known=Era.LEGACY)
