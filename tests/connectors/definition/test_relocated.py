"""A definition can be used at another place, and its credential then goes there and no longer to the old hosts."""

import pytest

from connectors.definition.platform import relocated
from tests.connectors.definition.test_meaning import SMALL
from tests.connectors.definition.texts import changed, read

TWO = changed("https://{region}.desk.example/oauth/token", "https://files.example/oauth/token")


def test_every_url_that_begins_so_begins_otherwise():
    moved = relocated(read(TWO), {"https://{region}.desk.example": "http://127.0.0.1:8000/"})
    oauth, identity = moved.auth.oauth, moved.identity
    assert oauth is not None
    assert identity is not None
    assert oauth.authorize_url == "http://127.0.0.1:8000/oauth/authorize"
    assert oauth.token_url == "https://files.example/oauth/token"
    assert oauth.issuer == "http://127.0.0.1:8000"
    assert oauth.refresh_url == "http://127.0.0.1:8000/oauth/refresh"
    assert oauth.revoke_url == "http://127.0.0.1:8000/apps/{client_id}/grant"
    assert identity.url == "http://127.0.0.1:8000/me"
    assert moved.api.base_url == "http://127.0.0.1:8000/api/{team.id}"
    assert moved.api.allowed_hosts == ("*.desk.example", "files.example", "127.0.0.1")


def test_a_host_that_all_urls_have_left_no_longer_sees_the_credential():
    moved = relocated(read(SMALL), {"https://api.small.example": "https://proxy.example/small"})
    assert moved.api.base_url == "https://proxy.example/small"
    assert moved.api.allowed_hosts == ("proxy.example",)


def test_a_host_that_some_urls_still_name_keeps_its_place():
    small = read(
        SMALL.replace("https://api.small.example\n", "https://api.small.example/v1\n")
        + "identity: {url: 'https://api.small.example/me', id: id, label: '{id}'}\n"
    )
    moved = relocated(small, {"https://api.small.example/v1": "https://proxy.example"})
    assert moved.api.allowed_hosts == ("api.small.example", "proxy.example")


def test_the_longest_beginning_counts_and_only_whole_steps_are_beginnings():
    small = read(SMALL.replace("https://api.small.example\n", "https://api.small.example/v1\n"))
    at = {"https://api.small.example/v1": "https://a.example", "https://api.small.example": "https://b.example"}
    with pytest.raises(ValueError, match=r"no URL of `small` begins with `https://api.small.example`"):
        relocated(small, at)
    with pytest.raises(ValueError, match=r"no URL of `small` begins with `https://api.small.ex`"):
        relocated(small, {"https://api.small.ex": "https://evil.example"})
    assert relocated(small, {}) is small
