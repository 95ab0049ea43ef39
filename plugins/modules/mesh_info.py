#!/usr/bin/python
# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: mesh_info
short_description: Diagnose a mesh - proxies, configuration, pods, certificates, events and failing calls
version_added: 0.1.0
author:
  - servicemesh.platform contributors (@servicemesh)
description:
  - Reads what C(istioctl proxy-status), C(istioctl analyze), C(kubectl get pods), C(kubectl get events) and Prometheus tell of a mesh, and
    returns findings with codes, severities and what to do.
  - For chosen proxies it summarises what Envoy runs (clusters, endpoints, listeners, routes, secrets), and compares it with what istiod
    would send now, as C(istioctl proxy-status POD) does.
  - The module only reads. What could not be read is a finding with code V(not_read) and makes the answer V(unknown); it is never taken as
    healthy.
  - C(docs/diagnose.md) of the collection lists the codes and the permissions.
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
  sections:
    description:
      - What to look at.
      - V(proxies) asks each istiod which proxies it has, and what each of them has acknowledged. V(config) checks what objects of Istio
        name. V(pods) looks for pods that do not start, restart or are not ready. V(certificates) reads certificates of proxies and of the
        Secrets that Ingresses name. V(events) reads warnings. V(calls) asks O(prometheus), if it is given. V(istioctl) runs
        C(istioctl analyze) on the controller.
    type: list
    elements: str
    choices: [proxies, config, pods, certificates, events, calls, istioctl]
    default: [proxies, config, pods, certificates, events, calls, istioctl]
  namespaces:
    description:
      - Namespaces that findings and rows are limited to, all by default. Objects of all namespaces are read either way.
    type: list
    elements: str
    default: []
  proxies:
    description:
      - Pods or workloads, as V(namespace/name), whose configuration is summarised and compared with istiod's. Of a workload, one pod is
        taken. There can be ten.
    type: list
    elements: str
    default: []
  window:
    description: How far back to look at restarts, events and calls, in seconds.
    type: int
    default: 3600
  stale_after:
    description: Seconds after which a proxy that has not acknowledged what istiod sent counts as stale. Until then a push is under way.
    type: float
    default: 10
  proxy_samples:
    description: Number of proxies that are asked for their certificates, gateways first, then one of each workload.
    type: int
    default: 20
  certificate_days:
    description: Days before its end from which on a root or serving certificate is a finding.
    type: float
    default: 30
  failed_share:
    description: Share of the calls between two workloads from which on failed calls are a finding, from V(0) to V(1).
    type: float
    default: 0.01
  min_calls:
    description: Number of calls within O(window) below which their share is no finding.
    type: float
    default: 10
  fail_on:
    description: From which severity on findings are in RV(failing). What could not be read is an V(error).
    type: str
    choices: [error, warning, info, never]
    default: error
  istio_namespace:
    description: Namespace of istiod and of the ConfigMap with the MeshConfig.
    type: str
    default: istio-system
  cluster_domain:
    description: The cluster's DNS domain.
    type: str
    default: cluster.local
  istioctl:
    description:
      - The C(istioctl) command on the controller. A name is looked for in E(PATH), and without such a command the section is not asked for.
        A path without a command is V(not_read).
      - It gets the kubeconfig and the context. It cannot get other options of the connection, such as O(host); then it is not asked for.
    type: str
    default: istioctl
seealso:
  - module: servicemesh.platform.mtls_info
  - module: servicemesh.platform.platform_info
  - name: Diagnostic tools
    description: Istio's own tools.
    link: https://istio.io/latest/docs/ops/diagnostic-tools/
"""

EXAMPLES = r"""
- name: Diagnose a mesh
  servicemesh.platform.mesh_info:
    prometheus: "{{ lookup('servicemesh.platform.prometheus_address') }}"
  register: __mesh

- name: Wait until every proxy has the newest configuration
  servicemesh.platform.mesh_info:
    sections: [proxies]
  register: __mesh
  until: __mesh.failing | length == 0
  retries: 6
  delay: 5

- name: See how the ingress gateway differs from what istiod would send
  servicemesh.platform.mesh_info:
    sections: [proxies]
    proxies: [istio-system/istio-ingressgateway]
  register: __mesh
"""

RETURN = r"""
summary:
  description: The answer, and what was looked at.
  returned: success
  type: dict
  contains:
    answer:
      description:
        - V(healthy) when everything that was asked for was read, and no error and no warning was found.
        - V(findings) when there is an error or a warning, V(unknown) when there is none and something could not be read.
      type: str
      sample: findings
    text:
      description: The answer in a sentence.
      type: str
      sample: 1 error and 2 warnings found.
    errors:
      description: Number of errors, without what could not be read.
      type: int
      sample: 1
    warnings:
      description: Number of warnings.
      type: int
      sample: 2
    infos:
      description: Number of other findings.
      type: int
      sample: 0
    unknown:
      description: Number of things that could not be read.
      type: int
      sample: 0
    sections:
      description:
        - One entry for each section, with the numbers of its findings. C(state) is V(read), V(unknown) (something of it could not be read)
          or V(not_asked).
      type: list
      elements: dict
      sample:
        - section: proxies
          state: read
          errors: 1
          warnings: 0
          infos: 0
          unknown: 0
          text: "17 proxies: 1 stale, 16 synced"
findings:
  description: Everything that was found, the worst first.
  returned: success
  type: list
  elements: dict
  contains:
    severity:
      description: V(error), V(warning) or V(info).
      type: str
      sample: error
    section:
      description: Section that it is of.
      type: str
      sample: proxies
    code:
      description: Code of the finding. C(docs/diagnose.md) lists them; those of section V(istioctl) are Istio's.
      type: str
      sample: proxy_rejected
    object:
      description: The object that it is about.
      type: str
      sample: Pod ecommerce/user-service-5dcc78b56b-x7k2p
    namespace:
      description: Namespace of the object, or empty.
      type: str
      sample: ecommerce
    message:
      description: What was found.
      type: str
      sample: "Envoy refused LDS that istiod-6c86784695-xkqvq sent 74 s ago: …"
    change:
      description: What to do, or empty.
      type: str
      sample: Read the message, and correct the object that it is made of.
failing:
  description: The findings that O(fail_on) names, as RV(findings).
  returned: success
  type: list
  elements: dict
proxies:
  description:
    - One entry for each connection of a proxy to an istiod, and for each proxy without one, the worst first.
    - C(state) is the worst of its types, V(rejected) (Envoy refused what istiod sent), V(stale), V(not_connected), V(not_sent),
      V(unknown) (an istiod could not be asked), V(pending) (a push is under way) or V(synced).
  returned: success
  type: list
  elements: dict
  sample:
    - pod: user-service-5dcc78b56b-x7k2p
      namespace: ecommerce
      workload: user-service
      state: synced
      kind: sidecar
      istiod: istiod-6c86784695-xkqvq
      version: 1.31.0
      types: {CDS: {state: synced, seconds: 74.0, error: ""}, LDS: {state: synced, seconds: 74.0, error: ""}}
istiods:
  description: One entry for each pod of istiod.
  returned: success
  type: list
  elements: dict
  sample: [{pod: istiod-6c86784695-xkqvq, version: 1.31.0, revision: default, proxies: 17, error: ""}]
proxy_configs:
  description:
    - One entry for each of O(proxies). C(differences) names what only Envoy or only istiod has, and the fields that differ, without their
      values. What differs was read twice.
  returned: success
  type: list
  elements: dict
  sample:
    - pod: istio-ingressgateway-7f9c6b7d5-2xv8p
      namespace: istio-system
      workload: istio-ingressgateway
      known: true
      summary:
        clusters: 21
        clusters_without_endpoints: []
        endpoints: 38
        unhealthy_endpoints: {}
        listeners: ["0.0.0.0_8080"]
        routes: {"http.8080": [ecommerce.example.com]}
        secrets: [default, ROOTCA]
        extensions: []
        warming: []
        refused: {}
      differences: [{kind: routes, name: http.8080, only: "", fields: ["virtual_hosts[0].routes (3 in Envoy, 4 in istiod)"]}]
pods:
  description: Pods that restarted or are not ready.
  returned: success
  type: list
  elements: dict
  sample: [{pod: user-db-0, namespace: ecommerce, workload: user-db, phase: Running, ready: true, restarts: 2}]
certificates:
  description: Certificates, those that end first in front. C(use) is V(workload), V(serving) or V(root).
  returned: success
  type: list
  elements: dict
  sample:
    - use: root
      name: root of the mesh
      where: Pod istio-system/istio-ingressgateway-7f9c6b7d5-2xv8p
      serial: 5f0c2a
      expires: "2036-11-24T18:47:00Z"
      days_left: 3650.0
events:
  description: Warnings within O(window), the newest first, one entry for each object and reason.
  returned: success
  type: list
  elements: dict
  sample:
    - namespace: ecommerce
      object: Pod user-db-0
      reason: Unhealthy
      count: 3
      last: "2026-11-26T18:47:00Z"
      message: "Readiness probe failed: …"
calls:
  description: Calls within O(window) by caller and service, those with the most failed ones first, fifty at most.
  returned: success
  type: list
  elements: dict
  sample: [{caller: ecommerce/order-service, service: ecommerce/user-service, calls: 120.0, failed: 3.0, share: 0.025}]
stats:
  description: Number of requests to the API server, and times in seconds.
  returned: success
  type: dict
  sample: {requests: 48, read_seconds: 1.4, seconds: 1.5}
"""

import os
import time
from collections.abc import Mapping
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils import _args
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.config import options_of
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import KubeError
from ansible_collections.servicemesh.platform.plugins.module_utils._mesh.diagnose.cluster import observe
from ansible_collections.servicemesh.platform.plugins.module_utils._mesh.diagnose.codes import Section
from ansible_collections.servicemesh.platform.plugins.module_utils._mesh.diagnose.findings import FailOn
from ansible_collections.servicemesh.platform.plugins.module_utils._mesh.diagnose.observed import Wanted
from ansible_collections.servicemesh.platform.plugins.module_utils._mesh.diagnose.result import result
from ansible_collections.servicemesh.platform.plugins.module_utils._module import (
    Invocation,
    PlatformModule,
    connected,
    run,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._prometheus import OPTION, given_endpoint

_SECTIONS = ["proxies", "config", "pods", "certificates", "events", "calls", "istioctl"]
ARGUMENTS = _args.spec(
    sections={"type": "list", "elements": "str", "choices": _SECTIONS, "default": _SECTIONS},
    namespaces={"type": "list", "elements": "str", "default": []},
    proxies={"type": "list", "elements": "str", "default": []},
    window={"type": "int", "default": 3600},
    stale_after={"type": "float", "default": 10},
    proxy_samples={"type": "int", "default": 20},
    certificate_days={"type": "float", "default": 30},
    failed_share={"type": "float", "default": 0.01},
    min_calls={"type": "float", "default": 10},
    fail_on={"type": "str", "choices": ["error", "warning", "info", "never"], "default": "error"},
    istio_namespace={"type": "str", "default": "istio-system"},
    cluster_domain={"type": "str", "default": "cluster.local"},
    istioctl={"type": "str", "default": "istioctl"},
    prometheus=OPTION,
)


def wanted_of(params: Mapping[str, Any]) -> Wanted:
    """The options. Raises KubeError, with all that is wrong, for values out of range."""
    wrong = [
        f"{name}: {params[name]} is not {expected}"
        for name, good, expected in (
            ("window", params["window"] >= 60, "at least 60 s"),
            ("stale_after", params["stale_after"] >= 0, "0 or more"),
            ("proxy_samples", params["proxy_samples"] >= 0, "0 or more"),
            ("failed_share", 0 <= params["failed_share"] <= 1, "a share from 0 to 1"),
            ("proxies", all(name.count("/") == 1 for name in params["proxies"]), "a list of namespace/name"),
        )
        if not good
    ]
    if wrong:
        raise KubeError("; ".join(wrong))
    return Wanted(
        sections=frozenset(Section(name) for name in params["sections"]),
        namespaces=frozenset(params["namespaces"]),
        proxies=tuple(params["proxies"]),
        window=params["window"],
        stale_after=params["stale_after"],
        samples=params["proxy_samples"],
        certificate_days=params["certificate_days"],
        failed_share=params["failed_share"],
        min_calls=params["min_calls"],
        istio_namespace=params["istio_namespace"],
        domain=params["cluster_domain"],
        prometheus=given_endpoint(params["prometheus"]),
        istioctl=params["istioctl"],
        connection=options_of(params, os.environ)[0],
    )


def work(module: Invocation) -> dict[str, Any]:
    """The module's result."""
    begin = time.monotonic()
    wanted = wanted_of(module.params)
    client = connected(module)
    observed = observe(client, wanted)
    has_read = time.monotonic()
    stats = {"requests": client.requests, "read_seconds": round(has_read - begin, 3)}
    told = result(observed, wanted, FailOn(module.params["fail_on"]), stats)
    told["stats"]["seconds"] = round(time.monotonic() - begin, 3)
    return told


def main() -> None:
    """Entry point."""
    run(PlatformModule(argument_spec=ARGUMENTS, supports_check_mode=True), work)


if __name__ == "__main__":
    main()
