"""The part ``api`` of a definition: where requests go, and what the credential puts on each."""

from typing import Final

from connectors.definition.form import Form
from connectors.definition.hosts import is_allowed
from connectors.definition.reading_auth import OAUTH_KINDS, is_header
from connectors.definition.reading_parts import read_equals
from connectors.definition.scope import Scope, check_fields, check_url, field_names
from connectors.definition.templates import FIELD
from connectors.definition.terms import Api, Auth, AuthKind, Retry

NEVER_SET: Final = frozenset(
    {
        *(
            "host",
            "cookie",
            "content-length",
            "content-type",
            "transfer-encoding",
            "connection",
            "keep-alive",
            "upgrade",
        ),
        *("te", "trailer", "expect", "proxy-authorization", "proxy-authenticate", "proxy-connection"),
        "accept-encoding",
    }
)
"""Headers that frame a message or speak of one connection: no file sets them."""

_STATUSES: Final = range(400, 600)


def read_api(form: Form, auth: Auth, scope: Scope) -> Api:
    """Raises nothing: an empty one where there is none, which is told."""
    below = form.sub("api")
    if below is None:
        form.problem("`api` is missing; it says where requests go")
        return Api("", ())
    hosts = below.texts("allowed_hosts")
    headers, query, basic = _credential(below, auth, scope)
    read = Api(
        base_url=below.text("base_url", required=True).rstrip("/"),
        allowed_hosts=hosts,
        auth=headers,
        auth_query=query,
        basic=basic,
        headers=below.mapped("headers"),
        retry=_retry(below),
        error_when=read_equals(below, "error_when"),
        error_path=below.text("error_path"),
        concurrency=below.whole("concurrency", 16, least=1, most=256),
        timeout_s=float(below.whole("timeout_s", 30, least=1, most=300)),
    )
    _check_hosts(below, hosts, scope)
    check_url(below, "base_url", read.base_url, scope.plain, hosts)
    if "?" in read.base_url:
        below.problem("`api.base_url` has no query; give actions a hidden parameter", "base_url")
    _check_headers(below, read, scope)
    below.close()
    return read


def _credential(form: Form, auth: Auth, scope: Scope) -> tuple[dict[str, str], dict[str, str], tuple[str, str] | None]:
    headers, query, basic = form.mapped("auth"), form.mapped("auth_query"), _basic(form)
    known = scope.plain | scope.secret
    for key, written in (("auth", headers), ("auth_query", query), ("basic", dict(enumerate(basic or ())))):
        for value in written.values():
            check_fields(form, key, value, known)
    if not (headers or query or basic) and (auth.kind in OAUTH_KINDS):
        headers = {"Authorization": "Bearer {access_token}"}
    used = {name for value in (*headers.values(), *query.values(), *(basic or ())) for name in FIELD.findall(value)}
    if auth.kind is AuthKind.NONE and (headers or query or basic):
        form.problem("`auth.kind: none` sends no credential; put fixed headers into `api.headers`", "auth")
    elif auth.kind is not AuthKind.NONE and not used & scope.secret:
        form.problem('nothing of the credential is sent; say how, such as `auth: {Authorization: "Bearer {api_key}"}`')
    return headers, query, basic


def _basic(form: Form) -> tuple[str, str] | None:
    below = form.sub("basic")
    if below is None:
        return None
    if any(name.lower() == "authorization" for name in form.mapped("auth")):
        below.problem("`api.basic` and `api.auth` both set `Authorization`; keep one")
    read = below.text("user", required=True), below.text("password", default="") if below.has("password") else ""
    below.close()
    return read


def _retry(form: Form) -> Retry:
    below = form.sub("retry")
    if below is None:
        return Retry()
    on = below.json("on", list(Retry().on))
    statuses = [each for each in on if type(each) is int and each in _STATUSES] if isinstance(on, list) else []
    if not isinstance(on, list) or len(statuses) != len(on):
        below.problem("`api.retry.on` is a list of HTTP statuses from 400 to 599", "on")
    after = below.texts("after") if below.has("after") else Retry().after
    read = Retry(tuple(statuses), tuple(map(str.lower, after)), tuple(map(str.lower, below.texts("at"))))
    below.close()
    return read


def _check_hosts(form: Form, hosts: tuple[str, ...], scope: Scope) -> None:
    if not hosts:
        form.problem("`api.allowed_hosts` is missing: name the hosts that may see the credential", "allowed_hosts")
    for host in hosts:
        if not field_names(form, "allowed_hosts", host):
            if host != host.lower() or not is_allowed(host):
                why = "write a host such as `api.example.com`, or `*.example.com` for those below it"
                form.problem(f"`{host}` is not a host: {why}, without scheme, port and path", "allowed_hosts")
        else:
            check_fields(form, "allowed_hosts", host, scope.typed)


def _check_headers(form: Form, api: Api, scope: Scope) -> None:
    taken = {name.lower() for name in api.auth} | ({"authorization"} if api.basic else set())
    for name, value in api.headers.items():
        check_fields(form, "headers", value, scope.plain)
        if name.lower() in NEVER_SET | taken or not is_header(name, value):
            form.problem(f"`api.headers.{name}` is not a header that a file may set here", "headers")
    for name, value in api.auth.items():
        if name.lower() in NEVER_SET or not is_header(name, value):
            form.problem(f"`api.auth.{name}` is not a header that a file may set", "auth")
