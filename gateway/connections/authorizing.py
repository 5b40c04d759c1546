"""To the platform and back: the address the browser is sent to, and what its answer is worth.

The legs of OAuth and the question whose account it is; both end in ``Found`` or in a reason. This file keeps nothing
but the flow's own step.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import urlsplit

from connectors.definition.platform import Platform
from connectors.oauth import flow as oauth
from connectors.oauth.terms import Failure, OAuthFailed
from gateway.connections.fields import Typed
from gateway.connections.flows import STEP_MS, Flows
from gateway.connections.found import Found, bytes_of_wait, of_answer, wait_in
from gateway.connections.material import context_of_flow, inputs_of
from gateway.connections.means import Means
from gateway.connections.slips import Use, new_slip
from gateway.connections.terms import FlowRefused, Why
from gateway.errors import NotConnected, Refusal, Unknown, UpstreamFailed
from gateway.records import Flow, Stage
from gateway.vault import Unsealable

_WHY: Final[Mapping[Failure, Why]] = {
    Failure.ACCESS_DENIED: Why.ACCESS_DENIED,
    Failure.INVALID_GRANT: Why.PROVIDER_ERROR,
    Failure.INVALID_CLIENT: Why.INVALID_CLIENT,
    Failure.INVALID_SCOPE: Why.INVALID_SCOPE,
    Failure.PROVIDER_ERROR: Why.PROVIDER_ERROR,
    Failure.UNAVAILABLE: Why.UNAVAILABLE,
    Failure.BAD_ANSWER: Why.PROVIDER_ERROR,
    Failure.WRONG_ISSUER: Why.WRONG_ISSUER,
    Failure.BAD_CALLBACK: Why.BAD_CALLBACK,
    Failure.MISCONFIGURED: Why.INVALID_CLIENT,
}

log = logging.getLogger(__name__)


class Authorizing:
    """The part of a flow that the platform has in it."""

    def __init__(self, means: Means, flows: Flows) -> None:
        self._means, self._flows = means, flows

    async def sent(self, flow: Flow, platform: Platform, typed: Typed, browser: str) -> str:
        """Where the browser goes, with a state and a PKCE verifier made for this; uses the link up. Raises
        ``FlowRefused``.
        """
        means, state = self._means, new_slip(flow.id)
        client, inputs = means.client(platform, flow.tenant), inputs_of(platform, typed.plain)
        try:
            begun = oauth.begin(platform, client, state=state, inputs=inputs, scopes=flow.scopes)
        except OAuthFailed as failure:
            raise FlowRefused(_WHY[failure.kind], detail=failure.detail) from None
        waiting = bytes_of_wait(begun.verifier, typed.secrets, _issuer(platform))
        await self._flows.moved(
            flow,
            stage=Stage.AUTHORIZING,
            link="",
            state=means.slips.hash(Use.STATE, state),
            browser=means.slips.hash(Use.BROWSER, browser),
            inputs=typed.plain,
            sealed=means.vault.seal(waiting, context_of_flow(flow)),
            expires_at=means.clock() + STEP_MS,
        )
        return begun.url

    async def returned(self, flow: Flow, query: Sequence[tuple[str, str]]) -> Found | Why | tuple[Found, Why]:
        """What the browser brought back is worth: an account; a reason why nothing; or tokens that cannot be used, and
        the reason for that.
        """
        try:
            platform = await self._means.platform_of(flow.connector)
            found = await self._exchanged(flow, platform, query)
        except OAuthFailed as failure:
            return _told(flow, _WHY[failure.kind], failure.detail)
        except (Unknown, UpstreamFailed) as refusal:
            return _told(flow, Why.UNAVAILABLE, refusal.detail)
        except Unsealable as unsealable:
            return _told(flow, Why.LOST, str(unsealable))
        try:
            return await self.named(platform, found)
        except FlowRefused as refused:
            return found, _told(flow, refused.why, refused.detail)

    async def named(self, platform: Platform, found: Found) -> Found:
        """``found`` with whose account it is. Raises ``FlowRefused`` where the platform does not accept it."""
        try:
            account = await self._means.whose(platform, found.credential(platform))
        except NotConnected as refusal:
            raise FlowRefused(Why.KEY_REFUSED, detail=_detail(refusal)) from None
        except UpstreamFailed as refusal:
            raise FlowRefused(Why.UNAVAILABLE, detail=_detail(refusal)) from None
        return found.of(account.id, account.label or _somebody(platform))

    async def _exchanged(self, flow: Flow, platform: Platform, query: Sequence[tuple[str, str]]) -> Found:
        means = self._means
        client, inputs = means.client(platform, flow.tenant), inputs_of(platform, flow.inputs)
        verifier, secrets, issuer = wait_in(means.vault.open(flow.sealed, context_of_flow(flow)))
        if issuer != _issuer(platform):  # what it sent us is for nobody but who was asked
            why = "the platform lets people in elsewhere by now"
            raise OAuthFailed(Failure.WRONG_ISSUER, why, detail=why)
        code = oauth.returned(platform, query, inputs=inputs)
        tokens = await means.legs.exchange(platform, client, code, verifier, inputs)
        return of_answer(tokens, platform, flow, secrets)


def _issuer(platform: Platform) -> str:
    """Who lets people in there, ``""`` where nobody is named."""
    oauth = platform.definition.auth.oauth
    return "" if oauth is None else oauth.issuer


def _somebody(platform: Platform) -> str:
    """What people read of an account where the platform does not say whose it is: who gave access to it."""
    oauth = platform.definition.auth.oauth
    host = urlsplit(oauth.issuer).hostname if oauth is not None else None
    return f"account at {host}" if host and "{" not in host else ""


def _told(flow: Flow, why: Why, detail: str) -> Why:
    """The reason, which the log has with the flow's id: what the page shows as its reference."""
    log.warning("flow %s to `%s`: %s: %r", flow.id, flow.connector, why.value, detail)
    return why


def _detail(refusal: Refusal) -> str:
    return refusal.detail or refusal.text
