"""An MCP server on a pipe, written by hand on the standard library, that misbehaves on command.

    python raw.py [--era both|legacy|modern] [--discover answer|ignore|die|late] [--start CODE] [--list plain|broken|endless|none]

Each tool is one piece of behaviour; ``TOOLS`` says which. Arguments are echoed with the process id.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

MODERN = "2026-07-28"
VERSION_KEY = "io.modelcontextprotocol/protocolVersion"

TOOLS = {
    "echo": "the arguments, and this process's id",
    "garbage": "a line that is no JSON, then the answer",
    "broken": "an answer with the right id that is no acceptable message",
    "huge": "a line of `bytes` bytes",
    "never": "no answer",
    "die": "the process ends with status `status`",
    "twice": "two answers with the same id; the second says so",
    "stray": "an answer with a foreign id, one with the id as text, then the right one",
    "odd": "an answer with unknown fields everywhere",
    "bare": "an answer whose result is no object",
    "fail": "the JSON-RPC error of `code`, `message`, `data`",
    "ask": "the server asks `method` first; the answer to that is the result",
    "hold": "no answer until `release`",
    "release": "answers all that were held, the last first, then this",
    "heard": "the notifications that were received so far",
    "environ": "this process's environment and working directory",
    "whisper": "a line on standard error, then the answer",
    "spawn": "the id of a process that this one started and that ignores all",
    "progress": "progress `steps` times, then the answer",
    "strangers": "progress for tokens nobody gave, then the answer",
    "log": "a log line, then the answer",
    "grow": "one more tool, announced",
    "touch": "the resource `uri` was updated, announced",
    "input": "a result that asks for input (modern)",
    "close_stdout": "standard output is closed while the process lives on",
}


class Server:
    def __init__(self, options):
        self.options = options
        self.held = []
        self.heard = []
        self.asked = {}
        self.extra = 0
        self.discovers = 0

    def write(self, message):
        sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
        sys.stdout.flush()

    def result(self, id, result):
        if self.modern:
            result = {"resultType": "complete", **result}
        self.write({"id": id, "result": result})

    def text(self, id, value):
        self.result(id, {"content": [{"type": "text", "text": json.dumps(value)}]})

    def error(self, id, code, message, data=None):
        error = {"code": code, "message": message}
        self.write({"id": id, "error": error if data is None else {**error, "data": data}})

    def serve(self):
        for line in sys.stdin:
            message = json.loads(line)
            if "method" not in message:
                id = self.asked.pop(message["id"], None)
                if id is not None:
                    self.text(id, {key: message[key] for key in ("result", "error") if key in message})
            elif "id" not in message:
                self.heard.append({"method": message["method"], "params": message.get("params", {})})
            else:
                self.answer(message["id"], message["method"], message.get("params", {}))

    def answer(self, id, method, params):
        version = params.get("_meta", {}).get(VERSION_KEY)
        self.modern = version is not None
        if method == "server/discover":
            self.discover(id, version)
        elif method == "initialize":
            self.initialize(id)
        elif version is not None and self.options.era == "legacy":
            self.error(id, -32600, "no envelope, please")
        elif version is None and self.options.era == "modern":
            self.error(id, -32022, "unsupported protocol version", {"supported": [MODERN]})
        elif method == "tools/call":
            getattr(self, "do_" + params["name"])(id, params.get("arguments", {}), params)
        elif method == "tools/list":
            self.list(id, params)
        elif method in ("resources/subscribe", "resources/unsubscribe"):
            self.heard.append({"method": method, "params": params})
            self.result(id, {})
        elif method == "resources/list":
            self.result(id, {"resources": [{"uri": "raw://one", "name": "one"}]})
        elif method == "subscriptions/listen":
            self.listener = id
            self.heard.append({"method": method, "params": params})
            self.write({"method": "notifications/subscriptions/acknowledged", "params": {}})
        else:
            self.error(id, -32601, "method not found")

    def discover(self, id, version):
        self.discovers += 1
        how = self.options.discover
        if how == "die":
            sys.exit(3)
        if how == "ignore" or (how == "late" and self.discovers == 1):
            return
        if self.options.era == "legacy":
            self.error(id, -32601, "method not found")
        else:
            self.modern = True
            self.result(id, {"supportedVersions": [MODERN], "capabilities": CAPABILITIES, "instructions": "raw"})

    def initialize(self, id):
        if self.options.era == "modern":
            self.error(id, -32022, "unsupported protocol version", {"supported": [MODERN]})
            return
        info = {"name": "raw", "version": "1"}
        version = self.options.version
        self.result(
            id, {"protocolVersion": version, "capabilities": CAPABILITIES, "serverInfo": info, "instructions": "raw"}
        )

    def list(self, id, params):
        how = self.options.list
        tools = [{"name": name, "inputSchema": {"type": "object"}, "x-vendor": {"kept": name}} for name in TOOLS]
        tools += [{"name": f"extra{n}", "inputSchema": {"type": "object"}} for n in range(self.extra)]
        if how == "plain":
            page = int(params.get("cursor", "0"))
            result = {"tools": tools[page : page + 10]}
            if page + 10 < len(tools):
                result["nextCursor"] = str(page + 10)
            self.result(id, result)
        elif how == "broken":
            broken = [None, 7, "echo", [], {}, {"name": 5}, {"name": ""}, {"name": "shapeless"}, tools[0]]
            self.result(id, {"tools": [*broken, tools[0], tools[1]]})
        elif how == "endless":
            self.result(id, {"tools": tools[:1], "nextCursor": "again"})
        elif how == "none":
            self.result(id, {"tools": {"name": "echo"}})
        else:
            self.error(id, -32603, "cannot list now")

    def do_echo(self, id, arguments, params):
        self.text(id, {"arguments": arguments, "pid": os.getpid(), "meta": params.get("_meta")})

    def do_garbage(self, id, arguments, params):
        print("ready to serve!")
        print("\x00\xff{]")
        self.do_echo(id, arguments, params)

    def do_broken(self, id, arguments, params):
        sys.stdout.write(f'{{"jsonrpc": "2.0", "id": {id}, "result": {{"a": 1, "a": 2}}}}\n')
        sys.stdout.flush()

    def do_huge(self, id, arguments, params):
        sys.stdout.write("x" * arguments["bytes"])
        sys.stdout.flush()

    def do_never(self, id, arguments, params):
        pass

    def do_die(self, id, arguments, params):
        sys.exit(arguments.get("status", 1))

    def do_twice(self, id, arguments, params):
        self.text(id, "first")
        self.text(id, "second")

    def do_stray(self, id, arguments, params):
        self.text(id + 1_000_000, "not yours")
        self.text(str(id), "not yours either")
        self.text(id, "yours")

    def do_odd(self, id, arguments, params):
        block = {"type": "text", "text": "odd", "x-block": 1}
        self.result(id, {"content": [block], "x-result": {"deep": [1]}, "_meta": {"vendor/x": True}})

    def do_bare(self, id, arguments, params):
        self.write({"id": id, "result": "text"})

    def do_fail(self, id, arguments, params):
        self.error(id, arguments["code"], arguments["message"], arguments.get("data"))

    def do_ask(self, id, arguments, params):
        self.asked["mine"] = id
        self.write({"id": "mine", "method": arguments["method"], "params": {}})

    def do_hold(self, id, arguments, params):
        self.held.append((id, arguments))

    def do_release(self, id, arguments, params):
        while self.held:
            other, given = self.held.pop()
            self.text(other, given)
        self.text(id, "released")

    def do_heard(self, id, arguments, params):
        self.text(id, self.heard)

    def do_environ(self, id, arguments, params):
        self.text(id, {"environ": dict(os.environ), "cwd": str(Path.cwd())})

    def do_whisper(self, id, arguments, params):
        print("Traceback: something that only looks bad", file=sys.stderr, flush=True)
        self.text(id, "fine")

    def do_spawn(self, id, arguments, params):
        code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
        child = subprocess.Popen([sys.executable, "-S", "-c", code], stdin=subprocess.DEVNULL)
        self.text(id, child.pid)

    def do_progress(self, id, arguments, params):
        token = params.get("_meta", {}).get("progressToken")
        for step in range(arguments["steps"] if token is not None else 0):
            self.write({"method": "notifications/progress", "params": {"progressToken": token, "progress": step}})
        self.text(id, token)

    def do_strangers(self, id, arguments, params):
        for token in (True, "1", None, id, 10**9, [1]):
            self.write({"method": "notifications/progress", "params": {"progressToken": token, "progress": 1}})
        self.text(id, "told")

    def do_log(self, id, arguments, params):
        self.write({"method": "notifications/message", "params": {"level": "info", "data": arguments["data"]}})
        self.text(id, "logged")

    def do_grow(self, id, arguments, params):
        self.extra += 1
        self.announce("notifications/tools/list_changed", {})
        self.text(id, "grown")

    def do_touch(self, id, arguments, params):
        self.announce("notifications/resources/updated", {"uri": arguments["uri"]})
        self.text(id, "touched")

    def announce(self, method, params):
        if self.modern:
            params = {**params, "_meta": {"io.modelcontextprotocol/subscriptionId": self.listener}}
        self.write({"method": method, "params": params})

    def do_input(self, id, arguments, params):
        self.write({"id": id, "result": {"resultType": "input_required", "requestState": "x"}})

    def do_close_stdout(self, id, arguments, params):
        os.close(1)
        sys.stdin.read()


CAPABILITIES = {"tools": {"listChanged": True}, "resources": {"subscribe": True}, "x-vendor": {}}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--era", choices=("both", "legacy", "modern"), default="both")
    parser.add_argument("--discover", choices=("answer", "ignore", "die", "late"), default="answer")
    parser.add_argument("--list", choices=("plain", "broken", "endless", "none", "error"), default="plain")
    parser.add_argument("--version", default="2025-11-25")
    parser.add_argument("--start", type=int, default=None, help="end at once with this status")
    options = parser.parse_args()
    if options.start is not None:
        sys.exit(options.start)
    Server(options).serve()


if __name__ == "__main__":
    main()
