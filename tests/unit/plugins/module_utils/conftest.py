# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An HTTP server that answers what a test tells it to: for faults that a real API server cannot be made to show."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

Answer = tuple[int, dict[str, Any], dict[str, str]]
RESET = (-1, {}, {})
CUT = (-2, {}, {})


def status(code: int, message: str = "x", reason: str = "", **headers: str) -> Answer:
    """An answer with a Status object."""
    return code, {"kind": "Status", "code": code, "message": message, "reason": reason}, headers


def ok(**body: Any) -> Answer:
    """An answer 200."""
    return 200, body, {}


def events(*objects: dict[str, Any]) -> Answer:
    """A watch that sends these events and ends."""
    return 200, {"events": list(objects)}, {}


class FaultyServer:
    """`script` is asked for the answer to each request; `seen` holds what was asked."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, dict[str, str]]] = []
        self.answers: list[Answer] = []
        self.script: Callable[[str, str], Answer] | None = None
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                self.rfile.read(length)
                owner.seen.append((self.command, self.path, dict(self.headers)))
                owner.answer(self, self.command, self.path)

            do_GET = do_PATCH = do_POST = do_PUT = do_DELETE = handle_any  # noqa: N815  # the names that http.server looks for

            def log_message(self, *_args: Any) -> None:
                pass

        self.httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.httpd.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.httpd.server_address[1]}"
        threading.Thread(target=self.httpd.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def answer(self, handler: BaseHTTPRequestHandler, method: str, path: str) -> None:
        """Sends the next answer."""
        code, body, headers = self.script(method, path) if self.script else self.answers.pop(0)
        if code == RESET[0]:
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            handler.connection.close()
            handler.close_connection = True
            return
        if "events" in body:
            self.stream(handler, body["events"])
            return
        data = json.dumps(body).encode()
        handler.send_response(code)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)

    @staticmethod
    def stream(handler: BaseHTTPRequestHandler, objects: list[Any]) -> None:
        """A chunked answer; null cuts a line in two and the connection with it."""
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for obj in objects:
            data = json.dumps(obj).encode() + b"\n" if obj is not None else b'{"type": "ADD'
            handler.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
            if obj is None:
                handler.close_connection = True
                handler.connection.shutdown(socket.SHUT_RDWR)
                return
        handler.wfile.write(b"0\r\n\r\n")


class RawServer:
    """Sends bytes, or lets `talk` have the connection. `seen` holds what came before the answer."""

    def __init__(self) -> None:
        self.talk: Callable[[socket.socket], None] = lambda _connection: None
        self.seen: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def says(self, answer: bytes) -> None:
        """The same bytes for everybody."""
        self.talk = lambda connection: connection.sendall(answer)

    def _accept(self) -> None:
        while True:
            try:
                connection = self._listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            self.seen.append(connection.recv(65536))
            self.talk(connection)

    def close(self) -> None:
        """Accepts nobody any more."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@pytest.fixture
def raw() -> Iterator[RawServer]:
    """A server that need not speak HTTP."""
    server = RawServer()
    yield server
    server.close()


@pytest.fixture
def faulty() -> Iterator[FaultyServer]:
    """A server with faults."""
    server = FaultyServer()
    yield server
    server.httpd.shutdown()
    server.httpd.server_close()
