"""What may be called how, and how it is addressed."""

import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.custom.names import (
    BUILTINS,
    RESERVED,
    Address,
    address,
    creator_of,
    name_problem,
    owner_called,
    prompt_object,
    read_address,
    tool_object,
)
from gateway.mcp.names import META_NAMES, public_names, suffixed

SIGNS = st.text(string.ascii_letters + string.digits + "-_:/*. é", max_size=70)
GOOD = st.from_regex(r"[A-Za-z0-9-]{1,40}", fullmatch=True).filter(lambda name: not name_problem(name))


@pytest.mark.parametrize("name", ["report", "a", "Send-mail_2", "x" * 64, "a--b", "a--12345", "list_tools", "--"])
def test_a_plain_name_is_good(name):
    assert name_problem(name) == ""


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", "is not 1 to 64 letters"),
        ("x" * 65, "is not 1 to 64 letters"),
        ("a b", "is not 1 to 64 letters"),
        ("ann:report", "is not 1 to 64 letters"),
        ("réport", "is not 1 to 64 letters"),
        ("٣", "is not 1 to 64 letters"),
        ("report\n", "is not 1 to 64 letters"),
        ("slack__send", "holds `__`"),
        ("list_alloy", "holds `_alloy`"),
        ("my_ALLOY_tool", "holds `_alloy`"),
        ("report--0a1b2c", "ends like a name with a suffix"),
        ("report--0a1b2c0a1b2c", "ends like a name with a suffix"),
        ("list-tools", "is the name of a tool of the gateway itself"),
        ("List-Tools", "is the name of a tool of the gateway itself"),
        ("execute_action", "is the name of a tool of the gateway itself"),
    ],
)
def test_a_name_that_could_be_taken_for_something_else_is_refused(name, said):
    assert name_problem(name).startswith(said)


def test_the_gateways_own_names_are_reserved_all_of_them():
    assert len(BUILTINS) == 23
    assert RESERVED == BUILTINS | META_NAMES
    assert all(name_problem(name) for name in RESERVED)


@given(SIGNS)
def test_a_good_name_stands_in_objects_and_addresses_as_it_is(name):
    if name_problem(name):
        return
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name)
    assert tool_object(name) == f"custom/{name}"
    assert prompt_object(name) == f"custom/prompt:{name}"
    assert read_address(name) == Address("", name)
    assert read_address(address("user:ann@example.com", name)) == Address("ann@example.com", name)
    assert read_address(address("system", name)) == Address("system", name)


@given(GOOD, GOOD)
def test_no_name_meets_a_name_with_a_suffix_nor_one_of_a_connector(name, other):
    assert name != suffixed(("user:ann@example.com", other), other)
    assert name not in public_names([("slack", other)], prefixed=True)


@given(GOOD)
def test_suffixed_names_tell_owners_apart_and_are_names(name):
    ann, bob = (suffixed((owner, name), name) for owner in ("user:ann@example.com", "user:bob@example.com"))
    assert ann != bob
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,64}", ann)


@pytest.mark.parametrize("owner", ["user:ann@example.com", "system"])
def test_creators_and_owners_stand_for_each_other(owner):
    assert owner_called(creator_of(owner)) == owner


def test_an_address_is_read_without_the_space_around_it_and_written_again():
    assert read_address(" ann@example.com:report ") == Address("ann@example.com", "report")
    assert str(Address("ann@example.com", "report")) == "ann@example.com:report"
    assert str(Address("", "report")) == "report"


def test_a_name_that_nothing_has_still_is_one_object_of_its_own():
    assert tool_object("*") == "custom/%2A"
    assert tool_object("prompt:x") != prompt_object("x")
