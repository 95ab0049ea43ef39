# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests into pods: HTTP by port forward, and commands by exec, both as WebSockets through the API server.

Envoy's admin interface listens on the pod's loopback address (port 15000), so the API server's pod proxy cannot reach it. A port forward
ends inside the pod's network namespace, runs nothing there and requires nothing of the image (a distroless proxy has no curl). istiod
answers requests for its debug endpoints without a token when they come from its own loopback address, as those of a port forward do
(istio pilot/pkg/xds/debug.go, allowAuthenticatedOrLocalhost).
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import Client
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import KubeError

with contextlib.suppress(ImportError):  # comes with the kubernetes package; config.IMPORT_ERROR holds the error
    import websocket

ADMIN = 15000
_TIMEOUT = 10.0  # seconds for one answer
_PROTOCOL = "v4.channel.k8s.io"


class PodError(KubeError):
    """A request into a pod failed. `right` is the missing right (`create pods/exec`), empty for another cause."""

    def __init__(self, message: str, right: str = "") -> None:
        self.right = right
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Executed:
    """How a command ended and what it printed. `code` is None when the API server did not say it."""

    code: int | None
    out: str
    error: str


@dataclass(frozen=True, slots=True)
class Reply:
    """A successful HTTP answer from inside a pod. `headers` have names in lower case."""

    headers: Mapping[str, str]
    body: bytes


def get(client: Client, namespace: str, pod: str, port: int, path: str, timeout: float = _TIMEOUT) -> Reply:
    """A GET on a port of a pod, which may be one of its loopback address. Raises PodError for every answer but 200."""
    data = _forwarded(client, namespace, pod, port, _get(path), timeout)
    head, _blank, body = data.partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    if first.split(b" ", 2)[1:2] != [b"200"]:
        line = first.decode(errors="replace") or "the connection was closed at once"
        who = "Envoy's admin interface" if port == ADMIN else f"port {port}"
        raise PodError(f"pod {namespace}/{pod}: {who} does not answer {path} ({line})")
    parts = (line.decode(errors="replace").partition(":") for line in lines)
    headers = {name.lower(): value.strip() for name, _colon, value in parts}
    return Reply(headers, _unchunked(body) if headers.get("transfer-encoding", "").lower() == "chunked" else body)


def admin(client: Client, namespace: str, pod: str, path: str, timeout: float = _TIMEOUT) -> bytes:
    """Body of a GET on Envoy's admin interface in a pod, for example of `/certs`. Raises PodError."""
    return get(client, namespace, pod, ADMIN, path, timeout).body


def admin_json(client: Client, namespace: str, pod: str, path: str) -> Any:
    """The same as parsed JSON. Raises PodError, also for a body that is not JSON."""
    body = admin(client, namespace, pod, path)
    try:
        return json.loads(body)
    except ValueError:
        raise PodError(f"pod {namespace}/{pod}: Envoy's answer to {path} is not JSON: {body[:80]!r}") from None


def execute(
    client: Client, namespace: str, pod: str, container: str, command: Sequence[str], timeout: float = 30.0
) -> Executed:
    """Runs a command in a container and waits at most `timeout` seconds for its end. Raises PodError."""
    query = [("command", word) for word in command]
    query += [("container", container), ("stdout", "1"), ("stderr", "1")]
    socket = _open(client, namespace, pod, f"exec?{urlencode(query)}", "exec", timeout)
    parts: dict[int, list[bytes]] = {1: [], 2: [], 3: []}
    try:
        for channel, data in _frames(socket, timeout):
            parts.setdefault(channel, []).append(data)
            if channel == 3:
                break
    finally:
        socket.shutdown()  # close() would wait for the other side to close
    out, error, status = (b"".join(parts[number]).decode(errors="replace") for number in (1, 2, 3))
    return Executed(_code(status), out, error)


def _code(status: str) -> int | None:
    """Exit code in the Status that ends an exec (kubernetes remotecommand, v4)."""
    try:
        body = json.loads(status)
    except ValueError:
        return None
    if body.get("status") == "Success":
        return 0
    for cause in (body.get("details") or {}).get("causes") or []:
        if cause.get("reason") == "ExitCode":
            return int(cause["message"]) if cause.get("message") else None
    return None


def _get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()


def _forwarded(client: Client, namespace: str, pod: str, port: int, request: bytes, timeout: float) -> bytes:
    """What comes back through a port forward until the other side closes."""
    socket = _open(client, namespace, pod, f"portforward?ports={port}", "portforward", timeout)
    parts: list[bytes] = []
    heard: set[int] = set()
    try:
        socket.send_binary(b"\x00" + request)
        for channel, data in _frames(socket, timeout):
            if channel not in heard:  # the first frame of a channel is the port's number
                heard.add(channel)
                data = data[2:]  # noqa: PLW2901
            if channel == 1 and data:
                why = data.decode(errors="replace").strip()
                raise PodError(f"pod {namespace}/{pod}: nothing listens on port {port} inside the pod ({why})")
            if data:
                parts.append(data)
                if _complete(
                    parts
                ):  # do not wait for the end of the stream: the node takes a second to close a forward
                    break
    finally:
        socket.shutdown()  # close() would wait for the other side to close
    return b"".join(parts)


def _complete(parts: list[bytes]) -> bool:
    """Whether an HTTP answer is complete."""
    head, blank, body = parts[0].partition(b"\r\n\r\n")
    for line in head.split(b"\r\n") if blank else ():
        name, _colon, value = line.partition(b":")
        if name.lower() == b"content-length":
            return len(body) + sum(map(len, parts[1:])) >= int(value)
    return bool(blank) and b"".join(parts[-2:]).endswith(b"\r\n0\r\n\r\n")


def _unchunked(body: bytes) -> bytes:
    parts = []
    while body:
        size, _newline, rest = body.partition(b"\r\n")
        length = int(size.split(b";")[0] or b"0", 16)
        if not length:
            break
        parts.append(rest[:length])
        body = rest[length + 2 :]
    return b"".join(parts)


def _frames(socket: Any, timeout: float) -> Any:
    """Yields (channel, data) until the other side closes. Raises PodError after `timeout` seconds."""
    end = time.monotonic() + timeout
    while True:
        socket.settimeout(max(0.05, end - time.monotonic()))
        try:
            frame = socket.recv()
        except websocket.WebSocketTimeoutException:
            raise PodError(f"no answer from the pod within {timeout:.0f} s") from None
        except (websocket.WebSocketException, OSError):
            return
        if not frame:
            return
        data = frame if isinstance(frame, bytes) else frame.encode()
        yield data[0], data[1:]


def _open(client: Client, namespace: str, pod: str, rest: str, kind: str, timeout: float) -> Any:
    """A WebSocket to a pod's subresource, with the identity and the TLS settings of the client."""
    client.count_request()
    through: dict[str, Any] = {}
    if client.proxy is not None:
        host, port = client.proxy
        through = {"http_proxy_host": host, "http_proxy_port": port, "proxy_type": "http"}
    try:
        return websocket.create_connection(
            f"ws{client.server.removeprefix('http')}/api/v1/namespaces/{namespace}/pods/{pod}/{rest}",
            timeout=timeout,
            header=[f"{key}: {value}" for key, value in client.headers("*/*").items()],
            subprotocols=[_PROTOCOL],
            sslopt=_tls_options(client.tls),
            **through,
        )
    except websocket.WebSocketBadStatusException as error:
        right = f"create pods/{kind}" if error.status_code == 403 else ""
        said = (error.resp_body or b"").decode(errors="replace")[:200]
        what = (
            f"Expected the right to {right} in namespace {namespace}" if right else f"HTTP {error.status_code}: {said}"
        )
        raise PodError(f"pod {namespace}/{pod} cannot be asked: {what}", right) from None
    except (websocket.WebSocketException, OSError) as error:
        raise PodError(f"pod {namespace}/{pod} cannot be asked at {urlsplit(client.server).netloc}: {error}") from None


def _tls_options(tls: Mapping[str, Any]) -> dict[str, Any]:
    """TLS settings of urllib3 as those of websocket-client."""
    names = {"ssl_context": "context", "server_hostname": "server_hostname"}  # `tls-server-name` of a kubeconfig
    return {theirs: tls[ours] for ours, theirs in names.items() if tls.get(ours)}
