"""What our endpoints are called where tokens are asked for (RFC 8707, RFC 9728): their URLs. Pure."""

from gateway.policy.terms import MAIN


def resources(public_url: str, domain: str) -> frozenset[str]:
    """The names of the server of ``domain``: tokens for any of them count there, and nowhere else. The main server is
    one with the management API, whose name is the bare address.
    """
    base = public_url.rstrip("/")
    if domain != MAIN:
        return frozenset({f"{base}/mcp/{domain}", f"{base}/sse/{domain}"})
    return frozenset({base, f"{base}/", f"{base}/mcp", f"{base}/sse", f"{base}/api"})
