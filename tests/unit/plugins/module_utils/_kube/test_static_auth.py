# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plain identities: what is found without the library is what the library finds."""

from __future__ import annotations

import base64
import contextlib
import http.server
import json
import socket
import socketserver
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes.client
import kubernetes.config
import pytest
import yaml
from ansible_collections.servicemesh.platform.plugins.module_utils._kube import config as kube_config
from ansible_collections.servicemesh.platform.plugins.module_utils._kube import static_auth
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import Client
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import KubeError, UnreachableError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

V1 = "client.authentication.k8s.io/v1"
PEM = "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n"


def data(text: str) -> str:
    return base64.b64encode(PEM.format(text).encode()).decode()


def config(user: Any, cluster: Any, **more: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}, {"name": "d", "context": {"cluster": "k", "user": "v"}}],
        "clusters": [{"name": "k", "cluster": cluster}],
        "users": [{"name": "u", "user": user}, {"name": "v", "user": {"token": "other"}}],
        **more,
    }  # fmt: skip


def by_library(path: str, context: str | None) -> dict[str, Any]:
    """What the library makes of a kubeconfig; certificates as their text."""
    found = kubernetes.client.Configuration()
    kubernetes.config.load_kube_config(path, context=context, client_configuration=found, persist_config=False)
    return shown(found)


def shown(found: Any) -> dict[str, Any]:
    def text(value: str | None) -> str | None:
        return value if value is None or "-----BEGIN" in value else Path(value).read_text(encoding="ascii")

    tokens = [entry["value"] for entry in found.auth_settings().values() if entry.get("value")]
    pems = {name: text(getattr(found, name)) for name in ("ssl_ca_cert", "cert_file", "key_file")}
    return {"host": found.host, "verify": found.verify_ssl, "name": found.tls_server_name, "tokens": tokens, **pems}


users = st.fixed_dictionaries(
    {},
    optional={
        "client-certificate-data": st.just(data("cert")),
        "client-key-data": st.just(data("key")),
        "client-certificate": st.just("cert.pem"),
        "client-key": st.just("key.pem"),
        "token": st.sampled_from(["t0ken", ""]),
        "tokenFile": st.just("token"),
        "username": st.just("eve"),
        "exec": st.just({"command": "true"}),
    },
)
clusters = st.fixed_dictionaries(
    {"server": st.sampled_from(["https://192.0.2.1:6443", "https://192.0.2.1:6443/", "http://192.0.2.1:8080"])},
    optional={
        "certificate-authority-data": st.just(data("ca")),
        "certificate-authority": st.just("ca.pem"),
        "insecure-skip-tls-verify": st.booleans(),
        "tls-server-name": st.just("api"),
        "proxy-url": st.just("http://192.0.2.9:3128"),
    },
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(users, clusters, st.sampled_from([None, "c", "d"]))
def test_what_is_plain_is_what_the_library_finds(tmp_path: Path, user: Any, cluster: Any, context: str | None) -> None:
    for name in ("cert", "key", "ca"):
        (tmp_path / f"{name}.pem").write_text(PEM.format(f"file {name}"), encoding="ascii")
    path = tmp_path / "config"
    path.write_text(yaml.safe_dump(config(user, cluster)), encoding="utf-8")
    found = static_auth.plain(str(path), context)
    if context != "d":
        special = {"exec", "tokenFile", "username"} & set(user)
        certs = {"client-certificate-data", "client-certificate"} & set(user)
        keys = {"client-key-data", "client-key"} & set(user)
        odd = cluster["server"].startswith("https") and bool(certs) != bool(keys)
        assert (found is None) == bool(special or odd or "proxy-url" in cluster)
    if found is not None:
        assert shown(found) == by_library(str(path), context)


@pytest.mark.parametrize(
    "content",
    [
        "", "[]", "a: [", "{}", "current-context: c", yaml.safe_dump(config({"token": 1}, {"server": "https://x"})),
        yaml.safe_dump(config({"client-certificate-data": "!"}, {"server": "https://x"})),
        yaml.safe_dump(config({"client-certificate": "nowhere", "client-key": "nowhere"}, {"server": "https://x"})),
        yaml.safe_dump(config({}, {"server": "x:6443"})), yaml.safe_dump(config({}, {})),
        yaml.safe_dump({**config({}, {"server": "https://x"}), "users": None}),
    ],
)  # fmt: skip
def test_what_looks_wrong_is_left_to_the_library(tmp_path: Path, content: str) -> None:
    path = tmp_path / "config"
    path.write_text(content, encoding="utf-8")
    assert static_auth.plain(str(path), None) is None


@pytest.mark.parametrize(
    "options",
    [{"proxy": "http://x"}, {"no_proxy": "x"}, {"kubeconfig": "/a:/b"}, {"kubeconfig": None}, {"context": "c"}],
)
def test_what_else_is_the_librarys(options: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text(yaml.safe_dump(config({"token": "t"}, {"server": "https://x"})), encoding="utf-8")
    whole = {"kubeconfig": str(path), **options} if "context" not in options else options
    assert kube_config.plain_configuration({"kubeconfig": str(path)}, complete=False) is not None
    assert kube_config.plain_configuration(whole, complete=False) is None


def test_a_proxy_in_the_environment_is_the_librarys(monkeypatch: pytest.MonkeyPatch) -> None:
    assert kube_config.plain_configuration({}, complete=True) is not None
    monkeypatch.setenv("https_proxy", "http://192.0.2.9:3128")
    assert kube_config.plain_configuration({}, complete=True) is None


@pytest.fixture(scope="module")
def server(certificates: Path) -> Iterator[str]:
    """Answers only who has a client certificate of the CA."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            subject = self.connection.getpeercert()["subject"]  # type: ignore[attr-defined]
            body = f'{{"who": "{subject[0][0][1]}"}}'.encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_args: Any) -> None:
            pass

    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / "server.pem", certificates / "server.key")
    context.load_verify_locations(certificates / "ca.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    context.set_alpn_protocols(["h2", "http/1.1"])
    httpd.socket = context.wrap_socket(httpd.socket, server_side=True)
    threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    yield f"https://127.0.0.1:{httpd.server_address[1]}"
    httpd.shutdown()
    httpd.server_close()


def embedded(room: Path, *names: str) -> list[str]:
    return [base64.b64encode((room / name).read_bytes()).decode() for name in names]


@pytest.mark.parametrize("as_data", [True, False])
def test_a_client_certificate_opens_the_door(server: str, certificates: Path, as_data: bool) -> None:
    if as_data:
        ca, cert, key = embedded(certificates, "ca.pem", "client.pem", "client.key")
        user = {"client-certificate-data": cert, "client-key-data": key}
        cluster = {"server": server, "certificate-authority-data": ca}
    else:
        user = {"client-certificate": str(certificates / "client.pem"), "client-key": str(certificates / "client.key")}
        cluster = {"server": server, "certificate-authority": str(certificates / "ca.pem")}
    client = Client({"kubeconfig": config(user, cluster)}, environ={})
    assert client.request("GET", "/")[1] == {"who": "client"}
    options = {f"client_{name}": str(certificates / f"client.{end}") for name, end in (("cert", "pem"), ("key", "key"))}
    by_options = Client({"host": server, "ca_cert": str(certificates / "ca.pem"), **options}, environ={})
    assert by_options.request("GET", "/")[1] == {"who": "client"}


def test_connections_of_several_threads_never_change_their_context(
    server: str, certificates: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Setting the protocols again frees what another thread's connection copies: a use after free, too rare to be waited for."""
    settings_made: list[str] = []
    for name in ("_set_alpn_protocols", "load_verify_locations", "load_cert_chain", "set_ciphers"):
        monkeypatch.setattr(ssl.SSLContext, name, recorded(name, settings_made))
    ca, cert, key = embedded(certificates, "ca.pem", "client.pem", "client.key")
    user = {"client-certificate-data": cert, "client-key-data": key}
    client = Client({"kubeconfig": config(user, {"server": server, "certificate-authority-data": ca})}, environ={})
    assert sorted(settings_made) == ["_set_alpn_protocols", "load_cert_chain", "load_verify_locations"]
    together = threading.Barrier(4, timeout=10)

    def ask(_number: int) -> str:
        together.wait()
        answer = client.stream("/", {}, 10)
        protocol = answer.connection.sock.selected_alpn_protocol()
        together.wait()  # so that each has a connection of its own
        answer.close()
        return str(protocol)

    assert client.each(ask, range(4)) == ["http/1.1"] * 4
    assert len(settings_made) == 3


def recorded(name: str, calls: list[str]) -> Any:
    """A method of a TLS context that tells when it is called."""
    method = getattr(ssl.SSLContext, name)

    def called(self: ssl.SSLContext, *args: Any, **options: Any) -> Any:
        calls.append(name)
        return method(self, *args, **options)

    return called


def test_a_server_is_checked(server: str, certificates: Path) -> None:
    ca, other, cert, key = embedded(certificates, "ca.pem", "client.pem", "client.pem", "client.key")
    user = {"client-certificate-data": cert, "client-key-data": key}

    def ask(**cluster: Any) -> Any:
        cluster = {"server": server, **cluster}
        return Client({"kubeconfig": config(user, cluster)}, environ={}).request("GET", "/")[1]

    who = {"who": "client"}
    assert ask(**{"certificate-authority-data": ca, "tls-server-name": "api.example.com"}) == who
    assert ask(**{"insecure-skip-tls-verify": True}) == who
    for wrong in (
        {"certificate-authority-data": other},
        {},
        {"certificate-authority-data": ca, "tls-server-name": "other.example.com"},
    ):
        with pytest.raises(UnreachableError, match="TLS"):
            ask(**wrong)


class Balancer(socketserver.ThreadingTCPServer):
    """A load balancer that accepts and hangs up while it has no server behind it, for its first two connections."""

    daemon_threads = True

    def __init__(self, behind: int) -> None:
        super().__init__(("127.0.0.1", 0), socketserver.BaseRequestHandler)
        self.behind, self.accepted = behind, 0

    def finish_request(self, request: Any, client_address: Any) -> None:  # noqa: ARG002
        self.accepted += 1
        hello = request.recv(65536)  # what is left unread would end the connection by a reset
        if self.accepted <= 2:
            return
        with socket.create_connection(("127.0.0.1", self.behind)) as server:
            server.sendall(hello)
            back = threading.Thread(target=piped, args=(server, request), daemon=True)
            back.start()
            piped(request, server)
            back.join()


def piped(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


def test_a_handshake_that_is_cut_off_is_tried_again(server: str, certificates: Path) -> None:
    ca, cert, key = embedded(certificates, "ca.pem", "client.pem", "client.key")
    user = {"client-certificate-data": cert, "client-key-data": key}
    with Balancer(int(server.rpartition(":")[2])) as balancer:
        threading.Thread(target=balancer.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        cluster = {"server": f"https://127.0.0.1:{balancer.server_address[1]}", "certificate-authority-data": ca}
        client = Client({"kubeconfig": config(user, cluster)}, environ={})
        assert client.request("GET", "/")[1] == {"who": "client"}
        assert (client.requests, balancer.accepted) == (3, 3)
        client._pool.clear()
        balancer.shutdown()


def test_a_key_that_does_not_fit_is_told_and_none_is_left_on_disk(
    certificates: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    ca, cert, key, wrong = embedded(certificates, "ca.pem", "client.pem", "client.key", "server.key")
    cluster = {"server": "https://192.0.2.1", "certificate-authority-data": ca}
    Client({"kubeconfig": config({"client-certificate-data": cert, "client-key-data": key}, cluster)}, environ={})
    with pytest.raises(KubeError, match="cannot be used"):
        Client({"kubeconfig": config({"client-certificate-data": cert, "client-key-data": wrong}, cluster)}, environ={})
    assert list(tmp_path.iterdir()) == []


def test_the_library_leaves_no_key_on_disk(
    server: str, certificates: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It removes its files when Python ends, which a worker of Ansible does not wait for."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    ca, cert, key = embedded(certificates, "ca.pem", "client.pem", "client.key")
    user = {"client-certificate-data": cert, "client-key-data": key}
    kubeconfig = config(user, {"server": server, "certificate-authority-data": ca})
    for _number in range(2):
        client = Client({"kubeconfig": kubeconfig, "no_proxy": "127.0.0.1"}, environ={})
        assert list(tmp_path.iterdir()) == []
        assert client.request("GET", "/")[1] == {"who": "client"}


def test_the_library_is_imported_only_when_it_is_needed(tmp_path: Path) -> None:
    program = """
import sys
sys.path.insert(0, ".collections")
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import Client
for path in sys.argv[1:]:
    Client({"kubeconfig": path}, environ={})
    print("kubernetes" in sys.modules)
"""
    paths = []
    answer = json.dumps({"apiVersion": V1, "kind": "ExecCredential", "status": {"token": "t"}})
    plugin = {"exec": {"apiVersion": V1, "command": "echo", "args": [answer], "interactiveMode": "Never"}}
    for name, user in (("plain", {"token": "t"}), ("plugin", plugin), ("login", {"username": "u", "password": "p"})):
        paths.append(tmp_path / name)
        paths[-1].write_text(yaml.safe_dump(config(user, {"server": "https://192.0.2.1"})), encoding="utf-8")
    argv = [sys.executable, "-c", program, *map(str, paths)]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == ["False", "False", "True"]
