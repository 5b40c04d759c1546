"""A plan in words: a table, JSON, and Markdown that foreign names cannot break."""

import json

from gateway.analysis.inventory import Inventory, Thing
from gateway.analysis.plan import plan
from gateway.analysis.plan.text import COLUMNS, DETAILED, NAMED, SUMMED, lines, markdown, plain, summary
from gateway.policy.terms import MAIN, Subject, Tool
from tests.policy.builders import NOW, policy

USERS = tuple(f"user:u{n:02}@example.com" for n in range(30))
GIVEN = "".join(f"g, {user}, role:support, *\n" for user in USERS[:25])


def thing(name: str, action: str = "read") -> Thing:
    return Thing(f"chat/{name}", action, Tool("chat", name, destructive=False))


def found(before: str, after: str, *things: Thing, servers=(MAIN,)):
    inventory = Inventory(tuple(map(Subject, USERS)), dict.fromkeys(servers, things or (thing("read"),)))
    return plan(policy(before), policy(after), inventory, NOW)


def row(subject: str = "role:support", when: str = "", object: str = "chat/*", domain: str = MAIN) -> str:
    return f"p, {subject}, {domain}, self, {object}, read, {when}, allow\n"


def test_many_are_counted_and_few_are_named():
    (told,) = lines(found(GIVEN, GIVEN + row()))
    assert dict(zip(COLUMNS, told, strict=True)) == {
        "change": "widened",
        "who": "25 users, whoever gets role:support",
        "through": "role:support",
        "whose": "his own",
        "what": "read chat/read",
        "where": "main",
        "before": "no",
        "after": "yes",
    }
    (told,) = lines(found("", row(USERS[3])))
    assert told[1] == USERS[3]


def test_strangers_have_names_that_people_understand():
    def who(subject: str) -> str:
        (told,) = lines(found("", row(subject)))
        return told[1]

    assert who("user:*") == "30 users, every other user"
    assert who("end:s1/*") == "every other end user of s1"
    assert who("group:corp/x") == "whoever is in group:corp/x"
    assert who("*") == "30 users, every other end user, every other server, every other user"


def test_what_belongs_to_others_is_told_as_theirs():
    rows = "p, user:u00@example.com, main, {}, {}, {}, , allow\n"
    whose = {
        each[3]
        for owner, object, action in (
            ("system", "chat/*", "read"),
            ("*", "gateway/users", "inspect"),
            (USERS[1], "gateway/users", "inspect"),
        )
        for each in lines(found("", rows.format(owner, object, action)))
    }
    assert whose == {"the operator's", "anybody's", "his own", USERS[1]}


def test_the_summary_counts_each_kind_of_change():
    assert summary(found("", "")) == "no right changes"
    assert summary(found(GIVEN, GIVEN + row())) == "26 widened; 25 users concerned"
    assert summary(found(row(USERS[0], "args.a == 1"), row(USERS[0], "args.a == 2"))) == "1 changed; 1 user concerned"


def test_json_tells_every_name_and_every_cell():
    told = plain(found(GIVEN, GIVEN + row(when="args.a == 1"), *(thing(f"t{n:02}") for n in range(30))))
    assert json.loads(json.dumps(told)) == told
    (group,) = told.pop("groups")
    assert told == {
        "against": "1.0",
        "planned": "1.0",
        "summary": "780 widened; 25 users concerned",
        "cells": {"widened": 780, "changed": 0, "undecided": 0, "narrowed": 0},
        "users": 25,
        "users_widened": 26,
        "notes": [],
    }
    assert (group["users"], group["others"]) == (list(USERS[:25]), ["role:support"])
    assert len(group["cells"][MAIN]) == 30
    assert (group["before"], group["after"], group["count"]) == ("no", "if args.a == 1", 780)
    assert (group["widened_by"], group["narrowed_by"]) == ({"args": {"a": 1}}, None)
    assert group["because"] == ["policies/rules.csv:26: p, role:support, main, self, chat/*, read, args.a == 1, allow"]


def test_a_comment_has_a_short_table_and_folded_details():
    told = markdown(found(GIVEN, GIVEN + row(when="args.a == 1")))
    table, details = told.split("<details>")
    assert "| **widened** | `25 users, whoever gets role:support` |" in table
    assert '- now allowed, for example: `{"args": {"a": 1}}`' in details
    assert "- because of `policies/rules.csv:26: p, role:support," in details
    narrower = markdown(found(GIVEN + row(), GIVEN + "g, user:u29@example.com, role:support, *\n"))
    assert "| narrowed |" in narrower
    assert "**" not in narrower.split("<details>")[0]


def test_a_comment_without_changes_is_short():
    assert markdown(found("", "")) == "### Policy plan: no right changes\n\nPlanned against version `1.0`.\n"
    noted = markdown(found("", row(object="nowhere/*")))
    assert noted.endswith(
        "\n\n- policies/rules.csv:1: `read` of `nowhere/*` in `main` concerns nothing that is known here\n"
    )


def test_a_foreign_name_cannot_leave_its_code_span():
    bad = Thing("chat/a|b<script>``x", "read", Tool("chat", "x", destructive=False))
    told = markdown(found("", row(USERS[0], "args.a == '``` | <b>'"), bad))
    assert "``` read chat/a\\|b<script>``x ```" in told
    assert "```` if args.a == '``` \\| <b>' ````" in told
    assert "``` read chat/a|b<script>``x ```" in told.split("<details>")[1]


def test_long_plans_are_cut_with_a_word_about_the_rest():
    rows = "".join(row(user, f"args.a == {n}") for n, user in enumerate(USERS))
    rows += "".join(row(user, f"args.b == {n}", domain="s1") for n, user in enumerate(USERS))
    told = markdown(found("", rows, *(thing(f"t{n:02}") for n in range(30)), servers=(MAIN, "s1")))
    table, details = told.split("<details>")
    assert table.count("| **widened** |") == SUMMED
    assert f"{60 - SUMMED} more groups" in table
    assert details.count("- because of") == DETAILED
    assert f"`{30 - NAMED} more`" in details
    servers = tuple(f"s{n}" for n in range(NAMED + 5))
    wide = markdown(found("", row(USERS[0], domain="*"), servers=servers))
    assert "- and 5 more servers" in wide


def test_what_could_not_be_decided_says_so():
    parts = [f"(args.a{n} == 1 or args.b{n} == 2 or args.c{n} == 3)" for n in range(12)]
    before = " and ".join(parts)
    after = " and ".join([*parts[:-1], "(args.c11 == 3 or args.b11 == 2 or not args.a11 != 1)"])
    assert "takes too long to find out" in markdown(found(row(USERS[0], before), row(USERS[0], after)))
    assert '- not allowed any more, for example: `{"args"' in markdown(
        found(row(USERS[0], "args.a in [1, 2]"), row(USERS[0], "args.a == 1"))
    )


def test_a_given_role_is_told_as_a_row():
    (group,) = plain(found(row(), row() + GIVEN[: GIVEN.index("\n") + 1]))["groups"]
    assert group["because"] == ["policies/rules.csv:2: g, user:u00@example.com, role:support, *"]
