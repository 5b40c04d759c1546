"""Bytes to messages: what is let through has one meaning, everything else is refused."""

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.errors import Malformed, Unknown
from gateway.mcp.jsonrpc import (
    MAX_BATCH,
    MAX_DEPTH,
    MAX_ID,
    MAX_INTEGER,
    MAX_METHOD,
    MIN_INTEGER,
    encode,
    error_response,
    parse,
    quoted,
)
from gateway.mcp.terms import Notification, Request, Response

PING = b'{"jsonrpc":"2.0","id":1,"method":"ping"}'


def request(params: str, id: str = "1") -> bytes:
    return f'{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{params}}}'.encode()


def response(result: str) -> bytes:
    return f'{{"jsonrpc":"2.0","id":1,"result":{result}}}'.encode()


def refusal(body: bytes) -> Malformed:
    with pytest.raises(Malformed) as caught:
        parse(body)
    return caught.value


def test_the_three_kinds_of_message():
    assert parse(PING) == Request(1, "ping", {})
    assert parse(b'{"jsonrpc":"2.0","method":"notifications/initialized"}') == Notification("notifications/initialized")
    assert parse(response('{"a":null}')) == Response(1, result={"a": None})
    error = {"code": -1, "message": "no", "data": [1], "extra": True}
    assert parse(json.dumps({"jsonrpc": "2.0", "id": "x", "error": error}).encode()) == Response("x", error=error)


def test_an_error_may_answer_what_had_no_readable_id():
    for id in ("", '"id":null,'):
        assert parse(f'{{"jsonrpc":"2.0",{id}"error":{{"code":1,"message":""}}}}'.encode()).id is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xef\xbb\xbf" + PING,
        PING + b"x",
        PING.decode().encode("utf-16"),
        PING.replace(b"ping", b"\xff"),
        PING.replace(b"ping", b"\xed\xa0\x80"),
        PING.replace(b"id", b"i\xc0\x80"),
        request('{"x":"\\ud800"}'),
        request('{"x":"\\udc00\\ud800"}'),
        request('{"\\ud800":1}'),
        request('{"x":NaN}'),
        request('{"x":-Infinity}'),
        request('{"x":1e400}'),
        request('{"x":01}'),
        request('{"x":' + "9" * 5000 + "}"),
        request('{"x":1,}'),
        request('{"x":"\x01"}'),
        request("{'x':1}"),
        PING.replace(b"1", b"1 /* */"),
    ],
)
def test_what_is_not_json_in_utf8_is_a_parse_error_without_id(body):
    refused = refusal(body)
    assert (refused.code, refused.status, refused.request_id) == (-32700, 400, None)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"1", "must be a JSON object"),
        (b"null", "must be a JSON object"),
        (b"{}", "`jsonrpc`"),
        (b'{"jsonrpc":2.0,"id":1,"method":"ping"}', "`jsonrpc`"),
        (b'{"jsonrpc":["2.0"],"id":1,"method":"ping"}', "`jsonrpc`"),
        (b'{"jsonrpc":"2.0","id":1}', "one of `result` and `error`"),
        (b'{"jsonrpc":"2.0","id":1,"result":{},"error":{"code":1,"message":""}}', "one of `result` and `error`"),
        (b'{"jsonrpc":"2.0","id":1,"method":"ping","result":{}}', "`method`"),
        (b'{"jsonrpc":"2.0","id":1,"method":"ping","error":null}', "`method`"),
        (b'{"jsonrpc":"2.0","id":1,"method":7}', "`method`"),
        (b'{"jsonrpc":"2.0","id":1,"method":""}', "`method`"),
        (b'{"jsonrpc":"2.0","id":1,"method":"' + b"m" * (MAX_METHOD + 1) + b'"}', "`method`"),
        (request("[]"), "`params`"),
        (request("null"), "`params`"),
        (request('{"_meta":[]}'), "`params._meta`"),
        (response("[]"), "`result`"),
        (response("null"), "`result`"),
        (b'{"jsonrpc":"2.0","id":1,"error":[]}', "`error`"),
        (b'{"jsonrpc":"2.0","id":1,"error":{"code":true,"message":""}}', "`error`"),
        (b'{"jsonrpc":"2.0","id":1,"error":{"code":1}}', "`error`"),
    ],
)
def test_what_is_not_one_message_is_an_invalid_request(body, says):
    refused = refusal(body)
    assert refused.code == -32600
    assert says in refused.text


@pytest.mark.parametrize("id", ["true", "null", "1.0", "1e2", "[]", "{}", '"' + "i" * (MAX_ID + 1) + '"'])
def test_an_id_is_an_integer_or_a_short_string(id):
    assert "`id`" in refusal(request("{}", id)).text
    assert refusal(request("{}", id)).request_id is None


def test_a_result_needs_an_id():
    assert "`id`" in refusal(b'{"jsonrpc":"2.0","id":null,"result":{}}').text


@pytest.mark.parametrize("id", ["-7", '"a"', '""', '"' + "i" * MAX_ID + '"'])
def test_a_refusal_knows_the_id_when_it_could_be_read(id):
    assert refusal(request("[]", id)).request_id == json.loads(id)
    assert parse(request("{}", id)).id == json.loads(id)


@pytest.mark.parametrize(
    "body",
    [
        b'{"jsonrpc":"2.0","id":1,"id":1,"method":"ping"}',
        b'{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call"}',
        b'{"jsonrpc":"2.0","id":1,"method":"ping","\\u006dethod":"tools/call"}',
        request('{"name":"a","name":"b"}'),
        request('{"name":"a","name" \t:"b"}'),
        request('{"arguments":{"x":{"y":1,"y":1}}}'),
        request('{"arguments":[{"y":1,"y":1}]}'),
        request('{"a:b":1,"a:b":"::"}'),
        request('{"a":"\\u003a","b":1,"b":2}'),
        request('{"a":"\\u003A:","b":1,"b":2}'),
        request('{"a":"\\u003a\\u003a","b":":","b":2}'),
        request('{"a\\\\":1,"a\\\\":1}'),
        response('{"x":[{"k":1,"k":2}]}'),
        b'[{"jsonrpc":"2.0","id":1,"method":"ping","id":2}]',
        request('{"a":' + "[" * 200 + "]" * 200 + ',"a":1}'),
    ],
)
def test_a_key_that_stands_twice_is_refused_wherever_it_stands(body):
    refused = refusal(body)
    assert refused.code == -32600
    assert "twice" in refused.text


def test_a_dropped_value_is_refused_however_deep_it_is():
    said = {refusal(request('{"a":' + "[" * deep + "]" * deep + ',"a":1}')).text[:12] for deep in range(700, 1100)}
    assert said == {"the key `a` ", "the body nes"}


@pytest.mark.parametrize(
    "params",
    [
        '{"name":"a","Name":"b"}',
        '{"arguments":{"path":1,"PATH":2}}',
        '{"arguments":{"x":[{"k":1,"\\u212a":2}]}}',
        '{"arguments":{"straße":1,"STRASSE":2}}',
    ],
)
def test_keys_that_differ_only_in_case_are_refused(params):
    assert "differ only in case" in refusal(request(params)).text or "must be written" in refusal(request(params)).text


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (b'{"Jsonrpc":"2.0","id":1,"method":"ping"}', "jsonrpc"),
        (b'{"jsonrpc":"2.0","ID":1,"method":"ping"}', "id"),
        (b'{"jsonrpc":"2.0","id":1,"METHOD":"ping"}', "method"),
        (b'{"jsonrpc":"2.0","id":1,"method":"ping","Params":{}}', "params"),
        (b'{"jsonrpc":"2.0","id":1,"reSult":{}}', "result"),
        (b'{"jsonrpc":"2.0","id":1,"result":{},"Error":{}}', "error"),
        (request('{"Name":"a"}'), "name"),
        (request('{"name":"a","argument\xc5\xbf":{}}').replace(b"\xc3\x85\xc2\xbf", b"\xc5\xbf"), "arguments"),
        (request('{"URI":"a"}'), "uri"),
        (request('{"_Meta":{}}'), "_meta"),
        (request('{"protocolversion":"a"}'), "protocolVersion"),
        (
            request('{"_meta":{"io.modelcontextprotocol/protocolversion":"a"}}'),
            "io.modelcontextprotocol/protocolVersion",
        ),
        (request('{"_meta":{"progresstoken":1}}'), "progressToken"),
    ],
)
def test_a_word_of_the_protocol_in_other_case_is_refused(body, word):
    assert f"must be written `{word}`" in refusal(body).text


def test_a_result_may_hold_keys_that_differ_only_in_case():
    assert parse(response('{"structuredContent":{"id":1,"ID":2}}')).result == {"structuredContent": {"id": 1, "ID": 2}}


@pytest.mark.parametrize("wrap", ["[%s]", '{"a":%s}'])
def test_nesting_is_bounded(wrap):
    def nested(levels: int) -> str:
        value = "1"
        for _ in range(levels):
            value = wrap % value
        return '{"x":' + value + "}"

    assert isinstance(parse(request(nested(MAX_DEPTH - 2))), Request)
    for levels in (MAX_DEPTH, 500, 100_000):
        if wrap == "[%s]" or levels < 1000:
            assert refusal(request(nested(levels))).code == -32600
    assert refusal(b"[" * 1_000_000).code == -32600


@pytest.mark.parametrize("number", [MIN_INTEGER, MAX_INTEGER, 2**53 + 1, 0, -1])
def test_integers_of_64_bits_are_kept_exactly(number):
    assert parse(request(f'{{"x":{number}}}')).params == {"x": number}


@pytest.mark.parametrize("number", [MIN_INTEGER - 1, MAX_INTEGER + 1, 10**300])
def test_larger_integers_are_refused(number):
    assert "64 bits" in refusal(request(f'{{"x":[{number}]}}')).text
    assert "64 bits" in refusal(request("{}", str(number))).text


def test_a_batch_is_a_list_of_messages():
    assert parse(b"[" + PING + b"," + PING.replace(b"1", b"2") + b"]") == [Request(1, "ping"), Request(2, "ping")]


@pytest.mark.parametrize(
    "body", [b"[]", b"[1]", b"[[]]", b"[" + b",".join([PING] * (MAX_BATCH + 1)) + b"]", b"[" + PING + b",{}]"]
)
def test_a_batch_is_neither_empty_nor_long_and_good_throughout(body):
    refused = refusal(body)
    assert (refused.code, refused.request_id) == (-32600, None)


def test_two_requests_of_a_batch_cannot_share_an_id():
    assert "twice" in refusal(b"[" + PING + b"," + PING + b"]").text
    assert len(parse(b"[" + PING + b"," + PING.replace(b"1", b'"1"') + b"]")) == 2


# -- properties

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
numbers = st.integers(MIN_INTEGER, MAX_INTEGER) | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=20,
)
ids = st.integers(MIN_INTEGER, MAX_INTEGER) | texts


def without_variants(value):
    if isinstance(value, dict):
        return {key.casefold(): without_variants(each) for key, each in value.items()}
    return [without_variants(each) for each in value] if isinstance(value, list) else value


params = st.dictionaries(texts.map(lambda key: "x" + key), values, max_size=4).map(without_variants)
errors = st.fixed_dictionaries({"code": st.integers(-(2**31), 2**31), "message": texts}, optional={"data": values})
messages = (
    st.builds(Request, ids, texts.map(lambda text: "m" + text), params)
    | st.builds(Notification, texts.map(lambda text: "m" + text), params)
    | st.builds(Response, ids, result=st.dictionaries(texts, values, max_size=4))
    | st.builds(Response, st.none() | ids, error=errors)
)


def same(one, other) -> bool:
    """Equal, and of the same types: 1 is not 1.0 and not True."""
    return repr(one) == repr(other)


@given(messages)
@example(Request(1, "m", {"x": -0.0, "y": 5e-324, "z": 2**63, ":": "\u2028\x00:"}))
def test_what_is_encoded_parses_to_the_same_message(message):
    encoded = encode(message)
    assert b"\n" not in encoded
    assert b"\r" not in encoded
    assert same(parse(encoded), message)
    assert encode(parse(encoded)) == encoded


def outcome(body):
    try:
        return parse(body)
    except Malformed as refused:
        return refused


def assert_message_or_malformed(body, codes):
    found = outcome(body)
    if isinstance(found, Malformed):
        assert found.code in codes
        return
    for message in found if isinstance(found, list) else [found]:
        assert isinstance(message, Request | Notification | Response)


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode(errors="surrogatepass")))
@example(b'{"jsonrpc":"2.0","id":1,"method":"x","params":{"_meta":null}}')
def test_any_bytes_are_messages_or_malformed(body):
    assert_message_or_malformed(body, codes=(-32700, -32600))


def spelled(value, escape):
    """JSON text with the freedom that JSON leaves: blanks, escapes, a key twice."""
    blank = escape.draw(st.sampled_from(["", " ", "\n", "\t\r"]))
    if isinstance(value, dict):
        pairs = [(spelled(key, escape), spelled(each, escape)) for key, each in value.items()]
        if pairs and escape.draw(st.integers(0, 5)) == 0:
            pairs.append(escape.draw(st.sampled_from(pairs)))
        return "{" + ",".join(f"{blank}{key}{blank}:{blank}{each}" for key, each in pairs) + "}"
    if isinstance(value, list):
        return "[" + f"{blank},".join(spelled(each, escape) for each in value) + "]"
    if isinstance(value, str):
        text = json.dumps(value, ensure_ascii=escape.draw(st.booleans()))
        return text.replace(":", "\\u003a") if escape.draw(st.booleans()) else text
    return json.dumps(value)


def strictly(pairs):
    if len(dict(pairs)) < len(pairs):
        raise ValueError("twice")
    return dict(pairs)


@given(st.dictionaries(st.sampled_from(["a", "a:", ":", "b\\", '"', "ü"]), values, max_size=5), st.data())
def test_what_is_accepted_is_what_another_strict_reader_reads(result, data):
    body = response(spelled(result, data))
    try:
        expected = json.loads(body, object_pairs_hook=strictly)
    except ValueError:
        assert "twice" in refusal(body).text
    else:
        assert same(parse(body).result, expected["result"])


@given(
    st.recursive(
        values,
        lambda inner: st.dictionaries(
            st.sampled_from(["id", "method", "params", "result", "error", "jsonrpc", "ID"]), inner
        ),
        max_leaves=8,
    )
)
def test_any_json_is_messages_or_malformed(value):
    assert_message_or_malformed(json.dumps(value).encode(), codes=(-32600,))


# -- answers


class Upstream(Exception):
    def __init__(self, code: int, message: str, data: object = None) -> None:
        super().__init__(message)
        self.code, self.data = code, data


def test_refusals_and_errors_of_servers_are_told_alike():
    assert error_response(1, Malformed("no")) == Response(1, error={"code": -32600, "message": "no"})
    assert error_response("a", Unknown("x", data={"uri": "u"})).error["data"] == {"uri": "u"}
    assert error_response(None, Upstream(-5, "broken", [1])) == Response(
        None, error={"code": -5, "message": "broken", "data": [1]}
    )


def test_words_are_quoted_short_and_printable():
    assert quoted("a\nb\x1b\u2028c") == "`a?b??c`"
    assert quoted("x" * 65) == "`" + "x" * 64 + "…`"


@pytest.mark.parametrize("many", ["[1, 2, 3, 4]", '{"a": {"b": 2}, "c": [3]}', "[[], [[]], []]"])
def test_more_values_than_the_bound_are_refused_wherever_they_stand(many: str):
    body = f'{{"jsonrpc":"2.0","id":7,"method":"ping","params":{{"a":{many}}}}}'.encode()
    assert isinstance(parse(body), Request)
    assert isinstance(parse(body, values=9), Request)
    with pytest.raises(Malformed) as caught:
        parse(body, values=8)
    assert caught.value.request_id == 7
