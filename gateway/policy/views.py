"""What a snapshot says about one name or one thing, found without looking at the rest: for those who administer it.

Words are compared literally; nobody's roles are followed, and nothing is decided here.
"""

from collections.abc import Iterator

from gateway.policy.answers import in_files_order
from gateway.policy.floor import FLOOR
from gateway.policy.index import Row
from gateway.policy.layers import Layer
from gateway.policy.model import is_subject
from gateway.policy.terms import Link, Rule


def naming(files: Layer, grants: Layer, name: str) -> tuple[Rule | Link, ...]:
    """The rows that are for ``name``: rules of the files in their order, its links, then grants by their keys."""
    rows = (row.rule for row in in_files_order([[*files.index.of_subject(name)]]) if row.rule.place.file != FLOOR)
    links = (link for given in files.links.values() for link in given.get(name, ()))
    return (*rows, *links, *(each for each in granted(grants, name) if _for(each) == name))


def about(files: Layer, grants: Layer, object: str, owner: str) -> tuple[Rule, ...]:
    """The rules with this object and owner: those of the files in their order, then grants by their keys."""
    named = is_subject(owner)
    rows = in_files_order([files.index.of_object(object), () if named else grants.index.of_object(object)])
    found = (row.rule for row in rows if row.rule.owner == owner and row.rule.place.file != FLOOR)
    return (*found, *(rule for rule in owned_by(grants, owner) if named and rule.object == object))


def owned_by(grants: Layer, subject: str) -> tuple[Rule, ...]:
    """The rules of grants about what ``subject`` owns, by their keys."""
    return tuple(each for each in granted(grants, subject) if isinstance(each, Rule) and each.owner == subject)


def granted(grants: Layer, name: str) -> Iterator[Rule | Link]:
    """The rows of grants that are for ``name``, or about what he owns, by their keys."""
    for key in sorted(grants.named.get(name, ())):
        entry = grants.entries[key]
        yield entry.rule if isinstance(entry, Row) else entry


def _for(item: Rule | Link) -> str:
    return item.subject if isinstance(item, Rule) else item.member
