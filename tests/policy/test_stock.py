"""Stock Casbin over a snapshot answers as the engine does: what the live check stands on."""

from hypothesis import given, settings

from gateway.policy.engine_stock import Stock
from tests.policy.worlds import World, cases


@settings(max_examples=30)
@given(cases())
def test_stock_casbin_and_the_engine_agree(case: tuple[World, list]):
    world, questions = case
    for split in (0, 2):
        policy = world.policy(split)
        stock = Stock(policy)
        for question in questions:
            assert stock.decide(question) is policy.decide((question,)).allowed
