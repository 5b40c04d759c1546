"""What a policy means, written down a second time: every engine must give these answers.

Rows, links and accesses are taken as plain values; no function of the product is called. It is slow, and short
enough to be compared with the design by reading.
"""

from msgspec.structs import replace

from tests.policy.condition_strategies import scope_of, truth

LADDERS = (("read", "write"), ("inspect", "revoke", "manage"))
HOPS = 9


def allowed(rows, links, access, meaning) -> bool:
    """``meaning`` has the tree of every condition text."""
    return may_be(access) and verdict(spoken(rows, links, access), access.context, meaning)


def chain_allowed(rows, links, chain, meaning) -> bool:
    return bool(chain) and all(allowed(rows, links, access, meaning) for access in chain)


def some_call_allowed(rows, links, chain, universe, meaning) -> bool:
    """Whether some arguments of ``universe`` are allowed; no column of a row asks about them."""
    speakers = [(spoken(rows, links, access), access.context) for access in chain]
    return all(map(may_be, chain)) and any(
        all(verdict(speaking, replace(context, args=args), meaning) for speaking, context in speakers)
        for args in universe
    )


def verdict(speaking, context, meaning) -> bool:
    """Some allow counts and no deny does."""
    return {row.effect for row in counting(speaking, context, meaning)} == {"allow"}


def counting(speaking, context, meaning) -> list:
    """Of rows that speak those that count: an allow needs a true condition, a deny one that is not false."""
    scope = scope_of(context)
    outcomes = [(row, truth(meaning[row.when], scope)) for row in speaking]
    return [row for row, outcome in outcomes if (outcome is not False if row.effect == "deny" else outcome is True)]


def spoken(rows, links, access) -> list:
    """The rows that live and whose columns all match, in their order."""
    return [row for row in rows if speaks(row, rows, links, access)]


def may_be(access) -> bool:
    """What every policy forbids: roles, groups and crowds ask nothing; nothing is administered elsewhere than in
    ``main``, by others than users, or lent.
    """
    if not access.subject.startswith(("user:", "end:", "server:")) or access.subject[-1] in ":/*":
        return False
    users = access.domain == "main" and access.subject.startswith("user:") and access.action != "share"
    return users or not access.object.startswith("gateway/")


def speaks(row, rows, links, access) -> bool:
    """Whether a row lives and all its columns match."""
    deny, now = row.effect == "deny", moment(access)
    return (
        lives(row.expires, now, deny=deny)
        and domain_matches(access.domain, row.domain)
        and owner_matches(access.owner, access.subject, row.owner)
        and object_matches(access.object, row.object, deny=deny)
        and action_matches(access.action, row.action, deny=deny)
        and (crowd(access.subject, row.subject) or row.subject in names(rows, links, access, deny=deny))
    )


def moment(access):
    now = access.context.env.get("now")
    return now if type(now) is int else None


def lives(expires, now, *, deny) -> bool:
    """Where nobody knows the time, what expires is gone for allows and there for denies."""
    return expires is None or (deny if now is None else now < expires)


def domain_matches(asked, row) -> bool:
    return row in ("*", asked) or (row == "!main" and asked != "main")


def owner_matches(asked, subject, row) -> bool:
    return row == "*" or (asked == subject if row == "self" else asked == row)


def object_matches(asked, row, *, deny) -> bool:
    if row == "*" and not deny and asked.split("/")[0] == "gateway":
        return False
    return asked == row or (row.endswith("*") and asked.startswith(row[:-1]))


def action_matches(asked, row, *, deny) -> bool:
    """An allow reaches down its ladder, a deny reaches up."""
    for ladder in LADDERS:
        if asked in ladder and row in ladder:
            height = ladder.index(asked) - ladder.index(row)
            return height >= 0 if deny else height <= 0
    return asked == row or (row == "*" and deny)


def crowd(subject, row) -> bool:
    """``*``, ``user:*``, ``end:SERVER/*``."""
    return row == "*" or (row[-2:] in (":*", "/*") and subject.startswith(row[:-1]))


def names(rows, links, access, *, deny) -> set:
    """The subject, his groups (for a deny any, where they are unknown) and the roles at most nine links away."""
    groups = access.context.groups
    if groups is None:
        spoken = {row.subject for row in rows} | {link.member for link in links}
        groups = spoken if deny else ()
    known = {access.subject, *(group for group in groups if group.startswith("group:"))}
    now = moment(access)
    living = [link for link in links if lives(link.expires, now, deny=deny)]
    for _ in range(HOPS):
        known |= {link.role for link in living if link.member in known and link.domain in ("*", access.domain)}
    return known
