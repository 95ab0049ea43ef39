# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Workloads to break mutual TLS on, and calls between them that do not use the modules under test.

The servers answer with the certificate header that their sidecar adds to a mutual TLS call, so a call's answer shows how it came. Calls are
made by Python in the callers' own containers: `meshed` has a sidecar, `outside` has none.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import Client
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import ApiError

from tests.integration.conftest import run_module
from tests.support import Cluster

IMAGE = "localhost/ecommerce/user-service:v1.0"
POLICIES = {
    "PeerAuthentication": "/apis/security.istio.io/v1/namespaces/{}/peerauthentications",
    "DestinationRule": "/apis/networking.istio.io/v1/namespaces/{}/destinationrules",
    "Sidecar": "/apis/networking.istio.io/v1/namespaces/{}/sidecars",
    "VirtualService": "/apis/networking.istio.io/v1/namespaces/{}/virtualservices",
    "WorkloadEntry": "/apis/networking.istio.io/v1/namespaces/{}/workloadentries",
}
GONE = "gone"  # the connection was closed or reset

_SERVER = """
import http.server, threading
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        certificate = self.headers.get("x-forwarded-client-cert") or "plain"
        with open("/tmp/heard", "a") as heard:
            heard.write(f"{self.headers['Host']} {certificate}\\n")
        data = certificate.encode()
        self.send_response(200)
        if self.headers.get("Content-Type") == "application/grpc":
            self.send_header("Content-Type", "application/grpc")
            self.send_header("grpc-status", self.headers["X-Answer"])
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
    def log_message(self, *_): pass
servers = [http.server.ThreadingHTTPServer(("0.0.0.0", port), Handler) for port in (8080, 9090)]
threads = [threading.Thread(target=server.serve_forever) for server in servers]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
"""

# [[URL, HEADERS], …] as JSON -> for each one status and body, or `gone`
_CALL = """
import http.client, json, sys, urllib.parse
def call(url, headers):
    url = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(url.hostname, url.port, timeout=8)
    try:
        connection.request("GET", "/", headers=headers)
        answer = connection.getresponse()
        return [answer.status, answer.read().decode(errors="replace")]
    except (ConnectionError, http.client.HTTPException):
        return "gone"
print(json.dumps([call(*one) for one in json.loads(sys.argv[1])]))
"""


@dataclass(frozen=True)
class Heard:
    """What a caller got: HTTP status (0: the connection was closed) and whether the server's sidecar saw mutual TLS."""

    status: int
    mutual: bool

    @property
    def came_through(self) -> bool:
        return self.status == 200


def deployment(
    namespace: str,
    name: str,
    *,
    inject: bool = True,
    annotations: dict[str, str] | None = None,
    tls_label: str = "",
) -> dict[str, Any]:
    labels = {"app": name, "pool": "mixed" if name in ("web", "bare") else "none"}
    if tls_label:
        labels["security.istio.io/tlsMode"] = tls_label
    container = {
        "name": "app",
        "image": IMAGE,
        "imagePullPolicy": "Never",
        "command": ["python3", "-c", _SERVER],
        "readinessProbe": {"tcpSocket": {"port": 8080}, "periodSeconds": 1},
        "resources": {"requests": {"cpu": "5m", "memory": "24Mi"}},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {
                    "labels": {**labels, "sidecar.istio.io/inject": str(inject).lower()},
                    "annotations": annotations or {},
                },
                "spec": {"terminationGracePeriodSeconds": 0, "containers": [container]},
            },
        },
    }


def service(
    namespace: str, name: str, selector: dict[str, str], ports: dict[int, int], *, headless: bool = False
) -> dict[str, Any]:
    spec: dict[str, Any] = {
        "selector": selector,
        "ports": [{"name": f"http-{port}", "port": port, "targetPort": target} for port, target in ports.items()],
    }
    if headless:
        spec["clusterIP"] = "None"
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": namespace}, "spec": spec}


class Bed:
    """A namespace with servers and callers, and the policies that a test creates in it."""

    def __init__(self, kubeconfig: str, namespace: str) -> None:
        self.cluster, self.namespace = Cluster(kubeconfig), namespace
        self.client = Client({"kubeconfig": kubeconfig}, environ={})
        self.far = f"{namespace}-far"
        # The port that `aloof` keeps from its sidecar. One for each worker: the callers of one bed are callers of the other beds, too.
        self.kept = 82 + int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
        self._pods: dict[str, tuple[str, str, str]] = {}  # app -> namespace, pod, address

    @classmethod
    @contextlib.contextmanager
    def standing(cls) -> Iterator[Bed]:
        """A bed with a name of its own. It is removed at the end."""
        made = cls(os.environ["KUBECONFIG"], f"t-mtls-{uuid.uuid4().hex[:6]}")
        try:
            made.make()
            yield made
        finally:
            made.remove()

    def make(self) -> None:
        """Creates namespaces, workloads and services, and waits until they are ready."""
        name, two = self.namespace, {80: 8080, 81: 9090}
        space = {
            "metadata": {"name": name, "labels": {"istio-injection": "enabled"}},
            "apiVersion": "v1",
            "kind": "Namespace",
        }
        aside = {"traffic.sidecar.istio.io/excludeInboundPorts": "8080"}
        result = run_module(
            "apply",
            definitions=[
                space,
                {**space, "metadata": {**space["metadata"], "name": self.far}},
                deployment(self.far, "far"),
                deployment(name, "web"),
                deployment(name, "bare", inject=False),
                deployment(name, "aside", annotations=aside),
                deployment(name, "liar", inject=False, tls_label="istio"),
                deployment(name, "shy", tls_label="disabled"),
                deployment(
                    name, "aloof", annotations={"traffic.sidecar.istio.io/excludeOutboundPorts": str(self.kept)}
                ),
                deployment(name, "meshed"),
                deployment(name, "outside", inject=False),
                service(name, "web", {"app": "web"}, {**two, self.kept: 8080}),
                service(name, "bare", {"app": "bare"}, two),
                service(name, "aside", {"app": "aside"}, two),
                service(name, "liar", {"app": "liar"}, two),
                service(name, "shy", {"app": "shy"}, two),
                service(name, "web-headless", {"app": "web"}, {8080: 8080}, headless=True),
                service(name, "mixed", {"pool": "mixed"}, {8080: 8080}, headless=True),
            ],
            wait_timeout=180,
        )
        assert not result.get("failed"), result["msg"]
        for app in ("web", "bare", "aside", "liar", "shy", "aloof", "meshed", "outside", "far"):
            self.meet(app, self.far if app == "far" else name)

    def remove(self) -> None:
        """Deletes both namespaces, without waiting for the end."""
        for name in (self.namespace, self.far):
            with contextlib.suppress(ApiError):
                self.client.request("DELETE", f"/api/v1/namespaces/{name}")

    def meet(self, app: str, namespace: str = "") -> None:
        """Remembers the only pod of an app, which may then be called and make calls."""
        where = namespace or self.namespace
        (pod,) = self.cluster.pods(where, f"app={app}")
        self._pods[app] = (where, pod.metadata.name, pod.status.pod_ip)

    def ip(self, app: str) -> str:
        return self._pods[app][2]

    def call(self, caller: str, url: str, host: str = "", **headers: str) -> Heard:
        """A call from a caller's own container. Headers are named with underscores."""
        sent = {**({"Host": host} if host else {}), **{key.replace("_", "-"): value for key, value in headers.items()}}
        return self.calls_by(caller, [(url, sent)])[0]

    def calls_by(self, caller: str, calls: list[tuple[str, dict[str, str]]]) -> list[Heard]:
        """Calls (URL, headers) from a caller's own container, one after the other."""
        namespace, pod, _ip = self._pods[caller]
        done = self.cluster.execute(namespace, pod, "app", ["python3", "-c", _CALL, json.dumps(calls)])
        assert done.code == 0, done.out
        identity = f"URI=spiffe://cluster.local/ns/{namespace}/sa/default"
        return [
            Heard(0, False) if answer == GONE else Heard(answer[0], identity in answer[1])
            for answer in json.loads(done.out)
        ]

    def heard(self, app: str) -> list[tuple[str, str]]:
        """Requests that a server got so far: host, and the certificate header or `plain`."""
        namespace, pod, _ip = self._pods[app]
        done = self.cluster.execute(namespace, pod, "app", ["sh", "-c", "cat /tmp/heard || true"])
        lines = (line.partition(" ") for line in done.out.splitlines() if " " in line)
        return [(host, certificate) for host, _space, certificate in lines]

    def host(self, name: str) -> str:
        return f"{name}.{self.namespace}.svc.cluster.local"

    def policies(self, *objects: dict[str, Any]) -> None:
        """Creates these policies in the namespaces, and deletes all others."""
        for path in POLICIES.values():
            for namespace in (self.namespace, self.far):
                self.client.request("DELETE", path.format(namespace))
        for entry in objects:
            if entry["metadata"]["name"].startswith("younger"):
                time.sleep(1.1)  # times of creation have whole seconds
            self.client.request("POST", POLICIES[entry["kind"]].format(entry["metadata"]["namespace"]), body=entry)

    def change(self, state: str, entry: dict[str, Any]) -> None:
        """Creates or changes a policy or a Service, or deletes it (`absent`)."""
        paths = {**POLICIES, "Service": "/api/v1/namespaces/{}/services"}
        path = paths[entry["kind"]].format(entry["metadata"]["namespace"])
        own = f"{path}/{entry['metadata']['name']}"
        if state == "absent":
            self.client.request("DELETE", own)
        elif self.client.get(own) is None:
            self.client.request("POST", path, body=entry)
        else:
            self.client.request("PATCH", own, body=entry, content_type="application/merge-patch+json")

    def peer(
        self, name: str = "default", mode: str = "STRICT", app: str = "", ports: dict[int, str] | None = None
    ) -> dict[str, Any]:
        spec: dict[str, Any] = {"mtls": {"mode": mode}}
        if app:
            spec["selector"] = {"matchLabels": {"app": app}}
        if ports:
            spec["portLevelMtls"] = {str(port): {"mode": value} for port, value in ports.items()}
        meta = {"name": name, "namespace": self.namespace}
        return {"apiVersion": "security.istio.io/v1", "kind": "PeerAuthentication", "metadata": meta, "spec": spec}

    def destination_rule(
        self, service: str, mode: str, *, namespace: str = "", exported: str = "", **traffic: Any
    ) -> dict[str, Any]:
        meta = {"name": f"rule-{service}", "namespace": namespace or self.namespace}
        tls = {"tls": {"mode": mode}} if mode else {}
        spec: dict[str, Any] = {"host": self.host(service), "trafficPolicy": {**tls, **traffic}}
        if exported:
            spec["exportTo"] = [exported]
        return {"apiVersion": "networking.istio.io/v1", "kind": "DestinationRule", "metadata": meta, "spec": spec}

    def bare_rule(self, service: str) -> dict[str, Any]:
        """A rule without a trafficPolicy."""
        made = self.destination_rule(service, "")
        del made["spec"]["trafficPolicy"]
        return made

    def subset_rule(self, service: str, mode: str) -> dict[str, Any]:
        """A rule that is ISTIO_MUTUAL but for its one subset."""
        made = self.destination_rule(service, "ISTIO_MUTUAL")
        labels, policy = {"app": service}, {"tls": {"mode": mode}}
        made["spec"]["subsets"] = [{"name": "all", "labels": labels, "trafficPolicy": policy}]
        return made

    @staticmethod
    def renamed(name: str, entry: dict[str, Any]) -> dict[str, Any]:
        return {**entry, "metadata": {**entry["metadata"], "name": name}}

    @staticmethod
    def port_setting(port: int, mode: str = "") -> dict[str, Any]:
        """An entry of portLevelSettings, without tls when no mode is given."""
        tls = {"tls": {"mode": mode}} if mode else {"loadBalancer": {"simple": "RANDOM"}}
        return {"port": {"number": port}, **tls}

    def route(self, service: str, subset: str = "", *, to: str = "", copies_to: str = "") -> dict[str, Any]:
        """A VirtualService that sends all calls to a subset or to another service, and copies of them to a third one."""
        meta = {"name": f"route-{service}", "namespace": self.namespace}
        destination = {"host": self.host(to or service), **({"subset": subset} if subset else {})}
        mirror = {"mirror": {"host": self.host(copies_to)}} if copies_to else {}
        spec = {"hosts": [self.host(service)], "http": [{"route": [{"destination": destination}], **mirror}]}
        return {"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": meta, "spec": spec}

    def sidecar(self, *hosts: str) -> dict[str, Any]:
        """A Sidecar object of the far namespace."""
        meta = {"name": "default", "namespace": self.far}
        spec = {"egress": [{"hosts": list(hosts)}]}
        return {"apiVersion": "networking.istio.io/v1", "kind": "Sidecar", "metadata": meta, "spec": spec}

    def entry(self, app: str, address: str) -> dict[str, Any]:
        """A WorkloadEntry that the Service of `app` selects, without a mark of a sidecar."""
        meta = {"name": f"vm-{app}", "namespace": self.namespace}
        spec = {"address": address, "labels": {"app": app}}
        return {"apiVersion": "networking.istio.io/v1", "kind": "WorkloadEntry", "metadata": meta, "spec": spec}

    def judged(self, **options: Any) -> dict[str, Any]:
        """Result of mtls_info on the namespace, with STRICT demanded of it."""
        result = run_module("mtls_info", namespaces=[self.namespace], want={self.namespace: "strict"}, **options)
        assert not result.get("failed"), result["msg"]
        return result

    def calls(self, **options: Any) -> dict[tuple[str, str, int], dict[str, Any]]:
        """What mtls_info computes: (client, service, port) -> call."""
        return calls_of(self.judged(**options))


def calls_of(result: dict[str, Any]) -> dict[tuple[str, str, int], dict[str, Any]]:
    """(client, service, port) -> call."""
    return {(e["client"], e["service"].partition("/")[2], e["port"]): e for e in result["calls"]}


def steady(look: Callable[[], Any], right: Callable[[Any], bool], patience: float = 20.0, still: float = 2.0) -> Any:
    """The answer, once it is right and still right after `still` seconds, because istiod pushes with a delay; else the last one."""
    end = time.monotonic() + patience
    while True:
        answer = look()
        if right(answer):
            time.sleep(still)
            again = look()
            if right(again):
                return again
            answer = again
        if time.monotonic() > end:
            return answer
        time.sleep(0.5)
