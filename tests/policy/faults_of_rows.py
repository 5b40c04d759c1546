"""Faults in which rows are found, and in what their columns mean."""

from tests.policy.fault import DECIDED, MATCHED, NOBODY, Fault

FAULTS_OF_ROWS = (
    # what the columns mean
    Fault(
        "the bare star allows administration",
        DECIDED,
        "model.py",
        'effect == Effect.DENY or not (asked == "gateway" or asked.startswith("gateway/"))',
        "True",
    ),
    Fault(
        "a deny takes the lower steps",
        DECIDED,
        "model.py",
        "asked in _TAKEN.get(row, ())",
        "asked in _GIVEN.get(row, ())",
    ),
    Fault(
        "an allow gives the higher steps",
        DECIDED,
        "model.py",
        "return asked in _GIVEN.get(row, ())",
        "return asked in _TAKEN.get(row, ())",
    ),
    Fault(
        "the star of an action is for allows too",
        DECIDED,
        "model.py",
        "    if asked == row:\n        return True\n    if effect",
        '    if row in (asked, "*"):\n        return True\n    if effect',
    ),
    Fault(
        "self is anybody", DECIDED, "model.py", 'subject if row == "self" else row', 'asked if row == "self" else row'
    ),
    Fault("self is a name", DECIDED, "model.py", 'subject if row == "self" else row', "row"),
    Fault("elsewhere is nowhere", DECIDED, "model.py", "(row == ELSEWHERE and asked != MAIN)", "False"),
    Fault("roles and groups ask", NOBODY, "model.py", "name.startswith(SUBJECT_ROOTS) and not", "not"),
    Fault(
        "crowds ask",
        NOBODY,
        "model.py",
        'name.startswith(SUBJECT_ROOTS) and not name.endswith((":", "/", "*"))',
        "name.startswith(SUBJECT_ROOTS)",
    ),
    Fault(
        "what is possible counts for an allow",
        DECIDED,
        "engine_casbin.py",
        "asked.names.deny if effect == Effect.DENY else asked.names.allow",
        "asked.names.deny",
    ),
    Fault(
        "the first allow wins",
        DECIDED,
        "engine_casbin.py",
        'get_effector(model["e"]["e"].value)',
        'get_effector("some(where (p_eft == allow))")',
    ),
    Fault("end users administer", DECIDED, "floor.py", '    _floor(3, subject="end:*"),\n', ""),
    Fault("administration is lent", DECIDED, "floor.py", '    _floor(4, action="share"),\n', ""),
    # what is looked up
    Fault(
        "rows for every domain are not looked up",
        DECIDED,
        "model.py",
        '(asked, "*") if asked == MAIN else (asked, "*", ELSEWHERE)',
        "(asked,) if asked == MAIN else (asked, ELSEWHERE)",
    ),
    Fault(
        "rows for elsewhere are not looked up", DECIDED, "model.py", 'else (asked, "*", ELSEWHERE)', 'else (asked, "*")'
    ),
    Fault("the bare star is not looked up", DECIDED, "model.py", 'found = [asked, "*", *[', "found = [asked, *["),
    Fault("a prefix ends one letter early", DECIDED, "model.py", "asked[: end.end()]", "asked[: end.start()]"),
    Fault(
        "the longest prefix is not looked up",
        DECIDED,
        "model.py",
        "finditer(asked, 0, longest)",
        "finditer(asked, 0, longest - 1)",
    ),
    Fault(
        "a pattern does not cover what it names whole",
        DECIDED,
        "model.py",
        "length in odd if length <= len(asked)",
        "length in odd if length < len(asked)",
    ),
    Fault(
        "denies are looked up by the names of allows",
        DECIDED,
        "finding.py",
        "layer.index.of(names.all, domain)",
        "layer.index.of(names.allow, domain)",
    ),
    Fault(
        "many rows of one subject are one of each object",
        MATCHED,
        "index.py",
        "rows += each[pattern]",
        "rows += each[pattern][:1]",
    ),
    # who is known under which names
    Fault("a role is ten links away", DECIDED, "roles.py", "HOPS: Final = 9", "HOPS: Final = 10"),
    Fault("a role is eight links away at most", DECIDED, "roles.py", "HOPS: Final = 9", "HOPS: Final = 8"),
    Fault(
        "the end of a role is ignored",
        DECIDED,
        "roles.py",
        "link.expires is None or (expiring if now is None else now < link.expires)",
        "True",
    ),
    Fault(
        "a role ends a moment late",
        DECIDED,
        "roles.py",
        "expiring if now is None else now < link.expires",
        "expiring if now is None else now <= link.expires",
    ),
    Fault(
        "unknown groups are none for a deny",
        DECIDED,
        "roles.py",
        "            possible |= self._any_group(domain, now)\n",
        "            pass\n",
    ),
    Fault(
        "groups are dropped",
        DECIDED,
        "roles.py",
        '(subject, *[group for group in groups if group.startswith("group:")]) if groups else (subject,)',
        "(subject,)",
    ),
    Fault("a group may be called as a role", DECIDED, "roles.py", 'if group.startswith("group:")', "if group"),
    Fault("nobody is everybody", DECIDED, "roles.py", 'else ("*", f"{root}:*")', 'else (f"{root}:*",)'),
    Fault(
        "the end users of a server are no crowd",
        DECIDED,
        "roles.py",
        '("*", f"{root}:*", f"end:{server}/*") if root',
        '("*", f"{root}:*") if root',
    ),
    Fault(
        "roles given everywhere hold nowhere",
        DECIDED,
        "roles.py",
        'domains = dict.fromkeys((domain, "*"))',
        "domains = (domain,)",
    ),
    Fault(
        "any group is remembered for all time",
        DECIDED,
        "roles.py",
        "key = domain, self._eras.at(now)",
        "key = domain, 0",
    ),
    # what ends
    Fault(
        "an era begins a moment late",
        DECIDED,
        "roles.py",
        "bisect_right(self._expiries, now)",
        "bisect_right(self._expiries, now - 1)",
    ),
    Fault(
        "a row ends a moment late",
        DECIDED,
        "index.py",
        "now is None else now < expires",
        "now is None else now <= expires",
    ),
    Fault(
        "without a time denies have ended",
        DECIDED,
        "index.py",
        "return self.rule.effect is Effect.DENY if now is None else now < expires",
        "return now is not None and now < expires",
    ),
    Fault(
        "the ends of grants part no eras",
        DECIDED,
        "finding.py",
        "Eras({*files.facts.expiries, *grants.facts.expiries})",
        "Eras(files.facts.expiries)",
    ),
)
