"""What operations become: arguments in their places, bodies, risks, and what is left out."""

import json

import pytest

from connectors.definition.reading import read_definition
from connectors.definition.terms import Coding, Place, Risk, Style
from connectors.openapi.access import Access
from connectors.openapi.compiling import LARGEST_ACTION, MOST_ACTIONS, Wanted, compile_document
from connectors.openapi.document import DocumentError
from tests.openapi.making import JSON_TYPE, action, action_of, body, compiled, document, older, schemas

TEXT = {"type": "string"}


def parameter(name, place="query", **more):
    return {"name": name, "in": place, "schema": TEXT, **more}


def places(made):
    return {each.name: each.place.value for each in made.parameters}


# -- what it is


@pytest.mark.parametrize(
    ("method", "risk"),
    [("get", "read"), ("post", "write"), ("put", "write"), ("patch", "write"), ("delete", "destructive")],
)
def test_the_risk_follows_from_the_method_alone(method, risk):
    made, done = action({"summary": "Harmless, trust me", "x-risk": "read"}, method=method)
    assert made.risk is Risk(risk)
    assert done.risk == risk
    assert made.method == method.upper()


@pytest.mark.parametrize("method", ["head", "options", "trace", "x-get", "parameters"])
def test_what_is_no_operation_becomes_no_action(method):
    definition, report = compiled(document({"/a": {method: {}, "get": {"operationId": "a"}}}))
    assert [each.id for each in definition.actions] == ["a"]
    assert report.of == 1


def test_title_and_description_are_the_documents_words_cut_and_cleaned():
    made, _ = action(
        {
            "summary": "List\nthings",
            "description": "<p>All of [them](https://x.example/y).</p>\u200b\u202e Sent. " + "x" * 900,
        }
    )
    assert made.title == "List things"
    assert made.description.startswith("All of them. Sent. xxx")
    assert len(made.description) <= 800
    nameless, _ = action({})
    assert (nameless.title, nameless.description) == ("Do", "Do")


def test_what_a_document_says_of_itself_adds_no_line():
    info = {
        "title": "Shop\nid: evil",
        "version": "1\nid: evil\u2028id: evil\x85id: evil\r- x",
        "description": "a\n\nb: c",
    }
    written, _ = compile_document(
        json.dumps(document({"/a": {"get": {}}}, info=info)), Wanted("shop", ("*",), Access())
    )
    assert written.splitlines()[0].startswith("# From a document of OpenAPI 3.0, version 1 id: evil id: evil")
    assert read_definition(written, "shop.yaml").title == "Shop id: evil"


# -- where requests go


@pytest.mark.parametrize(
    ("more", "url"),
    [
        (
            {"servers": [{"url": "https://a.example.com/v2/"}, {"url": "https://b.example.com"}]},
            "https://a.example.com/v2",
        ),
        (
            {"servers": [{"url": "https://{region}.example.com", "variables": {"region": {"default": "eu"}}}]},
            "https://eu.example.com",
        ),
    ],
)
def test_requests_go_where_the_document_says(more, url):
    definition, _ = compiled(document({"/a": {"get": {}}}, **more))
    assert definition.api.base_url == url
    assert definition.api.allowed_hosts == (url.split("/")[2],)


def test_requests_of_an_older_document_go_to_its_host_by_https():
    definition, _ = compiled(older({"/a": {"get": {}}}, basePath="/v1", schemes=["http", "https"]))
    assert definition.api.base_url == "https://api.example.com/v1"


@pytest.mark.parametrize(
    "servers",
    [[], [{"url": "/v1"}], [{"url": "http://api.example.com"}], [{"url": "https://{x}.example.com"}], [{"url": "https://u:p@x.example"}],
     [{"url": "https://x.example/?a=b"}], [{"url": "ftp://x.example"}], [{"url": "https://[x"}], "https://x.example", [3]],
)  # fmt: skip
def test_where_requests_go_has_to_be_said_when_the_document_does_not(servers):
    shown = document({"/a": {"get": {}}}, servers=servers)
    with pytest.raises(DocumentError, match="say where with"):
        compiled(shown)
    definition, _ = compiled(shown, base_url="https://said.example.com/v1")
    assert definition.api.base_url == "https://said.example.com/v1"


def test_an_operation_that_goes_elsewhere_is_refused():
    there = {"servers": [{"url": "https://uploads.example.com"}]}
    here = {"servers": [{"url": "https://api.example.com/v1/"}]}
    shown = document(
        {"/a": {"get": {"operationId": "a", **there}, "post": {"operationId": "b", **here}}, "/c": {"get": {}, **there}}
    )
    definition, report = compiled(shown)
    assert [each.id for each in definition.actions] == ["b"]
    assert [operation for operation, _ in report.refused] == ["GET /a", "GET /c"]
    assert "`https://uploads.example.com`; import it as a connector of its own" in report.refused[0][1]


# -- credentials


SCHEMES = {
    "components": {
        "securitySchemes": {
            "key": {"type": "apiKey", "in": "header", "name": "X-Shop"},
            "q": {"type": "apiKey", "in": "query", "name": "k"},
        }
    }
}
CREDENTIALS = [
    parameter("Authorization", "header"),
    parameter("token", "header", required=True),
    parameter("X-API-Key", "header"),
    parameter("X-Shop", "header"),
    parameter("k"),
    parameter("access_token"),
    parameter("api_key"),
    parameter("key", description="API key. Your API key identifies your project."),
    parameter("session", "cookie", required=True),
    parameter("Cookie", "header"),
    parameter("X-RapidAPI-Key", "header"),
    parameter("X-Vendor-Session-Id", "header"),
    parameter("Host", "header"),
    parameter("Content-Type", "header"),
]


ARGUMENTS = [
    parameter("page"),
    parameter("page_token"),
    parameter("key", description="Where on the map"),
    parameter("Idempotency-Key", "header"),
    parameter("X-Author", "header"),
]


def test_credentials_are_never_arguments():
    made, done = action({"parameters": [*ARGUMENTS, *CREDENTIALS]}, method="get", **SCHEMES)
    assert set(places(made)) == {"page", "page_token", "Idempotency_Key", "X_Author"}
    assert set(done.stripped) == {each["name"] for each in CREDENTIALS}
    made, _ = action({"parameters": ARGUMENTS}, method="get", **SCHEMES)
    assert set(places(made)) == {"page", "page_token", "key", "Idempotency_Key", "X_Author"}


def test_nor_are_they_in_a_body():
    fields = {
        "token": {"type": "string", "description": "Authentication token. Requires scope: `chat:write`"},
        "text": TEXT,
    }
    made, done = action(
        body({"properties": fields, "required": ["token", "text"]}, "application/x-www-form-urlencoded")
    )
    assert places(made) == {"text": "body"}
    assert done.stripped == ("token",)
    kept, _ = action(
        body({"properties": {"token": {"type": "string", "description": "What the card was turned into"}}})
    )
    assert places(kept) == {"token": "body"}


def test_what_the_document_says_of_its_security_is_told_and_not_taken_over():
    schemes = {
        "o": {"type": "oauth2", "flows": {}},
        "h": {"type": "http", "scheme": "basic"},
        "k": {"type": "apiKey", "in": "query", "name": "q"},
    }
    definition, report = compiled(
        document({"/a": {"get": {"security": [{"o": ["all"]}]}}}, components={"securitySchemes": schemes})
    )
    assert report.told == ("`o`: oauth2", "`h`: http `basic`", "`k`: apiKey in query `q`")
    assert definition.auth.kind == "bearer"
    assert definition.api.auth == {"Authorization": "Bearer {token}"}
    assert definition.actions[0].scopes == ()


@pytest.mark.parametrize(
    ("auth", "kind", "secrets"),
    [
        ("bearer", "bearer", ["token"]),
        ("basic", "basic", ["password"]),
        ("header:X-Shop-Key", "api_key", ["api_key"]),
        ("query:key", "api_key", ["api_key"]),
        ("none", "none", []),
    ],
)
def test_how_one_is_let_in_is_what_the_operator_says(auth, kind, secrets):
    operation = {"parameters": [parameter("X-Shop-Key", "header"), parameter("key"), parameter("page")]}
    definition, _ = compiled(document({"/a": {"get": operation}}), auth=auth)
    assert definition.auth.kind == kind
    assert [each.name for each in definition.inputs if each.secret] == secrets
    names = set(places(definition.actions[0]))
    assert ("key" in names) == (auth != "query:key")
    assert ("X_Shop_Key" in names) == (auth != "header:X-Shop-Key")


@pytest.mark.parametrize("auth", ["", "oauth2", "header", "header:", "header:a b", "query:a\nb", "bearer:x", "none:"])
def test_how_one_is_let_in_is_one_of_five_ways(auth):
    with pytest.raises(ValueError, match="is not one of `bearer`"):
        compiled(document({"/a": {"get": {}}}), auth=auth)


# -- path, query, header


def test_parameters_stand_in_their_places_under_names_that_every_client_takes():
    made, _ = action(
        {
            "parameters": [
                parameter("pet-id", "path", required=True),
                parameter("$filter"),
                parameter("filter[name]"),
                parameter("X-Trace", "header", required=True),
                parameter("pet_id"),
                parameter("0day"),
            ]
        },
        path="/pets/{pet-id}/{other}",
        method="get",
    )
    wires = {each.name: (each.place.value, each.wire, each.required) for each in made.parameters}
    assert wires == {
        "pet_id": ("path", "", True),
        "other": ("path", "", True),
        "filter": ("query", "$filter", False),
        "filter_name": ("query", "filter[name]", False),
        "X_Trace": ("header", "X-Trace", True),
        "pet_id_query": ("query", "pet_id", False),
        "_0day": ("query", "0day", False),
    }
    assert made.path == "/pets/{pet_id}/{other}"


def test_parameters_of_an_operation_win_over_those_of_its_path():
    shared = [parameter("a", description="of the path"), parameter("b")]
    own = [parameter("a", description="its own"), {"$ref": "#/components/parameters/C"}]
    shown = document(
        {"/x": {"parameters": shared, "get": {"parameters": own}}}, components={"parameters": {"C": parameter("c")}}
    )
    made, _ = action_of(shown)
    assert {name: each.get("description") for name, each in schemas(made).items()} == {
        "a": "its own",
        "b": None,
        "c": None,
    }


LIST = {"type": "array", "items": TEXT}
FLAT = {"type": "object", "properties": {"gte": {"type": "integer"}, "lt": {"type": "integer"}}}
DEEP = {"type": "object", "properties": {"a": {"type": "object"}}}


@pytest.mark.parametrize(
    ("told", "styles"),
    [
        (parameter("x", schema=LIST), {"x": Style.REPEAT}),
        (parameter("x", schema=LIST, explode=False), {"x": Style.COMMA}),
        (parameter("x[]", schema=LIST), {"x": Style.BRACKETS}),
        (parameter("x", schema=LIST, style="deepObject"), {"x": Style.BRACKETS}),
        (parameter("x", schema=LIST, style="pipeDelimited"), {}),
        (parameter("x", schema=LIST, style="spaceDelimited"), {}),
        (parameter("x", schema={"type": "array", "items": FLAT}), {}),
        (parameter("x", "header", schema=LIST), {}),
        (parameter("x", schema=FLAT), {"x": Style.EXPLODE}),
        (parameter("x", schema=FLAT, explode=False), {}),
        (parameter("x", schema=DEEP), {}),
        (parameter("x", schema={"type": "object"}), {}),
        (parameter("x", schema=FLAT, style="deepObject"), {"x_gte": Style.REPEAT, "x_lt": Style.REPEAT}),
        (parameter("x", schema={"anyOf": [{"type": "integer"}, FLAT]}, style="deepObject"), {"x_gte": Style.REPEAT, "x_lt": Style.REPEAT}),
        (parameter("x", schema=DEEP, style="deepObject"), {}),
        ({"name": "x", "in": "query", "content": {JSON_TYPE: {"schema": FLAT}}}, {}),
        (parameter("a b", "header"), {}),
    ],
)  # fmt: skip
def test_what_can_be_sent_is_sent_as_the_document_says_and_the_rest_is_left_out(told, styles):
    made, done = action({"parameters": [told]}, method="get")
    assert {each.name: each.style for each in made.parameters} == styles
    assert done.dropped == (() if styles else (told["name"],))


def test_an_object_that_is_spread_over_a_query_brings_no_name_of_its_own():
    made, _ = action({"parameters": [parameter("x", schema=FLAT)]}, method="get")
    assert schemas(made)["x"]["additionalProperties"] is False


def test_what_cannot_be_sent_and_has_to_be_refuses_the_operation():
    shown = document({"/a": {"get": {"parameters": [parameter("x", schema=DEEP, required=True)]}}, "/b": {"get": {}}})
    _, report = compiled(shown)
    assert report.refused == (("GET /a", "its parameter `x` is written in a way that cannot be sent"),)


@pytest.mark.parametrize(
    ("written", "style"),
    [("multi", Style.REPEAT), ("csv", Style.COMMA), (None, Style.COMMA), ("ssv", None), ("pipes", None)],
)
def test_lists_of_an_older_document_are_written_as_it_says(written, style):
    told = {
        "name": "x",
        "in": "query",
        "type": "array",
        "items": TEXT,
        **({"collectionFormat": written} if written else {}),
    }
    made, _ = action_of(older({"/a": {"get": {"parameters": [told]}}}))
    assert [each.style for each in made.parameters] == ([style] if style else [])


@pytest.mark.parametrize("path", ["/a?x=1", "/a#b", "/a b", "a", "/a/{b", "/a}", "/a\\b", "/{a}{b/c}"])
def test_a_path_that_is_more_than_a_path_is_refused(path):
    _, report = compiled(document({path: {"get": {}}, "/good": {"get": {}}}))
    assert [operation for operation, _ in report.refused] == [f"GET {path}"]


@pytest.mark.parametrize("style", ["label", "matrix"])
def test_a_path_that_is_written_in_another_style_is_refused(style):
    _, report = compiled(
        document({"/a/{x}": {"get": {"parameters": [parameter("x", "path", style=style)]}}, "/b": {"get": {}}})
    )
    assert report.refused == (("GET /a/{x}", f"its parameter `x` is written in the style `{style}`"),)


def test_a_default_is_told_and_not_sent():
    made, _ = action(
        {"parameters": [parameter("x", description="How many.", schema={"type": "integer", "default": 30})]},
        method="get",
    )
    assert schemas(made)["x"] == {"type": "integer", "description": "How many. (default: 30)"}
    assert made.parameters[0].default is None


# -- bodies


def test_an_object_is_taken_apart_and_names_that_are_taken_give_way():
    schema = {
        "type": "object",
        "properties": {"id": TEXT, "a.b": TEXT, "made": {**TEXT, "readOnly": True}},
        "required": ["id", "made"],
    }
    made, _ = action(
        {"parameters": [parameter("id", "path", required=True)], **body(schema)}, path="/a/{id}", method="put"
    )
    assert {each.name: (each.place.value, each.wire, each.required) for each in made.parameters} == {
        "id": ("path", "", True),
        "id_body": ("body", "id", True),
        "a_b": ("body", "a\\.b", False),
    }
    assert made.coding is Coding.JSON


@pytest.mark.parametrize(
    "schema",
    [
        LIST,
        {"anyOf": [FLAT, DEEP]},
        {"type": "object", "additionalProperties": TEXT},
        {},
        TEXT,
        {**FLAT, "oneOf": [FLAT, DEEP]},
    ],
)
def test_anything_else_is_one_argument(schema):
    made, _ = action(body(schema, required=True))
    assert made.whole_body == "body"
    assert [(each.name, each.place, each.required) for each in made.parameters] == [("body", Place.BODY, True)]


def test_an_object_of_several_parts_is_one_object():
    parts = {
        "Base": {"properties": {"a": TEXT}, "required": ["a"]},
        "More": {"allOf": [{"$ref": "#/components/schemas/Base"}, {"properties": {"b": TEXT}}]},
    }
    shown = document(
        {"/x": {"post": body({"allOf": [{"$ref": "#/components/schemas/More"}], "properties": {"c": TEXT}})}},
        components={"schemas": parts},
    )
    made, _ = action_of(shown)
    assert {each.name: each.required for each in made.parameters} == {"a": True, "b": False, "c": False}


def test_an_object_that_consists_of_itself_is_refused():
    shown = document(
        {"/x": {"post": body({"$ref": "#/components/schemas/A"})}},
        components={"schemas": {"A": {"allOf": [{"$ref": "#/components/schemas/A"}]}}},
    )
    with pytest.raises(DocumentError, match="consists of itself"):
        compiled(shown)


def test_an_object_of_endless_parts_is_refused_soon():
    parts = {f"P{n}": {"allOf": [{"$ref": f"#/components/schemas/P{n + 1}"}] * 8} for n in range(12)}
    shown = document(
        {"/x": {"post": body({"$ref": "#/components/schemas/P0"})}}, components={"schemas": {**parts, "P12": FLAT}}
    )
    with pytest.raises(DocumentError, match="put together from more than 500 parts"):
        compiled(shown)


@pytest.mark.parametrize(
    ("media", "schema", "coding"),
    [
        ("application/json; charset=utf-8", FLAT, Coding.JSON),
        ("application/vnd.api+json", FLAT, Coding.JSON),
        ("*/*", FLAT, Coding.JSON),
        ("application/x-www-form-urlencoded", FLAT, Coding.FORM),
        ("application/x-www-form-urlencoded", DEEP, Coding.NESTED_FORM),
        ("multipart/form-data", FLAT, Coding.MULTIPART),
        ("multipart/form-data; boundary=x", DEEP, Coding.MULTIPART),
        ("text/plain", TEXT, Coding.RAW),
        ("application/octet-stream", {}, Coding.RAW),
    ],
)
def test_a_body_is_written_as_its_media_type_says(media, schema, coding):
    made, _ = action(body(schema, media))
    assert made.coding is coding
    assert made.content_type == (media if coding is Coding.RAW else "")
    assert (made.whole_body != "") == (coding is Coding.RAW)


def test_json_is_preferred_and_what_cannot_be_written_is_refused():
    both = {"multipart/form-data": {"schema": FLAT}, JSON_TYPE: {"schema": FLAT}}
    made, _ = action({"requestBody": {"content": both}})
    assert made.coding is Coding.JSON
    with pytest.raises(DocumentError, match="its body has a media type that cannot be sent"):
        action({"requestBody": {"content": {"multipart/*": {}}}})


def test_a_body_of_a_read_is_left_out():
    made, _ = action(body(FLAT), method="get")
    assert made.parameters == ()


@pytest.mark.parametrize(
    ("fields", "consumes", "coding"),
    [
        ([("a", "string")], None, Coding.FORM),
        ([("a", "string")], ["multipart/form-data"], Coding.MULTIPART),
        ([("a", "file")], ["application/x-www-form-urlencoded"], Coding.MULTIPART),
    ],
)
def test_fields_of_an_older_document_are_a_form(fields, consumes, coding):
    told = [{"name": name, "in": "formData", "type": kind, "required": True} for name, kind in fields]
    made, _ = action_of(older({"/a": {"post": {"parameters": told, **({"consumes": consumes} if consumes else {})}}}))
    assert made.coding is coding
    assert [(each.name, each.schema, each.required) for each in made.parameters] == [("a", TEXT, True)]


def test_a_body_of_an_older_document_is_json():
    told = [{"name": "ignored", "in": "body", "required": True, "schema": {"$ref": "#/definitions/Thing"}}]
    made, _ = action_of(
        older({"/a": {"post": {"parameters": told}}}, definitions={"Thing": {**FLAT, "required": ["lt"]}})
    )
    assert {each.name: each.required for each in made.parameters} == {"gte": False, "lt": True}
    assert made.coding is Coding.JSON


# -- how much


def test_what_is_too_large_is_cut_and_says_so():
    wide = {
        "type": "object",
        "properties": {f"field{n}": {"type": "string", "description": "word " * 30} for n in range(40)},
    }
    nested = {"type": "object", "properties": {f"part{n}": {"$ref": f"#/components/schemas/S{n}"} for n in range(20)}}
    shown = document({"/x": {"post": body(nested)}}, components={"schemas": {f"S{n}": wide for n in range(20)}})
    made, done = action_of(shown)
    assert done.cut
    assert LARGEST_ACTION / 2 < done.size < LARGEST_ACTION * 1.2
    assert len(made.defs) == 20
    assert made.defs["S0"]["properties"]
    assert made.defs["S19"] == {"type": "object"}


def test_what_stands_in_place_is_cut_by_its_depth():
    inner: dict[str, object] = {"type": "string"}
    for _ in range(30):
        inner = {"type": "object", "properties": {"x": inner}}
    made, done = action(body({"properties": {"deep": inner}}))
    assert done.cut
    assert json.dumps(schemas(made)["deep"]).count("properties") == 6


def test_a_document_of_more_than_one_file_can_hold_is_refused():
    with pytest.raises(
        DocumentError, match=f"{MOST_ACTIONS + 1} operations are more than the {MOST_ACTIONS} of one file; choose fewer"
    ):
        compiled(document({f"/{n}": {"get": {}} for n in range(MOST_ACTIONS + 1)}))


def test_where_nothing_can_be_an_action_the_first_reasons_are_told():
    with pytest.raises(
        DocumentError,
        match=r"none of 5 chosen operations can be an action: GET /0\?: its path .*; GET /1\?: .*; GET /2\?: [^;]*$",
    ):
        compiled(document({f"/{n}?": {"get": {}} for n in range(5)}))
