# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Observe a rollout in the cluster: routes, rules, Deployments, pods, endpoints. Reads only."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._canary import (
    preconditions,
    route_patch,
    route_record,
    routes,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.decide import ObservedState, Workload
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.routes import Aim
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.state import digest
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.target import aim_of
from ansible_collections.servicemesh.platform.plugins.module_utils._kube import endpoints
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.api import Api
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.diagnosis import (
    Limits,
    owned_pods,
    pod_finding,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import KubeError
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.readiness import State, verdict

Obj = dict[str, Any]
ISTIO = "/apis/networking.istio.io/v1"
# A pod of a canary that crashes twice has failed; an error that cannot pass (no such image) is a failure at once.
_LIMITS = Limits(restarts=2)
_GRACE = 10.0  # seconds between the creation of a pod and its first such error


@dataclass(frozen=True, slots=True)
class Observation:
    """Live objects of a rollout, and the observed state that decisions are made from."""

    aim: Aim
    virtual_services: list[Obj]
    rules: list[Obj]
    service: Obj | None
    stable: Obj | None
    canary: Obj | None
    pods: list[Obj]
    observed: ObservedState
    copies: frozenset[str] = frozenset()  # names of the run's own routes


def observe(client: Api, settings: Mapping[str, Any], now: float) -> Observation:
    """Everything that decisions need, in two rounds of requests. Raises KubeError when a VirtualService of the run does not exist.

    `now`: Unix seconds of the API server's clock, as the times of pods are.
    """
    aim, namespace = aim_of(settings), settings["namespace"]
    deployments = f"/apis/apps/v1/namespaces/{namespace}/deployments"
    names = [name.split("/", 1) for name in settings["virtual_services"]]
    paths = [
        f"/api/v1/namespaces/{namespace}/services/{aim.service}",
        f"{deployments}/{settings['stable_deployment']}",
        f"{deployments}/{settings['canary_deployment']}",
        *(f"{ISTIO}/namespaces/{where}/virtualservices/{name}" for where, name in names),
    ]
    service, stable, canary, *found = client.each(client.get, paths)
    missing = ["/".join(name) for name, item in zip(names, found, strict=True) if item is None]
    if missing:
        raise KubeError(
            f"VirtualService {', '.join(missing)} does not exist any more, but this run shifts its routes. "
            "Create it again (site.yml), or roll back with the option virtual_services"
        )
    selector = ((service or {}).get("spec") or {}).get("selector") or {}
    query = {"labelSelector": ",".join(f"{key}={value}" for key, value in selector.items())} if selector else None
    reads: list[Callable[[], Any]] = [
        lambda: client.list_all(f"{ISTIO}/namespaces/{namespace}/destinationrules")[0],
        lambda: client.list_all(f"/api/v1/namespaces/{namespace}/pods", query)[0],
        # A start asks for the right. An account of the user's for the watchdog may be without it, and a driver that continues a run of an
        # earlier version of this collection.
        lambda: endpoints.addresses(client, namespace, aim.service),
    ]

    def answer(read: Callable[[], Any]) -> Any:
        return read()

    rules, pods, addresses = client.each(answer, reads)

    def workload(obj: Obj | None, subset: str) -> Workload | None:
        if obj is None:
            return None
        ready = preconditions.ready_pods(pods, selector, preconditions.subset_labels(rules, aim, subset))
        return _workload(obj, pods, ready, addresses, now)

    items = [item for item in found if item is not None]
    records = [(item, route_record.record_for(settings, item)) for item in items]
    observed = ObservedState(
        frozenset(routes.weights(items, aim)),
        workload(stable, aim.stable),
        workload(canary, aim.canary),
        tuple(text for item, record in records for text in route_patch.changed(item, aim, record)),
        tuple(
            f"{routes.named(item)}, {text}"
            for item, record in records
            for text in route_record.elsewhere(item, aim, record)
        ),
    )
    copies = frozenset(name for _item, record in records for name in record.copies)
    return Observation(aim, items, rules, service, stable, canary, pods, observed, copies)


def _workload(
    obj: Obj, pods: Sequence[Obj], ready: Sequence[Mapping[str, Any]], addresses: frozenset[str] | None, now: float
) -> Workload:
    """`ready`: those pods of the subset that may get requests. `addresses`: those of the Service's endpoints."""
    state = verdict({**obj, "apiVersion": "apps/v1", "kind": "Deployment"})
    found = [
        finding
        for pod in owned_pods({**obj, "kind": "Deployment"}, pods)
        if (finding := pod_finding(pod, _LIMITS)) is not None
    ]
    # An error that may pass (a registry that does not answer) is final when the pod is older than its patience.
    ages = {pod["metadata"]["name"]: _age(pod, now) for pod in pods}
    final = [
        str(finding) for finding in found if finding.patience == 0 or ages[finding.pod] > finding.patience + _GRACE
    ]
    return Workload(
        desired=int((obj.get("spec") or {}).get("replicas", 1)),
        ready=len(ready),
        complete=state.state == State.READY,
        template=digest(obj["spec"]["template"]),
        failure=final[0] if final else "",
        waiting=str(found[0]) if found else state.reason,
        ending=sum(
            bool(pod["metadata"].get("deletionTimestamp")) for pod in owned_pods({**obj, "kind": "Deployment"}, pods)
        ),
        endpoints=None if addresses is None else endpoints.among(addresses, ready),
    )


def _age(pod: Obj, now: float) -> float:
    """Seconds since a pod was created."""
    return now - datetime.fromisoformat(pod["metadata"]["creationTimestamp"].replace("Z", "+00:00")).timestamp()


def restorable(client: Api, stable: Obj, definitions: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What a rollback restores: stable's present pod template, and the ConfigMaps that `definitions` change."""
    namespace = stable["metadata"]["namespace"]
    names = [entry["metadata"]["name"] for entry in definitions if entry and entry.get("kind") == "ConfigMap"]
    found = [client.get(f"/api/v1/namespaces/{namespace}/configmaps/{name}") for name in names]
    configs = [
        {"name": name, "data": item.get("data") or {}}
        for name, item in zip(names, found, strict=True)
        if item is not None
    ]
    return {"template": stable["spec"]["template"], "configs": configs}
