"""The refusals: every expected "no" to a client, and the one table of how each is told.

This file knows no transport; ``web`` and ``mcp`` turn a refusal into bytes by each class's
``code`` (JSON-RPC; our own lie outside the range that JSON-RPC and MCP reserve) and ``status`` (HTTP).

    Refusal
      Malformed            the bytes are not one acceptable message
      Unauthenticated      no verified credential
      Forbidden            who asks is known, and may not come in
        InsufficientScope  his token was not given for this; carries what it lacks
      Limited              too often; ``retry_after`` seconds
      Denied               the policy says no; carries its decision
        Barred             it lets him not in there at all, or not as whom he says
      Unknown              no such method, tool, prompt, resource or session
        UnknownAction      no such thing behind the meta tools
          UnknownConnector no such connector, or nothing of it may be used
        UnknownConnection  no such connection, or it is somebody else's
      InvalidArguments     the arguments break the tool's schema
        Conflict           they do not fit what is there now: somebody else changed it, or it has that name already
      NotConnected         the connection that this call needs is missing
        ConnectFirst       the same, for a client that can be asked to open a URL; carries which
      UpstreamFailed       the server behind us failed, hung or answered garbage
      Unanswered           the server behind us asked the client something, and got no answer that it can go on with
      Incapable            the client lacks a capability that the call needs; carries which
      Unavailable          we cannot decide or serve now (stale policy, store down, stopping)
      Fault                a mistake of ours; the log has the rest
"""

from gateway.policy.terms import Decision, Json


class Refusal(Exception):
    """An expected no. ``text`` is public; ``detail`` goes to the log only; ``reference`` is the id of the audit
    entry that tells of it, ``""`` as long as none does.
    """

    code = -32000
    status = 400
    kind = "refused"

    def __init__(
        self, text: str, *, code: int | None = None, status: int | None = None, data: Json = None, detail: str = ""
    ) -> None:
        super().__init__(text)
        self.text = text
        self.code = self.code if code is None else code
        self.status = self.status if status is None else status
        self.data = data
        self.detail = detail
        self.reference = ""


class Malformed(Refusal):
    """``request_id`` is the id to answer to, when it could be read."""

    code, status, kind = -32600, 400, "malformed"
    request_id: str | int | None = None


class Unauthenticated(Refusal):
    code, status, kind = -31001, 401, "unauthenticated"


class Forbidden(Refusal):
    code, status, kind = -31003, 403, "forbidden"


class InsufficientScope(Forbidden):
    """RFC 6750 §3.1; ``scopes`` are all that a token needs here."""

    kind = "insufficient_scope"

    def __init__(self, text: str, scopes: tuple[str, ...]) -> None:
        super().__init__(text)
        self.scopes = scopes


class Limited(Refusal):
    code, status, kind = -31029, 429, "limited"

    def __init__(self, text: str, *, retry_after: int) -> None:
        super().__init__(text, data={"retryAfter": retry_after})
        self.retry_after = retry_after


class Denied(Refusal):
    code, status, kind = -31003, 200, "denied"

    def __init__(self, text: str, decision: Decision) -> None:
        super().__init__(text)
        self.decision = decision


class Barred(Denied):
    """Nothing of a server is for him, or he may not act as whom he says: told before anything is asked for."""

    status, kind = 403, "barred"


class Unknown(Refusal):
    code, status, kind = -32602, 200, "unknown"


class UnknownAction(Unknown):
    """Of an action or connector that is named to a meta tool: a model chose it, so it is told as a result."""


class UnknownConnector(UnknownAction):
    """The same of a whole connector."""


class UnknownConnection(Unknown):
    """Of a connection that is named: alike for one that there is not, and for somebody else's."""


class InvalidArguments(Refusal):
    code, status, kind = -32602, 200, "invalid_arguments"


class Conflict(InvalidArguments):
    """``status`` is 412 where who asks said which state he means (RFC 9110, ``If-Match``)."""

    status, kind = 409, "conflict"


class NotConnected(Refusal):
    """``connector`` is what an account is missing of, for ``owner``, and ``reconnect`` the id of his connection that
    has to be made anew, for ``scopes`` that it lacks; ``connector`` is ``""`` where connecting would not help.
    """

    code, status, kind = -31004, 200, "not_connected"

    def __init__(
        self,
        text: str,
        *,
        connector: str = "",
        owner: str = "",
        reconnect: str = "",
        scopes: tuple[str, ...] = (),
        data: Json = None,
    ) -> None:
        super().__init__(text, data=data)
        self.connector, self.owner, self.reconnect, self.scopes = connector, owner, reconnect, scopes


class ConnectFirst(NotConnected):
    """MCP 2025-11-25, URL elicitation required error; ``elicitation`` is what the client asks its user."""

    code, status, kind = -32042, 200, "connect_first"

    def __init__(self, text: str, elicitation: dict[str, Json]) -> None:
        super().__init__(text, data={"elicitations": [elicitation]})


class UpstreamFailed(Refusal):
    code, status, kind = -31005, 200, "upstream_failed"


class Unanswered(Refusal):
    code, status, kind = -31007, 200, "unanswered"


class Incapable(Refusal):
    """MCP 2026-07-28: a missing required client capability."""

    code, status, kind = -32021, 400, "incapable"

    def __init__(self, text: str, required: dict[str, Json]) -> None:
        super().__init__(text, data={"requiredCapabilities": required})


class Unavailable(Refusal):
    code, status, kind = -31006, 503, "unavailable"


class Fault(Refusal):
    code, status, kind = -32603, 500, "fault"
