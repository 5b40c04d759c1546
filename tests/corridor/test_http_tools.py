"""Tools with an ``http`` handler in a running gateway: made, judged, sent, and kept from where they must not go."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.corridor.house import House, free_port, modern, result_of, running, write

CANARY = "canary-of-the-shop"
RULES = """
p, user:*, main, self, custom/*, write, , allow
p, user:*, main, self, custom/*, manage, , allow
p, user:*, main, self, gateway/directory, inspect, , allow
p, user:ann@example.com, main, self, http/127.0.0.1%3APORT, write, args.method == 'POST' and starts(args.path, '/orders/'), allow
p, user:ann@example.com, main, self, http/127.0.0.2%3APORT, write, , allow
p, user:ann@example.com, main, self, http/169.254.169.254%3A80, write, , allow
p, user:ann@example.com, main, system, http/127.0.0.1%3APORT, write, tool.via == 'custom/stock', allow
p, user:bob@example.com, main, self, http/elsewhere.example, write, , allow
p, user:admin@example.com, main, system, gateway/policy, manage, , allow
"""


@dataclass
class Shop:
    """A platform on this machine that tells what it heard."""

    port: int
    heard: list[tuple[str, str, dict[str, str], str]] = field(default_factory=list)


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    found = Shop(free_port())

    class Desk(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0)).decode()
            told = {name.lower(): value for name, value in self.headers.items()}
            found.heard.append((self.command, self.path, told, body))
            answer = json.dumps({"heard": self.path, "key": told.get("x-key", "")}).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def do_GET(self) -> None:
            self.do_POST()

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", found.port), Desk)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield found
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def house(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("house")
    write(folder, policy=RULES.replace("PORT", str(shop.port)), limits="", upstreams="")
    (folder / "config" / "tools.toml").write_text(
        f"[http]\nprivate_hosts = ['127.0.0.1:{shop.port}']\n"
        f"[secrets.SHOP]\nvalue = {{ env = 'SHOP_KEY' }}\nhosts = ['127.0.0.1:{shop.port}']\n"
        "tools = ['ann@example.com:stock', 'ann@example.com:elsewhere']\n"
    )
    found = House(folder, free_port(), str(folder / "var" / "ostiary.db"), extra={"SHOP_KEY": CANARY})
    with running(found):
        yield found


@pytest.fixture(scope="module")
def ann(house: House) -> str:
    return house.add_user("ann@example.com")


@pytest.fixture(scope="module")
def bob(house: House) -> str:
    return house.add_user("bob@example.com")


def asked(house: House, key: str, method: str, **params) -> dict:
    with house.client(key) as client:
        found: dict = result_of(client.post("/mcp", **modern(method, **params)))
        return found


def call(house: House, key: str, tool: str, /, **arguments) -> dict:
    return asked(house, key, "tools/call", name=tool, arguments=arguments)


def add(house: House, key: str, name: str, **config) -> None:
    names = [each for each in ("id", "note") if "{{" + each + "}}" in json.dumps(config)]
    schema = {"type": "object", "properties": {each: {"type": "string"} for each in names}}
    handler = {"type": "http", "config": config}
    made = call(house, key, "add-tool", name=name, description="Asks.", inputSchema=schema, handler=handler)
    assert not refused(made), made


def refused(answer: dict) -> bool:
    return "error" in answer or answer["result"].get("isError", False)


def listed(house: House, key: str) -> set[str]:
    return {each["name"] for each in asked(house, key, "tools/list")["result"]["tools"]}


def test_a_request_is_made_of_what_was_judged_and_of_nothing_else(house: House, shop: Shop, ann: str):
    url = f"http://127.0.0.1:{shop.port}/orders/{{{{id}}}}"
    add(house, ann, "order", method="POST", url=url, body={"note": "{{note}}", "by": "us"})
    assert "order" in listed(house, ann)
    result = call(house, ann, "order", id="a b", note="n")["result"]
    assert result["structuredContent"]["heard"] == "/orders/a%20b"
    method, _, told, body = shop.heard[-1]
    assert (method, json.loads(body)) == ("POST", {"note": "n", "by": "us"})
    assert not {"x-apikey", "authorization", "cookie", "mcp-session-id"} & told.keys()
    count = len(shop.heard)
    for wrong in ({"id": "../admin", "note": ""}, {"id": "1", "note": "", "path": "/admin"}):
        assert refused(call(house, ann, "order", **wrong))
    assert len(shop.heard) == count


def test_what_the_policy_does_not_allow_is_neither_listed_nor_sent(house: House, shop: Shop, ann: str, bob: str):
    count = len(shop.heard)
    base = f"http://127.0.0.1:{shop.port}"
    add(house, ann, "admin", method="POST", url=f"{base}/admin/{{{{id}}}}")
    add(house, ann, "read", url=f"{base}/orders/1")
    add(house, bob, "order", method="POST", url=f"{base}/orders/1")
    for key, name in ((ann, "admin"), (ann, "read"), (bob, "order")):
        assert name not in listed(house, key)
        assert refused(call(house, key, name, **({"id": "1"} if name == "admin" else {})))
    assert len(shop.heard) == count


def test_an_address_that_is_not_public_is_out_of_reach_though_the_policy_allows_it(house: House, shop: Shop, ann: str):
    for name, url in (("inside", f"http://127.0.0.2:{shop.port}/"), ("metadata", "http://169.254.169.254/latest/")):
        add(house, ann, name, url=url)
        said = json.dumps(call(house, ann, name))
        assert "not public" in said


def test_a_secret_goes_out_for_its_tool_alone_and_nobody_sees_it(house: House, shop: Shop, ann: str, bob: str):
    config = {"url": f"http://127.0.0.1:{shop.port}/stock", "headers": {"X-Key": "{{secret.SHOP}}"}}
    add(house, ann, "stock", **config)
    answers = [call(house, ann, "stock")]
    assert answers[0]["result"]["structuredContent"] == {"heard": "/stock", "key": "***"}
    assert shop.heard[-1][2]["x-key"] == CANARY
    count = len(shop.heard)
    for key, name in ((ann, "other"), (ann, "elsewhere"), (bob, "stock")):
        add(house, key, name, **config)
        answers += [call(house, key, name)]
        assert refused(answers[-1])
    assert len(shop.heard) == count
    answers += [call(house, ann, "list-tools", definitionOf="ann@example.com:stock"), asked(house, ann, "tools/list")]
    assert CANARY not in json.dumps(answers)
    assert CANARY not in house.log
    assert not any(CANARY in repr(entry) for entry in house.entries())
