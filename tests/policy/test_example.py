"""One policy as an organisation would write it, asked about every kind of thing that a policy decides."""

import pytest

from gateway.policy.engine import Policy
from gateway.policy.guard import managers
from gateway.policy.terms import MAIN, SYSTEM, Effect, Link, Place, Rule, Tool
from tests.policy.builders import BOB, NOW, access, allowed, context, policy, unknown_arguments

ROWS = """
p, user:*, main, self, custom/*, write, , allow
p, user:*, main, self, gateway/keys, manage, , allow
p, *, *, self, *, revoke, , allow
p, role:user, main, *, gateway/directory, inspect, , allow
p, role:user, main, self, *, connect, , allow
p, role:user, main, system, weather/*, read, , allow
p, role:power-user, main, self, custom/*, manage, , allow
p, role:power-user, main, self, custom/*, share, args.level == 'read' and args.days <= 90, allow
p, role:power-user, main, self, gateway/servers, manage, args.public == false, allow
p, role:helpdesk, main, *, gateway/users, manage, every(args.roles, it in ['user']), allow
p, role:helpdesk, *, *, gateway/*, manage, some(owner.roles, it in ['admin', 'security']), deny
p, role:admin, main, *, gateway/users, manage, not some(args.roles, it == 'security') and not some(owner.roles, it == 'security'), allow
p, role:admin, main, *, gateway/keys, manage, not some(owner.roles, it == 'security'), allow
p, role:admin, main, system, *, connect, , allow
p, role:security, main, system, gateway/policy, manage, , allow
p, role:support, main, self, slack/send_message, write, args.channel in ['#support', '#help'], allow
p, role:support, main, self, gmail/send, write, every(args.to, ends(it, '@example.com')), allow
p, role:finance, main, self, stripe/create_refund, write, args.amount > 0 and args.amount <= 100 and claims.amr == 'mfa', allow
p, role:contractor, main, self, github/*, write, hours(env.now, '08:00', '18:00'), allow
p, group:corp/interns, *, *, stripe/*, *, , deny
p, *, *, *, *, write, tool.destructive, deny
p, user:mallory@example.com, *, *, *, *, , deny
"""

ROLES = ("user", "power-user", "helpdesk", "admin", "security", "support", "finance", "contractor")
PEOPLE = {role: f"user:{role}@example.com" for role in ROLES}
NOBODY, MALLORY = "user:nobody@example.com", "user:mallory@example.com"
END, SERVER = "end:shop/42", "server:shop"
DAY = NOW - NOW % 86_400_000
NOON, EIGHT, SIX = DAY + 12 * 3_600_000, DAY + 8 * 3_600_000, DAY + 18 * 3_600_000
MFA = {"amr": "mfa"}
INTERN = frozenset({"group:corp/interns"})
DESTROYS = Tool(destructive=True)


@pytest.fixture(scope="module")
def example() -> Policy:
    links = (*((name, role) for role, name in PEOPLE.items()), (MALLORY, "admin"), (MALLORY, "user"))
    return policy(ROWS + "\n".join(f"g, {name}, role:{role}, *" for name, role in links))


def ask(who, action, object, *, own="", domain=MAIN, **known):
    """A question: ``who`` is a role's person or a subject, ``known`` arguments and what ``context`` takes."""
    subject = PEOPLE.get(who, who)
    return access(object, action, subject=subject, owner=PEOPLE.get(own, own), domain=domain, ctx=context(**known))


YES = [
    # everybody who has an account
    ask(NOBODY, "write", "custom/mine"),
    ask(NOBODY, "read", "custom/prompt:mine"),
    *(ask(NOBODY, each, "gateway/keys") for each in ("inspect", "revoke", "manage")),
    # everybody, everywhere: what is his own ends when he says so
    *(ask(each, "revoke", "slack", domain=domain) for each in (NOBODY, END, SERVER) for domain in (MAIN, "shop")),
    ask(NOBODY, "inspect", "slack"),
    ask(NOBODY, "revoke", "custom/mine"),
    # users
    ask("user", "inspect", "gateway/directory", own=BOB),
    ask("user", "connect", "slack"),
    ask("user", "read", "weather/today", own=SYSTEM),
    # power users
    ask("power-user", "manage", "custom/mine"),
    ask("power-user", "share", "custom/mine", level="read", days=90),
    ask("power-user", "manage", "gateway/servers", public=False),
    # help desk
    ask("helpdesk", "manage", "gateway/users", own=BOB, roles=["user"]),
    ask("helpdesk", "manage", "gateway/users", own=BOB, roles=[]),
    ask("helpdesk", "inspect", "gateway/users", own=BOB, roles=["user"]),
    # admins
    ask("admin", "manage", "gateway/users", own=BOB, roles=["user", "admin"]),
    ask("admin", "manage", "gateway/keys", own=BOB),
    ask("admin", "manage", "gateway/keys", own=BOB, owner_roles=("admin",)),
    ask("admin", "connect", "slack", own=SYSTEM),
    # those who keep the policy
    *(ask("security", each, "gateway/policy", own=SYSTEM) for each in ("inspect", "revoke", "manage")),
    # work
    ask("support", "write", "slack/send_message", channel="#help"),
    ask("support", "read", "slack/send_message", channel="#support"),
    ask("support", "write", "gmail/send", to=["a@example.com", "b@example.com"]),
    *(ask("finance", "write", "stripe/create_refund", amount=each, claims=MFA) for each in (0.01, 1, 100, 100.0)),
    *(ask("contractor", "write", "github/merge", now=each) for each in (EIGHT, NOON, SIX - 1)),
    ask("contractor", "read", "github/resource:repo://a", now=NOON),
    ask("contractor", "read", "github/merge", now=NOON, tool=DESTROYS),
    # a deny of writing takes no administration away
    ask("power-user", "manage", "custom/mine", tool=DESTROYS),
]
NO = [
    # what nobody allows
    ask(NOBODY, "read", "slack/history"),
    ask(END, "write", "custom/mine"),
    ask(NOBODY, "write", "custom/mine", domain="shop"),
    ask(NOBODY, "write", "custom/theirs", own=BOB),
    ask(NOBODY, "manage", "custom/mine"),
    ask(NOBODY, "share", "custom/mine", level="read", days=1),
    ask(NOBODY, "manage", "gateway/keys", own=BOB),
    # a bare star never reaches administration, and what is revoked is one's own
    ask(NOBODY, "revoke", "gateway/sessions"),
    ask(NOBODY, "revoke", "slack", own=BOB),
    ask(NOBODY, "revoke", "slack", own=SYSTEM),
    # the ladders do not imply each other, nor what stands beside them
    ask("power-user", "connect", "custom/mine"),
    ask("power-user", "connect", "slack"),
    ask("security", "read", "gateway/policy", own=SYSTEM),
    ask("user", "manage", "slack"),
    ask("user", "write", "slack/send_message"),
    ask("user", "write", "weather/today", own=SYSTEM),
    ask("user", "read", "weather/today"),
    ask("user", "read", "weather-admin/today", own=SYSTEM),
    ask("user", "inspect", "gateway/users", own=BOB),
    ask("user", "connect", "slack", own=SYSTEM),
    ask("user", "connect", "slack", domain="shop"),
    ask("user", "connect", "gateway"),
    # shares
    *(
        ask("power-user", "share", "custom/mine", **each)
        for each in (
            *({"level": "write", "days": 1}, {"level": "read", "days": 91}, {"level": "read"}, {"days": 1}),
            *({"level": "read", "days": "1"}, {"level": ["read"], "days": 1}, {"level": "read", "days": True}),
        )
    ),
    ask("power-user", "share", "gateway/keys", level="read", days=1),
    ask("power-user", "share", "custom/mine", own=BOB, level="read", days=1),
    *(ask("power-user", "manage", "gateway/servers", public=each) for each in (True, None, "false", 0)),
    ask("power-user", "manage", "gateway/servers"),
    # help desk
    *(ask("helpdesk", "manage", "gateway/users", own=BOB, roles=each) for each in (["admin"], ["user", "x"], "user")),
    ask("helpdesk", "manage", "gateway/users", own=BOB),
    ask("helpdesk", "manage", "gateway/users", own="admin", roles=["user"], owner_roles=("user", "admin")),
    ask("helpdesk", "manage", "gateway/users", own=BOB, roles=["user"], domain="shop"),
    ask("helpdesk", "manage", "gateway/keys", owner_roles=("admin",)),
    # admins do not touch those who keep the policy
    ask("admin", "manage", "gateway/users", own=BOB, roles=["security"]),
    ask("admin", "manage", "gateway/users", own=BOB, roles=["user"], owner_roles=("security",)),
    ask("admin", "manage", "gateway/users", own=BOB),
    ask("admin", "manage", "gateway/keys", own="security", owner_roles=("security",)),
    ask("admin", "manage", "gateway/policy", own=SYSTEM),
    ask("admin", "inspect", "gateway/policy", own=SYSTEM),
    ask("security", "manage", "gateway/policy"),
    ask("security", "manage", "gateway/policy", own=SYSTEM, domain="shop"),
    ask("security", "act-as", "gateway/end-users"),
    # work
    *(ask("support", "write", "slack/send_message", channel=each) for each in ("#Help", "#help ", ["#help"], None)),
    ask("support", "write", "slack/send_message"),
    ask("support", "write", "slack/send_message2", channel="#help"),
    ask("support", "write", "gmail/send", to=["a@example.com", "b@example.com.evil.org"]),
    ask("support", "write", "gmail/send", to="a@example.com"),
    *(ask("finance", "write", "stripe/create_refund", amount=a, claims=MFA) for a in (0, -5, 100.01, "50", True, None)),
    ask("finance", "write", "stripe/create_refund", amount=50),
    ask("finance", "write", "stripe/create_refund", amount=50, claims={"amr": ["mfa"]}),
    ask("finance", "write", "stripe/create_refund", amount=50, claims=MFA, groups=INTERN),
    ask("finance", "write", "stripe/create_refund", amount=50, claims=MFA, groups=None),
    *(ask("contractor", "write", "github/merge", now=each) for each in (EIGHT - 1, SIX, None)),
    ask("contractor", "write", "github/merge", now=NOON, tool=DESTROYS),
    ask("contractor", "write", "github-enterprise/merge", now=NOON),
    ask(NOBODY, "write", "custom/mine", tool=DESTROYS),
    # a deny of everything, administration and the owner's own included
    ask(MALLORY, "write", "custom/mine"),
    ask(MALLORY, "revoke", "slack"),
    ask(MALLORY, "manage", "gateway/keys"),
    ask(MALLORY, "connect", "slack"),
    # administration is in `main`, for accounts
    ask(END, "manage", "gateway/keys"),
    ask(SERVER, "manage", "gateway/keys"),
    ask(NOBODY, "manage", "gateway/keys", domain="shop"),
]


def described(asked) -> str:
    args = dict(asked.context.args)
    return f"{asked.subject} {asked.action} {asked.object} of {asked.owner} in {asked.domain} with {args}"


@pytest.mark.parametrize("asked", YES, ids=described)
def test_the_example_allows(example, asked):
    assert allowed(example, asked)


@pytest.mark.parametrize("asked", NO, ids=described)
def test_the_example_refuses(example, asked):
    assert not allowed(example, asked)


def listed(example, who, object, action="write", *, own="", schema=None, **known) -> bool:
    subject = PEOPLE.get(who, who)
    asked = access(object, action, subject=subject, owner=own, ctx=unknown_arguments(**known))
    return example.possible((asked,), schema)


def test_the_example_lists_what_some_call_could_do(example):
    assert listed(example, "support", "slack/send_message")
    assert listed(example, "support", "slack/send_message", schema={"properties": {"channel": {"type": "string"}}})
    assert listed(example, "support", "gmail/send")
    assert listed(example, "finance", "stripe/create_refund", claims=MFA)
    assert listed(example, "contractor", "github/merge", now=NOON)


def test_the_example_hides_what_no_call_could_do(example):
    assert not listed(example, "support", "slack/send_message", schema={"properties": {"channel": {"enum": ["#all"]}}})
    assert not listed(example, "support", "slack/send_message", schema={"additionalProperties": False})
    assert not listed(example, "support", "slack/history", "read")
    assert not listed(example, "finance", "stripe/create_refund")
    assert not listed(example, "finance", "stripe/create_refund", claims=MFA, groups=INTERN)
    assert not listed(example, "finance", "stripe/create_refund", claims=MFA, groups=None)
    amount = {"properties": {"amount": {"type": "integer", "minimum": 101}}}
    assert not listed(example, "finance", "stripe/create_refund", claims=MFA, schema=amount)
    assert not listed(example, "contractor", "github/merge", now=SIX)
    assert not listed(example, "contractor", "github/merge", now=NOON, tool=DESTROYS)
    assert not listed(example, MALLORY, "custom/mine")


def test_whoever_keeps_the_example_is_known(example):
    assert managers(example, NOW) == {PEOPLE["security"]}


def test_a_share_dies_with_the_lenders_right(example):
    share = Rule(BOB, MAIN, PEOPLE["support"], "slack/send_message", "write", "", Effect.ALLOW, Place("grant:1"))
    lent = example.with_grants((share,), "1.1")
    mallorys = Rule(BOB, MAIN, MALLORY, "custom/mine", "read", "", Effect.ALLOW, Place("grant:2"))

    def chain(channel, lender=PEOPLE["support"], object="slack/send_message", action="write"):
        ctx = context(channel=channel)
        return (
            access(object, action, subject=BOB, owner=lender, ctx=ctx),
            access(object, action, subject=lender, ctx=ctx),
        )

    assert allowed(lent, *chain("#help"))
    assert not allowed(lent, *chain("#all"))
    borrowed = example.with_grants((mallorys,), "1.2")
    assert allowed(borrowed, chain("", MALLORY, "custom/mine", "read")[0])
    assert not allowed(borrowed, *chain("", MALLORY, "custom/mine", "read"))


def test_wrapping_a_denied_tool_gains_nothing(example):
    facts = Tool(connector="slack", name="send_message", via="custom/post", destructive=False)

    def chain(channel):
        base = ask("support", "write", "slack/send_message", channel=channel, tool=facts)
        return ask("support", "write", "custom/post", text="hello"), base

    assert allowed(example, *chain("#help"))
    assert not allowed(example, *chain("#all"))


@pytest.mark.parametrize("via", ["custom/post", ""])
def test_a_share_of_a_wrapper_lends_the_base_tool_through_it_alone(example, via):
    row = Rule(BOB, MAIN, PEOPLE["support"], "slack/*", "write", "tool.via == 'custom/post'", Effect.ALLOW, Place("g"))
    facts = Tool(connector="slack", name="send_message", via=via, destructive=False)
    found = example.with_grants((row,), "1.1")
    asked = ask(BOB, "write", "slack/send_message", own="support", channel="#help", tool=facts)
    assert allowed(found, asked) is (via == "custom/post")


def test_a_server_admits_its_members_with_its_own_grants(example):
    owner = "user:owner@example.com"
    rows = (
        Rule("server:shop", "shop", owner, "slack/*", "write", "", Effect.ALLOW, Place("grant:1")),
        Rule("end:shop/*", "shop", "self", "slack/*", "read", "", Effect.ALLOW, Place("grant:2")),
        Rule("end:shop/*", "shop", "self", "slack", "connect", "", Effect.ALLOW, Place("grant:3")),
        Link(owner, "role:support", "*", Place("grant:4")),
    )
    found = example.with_grants(rows, "1.1")

    def may(subject, action="write", own="", channel="#help", domain="shop"):
        ctx = context(channel=channel)
        asked = access("slack/send_message", action, subject=subject, owner=own, domain=domain, ctx=ctx)
        return allowed(found, asked, access("slack/send_message", action, subject=owner, ctx=ctx))

    assert may(SERVER, own=owner)
    assert may(END, "read")
    assert not may(END)
    assert not may(END, "read", own=owner)
    assert not may("end:other/42", "read")
    assert not may(SERVER, own=owner, channel="#all")
    assert not may(SERVER, own=owner, domain=MAIN)
    assert allowed(found, ask(END, "connect", "slack", domain="shop"))
    assert not allowed(found, ask(SERVER, "connect", "slack", own=owner, domain="shop"))
