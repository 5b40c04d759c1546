"""Our gateway without its governance, to tell what that costs: ``python -m benchmarks.calls.ungoverned … serve``.

No setting does this, for the product cannot be made to decide nothing. So the very build that is measured is loaded,
and four steps of its road are replaced by nothing before it serves: who asks is proven once and then believed, no call
is counted, nothing is asked of the policy, nothing is put on record. What is left is a gateway that parses, finds the
tool, checks the arguments against its schema, calls it and encodes the answer.
"""

from collections.abc import Mapping

from gateway.catalogue.views import Offer
from gateway.cli import main
from gateway.pipeline.accounts import Account
from gateway.pipeline.arriving import Arrival
from gateway.pipeline.entrance import Entrance
from gateway.pipeline.judge import Judge
from gateway.pipeline.passage import Passage
from gateway.pipeline.uses import Uses
from gateway.pipeline.way import Way
from gateway.policy.terms import Json, Subject

PROVEN: list[Subject] = []
prove = Entrance.arrive


async def believe(entrance: Entrance, arrival: Arrival) -> Subject:
    if not PROVEN:
        PROVEN.append(await prove(entrance, arrival))
    return PROVEN[0]


def do_not_count(_entrance: Entrance, _judge: Judge, _passage: Passage) -> None:
    pass


def do_not_record(_entrance: Entrance, _passage: Passage) -> None:
    pass


def let_pass(uses: Uses, way: Way, offer: Offer, _args: Mapping[str, Json]) -> Account:
    account = uses.serving(way, offer)[0]
    way.passage.concerns(offer, account)
    return account


def take_out() -> None:
    for room, name, instead in (
        (Entrance, "arrive", believe),
        (Entrance, "count", do_not_count),
        (Entrance, "record", do_not_record),
        (Uses, "allow", let_pass),
    ):
        if not hasattr(room, name):
            raise SystemExit(f"{room.__name__}.{name} is no more: say here what is in its place")
        setattr(room, name, instead)


if __name__ == "__main__":
    take_out()
    main()
