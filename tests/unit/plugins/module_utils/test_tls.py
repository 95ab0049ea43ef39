# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates that kubectl accepts are accepted wherever the collection opens TLS, on every Python; what it refuses is refused."""

from __future__ import annotations

import base64
import dataclasses
import datetime
import functools
import hashlib
import http.server
import ipaddress
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import urllib3
from ansible_collections.servicemesh.platform.plugins.module_utils import _http
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.watchdog.pod_client import PodClient
from ansible_collections.servicemesh.platform.plugins.module_utils._kube import pods, static_auth
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import Client
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import KubeError
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)
_MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, 1.3


@dataclasses.dataclass(frozen=True)
class Signed:
    """A certificate, and the key that belongs to it."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    @property
    def key_pem(self) -> str:
        form = serialization.PrivateFormat.TraditionalOpenSSL
        return self.key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()


def signed(
    name: str,
    by: Signed | None = None,
    *,
    ca: bool = False,
    usage: bool = False,
    identifiers: bool = False,
    names: tuple[str, ...] = (),
    days: tuple[int, int] = (-1, 1),
    plain: bool = False,
) -> Signed:
    """A certificate with these extensions and no others. `plain`: with none. `days`: from and until, counted from now."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    issuer_key, issuer = (by.key, by.certificate.subject) if by else (key, subject)
    builder = x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(NOW + days[0] * DAY).not_valid_after(NOW + days[1] * DAY)
    if not plain:
        builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    if usage:
        uses = dict.fromkeys(("content_commitment", "key_encipherment", "data_encipherment", "key_agreement"), False)
        rest = {"crl_sign": ca, "encipher_only": False, "decipher_only": False}
        builder = builder.add_extension(
            x509.KeyUsage(digital_signature=True, key_cert_sign=ca, **uses, **rest), critical=True
        )
    if identifiers:
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        known = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key())
        builder = builder.add_extension(known, critical=False)
    if names:
        alternatives = [x509.IPAddress(ipaddress.ip_address(n)) if n[-1].isdigit() else x509.DNSName(n) for n in names]
        builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    return Signed(builder.sign(issuer_key, hashes.SHA256()), key)


HERE = ("127.0.0.1",)
FULL: dict[str, Any] = {"usage": True, "identifiers": True}


def full() -> tuple[str, Signed]:
    ca = signed("ca", ca=True, **FULL)
    return ca.pem, signed("server", ca, names=HERE, **FULL)


def no_usage() -> tuple[str, Signed]:
    ca = signed("ca", ca=True, identifiers=True)
    return ca.pem, signed("server", ca, names=HERE, **FULL)


def no_identifiers() -> tuple[str, Signed]:
    ca = signed("ca", ca=True, usage=True)
    return ca.pem, signed("server", ca, names=HERE, usage=True)


def neither() -> tuple[str, Signed]:
    ca = signed("ca", ca=True)
    return ca.pem, signed("server", ca, names=HERE)


def intermediate() -> tuple[str, Signed]:
    """The kubeconfig has the CA that signed the server, which another CA has signed that is nowhere."""
    ca = signed("intermediate", signed("root", ca=True, **FULL), ca=True, **FULL)
    return ca.pem, signed("server", ca, names=HERE, **FULL)


def other_name() -> tuple[str, Signed]:
    ca = signed("ca", ca=True)
    return ca.pem, signed("server", ca, names=("192.0.2.1", "ip-127-0-0-1.example.com"))


def no_name() -> tuple[str, Signed]:
    ca = signed("ca", ca=True)
    return ca.pem, signed("127.0.0.1", ca)


def expired() -> tuple[str, Signed]:
    ca = signed("ca", ca=True)
    return ca.pem, signed("server", ca, names=HERE, days=(-3, -1))


def not_yet() -> tuple[str, Signed]:
    ca = signed("ca", ca=True)
    return ca.pem, signed("server", ca, names=HERE, days=(1, 3))


def expired_ca() -> tuple[str, Signed]:
    ca = signed("ca", ca=True, days=(-3, -1))
    return ca.pem, signed("server", ca, names=HERE)


def other_ca() -> tuple[str, Signed]:
    return signed("ca", ca=True).pem, signed("server", signed("ca", ca=True), names=HERE)


def signed_by_no_ca() -> tuple[str, Signed]:
    """A certificate that is no CA has signed the server's; its own CA is trusted."""
    ca = signed("ca", ca=True)
    return ca.pem, signed("server", signed("leaf", ca), names=HERE)


@pytest.fixture(autouse=True)
def strict(monkeypatch: pytest.MonkeyPatch) -> None:
    """Contexts begin as strict as Python 3.13 and urllib3 2.4 make them there, on every Python."""

    def made_strict(function: Any) -> Any:
        def make(*args: Any, **options: Any) -> ssl.SSLContext:
            context: ssl.SSLContext = function(*args, **options)
            context.verify_flags |= ssl.VERIFY_X509_STRICT
            return context

        return make

    for place in (static_auth, urllib3.connection, urllib3.util.ssl_):
        monkeypatch.setattr(place, "create_urllib3_context", made_strict(urllib3.util.ssl_.create_urllib3_context))
    monkeypatch.setattr(ssl, "create_default_context", made_strict(ssl.create_default_context))


made_once = functools.cache(lambda make: make())
ACCEPTED = [full, no_usage, no_identifiers, neither, intermediate]
REFUSED = [other_name, no_name, expired, not_yet, expired_ca, other_ca, signed_by_no_ca]


class Handler(http.server.BaseHTTPRequestHandler):
    """An API server, Prometheus and a pod's WebSocket in one."""

    def do_GET(self) -> None:
        if key := self.headers.get("Sec-WebSocket-Key"):
            self.send_response(101)
            self.send_header("Upgrade", "websocket")
            self.send_header("Connection", "Upgrade")
            self.send_header("Sec-WebSocket-Protocol", self.headers["Sec-WebSocket-Protocol"])
            accept = hashlib.sha1(key.encode() + _MAGIC).digest()  # noqa: S324
            self.send_header("Sec-WebSocket-Accept", base64.b64encode(accept).decode())
            self.end_headers()
            end = b'\x03{"status": "Success"}'
            self.wfile.write(bytes([0x82, len(end)]) + end)
            return
        body = b'{"metadata": {"resourceVersion": "1"}, "items": []}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: Any) -> None:
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that refuse the certificate hang up."""

    def finish_request(self, request: Any, client_address: Any) -> None:
        super().finish_request(self.context.wrap_socket(request, server_side=True), client_address)

    context: ssl.SSLContext


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[[Callable[[], tuple[str, Signed]]], tuple[int, Path]]]:
    """Starts a server with what a function returns: (its port, the file with the CA that clients trust)."""
    servers = []

    def started(make: Callable[[], tuple[str, Signed]]) -> tuple[int, Path]:
        trusted, leaf = made_once(make)
        (tmp_path / "ca.crt").write_text(trusted, encoding="ascii")
        (tmp_path / "token").write_text("t0", encoding="ascii")
        (tmp_path / "server.pem").write_text(leaf.pem + leaf.key_pem, encoding="ascii")
        server = Server(("127.0.0.1", 0), Handler)
        server.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.context.load_cert_chain(tmp_path / "server.pem")
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        servers.append(server)
        return int(server.server_address[1]), tmp_path / "ca.crt"

    yield started
    for server in servers:
        server.shutdown()
        server.server_close()


def client(port: int, ca: Path, **options: Any) -> Client:
    data = base64.b64encode(ca.read_bytes()).decode()
    kubeconfig = {
        "apiVersion": "v1", "kind": "Config", "current-context": "one",
        "contexts": [{"name": "one", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": f"https://127.0.0.1:{port}", "certificate-authority-data": data}}],
        "users": [{"name": "u", "user": {"token": "t0"}}],
    }  # fmt: skip
    return Client({"kubeconfig": kubeconfig, **options}, environ={})


def by_request(port: int, ca: Path) -> None:
    client(port, ca).request("GET", "/api", budget=0)


def by_library(port: int, ca: Path) -> None:
    """With a setting that the `kubernetes` package reads."""
    client(port, ca, no_proxy="127.0.0.1").request("GET", "/api", budget=0)


def by_options(port: int, ca: Path) -> None:
    options = {"host": f"https://127.0.0.1:{port}", "api_key": "t0", "ca_cert": str(ca)}
    Client(options, environ={}).request("GET", "/api", budget=0)


def by_watch(port: int, ca: Path) -> None:
    client(port, ca).stream("/api", {"watch": "true"}, 5).close()


def by_exec(port: int, ca: Path) -> None:
    assert pods.execute(client(port, ca), "a", "p", "app", ["true"], timeout=5).code == 0


def by_exec_and_library(port: int, ca: Path) -> None:
    assert pods.execute(client(port, ca, no_proxy="127.0.0.1"), "a", "p", "app", ["true"], timeout=5).code == 0


def by_url(port: int, ca: Path) -> None:
    assert _http.get(f"https://127.0.0.1:{port}/", seconds=5, most=1000, ca_cert=str(ca)).status == 200


def by_watchdog(port: int, ca: Path) -> None:
    environ = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(port)}
    PodClient(environ, ca.parent).request("GET", "/api", budget=0)


WAYS = [by_request, by_library, by_options, by_watch, by_exec, by_exec_and_library, by_url, by_watchdog]
everywhere = pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)


@everywhere
@pytest.mark.parametrize("made", ACCEPTED, ids=lambda made: made.__name__)
def test_what_kubectl_accepts_is_accepted(serve: Any, made: Any, way: Any) -> None:
    way(*serve(made))


@everywhere
@pytest.mark.parametrize("made", REFUSED, ids=lambda made: made.__name__)
def test_what_kubectl_refuses_is_refused(serve: Any, made: Any, way: Any) -> None:
    with pytest.raises(
        (KubeError, _http.NoReplyError, urllib3.exceptions.SSLError), match=r"(?i)certificate verify failed"
    ):
        way(*serve(made))


def test_no_other_file_makes_a_context_that_verifies() -> None:
    """Whatever opens TLS does it by a context that `verify_as_go` returned."""
    plugins = Path(_http.__file__).parent.parent
    makers = ("create_default_context(", "create_urllib3_context(", "SSLContext(", "PROTOCOL_TLS")
    for path in plugins.rglob("*.py"):
        for line in path.read_text(encoding="utf-8").splitlines():
            if any(maker in line for maker in makers):
                assert "verify_as_go(" in line, f"{path}: {line.strip()}"
            assert "urlopen(" not in line, f"{path}: {line.strip()}"
