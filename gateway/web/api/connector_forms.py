"""What the routes of connectors take and give: values only.

Here are the forms of bodies, queries and answers; what is done stands in ``connectors.py``.
"""

from typing import Annotated, Any, Final, TypeAlias

from msgspec import Meta, Struct, field

from gateway.records import Connected
from gateway.servers.known import server_of
from gateway.web.api.routes import Counted, Page

LONGEST_NAME: Final = 10_000

Text: TypeAlias = Annotated[str, Meta(max_length=LONGEST_NAME)]
Named: TypeAlias = Annotated[str, Meta(min_length=1, max_length=LONGEST_NAME)]


UserId: TypeAlias = Annotated[str, Meta(max_length=LONGEST_NAME, description="the end user who is acted for")]


class ForEndUser(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, rename="camel"):
    """For whom something is asked on a server: the base of every body that says so."""

    user_id: UserId = ""


class ConnectorsAsked(Page, frozen=True, kw_only=True, rename="camel"):
    """``category``: only those of this one."""

    category: Text = ""
    user_id: UserId = ""


class CredentialsAsked(Page, frozen=True, kw_only=True, rename="camel"):
    """A part of somebody's connections."""

    user_id: UserId = ""


class OfEndUser(Page, frozen=True, kw_only=True, rename="camel"):
    """``server_id``: only what he connected on this one."""

    server_id: Text = ""


class ConnectCredential(ForEndUser, frozen=True, forbid_unknown_fields=True, kw_only=True, rename="camel"):
    """``data`` is what has to be typed, where no browser is used; ``redirect_uri`` where the browser goes at the end.
    ``auth_config_id`` is there for clients that send one: there are none, so it has to be empty.
    """

    authentication_type: Named
    redirect_uri: Text = ""
    auth_config_id: Annotated[str, Meta(max_length=0)] = ""
    data: dict[str, str] = field(default_factory=dict)


class ExecuteAction(ForEndUser, frozen=True, forbid_unknown_fields=True, kw_only=True, rename="camel"):
    """The arguments are all those of ``parameters``, ``request_body``, ``query_parameters`` and ``path_params``
    together; none may stand in two of them. ``timeout`` is in seconds.
    """

    credential_id: Text = ""
    parameters: dict[str, Any] = field(default_factory=dict)
    request_body: dict[str, Any] = field(default_factory=dict)
    query_parameters: dict[str, Any] = field(default_factory=dict)
    path_params: dict[str, Any] = field(default_factory=dict)
    additional_headers: Annotated[dict[str, str], Meta(max_length=0)] = field(default_factory=dict)
    timeout: Annotated[float, Meta(gt=0, le=300)] | None = None


class ConnectorListed(Struct, frozen=True, rename="camel"):
    """One connector of which something may be used."""

    id: str
    name: str
    category: tuple[str, ...] = ()


class ConnectorsTold(Counted, frozen=True):
    """A part of the connectors."""

    connectors: tuple[ConnectorListed, ...]


class ActionListed(Struct, frozen=True, rename="camel"):
    """One action: ``changes`` something there, or only reads."""

    action_id: str
    name: str
    description: str
    changes: bool
    destructive: bool


class ConnectorResources(Struct, frozen=True, rename="camel"):
    """One connector and its actions that may be used."""

    connector_id: str
    name: str
    actions: tuple[ActionListed, ...]
    count: int
    resources: tuple[str, ...] = ()


class ActionTold(Struct, frozen=True, rename="camel"):
    """One action with its parameters, as JSON Schema and one by one, and a sample of them."""

    connector_id: str
    action_id: str
    name: str
    description: str
    changes: bool
    destructive: bool
    required: tuple[dict[str, Any], ...]
    optional: tuple[dict[str, Any], ...]
    sample: Any
    input_schema: dict[str, Any]


class ActionExecuted(Struct, frozen=True, rename="camel"):
    """``result`` is what the platform answered; ``success`` is false where that is an error of its own."""

    success: bool
    result: Any


class CredentialListed(Struct, frozen=True, rename="camel", omit_defaults=True):
    """One connection, without anything secret; ``owner`` where it is another's who lends it."""

    credential_id: str
    name: str
    type: str
    status: str | None = None
    connector_id: str = ""
    server_id: str = ""
    owner: str = ""
    created_at: int | None = None
    updated_at: int | None = None


class CredentialsTold(Counted, frozen=True):
    """A part of the connections to one connector."""

    connector_id: str
    credentials: tuple[CredentialListed, ...]


class EndUserCredentials(Counted, frozen=True):
    """A part of all connections of one end user."""

    user_id: str
    credentials: tuple[CredentialListed, ...]


class CredentialWay(Struct, frozen=True, rename="camel"):
    """How an account is connected, and what has to be typed for it."""

    authentication_type: str
    auth_config_required: bool
    input_schema: dict[str, Any]
    sample_input: dict[str, str]


class CredentialMetadata(Struct, frozen=True, rename="camel"):
    """All ways to connect an account; none where no account is needed."""

    connector_id: str
    metadata: tuple[CredentialWay, ...]


class CredentialMade(Struct, frozen=True, rename="camel", omit_defaults=True):
    """The connection, where it was typed; else where a browser makes it: good once, for ten minutes."""

    connector_id: str
    message: str
    credential_id: str = ""
    oauth_url: str = ""
    connect_url: str = ""
    flow_id: str = ""


class CredentialEnded(Struct, frozen=True, rename="camel"):
    """``revoked``: whether the platform forgot it too."""

    credential_id: str
    revoked: bool


class FieldTold(Struct, frozen=True):
    """Something that has to be typed, as the meta tool tells it."""

    name: str
    label: str
    required: bool
    secret: bool
    help: str = ""


class MetadataTold(Struct, frozen=True, rename="camel"):
    """What the meta tool tells of connecting."""

    connector_id: str
    authentication_types: tuple[str, ...]
    fields: tuple[FieldTold, ...]


def way_of(told: MetadataTold, type: str) -> CredentialWay:
    """One way to connect: its fields as JSON Schema, and a sample of them."""
    properties: dict[str, Any] = {each.name: _property(each) for each in told.fields}
    schema: dict[str, Any] = {
        "type": "object",
        "properties": properties,
        "required": [each.name for each in told.fields if each.required],
        "additionalProperties": False,
    }
    sample = {each.name: f"your {each.label or each.name}" for each in told.fields if each.required}
    return CredentialWay(type, False, schema, sample)


def credential_of(record: Connected) -> CredentialListed:
    """A connection of an end user, with the connector and the server that it is for."""
    return CredentialListed(
        record.id,
        record.label,
        record.connector,
        record.status.value,
        connector_id=record.connector,
        server_id=server_of(record.owner),
        created_at=record.created_at,
        updated_at=record.updated_at,
    )


def _property(field: FieldTold) -> dict[str, Any]:
    described = {"title": field.label, "description": field.help, "format": "password" if field.secret else ""}
    return {"type": "string", **{name: text for name, text in described.items() if text}}
