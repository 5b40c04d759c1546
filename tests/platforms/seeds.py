"""What the counterparts know from the beginning: users, apps, and some things to be found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

CONNECTORS = (
    "asana",
    "github",
    "gmail",
    "google_calendar",
    "google_drive",
    "hubspot",
    "jira",
    "linear",
    "microsoft",
    "notion",
    "oauth2",
    "oidc",
    "salesforce",
    "slack",
    "zendesk",
)


@dataclass(frozen=True)
class Client:
    """A client of the authorization server."""

    id: str
    secret: str = field(default="", repr=False)
    auth: str = "client_secret_basic"
    grants: tuple[str, ...] = ("authorization_code", "refresh_token")

    def registered(self, redirects: Sequence[str]) -> dict[str, Any]:
        code = "authorization_code" in self.grants
        return {
            "client_id": self.id,
            **({"client_secret": self.secret} if self.secret else {}),
            "client_name": self.id,
            "token_endpoint_auth_method": self.auth,
            "grant_types": list(self.grants),
            "response_types": ["code"] if code else [],
            "redirect_uris": list(redirects) if code else [],
        }


CLIENTS: Mapping[str, Client] = {
    "basic": Client("ostiary", "gw-secret-+/=&e: %"),
    "post": Client("ostiary-post", "gw-post-secret", "client_secret_post"),
    "public": Client("ostiary-public", "", "none"),
    "machine": Client("ostiary-machine", "gw-machine-secret", "client_secret_basic", ("client_credentials",)),
}


@dataclass(frozen=True)
class Service:
    """How the product finds an emulated platform: ``at`` gives for each beginning of its URLs the path there; ``common``
    are those that all connectors of it have.
    """

    at: Mapping[str, str]
    common: tuple[str, ...]
    seed: Mapping[str, Any]
    users: tuple[str, ...]
    client_id: str = ""
    client_secret: str = field(default="", repr=False)
    apps: str = ""


_PEOPLE = ("ann@example.com", "bob@example.com")
_NAMED = [{"email": _PEOPLE[0], "name": "Ann Ash"}, {"email": _PEOPLE[1], "name": "Bob Birch"}]
_STATES = [
    {"name": "Backlog", "type": "backlog"},
    {"name": "Todo", "type": "unstarted"},
    {"name": "In Progress", "type": "started"},
    {"name": "Done", "type": "completed"},
]

SERVICES: Mapping[str, Service] = {
    "github": Service(
        at={"https://api.github.com": "", "https://github.com": ""},
        common=("https://api.github.com", "https://github.com"),
        users=("ann", "bob"),
        client_id="gh-client",
        client_secret="gh-secret",
        apps="oauth_apps",
        seed={
            "users": [
                {"login": "ann", "name": "Ann Ash", "email": "ann@example.com"},
                {"login": "bob", "name": "Bob Birch", "email": "bob@example.com"},
            ],
            "repos": [{"owner": "ann", "name": "garden", "description": "What grows", "auto_init": True}],
        },
    ),
    "slack": Service(
        at={"https://slack.com": ""},
        common=("https://slack.com",),
        users=("ann", "bob"),
        client_id="12345.67890",
        client_secret="slack-secret",
        apps="oauth_apps",
        seed={
            "team": {"name": "Garden", "domain": "garden"},
            "users": [
                {"name": "ann", "real_name": "Ann Ash", "email": "ann@example.com"},
                {"name": "bob", "real_name": "Bob Birch", "email": "bob@example.com"},
            ],
            "channels": [{"name": name, "topic": f"About {name}"} for name in ("roses", "tulips", "weeds")],
            "strict_scopes": True,
        },
    ),
    "google": Service(
        at={
            "https://accounts.google.com": "",
            "https://oauth2.googleapis.com": "/oauth2",
            "https://openidconnect.googleapis.com/v1": "/oauth2/v2",
            "https://gmail.googleapis.com": "",
            "https://www.googleapis.com": "",
        },
        common=(
            "https://accounts.google.com",
            "https://oauth2.googleapis.com",
            "https://openidconnect.googleapis.com/v1",
        ),
        users=_PEOPLE,
        client_id="google-client.apps.googleusercontent.com",
        client_secret="google-secret",
        apps="oauth_clients",
        seed={
            "users": _NAMED,
            "messages": [
                {
                    "id": f"msg_{number}",
                    "user_email": _PEOPLE[0],
                    "from": "bob@example.com",
                    "to": _PEOPLE[0],
                    "subject": f"Letter {number}",
                    "body_text": f"Words of letter {number}.",
                    "label_ids": ["INBOX", "UNREAD"],
                }
                for number in range(1, 6)
            ],
            "calendars": [{"id": "primary", "user_email": _PEOPLE[0], "summary": _PEOPLE[0], "primary": True}],
            "calendar_events": [
                {
                    "id": "evt_planting",
                    "user_email": _PEOPLE[0],
                    "calendar_id": "primary",
                    "summary": "Planting",
                    "start_date_time": "2025-01-10T09:00:00.000Z",
                    "end_date_time": "2025-01-10T09:30:00.000Z",
                }
            ],
            "drive_items": [
                {
                    "id": "drv_beds",
                    "user_email": _PEOPLE[0],
                    "name": "Beds",
                    "mime_type": "application/vnd.google-apps.folder",
                },
                {
                    "id": "drv_plan",
                    "user_email": _PEOPLE[0],
                    "name": "Plan.txt",
                    "mime_type": "text/plain",
                    "parent_ids": ["drv_beds"],
                    "data": "roses left, tulips right",
                },
            ],
        },
    ),
    "microsoft": Service(
        at={"https://login.microsoftonline.com/{tenant}": "", "https://graph.microsoft.com": ""},
        common=("https://login.microsoftonline.com/{tenant}", "https://graph.microsoft.com"),
        users=_PEOPLE,
        client_id="ms-client",
        client_secret="ms-secret",
        apps="oauth_clients",
        seed={"users": _NAMED},
    ),
    "linear": Service(
        at={"https://linear.app": "", "https://api.linear.app": ""},
        common=("https://linear.app", "https://api.linear.app"),
        users=_PEOPLE,
        client_id="linear-client",
        client_secret="linear-secret",
        apps="oauth_apps",
        seed={
            "organization": {"name": "Garden", "url_key": "garden"},
            "users": [{**person, "admin": True} for person in _NAMED],
            "teams": [{"key": "BED", "name": "Beds", "states": _STATES}],
            "labels": [{"name": "Weeds", "color": "#d92d20", "team": "BED"}],
            "issues": [
                {"team": "BED", "title": f"Bed {number}", "state": "Todo", "assignee": _PEOPLE[0]}
                for number in range(1, 6)
            ],
            "strict_scopes": True,
        },
    ),
    "stripe": Service(
        at={"https://api.stripe.com": ""},
        common=("https://api.stripe.com",),
        users=(),
        seed={
            "customers": [{"id": f"cus_{number}", "email": f"c{number}@example.com"} for number in range(1, 6)],
            "products": [{"id": "prod_rose", "name": "Rose"}],
            "prices": [{"id": "price_rose", "product_name": "Rose", "currency": "eur", "unit_amount": 1200}],
        },
    ),
}


CONNECTED: Mapping[str, tuple[str, ...]] = {
    **{service: (service,) for service in ("github", "slack", "microsoft", "linear", "stripe")},
    "gmail": ("google", "https://gmail.googleapis.com"),
    "google_calendar": ("google", "https://www.googleapis.com"),
    "google_drive": ("google", "https://www.googleapis.com"),
}
"""For each connector the platform that it belongs to, and the beginnings of URLs that only it has."""


def redirects(beginning: str) -> list[str]:
    """The redirect URI of each connector under ``beginning``."""
    return [beginning + connector for connector in CONNECTORS]


def seeded(service: str, redirect_uris: Sequence[str]) -> dict[str, Any]:
    """The seed of ``service``, with our app in it."""
    known = SERVICES[service]
    if not known.apps:
        return {service: dict(known.seed)}
    app = {
        "client_id": known.client_id,
        "client_secret": known.client_secret,
        "name": "Ostiary",
        "redirect_uris": list(redirect_uris),
        **_MORE.get(service, {}),
    }
    return {service: {**known.seed, known.apps: [app]}}


_MORE: Mapping[str, Mapping[str, Any]] = {
    "linear": {"scopes": ["read", "write", "issues:create", "comments:create"], "actor": "user"},
    "slack": {
        "app_id": "A000000001",
        "bot_name": "ostiary",
        "scopes": [
            "channels:history",
            "channels:join",
            "channels:manage",
            "channels:read",
            "chat:write",
            "groups:history",
            "groups:read",
            "im:history",
            "im:read",
            "im:write",
            "mpim:history",
            "mpim:read",
            "pins:read",
            "pins:write",
            "reactions:read",
            "reactions:write",
            "users:read",
            "users:read.email",
        ],
        "user_scopes": [
            "channels:history",
            "channels:read",
            "channels:write",
            "chat:write",
            "groups:history",
            "groups:read",
            "im:history",
            "im:read",
            "im:write",
            "mpim:history",
            "mpim:read",
            "pins:read",
            "pins:write",
            "reactions:read",
            "reactions:write",
            "users:read",
            "users:read.email",
        ],
    },
}
