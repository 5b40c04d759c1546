"""Where the legs of one platform go: its endpoints and its issuer, filled in for one person.

Pure. This file opens nothing.
"""

from collections.abc import Mapping

from connectors.base import Credential
from connectors.definition.fixing import fixed_inputs
from connectors.definition.platform import Platform
from connectors.definition.templates import allowed_hosts, filled, filled_url, values_of
from connectors.definition.terms import OAuth
from connectors.oauth.failures import failed
from connectors.oauth.terms import Client, Failure, OAuthFailed


def oauth_of(platform: Platform) -> OAuth:
    """How OAuth works there. Raises ``OAuthFailed`` where it does not."""
    if (oauth := platform.definition.auth.oauth) is None:
        raise misconfigured(platform, "the definition has no OAuth")
    return oauth


def endpoint(platform: Platform, client: Client, template: str, inputs: Mapping[str, str]) -> str:
    """``template`` with what the definition presumes, what the person typed and what the operator has fixed. Nothing
    secret goes into a URL, and no person says where the client's secret goes. Raises ``OAuthFailed`` when it is none of
    the platform's own places.
    """
    plain = _plain(platform, inputs)
    try:
        return filled_url(template, {**plain, "client_id": client.id}, allowed_hosts(platform, plain))
    except ValueError as error:
        raise misconfigured(platform, str(error)) from None


def issuer_of(platform: Platform, inputs: Mapping[str, str]) -> str:
    """Who must have answered, ``""`` where nobody is named. Raises ``OAuthFailed``."""
    try:
        return filled(oauth_of(platform).issuer, _plain(platform, inputs))
    except ValueError as error:
        raise misconfigured(platform, str(error)) from None


def misconfigured(platform: Platform, detail: str) -> OAuthFailed:
    return failed(platform.definition.title, Failure.MISCONFIGURED, detail)


def _plain(platform: Platform, inputs: Mapping[str, str]) -> Mapping[str, str]:
    steering = fixed_inputs(platform.definition)
    typed = {name: value for name, value in inputs.items() if name not in steering}
    secret = {each.name for each in platform.definition.inputs if each.secret}
    values = values_of(platform, Credential(plain=typed)).plain
    return {name: value for name, value in values.items() if name not in secret}
