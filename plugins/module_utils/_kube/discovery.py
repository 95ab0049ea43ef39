# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which kinds the server knows and at which paths, from its discovery documents. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._kube.objects import Ref, group_of

ACCEPT = ",".join(
    (
        "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
        "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList",
        "application/json",
    )
)

# Groups of the API server itself. A kind that is missing in one of them is a mistake;
# in any other group it may come later with a CRD.
_BUILT_IN = frozenset(
    {
        "",
        "apps",
        "batch",
        "autoscaling",
        "policy",
        "extensions",
        "admissionregistration.k8s.io",
        "apiextensions.k8s.io",
        "apiregistration.k8s.io",
        "authentication.k8s.io",
        "authorization.k8s.io",
        "certificates.k8s.io",
        "coordination.k8s.io",
        "discovery.k8s.io",
        "events.k8s.io",
        "flowcontrol.apiserver.k8s.io",
        "networking.k8s.io",
        "node.k8s.io",
        "rbac.authorization.k8s.io",
        "resource.k8s.io",
        "scheduling.k8s.io",
        "storage.k8s.io",
    }
)


def root_of(api_version: str) -> str:
    """Path of a version; the core group has its own root."""
    return f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"


@dataclass(frozen=True, slots=True)
class Resource:
    """How one kind is addressed."""

    api_version: str
    kind: str
    plural: str
    namespaced: bool

    @property
    def group(self) -> str:
        """API group, empty for the core one."""
        return group_of(self.api_version)

    def collection(self, namespace: str = "") -> str:
        """Path of all objects of the kind, in one namespace or in all."""
        root = root_of(self.api_version)
        if self.namespaced and namespace:
            root += f"/namespaces/{namespace}"
        return f"{root}/{self.plural}"

    def path(self, ref: Ref) -> str:
        """Path of one object. RBAC names may contain characters that a path must not contain."""
        name = ref.name.replace("%", "%25").replace("?", "%3F").replace("#", "%23").replace(" ", "%20")
        return f"{self.collection(ref.namespace)}/{name}"


class Catalog:
    """The kinds of a server, `(apiVersion, kind)` to Resource."""

    def __init__(self, resources: Iterable[Resource] = ()) -> None:
        self._resources: dict[tuple[str, str], Resource] = {}
        self.add(resources)

    def __len__(self) -> int:
        return len(self._resources)

    def add(self, resources: Iterable[Resource]) -> None:
        """Adds kinds; of two resources of one kind the first counts."""
        for resource in resources:
            self._resources.setdefault((resource.api_version, resource.kind), resource)

    def find(self, api_version: str, kind: str) -> Resource | None:
        """Resource of a kind, or None."""
        return self._resources.get((api_version, kind))

    def by_kind(self, kind: str) -> list[Resource]:
        """One resource for each group that has the kind, each in the version that the server prefers."""
        found: dict[str, Resource] = {}
        for resource in self._resources.values():
            if resource.kind == kind:
                found.setdefault(resource.group, resource)
        return list(found.values())

    def namespaced(self) -> list[Resource]:
        """One resource for each kind of objects in namespaces, in the version that the server prefers."""
        found: dict[tuple[str, str], Resource] = {}
        for resource in self._resources.values():
            if resource.namespaced:
                found.setdefault((resource.group, resource.kind), resource)
        return list(found.values())

    def versions_of(self, group: str, kind: str) -> list[str]:
        """Versions in which the server has a kind of a group, for a message."""
        return [r.api_version for r in self._resources.values() if r.kind == kind and r.group == group]


def is_built_in(api_version: str) -> bool:
    """Whether the group belongs to the API server, so that a missing kind cannot come later."""
    return group_of(api_version) in _BUILT_IN


def resources_in(document: Mapping[str, Any]) -> list[Resource]:
    """Resources of one `APIGroupDiscoveryList`, without subresources. The preferred version of a group comes first."""
    found = []
    for group in document.get("items") or []:
        name = (group.get("metadata") or {}).get("name", "")
        for version in group.get("versions") or []:
            api_version = f"{name}/{version['version']}" if name else version["version"]
            for entry in version.get("resources") or []:
                kind = (entry.get("responseKind") or {}).get("kind")
                if kind:
                    found.append(Resource(api_version, kind, entry["resource"], entry.get("scope") == "Namespaced"))
    return found


def resources_in_legacy(document: Mapping[str, Any]) -> list[Resource]:
    """Resources of one `APIResourceList`, the document of one version."""
    return [
        Resource(document["groupVersion"], entry["kind"], entry["name"], bool(entry.get("namespaced")))
        for entry in document.get("resources") or []
        if "/" not in entry["name"]
    ]


def resources_of_crd(crd: Mapping[str, Any]) -> list[Resource]:
    """Resources that a CustomResourceDefinition will define, known before the server has them."""
    spec = crd.get("spec") or {}
    names = spec.get("names") or {}
    return [
        Resource(
            f"{spec.get('group')}/{version.get('name')}",
            names.get("kind", ""),
            names.get("plural", ""),
            spec.get("scope") == "Namespaced",
        )
        for version in spec.get("versions") or []
        if version.get("served", True)
    ]
