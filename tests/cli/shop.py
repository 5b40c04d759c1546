"""A platform for commands: a small HTTP server in a thread, which remembers what it was asked."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.upstreams.starting import free_port

DEFINITION = """\
id: shop
title: Shop
checked: "2026-11"
auth: {kind: bearer}
inputs:
  token: {label: Token, secret: true}
identity: {url: "https://api.shop.example/me", id: id, label: "{name}"}
api: {base_url: "https://api.shop.example", allowed_hosts: [api.shop.example], auth: {Authorization: "Bearer {token}"}}
actions:
  list_orders:
    title: List orders
    description: The orders of the shop.
    risk: read
    request: GET /orders
    query: {limit: {type: integer, maximum: 10}}
  add_order:
    title: Add an order
    description: Adds an order.
    risk: write
    request: POST /orders
    body: {item: {type: string}}
    required: [item]
"""


@dataclass
class Shop:
    port: int
    asked: list[tuple[str, str, str, str]] = field(default_factory=list)  # method, path, authorization, body
    answers: dict[str, tuple[int, Any]] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def answer(self, method: str, path: str) -> tuple[int, Any]:
        return self.answers.get(path.partition("?")[0], (200, {"method": method, "path": path}))


@contextmanager
def open_shop() -> Iterator[Shop]:
    shop = Shop(free_port())

    class Counter(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
            shop.asked.append((self.command, self.path, self.headers.get("authorization", ""), body))
            status, answer = shop.answer(self.command, self.path)
            told = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(told)))
            if 300 <= status < 400:
                self.send_header("location", "https://elsewhere.example/")
            self.end_headers()
            self.wfile.write(told)

        do_POST = do_GET  # noqa: N815 (so the standard library calls it)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", shop.port), Counter)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield shop
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
