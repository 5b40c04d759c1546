"""The part ``auth`` of a definition: of which kind it is, and the legs of OAuth."""

import re
from collections.abc import Iterator
from typing import Final

from connectors.definition.form import Form
from connectors.definition.reading_parts import read_equals
from connectors.definition.terms import (
    Auth,
    AuthKind,
    ClientAuth,
    Coding,
    Expiry,
    OAuth,
    Pkce,
    Renewal,
    Revocation,
    Scopes,
    TokenAnswer,
)

OAUTH_KINDS: Final = (AuthKind.OAUTH2, AuthKind.CLIENT_CREDENTIALS)

UNITS: Final = ("s", "ms", "at")

_PROTOCOL: Final = frozenset(
    {
        *("response_type", "client_id", "client_secret", "redirect_uri", "state", "nonce", "code", "code_verifier"),
        *("code_challenge", "code_challenge_method", "grant_type", "refresh_token", "resource", "request"),
        "request_uri",
    }
)
"""Parameters of the protocol itself, which no file may set."""

_HEADERS: Final = frozenset(("authorization", "cookie", "host", "content-type", "content-length", "transfer-encoding"))


def read_auth(form: Form) -> Auth:
    below = form.sub("auth")
    if below is None:
        form.problem(f"`auth` is missing; write `auth: {{kind: KIND}}` with one of `{'`, `'.join(AuthKind)}`")
        return Auth(AuthKind.NONE)
    kind = below.choice("kind", AuthKind, None)
    if kind not in OAUTH_KINDS:
        if kind is not None:  # else its keys may well be right
            below.close()
        return Auth(kind or AuthKind.NONE)
    oauth = _oauth(below, kind)
    below.close()
    return Auth(kind, oauth)


def _oauth(form: Form, kind: AuthKind) -> OAuth:
    revoke_url, revocation = _revoke(form)
    read = OAuth(
        authorize_url=form.text("authorize_url", required=kind is AuthKind.OAUTH2),
        token_url=form.text("token_url", required=True),
        issuer=form.text("issuer"),
        iss_promised=form.flag("iss_promised", default=True),
        refresh_url=form.text("refresh_url"),
        revoke_url=revoke_url,
        revocation=revocation,
        client_auth=form.choice("client_auth", ClientAuth, ClientAuth.BASIC) or ClientAuth.BASIC,
        token_body=form.choice("token_body", Coding, Coding.FORM) or Coding.FORM,
        pkce=form.choice("pkce", Pkce, Pkce.REQUIRED) or Pkce.REQUIRED,
        pkce_off_reason=form.text("pkce_off_reason"),
        scopes=_scopes(form),
        authorize_params=_parameters(form, "authorize_params"),
        token_params=_parameters(form, "token_params"),
        token_headers=form.mapped("token_headers"),
        callback_keep=form.texts("callback_keep"),
        answer=_answer(form),
        renewal=_renewal(form),
    )
    _check_oauth(form, read, kind)
    return read


def _check_oauth(form: Form, oauth: OAuth, kind: AuthKind) -> None:
    if kind is AuthKind.CLIENT_CREDENTIALS and oauth.authorize_url:
        form.problem("`auth.authorize_url` is not for `oauth2_client_credentials`: nobody is asked", "authorize_url")
    if oauth.token_body not in (Coding.FORM, Coding.JSON):
        form.problem("`auth.token_body` is `form` or `json`", "token_body")
    if (oauth.pkce is Pkce.OFF) != bool(oauth.pkce_off_reason):
        form.problem("`pkce: off` and `pkce_off_reason` belong together: say why the platform cannot take it", "pkce")
    if form.has("iss_promised") and not oauth.issuer:
        form.problem("`auth.iss_promised` says nothing without `issuer`", "iss_promised")
    for name, value in oauth.token_headers.items():
        if name.lower() in _HEADERS or not is_header(name, value):
            form.problem(f"`{form.named('token_headers')}.{name}` is not a header that a file may set", "token_headers")


def is_header(name: str, value: str) -> bool:
    """Whether both can stand in a header as they are (RFC 9110 §5)."""
    return (
        re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name) is not None
        and re.fullmatch(r"[\x20-\x7e]*", value) is not None
    )


def _revoke(form: Form) -> tuple[str, Revocation]:
    below = form.sub("revoke")
    if below is None:
        return "", Revocation.NONE
    how = below.choice("how", Revocation, Revocation.RFC7009) or Revocation.RFC7009
    url = below.text("url", required=how is not Revocation.NONE)
    if how is Revocation.NONE and url:
        below.problem("`how: none` asks no URL; remove it", "url")
    below.close()
    return url, how


def _scopes(form: Form) -> Scopes:
    below = form.sub("scopes")
    if below is None:
        return Scopes()
    also = below.sub("also")
    read = Scopes(
        separator=below.text("separator", " "),
        param=below.text("param", "scope"),
        default=below.texts("default"),
        also={} if also is None else dict(_lists(also)),
    )
    for name in (read.param, *read.also):
        if name in _PROTOCOL:
            below.problem(f"`{name}` is a parameter of the protocol itself", "also" if name in read.also else "param")
    if read.separator not in (" ", ",", "+", ";"):
        below.problem("`separator` is a space, `,`, `+` or `;`, in quotes", "separator")
    below.close()
    return read


def _lists(form: Form) -> Iterator[tuple[str, tuple[str, ...]]]:
    return ((name, form.texts(name)) for name in form.names())


def _parameters(form: Form, key: str) -> dict[str, str]:
    read = form.mapped(key)
    for name in read:
        if name in _PROTOCOL:
            form.problem(f"`{form.named(key)}.{name}` is a parameter of the protocol itself; remove it", key)
    return read


def _answer(form: Form) -> TokenAnswer:
    below = form.sub("answer")
    if below is None:
        return TokenAnswer()
    read = TokenAnswer(
        ok_when=read_equals(below, "ok_when"),
        error_path=below.text("error_path", "error"),
        access=below.texts("access") or ("access_token",),
        refresh=below.texts("refresh") or ("refresh_token",),
        scope=below.texts("scope") or ("scope",),
        keep=below.texts("keep"),
        expires=_expiry(below),
    )
    for path in read.keep:
        if path in (*read.access, *read.refresh):
            below.problem(f"`{path}` is a token, which is never kept in the open", "keep")
    below.close()
    return read


def _expiry(form: Form) -> Expiry:
    below = form.sub("expires")
    if below is None:
        return Expiry()
    path, unit = below.texts("path") or Expiry().path, below.text("unit", Expiry().unit)
    default = below.whole("default", 0, least=1, most=10**9) if below.has("default") else None
    if unit not in UNITS:
        below.problem(f"`{below.named('unit')}` is one of `{'`, `'.join(UNITS)}`", "unit")
    below.close()
    return Expiry(path, unit, default)


def _renewal(form: Form) -> Renewal:
    below = form.sub("renewal")
    if below is None:
        return Renewal()
    read = Renewal(
        reuse_grace_s=below.whole("reuse_grace_s", 0, least=0, most=3_600),
        margin_s=below.whole("margin_s", 300, least=0, most=86_400),
        idle_days=below.whole("idle_days", 1, least=1, most=3_650) if below.has("idle_days") else None,
        needs_scope=below.flag("needs_scope", default=False),
    )
    below.close()
    return read
