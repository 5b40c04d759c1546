"""Policies as bytes."""

import pytest
from hypothesis import given

from gateway.policy.bundle import Bundle, bundle_hash, decode, encode
from tests.policy.builders import MODEL, bundle
from tests.policy.worlds import World, worlds

ROWS = "# @secret args.b\n# @secret args.a\n# @id x\n# @expires 2027-01-31\np, *, *, *, a/*, read, args.x == 'ü', deny\ng, role:a, role:b, *"
LIMITS = "[[class]]\nname = 'a'\ncalls = 1\nwindow_s = 1\n[[object]]\nmatch = 'a/*'\ncalls = 1\nwindow_s = 1"


def test_a_bundle_survives_its_bytes():
    found = bundle(ROWS, LIMITS)
    assert decode(encode(found)) == found


@given(worlds())
def test_every_bundle_survives_its_bytes(world: World):
    found = Bundle(MODEL, world.rules, world.links)
    assert decode(encode(found)) == found


def test_equal_bundles_have_equal_bytes_and_one_name():
    first = bundle(ROWS, LIMITS)
    second = bundle(ROWS.replace("# @secret args.b\n# @secret args.a", "# @secret args.a\n# @secret args.b"), LIMITS)
    assert encode(first) == encode(second)
    assert bundle_hash(encode(first)) == bundle_hash(encode(second))
    assert len(bundle_hash(b"")) == 64
    assert encode(first) != encode(bundle(ROWS.replace("deny", "allow").replace("*, a/*", "self, a/*"), LIMITS))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[1]",
        b'{"format":2,"bundle":{"model":""}}',
        b'{"format":1,"bundle":{"model":1}}',
        b'{"format":1,"bundle":{"model":""},"x":1}',
    ],
)
def test_other_bytes_are_no_bundle(body):
    with pytest.raises(ValueError):
        decode(body)
