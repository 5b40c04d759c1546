"""``ostiary servers`` on a real store."""

import json

from gateway.records import ApiKey, Connected, Grant, Listing, Restrictions, Server, Signer, Token
from tests.cli.test_users import entries

ADA, BEN = "ada@example.com", "ben@example.com"
DESK, ALPHA, OTHER = "desk-0a1b2c3d", "alpha-0a1b2c3d", "other-0a1b2c3d"
DAY = 24 * 60 * 60 * 1000
HASH, SEALED = "f" * 64, b"canary-sealed"


def server(id: str, owner: str = ADA, **more) -> Server:
    tokens = (Token(id=HASH, secret_id="k1", prefix="mcp_token_ab", created_at=DAY, expires_at=DAY * 2),)
    return Server(id=id, owner=f"user:{owner}", name=id.partition("-")[0], **{"tokens": tokens, **more})


def offered(site, *records: Server) -> None:
    for each in records:
        site.with_store(lambda store, each=each: store.servers.add(each))


def ids(site, *words: str) -> list[str]:
    return [each["serverId"] for each in site.json("servers", "list", *words)]


def test_servers_are_listed_by_owner_and_one_is_shown_without_its_secrets(site):
    restrictions = Restrictions(connectors=Listing(allow=True, names=("git",)))
    signer = Signer(id="s1", issuer="https://app.example.com", algorithm="HS256", sealed=SEALED)
    offered(site, server(ALPHA, BEN), server(OTHER), server(DESK, signers=(signer,), restrictions=restrictions))
    assert ids(site) == [DESK, OTHER, ALPHA]
    assert ids(site, "--owner", "Ben@Example.com") == [ALPHA]
    assert ids(site, "--owner", "nobody@example.com") == []
    row = site.fine("servers", "list").splitlines()[0].split("\t")
    assert row == [DESK, f"user:{ADA}", "desk", "connectivity", "", "mcp_token_ab…", "1970-01-03T00:00:00.000Z"]
    told = site.json("servers", "show", DESK)
    assert told["url"] == f"http://127.0.0.1:4001/mcp/{DESK}"
    assert told["accessUrl"] == f"{told['url']}/mcp_token_ab…"
    assert told["restrictions"]["connectors"]["allowedIds"] == ["git"]
    lines = dict(line.split("\t") for line in site.fine("servers", "show", DESK).splitlines())
    assert (lines["serverId"], lines["isPublic"]) == (DESK, "false")
    assert "https://app.example.com" in lines["jwt"]
    assert not {"upstream", "instructions"} & {*lines}
    everything = json.dumps(told) + str(lines)
    assert HASH not in everything
    assert SEALED.decode() not in everything


def test_every_token_of_a_server_is_revoked_and_the_server_stays(site):
    offered(site, server(DESK), server(OTHER))
    assert site.fine("servers", "revoke", DESK) == f"{DESK}: every token revoked\n"
    assert site.json("servers", "show", DESK)["accessToken"] is None
    assert site.json("servers", "show", OTHER)["accessToken"] == "mcp_token_ab…"
    (kept,) = [each for each in site.with_store(lambda store: store.servers.page()) if each.id == DESK]
    assert (kept.by, kept.rev) == ("operator", 2)


def test_a_server_ends_with_all_that_hangs_on_it(site):
    async def filled(store):
        for id in (DESK, OTHER):
            await store.servers.add(server(id))
            await store.keys.add(ApiKey(id=f"key-{id}", secret_id="k1", user=ADA, prefix="ost_abcd", servers=(id,)))
            await store.connections.add(Connected(id=f"c-{id}", owner=f"end:{id}/u1", connector="x", account="1"))
            row = ("role:user", id, "self", "x/*", "read", "", "allow")
            await store.grants.add(Grant(id=f"g-{id}", kind="x", row=row, made_by="operator"))

    async def left(store):
        kinds = (store.servers, store.keys, store.connections, store.grants)
        return [[each.id for each in await kind.page()] for kind in kinds]

    site.with_store(filled)
    assert site.fine("servers", "delete", DESK, "--yes") == f"{DESK} deleted\n"
    assert site.with_store(left) == [[OTHER], [f"key-{OTHER}"], [f"c-{OTHER}"], [f"g-{OTHER}"]]


def test_people_are_asked_before_a_server_ends(site):
    offered(site, server(DESK))
    assert "Aborted" in site.wrong("servers", "delete", DESK, input="n\n")
    assert ids(site) == [DESK]
    assert f"{DESK} deleted" in site.fine("servers", "delete", DESK, input="y\n")
    assert ids(site) == []


def test_what_is_not_there_is_named(site):
    for words in (("show", "nowhere"), ("revoke", "nowhere"), ("delete", "nowhere", "--yes")):
        assert site.wrong("servers", *words) == "error: no user offers a server `nowhere`\n"
    assert "no user offers a server ``" in site.wrong("servers", "show", "")
    assert "`nobody`" in site.wrong("servers", "list", "--owner", "nobody")


def test_nothing_here_opens_a_server(site):
    commands = {line.split()[0] for line in site.fine("servers", "--help").partition("Commands:\n")[2].splitlines()}
    assert commands == {"list", "show", "revoke", "delete"}


def test_every_command_leaves_one_entry_of_the_operator(site):
    offered(site, server(DESK))
    site.fine("servers", "list")
    site.fine("servers", "show", DESK)
    site.fine("servers", "revoke", DESK)
    site.wrong("servers", "revoke", "nowhere")
    site.fine("servers", "delete", DESK, "--yes")
    found = entries(site)
    assert [(each.method, each.action, each.outcome) for each in found] == [
        ("servers.list", "inspect", "ok"),
        ("servers.read", "inspect", "ok"),
        ("servers.revoke", "revoke", "ok"),
        ("servers.revoke", "revoke", "failed"),
        ("servers.delete", "manage", "ok"),
    ]
    assert {(each.subject, each.object) for each in found} == {("operator", "gateway/servers")}
    assert found[2].arguments == {"/server": json.dumps(DESK)}
