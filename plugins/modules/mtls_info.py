#!/usr/bin/python
# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: mtls_info
short_description: Compute mutual TLS for each client, service and port of a mesh
version_added: 0.1.0
author:
  - servicemesh.platform contributors (@servicemesh)
description:
  - Reads what decides on mutual TLS in an Istio mesh (about ten LISTs in pages) and tells for each client, service and port what the
    client sends, what the server accepts, what becomes of the call, which policy and which DestinationRule decided, and which did not
    count and why.
  - Tells what is wrong and what to change, whether the mesh is as it is wanted, and what would break under V(STRICT).
  - The rules are istiod's own, taken from its source; see C(docs/mtls.md) of the collection for them and for the verdicts.
  - Nothing is called and nothing is changed. M(servicemesh.platform.mtls_probe) proves the same on the wire.
  - What may not be read is named in RV(findings) and leaves RV(calls[].verdict=unknown); it never makes a verdict V(strict).
extends_documentation_fragment:
  - servicemesh.platform._kube
  - servicemesh.platform._attributes
  - servicemesh.platform._mtls
attributes:
  check_mode:
    details:
      - Never changes anything.
seealso:
  - module: servicemesh.platform.mtls_probe
  - name: Mutual TLS verification
    description: The verdicts and rules.
    link: https://istio.io/latest/docs/reference/config/security/peer_authentication/
"""

EXAMPLES = r"""
- name: Judge the whole mesh, and what would break if it were STRICT
  servicemesh.platform.mtls_info:
    what_if: {mesh: true}
  register: __mtls

- name: Demand STRICT of a namespace, but for one port
  servicemesh.platform.mtls_info:
    namespaces: [ecommerce]
    want: {ecommerce: strict}
    exceptions:
      - {service: ecommerce/legacy, port: 9000, reason: "scraped by a host without a sidecar until June"}
  register: __mtls
  failed_when: not __mtls.compliant

- name: Show which callers still send plain text
  servicemesh.platform.mtls_info:
    prometheus: {service: "monitoring/prometheus:9090", window: 86400}
  register: __mtls
"""

RETURN = r"""
calls:
  description: One entry a client, service and port.
  returned: success
  type: list
  elements: dict
  contains:
    client:
      description:
        - V(namespace/workload) for a workload whose calls end otherwise than others', V(*) for every meshed workload that sees the service
          and has no such entry, V(plaintext) for a caller without a sidecar.
      type: str
      sample: "*"
    service:
      description: V(namespace/name); a ServiceEntry's host.
      type: str
      sample: ecommerce/user-service
    port:
      description: Port of the service.
      type: int
      sample: 80
    target_port:
      description: Port of the container; V(0) when nothing stands behind it.
      type: int
      sample: 8080
    server_mode:
      description:
        - V(STRICT), V(PERMISSIVE), V(DISABLE), V(NOT_ENFORCED) (no proxy before the port) or V(UNKNOWN).
        - Of several backends that of the one that decides the verdict.
      type: str
      sample: STRICT
    client_mode:
      description: V(mtls), V(plaintext), V(tls) (by a DestinationRule's own certificates), V(blocked) or V(UNKNOWN).
      type: str
      sample: mtls
    verdict:
      description: V(strict), V(encrypted_not_enforced), V(plaintext_allowed), V(plaintext), V(broken), V(not_enforced) or V(unknown).
      type: str
      sample: strict
    proof:
      description: V(proved), V(claimed), V(unproved) or V(violated).
      type: str
      sample: unproved
    evidence:
      description: What the proof rests on.
      type: str
      sample: "metrics: 120 calls with mutual TLS, 0 in plain text (0.0%)"
    reason:
      description: Why, in words.
      type: str
      sample: "client sends mtls (auto mTLS: the endpoint has a sidecar); server accepts STRICT (STRICT by ecommerce/default)"
    rule:
      description: Name of a known rule, or nothing.
      type: str
      sample: ""
    server_policy:
      description: PeerAuthentication or Gateway that decided, V(namespace/name).
      type: str
      sample: ecommerce/default
    client_policy:
      description: DestinationRule that decided, V(namespace/name).
      type: str
      sample: ecommerce/user-service
    backends:
      description: Workloads behind the port.
      type: list
      elements: str
      sample: [ecommerce/user-service]
    deviation:
      description: Why it is not as O(want) demands, or nothing.
      type: str
      sample: ""
    excepted:
      description: Reason of the exception that accepts RV(calls[].deviation), or nothing.
      type: str
      sample: ""
    subset:
      description: Subset of the DestinationRule that the entry is about, or nothing.
      type: str
      sample: ""
    overridden:
      description: Policies and rules that did not count.
      type: list
      elements: dict
      contains:
        object:
          description: V(namespace/name).
          type: str
          sample: ecommerce/younger
        why:
          description: Why it did not count.
          type: str
          sample: younger than ecommerce/default, which is of the same scope
workloads:
  description: One entry a workload, two where some of its pods have a sidecar and some have not.
  returned: success
  type: list
  elements: dict
  sample:
    - workload: ecommerce/user-service
      namespace: ecommerce
      pods: 3
      proxy: sidecar
      why: ""
      revision: default
      service_account: user-service
      mode: STRICT
      policy: ecommerce/default
      ports: {"8080": STRICT}
namespaces:
  description: One entry a namespace.
  returned: success
  type: list
  elements: dict
  sample:
    - namespace: ecommerce
      mode: STRICT
      policy: ecommerce/default
      injection: enabled
      pods: 13
      pods_without_proxy: 0
      ports_open_to_plaintext: 0
      verdicts: {strict: 13}
findings:
  description: What is wrong, the worst first.
  returned: success
  type: list
  elements: dict
  contains:
    severity:
      description: V(error), V(warning) or V(info).
      type: str
      sample: error
    code:
      description: Code of the rule or of the check that reports it.
      type: str
      sample: namespace_disable
    object:
      description: What it is about.
      type: str
      sample: Service ecommerce/user-service port 80
    message:
      description: What is wrong.
      type: str
      sample: "broken for every meshed caller: …"
    change:
      description: What to do.
      type: str
      sample: Give the namespace or the mesh a mode other than DISABLE, or a DestinationRule with ISTIO_MUTUAL.
compliant:
  description: Whether the mesh is as O(want) demands; null when nothing is demanded. What could not be read is not compliant.
  returned: success
  type: bool
  sample: true
violations:
  description: The findings that make RV(compliant) false, as RV(findings).
  returned: success
  type: list
  elements: dict
what_if:
  description: What O(what_if) would break; null when it was not asked.
  returned: success
  type: dict
  contains:
    namespaces:
      description: Namespaces that were taken for V(STRICT).
      type: list
      elements: str
    mesh:
      description: Whether the mesh was.
      type: bool
    breaks:
      description: Entries of meshed callers that would be V(broken), as RV(calls), with C(was).
      type: list
      elements: dict
    refuses:
      description: Service ports that would refuse callers without a sidecar and do not now.
      type: list
      elements: dict
    callers:
      description: Workloads without a sidecar; if they call one of RV(what_if.refuses), they break.
      type: list
      elements: str
callers:
  description: Who called what within the window, by Prometheus' account, plain text first.
  returned: success
  type: list
  elements: dict
  sample: [{service: ecommerce/user-service, caller: unknown/unknown, mutual: 0.0, plaintext: 12.0, share: 1.0}]
mesh:
  description: What was read of the MeshConfig.
  returned: success
  type: dict
  sample: {root_namespace: istio-system, trust_domain: cluster.local, auto_mtls: true, outbound: ALLOW_ANY, known: true}
stats:
  description: How much was read, with how many requests, in what time (seconds).
  returned: success
  type: dict
  sample: {objects: {Pod: 19}, groups: 19, requests: 12, seconds: 0.2, read_seconds: 0.1, judge_seconds: 0.01, calls: 56}
"""

from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils import _args
from ansible_collections.servicemesh.platform.plugins.module_utils._module import Call, PlatformModule, connected, run
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.result import OPTIONS, judge, result

ARGUMENTS = _args.spec(**OPTIONS)


def work(module: Call) -> dict[str, Any]:
    """The module's result."""
    client = connected(module)
    judged = judge(client, module.params)
    return result(client, module.params, judged, judged.calls, [])


def main() -> None:
    """Entry point."""
    run(PlatformModule(argument_spec=ARGUMENTS, supports_check_mode=True), work)


if __name__ == "__main__":
    main()
