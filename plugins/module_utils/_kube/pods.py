# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The way into pods: Envoy's admin interface by port forward, and commands by exec, both as websockets through the API server.

Envoy's admin interface listens on the pod's loopback (15000), so the API server's pod proxy cannot reach it; a port forward ends inside the
pod's network namespace, runs nothing there and asks nothing of the image (a distroless proxy has no curl). istiod's debug endpoints tell
what it would send, not what Envoy runs, so they are no proof.
"""

from __future__ import annotations

import contextlib
import json
import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import Client
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import KubeError

with contextlib.suppress(ImportError):  # comes with the kubernetes package, whose absence _connection tells
    import websocket

ADMIN = 15000
_TIMEOUT = 10.0  # seconds for one answer
_PROTOCOL = "v4.channel.k8s.io"


class PodError(KubeError):
    """A pod that could not be asked. `right` is the missing right (`create pods/exec`), empty for another cause."""

    def __init__(self, message: str, right: str = "") -> None:
        self.right = right
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Executed:
    """How a command ended: `code` -1 when it could not be told, and what it printed."""

    code: int
    out: str
    error: str


def admin(client: Client, namespace: str, pod: str, path: str, timeout: float = _TIMEOUT) -> bytes:
    """Body of a GET on Envoy's admin interface in a pod, as `/certs`. Raises PodError."""
    data = _forwarded(client, namespace, pod, ADMIN, _get(path), timeout)
    head, _blank, body = data.partition(b"\r\n\r\n")
    status = head.split(b" ", 2)[1:2]
    if status != [b"200"]:
        line = head.partition(b"\r\n")[0].decode(errors="replace")
        raise PodError(
            f"pod {namespace}/{pod}: Envoy's admin interface does not answer {path} ({line or 'it closed at once'})"
        )
    return _unchunked(body) if b"transfer-encoding: chunked" in head.lower() else body


def admin_json(client: Client, namespace: str, pod: str, path: str) -> Any:
    """The same, parsed. Raises PodError for what is not JSON."""
    body = admin(client, namespace, pod, path)
    try:
        return json.loads(body)
    except ValueError:
        raise PodError(f"pod {namespace}/{pod}: Envoy's answer to {path} is not JSON: {body[:80]!r}") from None


def execute(
    client: Client, namespace: str, pod: str, container: str, command: Sequence[str], timeout: float = 30.0
) -> Executed:
    """Runs a command in a container and waits for its end, `timeout` seconds at most. Raises PodError."""
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
        socket.shutdown()  # close() would wait for the other side
    out, error, status = (b"".join(parts[number]).decode(errors="replace") for number in (1, 2, 3))
    return Executed(_code(status), out, error)


def _code(status: str) -> int:
    """Exit code in the Status that ends an exec (kubernetes remotecommand, v4)."""
    try:
        body = json.loads(status)
    except ValueError:
        return -1
    if body.get("status") == "Success":
        return 0
    for cause in (body.get("details") or {}).get("causes") or []:
        if cause.get("reason") == "ExitCode":
            return int(cause.get("message") or -1)
    return -1


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
                raise PodError(f"pod {namespace}/{pod}: nothing answers on port {port} inside of it ({why})")
            if data:
                parts.append(data)
                if _complete(parts):  # the close of a forward takes the node a second
                    break
    finally:
        socket.shutdown()  # close() would wait for the other side
    return b"".join(parts)


def _complete(parts: list[bytes]) -> bool:
    """Whether an HTTP answer is all there."""
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
    """(channel, data) until the other side closes. Raises PodError when the time is up."""
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
    """A websocket to a pod's subresource, with the identity and the TLS settings of the client."""
    with client._lock:
        client.requests += 1
    host = str(client._configuration.host)
    headers = [f"{key}: {value}" for key, value in client._headers("*/*", None).items()]
    proxy = client._pool.proxy
    through = {"http_proxy_host": proxy.host, "http_proxy_port": proxy.port, "proxy_type": "http"} if proxy else {}
    try:
        return websocket.create_connection(
            f"ws{host.removeprefix('http')}/api/v1/namespaces/{namespace}/pods/{pod}/{rest}",
            timeout=timeout,
            header=headers,
            subprotocols=[_PROTOCOL],
            sslopt=_tls(client),
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
        raise PodError(f"pod {namespace}/{pod} cannot be asked at {urlsplit(host).netloc}: {error}") from None


def _tls(client: Client) -> dict[str, Any]:
    pool = client._pool.connection_pool_kw
    if pool.get("ssl_context"):
        return {"context": pool["ssl_context"]}
    unchecked = pool.get("cert_reqs") in (ssl.CERT_NONE, "CERT_NONE")
    settings: dict[str, Any] = {"cert_reqs": ssl.CERT_NONE if unchecked else ssl.CERT_REQUIRED}
    if unchecked:
        settings["check_hostname"] = False
    for ours, theirs in (("ca_certs", "ca_certs"), ("certfile", "cert_file"), ("keyfile", "key_file")):
        if pool.get(theirs):
            settings[ours] = pool[theirs]
    return settings
