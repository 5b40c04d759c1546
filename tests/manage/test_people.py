"""Lists of people for whatever is looked for, whoever may be seen, however many there are."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import Denied
from gateway.identity import Identities
from gateway.manage.people import list_users
from gateway.policy.terms import Subject
from gateway.records import ApiKey, User
from tests.builders import RING

ANN = "user:ann@example.com"
NAMES = st.text(max_size=6)
PEOPLE = st.dictionaries(st.from_regex(r"[a-cß.*]{1,3}@example\.com", fullmatch=True), NAMES, max_size=12)


class Seeing:
    """An asker who may see all but the people ``unseen``; ``looked`` counts whom he asked about."""

    subject = Subject(ANN)

    def __init__(self, identities, unseen=()):
        self.identities, self.unseen, self.looked = identities, unseen, 0

    def allow(self, operation):
        assert operation.owner == ANN

    def may(self, operation):
        self.looked += 1
        assert (operation.object, operation.action) == ("gateway/directory", "inspect")
        return operation.owner.removeprefix("user:") not in self.unseen


@given(
    PEOPLE,
    st.sets(st.integers(0, 11)),
    NAMES | st.sampled_from(["", "@", ".", "SS", "A"]),
    st.integers(0, 13),
    st.integers(1, 5),
)
async def test_a_page_is_what_a_plain_look_through_everybody_finds(known, hidden, text, skip, limit):
    identities = Identities.of(RING, [User(id=id, name=name) for id, name in known.items()])
    unseen = {id for place, id in enumerate(sorted(known)) if place in hidden}
    page = await list_users(Seeing(identities, unseen), contains=text, skip=skip, limit=limit)
    wanted = text.casefold()
    found = [
        id
        for id, name in sorted(known.items())
        if id not in unseen and (wanted in id.casefold() or wanted in name.casefold())
    ]
    assert [each.email for each in page.people] == found[skip : skip + limit]
    assert [each.name for each in page.people] == [known[each.email] for each in page.people]
    assert page.more == (len(found) > skip + limit)


async def test_a_page_costs_what_it_shows_and_not_what_there_is():
    identities = Identities.of(RING, [User(id=f"u{number:05}@example.com") for number in range(10_000)])
    asker = Seeing(identities)
    page = await list_users(asker, limit=20)
    assert (len(page.people), page.more, asker.looked) == (20, True, 21)


async def test_the_order_of_addresses_is_made_once_for_one_set_of_accounts():
    users = [User(id=f"u{number}@example.com") for number in range(3)]
    identities = Identities.of(RING, users)
    order = identities.addresses
    key = ApiKey(id="a" * 64, secret_id="k1", user="u1@example.com", prefix="ost_")
    renamed = identities.changed(users=[User(id="u1@example.com", name="One")], keys=[key])
    assert renamed.addresses is order
    assert identities.changed().users is identities.users
    assert renamed.changed(users=[User(id="a@example.com")]).addresses == ("a@example.com", *order)
    assert renamed.changed(removed=[("users", "u1@example.com")]).addresses == (order[0], order[2])
    assert order == ("u0@example.com", "u1@example.com", "u2@example.com")
    late = Identities.of(RING)
    assert late.addresses == ()
    assert late.changed(users=users).addresses == order


async def test_who_may_not_even_see_himself_sees_nobody():
    class Nobody(Seeing):
        def allow(self, operation):
            raise Denied("no", None)

    asker = Nobody(Identities.of(RING, [User(id="bob@example.com")]))
    try:
        await list_users(asker)
    except Denied:
        assert asker.looked == 0
    else:
        raise AssertionError("he was shown somebody")
