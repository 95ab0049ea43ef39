# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads from a cluster what decides on mutual TLS: about ten LISTs in pages, each object reduced as its page arrives.

What may not be read, or is not there, is named in `missing` and never guessed.
"""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import Client
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.discovery import root_of
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import ApiError
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls import parse as _mtls_parse
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls import pods as _mtls_pods
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.assemble import Snapshot, assembled, reducers
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.model import MeshConfig

with contextlib.suppress(ImportError):  # _connection.IMPORT_ERROR tells it
    import yaml

T = TypeVar("T")
Obj = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Kind:
    """A collection to read: plural, API versions to try in this order, and a query."""

    name: str
    plural: str
    versions: tuple[str, ...]
    query: Mapping[str, str] | None = None


_NETWORKING = ("networking.istio.io/v1", "networking.istio.io/v1beta1", "networking.istio.io/v1alpha3")
_SECURITY = ("security.istio.io/v1", "security.istio.io/v1beta1")
_RUNNING = {"fieldSelector": "status.phase!=Succeeded,status.phase!=Failed"}
KINDS = (
    Kind("Pod", "pods", ("v1",), _RUNNING),
    Kind("EndpointSlice", "endpointslices", ("discovery.k8s.io/v1",)),
    Kind("Service", "services", ("v1",)),
    Kind("Namespace", "namespaces", ("v1",)),
    Kind("PeerAuthentication", "peerauthentications", _SECURITY),
    Kind("DestinationRule", "destinationrules", _NETWORKING),
    Kind("Sidecar", "sidecars", _NETWORKING),
    Kind("ServiceEntry", "serviceentries", _NETWORKING),
    Kind("WorkloadEntry", "workloadentries", _NETWORKING),
    Kind("Gateway", "gateways", _NETWORKING),
)


def read(client: Client, istio_namespace: str, domain: str) -> Snapshot:
    """Reads everything. Raises KubeError only when the API server cannot be reached or does not know the caller."""
    start, before = time.monotonic(), client.requests
    reduce = reducers(domain)
    missing: dict[str, str] = {}

    def one(kind: Kind) -> list[Any]:
        found, why = _listed(client, kind, reduce[kind.name])
        if why:
            missing[kind.name] = why
        return found

    jobs: list[Callable[[], Any]] = [functools.partial(one, kind) for kind in KINDS]
    jobs.append(lambda: _environments(client, istio_namespace))
    *lists, environments = client.each(_call, jobs)
    found = {kind.name: items for kind, items in zip(KINDS, lists, strict=True)}
    pods: list[_mtls_pods.Pod] = found["Pod"]
    config, configs, notes = _configs(client, istio_namespace, _mtls_pods.revisions(pods), environments)
    snapshot = assembled(found, missing, config, configs, domain)
    stats = {
        "objects": {name: len(items) for name, items in found.items()},
        "groups": len(snapshot.mesh.groups),
        "requests": client.requests - before,
        "read_seconds": round(time.monotonic() - start, 3),
    }
    return replace(snapshot, stats=stats, notes=tuple(notes))


def _call(job: Callable[[], Any]) -> Any:
    return job()


def _listed(client: Client, kind: Kind, reduce: Callable[[Obj], T]) -> tuple[list[T], str]:
    """Reduced objects of a kind, and why there are none when it cannot be read."""
    for version in kind.versions:
        try:
            return client.list_reduced(f"{root_of(version)}/{kind.plural}", kind.query, reduce)[0], ""
        except ApiError as error:
            if error.status == 401:
                raise
            if error.status == 404:
                continue
            if error.status == 403:
                group = version.rpartition("/")[0]
                where = f"{kind.plural}.{group}" if group else kind.plural
                return [], f"no permission: verb list on {where} in all namespaces is missing"
            return [], f"reading {kind.plural} failed: {error}"
    return [], f"the API server does not know {kind.plural} in {' or '.join(kind.versions)}"


def _environments(client: Client, namespace: str) -> dict[str, dict[str, str]] | None:
    """Plain environment variables of each revision's istiod; null when they may not be read."""
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments"
    try:
        body = client.get(path, query={"labelSelector": "app=istiod"})
    except ApiError as error:
        if error.status == 401:
            raise
        return None
    found = {}
    for item in (body or {}).get("items") or []:
        revision = (item["metadata"].get("labels") or {}).get("istio.io/rev") or "default"
        containers = ((item.get("spec") or {}).get("template") or {}).get("spec", {}).get("containers") or []
        variables = [v for c in containers if c.get("name") == "discovery" for v in c.get("env") or []]
        found[revision] = {v["name"]: str(v["value"]) for v in variables if "value" in v}
    return found or None


def _configs(
    client: Client, namespace: str, revisions: list[str], environments: dict[str, dict[str, str]] | None
) -> tuple[MeshConfig, dict[str, MeshConfig], list[tuple[str, str]]]:
    """The default revision's MeshConfig, those of the others that serve pods, and notes on what could not be read."""
    notes: list[tuple[str, str]] = []

    def one(revision: str) -> MeshConfig | None:
        name = "istio" if revision == "default" else f"istio-{revision}"
        env = None if environments is None else environments.get(revision)
        try:
            found = client.get(f"/api/v1/namespaces/{namespace}/configmaps/{name}")
            document = yaml.safe_load(((found or {}).get("data") or {}).get("mesh") or "") if found else None
        except ApiError as error:
            if error.status == 401:
                raise
            verb = "no permission: verb get on configmaps is missing" if error.status == 403 else str(error)
            notes.append((f"ConfigMap {namespace}/{name}", verb))
            return None
        except yaml.YAMLError as error:
            notes.append((f"ConfigMap {namespace}/{name}", f"its key mesh is not YAML: {str(error).splitlines()[0]}"))
            return None
        if not isinstance(document, dict):
            notes.append(
                (f"ConfigMap {namespace}/{name}", "there is no MeshConfig in it" if found else "it is not there")
            )
            return None
        return _mtls_parse.mesh_config(document, revision, env)

    found = {revision: one(revision) for revision in revisions}
    default = one("default")
    if default is None and sum(config is not None for config in found.values()) == 1:
        default = next(config for config in found.values() if config is not None)  # the only revision there is
        notes = [note for note in notes if note[0] != f"ConfigMap {namespace}/istio"]
    default = default or MeshConfig(known=False)
    return default, {rev: config or MeshConfig(revision=rev, known=False) for rev, config in found.items()}, notes
