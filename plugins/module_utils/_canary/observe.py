# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Look at what a rollout is about: routes, rules, Deployments, pods. Reads only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._canary import preconditions as guard
from ansible_collections.servicemesh.platform.plugins.module_utils._canary import routes as routes
from ansible_collections.servicemesh.platform.plugins.module_utils._canary import settings as settings_
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.decide import Workload, World
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.routes import Aim
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.state import digest
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import Client
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.diagnosis import (
    Limits,
    owned_pods,
    pod_finding,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import ApiError, KubeError
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.readiness import State, verdict

Obj = dict[str, Any]
ISTIO = "/apis/networking.istio.io/v1"
# A canary that crashes twice crashes; what is wrong at once (no such image) is wrong.
_LIMITS = Limits(restarts=2)
_GRACE = 10.0  # seconds that a pod gets before such a problem can begin


@dataclass(frozen=True, slots=True)
class Seen:
    """Live objects of a rollout, and what they come to."""

    aim: Aim
    virtual_services: list[Obj]
    rules: list[Obj]
    service: Obj | None
    stable: Obj | None
    canary: Obj | None
    pods: list[Obj]
    world: World


def observe(client: Client, settings: Mapping[str, Any]) -> Seen:
    """All that decisions need, in two rounds of requests. Raises KubeError when a VirtualService of the run is gone."""
    aim, namespace = settings_.aim_of(settings), settings["namespace"]
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
            f"VirtualService {', '.join(missing)} is gone, though this run shifts its routes. "
            "Make it again (site.yml), or roll back with the option virtual_services"
        )
    selector = ((service or {}).get("spec") or {}).get("selector") or {}
    query = {"labelSelector": ",".join(f"{key}={value}" for key, value in selector.items())} if selector else None
    lists: list[tuple[str, dict[str, str] | None]] = [
        (f"{ISTIO}/namespaces/{namespace}/destinationrules", None),
        (f"/api/v1/namespaces/{namespace}/pods", query),
    ]

    def listed(which: tuple[str, dict[str, str] | None]) -> list[Obj]:
        return client.list_all(*which)[0]

    rules, pods = client.each(listed, lists)
    items = [item for item in found if item is not None]
    world = World(
        frozenset(routes.weights(items, aim)),
        _workload(stable, pods, service, rules, aim, aim.stable),
        _workload(canary, pods, service, rules, aim, aim.canary),
    )
    return Seen(aim, items, rules, service, stable, canary, pods, world)


def _workload(
    obj: Obj | None, pods: Sequence[Obj], service: Obj | None, rules: Sequence[Obj], aim: Aim, subset: str
) -> Workload | None:
    if obj is None:
        return None
    selector = ((service or {}).get("spec") or {}).get("selector") or {}
    ready = guard.ready_pods(pods, selector, guard.subset_labels(rules, aim, subset))
    state = verdict({**obj, "apiVersion": "apps/v1", "kind": "Deployment"})
    found = [
        problem
        for pod in owned_pods({**obj, "kind": "Deployment"}, pods)
        if (problem := pod_finding(pod, _LIMITS)) is not None
    ]
    # A problem that may pass (a registry that does not answer) is final when the pod is older than one waits for it.
    ages = {pod["metadata"]["name"]: _age(pod) for pod in pods}
    final = [
        str(problem) for problem in found if problem.patience == 0 or ages[problem.pod] > problem.patience + _GRACE
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
    )


def _age(pod: Obj) -> float:
    """Seconds since a pod was made."""
    made = datetime.fromisoformat(pod["metadata"]["creationTimestamp"].replace("Z", "+00:00"))
    return (datetime.now(UTC) - made).total_seconds()


def virtual_services(client: Client, aim: Aim, named: Sequence[str]) -> tuple[list[Obj], list[str]]:
    """(VirtualServices of a run, what is wrong). Named ones (`name` or `namespace/name`), else all that lead to the canary subset."""
    if named:
        full = [name if "/" in name else f"{aim.namespace}/{name}" for name in named]
        paths = [f"{ISTIO}/namespaces/{name.split('/', 1)[0]}/virtualservices/{name.split('/', 1)[1]}" for name in full]
        found = client.each(client.get, paths)
        missing = [name for name, item in zip(full, found, strict=True) if item is None]
        problems = [f"virtual_services: there is no VirtualService {name}" for name in missing]
        return [item for item in found if item is not None], problems
    try:
        items = client.list_all(f"{ISTIO}/virtualservices")[0]
    except ApiError as error:
        if error.status == 404:
            return [], ["the cluster has no VirtualServices; expected Istio's networking.istio.io/v1 to be installed"]
        if error.status != 403:
            raise
        items = client.list_all(f"{ISTIO}/namespaces/{aim.namespace}/virtualservices")[0]
    chosen = [item for item in items if routes.concerns(item, aim)]
    # One that only delegates says nothing of subsets, and must not be passed over.
    chosen += [item for item in items if item not in chosen and routes.hosts_of(item, aim) and _delegates(item)]
    if not chosen:
        return [], [
            f"no VirtualService leads to subset {aim.canary} of {aim.host}; expected routes with both subsets, "
            f"{aim.stable} with weight 100 and {aim.canary} with weight 0"
        ]
    return chosen, []


def _delegates(item: Obj) -> bool:
    return any(route.get("delegate") for route in (item.get("spec") or {}).get("http") or [])


def start_problems(client: Client, seen: Seen, takeover: Sequence[str]) -> list[str]:
    """What keeps a canary from beginning, all of it at once."""
    problems: list[str] = []
    places = 0
    for item in seen.virtual_services:
        found = routes.find(item, seen.aim)
        problems += found.problems
        places += len(found.places)
        problems += guard.other_tools({"kind": "VirtualService", **item}, takeover)
        strange = sorted({place.canary_weight for place in found.places} - {0})
        if strange and not found.problems:
            problems.append(
                f"{routes.named(item)}: the canary has weight {strange[0]} though no run is under way; expected 0. "
                "Set it to 0, or roll back (rollback.yml)"
            )
    if not places and not problems:
        problems.append(f"no route leads to both subsets of {seen.aim.host}")
    roots = client.list_all(f"{ISTIO}/destinationrules")[0] if _may_list(client) else seen.rules
    wider = [
        rule
        for rule in roots
        if rule not in seen.rules and str((rule.get("spec") or {}).get("host", "")).startswith("*")
    ]
    problems += guard.rule_problems([*seen.rules, *wider], seen.aim)
    problems += guard.pod_problems(seen.service, seen.pods, seen.rules, seen.aim, {seen.aim.stable: 1})
    if seen.stable is None:
        problems.append(
            f"the stable Deployment is not there in {seen.aim.namespace}; expected it (option stable_deployment)"
        )
    else:
        problems += guard.other_tools({"kind": "Deployment", **seen.stable}, [*takeover, "argocd", "flux"])
    return problems


def _may_list(client: Client) -> bool:
    try:
        client.request("GET", f"{ISTIO}/destinationrules", query={"limit": 1})
    except ApiError as error:
        if error.status == 403:
            return False
        raise
    return True
