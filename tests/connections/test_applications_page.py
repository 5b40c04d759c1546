"""The page for applications says what the routes do."""

import re

import msgspec

from gateway.connections.terms import SENTENCES
from gateway.manage.loans import MOST_DAYS
from gateway.records import Stage
from gateway.settings import Binding
from gateway.web.api.connections import DAYS, LONGEST_WAIT_S, _flow
from gateway.web.api.envelope import CODES, FAULT
from tests.connections.test_api import ANN, Api
from tests.documents import ROOT, tables

PAGE = ROOT / "docs" / "connect" / "applications.md"
TABLES = {each.columns[0]: each for each in tables(PAGE)}


def rows(first: str) -> dict[str, dict[str, str]]:
    return TABLES[first].by(first)


async def test_the_table_of_routes_is_that_of_the_code(store):
    app = Api(store).client.app
    served = {
        f"{method} {rule.rule}"
        for rule in app.url_map.iter_rules()
        for method in rule.methods - {"HEAD", "OPTIONS"}
        if rule.endpoint.startswith("api")
    }
    assert served == set(rows("route"))


def test_the_tables_of_words_are_those_of_the_code():
    assert set(rows("status")) == set(Stage)
    assert set(rows("binding")) == set(Binding)
    assert {reason: row["means"] for reason, row in rows("reason").items()} == {
        why.value: happened for why, (happened, _) in SENTENCES.items()
    }
    told = {(code, str(status)) for _, code, status in CODES} | {(FAULT[0], str(FAULT[1]))}
    assert {(code, row["HTTP"]) for code, row in rows("code").items()} == told


async def test_the_example_is_what_is_answered(store):
    api = Api(store)
    shown = re.search(r'201 ({"flow".*?})\n\n', PAGE.read_text(), re.DOTALL)[1]
    started = await api("POST", "/connections/acme/start", who=ANN, json={})
    assert set(re.findall(r'"(\w+)":', shown)) == {*started.body, *started.body["flow"]}
    told = _flow(await api.world.store.flows.get(started.body["flow"]["id"]))
    assert set(msgspec.to_builtins(told)) == set(started.body["flow"])


def test_the_bounds_on_the_page_are_those_of_the_code():
    text = PAGE.read_text()
    assert f"`?wait=SECONDS`, at most {LONGEST_WAIT_S}" in text
    assert f"({DAYS} unless you say, at most {MOST_DAYS})" in " ".join(text.split())
