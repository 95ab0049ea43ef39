# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small service in the mesh with a bounded stream of requests, and a Prometheus that looks every second."""

from __future__ import annotations

import contextlib
import copy
import json
import os
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlencode

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.servicemesh.platform.plugins.module_utils._apply.applier import Applier
from ansible_collections.servicemesh.platform.plugins.module_utils._apply.options import Options
from ansible_collections.servicemesh.platform.plugins.module_utils._apply.result import checked
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.routes import ANNOTATION
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import Client
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import ApiError, KubeError
from ansible_collections.servicemesh.platform.plugins.modules import canary
from ansible_collections.servicemesh.platform.plugins.plugin_utils._in_process import FailedError, InProcess

from tests.integration.metrics import deployment, prometheus, query
from tests.support import Cluster

Obj = dict[str, Any]
IMAGE = "localhost/ecommerce/user-service:v1.0"  # for its Python only
RATE = 30  # requests a second
LIFE = 3600  # seconds after which the stream of requests ends by itself

APP = r"""
import http.server, os, random, socket, sys, threading, time
version, rate, delay = os.environ["VERSION"], float(os.environ["ERROR_RATE"]), float(os.environ["LATENCY_MS"])
cut = float(os.environ["CUT_RATE"])
left, hears, closed = int(os.environ["CRASH_AFTER"]), int(os.environ["DEAF_AFTER"]), False
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        global left, hears, closed
        work = self.path.startswith("/work")
        if work:
            left, hears = left - 1, hears - 1
            if left == 0:
                os._exit(1)
            if hears == 0:
                server.socket.close()
                closed = True
            if random.random() < cut:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            time.sleep(0.6 if self.path == "/work/slow" else delay / 1000)
        body = version.encode()
        grpc = self.headers.get("content-type") == "application/grpc"
        self.send_response(500 if work and not grpc and random.random() < rate else 200)
        if grpc:
            self.send_header("content-type", "application/grpc")
            self.send_header("grpc-status", os.environ["GRPC_STATUS"])
        self.send_header("x-version", version)
        if closed:
            self.send_header("connection", "close")  # and what is open ends
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    do_POST = do_GET
    def log_message(self, *args):
        pass
class Server(http.server.ThreadingHTTPServer):
    daemon_threads, request_queue_size = True, 128
threading.Thread(target=Server(("", 9090), Handler).serve_forever, daemon=True).start()
server = Server(("", 8080), Handler)
server.serve_forever()
"""

# `call` is what the rest of the script does ten times a second, until it is told to stop.
CALLERS = r"""
import http.client, os, socket, time
end = time.time() + 50
def repeat(call):
    while time.time() < end and not os.path.exists("/tmp/stop"):
        call()
        time.sleep(0.1)
"""
HANG_UP = r"""
def call():
    caller = socket.create_connection(("web", 80), timeout=5)
    caller.sendall(b"GET /work/slow HTTP/1.1\r\nHost: web\r\n\r\n")
    time.sleep(0.1)
    caller.close()
repeat(call)
"""
GRPC = r"""
def call():
    connection = http.client.HTTPConnection("web", timeout=5)
    connection.request("POST", "/work", headers={"content-type": "application/grpc", "te": "trailers", "content-length": "0"})
    connection.getresponse().read()
    connection.close()
repeat(call)
"""
# A connection that is open when its pod ends is reset; nobody tries it again.
RAW = r"""
def call():
    connection = http.client.HTTPConnection("raw", 90, timeout=5)
    try:
        connection.request("GET", "/")
        connection.getresponse().read()
    except ConnectionError:
        pass
    connection.close()
repeat(call)
"""

# Calls the service at an even pace and says once a second what came back.
LOAD = r"""
import collections, http.client, json, os, threading, time
rate, end, threads = float(os.environ["RATE"]), time.time() + float(os.environ["LIFE"]), 8
seen, lock = collections.Counter(), threading.Lock()
def work(number):
    connection, turn = None, time.time() + number * (1 / rate)
    while time.time() < end:
        turn += threads / rate
        time.sleep(max(0, turn - time.time()))
        try:
            if connection is None:
                connection = http.client.HTTPConnection("web", timeout=10)
            connection.request("GET", "/work")
            answer = connection.getresponse()
            answer.read()
            what = f"{answer.getheader('x-version')} {answer.status}"
        except Exception as error:
            connection, what = None, f"none {type(error).__name__}"
        with lock:
            seen[what] += 1
for number in range(threads):
    threading.Thread(target=work, args=(number,), daemon=True).start()
while time.time() < end:
    time.sleep(1)
    with lock:
        print(json.dumps({"time": time.time(), **seen}), flush=True)
        seen.clear()
"""


class Bed:
    """The namespace and what runs in it."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.namespace = f"t-canary-{uuid.uuid4().hex[:8]}"
        self.host = f"web.{self.namespace}.svc.cluster.local"

    @classmethod
    @contextlib.contextmanager
    def standing(cls) -> Iterator[Bed]:
        """A bed with requests that arrive and a Prometheus that sees them; deleted at the end."""
        bed = cls(Client({}))
        labels = {"istio-injection": "enabled"}
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": bed.namespace, "labels": labels}}
        apply(bed, [namespace, *bed.routes(), bed.app("stable", "v1"), *bed.tools()])
        wait_for(lambda: bed.answers(time.time() - 3)["v1 200"] > 0, "the stream of requests")
        wait_for(lambda: scraped(bed), "Prometheus' first look")
        yield bed
        bed.client.request("DELETE", f"/api/v1/namespaces/{bed.namespace}")

    def restore(self) -> None:
        """The service as at the start: v1, all weight on stable, no rollout ever. Roles' definitions apply without a conflict."""
        if live := self.client.get(f"/api/v1/namespaces/{self.namespace}/configmaps/canary-web"):
            state = json.loads(live["data"]["state"])
            if state["phase"] not in ("promoted", "rolled_back"):
                delete(self, f"/apis/coordination.k8s.io/v1/namespaces/{self.namespace}/leases/canary-web")
                self.call("rollback", service="web", namespace=self.namespace)
                finish(self)
        for path in (
            "/api/v1/namespaces/{}/configmaps/canary-web",
            "/apis/coordination.k8s.io/v1/namespaces/{}/leases/canary-web",
        ):
            delete(self, path.format(self.namespace))
        self.client.request("DELETE", f"/api/v1/namespaces/{self.namespace}/events", query=OWN_EVENTS)
        apply(self, [*self.routes(), self.app("stable", "v1")])
        wait_for(lambda: self.deployment("web-canary") is None, "the canary's end")
        assert self.weights() == [0, 0]

    # Objects -----------------------------------------------------------------------------------------------------------

    def app(self, track: str, version: str, replicas: int = 1, image: str = IMAGE, **env: Any) -> Obj:
        """Deployment of a version; `env`: ERROR_RATE, CUT_RATE, LATENCY_MS, GRPC_STATUS; CRASH_AFTER, DEAF_AFTER a number of requests."""
        labels = {"app": "web", "track": track}
        values = {
            "VERSION": version,
            "ERROR_RATE": 0,
            "LATENCY_MS": 0,
            "GRPC_STATUS": 0,
            "CUT_RATE": 0,
            "CRASH_AFTER": 0,
            "DEAF_AFTER": 0,
            **env,
        }
        container = {
            "name": "web",
            "image": image,
            "imagePullPolicy": "IfNotPresent",
            "command": ["python3", "-c", APP],
            "env": [{"name": name, "value": str(value)} for name, value in values.items()],
            "ports": [{"containerPort": 8080}],
            # Patient: a busy machine must not look like a bad version.
            "readinessProbe": {
                "httpGet": {"path": "/health", "port": 8080},
                "periodSeconds": 1,
                "timeoutSeconds": 10,
                "failureThreshold": 30,
            },
            "lifecycle": {"preStop": {"exec": {"command": ["sleep", "2"]}}},
            "resources": {"requests": {"cpu": "5m", "memory": "16Mi"}},
        }
        name = "web" if track == "stable" else "web-canary"
        return {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name, "namespace": self.namespace, "labels": {"app": "web"}},
            "spec": {
                "replicas": replicas,
                "selector": {"matchLabels": labels},
                "strategy": {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
                "template": {
                    "metadata": {"labels": {**labels, "version": version}, "annotations": SIDECAR},
                    "spec": {"terminationGracePeriodSeconds": 5, "containers": [container]},
                },
            },
        }

    def routes(self, weight: int = 0) -> list[Obj]:
        """Service, DestinationRule and VirtualService of the app, one route by name and one for the rest."""
        meta = {"name": "web", "namespace": self.namespace}
        split = [
            {"destination": {"host": self.host, "subset": subset, "port": {"number": 80}}, "weight": share}
            for subset, share in (("stable", 100 - weight), ("canary", weight))
        ]
        ports = [{"name": "http", "port": 80, "targetPort": 8080}]
        subsets = [{"name": track, "labels": {"track": track}} for track in ("stable", "canary")]
        rule = {"host": self.host, "trafficPolicy": {"loadBalancer": {"simple": "ROUND_ROBIN"}}, "subsets": subsets}
        http = [
            {
                "name": "work",
                "match": [{"uri": {"prefix": "/work"}}],
                "route": split,
                "timeout": "5s",
                "retries": {"attempts": 0},
            },
            {"name": "mesh", "route": split},
        ]
        return [
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": meta,
                "spec": {"selector": {"app": "web"}, "ports": ports},
            },
            {"apiVersion": "networking.istio.io/v1", "kind": "DestinationRule", "metadata": meta, "spec": rule},
            {
                "apiVersion": "networking.istio.io/v1",
                "kind": "VirtualService",
                "metadata": meta,
                "spec": {"hosts": [self.host], "http": http},
            },
        ]

    def raw(self) -> list[Obj]:
        """A Service for connections to the same pods, with its routes."""
        meta, host = {"name": "raw", "namespace": self.namespace}, f"raw.{self.namespace}.svc.cluster.local"
        ports = [{"name": "tcp", "port": 90, "targetPort": 9090}]
        subsets = [{"name": track, "labels": {"track": track}} for track in ("stable", "canary")]
        split = [
            {"destination": {"host": host, "subset": subset, "port": {"number": 90}}, "weight": share}
            for subset, share in (("stable", 100), ("canary", 0))
        ]
        istio = "networking.istio.io/v1"
        return [
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": meta,
                "spec": {"selector": {"app": "web"}, "ports": ports},
            },
            {
                "apiVersion": istio,
                "kind": "DestinationRule",
                "metadata": meta,
                "spec": {"host": host, "subsets": subsets},
            },
            {
                "apiVersion": istio,
                "kind": "VirtualService",
                "metadata": meta,
                "spec": {"hosts": [host], "tcp": [{"route": split}]},
            },
        ]

    def tools(self) -> list[Obj]:
        """The stream of requests and Prometheus."""
        ns = self.namespace
        script = [{"name": name, "value": str(value)} for name, value in (("RATE", RATE), ("LIFE", LIFE))]
        load = {"name": "load", "image": IMAGE, "command": ["python3", "-c", LOAD], "env": script}
        return [*prometheus(ns), deployment(ns, "load", load, {}, annotations=SIDECAR)]

    # Runs --------------------------------------------------------------------------------------------------------------

    def options(self, **more: Any) -> Obj:
        """Options of a quick canary to version `new`."""
        new = more.pop("new", {})
        version = more.pop("version", "v2")
        return {
            "service": "web",
            "namespace": self.namespace,
            "version": version,
            "canary_definitions": [self.app("canary", version, **new)],
            "stable_definitions": [self.app("stable", version, **new)],
            "steps": [50],
            "interval": 4,
            "drain": 1,
            "progress_deadline": 90,
            "max_duration": 300,
            "proof_samples": 2,
            "proof_timeout": 60,
            "lease_duration": 60,
            "prometheus": {"service": f"{self.namespace}/prometheus:9090"},
            "analysis": [
                {"metric": "success_rate", "min": 0.95, "min_requests": 20},
                {"metric": "p99", "max": 2500},
            ],  # patient, see the probe
            **more,
        }

    def call(self, operation: str, **options: Any) -> Obj:
        """Result of one call of the module."""
        found = ArgumentSpecValidator(canary.ARGUMENTS).validate({"operation": operation, **options})
        assert not found.error_messages, found.error_messages
        params = {name: found.validated_parameters.get(name) for name in canary.ARGUMENTS}
        try:
            return dict(canary.work(InProcess(params, check_mode=False, diff=True)))
        except FailedError as failure:
            return dict(failure.args[0])
        except KubeError as error:
            return {"failed": True, "msg": str(error)}

    def drive(self, until: Any = lambda _result: False, limit: float = 180, **options: Any) -> Obj:
        """A whole run, as the action plugin does it; ends early when `until` says so of a result."""
        holder = f"test-{uuid.uuid4().hex[:8]}"
        result = self.call("start", holder=holder, **options)
        end, notes = time.monotonic() + limit, list(result.get("notes") or [])
        while not result.get("failed") and not result["done"] and not until(result):
            assert time.monotonic() < end, f"the run does not end: {result}"
            time.sleep(min(result["next_in"], 5.0))
            result = self.call("step", **options, holder=holder, fencing_token=result["fencing_token"])
            notes += result.get("notes") or []
        if result.get("fencing_token"):
            self.call(
                "give_up_lease",
                service=options["service"],
                namespace=self.namespace,
                holder=holder,
                fencing_token=result["fencing_token"],
            )
        return {**result, "all_notes": notes, "holder_was": holder}

    @contextlib.contextmanager
    def callers(self, script: str) -> Iterator[None]:
        """More callers beside the stream of requests, in the same pod, for at most 50 seconds."""
        pod = self.client.list_all(f"/api/v1/namespaces/{self.namespace}/pods", {"labelSelector": "app=load"})[0][0]
        name, cluster = pod["metadata"]["name"], Cluster(os.environ["KUBECONFIG"])
        cluster.execute(self.namespace, name, "load", ["rm", "-f", "/tmp/stop"])
        with ThreadPoolExecutor(1) as pool:
            running = pool.submit(cluster.execute, self.namespace, name, "load", ["python3", "-c", CALLERS + script])
            try:
                yield
            finally:
                cluster.execute(self.namespace, name, "load", ["touch", "/tmp/stop"])
        assert running.result().code == 0, running.result().out

    # What there is -----------------------------------------------------------------------------------------------------

    def get(self, path: str) -> Obj:
        found = self.client.get(path)
        assert found is not None, path
        return found

    def virtual_service(self) -> Obj:
        return self.get(f"/apis/networking.istio.io/v1/namespaces/{self.namespace}/virtualservices/web")

    def weights(self) -> list[int]:
        """The canary's weight in each route."""
        return [route["route"][1]["weight"] for route in self.virtual_service()["spec"]["http"]]

    def deployment(self, name: str = "web") -> Obj | None:
        return self.client.get(f"/apis/apps/v1/namespaces/{self.namespace}/deployments/{name}")

    def version(self) -> str:
        """The version that stable runs."""
        live = self.deployment()
        assert live is not None
        return str(live["spec"]["template"]["metadata"]["labels"]["version"])

    def answers(self, since: float, until: float | None = None) -> Counter[str]:
        """What the stream of requests got from one moment (Unix time) to another: `v1 200` -> number."""
        total: Counter[str] = Counter()
        for at, entry in self.seconds(since):
            if at <= (until or time.time()):
                total.update(entry)
        return total

    def seconds(self, since: float) -> list[tuple[float, Counter[str]]]:
        """What the stream of requests got in each second since a moment: (the second's end as Unix time, `v1 200` -> number)."""
        pods = self.client.list_all(f"/api/v1/namespaces/{self.namespace}/pods", {"labelSelector": "app=load"})[0]
        query = {"container": "load", "sinceSeconds": max(1, int(time.time() - since) + 2)}
        path = f"/api/v1/namespaces/{self.namespace}/pods/{pods[0]['metadata']['name']}/log"
        answer = self.client.read(f"{path}?{urlencode(query)}", seconds=30, most=50_000_000)
        entries = [json.loads(line) for line in answer.decode().splitlines()]
        return [(at, Counter(entry)) for entry in entries if (at := entry.pop("time")) >= since]

    def assert_none_failed(self, since: float) -> None:
        """No request failed since a moment. Otherwise says in which seconds, beside what the rollout did, and Istio's reasons."""
        bad = {at: entry for at, entry in self.seconds(since) if failed(entry)}
        if not bad:
            return
        record = self.get(f"/api/v1/namespaces/{self.namespace}/configmaps/canary-web")
        history = json.loads(record["data"]["state"])["history"]
        lines = [(at, f"answers {dict(entry)}") for at, entry in bad.items()]
        lines += [(entry["time"], f"{entry['event']}: {entry.get('message', '')}") for entry in history]
        by = "reporter,source_workload,destination_workload,response_code,response_flags"
        why = query(
            self.client, self.namespace, f'sum by({by})(increase(istio_requests_total{{response_code!="200"}}[5m]))>0'
        )
        said = "\n".join(f"{at - since:8.2f} s  {text}" for at, text in sorted(lines))
        raise AssertionError(f"{sum(map(failed, bad.values()))} requests failed:\n{said}\n{why}")


OWN_EVENTS = {"fieldSelector": "source=servicemesh-canary"}
ERRORS = [{"metric": "success_rate", "min": 0.95, "min_requests": 20}]
SIDECAR = {
    "sidecar.istio.io/proxyCPU": "5m",
    "sidecar.istio.io/proxyMemory": "40Mi",
    "proxy.istio.io/config": "holdApplicationUntilProxyStarts: true\nterminationDrainDuration: 3s",
}


def failed(answers: Counter[str]) -> int:
    """Requests that did not get a 200."""
    return sum(number for what, number in answers.items() if not what.endswith(" 200"))


def apply(bed: Bed, objects: list[Obj]) -> None:
    Applier(bed.client, Options(name="bed", wait_timeout=180)).run(checked(objects), [])


def delete(bed: Bed, path: str) -> None:
    if bed.client.get(path) is not None:
        bed.client.request("DELETE", path)


def wait_for(condition: Callable[[], Any], what: str, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"{what} does not come"
        time.sleep(0.3)


def scraped(bed: Bed) -> bool:
    return bool(query(bed.client, bed.namespace, "istio_requests_total"))


def spec_of(bed: Bed) -> Obj:
    return copy.deepcopy(bed.virtual_service()["spec"])


def assert_untouched(bed: Bed, spec: Obj) -> None:
    """Routes as before the run, no annotation, and no field of the canary's manager is left."""
    live = bed.virtual_service()
    assert live["spec"] == spec
    assert ANNOTATION not in (live["metadata"].get("annotations") or {})
    for obj in (live, bed.deployment() or {}):
        assert "servicemesh-canary" not in [entry["manager"] for entry in obj["metadata"]["managedFields"]]


def assert_back(bed: Bed, spec: Obj, result: Obj) -> None:
    assert result["phase"] == "rolled_back", result
    assert bed.version() == "v1"
    assert_untouched(bed, spec)
    wait_for(lambda: bed.deployment("web-canary") is None, "the canary's end")


def events(bed: Bed) -> set[str]:
    path = f"/api/v1/namespaces/{bed.namespace}/events"
    return {item["reason"] for item in bed.client.list_all(path, OWN_EVENTS)[0]}


def finish(bed: Bed, **more: Any) -> Obj:
    """Goes on with what is recorded, as rollback.yml does: without definitions."""
    holder, token = f"test-{uuid.uuid4().hex[:6]}", 0
    end = time.monotonic() + 120
    while time.monotonic() < end:
        given = {"fencing_token": token} if token else {}
        result = bed.call("step", service="web", namespace=bed.namespace, holder=holder, **given, **more)
        assert not result.get("failed"), result
        token = result["fencing_token"]
        if result["done"]:
            bed.call("give_up_lease", service="web", namespace=bed.namespace, holder=holder, fencing_token=token)
            return result
        time.sleep(min(result["next_in"], 2))
    raise AssertionError("it does not end")


def up(bed: Bed) -> bool:
    try:
        return scraped(bed)
    except ApiError:
        return False
