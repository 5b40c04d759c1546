"""What the reader accepts, and every mistake that plain Casbin takes in silence."""

from datetime import UTC, datetime

import casbin
import pytest
from casbin.persist.adapters import FileAdapter
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.policy import rules
from gateway.policy.bundle import Bundle
from gateway.policy.rules import MODEL_FILE, read, split
from gateway.policy.terms import Effect, Link, Place, Rule
from tests.policy.builders import MODEL, bundle, files, policy, problems

GOOD = "p, role:support, main, self, slack/send, write, args.to in ['#a', '#b'], allow"


def test_a_rule_and_a_role_given_become_values_with_their_place():
    found = bundle(f"# comment\n\n{GOOD}\ng, user:a@example.com, role:support, main\n")
    place = Place("policies/rules.csv", 3)
    condition = "args.to in ['#a', '#b']"
    assert found.rules == (Rule("role:support", "main", "self", "slack/send", "write", condition, Effect.ALLOW, place),)
    assert found.links == (Link("user:a@example.com", "role:support", "main", Place("policies/rules.csv", 4)),)


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        # Casbin: the rule never denies
        ("p, *, *, *, slack/x, read, , Deny", "effect `Deny` is not one of `allow`, `deny`"),
        ("p, *, *, *, slack/x, read, , dney", "effect `dney` is not one of `allow`, `deny`"),
        (
            "p, *, *, *, slack/x, read, , deny # why",
            "`# why` after effect is no comment here; a comment has its own line",
        ),
        ('p, *, *, *, slack/x, read, , "deny"', 'effect `"deny"` stands in quotes'),
        ('p, "user:a@example.com", *, *, slack/x, read, , deny', 'subject `"user:a@example.com"` stands in quotes'),
        ("p, 'role:a', *, *, slack/x, read, , deny", "subject `'role:a'` stands in quotes"),
        # Casbin: the line is dropped
        ("pp, *, *, *, slack/x, read, , deny", "a row of type `pp` is neither a rule (`p`) nor a role given (`g`)"),
        ("deny, *, *, *, slack/x, read, , deny", "a row of type `deny` is neither"),
        ("p2, *, *, *, slack/x, read, , deny", "a row of type `p2` is neither"),
        ("P, *, *, *, slack/x, read, , deny", "a row of type `P` is neither"),
        # Casbin: every decision fails, the load fails, or a column is ignored
        (
            "p, *, *, *, slack/x, read, deny",
            "a `p` row has 7 fields (subject, domain, owner, object, action, when, effect), this one 6",
        ),
        ("p, *, *, *, slack/x, read, , deny, x", "this one 8"),
        ("p", "this one 0"),
        ("g, user:a@example.com, role:x", "a `g` row has 3 fields (member, role, domain), this one 2"),
        ("g, user:a@example.com, role:x, main, x", "this one 4"),
        ("p, *, *, *, slack/x, read, ], deny", "`]` at character 28 closes no bracket"),
        ("p, *, *, *, slack/x), read, , deny", "`)` at character 20 closes no bracket"),
        ("p, *, *, *, slack/x, read, args.a == '(', deny", "`)` is missing; brackets pair, also inside quotes"),
        ("p, *, *, *, slack/x, read, args.a in [1), deny", "`)` at character 40 closes no bracket"),
        (
            "p, *, *, *, slack/x, read, args.a == 'a, b', deny",
            "a comma in quotes splits the row unless it stands in brackets",
        ),
        # Casbin: also matches what it does not say, or nothing
        (
            "p, *, *, *, github*, read, , deny",
            "`github*` is not a pattern: one `*` may stand at the end, after `/` or `:`",
        ),
        ("p, *, *, *, slack/send_*, read, , deny", "`slack/send_*` is not a pattern"),
        ("p, *, *, *, slack/*/x, read, , deny", "`slack/*/x` is not a pattern"),
        ("p, *, *, *, */x, read, , deny", "`*/x` is not a pattern"),
        ("p, *, *, *, slack/**, read, , deny", "`slack/**` is not a pattern"),
        ("p, alice, *, *, slack/x, read, , deny", "subject `alice` is none of `user:EMAIL`"),
        ("p, client:x, *, *, slack/x, read, , deny", "subject `client:x` is none of"),
        ("p, user:alice, *, *, slack/x, read, , deny", "subject `user:alice` is none of"),
        (
            "p, user:A@example.com, *, *, slack/x, read, , deny",
            "addresses are written in lower case: `user:a@example.com`",
        ),
        ("p, user:*@example.com, *, *, slack/x, read, , deny", "subject `user:*@example.com` is none of"),
        ("p, end:x, *, *, slack/x, read, , deny", "subject `end:x` is none of"),
        ("p, server:*, *, *, slack/x, read, , deny", "subject `server:*` is none of"),
        ("p, end:*, *, *, slack/x, read, , deny", "subject `end:*` is none of"),
        ("p, group:x, *, *, slack/x, read, , deny", "subject `group:x` is none of"),
        ("p, role:*, *, *, slack/x, read, , deny", "subject `role:*` is none of"),
        ("p, *, !main, *, slack/x, read, , deny", "domain `!main` is none of `main`, a server's id or `*`"),
        ("p, *, a b, *, slack/x, read, , deny", "domain `a b` is none of"),
        ("p, *, , *, slack/x, read, , deny", "domain `` is none of"),
        ("p, *, *, me, slack/x, read, , deny", "owner `me` is none of `self`, `system`, `*` or one subject"),
        ("p, *, *, role:x, slack/x, read, , deny", "owner `role:x` is none of"),
        ("p, *, *, user:B@example.com, slack/x, read, , deny", "lower case: `user:b@example.com`"),
        ("p, *, *, *, gateway, manage, , deny", "`gateway` is reserved; write `gateway/*`"),
        ("p, *, *, *, http, read, , deny", "`http` is reserved; write `http/*`"),
        ("p, *, *, *, gateway/user, manage, , deny", "`gateway/user` administers nothing"),
        ("p, *, *, *, /x, read, , deny", "`/x` does not begin with the name of a connector"),
        ("p, *, *, *, slack/, read, , deny", "nothing is named in `slack/` after `/`; for everything write `slack/*`"),
        (
            "p, *, *, *, slack/a/b, read, , deny",
            "`a/b` in `slack/a/b` is not in the normal form; write `a%2Fb`",
        ),
        ("p, *, *, *, slack/a%2fb, read, , deny", "`a%2fb` in `slack/a%2fb` is not in the normal form; write `a%2Fb`"),
        (
            "p, *, *, *, slack/tool:x, read, , deny",
            "`tool:` in `slack/tool:x` is no kind of thing of `slack`; it has `prompt:`, `resource:`",
        ),
        (
            "p, *, *, *, custom/resource:x, read, , deny",
            "`resource:` in `custom/resource:x` is no kind of thing of `custom`; it has `prompt:`",
        ),
        ("p, *, *, *, http/a:8080, read, , deny", "`a:` in `http/a:8080` is no kind of thing of `http`"),
        (
            "p, *, *, *, fs/resource:, read, , deny",
            "nothing is named in `fs/resource:` after `:`; for everything write `fs/resource:*`",
        ),
        ("p, *, *, *, fs/resource:file:///a b, read, , deny", "is not in the normal form; write `file:///a%20b`"),
        ("p, *, *, *, fs/resource:FILE:///a, read, , deny", "is not in the normal form; write `file:///a`"),
        (
            "p, *, *, *, fs/resource:file:///%7ea%2fb/*, read, , deny",
            "is not in the normal form; write `file:///~a%2Fb/`",
        ),
        ("p, *, *, *, web/resource:https://Evil.com/*, read, , deny", "write `https://evil.com/`"),
        ("p, *, *, *, fs/resource:file:///\u00e4, read, , deny", "write `file:///%C3%A4`"),
        ("p, *, *, *, slack/a(b), read, , deny", "write `a%28b%29`"),
        ("p, *, *, *, slack/it's, read, , deny", "write `it%27s`"),
        ("p, *, *, *, slack/%61, read, , deny", "write `a`"),
        ("p, *, *, *, Slack/*, read, , deny", "`Slack/*` does not begin with the name of a connector"),
        ("p, *, *, *, sl_ack/*, read, , deny", "`sl_ack/*` does not begin with the name of a connector"),
        ("p, *, *, *, http/API.example.com, read, , deny", "is not a host in small letters"),
        (
            "p, *, *, *, http/api.example.com%3a80, read, , deny",
            "is not a host in small letters; a port other than 443",
        ),
        ("p, *, *, *, http/api.example.com%3A, read, , deny", "is not a host in small letters; a port other than 443"),
        # actions
        ("p, *, *, *, slack/x, execute, , deny", "action `execute` is none of `read`, `write`, `inspect`"),
        ("p, *, *, *, slack/x, rate:, , deny", "action `rate:` is none of"),
        ("p, role:x, *, self, slack/x, *, , allow", "action `*` is for a deny; name the action that is allowed"),
        ("p, role:x, *, self, gateway/users, write, , allow", "administration has `inspect`, `revoke`, `manage`"),
        ("p, role:x, *, self, gateway/users, share, , allow", "administration has"),
        ("p, role:x, *, self, gateway/users, act-as, , allow", "only `gateway/end-users` has it"),
        ("p, role:x, *, self, *, act-as, , allow", "only `gateway/end-users` has it"),
        ("p, role:x, *, self, slack, read, , allow", "a whole connector is not used; write `slack/*`"),
        (
            "p, role:x, *, self, slack/*, connect, , allow",
            "an account is connected to a whole connector; write `slack`",
        ),
        ("p, role:x, *, self, custom/*, connect, , allow", "`custom` has no accounts"),
        ("p, role:x, *, self, slack/*, manage, , allow", "its connections are administered as a whole; write `slack`"),
        ("p, role:x, *, self, http/*, manage, , allow", "it is only used"),
        ("p, role:x, *, self, http/*, share, , allow", "it is only used"),
        ("p, role:x, *, self, slack/*, rate:high, , allow", "a rate class is for everything; write `*`"),
        ("p, role:x, *, system, *, rate:high, , allow", "owner `system` never has a rate class; write `self`"),
        ("p, role:x, *, self, *, rate:high, , allow", "rate class `high` is not defined in `limits.toml`"),
        ("p, role:x, *, *, slack/*, read, , allow", "owner `*` on an allow of `read` lends"),
        ("p, role:x, *, *, slack/*, write, , allow", "owner `*` on an allow of `write` lends"),
        ("p, role:x, *, *, custom/*, share, , allow", "owner `*` on an allow of `share` lends"),
        ("p, role:x, *, *, slack, connect, , allow", "owner `*` on an allow of `connect` lends"),
        # roles given
        ("g, user:*, role:x, main", "member `user:*` is everybody"),
        ("g, *, role:x, main", "member `*` is everybody"),
        ("g, alice, role:x, main", "member `alice` is none of"),
        ("g, user:A@example.com, role:x, main", "lower case: `user:a@example.com`"),
        ("g, user:a@example.com, x, main", "role `x` is not `role:NAME`"),
        ("g, user:a@example.com, group:a/b, main", "role `group:a/b` is not `role:NAME`"),
        ("g, user:a@example.com, role:x, a/b", "domain `a/b` is none of"),
        ("g, user:a@example.com, role:x, main # boss", "`# boss` after domain is no comment here"),
        # letters that look like others
        ("p, user:cafe\u0301@example.com, *, *, slack/x, read, , deny", "is not in the composed form (NFC)"),
        ("p, user:a\u200b@example.com, *, *, slack/x, read, , deny", "subject holds an invisible character"),
        ("p, *, *, *, sla\rck/x, read, , deny", "object holds an invisible character"),
        ("p, *, *, *, slack/x, read, args.a == '\u202e', deny", "when holds an invisible character"),
        # conditions
        ("p, *, *, *, slack/x, read, args.a ==, deny", "condition `args.a ==`: "),
        ("p, *, *, *, slack/x, read, eval('x'), deny", "condition `eval('x')`: "),
    ],
)
def test_a_row_that_casbin_would_take_wrongly_is_a_problem_with_its_line(row, sentence):
    found = problems(f"{GOOD}\n{row}\n")
    assert all(problem.startswith("policies/rules.csv:2: ") for problem in found)
    assert any(sentence in problem for problem in found), found


@pytest.mark.parametrize(
    "row",
    [
        "p, user:o'brien+x@example.com, main, self, slack/x, read, , allow",
        "p, end:srv-1/auth0|42, srv-1, self, slack/*, write, , allow",
        "p, end:srv-1/*, srv-1, self, slack/*, write, , allow",
        "p, server:srv-1, srv-1, user:a@example.com, slack/*, write, , allow",
        "p, group:corp/Domain Users, *, *, stripe/*, *, , deny",
        "p, user:*, main, self, custom/*, write, , allow",
        "p, *, *, *, *, write, tool.destructive, deny",
        "p, user:mallory@example.com, *, *, *, *, , deny",
        "p, *, *, self, *, revoke, , allow",
        "p, role:x, main, system, *, connect, , allow",
        "p, role:x, main, self, slack, connect, , allow",
        "p, role:x, main, self, slack, manage, , allow",
        "p, role:x, main, self, custom/*, manage, , allow",
        "p, role:x, main, self, custom/prompt:*, manage, , allow",
        "p, role:x, main, self, custom/prompt:hello, read, , allow",
        "p, role:x, main, self, custom/*, share, args.days > 0 and args.days <= 90, allow",
        "p, role:x, main, user:a@example.com, gateway/end-users, act-as, , allow",
        "p, role:x, main, *, gateway/*, act-as, , allow",
        "p, role:x, main, *, gateway/*, manage, , allow",
        "p, role:x, main, self, fs/resource:*, read, , allow",
        "p, role:x, main, self, fs/resource:file:///home/*, read, , allow",
        "p, role:x, main, self, fs/resource:file:///a%2Fb%20c, read, , allow",
        "p, role:x, main, self, fs/resource:file:///HOME:x?q=FILE:1, read, , allow",
        "p, role:x, main, self, notes/read a note, read, , allow",
        "p, role:x, main, self, fs/prompt:a%2Ab, read, , allow",
        "p, role:x, main, system, http/api.example.com, write, , allow",
        "p, role:x, main, self, http/10.0.0.7%3A8443, write, , allow",
        "p, role:x, main, self, http/%5B2606%3A4700%3A%3A1111%5D%3A8443, read, , allow",
        "p,role:x,main,self,slack/x,write,(args.a == 'x, y'),allow",
        "p, *, *, *, *, rate:default, , deny",
        "g, group:corp/admins, role:x, *",
        "g, role:x, role:y, srv-1",
    ],
)
def test_what_the_language_offers_is_read(row):
    found = bundle(row)
    assert len(found.rules) + len(found.links) == 1


def test_all_problems_of_all_files_are_told_at_once():
    found = read({"a.csv": "x\n\np, *", "b.csv": "g, x, y, z", "limits.toml": "x = 1", "model.conf": "", "c.txt": ""})
    places = {str(problem.place) for problem in found}
    assert {"a.csv:1", "a.csv:3", "b.csv:1", "limits.toml", "model.conf", "c.txt"} <= places


def test_a_missing_and_a_second_model_are_problems():
    assert "model.conf: the file is missing; a policy needs its model" in [str(each) for each in read({"a.csv": GOOD})]
    twice = read({"a/model.conf": MODEL, "b/model.conf": MODEL})
    assert [str(each) for each in twice] == [f"b/model.conf: this is a second `{MODEL_FILE}`; keep one"]


def test_a_byte_order_mark_would_hide_the_first_row_from_casbin():
    assert problems(f"\ufeff{GOOD}") == [
        "policies/rules.csv:1: the file begins with a byte order mark, which hides its first row; save it without"
    ]


def test_lines_may_end_as_on_windows_and_only_newlines_end_them():
    assert len(bundle(f"{GOOD}\r\n{GOOD}\r\n").rules) == 2
    assert problems(f"{GOOD}\u2028{GOOD}")


def test_annotations_belong_to_the_row_below():
    text = "# why this is\n# @id no-send\n# @owner security\n# @ticket SEC-1\n# @expires 2027-01-31\n" + GOOD
    rule = bundle(text).rules[0]
    midnight = datetime(2027, 1, 31, tzinfo=UTC).timestamp() * 1000
    assert (rule.id, rule.responsible, rule.ticket, rule.expires) == ("no-send", "security", "SEC-1", midnight)
    link = bundle("# @id x\n# @expires 2027-01-31\ng, role:a, role:b, main").links[0]
    assert (link.id, link.expires) == ("x", midnight)
    assert bundle(f"# @id x\n{GOOD}\n{GOOD}").rules[1].id == ""


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            f"# @expire 2027-01-31\n{GOOD}",
            ":1: `@expire` is not one of `@id`, `@owner`, `@ticket`, `@expires`, `@lint-ok`, `@secret`",
        ),
        (f"# @expires 31.1.2027\n{GOOD}", ":2: `@expires 31.1.2027` is not a day such as `2027-01-31`"),
        (f"# @expires 2027-02-30\n{GOOD}", ":2: `@expires 2027-02-30` is not a day"),
        (f"# @id a b\n{GOOD}", ":2: `@id a b` is not one word"),
        (f"# @owner\n{GOOD}", ":2: `@owner` says nothing"),
        (f"# @id x\n# @id y\n{GOOD}", ":2: `@id` stands twice above one row"),
        (f"# @id x\n# @owner y\n\n{GOOD}", ":2: `@id`, `@owner` stands above no row"),
        (f"{GOOD}\n# @id x", ":2: `@id` stands above no row"),
        (f"# @id x\n{GOOD}\n# @id x\n{GOOD}", ":4: `@id x` is taken by policies/rules.csv:2"),
        (f"# @id x\n{GOOD}\n# @id x\ng, role:a, role:b, main", ":4: `@id x` is taken by policies/rules.csv:2"),
        (f"# @secret card\n{GOOD}", ":1: `card` is not the path of an argument such as `args.card.number`"),
        (f"# @secret args\n{GOOD}", ":1: `args` is not the path"),
    ],
)
def test_an_annotation_that_would_be_lost_is_a_problem(text, sentence):
    assert any(sentence in problem for problem in problems(text)), problems(text)


def test_a_secret_is_named_for_the_whole_policy():
    assert bundle(f"# @secret args.card.number\n{GOOD}").secrets == {"card.number"}


PLAIN = """# roles
p, role:support, main, self, slack/send, write, args.to in ['#a', '#b'], allow
p,role:x , main,self,  slack/x, write, (args.a == 'x, y'),allow
p, *, *, *, *, write, tool.destructive, deny

g, group:corp/Domain Users, role:x, *
g, user:a@example.com, role:support, main
"""


@pytest.mark.parametrize("text", [PLAIN, PLAIN.replace("\n", "\r\n"), PLAIN.rstrip()])
def test_plain_casbin_reads_the_same_rows(text, tmp_path):
    (tmp_path / "rules.csv").write_bytes(text.encode())
    assert rows_of_casbin(tmp_path / "rules.csv") == our_rows(bundle(text))


def rows_of_casbin(path):
    model = casbin.Model()
    model.load_model_from_text(MODEL)
    FileAdapter(str(path)).load_policy(model)
    return model["p"]["p"].policy, model["g"]["g"].policy


def our_rows(found: Bundle):
    rules = [[r.subject, r.domain, r.owner, r.object, r.action, r.when, r.effect.value] for r in found.rules]
    return rules, [[link.member, link.role, link.domain] for link in found.links]


@given(st.text(alphabet="pg,*()[]'\"# \r\n\tax:/=@\ufeff", max_size=60))
@example("p, *, *, *, a/x, read, args.a in ['(', ')'], deny")
@example("p, *, *, *, a/x, read, args.a == '(' and args.b == ')', deny")
def test_any_text_gives_a_bundle_equal_to_casbins_or_problems(tmp_path_factory, text):
    found = read(files(text))
    if not isinstance(found, Bundle):
        assert found
        return
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes(text.encode())
    assert rows_of_casbin(path) == our_rows(found)


@given(st.text(alphabet="a,()[] ", max_size=30))
def test_a_line_is_split_as_casbin_splits_it_or_not_at_all(line):
    fields = split(line.strip())
    if isinstance(fields, list) and line.strip():
        assert fields == casbin.persist.adapter._extract_tokens(line.strip())


def test_a_bundle_with_one_bad_line_is_no_bundle():
    assert isinstance(read(files(f"{GOOD}\n{GOOD}\np, oops")), list)


def printed(found: Bundle) -> str:
    """A rule file that says what ``found`` says, places aside."""
    lines = [f"# @secret args.{path}" for path in sorted(found.secrets)]
    for row in (*found.rules, *found.links):
        notes = {"id": row.id, "owner": row.responsible, "ticket": row.ticket}
        lines += [f"# @{name} {value}" for name, value in notes.items() if value]
        if row.expires is not None:
            lines.append(f"# @expires {datetime.fromtimestamp(row.expires / 1000, UTC):%Y-%m-%d}")
        if isinstance(row, Rule):
            lines.append(
                f"p, {row.subject}, {row.domain}, {row.owner}, {row.object}, {row.action}, {row.when}, {row.effect}"
            )
        else:
            lines.append(f"g, {row.member}, {row.role}, {row.domain}")
    return "\n".join(lines)


def test_a_printed_bundle_reads_as_the_same_one():
    text = f"# @secret args.x\n# @id a\n# @owner o\n# @ticket T-1\n# @expires 2027-01-31\n{GOOD}\n{PLAIN}"
    again = bundle(printed(bundle(text)))
    assert printed(again) == printed(bundle(text))
    assert our_rows(again) == our_rows(bundle(text))
    assert policy(text).decide(()).allowed is False


def test_what_is_wrong_with_a_word_is_found_out_once_and_told_of_every_row_that_has_it(monkeypatch):
    parsed = []
    parse = rules.parse
    monkeypatch.setattr(rules, "parse", lambda text: parsed.append(text) or parse(text))
    right = "p, *, main, self, a/*, read, args.x == 1, allow\n" * 20
    found = rules.read({"model.conf": MODEL, "a.csv": right + "p, *, main, self, a/*, read, args.x ==, allow\n" * 3})
    assert parsed == ["args.x == 1", "args.x =="]
    assert [each.place.line for each in found] == [21, 22, 23]
    assert len({each.sentence for each in found}) == 1


def test_more_words_than_are_remembered_are_read_all_the_same(monkeypatch):
    monkeypatch.setattr(rules, "REMEMBERED", 2)
    rows = "".join(f"p, *, s{n % 5}, self, a/t{n % 7}, read, args.x == {n % 3}, allow\n" for n in range(50))
    found = rules.read({"model.conf": MODEL, "a.csv": rows})
    assert [(rule.domain, rule.object, rule.when) for rule in found.rules] == [
        (f"s{n % 5}", f"a/t{n % 7}", f"args.x == {n % 3}") for n in range(50)
    ]
