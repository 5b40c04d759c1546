"""Names: injective for the policy, stable and collision-free for clients."""

import itertools
import re
from hashlib import sha256

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from gateway.mcp import names
from gateway.mcp.names import META_NAMES, climbs, object_name, public_names
from gateway.mcp.terms import Kind
from gateway.policy.bundle import Bundle
from gateway.policy.rules import read
from gateway.policy.spelling import read_name
from tests.policy.builders import access, allowed, bundle, files, policy

GOOD = re.compile(r"[A-Za-z0-9_-]{1,64}")


def hashed(connector: str, name: str, digits: int = 6) -> str:
    return sha256(f"{connector}\0{name}".encode()).hexdigest()[:digits]


# -- objects


@pytest.mark.parametrize(
    ("kind", "name", "object"),
    [
        (Kind.TOOL, "send_message", "slack/send_message"),
        (Kind.TOOL, "a/b:c*d%e f", "slack/a%2Fb%3Ac%2Ad%25e f"),
        (Kind.TOOL, "prompt:x", "slack/prompt%3Ax"),
        (Kind.TOOL, "f(x, [y])", "slack/f%28x%2C %5By%5D%29"),
        (Kind.TOOL, " two  spaces ", "slack/%20two%20%20spaces%20"),
        (Kind.TOOL, "it's #1\t`q`", "slack/it%27s %231%09%60q%60"),
        (Kind.TOOL, "caf\u00e9", "slack/caf\u00e9"),
        (Kind.TOOL, "cafe\u0301", "slack/cafe%CC%81"),
        (Kind.TOOL, "a\u200b\u00a0b", "slack/a%E2%80%8B%C2%A0b"),
        (Kind.PROMPT, "review", "slack/prompt:review"),
        (Kind.PROMPT, "a/*", "slack/prompt:a%2F%2A"),
        (Kind.RESOURCE, "file:///home/a.txt", "slack/resource:file:///home/a.txt"),
        (Kind.RESOURCE, "FILE:///home/%61%2f%C3%A4", "slack/resource:file:///home/a%2F%C3%A4"),
        (Kind.RESOURCE, 'x:/a b,(c)[d]*"\n', "slack/resource:x:/a%20b%2C%28c%29%5Bd%5D%2A%22%0A"),
        (Kind.RESOURCE, "no-scheme", "slack/resource:no-scheme"),
        (Kind.RESOURCE, "HTTPS://Me:Pw@EX%41mple.ORG:1/A", "slack/resource:https://Me:Pw@example.org:1/A"),
        (Kind.RESOURCE, "file:///\u00e4", "slack/resource:file:///%C3%A4"),
        (Kind.RESOURCE, "x:/%4%31%", "slack/resource:x:/%2541%25"),
        (Kind.TEMPLATE, "file:///{path}", "slack/resource:file:///"),
        (Kind.TEMPLATE, "{x}", "slack/resource:"),
    ],
)
def test_the_object_of_an_item(kind, name, object):
    assert object_name("slack", kind, name) == object


connectors = st.from_regex(r"[a-z0-9-]{1,5}", fullmatch=True)
tool_names = st.text(
    st.sampled_from("ab/:*%_-2F,()[]\"'`# \u0301\u0338") | st.characters(exclude_categories=["Cs"]), max_size=12
)
named_kinds = st.sampled_from([Kind.TOOL, Kind.PROMPT])


@given(st.tuples(connectors, named_kinds, tool_names), st.tuples(connectors, named_kinds, tool_names))
@example(("a", Kind.TOOL, "prompt:b"), ("a", Kind.PROMPT, "b"))
@example(("a", Kind.TOOL, "%2F"), ("a", Kind.TOOL, "/"))
def test_different_tools_and_prompts_are_different_objects(one, other):
    assert (one == other) == (object_name(*one) == object_name(*other))


@given(st.sampled_from(Kind), tool_names.filter(bool))
@example(Kind.TOOL, "delete(all, [now])")
@example(Kind.PROMPT, '"a"')
@example(Kind.TOOL, "x #y")
@example(Kind.TOOL, "/\u0307")
@example(Kind.RESOURCE, "HTTP://A/'")
def test_every_item_can_be_denied_by_a_row_of_its_own(kind, name):
    object = object_name("c", kind, name)
    assume(object != "c/resource:")
    row = f"p, *, *, *, {object}, read, , deny"
    assert [rule.object for rule in bundle(row).rules] == [object]
    assert not allowed(policy(f"p, user:*, main, self, c/*, read, , allow\n{row}"), access(object))


@given(tool_names.filter(bool))
@example("a%41")
@example("%2f")
@example("e\u0301")
def test_a_row_of_a_tool_names_a_tool(written):
    found = read(files(f"p, *, *, *, c/{written}, read, , deny"))
    if isinstance(found, Bundle) and not written.endswith("*") and not written.startswith(("prompt:", "resource:")):
        [rule] = found.rules
        assert object_name("c", Kind.TOOL, read_name(rule.object.removeprefix("c/"))) == rule.object


@given(connectors, st.sampled_from(Kind), tool_names)
def test_an_object_never_looks_like_a_pattern(connector, kind, name):
    assert "*" not in object_name(connector, kind, name)
    assert object_name(connector, kind, name).startswith(f"{connector}/")


@given(st.text(st.sampled_from("/aA%2eE.4:*@\u00e9"), max_size=12))
@example("A%2a:%2E")
@example("%2%44")
def test_the_object_of_a_resource_is_its_own_normal_spelling(uri):
    object = object_name("c", Kind.RESOURCE, uri)
    assert object_name("c", Kind.RESOURCE, object.removeprefix("c/resource:")) == object


def test_only_the_spelling_of_a_uri_is_evened_out():
    names = ["ABC/Def", "abc/def", "x:/A", "x:/a", "x:/a%2Fb", "x:/a/b", "x:/a?b", "x:/a%3Fb"]
    assert len({object_name("c", Kind.RESOURCE, name) for name in names}) == len(names)


@pytest.mark.parametrize(
    "uri",
    ["file:///a/../b", "file:///..", "a/./b", "x:/a/%2e%2E/b", "x:/a%2F..%2Fb", "x:\\a\\..\\b", "x:/a%5c..%5cb", ".."],
)
def test_a_path_with_dots_for_steps_climbs(uri):
    assert climbs(uri)


@pytest.mark.parametrize(
    "uri", ["file:///a/..b/c", "x:/a?b=/../c", "x:/a#/../", "x:/...", "x://a.b/", "", "test://{id}/d"]
)
def test_other_dots_do_not_climb(uri):
    assert not climbs(uri)


# -- public names


def test_good_names_are_plain():
    items = [("git", "git_log"), ("time", "convert-time"), ("a", "_x")]
    assert public_names(items, prefixed=True) == ["git__git_log", "time__convert-time", "a___x"]


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("git.log", "git__git_log"),
        ("ä b", "git____b"),
        ("x" * 70, "git__" + "x" * 51),
        ("a--" + "0" * 6, "git__a--000000"),
        ("a--" + "f" * 48, ("git__a--" + "f" * 48)),
    ],
)
def test_other_names_are_readable_and_hashed(name, stem):
    [public] = public_names([("git", name)], prefixed=True)
    assert public == f"{stem[:56]}--{hashed('git', name)}"
    assert GOOD.fullmatch(public)


def test_bare_names_are_the_servers_own():
    names = ["a.b", "x" * 100, "ünï cödé", "a--000000", "plain"]
    assert public_names([("only", name) for name in names], prefixed=False) == names


def test_bare_names_that_two_connectors_use_are_told_apart():
    items = [("a", "search"), ("b", "search"), ("b", "other")]
    assert public_names(items, prefixed=False) == [
        f"search--{hashed('a', 'search')}",
        f"search--{hashed('b', 'search')}",
        "other",
    ]


def test_a_server_cannot_push_another_out_of_its_suffix():
    """Whoever is called what another's suffix makes gives way himself, at every length."""
    own = f"search--{hashed('a', 'search')}"
    taken = [f"search--{hashed('a', 'search', digits)}" for digits in (6, 12, 24, 48)]
    items = [("a", "search"), *(("evil", name) for name in ["search", *taken])]
    public = public_names(items, prefixed=False)
    assert public[0] == own
    assert len(set(public)) == len(items)


def test_names_made_to_meet_one_after_the_other_take_no_more_than_a_few_steps_each(monkeypatch):
    items = [("a", "x"), ("evil", "x")]
    for _ in range(300):
        items.append(("evil", f"{items[-1][1][:56]}--{hashed(*items[-1])}"))
    made = []
    plain = names._public
    monkeypatch.setattr(names, "_public", lambda *args, **options: made.append(args) or plain(*args, **options))
    public = public_names(items, prefixed=False)
    assert len(set(public)) == len(items)
    assert len(made) <= 5 * len(items)


def meeting_pair() -> tuple[str, str]:
    """Two names of one connector whose readable parts and first 24 bits agree."""
    seen: dict[str, str] = {}
    for count in itertools.count():
        name = f"{count:06d}".translate(str.maketrans("0123456789", ".,;:!?+=~@"))
        if (other := seen.setdefault(hashed("c", name), name)) != name:
            return other, name
    raise AssertionError


def test_names_whose_hashes_meet_take_longer_ones():
    one, other = meeting_pair()
    assert public_names([("c", one)], prefixed=True) == [f"c________--{hashed('c', one)}"]
    assert public_names([("c", one), ("c", other)], prefixed=True) == [
        f"c________--{hashed('c', one, 12)}",
        f"c________--{hashed('c', other, 12)}",
    ]


def test_equal_items_share_a_name():
    assert public_names([("a", "x"), ("a", "x")], prefixed=False) == ["x", "x"]
    assert public_names([], prefixed=True) == []


upstream_names = st.text(st.sampled_from("ab_-. ") | st.characters(exclude_categories=["Cs"]), min_size=1, max_size=80)
items_of = st.lists(
    st.tuples(connectors, upstream_names | st.sampled_from(["x", "x--000000", "a__b", "_a"])), max_size=12, unique=True
)


@given(items_of)
@example([("a", "b__c"), ("a-b", "c"), ("a", "_b"), ("a", "b"), ("a", "")])
def test_prefixed_names_are_valid_different_and_keep_their_prefix(items):
    public = public_names(items, prefixed=True)
    assert len(set(public)) == len(items)
    for (connector, _), name in zip(items, public, strict=True):
        assert GOOD.fullmatch(name)
        assert name.startswith(f"{connector}__")


@given(items_of, st.randoms(use_true_random=False))
def test_a_prefixed_name_depends_on_its_own_item_alone(items, random):
    public = dict(zip(items, public_names(items, prefixed=True), strict=True))
    some = random.sample(items, random.randint(0, len(items)))
    assert public_names(some, prefixed=True) == [public[item] for item in some]


@given(items_of, st.randoms(use_true_random=False))
def test_a_bare_name_depends_only_on_who_else_uses_it(items, random):
    assume(not any("--" in name for _, name in items))
    public = public_names(items, prefixed=False)
    assert len(set(public)) == len(items)
    for (connector, name), given_name in zip(items, public, strict=True):
        alone = all(name != other for by, other in items if by != connector)
        assert (given_name == name) == alone
    shuffled = random.sample(items, len(items))
    assert dict(zip(shuffled, public_names(shuffled, prefixed=False), strict=True)) == dict(
        zip(items, public, strict=True)
    )


# -- names that are ours


def test_whoever_would_have_a_reserved_name_takes_a_suffix_and_nobody_else_does():
    items = [("a", "execute_action"), ("b", "execute_action"), ("a", "own")]
    found = public_names(items, prefixed=False, reserved=META_NAMES)
    digests = [hashed(*item) for item in items[:2]]
    assert found == [*(f"execute_action--{digest}" for digest in digests), "own"]
    assert public_names(items[:1], prefixed=False) == ["execute_action"]
    assert public_names(items[:1], prefixed=True, reserved=META_NAMES) == ["a__execute_action"]


@given(st.lists(st.tuples(connectors, st.sampled_from(sorted(META_NAMES)) | tool_names), unique=True), st.booleans())
def test_no_tool_of_a_server_ever_has_a_reserved_name(items, prefixed):
    found = public_names(items, prefixed=prefixed, reserved=META_NAMES)
    assert META_NAMES.isdisjoint(found)
    assert len(set(found)) == len(items)
