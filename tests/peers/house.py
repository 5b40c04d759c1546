"""A gateway over real servers, set up as an operator would; and where the programs of both sides are."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

from tests.clients.npm import NODE
from tests.corridor.house import ROOT, House, connects, free_port, running, until, write

HERE = Path(__file__).parent
MODULES = HERE / "node_modules"
OFFICIAL = MODULES / "@modelcontextprotocol"
EVERYTHING = OFFICIAL / "server-everything" / "dist" / "index.js"
MEMORY = OFFICIAL / "server-memory" / "dist" / "index.js"
SUPERGATEWAY = MODULES / "supergateway" / "dist" / "index.js"

UPSTREAMS = """\
[upstreams.everything]
command = ["{node}", "{official}/server-everything/dist/index.js", "stdio"]
[upstreams.everything.tools]
"*" = "read"
get-env = "destructive"

[upstreams.everything-http]
url = "http://127.0.0.1:{everything_http}/mcp"
private_hosts = ["127.0.0.1:{everything_http}"]
trust = true # it has more tools for clients that can be asked for something
[upstreams.everything-http.tools]
"*" = "read"
get-env = "destructive"

[upstreams.everything-sse]
url = "http://127.0.0.1:{everything_sse}/sse"
transport = "sse"
private_hosts = ["127.0.0.1:{everything_sse}"]
trust = true # it has more tools for clients that can be asked for something
[upstreams.everything-sse.tools]
"*" = "read"
get-env = "destructive"

[upstreams.files]
command = ["{node}", "{official}/server-filesystem/dist/index.js", "{folder}/files"]
[upstreams.files.tools]
"*" = "read"
write_file = "write"
edit_file = "write"
create_directory = "write"
move_file = "destructive"

[upstreams.memory]
command = ["{node}", "{official}/server-memory/dist/index.js"]
env = {{ MEMORY_FILE_PATH = {{ value = "{folder}/memory.jsonl" }} }}
[upstreams.memory.tools]
"*" = "read"
"create_*" = "write"
"add_*" = "write"
"delete_*" = "destructive"

[upstreams.git]
command = [".envs/upstreams/bin/mcp-server-git", "--repository", "{folder}/repository"]
[upstreams.git.tools]
"*" = "read"
git_add = "write"
git_commit = "write"
git_create_branch = "write"
git_checkout = "write"
git_reset = "destructive"

[upstreams.time]
command = [".envs/upstreams/bin/mcp-server-time"]
[upstreams.time.tools]
"*" = "read"

[upstreams.sums]
command = ["{python}", "{here}/modern_server.py"]
[upstreams.sums.tools]
"*" = "read"
forget = "destructive"

[upstreams.bridged-http]
url = "http://127.0.0.1:{bridged_http}/mcp"
private_hosts = ["127.0.0.1:{bridged_http}"]
[upstreams.bridged-http.tools]
"*" = "read"
"delete_*" = "destructive"

[upstreams.bridged-sse]
url = "http://127.0.0.1:{bridged_sse}/sse"
transport = "sse"
private_hosts = ["127.0.0.1:{bridged_sse}"]
[upstreams.bridged-sse.tools]
"*" = "read"
"delete_*" = "destructive"
"""

POLICY = """\
p, role:user, *, self, *, write, , allow
p, role:user, *, system, memory/*, write, , allow
p, role:user, *, self, *, rate:fast, , allow
p, role:security, main, system, gateway/policy, manage, , allow

# @id no-shouting
p, *, *, *, everything/echo, read, args.message == 'forbidden', deny
# @id no-shouting-over-http
p, *, *, *, everything-http/echo, read, args.message == 'forbidden', deny
# @id no-shouting-over-sse
p, *, *, *, everything-sse/echo, read, args.message == 'forbidden', deny
# @id no-environment
p, *, *, *, everything/get-env, read, , deny
p, *, *, *, everything-http/get-env, read, , deny
p, *, *, *, everything-sse/get-env, read, , deny

# @id notes-only
p, *, *, *, files/read_text_file, read, not ends(args.path, '/note.txt'), deny
# @id nothing-moves
p, *, *, *, files/move_file, read, , deny

# @id no-secrets-in-memory
p, *, *, *, memory/create_entities, write, some(args.entities, it.name == 'secret'), deny
p, *, *, *, memory/delete_entities, read, , deny

# @id few-commits
p, *, *, *, git/git_log, read, not (args.max_count > 0 and args.max_count <= 5), deny
p, *, *, *, git/git_reset, read, , deny

# @id only-utc
p, *, *, *, time/get_current_time, read, args.timezone != 'UTC', deny
p, *, *, *, time/convert_time, read, , deny

# @id never-by-zero
p, *, *, *, sums/divide, read, args.b == 0, deny
p, *, *, *, sums/forget, read, , deny

# @id no-secrets-behind-a-bridge
p, *, *, *, bridged-http/search_nodes, read, args.query == 'secret', deny
# @id no-secrets-behind-an-older-bridge
p, *, *, *, bridged-sse/search_nodes, read, args.query == 'secret', deny
p, *, *, *, bridged-http/delete_entities, read, , deny
p, *, *, *, bridged-sse/delete_entities, read, , deny
"""

LIMITS = """\
[[class]]
name = "fast"
calls = 1000000
window_s = 60

[[class]]
name = "default"
calls = 100
window_s = 60
"""


@contextmanager
def serving(*words: Path | str, port: int, **environment: str) -> Iterator[None]:
    """A Node server that listens on ``port`` of this machine alone."""
    command = [NODE, "--import", HERE / "loopback.mjs", *words]
    with subprocess.Popen(command, env={**os.environ, **environment}, stdout=subprocess.DEVNULL) as server:
        try:
            until(lambda: server.poll() is not None or connects("127.0.0.1", port), 60)
            assert server.poll() is None
            assert not connects("127.0.0.2", port), "it listens on more than its own address"
            yield
        finally:
            server.terminate()
            server.wait(20)


def bridged(port: int, transport: str, folder: Path) -> AbstractContextManager[None]:
    """supergateway in front of a server that knows standard input and output alone."""
    stdio = f'"{NODE}" "{MEMORY}"'
    return serving(
        *(SUPERGATEWAY, "--stdio", stdio, "--outputTransport", transport, "--port", str(port), "--logLevel", "none"),
        port=port,
        MEMORY_FILE_PATH=str(folder / f"{transport}.jsonl"),
    )


def lay_out(folder: Path) -> None:
    """What the servers of files and of git are about."""
    (folder / "files").mkdir()
    (folder / "files" / "note.txt").write_text("a note")
    (folder / "files" / "other.txt").write_text("another one")
    git = ("git", "-C", folder / "repository", "-c", "user.name=Ann", "-c", "user.email=ann@example.com")
    subprocess.run(["git", "init", "--quiet", folder / "repository"], check=True)
    subprocess.run([*git, "commit", "--quiet", "--allow-empty", "--message", "the first one"], check=True)


@contextmanager
def gateway(folder: Path, *, also: int) -> Iterator[House]:
    """A running gateway with every real server behind it, which may be reached through port ``also`` too."""
    lay_out(folder)
    names = ("everything_http", "everything_sse", "bridged_http", "bridged_sse")
    ports = {name: free_port() for name in names}
    with ExitStack() as servers:
        for transport, word in (("http", "streamableHttp"), ("sse", "sse")):
            port = ports[f"everything_{transport}"]
            servers.enter_context(serving(EVERYTHING, word, port=port, PORT=str(port)))
            servers.enter_context(bridged(ports[f"bridged_{transport}"], word, folder))
        own = folder / "gateway"
        own.mkdir()
        house = House(own, free_port(), str(own / "var" / "ostiary.db"))
        upstreams = UPSTREAMS.format(
            **ports, node=NODE, official=OFFICIAL, folder=folder, python=sys.executable, here=HERE
        )
        settings = f'[server]\nallowed_hosts = ["127.0.0.1:{also}"]\n'
        write(own, policy=POLICY, limits=LIMITS, upstreams=upstreams, settings=settings)
        (own / ".envs").symlink_to(ROOT / ".envs")
        servers.enter_context(running(house))
        yield house
