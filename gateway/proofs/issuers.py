"""Accounts, proven by the issuers that the operator trusts (``[issuers.NAME]``).

What is proven is the address that the issuer verified, groups under the issuer's name, and the claims as they are:
all that conditions of the policy may ask. Who has no account gets none by a token, unless the operator says so.
"""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from connectors.addresses import PUBLIC_ONLY, Exceptions, parse
from connectors.egress import Egress
from connectors.oauth.key_sets import KeySet, Whereabouts
from connectors.oauth.signed import Key, NotProven, checked, claimed, header_of
from gateway.errors import Forbidden, InsufficientScope
from gateway.identity import Identities, issuer_proof, vouched_email
from gateway.policy.terms import Subject
from gateway.proofs.claims import Claims, check_kind, expiry_of, groups_of, scopes_of, verified_email
from gateway.proofs.remembered import Known, Remembered
from gateway.proofs.resources import resources
from gateway.settings.terms import IssuerSettings


@dataclass(frozen=True, slots=True)
class Accounts:
    """``now`` are the accounts that there are. ``enrol`` makes one without any role for (address, issuer), and returns
    when it is there.
    """

    now: Callable[[], Identities]
    enrol: Callable[[str, str], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class _Trusted:
    settings: IssuerSettings
    keys: KeySet


class Issuers:
    """``clock`` tells ms since the epoch; ``public_url`` is where clients reach us."""

    def __init__(
        self,
        issuers: Iterable[IssuerSettings],
        egress: Egress,
        accounts: Accounts,
        *,
        public_url: str,
        clock: Callable[[], int],
    ) -> None:
        self._trusted = {each.issuer: _Trusted(each, _key_set(each, egress, clock)) for each in issuers}
        self._accounts, self._public_url = accounts, public_url
        self._known: Remembered[tuple[Key, ...]] = Remembered()

    def knows(self, token: str) -> bool:
        """Whether the token says that it is of one of them; nothing of it is believed."""
        return self._named(token) is not None

    async def prove(self, domain: str, token: str, now: int) -> Subject:
        """The account that ``token`` proves on the server of ``domain`` at ``now``. Raises ``NotProven``,
        ``Unavailable``, ``Forbidden``, ``InsufficientScope``.
        """
        if (trusted := self._named(token)) is None:
            raise NotProven("nobody whom the operator trusts issued the token")
        known = self._known.find(token, domain, now)
        if known is None or await trusted.keys.keys() is not known.grounds:
            known = await self._check(trusted, domain, token, now)
            self._known.keep(token, domain, known)
        await self._demand_account(trusted.settings, known.subject)
        return known.subject

    def _named(self, token: str) -> _Trusted | None:
        try:
            issuer = claimed(token).get("iss")
        except NotProven:
            return None
        return self._trusted.get(issuer) if isinstance(issuer, str) else None

    async def _check(self, trusted: _Trusted, domain: str, token: str, now: int) -> Known[tuple[Key, ...]]:
        settings = trusted.settings
        check_kind(header_of(token))
        keys = await trusted.keys.keys_for(token, settings.algorithms)
        claims = checked(token, keys, settings.algorithms)
        audiences = settings.audiences or resources(self._public_url, domain)
        ends = expiry_of(claims, issuer=settings.issuer, audiences=audiences, now=now)
        _demand_scopes(claims, settings.scopes)
        email = _address(claims, settings)
        subject = Subject(
            f"user:{email}",
            groups=groups_of(claims, settings.groups_claim, below=settings.name),
            claims=claims,
            credential=issuer_proof(settings.name, email),
            expires_at=ends,
        )
        return Known(subject, keys)

    async def _demand_account(self, settings: IssuerSettings, subject: Subject) -> None:
        """Raises ``Forbidden`` where there is none, and none is made."""
        email = subject.name.removeprefix("user:")
        if email not in self._accounts.now().users and settings.create_users:
            await self._accounts.enrol(email, settings.name)
        if email not in self._accounts.now().users:
            raise Forbidden("There is no account for you here. Please contact the administrator to be added.")


def _key_set(settings: IssuerSettings, egress: Egress, clock: Callable[[], int]) -> KeySet:
    listed = parse(settings.private_hosts)
    allow = listed if isinstance(listed, Exceptions) else PUBLIC_ONLY
    return KeySet(egress, Whereabouts(settings.issuer, settings.jwks_url, allow), clock)


def _demand_scopes(claims: Claims, wanted: tuple[str, ...]) -> None:
    missing = set(wanted) - scopes_of(claims)
    if missing:
        raise InsufficientScope("The token was not given for this; sign in again and agree to what is asked", wanted)


def _address(claims: Claims, settings: IssuerSettings) -> str:
    """Raises ``NotProven``."""
    email = verified_email(claims, settings.email_claim, settings.verified_claim)
    try:
        return vouched_email(email)
    except ValueError:
        raise NotProven("the issuer gives no e-mail address that can be used") from None
