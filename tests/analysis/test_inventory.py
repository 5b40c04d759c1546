"""Who and what a policy is held against."""

from gateway.analysis.inventory import Inventory, Thing
from gateway.policy.terms import Tool


def test_a_thing_is_found_whichever_server_offers_it():
    log = Thing("git/git_log", "read", Tool("git", "git_log"))
    inventory = Inventory(things={"main": (), "git": (log,)})
    assert inventory.thing("git/git_log") is log
    assert inventory.thing("git/git_add") is None
