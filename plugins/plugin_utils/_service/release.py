# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: may change at any time without notice; only this collection may import it.
"""Releases of a service definition: the one that it states, the definition with another one, and the objects of a canary."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.servicemesh.platform.plugins.plugin_utils._service.definition import DefinitionError, load
from ansible_collections.servicemesh.platform.plugins.plugin_utils._service.workload import Manifest, service_manifests

# The stable workload, which a promotion writes. All other objects of a service exist before the canary starts.
WORKLOAD = frozenset({"Deployment", "ConfigMap"})


def release_of(definition: Mapping[str, Any], version: str = "", image: str = "") -> dict[str, str]:
    """``{"image", "version"}`` of a definition, or of the same one with another version.

    When the image's tag is the definition's version, the image changes with the version; otherwise `image` is required.
    """
    spec = load(definition)
    if not version and not image:
        return {"image": spec["image"], "version": spec["version"]}
    if not image:
        repository, colon, tag = spec["image"].rpartition(":")
        if not colon or tag != spec["version"]:
            finding = f"image {spec['image']} is not tagged with version {spec['version']}; set the image of version {version} too"
            raise DefinitionError(spec["name"], [finding])
        image = f"{repository}:{version}"
    return {"image": image, "version": version or image.rpartition(":")[2]}


def with_release(definition: Mapping[str, Any], release: Mapping[str, Any]) -> dict[str, Any]:
    """The definition with another release. Environment variables whose value is the version get the new version."""
    old = release_of(definition)
    result = dict(definition)
    result["image"], result["version"] = release["image"], release["version"]
    if old["version"] != release["version"]:
        result["env"] = {
            name: release["version"] if str(value) == old["version"] else value
            for name, value in (definition.get("env") or {}).items()
        }
    return result


def canary_manifests(definition: Mapping[str, Any], secret_versions: Mapping[str, Any] | None = None) -> list[Manifest]:
    """Objects of the canary: one pod at first; the steps of the canary change the number."""
    own = {**definition, "track": "canary", "replicas": 1, "autoscaling": {"enabled": False}}
    own["disruption_budget"] = {"enabled": False}
    return service_manifests(own, secret_versions)


def stable_manifests(definition: Mapping[str, Any], secret_versions: Mapping[str, Any] | None = None) -> list[Manifest]:
    """The objects of a service that a promotion writes."""
    return [item for item in service_manifests(definition, secret_versions) if item["kind"] in WORKLOAD]


def canary_leftovers(definition: Mapping[str, Any]) -> list[Manifest]:
    """References of objects that a canary may have left: its workload, record and lease. For the removal of a service."""
    spec = load(definition)
    names = [
        ("apps/v1", "Deployment", f"{spec['name']}-canary"),
        ("v1", "ConfigMap", f"{spec['name']}-canary-config"),
        ("v1", "ConfigMap", f"canary-{spec['name']}"),
        ("coordination.k8s.io/v1", "Lease", f"canary-{spec['name']}"),
    ]
    return [
        {"apiVersion": version, "kind": kind, "metadata": {"name": name, "namespace": spec["namespace"]}}
        for version, kind, name in names
    ]
