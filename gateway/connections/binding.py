"""How it is proven that who finishes connecting an account is who began it. Pure; the theory stands here.

Neither ``state`` nor PKCE tell that: they bind the answer of a platform to a flow, not a flow to a person. A link that
is forwarded would connect another's account to who forwarded it. So a flow has a binding from its first moment:

    session        the browser is signed in as the very subject that has to finish it, at the click and at the callback
    confirm        what was connected is unusable until the host application says who was before it
    same_browser   one browser from the click to the callback, and nothing else: safe only where there is one user

In each of them the browser that comes back has to be the one in which the click was made.
"""

from gateway.connections.terms import Why
from gateway.policy.terms import SYSTEM
from gateway.records import Flow
from gateway.settings import Binding


def binding_for(owner: str, by: str, usual: Binding) -> Binding | None:
    """What proves that it is ``by`` who connects an account for ``owner``; ``None`` where nothing could.

    ``usual`` is the operator's choice for accounts of the gateway. An end user has no account here to sign in with. A
    server's token proves no person.
    """
    if owner not in (by, SYSTEM):
        return None
    if by.startswith("user:"):
        return usual
    return Binding.CONFIRM if by.startswith("end:") and owner == by else None


def stranger(flow: Flow, *, signed_in: str, several_users: bool) -> Why | None:
    """Why this browser is not that of the person who has to finish ``flow``; ``None`` when it can be."""
    if flow.binding == Binding.SESSION:
        if not signed_in:
            return Why.SIGN_IN
        return None if signed_in == flow.by else Why.OTHER_PERSON
    if flow.binding == Binding.SAME_BROWSER:
        return Why.SEVERAL_USERS if several_users else None
    return None if flow.binding == Binding.CONFIRM else Why.OTHER_PERSON
