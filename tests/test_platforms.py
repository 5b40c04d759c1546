"""Definitions put to use: what fits together, what does not, and what happens when files change."""

import asyncio
import logging
import os
from pathlib import Path

import pytest

from gateway.platforms import Platforms
from gateway.settings import load

SECRET = "s3cret-" * 5
SHOP = """\
id: shop
title: Shop
auth:
  kind: oauth2
  authorize_url: "https://{region}.shop.example/authorize"
  token_url: "https://{region}.shop.example/token"
  client_auth: post
  scopes: {default: [read]}
inputs:
  region: {label: Region, pattern: "^[a-z]{2}$"}
api:
  base_url: "https://{region}.shop.example/v1"
  allowed_hosts: ["*.shop.example"]
"""
KEYED = """\
id: keyed
title: Keyed
auth: {kind: api_key}
inputs:
  account: {label: Account, pattern: "^[a-z]+$"}
  api_key: {label: Key, secret: true, pattern: "^[a-z0-9-]+$"}
api: {base_url: "https://api.keyed.example", allowed_hosts: [api.keyed.example], auth: {X-Key: "{api_key}"}}
"""
MACHINE = """\
id: machine
title: Machine
auth: {kind: oauth2_client_credentials, token_url: "https://api.machine.example/token"}
api: {base_url: "https://api.machine.example", allowed_hosts: [api.machine.example]}
"""
CLIENT = 'client_id = "ours"\nclient_secret = { env = "SECRET" }\n'


class Place:
    """A folder with settings and one folder of definitions; ``tick`` makes each edit later than the one before."""

    def __init__(self, root: Path) -> None:
        self.root, self.at = root, 1_000_000_000
        for name in ("config", "policies", "definitions"):
            (root / name).mkdir()
            (root / name).chmod(0o755)
        self.write("config/ostiary.toml", "")
        for name, text in (("shop", SHOP), ("keyed", KEYED), ("machine", MACHINE)):
            self.write(f"definitions/{name}.yaml", text)

    def write(self, name: str, text: str) -> None:
        (self.root / name).write_text(text)
        (self.root / name).chmod(0o644)
        self.at += 1
        os.utime(self.root / name, (self.at, self.at))

    def platforms(self, connectors: str) -> Platforms:
        self.write("config/connectors.toml", f'folders = ["definitions"]\n{connectors}')
        return Platforms(load(self.root / "config", {"SECRET": SECRET}))


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


def sentences(platforms: Platforms) -> list[str]:
    return [str(each) for each in platforms.problems]


def test_a_definition_is_put_to_use_with_what_the_operator_sets(place):
    platforms = place.platforms(f'[connectors.our-shop]\ndefinition = "shop"\n{CLIENT}inputs = {{ region = "eu" }}')
    assert sentences(platforms) == []
    (shop,) = platforms.current.values()
    assert (shop.id, shop.definition.id, shop.client_id) == ("our-shop", "shop", "ours")
    assert (shop.client_secret.reveal(), shop.inputs, shop.scopes) == (SECRET, {"region": "eu"}, ("read",))
    assert SECRET not in repr(shop)


def test_scopes_of_the_operator_count_instead_of_the_definitions(place):
    platforms = place.platforms(
        f'[connectors.shop]\n{CLIENT}scopes = ["write"]\n[connectors.two]\ndefinition = "shop"\n{CLIENT}scopes = []'
    )
    assert [each.scopes for each in platforms.current.values()] == [("write",), ()]


def test_a_platform_can_stand_elsewhere(place):
    platforms = place.platforms(
        '[connectors.keyed]\nat = { "https://api.keyed.example" = "http://127.0.0.1:9" }\nprivate_hosts = ["127.0.0.1:9"]'
    )
    keyed = platforms.current["keyed"]
    assert keyed.definition.api.base_url == "http://127.0.0.1:9"
    assert keyed.definition.api.allowed_hosts == ("127.0.0.1",)
    assert keyed.exceptions.lists("127.0.0.1", 9)


def test_the_definitions_that_come_with_the_product_are_there(place):
    platforms = place.platforms(f"[connectors.github]\n{CLIENT}")
    assert sentences(platforms) == []
    assert platforms.current["github"].definition.actions


WRONG = [
    ("[connectors.shpo]", "there is no definition `shpo` that can be used; did you mean `shop`?"),
    ("[connectors.shop]", "needs `client_id`: register an application with the platform"),
    ('[connectors.shop]\nclient_id = "x"', "needs `client_secret`, which came with `client_id`"),
    (f"[connectors.keyed]\n{CLIENT}", "`keyed` is not reached by OAuth: it has no `client_id` and no `scopes`"),
    ('[connectors.keyed]\nscopes = ["x"]', "`keyed` is not reached by OAuth: it has no `client_id` and no `scopes`"),
    (f'[connectors.shop]\n{CLIENT}inputs = {{ regoin = "eu" }}', "`inputs.regoin`: `shop` has no such input; did you mean `region`?"),
    (f'[connectors.shop]\n{CLIENT}inputs = {{ region = "eur" }}', "`inputs.region` is `eur`, which does not match `^[a-z]{2}$`"),
    ('[connectors.keyed]\ninputs = { api_key = "abc" }', "`inputs.api_key` is a secret; hand it over in `credential`"),
    ('[connectors.keyed]\ncredential = { api_key = { env = "SECRET" } }', "`inputs` needs `account`"),
    ('[connectors.keyed]\ninputs = { account = "a" }\ncredential = { key = { env = "SECRET" } }', "`credential.key`: there is no such secret"),
    ('[connectors.keyed]\ninputs = { account = "a" }\ncredential = { api_key = { env = "BAD" } }', "`credential.api_key` does not match `^[a-z0-9-]+$`"),
    (f'[connectors.machine]\n{CLIENT}credential = {{ x = {{ env = "SECRET" }} }}', "`credential` does not belong here: `client_id`"),
    ('[connectors.keyed]\nat = { "https://api.kyed.example" = "https://x.example" }', "`at`: no URL of `keyed` begins with `https://api.kyed.example`"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "sentence"), WRONG, ids=[sentence for _, sentence in WRONG])
def test_what_does_not_fit_the_definition_is_told_and_not_used(place, text, sentence):
    place.write("config/connectors.toml", f'folders = ["definitions"]\n{text}')
    platforms = Platforms(load(place.root / "config", {"SECRET": SECRET, "BAD": "NOT LOWER hunter2"}))
    id = text[len("[connectors.") :].partition("]")[0]
    first = sentences(platforms)[0]
    assert first.startswith(f"config/connectors.toml: `connectors.{id}`: {sentence}")
    assert platforms.current == {}
    assert "hunter2" not in " ".join(sentences(platforms))


def test_where_the_clients_secret_goes_is_for_the_operator_to_say(place):
    anywhere = SHOP.replace("https://{region}.shop.example/token", "https://{region}/token").replace(
        "^[a-z]{2}$", "^[a-z.]+$"
    )
    place.write("definitions/shop.yaml", anywhere.replace('["*.shop.example"]', '["*.shop.example", "{region}"]'))
    platforms = place.platforms(f"[connectors.shop]\n{CLIENT}")
    assert "`inputs` needs `region`: it says where the client's secret goes" in sentences(platforms)[0]
    assert platforms.current == {}
    assert "shop" in place.platforms(f'[connectors.shop]\n{CLIENT}inputs = {{ region = "eu.shop.example" }}').current


def test_an_operators_own_credential_fits_when_nothing_of_it_is_missing(place):
    platforms = place.platforms(
        '[connectors.keyed]\ninputs = { account = "a" }\ncredential = { api_key = { env = "SECRET" } }\n'
        '[connectors.shop]\ninputs = { region = "eu" }\ncredential = { access_token = { env = "SECRET" } }\n'
        f"[connectors.machine]\n{CLIENT}"
    )
    assert sentences(platforms) == []
    assert set(platforms.current) == {"keyed", "shop", "machine"}


# -- files that change


def test_an_edit_changes_the_platforms_of_that_definition_alone(place):
    platforms = place.platforms(
        f'[connectors.one]\ndefinition = "keyed"\n[connectors.two]\ndefinition = "keyed"\n[connectors.shop]\n{CLIENT}'
    )
    told, before = [], platforms.current
    platforms.watch(told.append)
    assert platforms.look() == frozenset()
    place.write("definitions/keyed.yaml", KEYED.replace("title: Keyed", "title: Keyed anew"))
    assert platforms.look() == {"one", "two"}
    assert told == [{"one", "two"}]
    assert platforms.current["one"].definition.title == "Keyed anew"
    assert platforms.current["shop"] is not None
    assert before["one"].definition.title == "Keyed", "who holds the former platforms keeps them whole"
    assert platforms.look() == frozenset()


@pytest.mark.parametrize(
    "text", ["id: keyed", "{", KEYED.replace("account:", "api_key:"), KEYED.replace("https://api", "http://api")]
)
def test_a_wrong_edit_keeps_the_last_good_platform_and_is_told_once(place, text, caplog):
    platforms = place.platforms("[connectors.keyed]")
    good = platforms.current["keyed"]
    place.write("definitions/keyed.yaml", text)
    with caplog.at_level(logging.ERROR):
        assert platforms.look() == frozenset()
        logged = len(caplog.records)
        place.write("definitions/keyed.yaml", text)
        assert platforms.look() == frozenset()
    assert platforms.current["keyed"] is good
    assert any(each.startswith("definitions/keyed.yaml") for each in sentences(platforms))
    assert len(caplog.records) == logged > 0
    place.write("definitions/keyed.yaml", KEYED.replace("title: Keyed", "title: Repaired"))
    assert platforms.look() == {"keyed"}
    assert sentences(platforms) == []


def test_a_wrong_edit_never_brings_the_shipped_definition_back(place):
    own = KEYED.replace("id: keyed", "id: github").replace("title: Keyed", "title: Ours")
    place.write("definitions/github.yaml", own)
    platforms = place.platforms("[connectors.github]")
    assert platforms.current["github"].definition.title == "Ours"
    place.write("definitions/github.yaml", own + "unknown: 1\n")
    assert platforms.look() == frozenset()
    assert platforms.current["github"].definition.title == "Ours"
    place.write("config/connectors.toml", (place.root / "config/connectors.toml").read_text())
    assert Platforms(load(place.root / "config", {})).current == {}


def test_a_definition_that_goes_away_keeps_what_runs(place):
    platforms = place.platforms("[connectors.keyed]")
    (place.root / "definitions" / "keyed.yaml").unlink()
    assert platforms.look() == frozenset()
    assert "keyed" in platforms.current
    assert "there is no definition `keyed`" in sentences(platforms)[0]


@pytest.mark.parametrize("name", ["definitions", "definitions/keyed.yaml"])
def test_definitions_that_others_can_write_are_not_used(place, name):
    (place.root / name).chmod((place.root / name).stat().st_mode | 0o020)
    platforms = place.platforms("[connectors.keyed]")
    assert platforms.current == {}
    assert sentences(platforms)[0] == f"{name}: others can write it; run `chmod go-w` on it"
    (place.root / name).chmod((place.root / name).stat().st_mode & ~0o022)
    assert platforms.look() == {"keyed"}
    place.write("definitions/keyed.yaml", KEYED.replace("keyed.example", "evil.example"))
    (place.root / name).chmod((place.root / name).stat().st_mode | 0o002)
    assert platforms.look() == frozenset()
    assert platforms.current["keyed"].definition.api.allowed_hosts == ("api.keyed.example",)


async def test_a_running_gateway_finds_an_edit_by_itself(place):
    platforms = place.platforms("[connectors.keyed]")
    found = asyncio.get_running_loop().create_future()
    platforms.watch(found.set_result)
    running = asyncio.create_task(platforms.run(every_s=0.01))
    place.write("definitions/keyed.yaml", KEYED.replace("title: Keyed", "title: Anew"))
    assert await asyncio.wait_for(found, 10) == {"keyed"}
    assert platforms.current["keyed"].definition.title == "Anew"
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
