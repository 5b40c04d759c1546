"""Rows held against the tools they are about: what is an error, what a warning, and what only a note."""

import pytest

from gateway.analysis.fitting import unfitting, unknown_connectors
from gateway.analysis.inventory import Inventory, Thing
from gateway.policy.terms import Tool
from tests.policy.builders import bundle

CHANNEL = {"type": "object", "properties": {"channel": {"type": "string"}}, "required": ["channel"]}
NUMBERED = {"type": "object", "properties": {"channel": {"type": "integer"}}}
EMPTY = {"type": "object", "properties": {"limit": {"type": "integer"}}, "additionalProperties": False}


def thing(name, schema=CHANNEL, action="write", **facts):
    connector, _, tool = name.partition("/")
    return Thing(name, action, Tool(connector, tool, **facts), schema)


def told(rows, *things, **elsewhere):
    inventory = Inventory(things={"main": things, **elsewhere})
    found = unfitting(bundle(rows).rules, inventory)
    return [f"{each.severity} {each.problem}" for each in found]


def test_what_does_not_fit_the_one_tool_of_a_row_is_an_error_with_file_line_and_column():
    rows = "p, *, main, self, slack/list, read, args.x, allow\np, *, *, self, slack/send, write, args.chanel == '#a', allow"
    (misspelt,) = told(rows, thing("slack/send"))
    assert misspelt == (
        "error policies/rules.csv:2: condition `args.chanel == '#a'` for `slack/send`: there is no `args.chanel`; "
        "did you mean `args.channel`? (at character 1)"
    )


def test_a_row_without_a_condition_and_a_tool_that_nobody_offers_are_left_alone():
    assert told("p, *, *, self, slack/*, write, , allow", thing("slack/send")) == []
    assert told("p, *, *, self, slack/other, write, args.nothing, allow", thing("slack/send")) == []
    assert told("p, *, main, self, slack/send, write, args.nothing, allow", other=(thing("slack/send"),)) == []
    assert told("p, *, s1, self, slack/send, write, args.nothing, allow", thing("slack/send")) == []
    assert len(told("p, *, *, self, slack/send, write, args.nothing, allow", other=(thing("slack/send"),))) == 1


def test_a_row_is_about_what_its_action_reaches():
    listing = thing("slack/list", EMPTY, "read")
    assert len(told("p, *, *, self, slack/list, write, args.channel == 'a', allow", listing)) == 1
    assert told("p, *, *, *, slack/list, write, args.channel == 'a', deny", listing) == []
    assert told("p, *, *, self, slack/list, share, args.days <= 90 and args.days > 0, allow", listing) == []


def test_below_a_pattern_it_is_an_error_when_no_tool_fits_and_a_note_when_some_do():
    row = "p, *, *, self, slack/*, write, args.channel == '#a', allow"
    send, ask, ping, list_ = (
        thing("slack/send"),
        thing("slack/ask"),
        thing("slack/ping", EMPTY),
        thing("slack/a", EMPTY),
    )
    assert told(row, send, ask) == []
    (one,) = told(row, send, ping)
    assert one == (
        "note policies/rules.csv:1: condition `args.channel == '#a'` for `slack/ping` (1 of 2 things of `slack/*`): "
        "there is no `args.channel`, only `args.limit` (at character 1)"
    )
    (both,) = told(row, ping, list_)
    assert both.startswith(
        "error policies/rules.csv:1: condition `args.channel == '#a'` for `slack/ping`, `slack/a` (2 of 2"
    )
    (unknown,) = told(row, ping, thing("slack/free", None))
    assert unknown.startswith("note ")


def test_a_wrong_type_below_a_pattern_is_an_error_when_every_tool_that_has_the_argument_has_another():
    row = "p, *, *, self, *, write, args.channel == '#a', allow"
    things = [thing("a/numbered", NUMBERED), thing("a/empty", EMPTY), *(thing(f"b/{at}", NUMBERED) for at in range(4))]
    wrong, lacking = told(row, *things)
    assert wrong.startswith(
        "error policies/rules.csv:1: condition `args.channel == '#a'` for `a/numbered`, `b/0`, `b/1` and 2 more "
        "(5 of 6 things of `*`): `args.channel` is a whole number"
    )
    assert lacking.startswith("note ")
    assert [each.split()[0] for each in told(row, *things, thing("a/send"))] == ["note", "note"]


def test_tools_that_the_facts_of_a_condition_rule_out_do_not_count():
    row = "p, *, *, self, slack/*, write, tool.name == 'send' and args.channel == '#a', allow"
    assert told(row, thing("slack/send"), thing("slack/ping", EMPTY)) == []
    deny = "p, *, *, *, slack/*, write, tool.destructive and args.force, deny"
    assert told(deny, thing("slack/ping", EMPTY, destructive=False)) == []
    assert told(deny, thing("slack/ping", EMPTY))[0].startswith("error ")


def test_what_only_says_too_little_or_too_much_is_a_warning():
    assert told("p, *, *, self, slack/send, write, has(args.channel), allow", thing("slack/send"))[0].startswith(
        "warning policies/rules.csv:1: condition `has(args.channel)` for `slack/send`: `args.channel` is always there"
    )
    only = thing("slack/send", {"properties": {"level": {"const": "a"}}, "required": ["level"]})
    row = "p, *, *, *, slack/send, write, args.level == 'a', deny"
    assert told(row, only)[0].startswith("warning ")
    assert told(row.replace("== 'a'", "< 'a'"), only)[0].startswith("warning ")


def test_a_condition_that_is_never_true_is_told_for_all_tools_of_a_pattern_or_not_at_all():
    row = "p, *, *, self, slack/*, write, args.count > 500, allow"
    small, large = ({"properties": {"count": {"type": "integer", "maximum": most}}} for most in (100, 1_000))
    assert told(row, thing("slack/a", small), thing("slack/b", large)) == []
    (never,) = told(row, thing("slack/a", small), thing("slack/b", small))
    assert never.startswith("error policies/rules.csv:1: condition `args.count > 500` for `slack/a`, `slack/b` (2 of 2")
    assert told(row.replace("*, write", "a, write"), thing("slack/a", small))[0].startswith("error ")


def test_equal_rows_are_looked_at_once_and_told_at_each_place():
    row = "p, *, *, self, slack/send, write, args.chanel, allow\n"
    steps = []
    inventory = Inventory(things={"main": (thing("slack/send"),), "s": (thing("slack/send"),)})
    found = list(unfitting(bundle(row + row).rules, inventory, lambda *step: steps.append(step)))
    assert [each.problem.place.line for each in found] == [1, 2]
    assert len({each.problem.sentence for each in found}) == 1
    assert "of 2" not in found[0].problem.sentence
    assert steps == [(0, 2), (1, 2)]


@pytest.mark.parametrize("known", [["slack"], ["slack", "git"]])
def test_a_connector_that_nobody_knows_is_a_note_at_its_first_row(known):
    rows = "p, *, *, self, git/a, read, , allow\np, *, *, self, git/*, read, , allow\n"
    rows += "p, *, *, self, custom/*, read, , allow\np, *, *, self, slack, connect, , allow\np, *, *, *, *, *, , deny"
    found = [f"{each.severity} {each.problem}" for each in unknown_connectors(bundle(rows).rules, known)]
    expected = "note policies/rules.csv:1: no upstream is called `git`; until one is, rows about `git` do nothing"
    assert found == ([] if "git" in known else [expected])
