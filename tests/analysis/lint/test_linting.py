"""Lint: every kind of finding with a policy that has it and the nearest one that has not, and how findings are told."""

import pytest
from msgspec.structs import replace

from gateway.analysis.inventory import Inventory, Thing
from gateway.analysis.lint import Code, lint
from gateway.analysis.lint.meaning import Meanings
from gateway.analysis.severity import Severity
from gateway.policy.bundle import decode, encode
from gateway.policy.conditions import parse
from gateway.policy.terms import Effect, Link, Place, Rule, Tool
from tests.policy.builders import NOW, bundle, problems

CLASSES = '[[class]]\nname = "fast"\ncalls = 600\nwindow_s = 60\n'
LIMIT = '[[object]]\nmatch = "slack/{}"\ncalls = 1\nwindow_s = 60\n'
INVENTORY = Inventory(
    things={
        "main": tuple(
            Thing(object, "write", Tool())
            for object in ("slack/post", "git/git_log", "git/resource:file:///", "git/prompt:review")
        ),
        "s1": (Thing("git/git_log", "read", Tool()),),
    }
)
GIVEN = (Link("user:ann@example.com", "role:user", "*", Place("grant:1")),)
HARD = " and ".join(f"args.x{n} == 1" for n in range(101))
DEEP = "g, user:ann@example.com, role:r0, *\n" + "".join(f"g, role:r{n}, role:r{n + 1}, *\n" for n in range(9))
"""From Ann to `role:r9` in ten links."""


def found(rows, limits="", **given):
    given = {"now": NOW, "inventory": INVENTORY, **given}
    return lint(bundle(rows, limits), **given).findings


def lines(code, rows, limits="", **given):
    return [finding.place.line for finding in found(rows, limits, **given) if finding.code is code]


ALLOW = "p, role:user, *, self, git/*, read, , allow\n"
BOTH = """\
p, role:user, s2, self, git/*, read, , allow
# @id d
p, role:a, *, *, git/git_log, read, , deny
"""
DENY = "# @id d\np, *, *, *, git/*, read, , deny\n"

ROWS = [
    # a row that says nothing: same, wider in each column, wider condition
    (Code.REDUNDANT_ROW, ALLOW + ALLOW, [2]),
    (Code.REDUNDANT_ROW, ALLOW, []),
    (Code.REDUNDANT_ROW, ALLOW + "p, role:user, main, self, git/git_log, read, , allow", [2]),
    (Code.REDUNDANT_ROW, "p, role:user, main, self, git/git_log, read, , allow\n" + ALLOW, [1]),
    (Code.REDUNDANT_ROW, ALLOW + "p, role:user, main, self, git/git_log, write, , allow", []),
    (Code.REDUNDANT_ROW, ALLOW + "p, role:user, main, system, git/git_log, read, , allow", []),
    (Code.REDUNDANT_ROW, ALLOW + "p, role:user, main, self, slack/post, read, , allow", []),
    (Code.REDUNDANT_ROW, "p, role:user, s1, self, git/*, read, , allow\n" + ALLOW.replace("*,", "s2,", 1), []),
    (Code.REDUNDANT_ROW, ALLOW + "p, role:user, main, self, git/git_log, read, args.x == 1, allow", [2]),
    (Code.REDUNDANT_ROW, ALLOW.replace(" , allow", " args.x == 1, allow") + ALLOW, [1]),
    (
        Code.REDUNDANT_ROW,
        ALLOW.replace(" , allow", " args.x == 1, allow")
        + ALLOW.replace(" , ", " args.x in [1; 2], ").replace(";", ","),
        [1],
    ),
    (
        Code.REDUNDANT_ROW,
        ALLOW.replace(" , allow", " args.x == 1, allow") + ALLOW.replace(" , allow", " args.x == 2, allow"),
        [],
    ),
    (Code.REDUNDANT_ROW, "# @expires 2028-01-01\n" + ALLOW + ALLOW, [2]),
    (Code.REDUNDANT_ROW, ALLOW + "# @expires 2028-01-01\n" + ALLOW, [3]),
    (Code.REDUNDANT_ROW, "# @expires 2028-01-01\n" + ALLOW + "# @expires 2028-01-02\n" + ALLOW, [2]),
    (Code.REDUNDANT_ROW, "# @expires 2020-01-01\n" + ALLOW + ALLOW, []),
    (
        Code.REDUNDANT_ROW,
        "p, *, *, self, git/*, read, , allow\np, user:ann@example.com, *, self, git/*, read, , allow",
        [2],
    ),
    (Code.REDUNDANT_ROW, "p, user:*, *, self, git/*, read, , allow\np, end:s1/7, *, self, git/*, read, , allow", []),
    (Code.REDUNDANT_ROW, "p, end:s1/*, *, self, git/*, read, , allow\np, end:s1/7, *, self, git/*, read, , allow", [2]),
    (
        Code.REDUNDANT_ROW,
        "p, user:a@b.c, *, self, git/*, read, , allow\np, user:a@b.c, *, user:a@b.c, git/*, read, , allow",
        [2],
    ),
    (
        Code.REDUNDANT_ROW,
        "p, user:a@b.c, *, user:x@b.c, git/*, read, , allow\np, user:a@b.c, *, self, git/*, read, , allow",
        [],
    ),
    (Code.REDUNDANT_ROW, ALLOW + "g, role:admin, role:user, *\np, role:admin, main, self, git/*, read, , allow", [3]),
    (Code.REDUNDANT_ROW, ALLOW + "g, role:admin, role:user, s1\np, role:admin, main, self, git/*, read, , allow", []),
    (
        Code.REDUNDANT_ROW,
        ALLOW + "# @expires 2028-01-01\ng, role:admin, role:user, *\np, role:admin, main, self, git/*, read, , allow",
        [],
    ),
    (
        Code.REDUNDANT_ROW,
        "p, role:r9, *, self, git/*, read, , allow\n" + DEEP + "p, role:r8, *, self, git/*, read, , allow",
        [],
    ),
    (Code.REDUNDANT_ROW, DENY + "# @id e\np, role:user, main, self, git/git_log, write, , deny", [4]),
    (Code.REDUNDANT_ROW, DENY + "# @id e\np, role:user, main, self, git/git_log, *, , deny", []),
    (
        Code.REDUNDANT_ROW,
        DENY.replace(" , deny", " args.x > 1, deny") + "# @id e\np, *, *, *, git/*, read, args.x > 2, deny",
        [4],
    ),
    (
        Code.REDUNDANT_ROW,
        "# @id e\np, *, *, *, git/*, read, args.x > 2, deny\n" + DENY.replace(" , deny", " args.y > 2, deny"),
        [],
    ),
    (Code.REDUNDANT_ROW, "# @id e\np, *, s1, *, gateway/*, *, , deny", [2]),
    (
        Code.REDUNDANT_ROW,
        "p, role:user, main, *, *, manage, , allow\np, role:user, main, *, gateway/users, manage, , allow",
        [],
    ),
    (
        Code.REDUNDANT_ROW,  # whoever is given `role:r0` at run time is ten links away from `role:r9`
        "p, role:r9, *, self, git/*, read, , allow\n"
        + DEEP.partition("\n")[2]
        + "p, role:r0, *, self, git/*, read, , allow\n",
        [],
    ),
    (
        Code.REDUNDANT_ROW,  # where there is no `args.x`, the first denies and the second does not
        DENY.replace(" , deny", " args.x == 1, deny") + "# @id e\n" + "p, *, *, *, git/*, read, has(args.x), deny",
        [],
    ),
    (
        Code.REDUNDANT_ROW,
        ALLOW.replace(" , allow", " args.x == 1, allow") + ALLOW.replace(" , allow", " has(args.x), allow"),
        [1],
    ),
    # an allow that gives nothing
    (Code.ALWAYS_DENIED, ALLOW + DENY, [1]),
    (Code.ALWAYS_DENIED, ALLOW + DENY.replace("read", "write"), []),
    (Code.ALWAYS_DENIED, ALLOW + DENY.replace("read", "*"), [1]),
    (Code.ALWAYS_DENIED, ALLOW + DENY.replace("git/*", "git/git_log"), []),
    (Code.ALWAYS_DENIED, ALLOW + DENY.replace(" , deny", " args.x == 1, deny"), []),
    (
        Code.ALWAYS_DENIED,
        ALLOW.replace(" , allow", " args.x == 1, allow") + DENY.replace(" , deny", " args.x > 0, deny"),
        [1],
    ),
    (
        Code.ALWAYS_DENIED,
        ALLOW.replace(" , allow", " has(args.x), allow")
        + DENY.replace(" , deny", " args.x <= 1, deny")
        + "# @id e\np, *, *, *, git/*, read, args.x > 0, deny",
        [1],
    ),
    (Code.ALWAYS_DENIED, ALLOW + "# @expires 2028-01-01\n" + DENY.replace("# @id d\n", ""), []),
    (Code.ALWAYS_DENIED, "p, end:s1/7, main, *, gateway/users, manage, , allow", [1]),
    (Code.ALWAYS_DENIED, "p, user:ann@example.com, s1, *, gateway/users, manage, , allow", [1]),
    (Code.ALWAYS_DENIED, "p, user:ann@example.com, main, *, gateway/users, manage, , allow", []),
    # an allow and a deny that meet in part
    (Code.OVERLAP, ALLOW + "# @id d\np, user:ann@example.com, *, *, git/git_log, read, , deny", []),
    (
        Code.OVERLAP,
        ALLOW
        + "g, user:ann@example.com, role:user, *\n# @id d\np, user:ann@example.com, *, *, git/git_log, read, , deny",
        [4],
    ),
    (
        Code.OVERLAP,
        ALLOW
        + "g, user:ann@example.com, role:user, *\n# @id d\np, user:ann@example.com, *, self, git/git_log, read, , deny",
        [],
    ),
    (
        Code.OVERLAP,
        ALLOW
        + "g, user:ann@example.com, role:user, s1\n# @id d\np, user:ann@example.com, s2, *, git/git_log, read, , deny",
        [],
    ),
    (Code.OVERLAP, ALLOW + DENY, []),
    (Code.OVERLAP, ALLOW + "# @id d\np, role:user, *, *, git/*, write, , deny", []),
    (Code.OVERLAP, ALLOW + "# @id d\np, role:user, *, system, git/git_log, read, , deny", []),
    (
        Code.OVERLAP,
        ALLOW.replace(" , a", " args.x == 1, a") + "# @id d\np, role:user, *, *, git/git_log, read, args.x == 2, deny",
        [],
    ),
    (
        Code.OVERLAP,
        ALLOW.replace(" , a", " args.x > 1, a") + "# @id d\np, role:user, *, *, git/git_log, read, args.x == 2, deny",
        [3],
    ),
    (
        Code.OVERLAP,
        "p, role:user, main, *, *, manage, , allow\n# @id d\np, role:user, *, *, gateway/users, manage, , deny",
        [],
    ),
    (
        Code.OVERLAP,
        "p, role:user, main, self, *, rate:fast, , allow\n# @id d\np, role:user, *, *, git/*, *, , deny",
        [],
    ),
    (
        Code.OVERLAP,
        "p, user:*, main, self, git/*, read, , allow\n# @id d\np, role:user, *, *, git/git_log, *, , deny",
        [3],
    ),
    (
        Code.OVERLAP,
        "p, user:*, main, self, git/*, read, , allow\n# @id d\np, end:s1/7, *, *, git/git_log, *, , deny",
        [],
    ),
    (
        Code.OVERLAP,
        "p, role:user, main, self, git/git_log, read, , allow\n# @id d\np, role:user, *, *, git/*, write, , deny",
        [],
    ),
    (
        Code.OVERLAP,
        "p, role:user, main, self, git/git_log, write, , allow\n# @id d\np, role:user, *, *, git/*, write, , deny",
        [3],
    ),
    (
        Code.OVERLAP,  # Ann is both, but nowhere at once
        BOTH + "g, user:ann@example.com, role:user, s2\ng, user:ann@example.com, role:a, s1\n",
        [],
    ),
    (
        Code.OVERLAP,
        BOTH + "g, user:ann@example.com, role:user, s2\ng, user:ann@example.com, role:a, *\n",
        [3],
    ),
    (Code.MANY_ROWS, "".join(f"p, role:user, main, self, git/*, read, args.x == {n}, allow\n" for n in range(99)), []),
    (
        Code.MANY_ROWS,
        "".join(f"p, role:user, main, self, git/*, read, args.x == {n}, allow\n" for n in range(99))
        + "p, role:user, main, self, *, read, , allow",
        [1],
    ),
    (Code.MANY_ROWS, "".join(f"p, role:user, main, self, git/t{n}, read, , allow\n" for n in range(120)), []),
    # single rows
    (Code.EXPIRED, "# @expires 2027-01-15\n" + ALLOW, [2]),
    (Code.EXPIRED, "# @expires 2027-01-16\n" + ALLOW, []),
    (Code.EXPIRED, "# @expires 2027-01-15\ng, role:a, role:b, *\n", [2]),
    (Code.BROAD_ALLOW, "p, role:user, main, self, *, write, , allow", [1]),
    (Code.BROAD_ALLOW, "# @expires 2028-01-01\np, role:user, main, self, *, write, , allow", []),
    (Code.BROAD_ALLOW, "p, role:user, main, self, *, read, , allow", []),
    (Code.BROAD_ALLOW, "p, user:*, main, self, slack/post, write, , allow", [1]),
    (Code.BROAD_ALLOW, "p, user:*, main, *, gateway/users, manage, , allow", [1]),
    (Code.BROAD_ALLOW, "p, user:*, main, self, gateway/keys, manage, , allow", []),
    (Code.BROAD_ALLOW, "p, user:*, main, *, gateway/users, inspect, , allow", []),
    (Code.DENY_WITHOUT_ID, "p, *, *, *, git/*, read, , deny", [1]),
    (Code.DENY_WITHOUT_ID, DENY, []),
    (Code.DENY_IN_ONE_DOMAIN, DENY.replace("*, *, *", "*, main, *"), [2]),
    (Code.DENY_IN_ONE_DOMAIN, DENY, []),
    (Code.DENY_OF_SELF, DENY.replace("*, *, *", "*, *, self"), [2]),
    (Code.DENY_OF_SELF, DENY, []),
    # conditions
    (Code.NEVER_ALLOWS, ALLOW.replace(" , a", " args.x > 1 and args.x < 1, a"), [1]),
    (Code.NEVER_ALLOWS, ALLOW.replace(" , a", " args.x > 0 and args.x < 1, a"), []),
    (Code.NEVER_ALLOWS, DENY.replace(" , d", " args.x > 1 and args.x < 1, d"), []),
    (Code.NEVER_DENIES, DENY.replace(" , d", " false, d"), [2]),
    (Code.NEVER_DENIES, DENY.replace(" , d", " args.x > 1 and args.x < 1, d"), []),
    (Code.CONDITION_ALWAYS, ALLOW.replace(" , a", " has(args.x) or not has(args.x), a"), [1]),
    (Code.CONDITION_ALWAYS, ALLOW.replace(" , a", " args.x == 1 or args.x != 1, a"), []),
    (Code.CONDITION_ALWAYS, DENY.replace(" , d", " args.x == 1 or args.x != 1, d"), [2]),
    (Code.CONDITION_ALWAYS, DENY.replace(" , d", " tool.destructive or not tool.destructive, d"), [2]),
    (Code.EMPTY_ROOT, ALLOW.replace(" , a", " args.x > 0 and claims.amr == 'mfa', a"), [1]),
    (Code.EMPTY_ROOT, DENY.replace(" , d", " client.name == 'x' or args.x == 1, d"), [2]),
    (Code.EMPTY_ROOT, DENY.replace(" , d", " connection.id == 'y', d"), [2]),
    (Code.EMPTY_ROOT, ALLOW.replace(" , a", " connection.id == 'y', a"), []),
    (Code.EMPTY_ROOT, ALLOW.replace(" , a", " hours(env.now; '08:00'; '18:00'), a").replace(";", ","), []),
    (Code.UPPER_BOUND_ONLY, ALLOW.replace(" , a", " args.x <= 100, a"), [1]),
    (Code.UPPER_BOUND_ONLY, ALLOW.replace(" , a", " args.x > 0 and args.x <= 100, a"), []),
    (Code.UPPER_BOUND_ONLY, ALLOW.replace(" , a", " not (args.x > 100), a"), [1]),
    (Code.UPPER_BOUND_ONLY, ALLOW.replace(" , a", " args.x < 'm', a"), []),
    (Code.UPPER_BOUND_ONLY, ALLOW.replace(" , a", " args.x == 0 or args.x < 10, a"), []),
    (Code.UPPER_BOUND_ONLY, ALLOW.replace(" , a", " every(args.lines; it.price < 10), a").replace(";", ","), [1]),
    (
        Code.UPPER_BOUND_ONLY,
        ALLOW.replace(" , a", " every(args.lines; it.price < 10 and it.price > 0), a").replace(";", ","),
        [],
    ),
    (Code.UPPER_BOUND_ONLY, ALLOW.replace(" , a", " env.now < 5, a"), []),
    (Code.UPPER_BOUND_ONLY, DENY.replace(" , d", " args.x > 100, d"), [2]),
    (Code.UPPER_BOUND_ONLY, DENY.replace(" , d", " not (args.x > 0 and args.x <= 100), d"), []),
    (Code.UPPER_BOUND_ONLY, DENY.replace(" , d", " args.x < 0, d"), []),
    (Code.BEYOND_CAP, ALLOW.replace(" , a", " args.x == 1, a"), []),
    (Code.BEYOND_CAP, ALLOW.replace(" , a", f" {HARD}, a"), [1]),
    (Code.BEYOND_CAP, ALLOW.replace(" , a", " claims.x == 1 or env.address == 'x', a"), []),
    (Code.BEYOND_CAP, DENY.replace(" , d", " claims.x == 1 and (env.address == 'x' or args.x == 1), d"), []),
    (Code.CASE_VARIANTS, "g, role:Admin, role:user, *\ng, role:admin, role:user, *", [2]),
    (Code.CASE_VARIANTS, "g, role:admin, role:user, *\ng, role:admins, role:user, *", []),
    (
        Code.CASE_VARIANTS,
        ALLOW.replace(" , a", " args.c == '#Help', a") + ALLOW.replace(" , a", " args.c in ['#help'], a"),
        [2],
    ),
    (
        Code.CASE_VARIANTS,
        ALLOW.replace(" , a", " args.c != '#Help', a") + ALLOW.replace(" , a", " not (args.d == '#help'), a"),
        [],
    ),
    (Code.CASE_VARIANTS, ALLOW.replace(" , a", " some(args.c; it == 'A' or it == 'a'), a").replace(";", ","), [1]),
    (Code.SECRET_UNREAD, "# @secret args.card\n" + ALLOW, [None]),
    (Code.SECRET_UNREAD, "# @secret args.card\n" + ALLOW.replace(" , a", " args.card.number == 'x', a"), []),
    (Code.SECRET_UNREAD, "# @secret args.card.number\n" + ALLOW.replace(" , a", " has(args.card), a"), []),
    # roles
    (Code.ROLE_NOT_IN_FILES, ALLOW, [1]),
    (Code.ROLE_NOT_IN_FILES, ALLOW + "g, user:ann@example.com, role:user, s1", []),
    (Code.ROLE_NOT_IN_FILES, ALLOW + "# @expires 2027-01-01\ng, user:ann@example.com, role:user, s1", [1]),
    (Code.ROLE_NOT_IN_FILES, ALLOW + "g, role:admin, role:user, *\ng, group:corp/all, role:admin, s1", []),
    (Code.ROLE_NOT_IN_FILES, ALLOW + "g, role:admin, role:user, s2\ng, group:corp/all, role:admin, s1", [1]),
    (Code.ROLE_NOT_IN_FILES, ALLOW + "g, role:admin, role:user, s2\ng, group:corp/all, role:admin, *", []),
    (Code.ROLE_WITHOUT_ROWS, ALLOW + "g, user:ann@example.com, role:usr, *", [2]),
    (Code.ROLE_WITHOUT_ROWS, ALLOW + "g, user:ann@example.com, role:admin, *\ng, role:admin, role:user, *", []),
    (
        Code.ROLE_WITHOUT_ROWS,
        ALLOW.replace(" , a", " some(owner.roles; it == 'usr'), a").replace(";", ",")
        + "g, user:ann@example.com, role:usr, *",
        [],
    ),
    (
        Code.ROLE_WITHOUT_ROWS,
        ALLOW.replace(" , a", " not some(owner.roles; it in ['x'] and it != 'usr'), a").replace(";", ",")
        + "g, user:ann@example.com, role:usr, *",
        [],
    ),
    (
        Code.ROLE_WITHOUT_ROWS,
        ALLOW.replace(" , a", " args.x == 1 or every(owner.roles; not starts(it; 'u')), a").replace(";", ",")
        + "g, user:ann@example.com, role:usr, *",
        [],
    ),
    (
        Code.ROLE_WITHOUT_ROWS,
        ALLOW.replace(" , a", " has(owner.roles), a") + "g, user:ann@example.com, role:usr, *",
        [],
    ),
    (Code.LINK_GIVES_NOTHING, ALLOW.replace("*,", "s1,", 1) + "g, user:ann@example.com, role:user, s2", [2]),
    (Code.LINK_GIVES_NOTHING, ALLOW.replace("*,", "s1,", 1) + "g, user:ann@example.com, role:user, *", []),
    (Code.LINK_GIVES_NOTHING, ALLOW + "g, user:ann@example.com, role:user, s2", []),
    (Code.REDUNDANT_LINK, ALLOW + "g, user:ann@example.com, role:user, *\ng, user:ann@example.com, role:user, s1", [3]),
    (Code.REDUNDANT_LINK, ALLOW + "g, user:ann@example.com, role:user, s1\ng, user:ann@example.com, role:user, s2", []),
    (
        Code.REDUNDANT_LINK,
        ALLOW + "g, role:a, role:user, *\ng, user:ann@example.com, role:a, *\ng, user:ann@example.com, role:user, *",
        [4],
    ),
    (Code.REDUNDANT_LINK, ALLOW + "g, user:ann@example.com, role:user, *\n" * 2, [3]),
    (
        Code.REDUNDANT_LINK,
        ALLOW + "# @expires 2028-01-01\ng, user:ann@example.com, role:user, *\ng, user:ann@example.com, role:user, s1",
        [],
    ),
    (Code.REDUNDANT_LINK, "p, role:r9, *, self, git/*, read, , allow\n" + DEEP + "g, role:r0, role:r2, *", []),
    (Code.ROLE_CYCLE, "g, role:a, role:b, *\ng, role:b, role:a, s1", [1]),
    (Code.ROLE_CYCLE, "g, role:a, role:b, s1\ng, role:b, role:a, s2", []),
    (Code.ROLE_CYCLE, "g, role:a, role:a, main", [1]),
    (Code.ROLE_CYCLE, "g, role:a, role:b, *\ng, role:a, role:c, *\ng, role:b, role:c, *", []),
    (Code.ROLE_TOO_DEEP, DEEP, [10]),
    (Code.ROLE_TOO_DEEP, DEEP + "g, user:ann@example.com, role:r3, *", []),
    (Code.ROLE_TOO_DEEP, DEEP.replace("user:ann@example.com", "role:s"), []),
    (Code.ROLE_TOO_DEEP, DEEP.replace("role:r5, role:r6, *", "role:r5, role:r6, s1"), [10]),
    (
        Code.ROLE_TOO_DEEP,
        DEEP.replace("role:r5, role:r6, *", "role:r5, role:r6, s1").replace(
            "role:r7, role:r8, *", "role:r7, role:r8, s2"
        ),
        [],
    ),
    # what there is
    (Code.SERVER_UNKNOWN, ALLOW.replace("*,", "s9,", 1), [1]),
    (Code.SERVER_UNKNOWN, ALLOW.replace("*,", "s1,", 1), []),
    (Code.SERVER_UNKNOWN, ALLOW + "g, user:ann@example.com, role:user, s9", [2]),
    (Code.CONNECTOR_UNKNOWN, ALLOW.replace("git/*", "gti/*"), [1]),
    (Code.CONNECTOR_UNKNOWN, "p, role:user, s1, self, slack/*, read, , allow", [1]),
    (
        Code.CONNECTOR_UNKNOWN,
        "p, role:user, main, self, slack, connect, , allow\np, role:user, main, self, *, connect, , allow",
        [],
    ),
    (
        Code.CONNECTOR_UNKNOWN,
        "p, role:user, main, self, custom/x, write, , allow\np, role:user, main, self, http/x.y, write, , allow",
        [],
    ),
    (Code.OBJECT_UNKNOWN, ALLOW.replace("git/*", "git/git_lgo"), [1]),
    (Code.OBJECT_UNKNOWN, ALLOW.replace("git/*", "git/git_log"), []),
    (Code.OBJECT_UNKNOWN, ALLOW.replace("git/*", "git/prompt:*"), []),
    (Code.OBJECT_UNKNOWN, "p, role:user, s1, self, git/prompt:*, read, , allow", [1]),
    (Code.OBJECT_UNKNOWN, ALLOW.replace("git/*", "git/resource:file:///a/*"), []),
    (Code.OBJECT_UNKNOWN, ALLOW.replace("git/*", "git/resource:https://x.y/"), []),
]


@pytest.mark.parametrize(("code", "rows", "expected"), ROWS)
def test_a_kind_of_finding_is_found_where_it_is_and_only_there(code, rows, expected):
    limits = CLASSES if "rate:fast" in rows else ""
    assert lines(code, rows, limits) == expected


def test_every_kind_of_finding_has_an_example_with_it_and_one_without():
    with_it = {code for code, _, expected in ROWS if expected}
    without = {code for code, _, expected in ROWS if not expected}
    elsewhere = {
        Code.ROLE_NEVER_GIVEN,
        Code.CLASS_UNUSED,
        Code.LIMIT_UNKNOWN,
        Code.PATH_TO_POLICY,
        Code.LINT_OK_UNUSED,
    }
    assert with_it == without == set(Code) - elsewhere


def test_after_too_many_comparisons_of_conditions_only_equal_ones_count():
    conditions = {text: parse(text) for text in ("", "args.x == 1", "args.x == 2", "has(args.x)")}
    meanings = Meanings(conditions, comparisons=2)
    for _ in range(3):  # what was found is remembered
        assert meanings.within("args.x == 1", "has(args.x)", Effect.ALLOW)
        assert meanings.spared("args.x == 1", "args.x == 2")
    assert not meanings.within("args.x == 2", "has(args.x)", Effect.ALLOW)
    assert not meanings.shut("args.x == 1", ["has(args.x)"])
    assert not meanings.spared("args.x == 2", "args.x == 1")
    assert meanings.within("args.x == 2", "args.x == 2", Effect.ALLOW)


def test_a_role_is_never_given_when_neither_files_nor_grants_give_it():
    rows = ALLOW + "p, role:ghost, *, self, git/*, write, , allow\n"
    assert lines(Code.ROLE_NEVER_GIVEN, rows, grants=GIVEN) == [2]
    assert lines(Code.ROLE_NOT_IN_FILES, rows, grants=GIVEN) == []
    ended = (replace(GIVEN[0], expires=NOW),)
    assert lines(Code.ROLE_NEVER_GIVEN, rows, grants=ended) == [1, 2]


def test_a_class_is_unused_when_no_row_or_grant_allows_it():
    row = "p, role:user, *, self, *, rate:fast, , allow\n"
    assert lines(Code.CLASS_UNUSED, row, CLASSES) == []
    assert lines(Code.CLASS_UNUSED, "# @expires 2020-01-01\n" + row, CLASSES) == [None]
    assert lines(Code.CLASS_UNUSED, "# @id d\n" + row.replace("allow", "deny"), CLASSES) == [None]
    grant = Rule("role:user", "*", "self", "*", "rate:fast", "", Effect.ALLOW, Place("grant:1"))
    assert lines(Code.CLASS_UNUSED, ALLOW, CLASSES, grants=[grant]) == []
    assert lines(Code.CLASS_UNUSED, ALLOW, CLASSES.replace("fast", "default")) == []


def test_a_limit_for_nothing_that_is_offered_is_found():
    assert lines(Code.LIMIT_UNKNOWN, ALLOW, LIMIT.format("psot")) == [None]
    assert lines(Code.LIMIT_UNKNOWN, ALLOW, LIMIT.format("post")) == []
    assert lines(Code.LIMIT_UNKNOWN, ALLOW, LIMIT.format("psot"), inventory=None) == []


def test_without_an_inventory_nothing_is_said_about_what_there_is():
    rows = "p, role:user, s9, self, gti/*, read, , allow\np, role:user, main, self, git/gti, read, , allow"
    unknown = {Code.SERVER_UNKNOWN, Code.CONNECTOR_UNKNOWN, Code.OBJECT_UNKNOWN}
    assert {each.code for each in found(rows)} >= {Code.SERVER_UNKNOWN, Code.OBJECT_UNKNOWN}
    assert not {each.code for each in found(rows, inventory=None)} & unknown


KEYS = "p, role:security, main, system, gateway/policy, manage, , allow\n"


def paths(rows, **given):
    return [each for each in found(rows, **given) if each.code is Code.PATH_TO_POLICY]


def test_every_path_to_the_keys_of_the_policy_is_told_with_its_links():
    rows = (
        KEYS
        + "g, role:boss, role:security, *\ng, user:ann@example.com, role:boss, main\ng, group:corp/sec, role:security, *\n"
    )
    told = paths(rows, grants=[Link("user:bob@example.com", "role:security", "*", Place("grant:7"))])
    assert sorted(each.sentence.partition(" can ")[0] for each in told) == [
        "`group:corp/sec` → `role:security`",
        "`user:ann@example.com` → `role:boss` → `role:security`",
        "`user:bob@example.com` → `role:security`",
    ]
    ann = next(each for each in told if "ann" in each.sentence)
    assert (str(ann.place), [str(place) for place in ann.others]) == (
        "policies/rules.csv:1",
        ["policies/rules.csv:3", "policies/rules.csv:2"],
    )


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        (KEYS, ["lets `role:security` change the policy, which is given to nobody here"]),
        (KEYS.replace("role:security", "user:*"), ["`user:*` can change the policy"]),
        (KEYS + "g, user:ann@example.com, role:security, s1", ["given to nobody here"]),
        (KEYS + "g, server:s1, role:security, *", ["given to nobody here"]),
        (KEYS.replace("manage", "inspect") + "g, user:ann@example.com, role:security, *", []),
        (KEYS.replace("main", "s1") + "g, user:ann@example.com, role:security, *", []),
        (
            KEYS + "g, user:ann@example.com, role:security, *\n# @id d\np, user:ann@example.com, *, *, *, *, , deny",
            [],
        ),
        (
            KEYS
            + "g, user:ann@example.com, role:security, *\n# @id d\np, *, *, *, gateway/*, manage, args.x == 1, deny",
            ["unless `policies/rules.csv:4` denies it"],
        ),
    ],
)
def test_a_path_is_one_that_can_be_walked(rows, told):
    sentences = [each.sentence for each in paths(rows)]
    assert len(sentences) == len(told)
    assert all(part in sentence for part, sentence in zip(told, sentences, strict=True))


def test_a_finding_names_its_place_its_severity_what_to_do_and_the_other_rows():
    (finding,) = [each for each in found(ALLOW + DENY) if each.code is Code.ALWAYS_DENIED]
    assert finding.severity is Severity.WARNING
    assert [str(place) for place in finding.others] == ["policies/rules.csv:3"]
    assert str(finding) == (
        "policies/rules.csv:1: warning: `p, role:user, *, self, git/*, read, , allow` gives nothing: "
        "`policies/rules.csv:3` denies every question that it allows; remove it, or narrow the deny (always-denied)"
    )


def test_of_many_rows_the_first_are_told_and_the_others_counted():
    rows = ALLOW + "".join(f"g, user:u{n}@example.com, role:usr, *\n" for n in range(6))
    (finding,) = [each for each in found(rows) if each.code is Code.ROLE_WITHOUT_ROWS]
    assert [place.line for place in finding.others] == [3, 4, 5, 6, 7]
    roles = "".join(f"p, role:r{n}, *, self, git/*, read, , allow\n" for n in range(6))
    (finding,) = [each for each in found(roles) if each.code is Code.ROLE_NOT_IN_FILES]
    assert "`role:r0`, `role:r1`, `role:r2` and 3 more to nobody" in finding.sentence


def test_an_acknowledged_finding_is_counted_and_not_told():
    rows = "# @lint-ok broad-allow\np, role:user, main, self, *, write, , allow\n"
    result = lint(bundle(rows), now=NOW)
    assert (Code.BROAD_ALLOW not in {each.code for each in result.findings}, result.accepted) == (True, 1)
    assert result.count(Severity.WARNING) == 0
    both = "# @lint-ok deny-without-id deny-in-one-domain\np, *, main, *, git/*, read, , deny\n"
    assert lint(bundle(both), now=NOW).accepted == 2


@pytest.mark.parametrize(
    "rows",
    [
        "# @lint-ok broad-allow\n" + ALLOW,
        "# @lint-ok no-such-code\n" + ALLOW,
        "# @lint-ok never-denies\n# @id d\np, *, *, *, git/*, read, false, deny\n",
    ],
)
def test_an_acknowledgement_of_nothing_or_of_an_error_is_itself_found(rows):
    result = lint(bundle(rows), now=NOW)
    assert Code.LINT_OK_UNUSED in {each.code for each in result.findings}
    assert result.accepted == 0
    assert result.count(Severity.ERROR) == rows.count("never-denies")


def test_an_acknowledgement_stands_in_the_bundle_by_the_place_of_its_row():
    given = bundle("# @lint-ok broad-allow  many-rows\n" + ALLOW)
    assert given.accepted == {"policies/rules.csv:2": ("broad-allow", "many-rows")}
    assert decode(encode(given)) == given
    assert problems("# @lint-ok Broad\n" + ALLOW) == [
        "policies/rules.csv:2: `@lint-ok Broad` does not name what lint finds, such as `broad-allow`"
    ]


def test_findings_come_in_the_order_of_the_files_whatever_that_of_the_rows():
    rows = "".join(sample for code, sample, expected in ROWS if code is Code.DENY_OF_SELF)
    result = lint(bundle(rows.replace("# @id d", "#")), now=NOW)
    places = [(each.place.file, each.place.line or 0) for each in result.findings]
    assert places == sorted(places)
    assert len(places) > 3


def test_progress_is_told_by_step_and_ends_with_each_step():
    told = []
    lint(bundle(ALLOW + DENY), now=NOW, progress=lambda *step: told.append(step))
    assert ("rows against each other", 2, 2) in told
