#!/usr/bin/python
# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: mtls_probe
short_description: Prove mutual TLS of a mesh on its proxies and on the wire
version_added: 0.1.0
author:
  - servicemesh.platform contributors (@servicemesh)
description:
  - Computes the same as M(servicemesh.platform.mtls_info), and then proves a sample of it.
  - V(listener) reads the inbound listener that Envoy really runs, over a port forward to its admin interface, and compares
    the client certificates that it requires with the computed mode of each port.
  - V(certificates) reads the workload certificates in the same way, and checks the identity, the time left, and that all proxies trust the
    same
    roots.
  - V(calls) starts one pod with a sidecar and calls each kind of endpoint of a service port. A call in plain text straight to it must end
    as computed. A call with the probe's own certificate shows that the port answers, and with which SPIFFE identity. The counters of the
    sidecar show whether calls through it were mutual TLS, and which endpoints they went to.
  - Kinds of endpoints are the pods of each workload that do not differ in what decides on mutual TLS, each address without a pod (a
    WorkloadEntry, an EndpointSlice), each family of addresses of the Service, and each subset with a C(trafficPolicy) of its own.
  - Each call ends V(proved) (calls to each kind of endpoint ended as computed for it, with a control), V(claimed) (listeners of each
    kind or metrics agree), V(unproved), or V(violated) (something that was seen contradicts what was computed). C(evidence) names the
    kinds that were not reached, and why.
  - The probe is one client. It proves calls of V(*) only where no DestinationRule and no Sidecar object of its own namespace makes its
    calls other ones, and never those of a workload that has an entry of its own.
  - Where O(want) demands something, only services of those namespaces are called.
  - Nothing is left behind. The probe is a Job with a deadline, deleted at the end; if this process is killed, the deadline ends it and the
    control
    plane deletes it.
extends_documentation_fragment:
  - servicemesh.platform._kube
  - servicemesh.platform._attributes
  - servicemesh.platform._mtls
  - servicemesh.platform._prometheus.window
options:
  probes:
    description:
      - The kinds of proof to make.
    type: list
    elements: str
    choices: [listener, certificates, calls]
    default: [listener, certificates, calls]
  samples:
    description:
      - Number of proxies to ask for each workload.
    type: int
    default: 1
  max_pods:
    description:
      - Number of proxies to ask in all.
    type: int
    default: 200
  patience:
    description:
      - How long a proxy that does not run the computed modes yet is asked again, in seconds. istiod may still be pushing.
    type: float
    default: 5.0
  max_calls:
    description:
      - Number of calls on the wire in all. Three are made for each kind of endpoint. What is left repeats calls through the sidecar,
        up to six for each of its endpoints, until its load balancer has chosen each kind.
    type: int
    default: 150
  rate:
    description:
      - Calls per second, at most.
    type: float
    default: 20.0
  deadline:
    description:
      - Seconds after which the probe pod ends by itself.
    type: int
    default: 300
  probe_namespace:
    description:
      - Namespace that the probe calls from. Its pods must get sidecars. By default the first namespace of a called service that has some.
    type: str
    default: ""
  probe_labels:
    description:
      - Further labels of the probe pod, for example those that policies of the namespace require.
    type: dict
    default: {}
  probe_image:
    description:
      - Image of the probe's own container, with C(sleep) and C(curl). By default the image of a running sidecar.
    type: str
    default: ""
  paths:
    description:
      - Path of the meshed call for each service (V(namespace/name)) where V(/) has no route.
    type: dict
    default: {}
attributes:
  check_mode:
    details:
      - Without V(calls) nothing is changed. Check mode leaves out V(calls), because it starts a pod.
notes:
  - The module needs the rights to list what M(servicemesh.platform.mtls_info) lists, to create C(pods/portforward), and for V(calls) to
    create and
    delete C(jobs) and to create C(pods/exec) in the probe's namespace.
  - V(calls) needs C(curl) 7.88 or newer in the image of the sidecar, so a distroless proxy can prove V(listener) and V(certificates) only.
seealso:
  - module: servicemesh.platform.mtls_info
"""

EXAMPLES = r"""
- name: Prove the services of a namespace
  servicemesh.platform.mtls_probe:
    namespaces: [ecommerce]
    want: {ecommerce: strict}
  register: __mtls
  failed_when: not __mtls.compliant

- name: Read the running listeners only, without a call
  servicemesh.platform.mtls_probe:
    probes: [listener]
"""

RETURN = r"""
calls:
  description:
    - One entry for each client, service and port, as RV(servicemesh.platform.mtls_info#module:calls), with its C(proof) and C(evidence).
    - C(evidence) says what was seen. After calls on the wire that do not prove it, it also says which kinds of endpoints ended as
      computed, which were not reached, and why (for example C(max_calls), no ready pod, not among the endpoints of the probe's sidecar,
      or a namespace of which nothing is demanded).
  returned: success
  type: list
  elements: dict
workloads:
  description: As RV(servicemesh.platform.mtls_info#module:workloads).
  returned: success
  type: list
  elements: dict
namespaces:
  description: As RV(servicemesh.platform.mtls_info#module:namespaces).
  returned: success
  type: list
  elements: dict
findings:
  description: As RV(servicemesh.platform.mtls_info#module:findings), with what the proofs contradict and what could not be proved.
  returned: success
  type: list
  elements: dict
compliant:
  description:
    - As RV(servicemesh.platform.mtls_info#module:compliant). A V(violated) call and a wrong certificate are not compliant. An
      V(unproved) call is judged by its verdict.
  returned: success
  type: bool
violations:
  description: As RV(servicemesh.platform.mtls_info#module:violations).
  returned: success
  type: list
  elements: dict
summary:
  description: As RV(servicemesh.platform.mtls_info#module:summary).
  returned: success
  type: dict
what_if:
  description: As RV(servicemesh.platform.mtls_info#module:what_if).
  returned: success
  type: dict
callers:
  description: As RV(servicemesh.platform.mtls_info#module:callers).
  returned: success
  type: list
  elements: dict
mesh:
  description: As RV(servicemesh.platform.mtls_info#module:mesh).
  returned: success
  type: dict
stats:
  description: As RV(servicemesh.platform.mtls_info#module:stats), with C(proxies_asked), C(probe_calls), C(ask_seconds), C(call_seconds).
  returned: success
  type: dict
certificates:
  description: Certificates of the proxies that were asked.
  returned: success
  type: list
  elements: dict
  contains:
    workload:
      description: V(namespace/workload).
      type: str
      sample: ecommerce/user-service
    pod:
      description: V(namespace/pod).
      type: str
      sample: ecommerce/user-service-5d9c-x2x9s
    identity:
      description: SPIFFE identity in the certificate.
      type: str
      sample: spiffe://cluster.local/ns/ecommerce/sa/user-service
    expected:
      description: SPIFFE identity of the pod's ServiceAccount.
      type: str
      sample: spiffe://cluster.local/ns/ecommerce/sa/user-service
    hours_left:
      description: Hours until it expires.
      type: float
      sample: 23.5
    days_left:
      description: Whole days until it expires.
      type: int
      sample: 0
    serial:
      description: Its serial number.
      type: str
      sample: 6ca8203fbd1f0339295ee16c454468c4
    roots:
      description: Serial numbers of the roots that the proxy trusts.
      type: list
      elements: str
probe_calls:
  description: What the calls on the wire showed, one entry for each service port and kind of endpoint that was called.
  returned: success
  type: list
  elements: dict
  contains:
    service:
      description: V(namespace/name).
      type: str
      sample: ecommerce/user-service
    port:
      description: Port of the service.
      type: int
      sample: 80
    kind:
      description: The kind of endpoint, as C(evidence) names it.
      type: str
      sample: pods of ecommerce/user-service (ecommerce/user-service-5d9c-x2x9s)
    pod:
      description: V(namespace/pod) that was called straight, empty for an address without a pod.
      type: str
      sample: ecommerce/user-service-5d9c-x2x9s
    address:
      description: Address that was called straight.
      type: str
      sample: 10.42.0.17
    plaintext:
      description: V(refused), V(accepted) or V(silent).
      type: str
      sample: refused
    control:
      description: SPIFFE identity that answered the call with a certificate, empty when none did.
      type: str
      sample: spiffe://cluster.local/ns/ecommerce/sa/user-service
    issuer:
      description: Issuer of that certificate.
      type: str
      sample: O = cluster.local
    expected:
      description: SPIFFE identity that should answer, empty for pods without a sidecar.
      type: str
      sample: spiffe://cluster.local/ns/ecommerce/sa/user-service
    meshed:
      description:
        - The calls through the sidecar that went there, null when none did.
        - C(calls) is how many, C(ok) whether all were answered, C(status) the HTTP status of the last one, and C(mtls) whether all
          connections were mutual TLS (null when none was opened that could be told apart).
      type: dict
      sample: {ok: true, status: 200, mtls: true, calls: 1}
    note:
      description: Why the calls could not be made or count for nothing, or why none went there through the sidecar.
      type: str
      sample: ""
"""

from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils import _args
from ansible_collections.servicemesh.platform.plugins.module_utils._module import (
    Invocation,
    PlatformModule,
    connected,
    run,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.cluster import Cluster
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.proof.proxies import Probe
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.proof.run import prove
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.result import OPTIONS, judge, result

_PROBES = [probe.value for probe in Probe]
ARGUMENTS = _args.spec(
    **OPTIONS,
    probes={"type": "list", "elements": "str", "choices": _PROBES, "default": _PROBES},
    samples={"type": "int", "default": 1},
    max_pods={"type": "int", "default": 200},
    patience={"type": "float", "default": 5.0},
    max_calls={"type": "int", "default": 150},
    rate={"type": "float", "default": 20.0},
    deadline={"type": "int", "default": 300},
    probe_namespace={"type": "str", "default": ""},
    probe_labels={"type": "dict", "default": {}},
    probe_image={"type": "str", "default": ""},
    paths={"type": "dict", "default": {}},
)


def work(module: Invocation) -> dict[str, Any]:
    """The module's result."""
    params = dict(module.params)
    for name, least in (
        ("samples", 1),
        ("max_pods", 0),
        ("max_calls", 0),
        ("deadline", 30),
        ("rate", 0.1),
        ("patience", 0),
    ):
        if params[name] < least:
            module.fail_json(msg=f"{name} is {params[name]}. Expected {least} or more.")
    if module.check_mode:
        params["probes"] = [name for name in params["probes"] if name != Probe.CALLS]
    client = connected(module, concurrency=8)
    cluster = Cluster(client)
    judged = judge(cluster, client, params)
    proofs = prove(client, params, judged)
    found = result(cluster, params, judged, proofs.calls, proofs.findings)
    found["stats"] |= proofs.stats
    return {**found, "certificates": proofs.certificates, "probe_calls": proofs.probe_calls}


def main() -> None:
    """Entry point."""
    run(PlatformModule(argument_spec=ARGUMENTS, supports_check_mode=True), work)


if __name__ == "__main__":
    main()
