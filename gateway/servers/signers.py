"""Where the secret of a server's signer is sealed to. Pure; what signs, and what is signed, is known elsewhere."""


def context_of(server: str, signer: str) -> tuple[str, ...]:
    """The place that the secret of ``signer`` of ``server`` (ids) is bound to."""
    return ("signer/1", server, signer)
