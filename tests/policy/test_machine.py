"""A policy that lives: rows, roles and grants come and go while questions are asked of every version still held."""

from typing import NamedTuple

import hypothesis.strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from msgspec.structs import replace

from gateway.policy.bundle import Bundle
from gateway.policy.engine import Policy
from gateway.policy.terms import Effect, Link, Place, Rule, Subject
from tests.policy.builders import ALICE, MODEL
from tests.policy.pools import LIMITS, ROLES, Picks
from tests.policy.test_agreement import ADMITTED
from tests.policy.worlds import (
    AIM,
    ASKED,
    ROW,
    Theme,
    World,
    aim_of,
    answer,
    changed,
    drawn_bytes,
    link_of,
    members_about,
    question_of,
    rule_of,
    worlds,
)

HELD = 4
"""So many versions of the policy answer at a time."""

POSITIONS = st.integers(0, 11)


def world_in(rows) -> World:
    return World(
        tuple(row for row in rows if isinstance(row, Rule)), tuple(row for row in rows if isinstance(row, Link))
    )


EXACT = Theme(whens=("",), expiries=(None,), one_in=30)
"""Rows that match what they are about."""


class Version(NamedTuple):
    policy: Policy
    world: World
    rows: tuple


class Life(RuleBasedStateMachine):
    """Keeps, beside every version of the policy, the world that says what that version means."""

    @initialize(world=worlds(), aim=drawn_bytes(AIM), question=drawn_bytes(ASKED))
    def begin(self, world, aim, question):
        self.about = aim_of(Picks(aim))
        self.rows, self.grants = [*world.rules, *world.links], {}
        self.held, self.made = [], 0
        self.asked = question_of(Picks(question), world)
        self.build()

    # --- the policy changes

    @rule(drawn=drawn_bytes(ROW), granted=st.booleans(), linked=st.booleans(), at=POSITIONS)
    def add(self, drawn, granted, linked, at):
        """A row about what was asked last, or about what all of this policy is about."""
        about = self.asked if at % 2 else self.about
        row = link_of(Picks(drawn), members_about(about.subject)) if linked else rule_of(Picks(drawn), about)
        if granted:
            self.change({f"{at:04}{self.made:05}": row}, ())
        else:
            self.rows.insert(at % (len(self.rows) + 1), row)
            self.build()

    @rule(at=POSITIONS)
    def drop(self, at):
        if self.rows:
            del self.rows[at % len(self.rows)]
        self.build()

    @rule(at=POSITIONS, drawn=drawn_bytes(ASKED))
    def give_a_role(self, at, drawn):
        """One that a row is waiting for, and ask what that row says."""
        waiting = [row for row in self.world.rules if row.subject in ROLES]
        if waiting:
            row = waiting[at % len(waiting)]
            given = Link(ALICE, row.subject, "*", Place("given.csv"))
            self.change({"role": given}, ())
            self.ask(question_of(Picks(drawn), World((row,), (given,))))
            if at % 2:
                self.change({}, ("role",))

    @rule(drawn=drawn_bytes(ROW), at=POSITIONS)
    def grant_for_a_moment(self, drawn, at):
        """What was asked last, or a rate class."""
        about = self.asked if at % 3 else replace(self.asked, owner=self.asked.subject, object="*", action="rate:high")
        self.change({"moment": rule_of(Picks(drawn), about, EXACT)}, ())
        if at % 2:
            self.roll_back(at)
        self.change({}, ("moment",))

    @rule(at=POSITIONS)
    def withdraw(self, at):
        if self.grants:
            self.change({}, (sorted(self.grants)[at % len(self.grants)],))

    @rule(at=POSITIONS, drawn=drawn_bytes(ROW))
    def put_in_the_place_of_another(self, at, drawn):
        key = sorted(self.grants)[at % len(self.grants)] if self.grants else "0"
        self.change({key: rule_of(Picks(drawn), self.asked)}, ())

    @rule()
    def drop_what_decided(self):
        """The row whose loss is surest to change an answer."""
        decided = answer(self.held[-1].policy, self.asked).rule
        if decided in self.rows:
            self.rows.remove(decided)
            self.build()
        else:
            self.change({}, [key for key, row in self.grants.items() if row == decided])

    @rule()
    def build(self):
        """All of it anew."""
        files = world_in(self.rows)
        bundle = Bundle(MODEL, files.rules, files.links, LIMITS)
        self.number_grants()
        self.hold(Policy.build(bundle, tuple(self.grants.values()), self.version))

    @rule(at=POSITIONS)
    def grant_anew(self, at):
        """Some of the grants, and no other one."""
        self.grants = {key: self.grants[key] for key in sorted(self.grants)[at:]}
        self.number_grants()
        self.hold(self.held[-1].policy.with_grants(tuple(self.grants.values()), self.version))

    @rule(at=POSITIONS)
    def roll_back(self, at):
        """An older version again, with the grants of today."""
        older = self.held[at % len(self.held)]
        self.rows = list(older.rows)
        self.hold(older.policy.with_grants_of(self.held[-1].policy, self.version))

    def change(self, put, drop):
        self.grants = {key: row for key, row in self.grants.items() if key not in drop} | put
        self.hold(self.held[-1].policy.changed(put, drop, self.version))

    def number_grants(self):
        """As the policy numbers those that come without keys."""
        self.grants = {f"{at:09}": self.grants[key] for at, key in enumerate(sorted(self.grants))}

    @property
    def version(self) -> str:
        return f"{self.made}"

    def hold(self, policy):
        assert policy.version == self.version
        self.made += 1
        self.held = [*self.held, Version(policy, self.world, tuple(self.rows))][-HELD:]
        self.ask(self.asked)

    @property
    def world(self) -> World:
        return world_in([*self.rows, *(self.grants[key] for key in sorted(self.grants))])

    # --- questions

    @rule(drawn=drawn_bytes(ASKED))
    def ask_about_a_row(self, drawn):
        if self.world.rules:
            self.ask(question_of(Picks(drawn), self.world))

    @rule(drawn=drawn_bytes(8))
    def ask_with_one_field_changed(self, drawn):
        pick = Picks(drawn)
        while pick.left:
            self.ask(changed(pick, self.asked))

    @rule()
    def ask_again(self):
        self.ask(self.asked)

    def ask(self, access):
        self.asked = access
        for policy, world, *_ in self.held:
            decision = answer(policy, access)
            assert decision.allowed == world.allows(access), access
            assert decision.version == policy.version
        self.ask_for_the_rate_class()

    @rule(at=POSITIONS)
    def explain(self, at):
        policy, world, *_ = self.held[at % len(self.held)]
        explained = policy.explain(self.asked)
        assert explained.decision == answer(policy, self.asked)
        spoken = [each.rule for each in explained.spoke if each.rule.place.file != "builtin"]
        assert spoken == sorted(world.spoken(self.asked), key=lambda rule: rule.effect is Effect.ALLOW)

    @rule(schema=st.sampled_from(range(len(ADMITTED))))
    def list_tools(self, schema):
        """What could be called, in every version held; the arguments of the last question are left open."""
        listed, universe = ADMITTED[schema]
        chain = (replace(self.asked, context=replace(self.asked.context, args=None)),)
        for policy, world, *_ in self.held[-2:]:
            assert policy.possible(chain, listed) is world.allows_some_call(chain, universe)

    def ask_for_the_rate_class(self):
        context = self.asked.context
        subject = Subject(self.asked.subject, context.groups, context.claims)
        for policy, world, *_ in self.held:
            assert policy.rate_class(subject, self.asked.domain, context.env) == world.class_of(self.asked)


TestLife = Life.TestCase
