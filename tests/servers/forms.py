"""Restrictions as people say them, at random; and what they mean, in ten lines."""

from typing import Any

import msgspec
from hypothesis import strategies as st

from gateway.records import Restrictions
from gateway.servers.forms import ServerRestrictions
from gateway.servers.restrictions import read_restrictions

ACTIONS = {"a": ("make_x", "make_y", "x"), "b": ("make_x", "drop_x")}
USERS = ("u1", "u2", "eve@example.com")

NAMES = st.sampled_from(("make_x", "make_*", "*_x", "x", "*", "a:*", "a:make_x", "b:*_x", "b:drop_x", "a:x*"))
OWN = st.sampled_from(("make_x", "make_*", "*x", "x", "*", "drop_x", "*_y"))


def block(what: str, names: st.SearchStrategy[str]) -> st.SearchStrategy[dict[str, Any] | None]:
    lists = st.lists(names, max_size=3)
    allowed = lists.map(lambda found: {"mode": "allowlist", f"allowed{what}": found})
    blocked = lists.map(lambda found: {"mode": "blocklist", f"blocked{what}": found})
    return st.none() | allowed | blocked


RULES = st.lists(
    st.fixed_dictionaries({"connector": st.sampled_from("ab")}, optional={"actions": st.lists(OWN, max_size=3)}),
    max_size=2,
    unique_by=lambda rule: rule["connector"],
)
FORMS = st.fixed_dictionaries(
    {
        "connectors": block("Ids", st.sampled_from("ab")),
        "actions": block("Actions", NAMES),
        "users": block("Ids", st.sampled_from(USERS)),
        "permissions": st.none() | RULES,
    }
)


def restrictions_of(form: dict[str, Any] | None) -> Restrictions:
    problems: list[str] = []
    read = read_restrictions(msgspec.convert(form, type=ServerRestrictions | None), problems)
    assert not problems
    return read


def fits(pattern: str, connector: str, action: str) -> bool:
    there, colon, name = pattern.rpartition(":")
    begins, ends = name.endswith("*") and action.startswith(name[:-1]), name[:1] == "*" and action.endswith(name[1:])
    return (not colon or there == connector) and (name == action or begins or ends)


def lets(form: dict[str, Any], user: str, connector: str, action: str | None) -> bool:
    """Whether ``form`` lets ``user`` use an action, or (``None``) connect an account of ``connector``."""

    def passes(block: str, what: str, meant: Any) -> bool:
        said = form[block] or {"mode": "blocklist", f"blocked{what}": []}
        allow = said["mode"] == "allowlist"
        return allow == any(map(meant, said[f"{'allowed' if allow else 'blocked'}{what}"]))

    rules = [{"connector": connector}] if form["permissions"] is None else form["permissions"]
    own = [name for rule in rules if rule["connector"] == connector for name in rule.get("actions", ["*"])]
    ours = any(rule["connector"] == connector for rule in rules)
    here = passes("users", "Ids", lambda name: name == user) and passes(
        "connectors", "Ids", lambda name: name == connector
    )
    if action is None:
        return here and ours
    return (
        here
        and passes("actions", "Actions", lambda name: fits(name, connector, action))
        and (any(fits(name, connector, action) for name in own))
    )
