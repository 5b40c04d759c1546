"""Small parts of a definition that stand in several places of it."""

from connectors.definition.form import Form
from connectors.definition.terms import Equals


def read_equals(form: Form, key: str) -> Equals | None:
    """``{path: …, equals: …}`` or ``{path: …, present: true}``; ``None`` when the key is missing."""
    below = form.sub(key)
    if below is None:
        return None
    read = Equals(below.text("path", required=True), below.json("equals"), below.flag("present", default=False))
    if below.has("equals") == below.has("present") or (below.has("present") and not read.present):
        below.problem(f"`{form.named(key)}` needs either `equals: VALUE` or `present: true`")
    below.close()
    return read
