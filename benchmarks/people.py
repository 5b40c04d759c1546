"""What many accounts cost: the same requests to a gateway with 100 users and to one with 10,000, 20 shares each.

Both are filled by ``ostiary import`` from a dump that is made here, which is timed too. Prints the median of each
request in ms, and the ratio of the two; ends with 1 where one of them costs more than twice as much with more users.
"""

import http.client
import json
import os
import secrets
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
SIZES = (100, 10_000)
SHARES = 20
PAGE = 20  # the same pages of both
REQUESTS = 200
MAKING = 40  # of those that write
WARMING = 10
BAR = 2.0
PATIENCE_S = 300.0

LIMITS = """
[[class]]
name = "fast"
calls = 1000000
window_s = 60
[[class]]
name = "default"
calls = 1000000
window_s = 60
"""
TARGET = "p, role:user, main, self, http/api.example.com, read, , allow\n"
HANDLER = {"type": "http", "config": {"url": "https://api.example.com/reports", "query": {"q": "{{q}}"}}}
SCHEMA = {"type": "object", "properties": {"q": {"type": "string"}}}
NAMESPACE = uuid.UUID("9b2f6d1e-6d2b-4f60-9f0a-2f2f7c1d5a10")


def email(number: int) -> str:
    return f"user{number:05}@example.com"


def key(number: int) -> str:
    return str(uuid.uuid5(NAMESPACE, email(number)))


def user(number: int, of: int) -> dict[str, Any]:
    """Somebody with whom the next ones have shared a tool each."""
    roles = ["power-user"] if number else ["power-user", "security"]
    lenders = [(number + step) % of for step in range(1, SHARES + 1)]
    shares = [
        {"toolId": f"{email(each)}:report{each}", "sharedBy": email(each), "accessLevel": "read"} for each in lenders
    ]
    return {
        "email": email(number),
        "name": f"User {number}",
        "roles": roles,
        "apiKey": key(number),
        "sharedTools": shares,
    }


def tool(number: int) -> dict[str, Any]:
    return {"name": f"report{number}", "creator": email(number), "inputSchema": SCHEMA, "handler": HANDLER}


def dump(folder: Path, size: int) -> Path:
    folder.mkdir()
    for name, documents in (
        ("users", (user(number, size) for number in range(size))),
        ("tools", (tool(number) for number in range(size))),
    ):
        with (folder / f"{name}.json").open("w") as file:
            file.writelines(f"{json.dumps(each)}\n" for each in documents)
    return folder


def filled(folder: Path, size: int, port: int) -> float:
    """A folder with the sample policy and so many users; the seconds of their import."""
    (folder / "config").mkdir()
    (folder / "config" / "ostiary.toml").touch()
    shutil.copytree(ROOT / "policies", folder / "policies")
    shutil.rmtree(folder / "policies" / "tests")
    (folder / "policies" / "limits.toml").write_text(LIMITS)
    with (folder / "policies" / "rules.csv").open("a") as rules:
        rules.write(TARGET)
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o700 if path.is_dir() else 0o600)
    ostiary(folder, port, "policy", "apply", str(folder / "policies"), "--why", "bench")
    source = str(dump(folder / "dump", size))
    began = time.perf_counter()
    if json.loads(ostiary(folder, port, "import", "dynamic-mcp-server", source, "--json"))["users"] != size:
        sys.exit("the import left users out")
    return time.perf_counter() - began


def ostiary(folder: Path, port: int, *words: str) -> str:
    done = subprocess.run(
        [*command(folder), *words], env=environment(port), capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        sys.exit(f"`{words[0]}` failed: {done.stdout[-500:]}{done.stderr[-500:]}")
    return done.stdout


def command(folder: Path) -> list[str]:
    return [sys.executable, "-m", "gateway.cli", "--config", str(folder / "config")]


def environment(port: int) -> dict[str, str]:
    ours = ("MONGODB", "MCP_", "OSTIARY")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return {**inherited, "PORT": str(port)}


class Client:
    """One user on one connection, one request after the other."""

    def __init__(self, port: int, number: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._headers = {
            "content-type": "application/json",
            "accept": "application/json, text/event-stream",
            "x-apikey": key(number),
        }
        self._session: dict[str, str] = {}

    def login(self) -> None:
        """A session of its own."""
        told = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "bench", "version": "1"}}
        answer = self._sent("initialize", told, {})
        self._session = {"mcp-session-id": answer.headers["mcp-session-id"], "mcp-protocol-version": "2025-11-25"}
        answer.read()

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        body = self._sent(method, params, self._session).read().decode()
        lines = [line[5:] for line in body.splitlines() if line.startswith("data:")]
        message = json.loads(lines[-1] if lines else body)
        if "error" in message or message["result"].get("isError"):
            sys.exit(f"{method} was refused: {body[:500]}")
        result: dict[str, Any] = message["result"]
        return result

    def call(self, name: str, **arguments: Any) -> dict[str, Any]:
        return self.ask("tools/call", name=name, arguments=arguments)

    def _sent(self, method: str, params: dict[str, Any], more: dict[str, str]) -> http.client.HTTPResponse:
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
        self._connection.request("POST", "/mcp", body, {**self._headers, **more})
        answer = self._connection.getresponse()
        if answer.status != 200:
            sys.exit(f"{method} was refused: {answer.status} {answer.read()[:300]!r}")
        return answer


def wait_for_the_policy(client: Client) -> None:
    """Until it is in force, and what the client has been shared is listed."""
    until, listed = time.monotonic() + PATIENCE_S, 0
    while listed != SHARES + 1:
        if time.monotonic() > until:
            sys.exit(f"{listed} tools are listed, not {SHARES + 1}")
        time.sleep(0.2)
        listed = sum(each["name"].startswith("report") for each in client.ask("tools/list")["tools"])


@contextmanager
def serving(folder: Path, port: int) -> Iterator[None]:
    child = subprocess.Popen(
        [*command(folder), "serve"], env=environment(port), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        until = time.monotonic() + PATIENCE_S
        while not answers(port):
            if child.poll() is not None or time.monotonic() > until:
                sys.exit("the gateway did not start")
            time.sleep(0.1)
        yield
    finally:
        child.terminate()
        child.wait(60)


def answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def median_ms(work: Callable[[int], object], times: int) -> float:
    """The median of so many runs, each told its number; the first ones do not count."""
    took = []
    for number in range(WARMING + times):
        began = time.perf_counter()
        work(number)
        took.append((time.perf_counter() - began) * 1000)
    return statistics.median(took[WARMING:])


def measured(size: int) -> dict[str, float]:
    """The medians in ms, and the seconds of the import."""
    with tempfile.TemporaryDirectory() as name:
        folder, port = Path(name), 20_000 + secrets.randbelow(10_000)
        importing = filled(folder, size, port)
        with serving(folder, port):
            clients = [Client(port, number) for number in range(0, size, size // 50)]
            for each in clients:
                each.login()
            first = clients[0]
            wait_for_the_policy(first)
            return {
                "list-users": median_ms(
                    lambda number: first.call("list-users", skip=number % (SIZES[0] - PAGE)), REQUESTS
                ),
                "login": median_ms(lambda number: clients[number % len(clients)].login(), REQUESTS),
                "tools/list": median_ms(lambda number: clients[number % len(clients)].ask("tools/list"), REQUESTS),
                "share": median_ms(lambda number: share(first, number % 20 + 30), MAKING),
                "import, s": importing,
            }


def share(client: Client, to: int) -> object:
    return client.call("share-tool", email=email(to), toolId="report0", accessLevel="read")


def main() -> None:
    few, many = (measured(size) for size in SIZES)
    print(f"{'median, ms':16}{SIZES[0]:>10} users{SIZES[1]:>10} users{'ratio':>8}")
    for label in few:
        ratio = many[label] / few[label]
        print(f"{label:16}{few[label]:>16.2f}{many[label]:>16.2f}{ratio:>8.2f}")
    dear = [label for label in few if label != "import, s" and many[label] > BAR * few[label]]
    if dear:
        sys.exit(f"more than {BAR} times as dear with {SIZES[1]} users: {', '.join(dear)}")


if __name__ == "__main__":
    main()
