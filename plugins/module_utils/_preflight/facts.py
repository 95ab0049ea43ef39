# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the facts that a preflight checks. What the identity may not read is None, and never guessed."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from ansible_collections.servicemesh.platform.plugins.module_utils._kube import endpoints, kubectl_yaml
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import Client
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.discovery import ACCEPT, Resource
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import ApiError, KubeError
from ansible_collections.servicemesh.platform.plugins.module_utils._preflight import externals, ownership
from ansible_collections.servicemesh.platform.plugins.module_utils._preflight.checks import Facts, Wanted, unprepared

T = TypeVar("T")
_WEBHOOK_KINDS = {
    "validatingwebhookconfigurations": "ValidatingWebhookConfiguration",
    "mutatingwebhookconfigurations": "MutatingWebhookConfiguration",
}
_KUBELET_BUDGET = 3.0  # seconds
_LIST_BUDGET = 5.0  # seconds, for one kind of objects in a namespace: its server may not run
# Identity and owners are enough; servers that do not know this form send whole objects.
_METADATA = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"


def gather(client: Client, wanted: Wanted, *, webhooks: bool = True, network_plugin: bool = False) -> Facts:
    """All facts about a cluster. Raises KubeError when the API server cannot be reached or refuses the credentials.

    `webhooks`, `network_plugin`: whether to read what tells about them.
    """
    version = client.request("GET", "/version")[1]
    paths = ["/api/v1/nodes", "/apis/storage.k8s.io/v1/storageclasses", "/api/v1/namespaces"]
    nodes, classes, namespaces = client.each(functools.partial(_listed, client), paths)
    cidrs, kubeadm = _service_cidrs(client), _kubeadm(client)
    hooks = _webhooks(client) if webhooks else None
    kubelet = _kubelet(client, nodes[0]["metadata"]["name"]) if nodes else None
    contents = _contents(client, unprepared(namespaces or [], wanted))
    daemon_sets = _listed(client, "/apis/apps/v1/daemonsets") if network_plugin else None
    return Facts(version, nodes, classes, cidrs, kubeadm, kubelet, hooks, namespaces, contents, daemon_sets)


def mesh_config(client: Client, namespace: str, config_map: str) -> str | None:
    """A mesh's MeshConfig as YAML: empty when there is no such ConfigMap, None when it may not be read."""
    try:
        found = client.get(f"/api/v1/namespaces/{namespace}/configmaps/{config_map}")
    except ApiError as error:
        if error.status == 401:
            raise
        return None
    return str(((found or {}).get("data") or {}).get("mesh") or "")


def mesh_there(client: Client, gateway: externals.Gateway) -> externals.Mesh:
    """What is there of an Istio that somebody else runs, and of its gateway."""
    groups = _optional(lambda: client.request("GET", "/apis")[1])
    selector = ",".join(f"{key}={text}" for key, text in gateway.selector.items())
    place = f"/api/v1/namespaces/{gateway.namespace}"
    return externals.Mesh(
        None if groups is None else frozenset(str(entry.get("name")) for entry in groups.get("groups") or []),
        _listed(client, "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"),
        _optional(lambda: client.get(f"{place}/services/{gateway.service}") is not None),
        _optional(lambda: client.list_all(f"{place}/pods", {"labelSelector": selector})[0]),
    )


def denied(client: Client, permissions: Iterable[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Which of the permissions this identity lacks. The check changes nothing in the cluster."""
    wanted = [
        {
            "group": entry.get("group") or "",
            "resource": entry["resource"],
            "verb": verb,
            "namespace": entry.get("namespace") or "",
        }
        for entry in permissions
        for verb in entry["verbs"]
    ]
    # One request instead of 200 for an identity that may do everything (only a rule's `*` allows the verb `*`:
    # plugin/pkg/auth/authorizer/rbac, pkg/apis/rbac/v1/evaluation_helpers.go).
    if wanted and _may(client, {"group": "*", "resource": "*", "verb": "*", "namespace": ""}):
        return []
    answers = client.each(functools.partial(_may, client), wanted)
    return [entry for entry, allowed in zip(wanted, answers, strict=True) if not allowed]


def _may(client: Client, entry: Mapping[str, str]) -> bool:
    resource, _slash, subresource = entry["resource"].partition("/")
    attributes = {"group": entry["group"], "resource": resource, "verb": entry["verb"], "namespace": entry["namespace"]}
    if subresource:
        attributes["subresource"] = subresource
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }
    answer = client.request("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", body=body)[1]
    return bool((answer.get("status") or {}).get("allowed"))


def _optional(read: Callable[[], T]) -> T | None:
    """Reads something that may be forbidden or missing."""
    try:
        return read()
    except ApiError as error:
        if error.status == 401:
            raise
        return None


def _listed(client: Client, path: str) -> list[Any] | None:
    return _optional(lambda: client.list_all(path)[0])


def _service_cidrs(client: Client) -> list[str] | None:
    found = _listed(client, "/apis/networking.k8s.io/v1/servicecidrs")
    if found is None:
        return None
    return sorted({cidr for entry in found for cidr in (entry.get("spec") or {}).get("cidrs") or []})


def _kubeadm(client: Client) -> dict[str, Any] | None:
    config = _optional(lambda: client.get("/api/v1/namespaces/kube-system/configmaps/kubeadm-config"))
    try:
        document = kubectl_yaml.value(((config or {}).get("data") or {}).get("ClusterConfiguration") or "")
    except KubeError:
        return None
    return document if isinstance(document, dict) else None


def _kubelet(client: Client, node: str) -> dict[str, Any] | None:
    try:
        body = client.get(f"/api/v1/nodes/{node}/proxy/configz", budget=_KUBELET_BUDGET)
    except KubeError:
        return None
    config = (body or {}).get("kubeletconfig")
    return config if isinstance(config, dict) else None


def _webhooks(client: Client) -> list[dict[str, Any]] | None:
    """Webhooks that call a Service, and whether it has a ready endpoint. None when they may not be read."""
    hooks = []
    for plural, kind in _WEBHOOK_KINDS.items():
        configurations = _listed(client, f"/apis/admissionregistration.k8s.io/v1/{plural}")
        if configurations is None:
            return None
        for configuration in configurations:
            for hook in configuration.get("webhooks") or []:
                service = (hook.get("clientConfig") or {}).get("service")
                if service:
                    rules = hook.get("rules") or []
                    hooks.append(
                        {
                            "kind": kind,
                            "configuration": configuration["metadata"]["name"],
                            "name": hook.get("name", ""),
                            "namespace": service.get("namespace", ""),
                            "service": service.get("name", ""),
                            "failure_policy": hook.get("failurePolicy", "Fail"),
                            "groups": sorted({group for rule in rules for group in rule.get("apiGroups") or []}),
                        }
                    )
    services = sorted({(hook["namespace"], hook["service"]) for hook in hooks})
    ready = dict(zip(services, client.each(functools.partial(_answers, client), services), strict=True))
    return [dict(hook, ready=ready[(hook["namespace"], hook["service"])]) for hook in hooks]


def _answers(client: Client, where: tuple[str, str]) -> bool:
    namespace, service = where
    found = _optional(lambda: endpoints.addresses(client, namespace, service))
    return found is None or bool(found)  # None: they may not be read, which is no finding


def _contents(client: Client, namespaces: list[str]) -> dict[str, ownership.Contents]:
    """What is in each of the namespaces, of every kind that the server knows."""
    if not namespaces:
        return {}
    stale = ownership.stale_groups(client.request("GET", "/apis", accept=ACCEPT)[1])
    kinds = [kind for kind in client.discover().namespaced() if not ownership.is_computed(kind.group)]
    work = [(namespace, kind) for namespace in namespaces for kind in kinds]
    found = list(zip(work, client.each(functools.partial(_items, client), work), strict=True))
    return {
        namespace: ownership.Contents(
            tuple(item for (where, _kind), items in found if where == namespace for item in items or []),
            (
                *stale,
                *sorted(
                    f"{kind.plural}.{kind.group}".rstrip(".")
                    for (where, kind), items in found
                    if where == namespace and items is None
                ),
            ),
        )
        for namespace in namespaces
    }


def _items(client: Client, where: tuple[str, Resource]) -> list[ownership.Item] | None:
    """All objects of a kind in a namespace; None when they may not or cannot be read."""
    namespace, kind = where
    items: list[ownership.Item] = []
    query: dict[str, Any] = {"limit": 500}
    try:
        while True:
            body = client.request(
                "GET", kind.collection(namespace), query=query, accept=_METADATA, budget=_LIST_BUDGET
            )[1]
            items += [ownership.Item(kind.group, kind.kind, item["metadata"]) for item in body.get("items") or []]
            token = (body.get("metadata") or {}).get("continue")
            if not token:
                return items
            query = {"limit": 500, "continue": token}
    except ApiError as error:
        if error.status == 401:
            raise
        # 404: the kind has been removed since; 405: there is no list of it (a review, a binding).
        return [] if error.status in (404, 405) else None
