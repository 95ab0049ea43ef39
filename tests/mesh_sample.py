# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers of a mesh for mesh_info, of any size, in the shapes that the API server, istiod, Envoy and Prometheus give them.

Each answer is JSON text, which is parsed again each time, as it would be from the wire. `Answers` stands in for the client: what is tested
with it is what mesh_info makes of answers, and how long that takes.
"""

from __future__ import annotations

import email.utils
import json
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ansible_collections.servicemesh.platform.plugins.filter.mesh_reports import mesh_reports
from ansible_collections.servicemesh.platform.plugins.module_utils._kube import pods
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import ApiError
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.http import typed
from ansible_collections.servicemesh.platform.plugins.module_utils._mesh.diagnose import cluster
from ansible_collections.servicemesh.platform.plugins.modules import mesh_info

NOW = datetime(2026, 11, 26, 18, 0, 0, tzinfo=UTC)
DATE = email.utils.format_datetime(NOW, usegmt=True)
ATTACK = "<script>alert(1)</script>\x1b[31m"
PLACE = "istio-system"
TYPES = (
    "type.googleapis.com/envoy.config.cluster.v3.Cluster",
    "type.googleapis.com/envoy.config.listener.v3.Listener",
    "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
    "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
)
PAGE = 500  # objects, as the client asks for
Obj = dict[str, Any]


def at(seconds: float) -> str:
    """A time before now."""
    return (NOW - timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def meta(name: str, namespace: str, **labels: str) -> Obj:
    return {
        "name": name, "namespace": namespace, "labels": labels, "creationTimestamp": at(9000),
        "managedFields": [{"manager": "helm", "fieldsV1": {"f:spec": {"f:x": {}}}}],
    }  # fmt: skip


def pod(name: str, namespace: str, workload: str, *, proxy: str = "sidecar", **status: Any) -> Obj:
    """A pod about as large as the injector leaves it."""
    names = [*([] if proxy == "router" else ["app"]), *(["istio-proxy"] if proxy else [])]
    containers = [
        {
            "name": n, "image": f"localhost/{n}:1", "args": ["proxy", proxy] if n == "istio-proxy" else [],
            "env": [{"name": f"ISTIO_META_{i}", "value": "x" * 60} for i in range(30)],
        }
        for n in names
    ]  # fmt: skip
    entries = [{"name": n, "ready": True, "restartCount": 0, "state": {"running": {}}} for n in names]
    conditions = [{"type": "Ready", "status": "True", "lastTransitionTime": at(8000)}]
    owner = {"kind": "ReplicaSet", "name": f"{workload}-abc", "controller": True}
    return {
        "metadata": {**meta(name, namespace, app=workload, track="stable", **{"pod-template-hash": "abc"}), "ownerReferences": [owner]},
        "spec": {"serviceAccountName": workload, "containers": containers},
        "status": {"phase": "Running", "podIP": "10.0.0.1", "conditions": conditions, "containerStatuses": entries, **status},
    }  # fmt: skip


def synced(proxy: str, kind: str = "sidecar", **changed: Any) -> Obj:
    """A row of /debug/syncz."""
    resources = {
        url: {"sent": f"{number}x", "acked": f"{number}x", "sentTime": at(60)} for number, url in enumerate(TYPES)
    }
    return {
        "cluster_id": "Kubernetes",
        "proxy": proxy,
        "proxy_type": kind,
        "istio_version": "1.31.0",
        "resources": {**resources, **changed},
    }


def certs(identity: str) -> Obj:
    """An answer to /certs."""
    leaf = {
        "subject_alt_names": [{"uri": identity}],
        "serial_number": identity[-6:],
        "valid_from": at(3600),
        "expiration_time": at(-82800),
    }
    root = {
        "serial_number": "r00t",
        "subject_alt_names": [],
        "valid_from": at(86400 * 30),
        "expiration_time": at(-86400 * 3600),
    }
    return {"certificates": [{"ca_cert": [root], "cert_chain": [leaf]}]}


def series(caller: str, service: str, number: float) -> Obj:
    labels = {
        "reporter": "source",
        "source_workload": caller,
        "source_workload_namespace": "shop",
        "destination_service_name": service,
    }
    return {"metric": {**labels, "destination_service_namespace": "shop"}, "value": [NOW.timestamp(), str(number)]}


class Mesh:
    """A mesh of `workloads` with `replicas` proxies each, two istiods, and a gateway. `lists`: objects by plural."""

    def __init__(self, workloads: int = 3, replicas: int = 2) -> None:
        spaces = [f"shop{number}" if number else "shop" for number in range(max(1, workloads // 50))]
        self.names = [(spaces[number % len(spaces)], f"w{number}") for number in range(workloads)]
        each = [(space, name, f"{name}-abc-{n}") for space, name in self.names for n in range(replicas)]
        gateway = pod("istio-ingressgateway-abc-1", PLACE, "istio-ingressgateway", proxy="router")
        istiods = [pod(f"istiod-abc-{n}", PLACE, "istiod", proxy="") for n in (1, 2)]
        self.lists: dict[str, list[Obj]] = {
            "pods": [*istiods, gateway, *(pod(one, space, name) for space, name, one in each)],
            "namespaces": [{"metadata": {"name": s, "labels": {"istio-injection": "enabled"}}} for s in spaces],
            "services": [self._spec(s, n, selector={"app": n}, ports=[{"name": "http", "port": 80}]) for s, n in self.names],
            "endpointslices": [
                {"metadata": meta(n, s, **{"kubernetes.io/service-name": n}), "endpoints": [{"conditions": {"ready": True}}]}
                for s, n in self.names
            ],
            "virtualservices": [self._spec(s, n, **self._routes(n)) for s, n in self.names],
            "destinationrules": [self._spec(s, n, host=n, subsets=self._subsets()) for s, n in self.names],
            "gateways": [self._spec("shop", "public", selector={"app": "istio-ingressgateway"})],
            "events": [], "ingresses": [],
        }  # fmt: skip
        rows = [
            synced(f"istio-ingressgateway-abc-1.{PLACE}", "router"),
            *(synced(f"{one}.{space}") for space, _name, one in each),
        ]
        self.rows = {"istiod-abc-1": rows[::2], "istiod-abc-2": rows[1::2]}
        self.totals, self.failed = [series("w0", "w1", 100)], [series("w0", "w1", 0)]

    @staticmethod
    def _spec(namespace: str, name: str, **spec: Any) -> Obj:
        return {"metadata": meta(name, namespace), "spec": spec}

    @staticmethod
    def _routes(name: str) -> Obj:
        weighted = [
            {"destination": {"host": name, "subset": "stable"}, "weight": 100},
            {"destination": {"host": name, "subset": "canary"}, "weight": 0},
        ]
        return {"hosts": [name], "gateways": ["mesh", "shop/public"], "http": [{"route": weighted}]}

    @staticmethod
    def _subsets() -> list[Obj]:
        return [{"name": track, "labels": {"track": track}} for track in ("stable", "canary")]


class Answers:
    """Stands in for the client, with the answers of a mesh. `refuses`: plurals that may not be listed. `pause`: seconds of each request."""

    def __init__(self, mesh: Mesh, refuses: frozenset[str] = frozenset(), pause: float = 0.0) -> None:
        self.mesh_config = "istio"
        self.requests, self.pause, self._refuses, self._lock = 0, pause, refuses, threading.Lock()
        self._pages = {
            plural: [
                json.dumps({"kind": "List", "apiVersion": "v1", "items": items[i : i + PAGE]})
                for i in range(0, len(items), PAGE)
            ]
            for plural, items in mesh.lists.items()
        }
        self._inside: dict[str, str] = {name: json.dumps(rows) for name, rows in mesh.rows.items()}
        self._queries = [
            json.dumps({"status": "success", "data": {"resultType": "vector", "result": found}})
            for found in (mesh.totals, mesh.failed)
        ]

    def _asked(self) -> None:
        with self._lock:
            self.requests += 1
        time.sleep(self.pause)

    def request(
        self, _method: str, _path: str, headers_to: dict[str, str] | None = None, **_options: Any
    ) -> tuple[int, Obj]:
        self._asked()
        if headers_to is not None:
            headers_to["Date"] = DATE
        return 200, {}

    def list_reduced(self, path: str, _query: Any, reduce: Callable[[Obj], Any]) -> tuple[list[Any], str]:
        plural = path.rpartition("/")[2]
        if plural in self._refuses:
            raise ApiError("GET", path, 403, {"kind": "Status", "message": "no"})
        found = []
        for page in self._pages.get(plural, []):
            self._asked()
            found += [reduce(obj) for obj in typed(json.loads(page))]
        return found, "1"

    def get(self, path: str, **_options: Any) -> Obj | None:
        self._asked()
        if path.endswith(f"/configmaps/{self.mesh_config}"):
            return {"data": {"mesh": "rootNamespace: istio-system\n"}}
        if path.startswith(("/api/", "/apis/")) and path.count("/") <= 3:  # what a version has
            return {"resources": [{"name": plural} for plural in self._refuses]}
        return {"items": []} if path.endswith("/deployments") else None

    def read(self, path: str, **_options: Any) -> bytes:
        self._asked()
        return self._queries["response_code" in path.split("by+")[1].partition("increase")[2]].encode()

    def each(self, function: Callable[[Any], Any], items: Any) -> list[Any]:
        with ThreadPoolExecutor(max_workers=16) as pool:
            return list(pool.map(function, items))

    def inside(self, _client: Any, namespace: str, name: str, _port: int, path: str, _timeout: float = 0) -> pods.Reply:
        """Answers of istiods and proxies."""
        self._asked()
        if path == "/certs":
            return pods.Reply({}, json.dumps(certs(f"spiffe://cluster.local/ns/{namespace}/sa/{name}")).encode())
        if path == "/version":
            return pods.Reply({}, b"1.31.0-abc-Clean")
        return pods.Reply({"date": DATE}, self._inside[name].encode())


class Invocation:
    """A call of the module."""

    check_mode = _diff = False

    def __init__(self, **options: Any) -> None:
        defaults = {name: entry.get("default") for name, entry in mesh_info.ARGUMENTS.items()}
        prometheus = {
            "url": None,
            "service": "monitoring/prometheus:9090",
            "headers": {},
            "username": "",
            "password": "",
            "validate_certs": True,
            "ca_cert": None,
        }
        self.params: Obj = {**defaults, "prometheus": prometheus, "istioctl": "no-such-istioctl", **options}

    def warn(self, warning: str) -> None:
        raise AssertionError(warning)


def bad_mesh(attack: str = ATTACK) -> Mesh:
    """A mesh with a finding in each section. `attack`: what is in texts of others."""
    mesh = Mesh()
    one, two = mesh.rows["istiod-abc-1"], mesh.rows["istiod-abc-2"]
    one[1] = synced(
        one[1]["proxy"],
        **{
            TYPES[1]: {
                "sent": "2",
                "acked": "1",
                "sentTime": at(74),
                "lastError": f"Error adding listener: no such filter {attack}",
            }
        },
    )
    two[0] = synced(two[0]["proxy"], **{TYPES[0]: {"sent": "2", "acked": "1", "sentTime": at(600)}})
    del two[-1]
    mesh.lists["virtualservices"][0]["spec"]["gateways"] = ["shop/none"]
    killed = {"terminated": {"reason": "OOMKilled", "exitCode": 137, "finishedAt": at(300)}}
    mesh.lists["pods"][-1]["status"]["containerStatuses"][0] |= {"restartCount": 3, "lastState": killed}
    about = {"kind": "Pod", "namespace": "shop", "name": "w0-abc-0"}
    mesh.lists["events"] = [
        {
            "metadata": {},
            "involvedObject": about,
            "reason": "Unhealthy",
            "lastTimestamp": at(30),
            "message": f"Readiness probe failed {attack}",
            "count": 4,
        }
    ]
    mesh.failed = [series("w0", "w1", 12)]
    return mesh


def result(answers: Answers, patched: Any, **options: Any) -> Obj:
    """Result of the module. `patched`: pytest's monkeypatch."""
    patched.setattr(mesh_info, "connected", lambda _module: answers)
    patched.setattr(pods, "get", answers.inside)
    patched.setattr(cluster, "_CONNECTED", 0.0)
    return mesh_info.work(Invocation(**options))


def written(folder: Path, told: Mapping[str, Any]) -> Path:
    """The page of a result in a folder."""
    report = {**told, "cluster": "prod-eu-1", "time": "2026-11-26T18:00:00Z"}
    for name, text in mesh_reports(report, "diagnosis").items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder / "diagnosis.html"
