"""The text of a connector's file to a ``Definition``, or every problem with its file and line.

Types and unknown keys are judged, and meaning too: what a definition says must be able to work, and must not be able to
send a credential anywhere but to the hosts it names. This file knows no disk and no network.
"""

import re
from collections.abc import Sequence
from typing import Final

from connectors.definition.form import Form
from connectors.definition.patterns import LONGEST_VALUE, unfit
from connectors.definition.reading_actions import read_actions
from connectors.definition.reading_api import read_api
from connectors.definition.reading_auth import read_auth
from connectors.definition.reading_parts import read_equals
from connectors.definition.scope import Scope, check_fields, check_url, field_names
from connectors.definition.terms import Auth, AuthKind, Definition, Identity, Input
from gateway.plain_yaml import Fields, UnfitError, read_tree
from gateway.policy.terms import Place, Problem

LARGEST: Final = 4 * 2**20
"""Characters of one file."""

DEPTH: Final = 48

CHECKED: Final = re.compile(r"20[0-9]{2}-(?:0[1-9]|1[0-2])")

_ID: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")
_OURS: Final = ("access_token", "client_id")
"""Names in templates that no input may take."""

_ANYTHING: Final = r"^[^\x00-\x1f\x7f]{1,2000}$"


class DefinitionError(Exception):
    """A definition cannot be used; ``problems`` names every fault with its file and line."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = tuple(problems)


def read_definition(text: str, file: str) -> Definition:
    """The definition that ``text`` holds; ``file`` is how problems call it. Raises ``DefinitionError``."""
    try:
        tree = read_tree(text, largest=LARGEST, depth=DEPTH)
        if not isinstance(tree, Fields):
            raise UnfitError("a definition is a mapping; begin it with `id:`", tree.line)
    except UnfitError as unfit_text:
        raise DefinitionError([Problem(Place(file, unfit_text.line), str(unfit_text))]) from None
    problems: list[Problem] = []
    definition = _definition(Form(file, tree, problems))
    if problems:
        raise DefinitionError(sorted(problems, key=lambda problem: problem.place.line or 0))
    return definition


def _definition(form: Form) -> Definition:
    id = form.text("id", required=True)
    if id and _ID.fullmatch(id) is None:
        form.problem(f"`{id}` is not an id: up to 32 of a to z, 0 to 9, `_` and `-`, neither in front", "id")
    inputs = tuple(_input(name, each) for name, each in form.subs("inputs"))
    auth = read_auth(form)
    scope = Scope.of(auth, inputs)
    api = read_api(form, auth, scope)
    scope = scope.reaching(api.allowed_hosts)
    definition = Definition(
        id=id,
        title=form.text("title", required=True, most=100),
        description=form.text("description"),
        categories=form.texts("categories"),
        docs=form.text("docs"),
        checked=form.text("checked"),
        tested=form.text("tested"),
        inputs=inputs,
        auth=auth,
        api=api,
        identity=_identity(form, scope),
        actions=read_actions(form, api),
    )
    form.close()
    _check_words(form, definition)
    _check_legs(form, auth, scope)
    _check_secrets(form, auth, inputs)
    _check_kept(form, auth, inputs)
    return definition


def _check_words(form: Form, definition: Definition) -> None:
    if definition.checked and CHECKED.fullmatch(definition.checked) is None:
        form.problem(f'`checked` is a month such as `"2026-11"`, not `{definition.checked}`', "checked")
    if definition.docs and not definition.docs.startswith("https://"):
        form.problem("`docs` begins with `https://`", "docs")
    for each in definition.categories:
        if re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,31}", each) is None:
            form.problem(f"`{each}` is not a category: small letters, digits, `_` and `-`", "categories")


def _input(name: str, form: Form) -> Input:
    read = Input(
        name=name,
        label=form.text("label", required=True, most=100),
        pattern=form.text("pattern", _ANYTHING),
        secret=form.flag("secret", default=False),
        optional=form.flag("optional", default=False),
        default=form.text("default", most=LONGEST_VALUE),
        help=form.text("help"),
    )
    if _NAME.fullmatch(name) is None or name in _OURS:
        form.problem(f"`{name}` is not a name of an input; write letters, digits, `_` and `-`, but none of `{_ours()}`")
    if why := unfit(read.pattern):
        form.problem(f"`{form.named('pattern')}` {why}", "pattern")
    elif read.default and re.fullmatch(read.pattern, read.default) is None:
        form.problem(f"`{form.named('default')}` does not match the pattern", "default")
    if not read.secret and not form.has("pattern"):
        form.problem(f"`{form.named('pattern')}` is missing: say which values are accepted, between `^` and `$`")
    if read.secret and read.default:
        form.problem("a secret has no default", "default")
    form.close()
    return read


def _ours() -> str:
    return "`, `".join(_OURS)


def _identity(form: Form, scope: Scope) -> Identity | None:
    below = form.sub("identity")
    if below is None:
        return None
    read = Identity(
        url=below.text("url", required=True),
        id=below.text("id", required=True),
        label=below.text("label", required=True),
        method=below.text("method", "GET"),
        body=below.json("body"),
        error_when=read_equals(below, "error_when"),
    )
    if read.method not in ("GET", "POST"):
        below.problem(f"`{below.named('method')}` is `GET` or `POST`", "method")
    elif read.method == "GET" and read.body is not None:
        below.problem(f"`{below.named('body')}` needs `method: POST`", "body")
    check_url(below, "url", read.url, scope.plain, scope.hosts)
    field_names(below, "label", read.label)
    below.close()
    return read


def _check_legs(form: Form, auth: Auth, scope: Scope) -> None:
    below = form.sub("auth")
    if below is None or auth.oauth is None:
        return
    oauth = auth.oauth
    for key in ("authorize_url", "token_url", "refresh_url", "issuer"):
        hosts = () if key == "issuer" else scope.hosts
        check_url(below, key, getattr(oauth, key), scope.legs, hosts)
    revoke = below.sub("revoke")
    if revoke is not None:
        check_url(revoke, "url", oauth.revoke_url, scope.legs, scope.hosts)
    for key in ("authorize_params", "token_params", "token_headers"):
        for value in getattr(oauth, key).values():
            check_fields(below, key, value, frozenset())


def _check_secrets(form: Form, auth: Auth, inputs: tuple[Input, ...]) -> None:
    secrets = [each.name for each in inputs if each.secret]
    needs = auth.kind in (AuthKind.API_KEY, AuthKind.BASIC, AuthKind.BEARER)
    if needs and not secrets:
        form.problem(f"`auth.kind: {auth.kind}` needs an input with `secret: true`", "auth")
    if auth.kind is AuthKind.NONE and secrets:
        form.problem(f"`auth.kind: none` sends no credential; remove the secret input `{secrets[0]}`", "inputs")


def _check_kept(form: Form, auth: Auth, inputs: tuple[Input, ...]) -> None:
    """What a platform tells must not pass for what a person typed, nor for a secret."""
    oauth = auth.oauth
    for path in () if oauth is None else (*oauth.answer.keep, *oauth.callback_keep):
        if path in _OURS or path in {each.name for each in inputs}:
            form.problem(f"`{path}` is kept of what the platform tells, and is the name of an input too", "auth")
