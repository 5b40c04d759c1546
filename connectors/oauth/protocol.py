"""The library that speaks OAuth, on our way out, and deciding nothing: what comes back is read elsewhere.

Left to itself the library takes any JSON object for a token, forgets what it does not know, and sends through an HTTP
stack of its own. Here each exchange is a client without memory, over one transport that ends in ``Egress``; every way
in which it may fail becomes ``OAuthFailed``.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

import httpx2
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.httpx_client import AsyncOAuth2Client, OAuth2ClientAuth

from connectors.addresses import Exceptions
from connectors.definition.platform import Platform
from connectors.definition.terms import ClientAuth, Coding, OAuth
from connectors.egress import Egress, EgressError, Fault, Limits
from connectors.oauth.answer import Reply
from connectors.oauth.failures import failed
from connectors.oauth.places import misconfigured, oauth_of
from connectors.oauth.proving import Pairs, body_of, proven
from connectors.oauth.terms import Client, Failure

_LIMITS: Final = Limits(idle=None, max_bytes=2**20)
_FRAMING: Final = frozenset({"host", "content-length", "transfer-encoding"})
_FAULTS: Final = {
    Fault.BAD_REQUEST: Failure.MISCONFIGURED,
    Fault.REFUSED_ADDRESS: Failure.MISCONFIGURED,
    Fault.REDIRECT: Failure.MISCONFIGURED,
    Fault.TOO_LARGE: Failure.BAD_ANSWER,
    Fault.GARBLED: Failure.BAD_ANSWER,
}


class Protocol:
    """What can be asked of one platform's endpoints as ``client``, each time within ``within_s`` seconds. Every method
    raises ``OAuthFailed``.
    """

    def __init__(self, egress: Egress, platform: Platform, client: Client, within_s: float) -> None:
        self._egress, self._platform, self._client, self._within_s = egress, platform, client, within_s
        self._oauth: OAuth = oauth_of(platform)

    async def grant(self, url: str, grant_type: str, fields: Mapping[str, str]) -> Reply:
        """The answer to a token request (RFC 6749 §4.1.3, §4.4.2, §6), whatever it is."""
        async with self._bounded():
            more = urlencode(self._oauth.token_params)
            response = await self._library().fetch_token(
                url, more, headers=self._headers(), auth=self._auth(), grant_type=grant_type, **fields
            )
        return _read(response)

    async def revoke(self, url: str, token: str, hint: str) -> Reply:
        """The answer to a revocation request (RFC 7009 §2.1)."""
        async with self._bounded():
            response = await self._library().revoke_token(url, token, hint, headers=self._headers(), auth=self._auth())
        return _read(response)

    async def ask(self, method: str, url: str, *, bearer: str = "", body: Mapping[str, str] | None = None) -> Reply:
        """The answer to a request that no RFC describes, with ``bearer`` or, without, with Basic; ``body`` as JSON."""
        async with self._bounded():
            headers, content = self._headers(), b""
            headers.update({"Authorization": f"Bearer {bearer}"} if bearer else self._proof(ClientAuth.BASIC)[0])
            if body is not None:
                headers["Content-Type"], content = body_of([*body.items()], Coding.JSON)
            request = httpx2.Request(method, url, headers=headers, content=content)
            response = await self._transport().handle_async_request(request)
        return _read(response)

    def _headers(self) -> httpx2.Headers:
        headers = httpx2.Headers({"Accept": "application/json"})
        headers.update(self._oauth.token_headers)
        return headers

    def _transport(self) -> "EgressTransport":
        return EgressTransport(self._egress, self._platform.exceptions)

    def _library(self) -> "_Library":
        library = _Library(self._client.id, transport=self._transport(), trust_env=False, timeout=None)
        library.headers.clear()  # what egress adds is enough; nothing names the library, or asks for compression
        return library

    def _auth(self) -> OAuth2ClientAuth:
        """Rewrites the library's request: proof of who we are, and the body in the coding of the platform."""
        proof, fields = self._proof(self._oauth.client_auth)

        def written(_: Any, __: str, url: str, headers: httpx2.Headers, body: bytes) -> tuple[Any, ...]:
            pairs = [*parse_qsl(body.decode(), keep_blank_values=True), *fields]
            headers["Content-Type"], content = body_of(pairs, self._oauth.token_body)
            headers.update(proof)
            return url, headers, content

        return OAuth2ClientAuth(self._client.id, None, written)

    def _proof(self, how: ClientAuth) -> tuple[dict[str, str], Pairs]:
        try:
            return proven(self._client, how)
        except ValueError as error:
            raise misconfigured(self._platform, str(error)) from None

    @asynccontextmanager
    async def _bounded(self) -> AsyncIterator[None]:
        """In time; and what goes wrong is told without the words of a library, which may quote the request."""
        title = self._platform.definition.title
        try:
            async with asyncio.timeout(self._within_s):
                yield
        except EgressError as error:
            raise failed(title, _FAULTS.get(error.kind, Failure.UNAVAILABLE), str(error)) from None
        except TimeoutError:
            raise failed(title, Failure.UNAVAILABLE, f"no answer within {self._within_s:g} s") from None
        except (httpx2.HTTPError, httpx2.InvalidURL, AuthlibBaseError, ValueError, TypeError) as error:
            raise misconfigured(self._platform, f"the request cannot be written ({type(error).__name__})") from None


class EgressTransport(httpx2.AsyncBaseTransport):
    """Sends through ``Egress``: to an address that was judged, no redirect, no cookie, bounded in time and size."""

    def __init__(self, egress: Egress, exceptions: Exceptions) -> None:
        self._egress, self._exceptions = egress, exceptions

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _FRAMING}
        body = await request.aread()
        async with self._egress.request(
            request.method, str(request.url), headers=headers, body=body, limits=_LIMITS, allow=self._exceptions
        ) as answer:
            told = {name: answer.headers[name] for name in ("content-type", "retry-after") if name in answer.headers}
            return httpx2.Response(answer.status, headers=told, content=await answer.read())


class _Library(AsyncOAuth2Client):  # type: ignore[misc]  # the package has no types
    def parse_response_token(self, resp: httpx2.Response) -> httpx2.Response:
        """As it came: the library would take the body of a refusal for a token."""
        return resp


def _read(response: httpx2.Response) -> Reply:
    told = response.headers
    return Reply(response.status_code, told.get("content-type", ""), told.get("retry-after", ""), response.content)
