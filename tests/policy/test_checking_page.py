"""``docs/policy/checking.md`` tells what the type-check tells."""

import json

import pytest

from gateway.analysis.fitting import unfitting
from gateway.analysis.inventory import Inventory, Thing
from gateway.policy.misfits import Kind
from gateway.policy.terms import Tool
from tests.documents import ROOT, blocks, tables
from tests.policy.builders import bundle

PAGE = ROOT / "docs" / "policy" / "checking.md"
SCHEMA = json.loads(next(block.text for block in blocks(PAGE) if block.language == "text"))
ROWS = next(each for each in tables(PAGE) if each.heading == "Validate" and each.columns[0] == "kind").by("kind")


def test_every_kind_of_misfit_has_its_row():
    assert list(ROWS) == [kind.value for kind in Kind]


@pytest.mark.parametrize("kind", ROWS)
def test_the_examples_are_told_as_the_page_says(kind):
    row = ROWS[kind]
    severity, _, effect = row["severity"].partition(" ")
    rule = f"p, *, *, self, shop/refund, write, ({row['condition'].strip('`')}), {effect.strip('()') or 'allow'}"
    inventory = Inventory(things={"main": (Thing("shop/refund", "write", Tool("shop", "refund"), SCHEMA),)})
    (found,) = unfitting(bundle(rule).rules, inventory)
    assert found.severity == severity
    assert found.problem.sentence.startswith(
        f"condition `({row['condition'].strip('`')})` for `shop/refund`: {row['told']}"
    )
