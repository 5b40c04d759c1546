"""``[metrics]`` of ``ostiary.toml``: who may read ``/metrics``, and the details of ``/ready``."""

import ipaddress
from ipaddress import IPv4Network, IPv6Network

from gateway.settings.terms import MetricsSettings
from gateway.settings.upstreams import REFERENCE
from gateway.settings.values import References, Table

LEAST_TOKEN = 32


def read_metrics(top: Table, references: References) -> MetricsSettings:
    """What ``[metrics]`` says; where nothing stands there, nobody may."""
    table = top.table("metrics")
    allow = table.texts("allow", _network)
    token = table.table("token", REFERENCE).reference(references) if table.has("token") else None
    if token is not None and len(token.reveal()) < LEAST_TOKEN:
        table.problem(f"the token is shorter than {LEAST_TOKEN} characters; `openssl rand -base64 32` makes one")
    table.close()
    return MetricsSettings(allow, token)


def _network(text: str) -> IPv4Network | IPv6Network:
    network = ipaddress.ip_network(text)
    if network.prefixlen == 0:
        raise ValueError(f"`{text}` is everybody; name the addresses of who collects the metrics")
    return network
