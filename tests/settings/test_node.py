"""Where other nodes reach this one: what is written, what the environment says, and what is neither."""

import pytest

from gateway.settings import NodeSettings
from tests.settings.test_load import folder, problems, read  # noqa: F401

NODE = '[node]\nbind = "127.0.0.1:4101"\n'


def test_a_node_is_reached_where_it_listens_unless_another_address_is_given(folder):  # noqa: F811
    assert read(folder, "").node == NodeSettings()
    assert read(folder, NODE).node == NodeSettings("127.0.0.1:4101", "127.0.0.1:4101")
    named = NODE + 'address = "node-a.internal:4101"\n'
    assert read(folder, named).node == NodeSettings("127.0.0.1:4101", "node-a.internal:4101")
    environ = {"OSTIARY_NODE_BIND": "[::1]:5000", "OSTIARY_NODE_ADDRESS": "node-b:5000"}
    assert read(folder, named, **environ).node == NodeSettings("[::1]:5000", "node-b:5000")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('bind = "node-a:4101"', "is not an IP address and a port"),
        ('bind = "127.0.0.1:0"', "is not a port between 1 and 65535"),
        ('bind = "127.0.0.1:1"\naddress = "node a:1"', "is not a host and a port"),
        ('address = "node-a:4101"', "an `address` needs a `bind`"),
        ('at = "node-a:4101"', "unknown key `at`"),
    ],
)
def test_what_is_no_address_is_refused_in_its_place(folder, text: str, told: str):  # noqa: F811
    assert any(told in str(each) for each in problems(folder, f"[node]\n{text}\n"))
