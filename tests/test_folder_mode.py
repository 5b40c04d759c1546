"""Development: a policy folder whose valid edits take effect, and whose bad edits change nothing."""

import subprocess
import threading

import pytest

from gateway.folder_mode import FolderMode
from gateway.follower import Follower
from gateway.manage.policies import FolderDecides
from gateway.manage.users import delete_user, give_role
from gateway.records import PolicyHead
from tests.builders import MODEL
from tests.following import (
    KEEPER,
    LETS_NOBODY,
    RING,
    Between,
    Clock,
    ada,
    allowed,
    apply,
    running,
    signed_in,
    until,
)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "policies"
    folder.mkdir(mode=0o755)
    write(folder / "model.conf", MODEL)
    write(folder / "keeper.csv", KEEPER)
    write(folder / "rules.csv", "p, role:user, main, self, git/*, write, , allow\n")
    return folder


@pytest.fixture
def entries():
    """The audit entries that applying left."""
    return []


@pytest.fixture
def mode(store, clock, folder, entries):
    return FolderMode(folder, store, clock=clock, record=entries.append)


def write(path, text):
    path.parent.mkdir(mode=0o755, exist_ok=True)
    path.write_text(text)
    path.chmod(0o644)


@pytest.fixture
def watching(store, clock, mode):
    return Follower(store, RING, poll_s=0.01, clock=clock, folder=mode)


async def test_a_folder_is_applied_at_start_and_after_each_valid_edit(watching, store, folder):
    await ada(store, roles=["user"])
    await watching.catch_up()
    assert allowed(watching)
    write(folder / "rules.csv", "p, role:user, main, self, git/show, read, , allow\n")
    async with running(watching):
        await until(lambda: not allowed(watching))
    history = await store.bundles.history()
    assert [(head.version, head.author) for head in history] == [(2, "folder"), (1, "folder")]
    assert "policies/ was edited" in history[0].why


async def test_a_bad_edit_keeps_the_last_good_policy_and_tells_each_problem_once(watching, store, folder, caplog):
    await ada(store, roles=["user"])
    await watching.catch_up()
    write(folder / "rules.csv", "p, role:user, main, self, git/*, write, , Deny\np, x\n")
    for _ in range(3):
        await watching.catch_up()
    assert allowed(watching)
    lines = [record.message for record in caplog.records]
    assert len([line for line in lines if line.startswith("policies/rules.csv:1: ")]) == 1
    assert len([line for line in lines if line.startswith("policies/rules.csv:2: ")]) == 1
    assert not watching.current.stale(1_000, 0)
    write(folder / "rules.csv", "")
    await watching.catch_up()
    assert not allowed(watching)


async def test_a_folder_that_would_lock_everybody_out_is_a_problem_until_somebody_is_let_in(
    watching, store, folder, caplog
):
    await ada(store, roles=["user"])
    await watching.catch_up()
    write(folder / "keeper.csv", "p, role:security, main, system, gateway/policy, manage, , allow\n")
    write(folder / "rules.csv", "")
    for _ in range(3):
        await watching.catch_up()
    assert allowed(watching), "the last good policy stays"
    assert len([each for each in caplog.records if each.message.startswith("policies: no `user:` would manage")]) == 1
    await give_role(store, "ada@example.com", "security", author="operator", now=1_000)
    await watching.catch_up()
    assert not allowed(watching), "the folder is applied without another edit"


async def test_a_key_ends_in_time_while_a_large_folder_is_being_read(store, clock, folder):
    reading, done = threading.Event(), threading.Event()

    def slow(_):
        reading.set()
        done.wait(10)
        return "same"

    mode = FolderMode(folder, store, clock=clock, record=lambda _: None, mark=slow)
    follower = Follower(store, RING, poll_s=0.01, clock=clock, folder=mode)
    issued = await ada(store)
    try:
        async with running(follower):
            await until(reading.is_set)
            await until(lambda: signed_in(follower, issued))
            await delete_user(store, "ada@example.com")
            await until(lambda: not signed_in(follower, issued), within=1)
            done.set()
    finally:
        done.set()


async def test_a_restart_with_the_same_folder_applies_nothing_new(watching, store, clock, folder, entries):
    await watching.catch_up()
    again = Follower(
        store, RING, poll_s=1, clock=clock, folder=FolderMode(folder, store, clock=clock, record=entries.append)
    )
    await again.catch_up()
    assert len(await store.bundles.history()) == len(entries) == 1
    assert again.current.policy.version == watching.current.policy.version


async def test_a_folder_that_others_can_write_is_not_applied(watching, store, folder, caplog):
    folder.chmod(0o777)
    await watching.catch_up()
    assert await store.bundles.head() is None
    assert "others can write" in caplog.text


async def test_at_the_first_start_a_bad_folder_leaves_nothing_in_force_and_says_so(watching, store, folder, caplog):
    write(folder / "rules.csv", "p, x\n")
    await watching.catch_up()
    assert caplog.messages[-1] == "policies: not applied, 1 problems; no policy is in force, so everything is denied"
    write(folder / "rules.csv", "")
    await watching.catch_up()
    write(folder / "rules.csv", "p, x\n")
    await watching.catch_up()
    assert caplog.messages[-1] == "policies: not applied, 1 problems; the last good policy stays"


OWN_TESTS = """
subjects:
  "user:new@example.com": {roles: [user]}
tools:
  git/show: read
cases:
  - {name: users show, as: "user:new@example.com", do: read, on: git/show, expect: EXPECTED}
"""


async def test_a_folder_whose_own_tests_fail_is_not_applied_until_they_pass(watching, store, folder, caplog, entries):
    write(folder / "tests" / "own.yaml", OWN_TESTS.replace("EXPECTED", "deny"))
    for _ in range(3):
        await watching.catch_up()
    assert await store.bundles.head() is None
    assert (
        len([line for line in caplog.messages if line.startswith("policies/tests/own.yaml:7: test `users show`")]) == 1
    )
    assert [(entry.outcome, entry.error) for entry in entries] == [("failed", "CasesFailed")]
    write(folder / "tests" / "own.yaml", OWN_TESTS.replace("EXPECTED", "allow"))
    await watching.catch_up()
    assert (await store.bundles.head()).tests.passed == 1


async def test_tests_that_cannot_be_read_are_problems_of_the_folder(watching, store, folder, caplog):
    write(folder / "tests" / "own.yaml", "cases: 1")
    await watching.catch_up()
    assert await store.bundles.head() is None
    assert caplog.messages[0].startswith("policies/tests/own.yaml:")


async def test_a_test_that_only_a_grant_breaks_is_told_and_keeps_no_policy_out(watching, store, folder, caplog):
    await ada(store, roles=["user"])
    tests = 'tools: {git/show: read}\ncases: [{name: ada, as: "user:ada@example.com", do: read, on: git/show, expect: deny}]'
    write(folder / "tests" / "own.yaml", tests)
    for _ in range(3):
        await watching.catch_up()
    assert (await store.bundles.head()).version == 1
    (told,) = [line for line in caplog.messages if line.startswith("policies/tests/own.yaml:")]
    assert "`ostiary users withdraw-role ada@example.com user` takes it back" in told


async def test_each_apply_of_the_folder_leaves_one_audit_entry(watching, folder, entries, clock):
    await watching.catch_up()
    clock.now += 10
    write(folder / "rules.csv", "")
    for _ in range(3):
        await watching.catch_up()
    assert [entry.arguments["/version"] for entry in entries] == ["1", "2"]
    (last,) = entries[1:]
    assert (last.subject, last.transport, last.method, last.object) == (
        "folder",
        "folder",
        "policy.apply",
        "gateway/policy",
    )
    assert (last.at, last.outcome, last.error, last.allowed) == (clock.now, "ok", "", True)
    assert last.arguments["/why"] == '"policies/ was edited"'
    assert entries[0].id < last.id


async def test_where_a_folder_decides_nothing_else_is_applied(mode):
    with pytest.raises(FolderDecides, match="in development the folder `policies` decides; edit it instead"):
        mode.refuse_apply()


async def test_a_version_from_a_folder_in_git_names_the_commit(watching, store, folder):
    def git(*words):
        who = ("-c", "user.name=x", "-c", "user.email=x@example.com", "-c", "init.defaultBranch=main")
        return subprocess.run(["git", *who, *words], cwd=folder, check=True, capture_output=True, text=True).stdout

    git("init", "--quiet")
    git("add", ".")
    git("commit", "--quiet", "--message", "first")
    await watching.catch_up()
    commit = git("rev-parse", "HEAD").strip()
    assert (await store.bundles.head()).commit == commit
    write(folder / "rules.csv", "")
    await watching.catch_up()
    assert (await store.bundles.head()).commit == f"{commit}-dirty"


async def test_a_folder_that_vanished_changes_nothing(watching, store, folder, caplog):
    await ada(store, roles=["user"])
    await watching.catch_up()
    folder.rename(folder.with_name("gone"))
    await watching.catch_up()
    assert allowed(watching)
    assert "the folder cannot be read" in caplog.text


async def test_a_folder_that_is_being_written_is_read_when_it_is_whole(store, clock, folder):
    marks = iter(["one", "two", "two", "two"])
    mode = FolderMode(folder, store, clock=clock, record=lambda _: None, mark=lambda _: next(marks))
    await mode.step()
    assert await store.bundles.head() is None
    await mode.step()
    assert await store.bundles.head() is not None


async def test_a_folder_applied_at_the_same_moment_as_another_policy_is_applied_after_it(store, clock, folder):
    await apply(store, LETS_NOBODY)

    class Late:
        get, put = staticmethod(store.bundles.get), staticmethod(store.bundles.put)
        move_head = staticmethod(store.bundles.move_head)

        @staticmethod
        async def head():
            head = await store.bundles.head()
            if head.version == 1:
                other = PolicyHead(version=2, bundle=head.bundle, author="another", at=1)
                await store.bundles.move_head(1, other)
            return head

    mode = FolderMode(folder, Between(store, bundles=Late), clock=clock, record=lambda _: None)
    await mode.step()
    assert (await store.bundles.head()).author == "another"
    await mode.step()
    assert (await store.bundles.head()).author == "folder"
