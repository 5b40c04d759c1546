"""Whatever people do with links and addresses, in whatever order: nobody's account is connected to somebody else.

Everything that can be handed on is handed on: every link and every address of the platform is known to everybody, and
whoever likes opens it, in his own browser and as himself. A browser keeps its cookies; what the platform answers comes
to the browser of the person who agreed, as often as he likes and wherever he likes. Applications know who is signed in
to them, and say so.
"""

import asyncio
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from gateway.connections.flows import ENDS, STEP_MS
from gateway.connections.keeping import Keeping
from gateway.connections.sweeping import sweep
from gateway.connections.terms import Ended, FlowRefused, Redirect
from gateway.errors import Refusal
from gateway.records import Stage
from gateway.settings import Binding
from tests.connections.world import BACK, World

PEOPLE = ("alice", "bob", "mallory")
ACCOUNTS = {who: (f"{who}s", f"{who}sother") for who in PEOPLE}
CONNECTORS = ("acme", "zorg", "keyed")
WHO = st.sampled_from(PEOPLE)
SAME_OR_OTHER = st.sampled_from(["", "", "", *PEOPLE])
ANY = st.integers(0, 3)
"""Which one of what there is, counted from the latest."""


def pick(things: Any, back: int) -> Any:
    return things[-1 - back % len(things)]


class Flows(RuleBasedStateMachine):
    """``accounts`` are those of the connections after the last step: only who decides so changes one."""

    @initialize(binding=st.sampled_from([Binding.SESSION, Binding.CONFIRM, Binding.SAME_BROWSER]), end=st.booleans())
    def begin(self, binding: Binding, end: bool) -> None:
        self.runner = asyncio.Runner()
        self.world = World(binding=binding)
        self.people = {who: f"end:s1/{who}" if end else f"user:{who}@example.com" for who in PEOPLE}
        if binding is Binding.SAME_BROWSER and not end:
            self.people = {"alice": self.people["alice"]}  # it is for one user alone
        self.signed_in = dict.fromkeys(PEOPLE, True)
        self.links: list[str] = []
        self.flows: list[str] = []
        self.urls: list[str] = []
        self.answers: list[tuple[str, str, list[tuple[str, str]]]] = []  # who has it, of which platform
        self.codes: list[tuple[str, str]] = []
        self.ends: dict[str, Stage] = {}
        self.accounts: dict[str, str] = {}
        self.decided: str = ""

    def teardown(self) -> None:
        if hasattr(self, "runner"):
            self.runner.close()

    def run(self, step: Any) -> Any:
        try:
            return self.runner.run(step)
        except Refusal:
            return None

    def session(self, who: str) -> str:
        name = self.people.get(who, "")
        return name if name.startswith("user:") and self.signed_in[who] else ""

    def ended(self, who: str, ended: Ended | None) -> None:
        if ended is not None and "&code=" in ended.next:
            self.codes.append((who, ended.next.partition("&code=")[2]))

    @rule(who=WHO, connector=st.sampled_from(CONNECTORS), reconnects=ANY, again=st.booleans())
    def start(self, who: str, connector: str, reconnects: int, again: bool) -> None:
        if who not in self.people:
            return
        known = self.runner.run(self.world.connections())
        held = [each for each in known if (each.owner, each.connector) == (self.people[who], connector)] or known
        id = pick(held, reconnects).id if held and again else ""
        step = self.world.linking.start(self.people[who], connector, back=BACK, reconnects=id)
        if (started := self.run(step)) is not None:
            self.links.append(started.link.rpartition("/")[2])
            self.flows.append(started.flow.id)

    @rule(who=WHO, link=ANY, which=st.integers(0, 1))
    def click(self, who: str, link: int, which: int) -> None:
        if not self.links:
            return
        token = pick(self.links, link)
        typed = {"api_key": f"key-{ACCOUNTS[who][which]}-x", "site": "x"}
        for inputs in ({}, typed):
            step = self.world.linking.begin(
                token, signed_in=self.session(who), browser=f"{who}s {token[:24]}", inputs=inputs
            )
            match self.run(step):
                case Redirect() as gone:
                    self.urls.append(gone.url)
                case Ended() as ended:
                    self.ended(who, ended)

    @rule(who=WHO, url=ANY, which=st.integers(0, 1), says_no=st.booleans())
    def agree(self, who: str, url: int, which: int, says_no: bool) -> None:
        if not self.urls:
            return
        place = pick(self.urls, url)
        query = self.world.provider.agrees(place, ACCOUNTS[who][which])
        if says_no:
            query = [("error", "access_denied"), query[1]]
        connector = "acme" if "acme" in place.partition("?")[0] else "zorg"
        self.answers.append((who, connector, query))

    @rule(answer=ANY, astray=st.sampled_from(["", "", "", "connector", "tenant"]))
    def come_back(self, answer: int, astray: str) -> None:
        if not self.answers:
            return
        who, connector, query = pick(self.answers, answer)
        flow = dict(query)["state"][:24]
        there = {"connector": {"acme": "zorg", "zorg": "acme"}[connector]}.get(astray, connector)
        tenant = "user:mallory@example.com" if astray == "tenant" else "main"
        step = self.world.linking.callback(tenant, there, query, signed_in=self.session(who), browser=f"{who}s {flow}")
        self.ended(who, self.run(step))

    @rule(
        starts=WHO,
        clicks=SAME_OR_OTHER,
        agrees=SAME_OR_OTHER,
        which=st.integers(0, 1),
        connector=st.sampled_from(CONNECTORS),
        anew=ANY,
    )
    def all_the_way(self, starts: str, clicks: str, agrees: str, which: int, connector: str, anew: int) -> None:
        """The whole of it, by one person or by several, and to the application where one is asked."""
        if starts in self.people:
            self.start(starts, connector, anew, again=anew < 2)
            self.click(clicks or starts, 0, which)
            self.agree(agrees or starts, 0, which, says_no=False)
            self.come_back(0, "")
            self.confirm(0)

    @rule(code=ANY)
    def confirm(self, code: int) -> None:
        if self.codes:
            who, text = pick(self.codes, code)
            self.run(self.world.linking.confirm(text, owner=self.people.get(who, "")))

    @rule(who=WHO, flow=ANY, keep=st.booleans())
    def settle(self, who: str, flow: int, keep: bool) -> None:
        if self.flows and who in self.people:
            id = pick(self.flows, flow)
            done = self.run(self.world.linking.settle(id, keep=keep, owner=self.people[who], browser=f"{who}s {id}"))
            self.decided = done.result if done is not None and keep else ""

    @rule(who=WHO, connection=ANY)
    def disconnect(self, who: str, connection: int) -> None:
        if (held := self.runner.run(self.world.connections())) and who in self.people:
            self.run(self.world.linking.disconnect(pick(held, connection).id, owner=self.people[who]))

    @rule(who=WHO)
    def sign_in_or_out(self, who: str) -> None:
        self.signed_in[who] = not self.signed_in[who]

    @rule(part=st.sampled_from([2, 3, 1]))
    def time_goes_by(self, part: int) -> None:
        self.world.now += STEP_MS // part

    @rule()
    def sweep(self) -> None:
        self.runner.run(sweep(self.world.means()))

    @invariant()
    def every_connection_is_of_an_account_of_its_owner(self) -> None:
        if not hasattr(self, "world"):
            return
        accounts = {name: ACCOUNTS[who] for who, name in self.people.items()}
        for connected in self.runner.run(self.world.connections()):
            if self.world.binding is not Binding.SAME_BROWSER or connected.owner.startswith("end:"):
                assert connected.account in accounts[connected.owner], (connected.owner, connected.account)

    @invariant()
    def no_account_takes_the_place_of_another_unless_somebody_said_so(self) -> None:
        if not hasattr(self, "world"):
            return
        now = {each.id: each.account for each in self.runner.run(self.world.connections())}
        for id, account in self.accounts.items():
            assert now.get(id, account) == account or id == self.decided
        self.accounts, self.decided = now, ""

    @invariant()
    def what_has_ended_stays_so_and_holds_nothing(self) -> None:
        if not hasattr(self, "world"):
            return
        now = {flow.id: flow for flow in self.runner.run(self.world.store.flows.page(limit=1000))}
        for id, stage in self.ends.items():
            assert id not in now or now[id].stage is stage
        for id, flow in now.items():
            if flow.stage in ENDS:
                self.ends[id] = flow.stage
                assert (flow.sealed, flow.state, flow.code) == (b"", "", "")

    @invariant()
    def what_is_kept_is_usable_and_what_is_not_is_forgotten(self) -> None:
        """Tokens that were given are in a connection, in a flow that waits, or given back."""
        if not hasattr(self, "world"):
            return
        provider, means = self.world.provider, self.world.means()
        keeping = Keeping(means, None)  # type: ignore[arg-type]
        held = self.runner.run(self.world.connections())
        kept = {each.account for each in held}
        waiting = [
            flow
            for flow in self.runner.run(self.world.store.flows.page(limit=1000))
            if flow.stage in (Stage.PENDING, Stage.ASKING)
        ]
        for flow in waiting:
            try:
                kept.add(keeping.found(flow).account)
            except FlowRefused:
                raise AssertionError("a flow that waits cannot be read") from None
        assert provider.given <= kept | set(provider.forgotten)


Flows.TestCase.settings = settings(stateful_step_count=30)
TestFlows = Flows.TestCase
