# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: may change at any time without notice; only this collection may import it.
"""Releases of a service definition: which one it states, the same definition with another one, and its objects for a canary."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.servicemesh.platform.plugins.plugin_utils._service.definition import DefinitionError, load
from ansible_collections.servicemesh.platform.plugins.plugin_utils._service.workload import Manifest, service_manifests

# The stable workload: what a promotion writes. Everything else of a service is there before the canary begins.
WORKLOAD = frozenset({"Deployment", "ConfigMap"})


def release_of(definition: Mapping[str, Any], version: str = "", image: str = "") -> dict[str, str]:
    """``{"image", "version"}`` of a definition, or of the same one with another version.

    The image follows the version where its tag is the definition's version; elsewhere it has to be given.
    """
    spec = load(definition)
    if not version and not image:
        return {"image": spec["image"], "version": spec["version"]}
    if not image:
        repository, colon, tag = spec["image"].rpartition(":")
        if not colon or tag != spec["version"]:
            fault = f"image {spec['image']} is not tagged with version {spec['version']}; give the image of version {version} too"
            raise DefinitionError(spec["name"], [fault])
        image = f"{repository}:{version}"
    return {"image": image, "version": version or image.rpartition(":")[2]}


def with_release(definition: Mapping[str, Any], release: Mapping[str, Any]) -> dict[str, Any]:
    """The definition with another release. Environment variables whose value was the version get the new one."""
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
    """Objects that run a definition as the canary: one pod at first; the canary's own steps set the number."""
    own = {**definition, "track": "canary", "replicas": 1, "autoscaling": {"enabled": False}}
    own["disruption_budget"] = {"enabled": False}
    return service_manifests(own, secret_versions)


def stable_manifests(definition: Mapping[str, Any], secret_versions: Mapping[str, Any] | None = None) -> list[Manifest]:
    """The part of a service's objects that a promotion writes."""
    return [item for item in service_manifests(definition, secret_versions) if item["kind"] in WORKLOAD]


def canary_leftovers(definition: Mapping[str, Any]) -> list[Manifest]:
    """References of what a canary may have left: its workload, its record and its lease. For the removal of a service."""
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
