"""With which account a resource was subscribed to."""

from gateway.pipeline.accounts import Account
from gateway.pipeline.followed import Followed


def test_the_last_account_of_each_principal_server_and_uri_is_remembered():
    followed, one, other = Followed(), Account("user:a", "1"), Account("user:a", "2")
    followed.put("user:a", "main", "x://", one)
    followed.put("user:a", "main", "x://", other)
    assert followed.get("user:a", "main", "x://") == other
    for key in (("user:b", "main", "x://"), ("user:a", "side", "x://"), ("user:a", "main", "y://")):
        assert followed.get(*key) is None


def test_no_more_are_remembered_than_is_bearable_and_the_oldest_go_first():
    followed = Followed(kept=2)
    for uri in ("a", "b", "a", "c"):
        followed.put("user:a", "main", uri, Account("user:a", uri))
    assert [uri for uri in "abc" if followed.get("user:a", "main", uri)] == ["a", "c"]
