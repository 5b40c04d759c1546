"""A definition that says everything once, and what the tests of reading share."""

from connectors.definition.reading import DefinitionError, read_definition
from connectors.definition.terms import Definition

FILE = "catalog/desk.yaml"

EVERYTHING = """\
id: desk
title: Desk
description: Tickets and people.
categories: [support, chat]
docs: https://docs.desk.example
checked: "2026-11"
tested: nothing
auth:
  kind: oauth2
  authorize_url: https://{region}.desk.example/oauth/authorize
  token_url: https://{region}.desk.example/oauth/token
  issuer: https://{region}.desk.example
  iss_promised: false
  refresh_url: https://{region}.desk.example/oauth/refresh
  revoke: {url: "https://{region}.desk.example/apps/{client_id}/grant", how: delete}
  client_auth: post
  token_body: json
  pkce: off
  pkce_off_reason: it answers 400 to a challenge
  scopes: {separator: ",", param: scope, default: [tickets, people], also: {user_scope: [search]}}
  authorize_params: {prompt: consent}
  token_params: {lifetime: "3600"}
  token_headers: {Desk-Version: "4"}
  callback_keep: [realm]
  answer:
    ok_when: {path: ok, equals: true}
    error_path: error.code
    access: [user.access_token, access_token]
    refresh: refresh_token
    scope: [user.scope, scope]
    keep: [team.id, instance_url]
    expires: {path: [user.expires_in, expires_in], unit: ms, default: 7200}
  renewal: {reuse_grace_s: 5, margin_s: 60, idle_days: 30, needs_scope: true}
inputs:
  region: {label: Region, pattern: "^[a-z]{2}$", default: eu, help: Where it lives}
  extra: {label: Extra, pattern: "^[a-z]{1,9}$", secret: true, optional: true}
identity:
  method: POST
  url: https://{region}.desk.example/me
  id: user.id
  label: "{user.name} @ {team}"
  body: {full: true}
  error_when: {path: ok, equals: false}
api:
  base_url: https://{region}.desk.example/api/{team.id}
  allowed_hosts: ["*.desk.example", files.example]
  auth: {X-Token: "Token {access_token}", X-Extra: "{extra}"}
  auth_query: {key: "{extra}"}
  headers: {X-Team: "{team.id}"}
  retry: {on: [429], after: [Retry-After], at: [X-Reset]}
  error_when: {path: ok, equals: false}
  error_path: error.text
  concurrency: 4
  timeout_s: 20
actions:
  list_tickets:
    title: List tickets
    description: Tickets of a person.
    risk: read
    request: GET /people/{person}/tickets/{path*}
    path: {person: {type: string}, path: {type: string}}
    query: {state: {enum: [open, on, all]}, labels: {type: array, items: {type: string}}, since: {$ref: "#/$defs/day"}}
    header: {trace: {type: string}}
    required: [state]
    wire: {labels: "label", trace: X-Trace}
    styles: {labels: comma}
    hidden: {version: {in: query, value: "2"}}
    headers: {X-Fixed: "1"}
    scopes: [tickets]
    defs: {day: {type: string}}
    paging: {kind: cursor, param: cursor, next: next.cursor, more: next.more, items: tickets, size_param: limit, size: 50, most: 3}
    error_when: {path: errors, present: true}
    pick: tickets
    max_bytes: 5000
  create_ticket:
    title: Create a ticket
    description: A new one.
    resource: tickets
    risk: write
    request: POST /graphql
    body: {title: {type: string}, urgent: {type: boolean, default: false}}
    required: [title]
    wire: {title: variables.input.title, urgent: 'variables.input.is\\.urgent'}
    constants: {query: "mutation($input: New!) { make(input: $input) { id } }"}
    idempotent: true
    idempotency_header: Idempotency-Key
  put_file:
    title: Put a file
    description: Its content.
    risk: destructive
    request: PUT /file
    body: {content: {type: string}}
    coding: raw
    content_type: text/csv
    whole_body: content
  send_mail:
    title: Send
    description: A mail.
    risk: write
    request: POST /mail
    body: {to: {type: array, items: {type: string}}}
    mail: message.raw
"""


def read(text: str) -> Definition:
    try:
        return read_definition(text, FILE)
    except DefinitionError as error:
        raise AssertionError(str(error)) from None


def problems(text: str) -> list[str]:
    try:
        read_definition(text, FILE)
    except DefinitionError as error:
        return [str(problem) for problem in error.problems]
    raise AssertionError("there is no problem")


def changed(old: str, new: str) -> str:
    assert EVERYTHING.count(old) == 1, f"{EVERYTHING.count(old)} times: {old}"
    return EVERYTHING.replace(old, new)


def line_of(part: str, text: str = EVERYTHING) -> int:
    return text[: text.index(part)].count("\n") + 1
