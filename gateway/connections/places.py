"""What is settled before a flow begins: how it is proven who finishes it, and where the browser goes at its end.

The places to go back to are the operator's in his own domains, and those of its record on a server that a user offers.
This file decides neither who may connect nor what is connected.
"""

from gateway.connections.binding import binding_for
from gateway.connections.means import Means
from gateway.connections.redirects import address_back, is_registered
from gateway.connections.terms import FlowRefused, Why
from gateway.errors import InvalidArguments
from gateway.records import Flow
from gateway.servers.known import server_of
from gateway.settings import Binding


def settled(means: Means, owner: str, by: str, domain: str, back: str) -> tuple[Binding, str]:
    """How it is proven that ``by`` connects an account for ``owner``, and the address to go back to: where an end user
    names none, the only one that his server has. Raises ``InvalidArguments``, ``FlowRefused``.
    """
    binding, places = proof(means, owner, by, domain), places_of(means, domain)
    if back and not is_registered(back, places):
        raise InvalidArguments(
            f"the address to go back to is none of {_named(means, domain)}; it has to be one of them to the letter"
        )
    if binding is Binding.CONFIRM and not back and by.startswith("end:") and len(places) == 1:
        back = places[0]
    if binding is Binding.CONFIRM and not back:
        raise InvalidArguments(
            "who connects this has to be confirmed by the application: name the address that it is told the code "
            f"at, one of {_named(means, domain)}"
        )
    return binding, back


def proof(means: Means, owner: str, by: str, domain: str) -> Binding:
    """What proves that it is ``by`` who connects an account for ``owner``. End users connect theirs on their own server
    alone. Raises ``FlowRefused``.
    """
    binding = binding_for(owner, by, means.settings.binding)
    own = server_of(by)
    if binding is None or (own and (own != domain or means.servers().get(own) is None)):
        raise FlowRefused(Why.NOT_ALLOWED)
    if binding is Binding.SAME_BROWSER and means.several_users():
        raise FlowRefused(Why.SEVERAL_USERS)
    return binding


def places_of(means: Means, domain: str) -> tuple[str, ...]:
    """Where browsers may be sent from a flow of that domain."""
    server = means.servers().get(domain)
    return tuple(means.settings.redirects if server is None else server.redirects)


def place_after(means: Means, flow: Flow, code: str = "") -> str:
    """Where the browser goes from ``flow`` now, ``""`` for our own page: to no place that was struck out meanwhile.
    ``code`` is for the host application.
    """
    return address_back(flow, code) if is_registered(flow.back, places_of(means, flow.domain)) else ""


def _named(means: Means, domain: str) -> str:
    offered = means.servers().get(domain) is not None
    return "the `redirectUris` of this server" if offered else "`redirects` in config/connectors.toml"
