"""What every POST must bring: media types that fit, and, where it asks for one, a policy of some version."""

from typing import Final

from gateway.errors import Malformed
from gateway.pipeline import Pipeline
from gateway.web.asgi import Header, Incoming

AT_LEAST: Final = "ostiary-policy-at-least"
"""The header by which a client demands that a policy version, or a later one, judges its request."""

POLICY: Final = b"ostiary-policy"
"""The header by which an answer tells the policy version that judged its request."""


async def demand_policy(pipeline: Pipeline, incoming: Incoming) -> None:
    """Wait for the policy version that the client demands, if it does. Raises ``Malformed``, ``Unavailable``."""
    if (version := incoming.headers.get(AT_LEAST)) is not None:
        await pipeline.demand(version)


def judged_by(version: str) -> tuple[Header, ...]:
    """The header that tells ``version``, none where no single one judged."""
    return ((POLICY, version.encode()),) if version else ()


def accepted(incoming: Incoming) -> frozenset[str]:
    """Which of the two media types of this transport the Accept header admits (RFC 9110 §12.5.1)."""
    ranges = {part.partition(";")[0].strip().lower() for part in incoming.headers.get("accept", "").split(",")}
    return frozenset(
        media
        for media in ("application/json", "text/event-stream")
        if ranges & {media, f"{media.partition('/')[0]}/*", "*/*"}
    )


def check_media_types(incoming: Incoming) -> None:
    """Raises ``Malformed``: 406 unless both media types are accepted, 415 unless the body is JSON."""
    if len(accepted(incoming)) < 2:
        text = "Not Acceptable: Client must accept both application/json and text/event-stream"
        raise Malformed(text, status=406)
    check_json(incoming)


def check_stream(incoming: Incoming) -> None:
    """Raises ``Malformed``: 406 unless an event stream is accepted."""
    if "text/event-stream" not in accepted(incoming):
        raise Malformed("Not Acceptable: Client must accept text/event-stream", status=406)


def check_json(incoming: Incoming) -> None:
    if incoming.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Malformed("Unsupported Media Type: Content-Type must be application/json", status=415)
