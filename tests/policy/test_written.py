"""A bundle as the files that say it."""

import pytest

from gateway.policy.bundle import Bundle
from gateway.policy.rules import read
from gateway.policy.written import written
from tests.policy.builders import ALICE, BOB, MODEL

ROWS = f"""
# @secret args.card.number
# what nobody reads
# @id first
# @owner payments
# @ticket PAY-7
# @expires 2027-03-01
# @lint-ok broad
p, {ALICE}, main, self, slack/*, write, args.to in ['a', 'b'] and (args.text == 'no, please'), allow
g, {ALICE}, role:user, main
p, role:user, *, *, *, *, , deny
"""
MORE = f"p, {BOB}, main, system, files/resource:a%2Fb, read, , allow\n"
LIMITS = """
[[class]]
name = "fast"
calls = 500
window_s = 60
[[class]]
name = "default"
calls = 10
window_s = 0.5
[[object]]
match = "slack/*"
calls = 3
window_s = 10
class = "fast"
[[object]]
match = "slack/größe"
calls = 2
window_s = 1
"""
CASE = "cases: []\n"


def bundle(files: dict[str, str]) -> Bundle:
    found = read(files)
    assert isinstance(found, Bundle), [str(problem) for problem in found]
    return found


def said(of: Bundle) -> object:
    """All that a bundle says, wherever it stands."""
    rules = [(r.subject, r.domain, r.owner, r.object, r.action, r.when, r.effect, r.id) for r in of.rules]
    notes = [(r.responsible, r.ticket, r.expires) for r in (*of.rules, *of.links)]
    links = [(each.member, each.role, each.domain) for each in of.links]
    return rules, notes, links, of.limits, of.secrets, sorted(of.accepted.values()), sorted(of.cases.values()), of.model


@pytest.mark.parametrize("limits", ["", LIMITS])
@pytest.mark.parametrize("rows", ["", ROWS])
def test_what_is_written_says_what_was_read(rows: str, limits: str):
    files = {"model.conf": MODEL, "rules.csv": rows, "more.csv": MORE, "limits.toml": limits, "tests/a.yaml": CASE}
    first = bundle({f"policies/{name}": text for name, text in files.items()})
    told = written(first)
    assert set(told) - {"rules.csv"} == set(files) - {"rules.csv"}
    again = bundle({f"elsewhere/{name}": text for name, text in told.items()})
    assert said(again) == said(first)
    assert written(again) == told
