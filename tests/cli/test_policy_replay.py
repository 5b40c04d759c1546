"""``ostiary policy replay`` and ``shadow``: a candidate and the decisions that were recorded."""

import sys

import msgspec
import pytest

from gateway.audit import AuditEntry
from gateway.audit.entry import Shadowed
from gateway.audit.masking import keyed_hash
from gateway.audit.trail import EntryIds
from gateway.cli.operation import now_ms
from gateway.policy.engine import Policy, grant_rows
from gateway.policy.folder import read_folder
from gateway.policy.terms import Access, Context, Tool
from gateway.settings import load
from tests.analysis.replay.recording import entry
from tests.cli.conftest import RULES

ADA = "user:ada@example.com"
CANDIDATE = RULES.replace(
    "args.channel in ['#help']",
    "args.channel in ['#help', '#new'] and args.text != 'spam' and not starts(args.topic, 'x')",
)
DENIES = RULES + "p, *, *, *, git/git_push, write, , deny\n"


@pytest.fixture
def live(site):
    """A gateway's folder with Ada, and with the first policy in force."""
    site.fine("policy", "apply", str(site.root / "policies"), "--why", "first")
    site.fine("users", "add", "ada@example.com", "--role", "user", "--role", "security")
    site.write("candidate/model.conf", (site.root / "policies/model.conf").read_text())
    site.write("candidate/rules.csv", CANDIDATE)
    return site


def hashing(site):
    settings = load(site.root / "config", {})
    ring = settings.key_ring()
    return keyed_hash(ring.derive(ring.current, "audit"))


def in_force(site) -> Policy:
    """The policy of the folder with the grants that live."""
    grants = site.with_store(lambda store: store.changes(0)).grants
    return Policy.build(read_folder(site.root / "policies"), [grant_rows(grant) for grant in grants], "1.7")


def recorded(
    site, object: str, *, at: int | None = None, subject: str = ADA, policy: Policy | None = None, **arguments
):
    """Have a decision recorded as the gateway of ``site`` does, and return the entry."""
    at = now_ms() if at is None else at
    connector, _, name = object.partition("/")
    context = Context(
        args=arguments,
        tool=Tool(connector, name, destructive=False),
        env={"now": at, "offset": 0, "address": "192.0.2.1"},
    )
    question = Access(subject, "main", subject, object, "write", context)
    found = entry(policy or in_force(site), question, id=EntryIds().next(at), hashed=hashing(site))
    site.with_store(lambda store: store.audit.append([found]))
    return found


def test_what_would_change_is_told_for_people_and_programs(live):
    live.write("candidate/rules.csv", CANDIDATE.replace(" and not starts(args.topic, 'x')", ""))
    recorded(live, "slack/post", channel="#help", text="hi")
    opened = recorded(live, "slack/post", channel="#new", text="hi")
    closed = recorded(live, "slack/post", channel="#help", text="spam")
    found = live.json("policy", "replay", str(live.root / "candidate"))
    assert (found["same"], found["widened"], found["narrowed"]) == (1, 1, 1)
    row = "candidate/rules.csv:2"
    assert found["rows"] == [
        {"allowed": True, "now": row, "was": "no row", "count": 1, "examples": [opened.id]},
        {"allowed": False, "now": "no row", "was": "policies/rules.csv:2", "count": 1, "examples": [closed.id]},
    ]
    assert {(each["allowed"], each["subject"]) for each in found["users"]} == {(True, ADA), (False, ADA)}
    assert {each["object"] for each in found["tools"]} == {"slack/post"}
    told = live.fine("policy", "replay", str(live.root / "candidate")).splitlines()
    assert ": 1 the same, 1 denied instead of allowed, 1 allowed instead of denied, " in told[0]
    assert f"denied\t1\tno row\tpolicies/rules.csv:2\t{closed.id}" in told
    assert f"allowed\t1\t{ADA}\t{opened.id}" in told


def test_what_could_not_be_compared_says_why(live):
    hidden = recorded(live, "slack/post", channel="#help", text="hi", topic="secret")
    found = live.json("policy", "replay", str(live.root / "candidate"))
    reasons = {(each["why"], each["about"]): each for each in found["reasons"]}
    assert reasons["hidden", "args.topic"]["examples"] == [hidden.id]
    assert reasons["no_question", "policy.apply"]["count"] == 1
    assert found["not_compared"] == sum(each["count"] for each in found["reasons"])
    told = live.fine("policy", "replay", str(live.root / "candidate")).splitlines()
    assert f"1\tthe answer depends on what is hidden\targs.topic\t{hidden.id}" in told


def test_a_version_is_replayed_as_well_as_a_folder_and_others_are_refused(live):
    recorded(live, "git/git_push")
    live.write("policies/rules.csv", DENIES)
    live.fine("policy", "apply", str(live.root / "policies"), "--why", "second")
    assert live.json("policy", "replay", "1")["narrowed"] == 0
    assert live.json("policy", "replay", "2")["narrowed"] == 1
    assert "no policy version 3" in live.wrong("policy", "replay", "3")
    assert "neither a folder nor a version" in live.wrong("policy", "replay", "nowhere")
    live.write("candidate/rules.csv", "p, role:user\n")
    assert "not replayed: 1 problem" in live.wrong("policy", "replay", str(live.root / "candidate"))


def test_a_span_of_time_and_a_number_bound_what_is_looked_at(live):
    now = now_ms()
    hour = 3_600_000
    live.write("candidate/rules.csv", DENIES)
    for hours in (1, 2, 50):
        recorded(live, "git/git_push", at=now - hours * hour)
    candidate = str(live.root / "candidate")

    def narrowed(*words: str) -> int:
        return live.json("policy", "replay", candidate, *words)["narrowed"]

    assert narrowed() == 3
    assert narrowed("--since", "2d") == 2
    assert narrowed("--since", "90m") == 1
    assert narrowed("--until", "90m") == 2
    assert narrowed("--since", "3d", "--until", "1d") == 1
    assert narrowed("--since", "2020-01-31", "--until", "2020-02-01T00:00+02:00") == 0
    assert live.json("policy", "replay", candidate, "--limit", "1")["entries"] == 1
    assert "no time such as" in live.wrong("policy", "replay", candidate, "--since", "soon", code=2)


def test_pages_of_the_trail_are_read_to_their_end(live, monkeypatch):
    monkeypatch.setattr("gateway.cli.trail.PAGE", 2)
    monkeypatch.setattr(sys.modules["gateway.cli.policy.replay"], "HEAP", 3)
    for at in range(5):
        recorded(live, "git/git_push", at=1_000_000 + at)
    live.write("candidate/rules.csv", DENIES)
    assert live.json("policy", "replay", str(live.root / "candidate"))["narrowed"] == 5
    found = live.json("policy", "replay", str(live.root / "candidate"), "--until", "1970-01-02", "--limit", "3")
    assert (found["entries"], found["narrowed"]) == (3, 3)


def test_entries_can_come_from_a_file_of_json_lines(live):
    found = [recorded(live, "git/git_push", at=at) for at in (1_000, 2_000, 3_000)]
    lines = [msgspec.json.encode(each).decode() for each in found]
    live.write("audit.jsonl", "\n".join([lines[0], "{", lines[1], '{"at": 1}', lines[2]]) + "\n")
    live.write("candidate/rules.csv", DENIES)
    words = ("policy", "replay", str(live.root / "candidate"), "--from", str(live.root / "audit.jsonl"))
    report = live.json(*words)
    assert (report["entries"], report["narrowed"]) == (5, 3)
    assert report["reasons"] == [{"why": "unreadable", "about": "", "count": 2, "examples": ["line 2", "line 4"]}]
    assert live.json(*words, "--limit", "1")["entries"] == 1
    assert live.json(*words, "--until", "1970-01-01T00:00:02.500")["narrowed"] == 2


def test_grants_that_were_withdrawn_since_are_not_taken_for_a_change(live):
    recorded(live, "git/git_push")
    live.fine("users", "withdraw-role", "ada@example.com", "user")
    found = live.json("policy", "replay", str(live.root / "policies"))
    assert found["narrowed"] == 0
    assert ("other_grants", ADA) in {(each["why"], each["about"]) for each in found["reasons"]}


def test_decisions_of_a_version_that_is_not_in_the_history_are_not_taken_for_changes(live):
    policy = in_force(live)
    for version in ("9.1", "folder/"):
        recorded(live, "git/git_push", policy=Policy.build(policy.bundle, (), version))
    recorded(live, "git/git_push", policy=Policy.build(None, (), "0.3"))
    found = live.json("policy", "replay", str(live.root / "policies"))
    assert (found["same"], found["narrowed"]) == (0, 0)
    assert found["widened"] == 1, "before the first policy, everything was denied"
    unknown = {each["about"] for each in found["reasons"] if each["why"] == "unknown_version"}
    assert unknown == {"9", "folder/"}


def test_the_first_groups_are_shown_to_people(live, monkeypatch):
    monkeypatch.setattr("gateway.cli.policy.differences.SHOWN", 1)
    live.write("candidate/rules.csv", DENIES + "p, *, *, *, git/git_commit, write, , deny\n")
    for name in ("git_push", "git_commit"):
        recorded(live, f"git/{name}")
    told = live.fine("policy", "replay", str(live.root / "candidate"))
    assert "… and 1 more; `--json` has all" in told


# -- shadow


def test_a_shadow_is_set_told_and_ended_and_each_leaves_an_entry(live):
    assert live.fine("policy", "shadow") == "no shadow: nothing is asked beside the policy in force\n"
    told = live.fine("policy", "shadow", str(live.root / "candidate"), "--why", "a try")
    assert told.startswith("shadow: policy ")
    assert "without effect; 4 rules, 0 links" in told
    standing = live.json("policy", "shadow")
    assert (standing["author"], standing["why"], len(standing["bundle"])) == ("operator", "a try", 64)
    assert "by operator, 'a try'" in live.fine("policy", "shadow")
    assert live.fine("policy", "shadow", "--off").startswith("no shadow")
    assert live.json("policy", "shadow")["bundle"] is None
    entries = live.with_store(lambda store: store.audit.scan(limit=1_000))
    assert sum(entry.method == "policy.shadow" for entry in entries) == 6
    head = live.with_store(lambda store: store.bundles.head())
    assert head.version == 1, "the policy in force stays"


def test_a_shadow_that_cannot_be_built_is_not_set(live):
    live.write("candidate/rules.csv", "p, role:user\n")
    assert "not set as shadow: 1 problem" in live.wrong("policy", "shadow", str(live.root / "candidate"))
    assert live.json("policy", "shadow")["bundle"] is None


@pytest.mark.parametrize("words", [("--off", "--report"), ("candidate", "--off"), ("--since", "1d")])
def test_one_thing_is_asked_of_it_at_a_time(live, words):
    words = tuple(str(live.root / word) if word == "candidate" else word for word in words)
    live.wrong("policy", "shadow", *words, code=2)


def test_the_report_counts_where_the_candidate_differed(live):
    before = recorded(live, "git/git_push")
    live.with_store(lambda store: store.audit.append([differing(before, id=EntryIds().next(before.at), at=1_000)]))
    live.fine("policy", "shadow", str(live.root / "candidate"))
    entries = [differing(recorded(live, "git/git_push")), recorded(live, "git/git_log")]
    live.with_store(
        lambda store: store.audit.append([msgspec.structs.replace(entries[0], id=EntryIds().next(now_ms()))])
    )
    found = live.json("policy", "shadow", "--report")
    assert (found["entries"], found["same"], found["narrowed"], found["widened"]) == (3, 2, 1, 0)
    assert found["rows"][0]["now"] == "candidate/rules.csv:9"
    assert found["tools"] == [
        {"allowed": False, "object": "git/git_push", "count": 1, "examples": [found["rows"][0]["examples"][0]]}
    ]
    assert live.json("policy", "shadow", "--report", "--since", "1970-01-01")["narrowed"] == 2
    told = live.fine("policy", "shadow", "--report").splitlines()
    assert told[0].startswith("since 20")
    assert told[1].startswith("3 entries: 2 the same, 1 denied instead of allowed")


def differing(found: AuditEntry, **changed) -> AuditEntry:
    other = Shadowed(bundle="b", allowed=False, reason="denied", rule="candidate/rules.csv:9")
    return msgspec.structs.replace(found, shadow=other, **changed)
