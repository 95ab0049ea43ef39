# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sets of objects that all contestants apply. No I/O."""

from __future__ import annotations

from typing import Any

import yaml

Obj = dict[str, Any]
# Every namespace of a benchmark has this label, so that the next run finds the leftovers of a killed one.
LABEL = "servicemesh.platform/benchmark"
KINDS = {
    "serviceaccounts": "",
    "configmaps": "",
    "services": "",
    "virtualservices": "networking.istio.io",
    "destinationrules": "networking.istio.io",
}  # resource: API group


def namespace(name: str) -> Obj:
    """A benchmark's namespace."""
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": {LABEL: "true"}}}


def services(name: str, count: int) -> list[Obj]:
    """A namespace and for each of `count` services a ServiceAccount, ConfigMap, Service, VirtualService and DestinationRule.

    Nothing is exported from the namespace, so that the platform's proxies do not receive a thousand services during a measurement.
    """
    made = [namespace(name)]
    for index in range(count):
        made += _service(f"service-{index}", name)
    return made


def _service(name: str, namespace_name: str) -> list[Obj]:
    meta = {"name": name, "namespace": namespace_name}
    host = f"{name}.{namespace_name}.svc.cluster.local"
    route = {"route": [{"destination": {"host": host, "subset": "stable"}}]}
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": dict(meta)},
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": dict(meta), "data": {"key": "value " * 20}},
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {**meta, "annotations": {"networking.istio.io/exportTo": "."}},
            "spec": {"selector": {"app": name}, "ports": [{"name": "http", "port": 80, "targetPort": 8080}]},
        },
        {
            "apiVersion": "networking.istio.io/v1",
            "kind": "VirtualService",
            "metadata": dict(meta),
            "spec": {"hosts": [host], "exportTo": ["."], "http": [route]},
        },
        {
            "apiVersion": "networking.istio.io/v1",
            "kind": "DestinationRule",
            "metadata": dict(meta),
            "spec": {"host": host, "exportTo": ["."], "subsets": [{"name": "stable", "labels": {"track": "stable"}}]},
        },
    ]


def text(objects: list[Obj]) -> str:
    """The set as one file of YAML documents."""
    return str(yaml.dump_all(objects, Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper), explicit_start=True))


def watched_kind(group: str) -> Obj:
    """The CRD of a kind `Thing` with a status, for objects that become ready when the benchmark sets it."""
    loose = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"things.{group}", "labels": {LABEL: "true"}},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": "Thing", "plural": "things", "singular": "thing", "listKind": "ThingList"},
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": loose, "status": loose}}},
                }
            ],
        },
    }
