"""What a definition says must be able to work, and must not be able to send a credential elsewhere."""

import pytest

from connectors.definition import terms as t
from connectors.definition.fixing import fixed_inputs
from tests.connectors.definition.texts import EVERYTHING, changed, problems, read

SMALL = """\
id: small
title: Small
auth: {kind: api_key}
inputs: {api_key: {label: Key, secret: true}}
api:
  base_url: https://api.small.example
  allowed_hosts: [api.small.example]
  auth: {X-Key: "{api_key}"}
"""


def told(text: str) -> str:
    return "\n".join(problems(text))


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        # names in templates
        ("/api/{team.id}", "/api/{team}", "`api.base_url` names `{team}`, which there is not; did you mean `team.id`?"),
        ("/api/{team.id}", "/api/{access_token}", "`api.base_url` names `{access_token}`"),
        ("/api/{team.id}", "/api/{extra}", "`api.base_url` names `{extra}`"),
        ("/api/{team.id}", "/api/{team.id", "holds a brace that is not part of a `{name}`"),
        ('X-Team: "{team.id}"', 'X-Team: "{extra}"', "`api.headers` names `{extra}`"),
        ("Token {access_token}", "Token {acces_token}", "`api.auth` names `{acces_token}`, which there is not; did you mean"),
        ("/oauth/authorize", "/oauth/{team.id}", "`auth.authorize_url` names `{team.id}`"),
        ("/oauth/token", "/oauth/{access_token}", "`auth.token_url` names `{access_token}`"),
        ("prompt: consent", 'prompt: "{region}"', "`auth.authorize_params` names `{region}`"),
        ("{user.name} @ {team}", "{user.name} @ {", "`identity.label`: "),
        ("https://{region}.desk.example/me", "https://{regio}.desk.example/me", "`identity.url` names `{regio}`"),
        ('["*.desk.example", files.example]', '["*.desk.example", "{team.id}"]', "`api.allowed_hosts` names `{team.id}`"),
        # where credentials go
        ("https://{region}.desk.example/oauth/token", "http://{region}.desk.example/oauth/token", "`auth.token_url` is not `https`"),
        ("https://{region}.desk.example/oauth/token", "https://evil.example/token", "`auth.token_url` leads to `evil.example`"),
        ("https://{region}.desk.example/oauth/token", "https://desk.example/token", "leads to `desk.example`"),
        ("https://{region}.desk.example/oauth/token", "https://{region}.desk.example.evil.example/", "is not in `api.allowed_hosts`"),
        ("https://{region}.desk.example/oauth/token", "https://x@a.desk.example/", "is not an absolute https URL"),
        ("https://{region}.desk.example/oauth/token", "/oauth/token", "is not an absolute https URL"),
        ("https://{region}.desk.example/oauth/token", "https://a.desk.example/#x", "is not an absolute https URL"),
        ("https://{region}.desk.example/me", "https://who.example/me", "`identity.url` leads to `who.example`"),
        ("https://{region}.desk.example/api/{team.id}", "https://api.example", "`api.base_url` leads to `api.example`"),
        ("https://{region}.desk.example/api/{team.id}", "https://a.desk.example/api?x=1", "`api.base_url` has no query"),
        ('["*.desk.example", files.example]', '["*.example"]', "`*.example` is not a host"),
        ('["*.desk.example", files.example]', '["*"]', "`*` is not a host"),
        ('["*.desk.example", files.example]', '["https://a.desk.example"]', "is not a host"),
        ('["*.desk.example", files.example]', '["a.desk.example:443"]', "is not a host"),
        ('["*.desk.example", files.example]', '["A.desk.example"]', "is not a host"),
        ('["*.desk.example", files.example]', '["2130706433"]', "is not a host"),
        ('["*.desk.example", files.example]', "[]", "`api.allowed_hosts` is missing"),
        ("keep: [team.id, instance_url]", "keep: [team.id, access_token]", "`access_token` is a token, which is never kept in the open"),
        ("keep: [team.id, instance_url]", "keep: [team.id, region]", "`region` is kept of what the platform tells, and is the name of an input too"),
        ("callback_keep: [realm]", "callback_keep: [access_token]", "`access_token` is kept of what the platform tells"),
        # headers and parameters that are ours
        ("X-Team: ", "Host: ", "`api.headers.Host` is not a header that a file may set here"),
        ("X-Team: ", "x-token: ", "`api.headers.x-token` is not a header that a file may set here"),
        ("X-Team: ", '"X Team": ', "is not a header that a file may set here"),
        ('X-Extra: "{extra}"', 'Transfer-Encoding: "{extra}"', "`api.auth.Transfer-Encoding`"),
        ("trace: X-Trace", "trace: Authorization", "`trace` would set the header `Authorization`"),
        ("trace: X-Trace", "trace: cookie", "`trace` would set the header `cookie`"),
        ("trace: X-Trace", "trace: HOST", "`trace` would set the header `HOST`"),
        ("trace: X-Trace", "trace: x-token", "`trace` would set the header `x-token`"),
        ("trace: X-Trace", "trace: x-team", "`trace` would set the header `x-team`"),
        ("trace: X-Trace", "trace: X-Fixed", "`trace` would set the header `X-Fixed`"),
        ("trace: X-Trace", "trace: 'X\u00e9'", "`trace` would set the header"),
        ('labels: "label"', "labels: key", "`labels` would set the parameter `key` of the credential"),
        ('X-Fixed: "1"', 'X-Token: "1"', "`actions.list_tickets.headers.X-Token` is not a header that an action may set"),
        ("idempotency_header: Idempotency-Key", "idempotency_header: X-Token", "`X-Token` is not a header that an action may set"),
        ("prompt: consent", "state: x", "`auth.authorize_params.state` is a parameter of the protocol itself"),
        ('lifetime: "3600"', 'client_secret: "x"', "`auth.token_params.client_secret` is a parameter of the protocol itself"),
        ("param: scope", "param: redirect_uri", "`redirect_uri` is a parameter of the protocol itself"),
        ('Desk-Version: "4"', 'authorization: "4"', "`auth.token_headers.authorization` is not a header that a file may set"),
        # what belongs together
        ("  pkce_off_reason: it answers 400 to a challenge\n", "", "`pkce: off` and `pkce_off_reason` belong together"),
        ("  pkce: off\n", "", "`pkce: off` and `pkce_off_reason` belong together"),
        ("  issuer: https://{region}.desk.example\n", "", "`auth.iss_promised` says nothing without `issuer`"),
        ("token_body: json", "token_body: raw", "`auth.token_body` is `form` or `json`"),
        ('revoke: {url: "https://{region}.desk.example/apps/{client_id}/grant", how: delete}', "revoke: {url: 'https://a.desk.example/', how: none}", "`how: none` asks no URL"),
        ("size_param: limit, size: 50", "size: 50", "`size_param` and `size` belong together"),
        ("{path: errors, present: true}", "{path: errors}", "needs either `equals: VALUE` or `present: true`"),
        ("{path: errors, present: true}", "{path: errors, equals: 1, present: true}", "needs either `equals: VALUE` or `present: true`"),
        ('value: "2"', "value: null", "`actions.list_tickets.hidden.version.value` is missing"),
        ("risk: read", "risk: write", "only an action of `risk: read` can have `paging`"),
        ("method: POST\n", "method: GET\n", "`identity.body` needs `method: POST`"),
        ("method: POST\n", "method: PUT\n", "`identity.method` is `GET` or `POST`"),
        # inputs
        ('pattern: "^[a-z]{2}$"', 'pattern: "[a-z]{2}"', "`inputs.region.pattern` must begin with `^` and end with `$`"),
        ('pattern: "^[a-z]{2}$"', 'pattern: "^([a-z]+)+$"', "`inputs.region.pattern` repeats a group that can match in more than one way"),
        ('pattern: "^[a-z]{2}$", ', "", "`inputs.region.pattern` is missing"),
        ("default: eu", "default: EU", "`inputs.region.default` does not match the pattern"),
        ("secret: true, optional", "secret: true, default: abc, optional", "a secret has no default"),
        ("  extra: {label", "  client_id: {label", "`client_id` is not a name of an input"),
        # actions
        ("list_tickets:", "List_tickets:", "`List_tickets` is not the id of an action"),
        ("list_tickets:", "list__tickets:", "`list__tickets` is not the id of an action"),
        ("GET /people/{person}", "FETCH /people/{person}", "`actions.list_tickets.request` is such as `GET /items`"),
        ("GET /people/{person}", "GET people/{person}", "is not a path that begins with `/`, without query"),
        ("GET /people/{person}", "GET /people?x=/{person}", "is not a path that begins with `/`, without query"),
        ("GET /people/{person}", "GET /people/{+person}", "is not a path that begins with `/`, without query"),
        ("GET /people/{person}", "GET /people/{who}", "`actions.list_tickets.request` names `{who}`, which stands not in `path`"),
        ("GET /people/{person}", "GET /people", "the path argument `person` stands not in `actions.list_tickets.request`"),
        ("state: {enum: [open, on, all]}", "person: {enum: [open, on, all]}", "the argument `person` stands in two places"),
        ("required: [state]", "required: [stat]", "`actions.list_tickets.required` names `stat`, which is no argument there; did you mean `state`?"),
        ("required: [state]", "required: [person]", "`actions.list_tickets.required` names `person`"),
        ("styles: {labels: comma}", "styles: {label: comma}", "`actions.list_tickets.styles` names `label`"),
        ("styles: {labels: comma}", "styles: {labels: commas}", "`actions.list_tickets.styles.labels` is one of"),
        ("wire: {labels:", "wire: {lables:", "`actions.list_tickets.wire` names `lables`"),
        ("trace: {type: string}", "trace: 1", "`actions.list_tickets.header.trace` is a JSON schema"),
        ("trace: {type: string}", "'a b': {type: string}", "`a b` is not the name of an argument"),
        ('$ref: "#/$defs/day"', '$ref: "#/$defs/month"', "the schema of `actions.list_tickets` cannot be used"),
        ("state: {enum: [open, on, all]}", "state: {type: strang}", "the schema of `actions.list_tickets` cannot be used"),
        ("urgent: 'variables.input.is\\.urgent'", "urgent: variables.input", "`urgent` and `title` take the same place in the body"),
        ("urgent: 'variables.input.is\\.urgent'", "urgent: query", "`urgent` takes the place of a constant"),
        ("urgent: 'variables.input.is\\.urgent'", "urgent: query.x", "`urgent` takes the place of a constant"),
        ("PUT /file", "GET /file", "a `GET` has no body"),
        ("whole_body: content", "whole_body: contents", "`contents` is the whole body, so nothing else is in it"),
        ("    whole_body: content\n", "", "`coding: raw` sends one argument; name it in `whole_body`"),
        ("coding: raw", "coding: json", "`content_type` is for `coding: raw`"),
        ("max_bytes: 5000", "max_bytes: 5", "`actions.list_tickets.max_bytes` is a whole number from 1000 to 10000000"),
        ("    description: Its content.\n", "", "`actions.put_file.description` is missing"),
        ("risk: destructive", "risk: harmless", "`actions.put_file.risk` is one of `read`, `write`, `destructive`"),
        ("    risk: destructive\n", "", "`actions.put_file.risk` is missing"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused(old, new, sentence):
    assert sentence in told(changed(old, new))


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("auth: {kind: api_key}", "auth: {kind: none}", "`auth.kind: none` sends no credential"),
        ("kind: api_key", "kind: api_key, token_url: https://x.example", "`auth.token_url` is not known here"),
        ("inputs: {api_key: {label: Key, secret: true}}\n", "", "`auth.kind: api_key` needs an input with `secret: true`"),
        ('  auth: {X-Key: "{api_key}"}\n', "", "nothing of the credential is sent"),
        ('{X-Key: "{api_key}"}', "{X-Key: fixed}", "nothing of the credential is sent"),
        ("kind: api_key}", "kind: oauth2, authorize_url: https://api.small.example/a}", "`auth.token_url` is missing"),
        ("kind: api_key}", "kind: oauth2, token_url: https://api.small.example/a}", "`auth.authorize_url` is missing"),
        ("kind: api_key}", "kind: oauth2_client_credentials, token_url: 'https://api.small.example/a', authorize_url: 'https://api.small.example/a'}", "`auth.authorize_url` is not for `oauth2_client_credentials`"),
        ('  auth: {X-Key: "{api_key}"}', '  auth: {authorization: "{api_key}"}\n  basic: {user: "{api_key}"}', "`api.basic` and `api.auth` both set `Authorization`"),
    ],
)  # fmt: skip
def test_the_credential_of_each_kind_is_complete(old, new, sentence):
    assert SMALL.count(old) == 1
    assert sentence in told(SMALL.replace(old, new))


def test_the_smallest_definitions_of_each_kind_are_read():
    assert read(SMALL).auth == t.Auth(t.AuthKind.API_KEY)
    basic = SMALL.replace('auth: {X-Key: "{api_key}"}', 'basic: {user: "{api_key}"}').replace(
        "kind: api_key", "kind: basic"
    )
    assert read(basic).api.basic == ("{api_key}", "")
    machine = SMALL.replace("kind: api_key", "kind: oauth2_client_credentials, token_url: https://api.small.example/t")
    bearer = machine.replace('  auth: {X-Key: "{api_key}"}\n', "").replace(
        "inputs: {api_key: {label: Key, secret: true}}\n", ""
    )
    assert read(bearer).api.auth == {"Authorization": "Bearer {access_token}"}
    nothing = SMALL.replace("kind: api_key", "kind: none").replace('  auth: {X-Key: "{api_key}"}\n', "")
    assert read(nothing.replace("inputs: {api_key: {label: Key, secret: true}}\n", "")).actions == ()


def test_plain_http_is_for_loopback_alone():
    local = SMALL.replace("https://api.small.example", "http://127.0.0.1:8000").replace(
        "[api.small.example]", "[127.0.0.1]"
    )
    assert read(local).api.base_url == "http://127.0.0.1:8000"
    assert "`api.base_url` is not `https`" in told(local.replace("127.0.0.1", "10.0.0.1"))


def test_a_base_url_may_be_what_was_typed_or_told_whole():
    typed = SMALL.replace("inputs: {", 'inputs: {url: {label: URL, pattern: "^https://[a-z.]{1,90}$"}, ')
    typed = typed.replace("https://api.small.example", '"{url}/v1"').replace("[api.small.example]", '["{url}"]')
    assert read(typed).api.allowed_hosts == ("{url}",)
    assert "names `{instance_url}`" in told(typed.replace('["{url}"]', '["{instance_url}"]'))
    assert (
        read(changed("https://{region}.desk.example/api/{team.id}", '"{instance_url}"')).api.base_url
        == "{instance_url}"
    )


@pytest.mark.parametrize(
    ("url", "fixed"),
    [
        ("https://{region}.desk.example/oauth/token", ()),
        ("https://files.example/{region}", ()),
        ("https://{region}.example/oauth/token", ("region",)),
        ("https://{region}/oauth/token", ("region",)),
        ("{region}", ("region",)),
        ("{region}/oauth/token", ("region",)),
        ("https://{region}desk.example.com/", ("region",)),
    ],
)
def test_inputs_that_alone_say_where_the_client_s_secret_goes_are_for_the_operator(url, fixed):
    text = changed("token_url: https://{region}.desk.example/oauth/token", f'token_url: "{url}"')
    text = text.replace(
        '["*.desk.example", files.example]',
        '["*.desk.example", files.example, "{region}", "{region}.example", "{region}desk.example.com"]',
    )
    assert fixed_inputs(read(text)) == frozenset(fixed)
    assert fixed_inputs(read(SMALL)) == frozenset()


def test_the_example_of_everything_has_no_problem():
    assert len(read(EVERYTHING).actions) == 4
