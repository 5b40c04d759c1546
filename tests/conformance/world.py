"""What the suite meets: its server in every mode, and one gateway with authentication and a policy in front of all."""

import contextlib
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.mcp.terms import CAPABILITIES_KEY
from tests.conformance.legs import UPSTREAMS, Leg, Upstream
from tests.corridor.house import META, ROOT, House, free_port, modern, result_of, until, write
from tests.corridor.several import ONE, standing
from tests.upstreams.starting import answers

PYTHON = ROOT / ".envs" / "upstreams" / "bin" / "python"
SERVER = ROOT / "tests" / "upstreams" / "conformance.py"

POLICY = """\
p, role:security, main, system, gateway/policy, manage, , allow
p, role:tester, *, self, *, rate:fast, , allow
"""
LIMITS = '[[class]]\nname = "fast"\ncalls = 1000000\nwindow_s = 60\n'


@dataclass(frozen=True)
class World:
    """Each server has a user of its own, so that no run of the suite is in the way of another."""

    house: House
    ports: Mapping[Upstream, int]
    keys: Mapping[Upstream, str]

    def url(self, leg: Leg) -> str:
        if leg.direct:
            return f"http://127.0.0.1:{self.ports[leg.upstream]}/mcp"
        return f"{self.house.url}/mcp/{leg.upstream.id}"

    def environment(self, leg: Leg) -> dict[str, str]:
        """What makes the suite send the user's key to the gateway, and to nobody else."""
        return {
            "NODE_OPTIONS": f"--import {Path(__file__).with_name('inject.mjs')}",
            "CONFORMANCE_HOST": f"127.0.0.1:{self.house.port}",
            "CONFORMANCE_KEY": self.keys[leg.upstream],
        }


@contextlib.contextmanager
def built(folder: Path, how: str = ONE) -> Iterator[World]:
    """Everything running; a child process for each server that is reached over HTTP, and for the gateway as many as
    ``how`` says.
    """
    with contextlib.ExitStack() as stack:
        ports = {each: stack.enter_context(served(each)) for each in UPSTREAMS if each.transport != "stdio"}
        folder.mkdir()
        pages = laid_out(
            upstreams="".join(described(each, ports.get(each, 0)) for each in UPSTREAMS),
            servers="".join(offered(each.id) for each in UPSTREAMS),
            policy="".join(granted(each.id) for each in UPSTREAMS) + POLICY,
        )
        house = stack.enter_context(standing(how, folder, **pages))
        keys = {each: house.add_user(f"{each.id}@example.com", "tester") for each in UPSTREAMS}
        for each, key in keys.items():
            prove_guarded(house, each, key)
        yield World(house, ports, keys)


def gateway(folder: Path, *, upstreams: str, servers: str, policy: str) -> House:
    """A gateway over the embedded store, laid out in ``folder`` and not yet started."""
    folder.mkdir()
    pages = laid_out(upstreams=upstreams, servers=servers, policy=policy)
    write(folder, **pages, settings="[server]\n")
    return House(folder, free_port(), str(folder / "var" / "ostiary.db"))


def laid_out(*, upstreams: str, servers: str, policy: str) -> dict[str, str]:
    return {"policy": policy, "limits": LIMITS, "upstreams": upstreams, "servers": servers}


@contextlib.contextmanager
def served(upstream: Upstream) -> Iterator[int]:
    """The suite's server as a child process that listens; yields its port."""
    port = free_port()
    command = [PYTHON, SERVER, "--transport", upstream.transport, "--port", str(port), "--era", upstream.era]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as child:
        try:
            until(lambda: child.poll() is not None or answers(port), 60)
            assert child.poll() is None, f"the suite's server does not start: {upstream.id}"
            yield port
        finally:
            child.terminate()


def described(upstream: Upstream, port: int) -> str:
    """The upstream as a table of ``upstreams.toml``."""
    path = {"http": "/mcp", "sse": "/sse"}.get(upstream.transport, "")
    at = f'url = "http://127.0.0.1:{port}{path}"\nprivate_hosts = ["127.0.0.1:{port}"]\n'
    if upstream.transport == "sse":
        at += 'transport = "sse"\n'
    if upstream.transport == "stdio":
        at = f'command = ["{PYTHON}", "{SERVER}", "--era", "{upstream.era}"]\n'
    return f'[upstreams.{upstream.id}]\n{at}sharing = "principal"\ntrust = true\n[upstreams.{upstream.id}.tools]\n"*" = "read"\n'


def offered(id: str) -> str:
    return f'[servers.{id}]\nupstreams = ["{id}"]\nmode = "upstream"\nnames = "bare"\n'


def granted(id: str) -> str:
    return f"p, role:tester, {id}, self, {id}/*, read, , allow\np, *, *, *, {id}/forbidden, *, , deny\n"


def prove_guarded(house: House, upstream: Upstream, key: str) -> None:
    """Nobody without a key, and nothing that the policy forbids, gets through to the server; the user does, and can be
    asked. That also opens his sessions, so that no check waits for a process to start.
    """
    path = f"/mcp/{upstream.id}"
    with house.client() as stranger, house.client(key) as user:
        assert stranger.post(path, **modern("tools/list")).status_code == 401
        tools = result_of(user.post(path, **modern("tools/list")))["result"]["tools"]
        assert {"test_simple_text", "forbidden"} & {each["name"] for each in tools} == {"test_simple_text"}
        refused = result_of(user.post(path, **modern("tools/call", name="forbidden", arguments={})))
        assert refused["error"]["code"] == -32602
        asked = result_of(user.post(path, **asking()))["result"]
        answers = {key: {"action": "decline"} for key in asked["inputRequests"]}
        told = result_of(user.post(path, **asking(inputResponses=answers, requestState=asked["requestState"])))
        assert "action=decline" in told["result"]["content"][0]["text"]


def asking(**more: Any) -> dict[str, Any]:
    """A call of a client that can be asked for a form, to a tool that asks for one."""
    call = modern("tools/call", name="test_streaming_elicitation", arguments={}, **more)
    call["json"]["params"]["_meta"] = {**META, CAPABILITIES_KEY: {"elicitation": {}}}
    return call
