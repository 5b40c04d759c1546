"""Short ways to say a policy and a question in a test."""

from pathlib import Path

from gateway.policy.bundle import Bundle
from gateway.policy.engine import Policy
from gateway.policy.rules import read
from gateway.policy.terms import MAIN, Access, Context, Link, Problem, Rule, Tool

MODEL = Path("policies/model.conf").read_text(encoding="utf-8")
NOW = 1_800_000_000_000
ALICE = "user:alice@example.com"
BOB = "user:bob@example.com"
HARMLESS = Tool(destructive=False, open_world=False)


def files(rows: str, limits: str = "", model: str = MODEL) -> dict[str, str]:
    return {"policies/model.conf": model, "policies/rules.csv": rows, "policies/limits.toml": limits}


def bundle(rows: str, limits: str = "") -> Bundle:
    found = read(files(rows, limits))
    assert isinstance(found, Bundle), [str(problem) for problem in found]
    return found


def policy(rows: str, limits: str = "", *, grants: tuple[Rule | Link, ...] = ()) -> Policy:
    return Policy.build(bundle(rows, limits), grants, "1.0")


def problems(rows: str, limits: str = "", model: str = MODEL) -> list[str]:
    found = read(files(rows, limits, model))
    assert not isinstance(found, Bundle), "there is no problem"
    assert all(isinstance(problem, Problem) for problem in found)
    return [str(problem) for problem in found]


def context(*, groups=frozenset(), now=NOW, address="192.0.2.1", tool=HARMLESS, claims=None, owner_roles=(), **args):
    env = {"now": now, "offset": 0, "address": address}
    return Context(args=args, groups=groups, env=env, tool=tool, claims=claims or {}, owner_roles=owner_roles)


def unknown_arguments(*, groups=frozenset(), now=NOW, tool=HARMLESS, claims=None):
    env = {"now": now, "offset": 0, "address": "192.0.2.1"}
    return Context(args=None, groups=groups, env=env, tool=tool, claims=claims or {})


def access(
    object: str, action: str = "read", *, subject: str = ALICE, domain: str = MAIN, owner: str = "", ctx=None
) -> Access:
    return Access(subject, domain, owner or subject, object, action, context() if ctx is None else ctx)


def allowed(policy: Policy, *chain: Access) -> bool:
    return policy.decide(chain).allowed
