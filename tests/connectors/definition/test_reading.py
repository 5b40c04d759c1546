"""A connector's file is read strictly: what it says arrives, and every slip is told with its line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.definition import terms as t
from connectors.definition.folder import SHIPPED
from connectors.definition.reading import DefinitionError, read_definition
from connectors.definition.schemas import input_schema
from gateway.policy.terms import Place, Problem
from tests.connectors.definition.texts import EVERYTHING, FILE, changed, line_of, problems, read


def test_everything_that_a_file_says_arrives():
    read_ = read(EVERYTHING)
    assert (read_.id, read_.title, read_.description) == ("desk", "Desk", "Tickets and people.")
    assert (read_.categories, read_.docs) == (("support", "chat"), "https://docs.desk.example")
    assert (read_.checked, read_.tested) == ("2026-11", "nothing")
    assert read_.auth == t.Auth(
        t.AuthKind.OAUTH2,
        t.OAuth(
            authorize_url="https://{region}.desk.example/oauth/authorize",
            token_url="https://{region}.desk.example/oauth/token",
            issuer="https://{region}.desk.example",
            iss_promised=False,
            refresh_url="https://{region}.desk.example/oauth/refresh",
            revoke_url="https://{region}.desk.example/apps/{client_id}/grant",
            revocation=t.Revocation.DELETE,
            client_auth=t.ClientAuth.POST,
            token_body=t.Coding.JSON,
            pkce=t.Pkce.OFF,
            pkce_off_reason="it answers 400 to a challenge",
            scopes=t.Scopes(",", "scope", ("tickets", "people"), {"user_scope": ("search",)}),
            authorize_params={"prompt": "consent"},
            token_params={"lifetime": "3600"},
            token_headers={"Desk-Version": "4"},
            callback_keep=("realm",),
            answer=t.TokenAnswer(
                ok_when=t.Equals("ok", True),
                error_path="error.code",
                access=("user.access_token", "access_token"),
                refresh=("refresh_token",),
                scope=("user.scope", "scope"),
                keep=("team.id", "instance_url"),
                expires=t.Expiry(("user.expires_in", "expires_in"), "ms", 7200),
            ),
            renewal=t.Renewal(5, 60, 30, True),
        ),
    )
    assert read_.inputs == (
        t.Input("region", "Region", "^[a-z]{2}$", default="eu", help="Where it lives"),
        t.Input("extra", "Extra", "^[a-z]{1,9}$", secret=True, optional=True),
    )
    assert read_.identity == t.Identity(
        "https://{region}.desk.example/me",
        "user.id",
        "{user.name} @ {team}",
        "POST",
        {"full": True},
        t.Equals("ok", False),
    )
    assert read_.api == t.Api(
        base_url="https://{region}.desk.example/api/{team.id}",
        allowed_hosts=("*.desk.example", "files.example"),
        auth={"X-Token": "Token {access_token}", "X-Extra": "{extra}"},
        auth_query={"key": "{extra}"},
        headers={"X-Team": "{team.id}"},
        retry=t.Retry((429,), ("retry-after",), ("x-reset",)),
        error_when=t.Equals("ok", False),
        error_path="error.text",
        concurrency=4,
        timeout_s=20.0,
    )


def test_every_part_of_an_action_arrives():
    listing, creating, putting, sending = read(EVERYTHING).actions
    assert listing == t.Action(
        id="list_tickets",
        title="List tickets",
        description="Tickets of a person.",
        risk=t.Risk.READ,
        method="GET",
        path="/people/{person}/tickets/{path*}",
        parameters=(
            t.Parameter("person", t.Place.PATH, {"type": "string"}, required=True),
            t.Parameter("path", t.Place.PATH, {"type": "string"}, required=True),
            t.Parameter("state", t.Place.QUERY, {"enum": ["open", "on", "all"]}, required=True),
            t.Parameter(
                "labels", t.Place.QUERY, {"type": "array", "items": {"type": "string"}}, "label", style=t.Style.COMMA
            ),
            t.Parameter("since", t.Place.QUERY, {"$ref": "#/$defs/day"}),
            t.Parameter("trace", t.Place.HEADER, {"type": "string"}, "X-Trace"),
            t.Parameter("version", t.Place.QUERY, {}, required=True, default="2", hidden=True),
        ),
        scopes=("tickets",),
        defs={"day": {"type": "string"}},
        headers={"X-Fixed": "1"},
        paging=t.Paging(t.PageKind.CURSOR, "cursor", "next.cursor", "next.more", "tickets", "limit", 50, 3),
        error_when=t.Equals("errors", present=True),
        shown=t.Shown("tickets", 5000),
    )
    assert (creating.resource, creating.risk, creating.idempotent) == ("tickets", t.Risk.WRITE, True)
    assert creating.idempotency_header == "Idempotency-Key"
    assert creating.body == {"query": "mutation($input: New!) { make(input: $input) { id } }"}
    assert [each.wire for each in creating.parameters] == ["variables.input.title", "variables.input.is\\.urgent"]
    assert (putting.coding, putting.content_type, putting.whole_body) == (t.Coding.RAW, "text/csv", "content")
    assert sending.mail == "message.raw"


def test_the_schema_of_an_action_shows_what_callers_may_say_and_nothing_else():
    assert input_schema(read(EVERYTHING).actions[0]) == {
        "type": "object",
        "properties": {
            "person": {"type": "string"},
            "path": {"type": "string"},
            "state": {"enum": ["open", "on", "all"]},
            "labels": {"type": "array", "items": {"type": "string"}},
            "since": {"$ref": "#/$defs/day"},
            "trace": {"type": "string"},
        },
        "required": ["person", "path", "state"],
        "additionalProperties": False,
        "$defs": {"day": {"type": "string"}},
    }


@pytest.mark.parametrize("word", ["off", "on", "no", "yes", "No", "OFF", "y", "N"])
def test_only_true_and_false_are_truth_values(word):
    text = changed("{enum: [open, on, all]}", f"{{enum: [open, {word}, all]}}")
    assert read(text).actions[0].parameters[2].schema == {"enum": ["open", word, "all"]}
    assert problems(changed("needs_scope: true", f"needs_scope: {word}")) == [
        f"{FILE}:{line_of('needs_scope')}: `auth.renewal.needs_scope` is `true` or `false`"
    ]


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("title: Desk\n", "", "1: `title` is missing"),
        ("title: Desk\n", "titel: Desk\n", "2: `titel` is not known here; did you mean `title`?"),
        ("title: Desk\n", "title: [Desk]\n", "2: `title` is not a text; put it in quotes if it is meant to be one"),
        ("title: Desk\n", "title: 12\n", "2: `title` is not a text; put it in quotes if it is meant to be one"),
        ("title: Desk\n", "title: ''\n", "2: `title` is an empty text; leave it out, or fill it in"),
        ("title: Desk\n", 'title: "a\\eb"\n', "2: `title` is longer than 100 characters or holds control characters"),
        (
            "title: Desk\n",
            "title: 2026-11-01\n",
            "2: `title`: `2026-11-01` means different things to different readers; put it in quotes",
        ),
        ("title: Desk\n", "title: &x Desk\n", "2: `&x` names a value for repetition; remove it, or put it in quotes"),
        (
            "title: Desk\n",
            "title: !!str Desk\n",
            "2: `tag:yaml.org,2002:str` is a tag, which has no meaning here; remove it, or put it in quotes",
        ),
        ("title: Desk\n", "title: Desk\ntitle: Desk\n", "3: `title` stands twice in one mapping, first in line 2"),
        ("id: desk", "id: Desk", "1: `Desk` is not an id: up to 32 of a to z, 0 to 9, `_` and `-`, neither in front"),
        ("categories: [support, chat]", "categories: [support, support]", "4: `support` stands twice in `categories`"),
        (
            "categories: [support, chat]",
            "categories: [Support]",
            "4: `Support` is not a category: small letters, digits, `_` and `-`",
        ),
        (
            "categories: [support, chat]",
            "categories: [1]",
            "4: `categories` is a text or a list of texts, none of them empty",
        ),
        ("docs: https", "docs: http", "5: `docs` begins with `https://`"),
        ('checked: "2026-11"', 'checked: "2026-13"', '6: `checked` is a month such as `"2026-11"`, not `2026-13`'),
        (
            "kind: oauth2",
            "kind: oauth3",
            "9: `auth.kind` is one of `oauth2`, `oauth2_client_credentials`, `api_key`, `basic`, `bearer`, `none`, not `oauth3`; did you mean `oauth2`?",
        ),
        ("concurrency: 4", "concurrency: 0", "53: `api.concurrency` is a whole number from 1 to 256"),
        ("concurrency: 4", "concurrency: true", "53: `api.concurrency` is a whole number from 1 to 256"),
        ("on: [429]", "on: [200]", "50: `api.retry.on` is a list of HTTP statuses from 400 to 599"),
        (
            "path: [user.expires_in, expires_in], unit: ms",
            "path: expires_in, unit: h",
            "32: `auth.answer.expires.unit` is one of `s`, `ms`, `at`",
        ),
        ('separator: ","', 'separator: "|"', "20: `separator` is a space, `,`, `+` or `;`, in quotes"),
        ("identity:\n", "identity: [1]\nidentity2:\n", "37: `identity` is a mapping; write `{KEY: VALUE}`"),
    ],
)
def test_a_slip_is_told_with_its_line(old, new, told):
    assert f"{FILE}:{told}" in problems(changed(old, new))


def test_all_slips_are_told_at_once_in_the_order_of_the_file():
    text = changed("title: Desk", "title: 1").replace("risk: write", "risk: wild").replace("unit: ms", "unit: h")
    lines = [int(each.split(":")[1]) for each in problems(text)]
    assert len(lines) >= 4
    assert lines == sorted(lines)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "the file is empty"),
        ("- id", "a definition is a mapping; begin it with `id:`"),
        ("a: b: c", "this is not YAML"),
        ("id: a\n---\nid: b", "a second document begins here"),
        ("id: \ud800", "holds a sign that is no Unicode"),
        ("[" * 60, "nested deeper than 48"),
        ("x" * (4 * 2**20 + 1), "more than 4194304 characters"),
        ("{}", "`auth` is missing"),
        ("{}", "`api` is missing"),
    ],
)
def test_what_is_no_definition_is_refused_with_a_sentence(text, told):
    assert any(told in each for each in problems(text))


def refused(text: str) -> tuple[Problem, ...]:
    """The problems of a text, none of a definition."""
    try:
        definition = read_definition(text, FILE)
    except DefinitionError as error:
        return error.problems or (Problem(Place("nobody said why"), ""),)
    return () if isinstance(definition, t.Definition) else (Problem(Place("no definition"), ""),)


LINES = EVERYTHING.splitlines(keepends=True)


@given(st.data())
def test_any_text_gives_a_definition_or_problems(data):
    text = data.draw(
        st.text(max_size=300)
        | st.lists(st.sampled_from([*LINES, "- ", "*x", "&y ", "{", "]", "? ", ": "]), max_size=60).map("".join)
    )
    assert all(isinstance(each, Problem) and each.place.file == FILE for each in refused(text))


@given(st.integers(0, len(LINES) - 1), st.integers(0, 3))
def test_a_definition_with_a_piece_gone_or_doubled_is_read_or_refused(at, how):
    lines = list(LINES)
    match how:
        case 0:
            del lines[at]
        case 1:
            lines.insert(at, lines[at])
        case 2:
            lines[at] = lines[at].replace(":", ": 1 #", 1)
        case _:
            lines[at] = lines[at].replace("{", "[").replace("}", "]")
    for each in refused("".join(lines)):
        assert each.place.line is None or 1 <= each.place.line <= len(lines)


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_shipped_definition_reads_the_same_twice(path):
    text = path.read_text(encoding="utf-8")
    assert read_definition(text, path.name) == read_definition(text, path.name)
