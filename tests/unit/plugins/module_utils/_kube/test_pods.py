# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests into pods: what a WebSocket sends and checks, and where an answer ends."""

from __future__ import annotations

import base64
import hashlib
import http.server
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._kube import pods
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import Client

SUCCESS = b'\x03{"status": "Success"}'  # channel 3: how the command ended
_MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, 1.3


@pytest.fixture
def server(certificates: Path) -> Iterator[str]:
    """An API server that runs every command with success; its certificate names it, but not its address."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            key = self.headers["Sec-WebSocket-Key"].encode()
            self.send_response(101)
            for name, value in (
                ("Upgrade", "websocket"),
                ("Connection", "Upgrade"),
                ("Sec-WebSocket-Protocol", self.headers["Sec-WebSocket-Protocol"]),
                ("Sec-WebSocket-Accept", base64.b64encode(hashlib.sha1(key + _MAGIC).digest()).decode()),  # noqa: S324
            ):
                self.send_header(name, value)
            self.end_headers()
            who = b"\x01" + self.headers.get("Authorization", "nobody").encode()
            for frame in (who, SUCCESS):
                self.wfile.write(bytes([0x82, len(frame)]) + frame)

        def log_message(self, *_args: Any) -> None:
            pass

    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    httpd.daemon_threads = True
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / "named.pem", certificates / "named.key")
    httpd.socket = context.wrap_socket(httpd.socket, server_side=True)
    threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    yield f"https://127.0.0.1:{httpd.server_address[1]}"
    httpd.shutdown()
    httpd.server_close()


def run(certificates: Path, server: str, options: dict[str, Any], **cluster: Any) -> pods.Executed:
    """A command in a pod, by a kubeconfig with a token."""
    cluster = {"server": server, "certificate-authority": str(certificates / "ca.pem"), **cluster}
    kubeconfig = {
        "apiVersion": "v1", "kind": "Config", "current-context": "one",
        "contexts": [{"name": "one", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": {"token": "t0"}}],
    }  # fmt: skip
    client = Client({"kubeconfig": kubeconfig, **options}, environ={})
    found = pods.execute(client, "a", "p", "app", ["true"], timeout=5)
    assert client.requests == 1
    return found


# A proxy setting needs the library's configuration, everything else here is a plain one.
CONFIGURATIONS = pytest.mark.parametrize("options", [{}, {"no_proxy": "127.0.0.1"}], ids=["plain", "library"])


@CONFIGURATIONS
def test_a_pod_is_asked_under_the_name_that_the_kubeconfig_gives_the_server(
    certificates: Path, server: str, options: dict[str, Any]
) -> None:
    found = run(certificates, server, options, **{"tls-server-name": "api.example.com"})
    assert found == pods.Executed(0, "Bearer t0", "")


@CONFIGURATIONS
@pytest.mark.parametrize("name", [{}, {"tls-server-name": "other.example.com"}])
def test_a_server_of_another_name_is_refused(
    certificates: Path, server: str, options: dict[str, Any], name: dict[str, str]
) -> None:
    with pytest.raises(pods.PodError, match="certificate verify failed"):
        run(certificates, server, options, **name)


@CONFIGURATIONS
def test_an_unchecked_server_may_have_any_name(certificates: Path, server: str, options: dict[str, Any]) -> None:
    assert run(certificates, server, {**options, "validate_certs": False}).code == 0


def test_an_answer_ends_where_http_says_so() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
    assert pods._complete([head + b"hello"])
    assert pods._complete([head, b"hel", b"lo"])
    assert not pods._complete([head + b"hell"])
    chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    assert pods._complete([chunked + b"5\r\nhello\r\n0\r\n\r\n"])
    assert pods._complete([chunked + b"5\r\nhello\r\n0", b"\r\n\r\n"])
    assert not pods._complete([chunked + b"5\r\nhello\r\n"])
    assert not pods._complete([b"HTTP/1.1 200"])


def test_chunks_are_put_together() -> None:
    assert pods._unchunked(b"5\r\nhello\r\n1;x=y\r\n!\r\n0\r\n\r\n") == b"hello!"


@pytest.mark.parametrize(
    ("status", "code"),
    [
        ('{"status": "Success"}', 0),
        ('{"status": "Failure", "details": {"causes": [{"reason": "ExitCode", "message": "7"}]}}', 7),
        ('{"status": "Failure", "message": "no such file"}', None),
        ("", None),
    ],
)
def test_exit_codes(status: str, code: int | None) -> None:
    assert pods._code(status) == code


CHUNKED = b"HTTP/1.1 200 OK\r\nDate: now\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"


def test_a_port_of_a_pod_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pods, "_forwarded", lambda *_args: CHUNKED)
    reply = pods.get(None, "istio-system", "istiod-1", 15014, "/debug/syncz")
    assert (reply.body, reply.headers["date"]) == (b"hello", "now")


@pytest.mark.parametrize(
    ("answer", "told"), [(b"HTTP/1.1 401 Unauthorized\r\n\r\n", "401 Unauthorized"), (b"", "closed at once")]
)
def test_every_answer_but_200_is_an_error(monkeypatch: pytest.MonkeyPatch, answer: bytes, told: str) -> None:
    monkeypatch.setattr(pods, "_forwarded", lambda *_args: answer)
    with pytest.raises(pods.PodError, match=f"port 15014 does not answer /debug/syncz.*{told}"):
        pods.get(None, "istio-system", "istiod-1", 15014, "/debug/syncz")
    with pytest.raises(pods.PodError, match=f"Envoy's admin interface does not answer /certs.*{told}"):
        pods.admin(None, "shop", "web-1", "/certs")
