"""Policies as bytes."""

import json
from dataclasses import replace

import msgspec
import pytest
from hypothesis import given
from msgspec import structs

from gateway.policy.bundle import CHUNK, Bundle, bundle_hash, decode, decoding, encode
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


def test_the_policys_own_tests_are_part_of_it_and_older_bundles_have_none():
    plain = bundle(ROWS, LIMITS)
    tested = replace(plain, cases={"policies/tests/b.yaml": "ü", "policies/tests/a.yaml": ""})
    assert decode(encode(tested)) == tested != plain
    other_order = replace(tested, cases=dict(reversed(tested.cases.items())))
    assert encode(tested) == encode(other_order)
    older = {"format": 1, "bundle": msgspec.to_builtins(plain)}
    del older["bundle"]["cases"]
    assert decode(json.dumps(older).encode()) == plain


def test_a_large_bundle_is_read_in_slices():
    rules = tuple(structs.replace(bundle(ROWS).rules[0], object=f"a/{n}") for n in range(3 * CHUNK + 1))
    links = tuple(structs.replace(bundle(ROWS).links[0], member=f"role:{n}") for n in range(CHUNK))
    large = replace(bundle(ROWS), rules=rules, links=links)
    assert len(list(decoding(encode(large)))) == 5 + 3, "a pause after each line, and three at the end"
    assert decode(encode(large)) == large
    assert decode(encode(replace(large, rules=(), links=()))).rules == ()


def test_a_bundle_that_was_cut_or_prolonged_is_none():
    body = encode(replace(bundle(ROWS), rules=bundle(ROWS).rules * (CHUNK + 1)))
    for other in (body[: body.rindex(b"\n")], body + b"\n[]", body.replace(b"\n", b"", 1), body[:-1]):
        with pytest.raises(ValueError):
            decode(other)


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
        b'{"format":3,"bundle":{"model":""}}',
        b'{"format":2,"bundle":{"model":""},"lines":[1,0]}',
        b'{"format":1,"bundle":{"model":1}}',
        b'{"format":1,"bundle":{"model":""},"x":1}',
    ],
)
def test_other_bytes_are_no_bundle(body):
    with pytest.raises(ValueError):
        decode(body)
