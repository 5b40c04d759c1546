"""Whatever is done to the entries of a chain is found and named; CEF says the same as the entry."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.audit import AuditEntry
from gateway.audit.cef import cef, extension, header
from gateway.audit.chain import Chain
from gateway.audit.checkpoints import Signer
from gateway.audit.verifying import LIVING_MS, Verifying
from gateway.records import Checkpoint

SIGNER = Signer({"one": b"1" * 32})
NOW = 10 * LIVING_MS


def made(count: int) -> tuple[list[AuditEntry], Checkpoint]:
    chain = Chain("c")
    entries = [chain.add(AuditEntry(id=f"{n:04}", at=n, subject=f"user:{n}", took=n / 3)) for n in range(1, count + 1)]
    plain = Checkpoint(id="c", start_link=Chain("c").link, number=chain.number, link=chain.link)
    return entries, SIGNER.signed(plain)


def breaks(entries: list[AuditEntry], checkpoint: Checkpoint | None, signer: Signer = SIGNER) -> list[str]:
    found = {} if checkpoint is None else {"c": checkpoint}
    verifying = Verifying(found, signer)
    for entry in sorted(entries, key=lambda each: each.id):
        verifying.take(entry)
    return [str(each) for each in verifying.finish(found, NOW)[1]]


CHAINS = st.integers(1, 30).flatmap(lambda count: st.tuples(st.just(count), st.integers(0, count - 1)))


@given(st.integers(0, 30), st.randoms())
def test_a_whole_chain_holds_in_whatever_order_its_calls_began(count, random):
    entries, checkpoint = made(count)
    ids = [f"{n:04}" for n in range(count)]
    random.shuffle(ids)
    chain = Chain("c")
    shuffled = [chain.add(replace(each, id=id)) for each, id in zip(entries, ids, strict=True)]
    vouched = SIGNER.signed(replace(checkpoint, link=chain.link))
    assert breaks(shuffled, vouched) == []


@given(CHAINS, st.sampled_from(["subject", "outcome", "rule", "link", "chain", "at", "took"]))
def test_any_change_of_an_entry_is_found(place, name):
    entries, checkpoint = made(place[0])
    entries[place[1]] = replace(entries[place[1]], **{name: 7 if name in ("at", "took") else "other"})
    if name != "at" or place[1] != 6:
        assert breaks(entries, checkpoint)


@given(CHAINS)
def test_any_removal_is_found_and_named_also_at_the_end(place):
    entries, checkpoint = made(place[0])
    gone = entries.pop(place[1])
    assert any(f"numbers {gone.number} to {gone.number} were removed" in each for each in breaks(entries, checkpoint))


@given(CHAINS, st.integers(0, 29))
def test_any_swap_of_what_two_entries_say_is_found(place, other):
    entries, checkpoint = made(place[0])
    one, two = place[1], other % place[0]
    first, second = entries[one], entries[two]
    entries[one] = replace(first, subject=second.subject)
    entries[two] = replace(second, subject=first.subject)
    assert bool(breaks(entries, checkpoint)) == (one != two)


@given(CHAINS)
def test_an_inserted_entry_is_found(place):
    entries, checkpoint = made(place[0])
    entries.append(replace(entries[place[1]], id="9999"))
    assert any("inserted" in each for each in breaks(entries, checkpoint))


def test_a_chain_that_was_written_anew_does_not_fit_its_checkpoint():
    _, checkpoint = made(5)
    chain = Chain("c")
    forged = [chain.add(AuditEntry(id=f"{n:04}", at=n)) for n in range(1, 6)]
    assert [each for each in breaks(forged, checkpoint) if "the signed checkpoint names another link" in each]


def test_a_checkpoint_that_was_changed_forged_or_removed_is_told():
    entries, checkpoint = made(3)
    assert "changed or forged" in breaks(entries, replace(checkpoint, number=2))[0]
    assert "no secret of the settings" in breaks(entries, checkpoint, Signer({"two": b"2" * 32}))[0]
    assert "no checkpoint vouches" in breaks(entries, None)[0]


def test_a_checkpoint_of_an_older_secret_still_counts():
    entries, checkpoint = made(3)
    assert breaks(entries, checkpoint, Signer({"two": b"2" * 32, "one": b"1" * 32})) == []


# -- CEF

_PAIR = re.compile(r"([A-Za-z0-9]+)=((?:\\.|[^=\\])*)(?= [A-Za-z0-9]+=|$)", re.DOTALL)


def _plain(text: str) -> str:
    return re.sub(r"\\(.)", lambda found: {"n": "\n", "r": "\r"}.get(found[1], found[1]), text, flags=re.DOTALL)


TEXT = st.text(
    alphabet=st.one_of(st.sampled_from("|=\\\n\r nr a"), st.characters(exclude_categories=["Cs"])), max_size=20
)


@given(TEXT, TEXT, TEXT, st.dictionaries(TEXT, TEXT, max_size=2))
def test_a_line_of_cef_read_back_says_what_the_entry_says(method, subject, object, arguments):
    entry = AuditEntry(id="1", at=5, method=method, subject=subject, object=object, arguments=arguments, allowed=False)
    line = cef(entry, "1.0")
    assert "\n" not in line
    assert "\r" not in line
    *head, told = _split(line)
    assert tuple(map(_plain, head[1:])) == header(entry, "1.0")
    assert {key: _plain(value) for key, value in _PAIR.findall(told)} == extension(entry)


def _split(line: str) -> list[str]:
    """The seven fields of the header, and the rest."""
    found = re.match(r"((?:\\.|[^|\\])*)\|" * 7 + r"(.*)", line, re.DOTALL)
    assert found is not None
    return list(found.groups())


@pytest.mark.parametrize(("facts", "severity"), [({"allowed": False}, "6"), ({"outcome": "ok"}, "2"), ({}, "4")])
def test_refusals_weigh_more_than_what_went_well(facts, severity):
    assert header(AuditEntry(id="1", at=1, **facts), "1")[-1] == severity
