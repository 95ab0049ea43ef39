# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask proxies for the weights that they really use. Reads Envoy's own configuration inside its pod, over `pods/exec`."""

from __future__ import annotations

import contextlib
import json
import random
import ssl
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from ansible_collections.servicemesh.platform.plugins.module_utils._canary_guard import is_ready
from ansible_collections.servicemesh.platform.plugins.module_utils._canary_plan import FULL
from ansible_collections.servicemesh.platform.plugins.module_utils._canary_routes import (
    EXTRA_SUFFIX,
    Aim,
    find,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._kube import Client, KubeError

with contextlib.suppress(ImportError):  # comes with the kubernetes package, whose absence _connection tells
    import websocket

Obj = Mapping[str, Any]
PROXY = "istio-proxy"
_COMMAND = ("pilot-agent", "request", "GET", "config_dump?resource=dynamic_route_configs")
_PAUSE = 0.25  # seconds between two looks
_TIMEOUT = 10.0  # seconds for one answer of a proxy


@dataclass(frozen=True, slots=True)
class Proof:
    """What proxies say. `proxies`: pods that have the weight; `missing`: pods that do not, with what they have."""

    proved: bool
    proxies: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    seconds: float = 0.0
    why: str = ""

    def as_dict(self) -> dict[str, Any]:
        """For the record and the result."""
        return {
            "proved": self.proved,
            "proxies": list(self.proxies),
            "missing": list(self.missing),
            "seconds": round(self.seconds, 2),
            **({"why": self.why} if self.why else {}),
        }


# Pure ------------------------------------------------------------------------------------------------------------------


def shares(dump: Obj, aim: Aim, names: Iterable[str]) -> set[int]:
    """Percent of the canary in each route of a proxy that leads to the service.

    `names`: the VirtualService's routes that are shifted; an Envoy route has the name of the one that it was made of. Istio leaves a
    destination of weight 0 out when there are others (pilot/pkg/networking/core/route/route.go).
    """
    wanted, found = set(names), set()
    for route in _routes(dump):
        name = str(route.get("name") or "")
        if name.endswith(EXTRA_SUFFIX) or (name not in wanted and "" not in wanted):
            continue
        clusters = _clusters(route.get("route") or {})
        mine = {subset: weight for subset, weight in clusters if subset}
        total = sum(mine.values())
        ours = {key: value for key, value in mine.items() if _is(key, aim)}
        if ours and total:
            canary = sum(value for key, value in ours.items() if key.split("|")[2] == aim.canary)
            found.add(round(FULL * canary / total))
    return found


def _routes(dump: Obj) -> Iterable[Obj]:
    for config in dump.get("configs") or []:
        for host in (config.get("route_config") or {}).get("virtual_hosts") or []:
            yield from host.get("routes") or []


def _clusters(action: Obj) -> list[tuple[str, int]]:
    if action.get("cluster"):
        return [(str(action["cluster"]), FULL)]
    entries = (action.get("weighted_clusters") or {}).get("clusters") or []
    return [(str(entry.get("name") or ""), int(entry.get("weight") or 0)) for entry in entries]


def _is(cluster: str, aim: Aim) -> bool:
    """Whether a cluster (`outbound|80|canary|host`) is one of the two subsets."""
    parts = cluster.split("|")
    return len(parts) == 4 and parts[0] == "outbound" and parts[3] == aim.host and parts[2] in (aim.stable, aim.canary)


def sampled(gateways: Sequence[Obj], sidecars: Sequence[Obj], number: int, choose: random.Random) -> list[Obj]:
    """Pods to ask: gateways first, because all traffic from outside passes them, then sidecars by lot."""
    pods = [pod for pod in gateways if _asks(pod)]
    choose.shuffle(pods)
    pods = pods[: max(1, number - 1)]
    rest = [pod for pod in sidecars if _asks(pod)]
    choose.shuffle(rest)
    return (pods + rest)[:number]


def _asks(pod: Obj) -> bool:
    spec = pod.get("spec") or {}
    containers = [*(spec.get("containers") or []), *(spec.get("initContainers") or [])]
    return is_ready(pod) and any(entry.get("name") == PROXY for entry in containers)


# I/O -------------------------------------------------------------------------------------------------------------------


class Prover:
    """Proofs of weights on one cluster."""

    def __init__(self, client: Client, samples: int, timeout: float) -> None:
        self._client = client
        self._samples, self._timeout = samples, timeout
        self._choose = random.Random()  # noqa: S311  # a sample, no secret

    def prove(self, virtual_services: Sequence[Obj], aim: Aim, weight: int) -> Proof:
        """Asks proxies until all of them have the weight, or `timeout` seconds have passed."""
        if self._samples < 1:
            return Proof(False, why="no proxy was asked (proof_samples is 0)")
        names = {
            place.name for item in virtual_services for place in find(item, aim).places if place.protocol == "http"
        }
        if not names:
            return Proof(False, why="only HTTP routes can be proved")
        begin = time.monotonic()
        pods = sampled(self._gateways(virtual_services), self._sidecars(aim), self._samples, self._choose)
        if not pods:
            return Proof(False, why="there is no ready proxy to ask")
        seen: dict[str, set[int]] = {}

        def ask(pod: Obj) -> set[int]:
            return self._shares(pod, aim, names)

        while True:
            left: list[Obj] = [pod for pod in pods if seen.get(_named(pod)) != {weight}]
            for pod, found in zip(left, self._client.each(ask, left), strict=True):
                seen[_named(pod)] = found
            have = sorted(name for name, found in seen.items() if found == {weight})
            # A proxy without any route to the service does not call it.
            missing = sorted(
                f"{name} has {sorted(found)}" for name, found in seen.items() if found and found != {weight}
            )
            took = time.monotonic() - begin
            if (have and not missing) or took > self._timeout:
                why = "" if have else "no proxy that was asked has a route to the service"
                return Proof(bool(have) and not missing, tuple(have), tuple(missing), took, why)
            time.sleep(_PAUSE)

    def _shares(self, pod: Obj, aim: Aim, names: Iterable[str]) -> set[int]:
        meta = pod["metadata"]
        try:
            return shares(json.loads(self.execute(meta["namespace"], meta["name"], PROXY, _COMMAND)), aim, names)
        except ValueError:
            return set()

    def _gateways(self, virtual_services: Sequence[Obj]) -> list[Obj]:
        found: dict[str, Obj] = {}
        for item in virtual_services:
            for name in (item.get("spec") or {}).get("gateways") or []:
                if name == "mesh":
                    continue
                namespace, _slash, short = name.rpartition("/")
                namespace = namespace if namespace not in ("", ".") else item["metadata"]["namespace"]
                gateway = self._client.get(f"/apis/networking.istio.io/v1/namespaces/{namespace}/gateways/{short}")
                selector = ((gateway or {}).get("spec") or {}).get("selector") or {}
                if selector:
                    query = {"labelSelector": ",".join(f"{key}={value}" for key, value in selector.items())}
                    for pod in self._client.list_all("/api/v1/pods", query)[0]:
                        found[_named(pod)] = pod
        return list(found.values())

    def _sidecars(self, aim: Aim) -> Sequence[Obj]:
        return self._client.list_all(f"/api/v1/namespaces/{aim.namespace}/pods")[0]

    def execute(self, namespace: str, pod: str, container: str, command: Sequence[str]) -> str:
        """What a command in a container prints. Raises KubeError when it may not run there."""
        query = [("command", word) for word in command]
        query += [("container", container), ("stdout", "1"), ("stderr", "0")]
        path = f"/api/v1/namespaces/{namespace}/pods/{pod}/exec?{urlencode(query)}"
        try:
            socket = _open(self._client, path)
        except (websocket.WebSocketException, OSError) as error:
            raise KubeError(
                f"pod {namespace}/{pod}: its proxy cannot be asked for the weights ({error}). Expected the right to create pods/exec; "
                "give it, or go without this proof (proof_samples: 0)"
            ) from None
        try:
            return _output(socket)
        finally:
            socket.close()


def _open(client: Client, path: str) -> Any:
    """A websocket to the API server, with the identity and the TLS settings of the client's pool."""
    pool, host = client._pool.connection_pool_kw, str(client._configuration.host)
    tls = (
        {"context": pool["ssl_context"]}
        if pool.get("ssl_context")
        else {
            "cert_reqs": ssl.CERT_NONE if pool.get("cert_reqs") in (ssl.CERT_NONE, "CERT_NONE") else ssl.CERT_REQUIRED,
            **{
                ours: pool[theirs]
                for ours, theirs in (("ca_certs", "ca_certs"), ("certfile", "cert_file"), ("keyfile", "key_file"))
                if pool.get(theirs)
            },
        }
    )
    if tls.get("cert_reqs") == ssl.CERT_NONE:
        tls["check_hostname"] = False
    headers = [f"{key}: {value}" for key, value in client._headers("*/*", None).items()]
    return websocket.create_connection(
        host.replace("http", "ws", 1) + path,
        timeout=_TIMEOUT,
        header=headers,
        subprotocols=["v4.channel.k8s.io"],
        sslopt=tls,
    )


def _output(socket: Any) -> str:
    """Standard output of a command: frames of channel 1 (kubernetes/kubernetes, remotecommand protocol v4)."""
    parts: list[bytes] = []
    while True:
        try:
            frame = socket.recv()
        except (websocket.WebSocketException, OSError):
            break
        if not frame:
            break
        data = frame if isinstance(frame, bytes) else frame.encode()
        if data[:1] == b"\x01":
            parts.append(data[1:])
        elif data[:1] == b"\x03":
            break
    return b"".join(parts).decode(errors="replace")


def _named(pod: Obj) -> str:
    return f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
