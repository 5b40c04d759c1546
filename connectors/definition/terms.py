"""The values that a connector file becomes. Frozen, and free of secrets: a file names none.

Templates hold ``{name}``, which stands for an input, for a value that the platform told about the account, or for a
part of the credential. This file knows no YAML and no HTTP.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from gateway.mcp.terms import Params
from gateway.policy.terms import Json


class AuthKind(StrEnum):
    OAUTH2 = "oauth2"
    CLIENT_CREDENTIALS = "oauth2_client_credentials"
    API_KEY = "api_key"
    BASIC = "basic"
    BEARER = "bearer"
    NONE = "none"


class ClientAuth(StrEnum):
    """How we prove ourselves to a token endpoint; ``basic_rfc6749`` form-encodes id and secret first (its §2.3.1)."""

    BASIC = "basic"
    BASIC_RFC6749 = "basic_rfc6749"
    POST = "post"
    NONE = "none"


class Pkce(StrEnum):
    REQUIRED = "required"
    OFF = "off"


class Coding(StrEnum):
    """How a body is written."""

    JSON = "json"
    FORM = "form"
    NESTED_FORM = "nested_form"
    MULTIPART = "multipart"
    RAW = "raw"


class Risk(StrEnum):
    READ = "read"
    WRITE = "write"
    DESTRUCTIVE = "destructive"


class Revocation(StrEnum):
    """How a platform is told to forget a token: RFC 7009, with the token as bearer, by DELETE with ``access_token`` in
    a JSON body and Basic, by DELETE with the token as bearer, or not at all.
    """

    RFC7009 = "rfc7009"
    BEARER = "bearer"
    DELETE = "delete"
    DELETE_BEARER = "delete_bearer"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Equals:
    """Whether the value at ``path`` (names joined by dots) of an answer equals ``equals``; with ``present``, whether
    there is one that is not null, false or empty.
    """

    path: str
    equals: Json = None
    present: bool = False


@dataclass(frozen=True, slots=True)
class Scopes:
    """What is asked for unless the operator says otherwise; ``also`` are further parameters with their own scopes."""

    separator: str = " "
    param: str = "scope"
    default: tuple[str, ...] = ()
    also: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Expiry:
    """Where a token answer says how long it holds (the first of ``path`` that is there): ``unit`` is ``s``, ``ms`` or
    ``at`` (a time of day); ``default`` is seconds where it does not say (``None``: unknown).
    """

    path: tuple[str, ...] = ("expires_in",)
    unit: str = "s"
    default: int | None = None


@dataclass(frozen=True, slots=True)
class TokenAnswer:
    """How to read a token answer. Of ``access``, ``refresh`` and ``scope`` the first path that is there counts;
    ``keep`` are paths whose values are kept for templates, under the path's own text.
    """

    ok_when: Equals | None = None
    error_path: str = "error"
    access: tuple[str, ...] = ("access_token",)
    refresh: tuple[str, ...] = ("refresh_token",)
    scope: tuple[str, ...] = ("scope",)
    keep: tuple[str, ...] = ()
    expires: Expiry = Expiry()


@dataclass(frozen=True, slots=True)
class Renewal:
    """How tokens are renewed. Seconds, but ``idle_days``: renewed at least so often, or the platform forgets us."""

    reuse_grace_s: int = 0
    margin_s: int = 300
    idle_days: int | None = None
    needs_scope: bool = False


@dataclass(frozen=True, slots=True)
class OAuth:
    """The legs of OAuth 2. URLs are templates over inputs and ``client_id``. With ``issuer``, the ``iss`` of a callback
    is checked (RFC 9207), and must be there unless the platform has not promised it.
    """

    authorize_url: str
    token_url: str
    issuer: str = ""
    iss_promised: bool = True
    refresh_url: str = ""
    revoke_url: str = ""
    revocation: Revocation = Revocation.NONE
    client_auth: ClientAuth = ClientAuth.BASIC
    token_body: Coding = Coding.FORM
    pkce: Pkce = Pkce.REQUIRED
    pkce_off_reason: str = ""
    scopes: Scopes = Scopes()
    authorize_params: Mapping[str, str] = field(default_factory=dict)
    token_params: Mapping[str, str] = field(default_factory=dict)
    token_headers: Mapping[str, str] = field(default_factory=dict)
    callback_keep: tuple[str, ...] = ()
    answer: TokenAnswer = TokenAnswer()
    renewal: Renewal = Renewal()


@dataclass(frozen=True, slots=True)
class Input:
    """A value that the person who connects types: checked against the anchored ``pattern`` before any use."""

    name: str
    label: str
    pattern: str
    secret: bool = False
    optional: bool = False
    default: str = ""
    help: str = ""


@dataclass(frozen=True, slots=True)
class Auth:
    """``oauth`` for the OAuth kinds; the others take what ``inputs`` that are ``secret`` ask for."""

    kind: AuthKind
    oauth: OAuth | None = None


@dataclass(frozen=True, slots=True)
class Identity:
    """The request that tells whose account this is: ``id`` is a path, ``label`` a template over paths of the answer."""

    url: str
    id: str
    label: str
    method: str = "GET"
    body: Json = None
    error_when: Equals | None = None


@dataclass(frozen=True, slots=True)
class Retry:
    """On which statuses a request that changes nothing is sent again, and which headers say when: ``after`` in seconds,
    ``at`` as a time.
    """

    on: tuple[int, ...] = (429, 503)
    after: tuple[str, ...] = ("retry-after",)
    at: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Api:
    """Where requests go and what stands on each. ``allowed_hosts`` are the only hosts that ever see the credential
    (``*.`` in front for every host below). ``auth`` are headers and ``auth_query`` parameters, as templates over the
    credential. ``basic`` are the templates of user and password instead.
    """

    base_url: str
    allowed_hosts: tuple[str, ...]
    auth: Mapping[str, str] = field(default_factory=dict)
    auth_query: Mapping[str, str] = field(default_factory=dict)
    basic: tuple[str, str] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    retry: Retry = Retry()
    error_when: Equals | None = None
    error_path: str = ""
    concurrency: int = 16
    timeout_s: float = 30.0


class Place(StrEnum):
    """Where in a request an argument goes."""

    PATH = "path"
    QUERY = "query"
    HEADER = "header"
    BODY = "body"


class Style(StrEnum):
    """How a list is written in a query; ``explode`` makes the members of an object parameters of their own."""

    REPEAT = "repeat"
    COMMA = "comma"
    BRACKETS = "brackets"
    EXPLODE = "explode"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One argument of an action. ``name`` is what clients call it, ``wire`` what the platform does. A ``hidden`` one is
    never shown nor taken from a caller, and always has its ``default``.
    """

    name: str
    place: Place
    schema: Json
    wire: str = ""
    required: bool = False
    default: Json = None
    hidden: bool = False
    style: Style = Style.REPEAT


class PageKind(StrEnum):
    CURSOR = "cursor"
    LINK = "link"
    PAGE = "page"
    OFFSET = "offset"


@dataclass(frozen=True, slots=True)
class Paging:
    """How further pages are asked for: ``param`` carries the cursor, page or offset; ``next`` is the path of the next
    cursor (or URL) in an answer, ``more`` of what is false on the last page, ``items`` of the list; at most ``most``
    pages are put together.
    """

    kind: PageKind
    param: str = ""
    next: str = ""
    more: str = ""
    items: str = ""
    size_param: str = ""
    size: int = 0
    most: int = 1


@dataclass(frozen=True, slots=True)
class Shown:
    """What a caller gets of an answer: the value at ``pick`` (a path, ``""`` for all), of at most ``max_bytes``."""

    pick: str = ""
    max_bytes: int = 200_000


@dataclass(frozen=True, slots=True)
class Action:
    """One thing that can be done: a tool. ``path`` is appended to the API's base URL, ``{name}`` stands for a path
    argument. ``body`` gives constants of the body, which no argument overrides. ``mail`` is where in the body the
    message goes that arguments such as ``to`` and ``subject`` make. ``defs`` are the ``$defs`` of the schemas.
    """

    id: str
    title: str
    description: str
    risk: Risk
    method: str
    path: str
    parameters: tuple[Parameter, ...] = ()
    resource: str = ""
    scopes: tuple[str, ...] = ()
    coding: Coding = Coding.JSON
    content_type: str = ""
    body: Params = field(default_factory=dict)
    whole_body: str = ""
    mail: str = ""
    defs: Params = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    idempotent: bool = False
    idempotency_header: str = ""
    paging: Paging | None = None
    error_when: Equals | None = None
    shown: Shown = Shown()


@dataclass(frozen=True, slots=True)
class Definition:
    """One platform. ``checked`` is the month (``YYYY-MM``) in which somebody last compared it with the platform's own
    documents; ``tested`` says against what its requests were tried.
    """

    id: str
    title: str
    auth: Auth
    api: Api
    description: str = ""
    categories: tuple[str, ...] = ()
    docs: str = ""
    checked: str = ""
    tested: str = ""
    inputs: tuple[Input, ...] = ()
    identity: Identity | None = None
    actions: tuple[Action, ...] = ()
