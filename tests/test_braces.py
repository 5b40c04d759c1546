"""What holds nothing but braces is read at once: definitions are read before anybody was asked about them."""

import time

import pytest

from connectors.addresses import PUBLIC_ONLY
from connectors.http_calls.plan import read_plan
from gateway.custom.reading import read_tool
from gateway.custom.reading_prompts import read_prompt
from gateway.identity import normal_email
from gateway.imports.made import Ground, read_made_tool
from gateway.imports.telling import Remarks

ANN = "user:ann@example.com"
BRACES = "{{" * 30_000
BUSY_S = 5.0  # quadratic reading takes half a minute


def seconds(work):
    began = time.process_time()
    work()
    return time.process_time() - began


def tool(config, type="connector"):
    return {"name": "x", "inputSchema": {"type": "object"}, "handler": {"type": type, "config": config}}


@pytest.mark.parametrize(
    "handler",
    [
        ({"connector": "slack", "action": "send", "args": {"text": BRACES}}, "connector"),
        ({"url": "https://api.example.com/", "query": {"q": BRACES}}, "http"),
        ({"url": "https://api.example.com/", "method": "POST", "body": BRACES}, "http"),
    ],
)
def test_a_definition_of_braces_alone_is_read_at_once(handler):
    assert seconds(lambda: read_tool(tool(*handler), owner=ANN, by=ANN, now=1)) < BUSY_S


def test_a_prompt_of_braces_alone_is_read_at_once():
    given = {"name": "x", "handler": {"type": "template", "config": {"template": "{{" * 15_000}}}
    assert seconds(lambda: read_prompt(given, owner=ANN, by=ANN, now=1)) < BUSY_S


@pytest.mark.parametrize("text", ["{{" + " " * 2_000, "${" * 30_000])
def test_a_document_of_a_dump_is_read_at_once_whatever_it_holds(text):
    document = {
        **tool({"connector": "slack", "action": "send", "args": {"text": text}}),
        "creator": "ann@example.com",
    }
    ground = Ground({"ann@example.com"}, (), PUBLIC_ONLY, "import", 1)
    assert seconds(lambda: read_made_tool(document, ground, Remarks())) < BUSY_S


@pytest.mark.parametrize("name", ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"])
def test_a_harmless_request_says_no_other_method_in_a_header(name):
    assert isinstance(read_plan({"url": "https://api.example.com/", "headers": {name: "DELETE"}}), list)


@pytest.mark.parametrize("address", ["a@=?utf-8?q?evil.com_?=corp.com", "=?utf-8?q?a=40evil.com=2c?=@corp.com"])
def test_an_address_is_no_encoding_of_another(address):
    with pytest.raises(ValueError, match="is not an e-mail address"):
        normal_email(address)
