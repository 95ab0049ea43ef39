# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A proxy with faults in front of a real API server, on loopback: what passes is real, what fails is told by the test.

It speaks plain HTTP to the module and logs in to the API server as the kubeconfig does.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
import struct
import threading
import time
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._kube import static_auth as _identity

_HOP = frozenset({"connection", "transfer-encoding", "content-length", "authorization", "host"})


@dataclass(frozen=True)
class Fault:
    """What happens to one request instead of, or beside, the real answer.

    `status` (with `headers`): answered by the proxy. `cut`: `before` the API server sees the request, or `after` it did, so
    that the answer is lost. `delay`: seconds before it is passed on; `together`: it waits until so many are under way at once
    (20 s at most, however slow the machine). For a watch: `events` are sent first, then the stream is
    `cut` ("stream"), or is `silent` for ever.
    """

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    cut: str = ""
    delay: float = 0.0
    together: int = 0
    events: tuple[Any, ...] = ()
    silent: bool = False


@dataclass(frozen=True)
class Request:
    """What a fault is chosen by."""

    method: str
    path: str
    query: dict[str, str]
    number: int  # of all requests, from 1
    attempt: int  # how often this very request came, from 1; a dry run is another one than the write

    @property
    def watch(self) -> bool:
        return self.query.get("watch") == "true"

    @property
    def dry(self) -> bool:
        """Whether nothing is written."""
        return self.query.get("dryRun") == "All"


Script = Callable[[Request], Fault | None]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128  # connections that wait to be accepted; a full queue would be a fault of its own


class FaultProxy:
    """`script` chooses the fault of each request; `seen` holds them all, `most` how many were under way at once."""

    def __init__(self, script: Script) -> None:
        self.script, self.seen, self.faults = script, list[Request](), 0
        self.running, self.most = 0, 0
        self._lock = threading.Condition()
        self._stopped = threading.Event()
        identity = _identity.plain(os.environ["KUBECONFIG"], None)
        assert identity is not None, "the local cluster's kubeconfig has a client certificate"
        self._upstream = urllib.parse.urlsplit(identity.host)
        self._tls = _identity.tls_context(identity)
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def handle_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                with contextlib.suppress(OSError, http.client.HTTPException):
                    owner._serve(self, body)

            do_GET = do_PATCH = do_POST = do_PUT = do_DELETE = handle_any  # noqa: N815  # names that http.server looks for

            def log_message(self, *_args: Any) -> None:
                pass

        self._httpd = _Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._httpd.server_address[1]}"
        threading.Thread(target=self._httpd.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    @property
    def connection(self) -> dict[str, str]:
        """Options of a module that lead it through the proxy."""
        return {"host": self.url, "api_key": "the-proxy-logs-in"}

    def __enter__(self) -> FaultProxy:
        return self

    def __exit__(self, *_error: object) -> None:
        self._stopped.set()
        self._httpd.shutdown()
        self._httpd.server_close()

    def _serve(self, handler: BaseHTTPRequestHandler, body: bytes) -> None:
        parts = urllib.parse.urlsplit(handler.path)
        with self._lock:
            query = dict(urllib.parse.parse_qsl(parts.query))
            request = Request(handler.command, parts.path, query, len(self.seen) + 1, 1)
            same = [s for s in self.seen if (s.method, s.path, s.dry) == (request.method, request.path, request.dry)]
            request = replace(request, attempt=1 + len(same))
            self.seen.append(request)
            fault = self.script(request)
            self.faults += fault is not None
            if not request.watch:
                self.running += 1
                self.most = max(self.most, self.running)
                self._lock.notify_all()
        try:
            self._answer(handler, request, body, fault or Fault())
        finally:
            if not request.watch:
                with self._lock:
                    self.running -= 1

    def _answer(self, handler: BaseHTTPRequestHandler, request: Request, body: bytes, fault: Fault) -> None:
        time.sleep(fault.delay)
        with self._lock:
            self._lock.wait_for(lambda: self.most >= fault.together, timeout=20)
        if fault.cut == "before":
            _reset(handler)
        elif fault.status:
            reason = {429: "TooManyRequests", 410: "Expired"}.get(fault.status, "ServiceUnavailable")
            status = {"kind": "Status", "code": fault.status, "reason": reason, "message": f"fault {fault.status}"}
            _send(handler, fault.status, fault.headers, json.dumps(status).encode())
        elif request.watch and (fault.events or fault.silent or fault.cut):
            self._play(handler, fault)
        else:
            self._pass(handler, body, fault)

    def _pass(self, handler: BaseHTTPRequestHandler, body: bytes, fault: Fault) -> None:
        upstream = http.client.HTTPSConnection(
            self._upstream.hostname or "", self._upstream.port, context=self._tls, timeout=60
        )
        with contextlib.closing(upstream):
            headers = {name: value for name, value in handler.headers.items() if name.lower() not in _HOP}
            upstream.request(handler.command, handler.path, body or None, headers)
            answer = upstream.getresponse()
            if fault.cut == "after":
                answer.read()
                _reset(handler)
            elif answer.chunked and "watch=true" in handler.path:
                _begin_stream(handler)
                while not self._stopped.is_set() and (data := answer.read1(65536)):
                    _chunk(handler, data)
                _chunk(handler, b"")
            else:
                _send(handler, answer.status, dict(answer.getheaders()), answer.read())

    def _play(self, handler: BaseHTTPRequestHandler, fault: Fault) -> None:
        """A watch of the proxy's own making."""
        _begin_stream(handler)
        for event in fault.events:
            _chunk(handler, json.dumps(event).encode() + b"\n")
        if fault.silent:
            self._stopped.wait(60)
        elif fault.cut:
            _chunk(handler, b'{"type": "MODIF')
            _reset(handler)
        else:
            _chunk(handler, b"")


def _send(handler: BaseHTTPRequestHandler, status: int, headers: dict[str, str], body: bytes) -> None:
    handler.send_response_only(status)
    for name, value in headers.items():
        if name.lower() not in _HOP:
            handler.send_header(name, value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def _begin_stream(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response_only(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()


def _chunk(handler: BaseHTTPRequestHandler, data: bytes) -> None:
    handler.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
    handler.wfile.flush()


def _reset(handler: BaseHTTPRequestHandler) -> None:
    """As a broken network: the other side gets a reset."""
    handler.close_connection = True
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.shutdown(socket.SHUT_RD)
    handler.connection.close()
