# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the objects that decide on mutual TLS: about ten LISTs in pages, each object reduced as its page arrives.

What could not be read, or is not there, is named in `missing` and never guessed.
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
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.assemble import Snapshot, assembled, reducers
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.groups import revisions
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.model import MeshConfig, Missing, MissingCause
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parse.mesh_config import mesh_config
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parse.metadata import Obj
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parse.pod import Pod

with contextlib.suppress(ImportError):  # _kube.client reports it
    import yaml

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind to read: its plural, the API versions to try in this order, and a query."""

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
    missing: dict[str, Missing] = {}

    def one(kind: Kind) -> list[Any]:
        found = _listed(client, kind, reduce[kind.name])
        if isinstance(found, Missing):
            missing[kind.name] = found
            return []
        return found

    jobs: list[Callable[[], Any]] = [functools.partial(one, kind) for kind in KINDS]
    jobs.append(lambda: _environments(client, istio_namespace))
    *lists, environments = client.each(_run, jobs)
    found = {kind.name: items for kind, items in zip(KINDS, lists, strict=True)}
    pods: list[Pod] = found["Pod"]
    config, configs, missing_configs = _configs(client, istio_namespace, revisions(pods), environments)
    snapshot = assembled(found, missing, config, configs, domain)
    stats = {
        "objects": {name: len(items) for name, items in found.items()},
        "groups": len(snapshot.mesh.groups),
        "requests": client.requests - before,
        "read_seconds": round(time.monotonic() - start, 3),
    }
    return replace(snapshot, stats=stats, missing_configs=tuple(missing_configs))


def _run(job: Callable[[], Any]) -> Any:
    return job()


def _listed(client: Client, kind: Kind, reduce: Callable[[Obj], T]) -> list[T] | Missing:
    """Reduced objects of a kind, or why it cannot be read."""
    for version in kind.versions:
        try:
            return client.list_reduced(f"{root_of(version)}/{kind.plural}", kind.query, reduce)[0]
        except ApiError as error:
            if error.status == 401:
                raise
            if error.status == 404:
                continue
            if error.status == 403:
                group = version.rpartition("/")[0]
                right = f"verb list on {kind.plural}{'.' if group else ''}{group} in all namespaces"
                return Missing(kind.name, MissingCause.NO_PERMISSION, f"no permission: {right} is missing", right)
            return Missing(kind.name, MissingCause.FAILED, f"reading {kind.plural} failed: {error}")
    text = f"the API server does not know {kind.plural} in {' or '.join(kind.versions)}"
    return Missing(kind.name, MissingCause.NOT_INSTALLED, text)


def _environments(client: Client, namespace: str) -> dict[str, dict[str, str]] | None:
    """Plain environment variables of each revision's istiod, None when they could not be read."""
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
    client: Client, namespace: str, served: list[str], environments: dict[str, dict[str, str]] | None
) -> tuple[MeshConfig, dict[str, MeshConfig], list[Missing]]:
    """The default revision's MeshConfig, those of the others that serve pods (`served`), and those that could not be read."""
    missing: list[Missing] = []

    def one(revision: str) -> MeshConfig | None:
        environment = None if environments is None else environments.get(revision)
        found = _config(client, namespace, revision, environment)
        if isinstance(found, Missing):
            missing.append(found)
            return None
        return found

    found = {revision: one(revision) for revision in served}
    default = one("default")
    if default is None and sum(config is not None for config in found.values()) == 1:
        default = next(config for config in found.values() if config is not None)  # the only revision there is
        missing = [entry for entry in missing if entry.object != _config_map(namespace, "default")]
    default = default or MeshConfig(known=False)
    return default, {rev: config or MeshConfig(revision=rev, known=False) for rev, config in found.items()}, missing


def _config_map(namespace: str, revision: str) -> str:
    return f"ConfigMap {namespace}/{_config_name(revision)}"


def _config_name(revision: str) -> str:
    return "istio" if revision == "default" else f"istio-{revision}"


def _config(
    client: Client, namespace: str, revision: str, environment: Mapping[str, str] | None
) -> MeshConfig | Missing:
    """A revision's MeshConfig, or why it cannot be read."""
    where = _config_map(namespace, revision)
    try:
        found = client.get(f"/api/v1/namespaces/{namespace}/configmaps/{_config_name(revision)}")
        document = yaml.safe_load(((found or {}).get("data") or {}).get("mesh") or "") if found else None
    except ApiError as error:
        if error.status == 401:
            raise
        if error.status == 403:
            right = f"verb get on configmaps in namespace {namespace}"
            return Missing(where, MissingCause.NO_PERMISSION, f"no permission: {right} is missing", right)
        return Missing(where, MissingCause.FAILED, str(error))
    except yaml.YAMLError as error:
        return Missing(where, MissingCause.FAILED, f"its key mesh is not YAML: {str(error).splitlines()[0]}")
    if found is None:
        return Missing(where, MissingCause.NOT_INSTALLED, "it does not exist")
    if not isinstance(document, dict):
        return Missing(where, MissingCause.FAILED, "its key mesh has no MeshConfig")
    return mesh_config(document, revision, environment)
