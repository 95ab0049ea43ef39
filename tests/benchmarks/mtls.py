# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""mtls_info on a large mesh, on the real API server: Pod objects that do not run, their services, and policies.

The pods are never scheduled (they name a scheduler that does not exist) but are as the injector leaves them, with a sidecar and its
environment. Nothing is exported from their namespaces: the platform's own proxies must not get a thousand services.
``istioctl x describe pod`` is timed on the platform's own running pods in the same cluster, one command a pod, as its users do.
"""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections.abc import Iterator, Sequence
from typing import Any

from tests.benchmarks._harness import BenchmarkError, Harness
from tests.benchmarks._rows import Row, at_most, faster

TITLE = "Mutual TLS of a large mesh"
WORKLOADS, PODS, POLICIES = 1000, 10_000, 2000
NAMESPACES = 10
_DESCRIBED = 5  # pods that istioctl is asked about in each round
_STATS = re.compile(r"requests=(\d+) pods=(\d+)")


def rows(harness: Harness) -> list[Row]:
    """All rows of this benchmark."""
    workloads = harness.count(WORKLOADS)
    pods, policies = workloads * PODS // WORKLOADS, workloads * POLICIES // WORKLOADS
    with contextlib.ExitStack() as stack:
        spaces = [stack.enter_context(harness.namespace()) for _number in range(NAMESPACES)]
        client = harness.client()
        _accounts(client, spaces)
        names = [(spaces[number % NAMESPACES], f"w{number}") for number in range(workloads)]
        harness.say(f"making {workloads} workloads")
        _make(client, [entry for space, name in names for entry in (service(space, name), endpoints(space, name, 1))])
        _make(client, [pod(space, name, 0) for space, name in names])
        small = [_judged(harness, workloads) for _round in range(harness.runs)]
        harness.say(f"making {pods - workloads} more pods and {policies} policies")
        each = pods // workloads
        _make(client, [pod(space, name, number) for space, name in names for number in range(1, each)])
        _replace(client, [endpoints(space, name, each) for space, name in names])
        _make(client, [entry for space, name in names for entry in (policy(space, name), rule(space, name))])
        large = [_judged(harness, pods) for _round in range(harness.runs)]
        described = [seconds for _round in range(harness.runs) for seconds in _describe(harness)]
    seconds = [run["seconds"] for run in large]
    requests = [float(run["requests"]) for run in large]
    return [
        at_most(
            f"mtls_info over {workloads} workloads, whole playbook",
            {"ours": [run["seconds"] for run in small]},
            limit=5,
            unit="s",
        ),
        at_most(
            f"mtls_info over {pods} pods with {policies} policies, whole playbook",
            {"ours": seconds},
            limit=30,
            unit="s",
        ),
        at_most(
            "mtls_info over all these, memory of the largest process",
            {"ours": [run["memory"] for run in large]},
            limit=500,
            unit="MB",
        ),
        at_most("mtls_info over all these, requests", {"ours": requests}, limit=60, unit="", value=max(requests)),
        faster(
            "a pod judged, against istioctl x describe pod",
            ("mtls_info", [figure / pods for figure in seconds]),
            ("istioctl x describe pod", described),
            least=100,
        ),
    ]


def _judged(harness: Harness, pods: int) -> dict[str, float]:
    """One run of a playbook that judges the whole mesh: seconds, megabytes, requests."""
    command = harness.playbook(
        {"name": "Judge", "servicemesh.platform.mtls_info": {}, "register": "told"},
        {
            "name": "Tell",
            "ansible.builtin.debug": {"msg": "requests={{ told.stats.requests }} pods={{ told.stats.objects.Pod }}"},
        },
    )
    done, memory = harness.peak(command)
    found = _STATS.search(done.text)
    if found is None:
        raise BenchmarkError(f"the playbook told no figures:\n{done.text[-2000:]}")
    requests, read = int(found.group(1)), int(found.group(2))
    if read < pods:
        raise BenchmarkError(f"{read} pods were read, expected {pods} or more")
    return {"seconds": done.seconds, "memory": memory, "requests": requests}


def _describe(harness: Harness) -> Iterator[float]:
    """Seconds of istioctl for each of some running pods with a sidecar."""
    istioctl = str(harness.home / "bin" / "istioctl")
    selector = "security.istio.io/tlsMode=istio"
    told = harness.kubectl(
        *("get", "pods", "-A", "-l", selector, "--field-selector", "status.phase=Running"),
        *("-o", 'jsonpath={range .items[*]}{.metadata.namespace} {.metadata.name}{"\\n"}{end}'),
    )
    running = [line.split() for line in told.splitlines() if line.strip()][:_DESCRIBED]
    if not running:
        raise BenchmarkError("no pod with a sidecar runs; expected those of the platform (make site)")
    for namespace, name in running:
        yield harness.timed([istioctl, "x", "describe", "pod", name, "-n", namespace]).seconds


# Objects ---------------------------------------------------------------------------------------------------------


def pod(namespace: str, workload: str, number: int) -> dict[str, Any]:
    """A pod with a sidecar, about as large as the injector leaves it."""
    environment = [{"name": f"ISTIO_META_SETTING_{index}", "value": "x" * 60} for index in range(30)]
    security = {"runAsNonRoot": True, "allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    proxy = {
        "name": "istio-proxy",
        "image": "localhost/istio/proxyv2:1.31.0",
        "args": ["proxy", "sidecar", "--domain", f"{namespace}.svc.cluster.local"],
        "env": environment,
        "ports": [{"containerPort": 15090, "name": "http-envoy-prom"}],
        "securityContext": security,
    }
    app = {"name": "app", "image": "localhost/pause:1", "ports": [{"containerPort": 8080}], "securityContext": security}
    labels = {
        "app": workload,
        "version": "v1.0",
        "pod-template-hash": "5dcc78b56b",
        "security.istio.io/tlsMode": "istio",
        "service.istio.io/canonical-name": workload,
    }
    notes = {
        "istio.io/rev": "default",
        "sidecar.istio.io/interceptionMode": "REDIRECT",
        "traffic.sidecar.istio.io/includeInboundPorts": "*",
        "traffic.sidecar.istio.io/excludeInboundPorts": "15020",
        "sidecar.istio.io/status": json.dumps(
            {"containers": ["istio-proxy"], "volumes": [f"istio-{n}" for n in range(8)]}
        ),
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "namespace": namespace,
            "name": f"{workload}-{number}",
            "labels": labels,
            "annotations": notes,
        },
        "spec": {
            "schedulerName": "does-not-exist",
            "automountServiceAccountToken": False,
            "containers": [app, proxy],
            "tolerations": [{"operator": "Exists"}],
        },
    }


def service(namespace: str, workload: str) -> dict[str, Any]:
    """A Service without a selector: its slices are ours, because pods that do not run have no address."""
    spec = {"ports": [{"name": "http", "port": 80, "targetPort": 8080}]}
    meta = {"namespace": namespace, "name": workload, "annotations": {"networking.istio.io/exportTo": "."}}
    return {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": spec}


def endpoints(namespace: str, workload: str, count: int) -> dict[str, Any]:
    """The slice of a Service with the first pods of its workload."""
    found = [
        {
            "addresses": [f"100.64.{number}.1"],
            "conditions": {"ready": True},
            "targetRef": {"kind": "Pod", "namespace": namespace, "name": f"{workload}-{number}"},
        }
        for number in range(count)
    ]
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"namespace": namespace, "name": workload, "labels": {"kubernetes.io/service-name": workload}},
        "addressType": "IPv4",
        "endpoints": found,
        "ports": [{"name": "http", "port": 8080}],
    }


def policy(namespace: str, workload: str) -> dict[str, Any]:
    """A PeerAuthentication for one workload."""
    mode = "PERMISSIVE" if workload.endswith("7") else "STRICT"
    spec = {
        "selector": {"matchLabels": {"app": workload}},
        "mtls": {"mode": mode},
        "portLevelMtls": {"9090": {"mode": "DISABLE"}},
    }
    meta = {"namespace": namespace, "name": workload}
    return {"apiVersion": "security.istio.io/v1", "kind": "PeerAuthentication", "metadata": meta, "spec": spec}


def rule(namespace: str, workload: str) -> dict[str, Any]:
    """A DestinationRule for one service."""
    host = f"{workload}.{namespace}.svc.cluster.local"
    subset = {"name": "v1", "labels": {"version": "v1.0"}}
    spec = {
        "exportTo": ["."],
        "host": host,
        "trafficPolicy": {"loadBalancer": {"simple": "LEAST_REQUEST"}},
        "subsets": [subset],
    }
    meta = {"namespace": namespace, "name": workload}
    return {"apiVersion": "networking.istio.io/v1", "kind": "DestinationRule", "metadata": meta, "spec": spec}


_PLURALS = {
    "Pod": "/api/v1/namespaces/{}/pods",
    "Service": "/api/v1/namespaces/{}/services",
    "EndpointSlice": "/apis/discovery.k8s.io/v1/namespaces/{}/endpointslices",
    "PeerAuthentication": "/apis/security.istio.io/v1/namespaces/{}/peerauthentications",
    "DestinationRule": "/apis/networking.istio.io/v1/namespaces/{}/destinationrules",
}


def _make(client: Any, objects: Sequence[dict[str, Any]]) -> None:
    """Creates objects; as part of no measurement."""
    client.each(
        lambda obj: client.request("POST", _PLURALS[obj["kind"]].format(obj["metadata"]["namespace"]), body=obj),
        objects,
    )


def _replace(client: Any, objects: Sequence[dict[str, Any]]) -> None:
    def put(obj: dict[str, Any]) -> None:
        meta = obj["metadata"]
        client.request("PUT", f"{_PLURALS[obj['kind']].format(meta['namespace'])}/{meta['name']}", body=obj)

    client.each(put, objects)


def _accounts(client: Any, spaces: Sequence[str]) -> None:
    """Waits for the ServiceAccounts that a pod is created with."""
    end = time.monotonic() + 60
    for space in spaces:
        while client.get(f"/api/v1/namespaces/{space}/serviceaccounts/default") is None:
            if time.monotonic() > end:
                raise BenchmarkError(f"namespace {space} got no ServiceAccount")
            time.sleep(0.2)
