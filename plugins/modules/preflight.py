#!/usr/bin/python
# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: preflight
short_description: Find what prevents the platform from running on a cluster, before anything is changed
version_added: 0.1.0
author:
  - servicemesh.platform contributors (@servicemesh)
description:
  - Checks a cluster and reports all findings at once, each with what to do about it.
  - Only reads. A check whose facts the identity may not read is left out.
  - A Prometheus that somebody else runs (O(prometheus)) is asked one query.
extends_documentation_fragment:
  - servicemesh.platform._kube
  - servicemesh.platform._attributes
  - servicemesh.platform._prometheus
attributes:
  check_mode:
    support: full
    details:
      - Never changes anything.
  diff_mode:
    support: N/A
  idempotent:
    support: full
options:
  istio_version:
    description:
      - Version of Istio to install; the API server's version is compared with the versions that it supports. Empty skips this check.
    type: str
    default: ""
  permissions:
    description:
      - Permissions that the run needs; each is checked by a SelfSubjectAccessReview.
    type: list
    elements: dict
    default: []
    suboptions:
      group:
        description:
          - API group, empty for the core one.
        type: str
        default: ""
      resource:
        description:
          - Resource in plural, or C(resource/subresource).
        type: str
        required: true
      verbs:
        description:
          - Verbs, for example V(patch).
        type: list
        elements: str
        required: true
        aliases: [verb]
      namespace:
        description:
          - Namespace; empty for all namespaces.
        type: str
        default: ""
  require_storage_class:
    description:
      - Whether a default storage class is required.
    type: bool
    default: false
  webhooks:
    description:
      - Whether to look for admission webhooks whose Service has no ready endpoint.
    type: bool
    default: true
  namespaces:
    description:
      - Namespaces that the run writes to. A namespace that is being deleted is a finding.
    type: list
    elements: str
    default: []
  owner:
    description:
      - Name of the set (option O(servicemesh.platform.apply#module:name) of M(servicemesh.platform.apply)) that makes and prepares the
        O(namespaces).
      - One of them that somebody else made and uses is then an error with the objects that were found there. One is free when it does not
        exist or is empty, and the platform's own when the set made it, or prepared it before (annotation
        C(servicemesh.platform/prepared-by)).
      - Everything in a namespace that the set has not prepared is read. What cannot be read is an error as well. O(ignore) does not
        apply.
      - Accounts, rights, quotas, network policies, Secrets and certificates are no use of a namespace.
      - Empty skips this check.
    type: str
    default: ""
  adopt:
    description:
      - Those of the O(namespaces) that the O(owner) may take over, whoever made and uses them.
    type: list
    elements: str
    default: []
  managed_namespaces:
    description:
      - Namespaces whose workloads the run itself creates or repairs. A webhook that is served there and has no ready endpoint is a warning.
    type: list
    elements: str
    default: []
  pod_cidr:
    description:
      - Network of the pods, as configured elsewhere; another network in the cluster is a warning.
    type: str
    default: ""
  service_cidr:
    description:
      - Network of the services, as configured elsewhere; another network in the cluster is a warning.
    type: str
    default: ""
  dns_domain:
    description:
      - DNS domain of the cluster, as configured elsewhere; another domain in the cluster is a warning.
    type: str
    default: ""
  network_plugin:
    description:
      - Whether to look for the network plugin, by the DaemonSets of the cluster.
    type: bool
    default: false
  path_normalization:
    description:
      - How the proxies of a mesh that is there already have to normalise paths, at least; less is a finding, V(NONE) an error. Empty skips
        this check.
    type: str
    choices: ["", BASE, MERGE_SLASHES, DECODE_AND_MERGE_SLASHES]
    default: ""
  istio_namespace:
    description:
      - Namespace of the mesh's configuration, for O(path_normalization).
    type: str
    default: istio-system
  istio_revision:
    description:
      - Revision of the control plane, for O(path_normalization); empty for the default one.
    type: str
    default: ""
  existing_namespaces:
    description:
      - Namespaces that somebody else makes, and that the run writes to. One that does not exist is an error.
    type: list
    elements: str
    default: []
  istio_gateway:
    description:
      - The ingress gateway of an Istio that somebody else runs. Checked are Istio's kinds, the injection of sidecars for
        O(istio_revision), and the gateway's Service and pods. What may not be read is a warning.
      - Without it, no Istio is expected.
    type: dict
    suboptions:
      namespace:
        description:
          - Its namespace.
        type: str
        required: true
      service:
        description:
          - Its Service.
        type: str
        required: true
      service_account:
        description:
          - ServiceAccount of its pods, which the access rules allow.
        type: str
        required: true
      selector:
        description:
          - Labels of its pods, by which the Gateway selects them.
        type: dict
        required: true
  ignore:
    description:
      - Names of checks whose findings are left out.
    type: list
    elements: str
    choices: [cgroup, externals, namespaces, networks, nodes, paths, permissions, storage, versions, webhooks]
    default: []
  fail_on:
    description:
      - V(error) fails with all findings in one message when one of them is an error. V(none) only returns them.
    type: str
    choices: [error, none]
    default: error
"""

EXAMPLES = r"""
- name: Check the cluster
  servicemesh.platform.preflight:
    istio_version: 1.31.0
    require_storage_class: true
    permissions:
      - {resource: namespaces, verbs: [create, patch]}
      - {group: apps, resource: deployments, verbs: [create, patch], namespace: ecommerce}
"""

RETURN = r"""
findings:
  description: The findings, errors first.
  returned: always
  type: list
  elements: dict
  contains:
    check:
      description: Name of the check, for O(ignore); V(ownership) is the check of O(owner).
      type: str
      sample: storage
    severity:
      description: V(error) or V(warning).
      type: str
      sample: error
    subject:
      description: Subject of the finding.
      type: str
      sample: storage class
    message:
      description: What was found, and what was expected.
      type: str
    action:
      description: What to do.
      type: str
facts:
  description: Facts about the cluster; null or empty where the identity may not read them or the cluster does not have them.
  returned: always
  type: dict
  contains:
    server_version: {description: Version of the API server., type: str, sample: 1.35.4}
    node_count: {description: Number of nodes., type: int, sample: 3}
    nodes:
      description: Versions on each node.
      type: list
      elements: dict
      sample:
        - {name: n1, ready: true, kubelet: v1.35.4, container_runtime: containerd://1.7.0, kernel: 6.1.0, os: Debian, architecture: amd64}
    storage_classes: {description: Names., type: list, elements: str}
    default_storage_class: {description: Name of the first default one., type: str}
    pod_cidrs: {description: Networks of the pods., type: list, elements: str}
    service_cidrs: {description: Networks of the services., type: list, elements: str}
    dns_domain: {description: DNS domain of the cluster., type: str}
    network_plugin: {description: Name of the network plugin; empty when it is not known or not asked for., type: str, sample: cilium}
    cgroup_driver: {description: Cgroup driver of the first node's kubelet., type: str}
requests:
  description: Number of requests made to the API server.
  returned: always
  type: int
  sample: 60
"""

from collections.abc import Mapping
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils import _args, _module
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import Client
from ansible_collections.servicemesh.platform.plugins.module_utils._preflight import checks, externals, normalization
from ansible_collections.servicemesh.platform.plugins.module_utils._preflight.checks import Facts, Severity, Wanted
from ansible_collections.servicemesh.platform.plugins.module_utils._preflight.facts import (
    denied,
    gather,
    mesh_config,
    mesh_there,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._prometheus import (
    OPTION,
    Endpoint,
    Failure,
    Prometheus,
    PrometheusError,
    given_endpoint,
)

CHECKS = [
    "cgroup",
    "externals",
    "namespaces",
    "networks",
    "nodes",
    "paths",
    "permissions",
    "storage",
    "versions",
    "webhooks",
]
ARGUMENTS = _args.spec(
    istio_version={"type": "str", "default": ""},
    permissions={
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "group": {"type": "str", "default": ""},
            "resource": {"type": "str", "required": True},
            "verbs": {"type": "list", "elements": "str", "required": True, "aliases": ["verb"]},
            "namespace": {"type": "str", "default": ""},
        },
    },
    require_storage_class={"type": "bool", "default": False},
    webhooks={"type": "bool", "default": True},
    namespaces={"type": "list", "elements": "str", "default": []},
    owner={"type": "str", "default": ""},
    adopt={"type": "list", "elements": "str", "default": []},
    managed_namespaces={"type": "list", "elements": "str", "default": []},
    pod_cidr={"type": "str", "default": ""},
    service_cidr={"type": "str", "default": ""},
    dns_domain={"type": "str", "default": ""},
    network_plugin={"type": "bool", "default": False},
    path_normalization={"type": "str", "choices": ["", *normalization.LEVELS[1:]], "default": ""},
    istio_namespace={"type": "str", "default": "istio-system"},
    istio_revision={"type": "str", "default": ""},
    existing_namespaces={"type": "list", "elements": "str", "default": []},
    istio_gateway={
        "type": "dict",
        "options": {
            "namespace": {"type": "str", "required": True},
            "service": {"type": "str", "required": True},
            "service_account": {"type": "str", "required": True},
            "selector": {"type": "dict", "required": True},
        },
    },
    prometheus=OPTION,
    ignore={"type": "list", "elements": "str", "choices": CHECKS, "default": []},
    fail_on={"type": "str", "choices": ["error", "none"], "default": "error"},
)


def _shown(facts: Facts) -> dict[str, Any]:
    nodes = []
    for node in facts.nodes or []:
        info = (node.get("status") or {}).get("nodeInfo") or {}
        nodes.append(
            {
                "name": node["metadata"]["name"],
                "ready": checks.is_ready(node),
                "kubelet": info.get("kubeletVersion", ""),
                "container_runtime": info.get("containerRuntimeVersion", ""),
                "kernel": info.get("kernelVersion", ""),
                "os": info.get("osImage", ""),
                "architecture": info.get("architecture", ""),
            }
        )
    return {
        "server_version": checks.server_version(facts),
        "node_count": None if facts.nodes is None else len(nodes),
        "nodes": nodes,
        "storage_classes": [entry["metadata"]["name"] for entry in facts.storage_classes or []],
        "default_storage_class": next(iter(checks.default_classes(facts)), ""),
        "pod_cidrs": checks.pod_cidrs(facts),
        "service_cidrs": checks.service_cidrs(facts),
        "dns_domain": checks.dns_domain(facts),
        "network_plugin": checks.network_plugin(facts),
        "cgroup_driver": (facts.kubelet or {}).get("cgroupDriver", ""),
    }


def _path_findings(client: Client, params: Mapping[str, Any]) -> list[checks.Finding]:
    wanted, namespace, revision = (params[key] for key in ("path_normalization", "istio_namespace", "istio_revision"))
    name = f"istio-{revision}" if revision else "istio"
    text = mesh_config(client, namespace, name) if wanted else ""
    return list(normalization.findings(text, wanted, f"{namespace}/{name}"))


def _external_findings(client: Client, params: Mapping[str, Any], facts: Facts) -> list[checks.Finding]:
    """Findings of what somebody else runs."""
    found = list(externals.namespace_findings(facts.namespaces, params["existing_namespaces"]))
    if params["istio_gateway"]:
        gateway = externals.Gateway(**params["istio_gateway"])
        found += externals.mesh_findings(mesh_there(client, gateway), gateway, params["istio_revision"])
    if endpoint := given_endpoint(params["prometheus"]):
        failure, why = _asked(endpoint, client)
        found += externals.prometheus_findings(str(endpoint), failure, why, proxied=bool(endpoint.service))
    return found


def _asked(endpoint: Endpoint, client: Client) -> tuple[Failure | None, str]:
    """Why Prometheus does not answer a query that every Prometheus can answer; None when it does."""
    try:
        Prometheus(endpoint, client).query("vector(1)", timeout=5.0, budget=5.0)
    except PrometheusError as error:
        return error.kind, str(error)
    return None, ""


def work(module: _module.Invocation) -> dict[str, Any]:
    """The module's result."""
    params = module.params
    client = _module.connected(module)
    wanted = Wanted(
        istio_version=params["istio_version"],
        pod_cidr=params["pod_cidr"],
        service_cidr=params["service_cidr"],
        dns_domain=params["dns_domain"],
        require_storage_class=params["require_storage_class"],
        namespaces=tuple(params["namespaces"]),
        managed_namespaces=tuple(params["managed_namespaces"]),
        groups=frozenset(entry["group"] for entry in params["permissions"]),
        owner=params["owner"],
        adopt=frozenset(params["adopt"]),
    )
    facts = gather(client, wanted, webhooks=params["webhooks"], network_plugin=params["network_plugin"])
    findings = checks.findings_of(facts, wanted)
    findings = [*checks.permission_findings(denied(client, params["permissions"])), *findings]
    findings += [*_path_findings(client, params), *_external_findings(client, params, facts)]
    findings.sort(key=lambda finding: finding.severity != Severity.ERROR)
    findings = [finding for finding in findings if finding.check not in params["ignore"]]
    result = {
        "changed": False,
        "facts": _shown(facts),
        "findings": [finding.as_dict() for finding in findings],
        "requests": client.requests,
    }
    errors = [finding for finding in findings if finding.severity == Severity.ERROR]
    if errors and params["fail_on"] == "error":
        module.fail_json(msg=checks.report(findings), **result)
    for finding in findings:
        module.warn(str(finding))
    return result


def main() -> None:
    """Entry point."""
    _module.run(_module.PlatformModule(argument_spec=ARGUMENTS, supports_check_mode=True), work)


if __name__ == "__main__":
    main()
