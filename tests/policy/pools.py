"""The pools from which policies and questions are picked: so small that rows and questions meet often."""

from itertools import product

from gateway.policy.limits import read_limits
from gateway.policy.terms import SYSTEM, Tool
from tests.policy.builders import ALICE, BOB, NOW
from tests.policy.condition_strategies import text_of

X, Y, Z = ("args", "x"), ("args", "y"), ("args", "z")
IT, MFA = ("it",), ("bare", ("claims", "mfa"))
TREES = (
    ("cmp", X, "==", 1),
    ("cmp", X, ">", 1),
    ("not", ("cmp", X, ">", 1)),
    ("in", Y, ["p", "q"]),
    ("or", [("cmp", X, "==", 2), ("cmp", Y, "==", "p")]),
    ("and", [("cmp", X, ">=", 1), MFA]),
    ("not", ("has", X)),
    ("not", ("and", [("cmp", X, "==", 2), ("cmp", Y, "==", "p")])),
    ("and", [("not", ("cmp", X, "==", 1)), ("bare", ("claims", "mfa"))]),
    ("starts", Y, "p"),
    ("some", Z, ("cmp", IT, "==", "p")),
    ("every", Z, ("in", IT, ["p", "q"])),
    MFA,
    ("not", ("bare", ("tool", "destructive"))),
    ("some", ("tool", "tags"), ("cmp", IT, "==", "t")),
    ("cmp", ("client", "id"), "==", "c"),
    ("hours", 8 * 60, 18 * 60),
    ("cidr", "192.0.2.0/24"),
    ("cmp", ("connection", "scope"), "==", "wide"),
    ("some", ("owner", "roles"), ("cmp", IT, "==", "admin")),
    ("not", ("some", ("owner", "roles"), ("cmp", IT, "==", "admin"))),
)
"""Conditions on every root."""

MEANING = {"": ("const", True), **{text_of(tree): tree for tree in TREES}}
"""What each text of a condition means."""

WHENS = (*[""] * len(TREES), *MEANING)
LISTED_WHENS = ("", *[text for text in MEANING if "args" in text] * 3, *MEANING)

MISSING = object()
ARGUMENTS = tuple(
    {key: value for key, value in zip("xyz", values, strict=True) if value is not MISSING}
    for values in product(
        (MISSING, 0, 1, 2, 3, "1"),
        (MISSING, "p", "q", "pp", "r", 1),
        (MISSING, [], ["p"], ["r"], ["p", "r"], [1, "p"], [1, "r"]),
    )
)
"""A representative of every class of arguments that the conditions can tell apart."""

LIKELY = (
    {},
    {"x": 1, "y": "p", "z": ["p"]},
    {"x": 2, "y": "q", "z": ["r"]},
    {"x": 2, "y": "r", "z": [1, "p"]},
    {"y": "p", "z": "p"},
    {"x": "1", "y": 1},
)
"""Those at which many conditions differ."""

MANY = (*ARGUMENTS[::5], *LIKELY * 12)

END, SERVER = "end:s1/42", "server:s1"
SUBJECTS = (ALICE, BOB, END, SERVER)
ROLES = ("role:a", "role:b", "role:c")
DEEP = tuple(f"role:d{depth}" for depth in range(1, 11))
GROUPS = ("group:g/one", "group:g/two")
KNOWN_GROUPS = (
    frozenset(),
    frozenset((*GROUPS, "role:a", BOB)),
    frozenset(GROUPS),
    frozenset(GROUPS[:1]),
    frozenset(GROUPS[1:]),
    None,
)
DOMAINS = ("main", "s1", "s2")
OWNERS = (ALICE, BOB, END, SYSTEM)
OBJECTS = ("a/x", "a/y", "a/xy", "b/x", "gateway/users", "custom/x")
PATTERNS = ("a/x", "a/*", "a/x*", "*", "b/x", "gateway/users", "gateway/*", "custom/*")
ACTIONS = ("read", "write", "inspect", "revoke", "manage", "share", "connect", "rate:high", "rate:low")
LATER = NOW + 1_000
MOMENTS = (NOW - 1, NOW, LATER - 1, LATER, None)
EXPIRIES = (None, None, None, None, LATER, NOW)
CLAIMS = ({"mfa": True}, {"mfa": True}, {"mfa": False}, {})
TOOLS = (Tool(destructive=False, tags=("t",)), Tool(destructive=False, tags=("t",)), Tool(destructive=False), Tool())
CLIENTS = ({"id": "c"}, {"id": "c"}, {"id": "d"}, {})
CONNECTIONS = ({"scope": "wide"}, {"scope": "wide"}, {"scope": "small"}, {})
OWNER_ROLES = (None, None, (), ("admin",))
ADDRESSES = ("192.0.2.1", "198.51.100.1", "")
LIMITS_TEXT = "".join(
    f"[[class]]\nname = '{name}'\ncalls = {calls}\nwindow_s = 60\n" for name, calls in (("low", 10), ("high", 1000))
)
LIMITS = read_limits(LIMITS_TEXT, "limits.toml")


USES, RATES = ("a/x", "a/x", "a/y", "a/xy", "b/x", "custom/x"), ("rate:high", "rate:low")
AIMS = (
    (USES, ("read", "read", "write", "write", "share", "connect", "manage")),
    (USES, ("read", "write")),
    (("gateway/users", "custom/x"), ("inspect", "revoke", "manage", "share", "read")),
    (("*",), RATES),
)
"""Objects with the actions that are asked of them."""


class Picks:
    """Takes from pools by drawn bytes; what is simplest stands first in a pool."""

    def __init__(self, drawn: bytes) -> None:
        self._drawn = drawn
        self._taken = 0

    def __call__(self, pool):
        self._taken += 1
        return pool[self._drawn[self._taken - 1] % len(pool)]

    @property
    def left(self) -> int:
        return len(self._drawn) - self._taken
