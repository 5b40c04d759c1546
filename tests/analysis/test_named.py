"""What policies name themselves, where nobody can be asked what there is to use."""

from hypothesis import given

from gateway.analysis.named import named
from gateway.analysis.plan import plan
from gateway.policy.terms import Subject
from tests.policy.builders import ALICE, BOB, NOW, policy
from tests.policy.worlds import World, worlds

ROWS = """\
p, role:user, main, self, git/log, read, , allow
p, role:user, s1, self, slack/*, write, tool.destructive or args.a == 1, allow
p, *, *, *, *, write, tool.destructive, deny
p, role:user, *, self, time/prompt:now, read, , allow
p, role:user, main, self, custom/*, write, , allow
p, role:user, main, self, slack, connect, , allow
p, role:user, main, *, gateway/directory, inspect, , allow
g, user:alice@example.com, role:user, s2
"""


def test_every_named_object_counts_on_every_named_server():
    found = named([policy(ROWS), policy("")], [Subject(ALICE)])
    assert found.subjects == (Subject(ALICE),)
    assert set(found.things) == {"main", "s1", "s2"}
    for things in found.things.values():
        assert [(thing.object, thing.action) for thing in things] == [
            (object, action) for object in ("git/log", "slack/*", "time/prompt:now") for action in ("read", "write")
        ]
        assert not any(thing.tool.destructive for thing in things)
    assert {thing.tool.kind for thing in found.things["main"]} == {"tool", "prompt"}


def test_a_policy_that_names_nothing_has_nothing():
    assert named([policy("")], []).things == {"main": ()}


def test_rights_to_what_rows_name_widen_and_narrow():
    old = policy("g, user:alice@example.com, role:user, *\n")
    new = policy("g, user:alice@example.com, role:user, *\np, role:user, s1, self, git/*, read, , allow\n")
    everybody = named((old, new), [Subject(ALICE), Subject(BOB)])
    wider = plan(old, new, everybody, NOW)
    assert (wider.widened > 0, wider.narrowed, wider.users) == (True, 0, {ALICE})
    narrower = plan(new, old, everybody, NOW)
    assert (narrower.widened, narrower.narrowed) == (0, wider.widened)


@given(worlds())
def test_nothing_changes_from_a_policy_to_itself(world: World):
    one = world.policy()
    found = plan(one, world.policy(), named([one], [Subject(ALICE)]), NOW)
    assert (found.widened, found.narrowed) == (0, 0)
