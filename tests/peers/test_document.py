"""``docs/protocol.md`` tells which real clients and servers work, and what they speak; this run tells it so."""

import os

from tests.documents import ROOT, placed
from tests.peers.site import Site
from tests.peers.tables import MARK, rendered

PAGE = ROOT / "docs" / "protocol.md"


def test_the_tables_of_the_document_are_what_was_found(site: Site):
    """With UPDATE=1 in the environment they are written anew."""
    page = PAGE.read_text()
    found = placed(page, MARK, rendered(site))
    if page != found:  # a client takes the older era when the first answer comes late, as on a machine that is busy
        found = placed(page, MARK, rendered(site))
    if os.environ.get("UPDATE") == "1":
        PAGE.write_text(found)
    assert page == found or os.environ.get("UPDATE") == "1", "`make conformance UPDATE=1` writes the tables anew"
