#!/usr/bin/python
# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: traffic_info
short_description: Read from Prometheus how the services do, and who calls whom
version_added: 0.1.0
author:
  - servicemesh.platform contributors (@servicemesh)
description:
  - Reads the requests, failures and durations of services of the last 30 minutes, who calls whom and whether these calls are mutual TLS,
    alerts, and what is left of error budgets. M(servicemesh.platform.platform_page) makes a page of it.
  - A Prometheus that does not answer is no failure. What was not read is in RV(unknown), by name, and nothing else says that it is well.
  - Only Istio's standard metrics are read, and the series that the rules of the role C(observability) record. Rates, failures and durations
    are those of the callers' proxies. Callers without a proxy are only in RV(calls), as their destinations report them.
options:
  namespaces:
    description: Namespaces of the services.
    type: list
    elements: str
    default: [ecommerce, istio-system]
  rule_groups:
    description: Beginning of the names of the groups whose alerts are the platform's own. Alerts of other groups are returned too.
    type: str
    default: ecommerce.
  timeout:
    description: Seconds after which what Prometheus has not answered is unknown.
    type: float
    default: 8
  wait_for:
    description:
      - Workloads, as C(namespace/name) in one of O(namespaces), to wait for until Prometheus counts requests to them, before anything is
        read.
      - Those without requests after O(wait_timeout) are in RV(missing), and are no failure. Not waited for in check mode.
    type: list
    elements: str
    default: []
  wait_timeout:
    description: Seconds to wait for O(wait_for) at most.
    type: float
    default: 90
extends_documentation_fragment:
  - servicemesh.platform._kube
  - servicemesh.platform._attributes
  - servicemesh.platform._prometheus
attributes:
  check_mode:
    support: full
    details:
      - Never changes anything. O(wait_for) is not waited for.
  diff_mode:
    support: none
    details:
      - The module changes nothing.
  idempotent:
    support: full
seealso:
  - module: servicemesh.platform.platform_info
  - module: servicemesh.platform.platform_page
"""

EXAMPLES = r"""
- name: Read how the services do
  servicemesh.platform.traffic_info:
    prometheus: "{{ lookup('servicemesh.platform.prometheus_address') }}"
  register: __traffic

- name: Wait until requests to a service are counted
  servicemesh.platform.traffic_info:
    prometheus: "{{ lookup('servicemesh.platform.prometheus_address') }}"
    wait_for: [ecommerce/user-service]
  register: __traffic

- name: Name the calls in plain text
  ansible.builtin.debug:
    msg: "{{ __traffic.calls | selectattr('security', 'eq', 'none') | list }}"
"""

RETURN = r"""
address:
  description: Who was asked, empty for nobody.
  returned: success
  type: str
  sample: service monitoring/prometheus:9090 through the API server
time:
  description: Unix time of the end of the window, by the controller's clock.
  returned: success
  type: float
  sample: 1790000000.0
window:
  description: Seconds that all of this is about.
  returned: success
  type: int
  sample: 1800
step:
  description: Seconds between two points of RV(workloads).
  returned: success
  type: int
  sample: 30
workloads:
  description: Workloads with requests in the window. The stable and the canary one of a service are two.
  returned: success
  type: list
  elements: dict
  contains:
    workload:
      description: The workload, as C(namespace/name); the service for requests that reached no pod.
      type: str
      sample: ecommerce/user-service
    version:
      description: Label C(version) of its pods, empty when they have none. Pods before a release are another entry.
      type: str
      sample: v1.0
    rate:
      description: Requests a second, as a list of Unix time and value. It is the mean of two minutes, as the others are.
      type: list
      sample: [[1790000000.0, 12.5]]
    errors:
      description: Share of the requests that ended with a 5xx or without an answer. Times without requests have none.
      type: list
      sample: [[1790000000.0, 0.01]]
    p95:
      description: 95th percentile of the duration in milliseconds. Times without requests have none.
      type: list
      sample: [[1790000000.0, 43.2]]
calls:
  description: Who calls whom, in the window.
  returned: success
  type: list
  elements: dict
  contains:
    source:
      description: The caller, as C(namespace/name), V(unknown) for one without an identity.
      type: str
      sample: istio-system/istio-ingressgateway
    destination:
      description: The service.
      type: str
      sample: ecommerce/user-service
    protocol:
      description: V(http), gRPC included, or V(tcp).
      type: str
      sample: http
    requests:
      description: Number of requests, null for TCP.
      type: float
      sample: 1203.0
    failed:
      description: Those that ended with a 5xx or without an answer.
      type: float
      sample: 2.0
    mutual_tls:
      description: Requests with mutual TLS, as the destination's proxies report. For TCP, only whether it is more than 0 means something.
      type: float
      sample: 1201.0
    plaintext:
      description: The same, in plain text.
      type: float
      sample: 0.0
    security:
      description:
        - V(none) when any request was in plain text, V(mutual_tls) when the destination reports all of them as such, else V(unknown).
      type: str
      sample: mutual_tls
    security_by:
      description:
        - Whose proxies say so. V(source) for TCP connections that the destination has not reported yet, and of which the caller's proxy
          names the certificates of both ends; empty for V(unknown).
      type: str
      sample: destination
    reporters:
      description: Whose proxies report the calls.
      type: list
      elements: str
      sample: [destination, source]
scrapes:
  description: Pods that Prometheus scrapes, and whether it reaches them.
  returned: success
  type: list
  elements: dict
  sample: [{namespace: ecommerce, pod: user-service-6d4f9c7b8d-x2x9k, up: true}]
alerts:
  description: Alerts that fire or are pending, the platform's own first.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name of the alert.
      type: str
      sample: HighErrorRate
    state:
      description: V(firing) or V(pending).
      type: str
      sample: firing
    severity:
      description: Its label C(severity).
      type: str
      sample: critical
    subject:
      description: What it is about, from its labels.
      type: str
      sample: ecommerce/user-service
    summary:
      description: Its summary.
      type: str
    description:
      description: Its description.
      type: str
    runbook:
      description: URL of its runbook.
      type: str
    since:
      description: When it became pending, as Prometheus has it.
      type: str
      sample: "2026-11-26T19:00:00Z"
    own:
      description: Whether its rule is one of O(rule_groups).
      type: bool
      sample: true
alert_rules:
  description: Number of rules of O(rule_groups).
  returned: success
  type: int
  sample: 14
budgets:
  description: Objectives of services, and what is left of their error budgets.
  returned: success
  type: list
  elements: dict
  contains:
    service:
      description: The service.
      type: str
      sample: ecommerce/user-service
    sli:
      description: V(availability) or V(latency).
      type: str
      sample: availability
    objective:
      description: Share of good requests that is wanted.
      type: float
      sample: 0.999
    left:
      description: Share of the budget that is left, below 0 when more was spent; null when it is not recorded yet.
      type: float
      sample: 0.82
    requested:
      description: Whether requests to the service are recorded. Its budget is, from the first of them on.
      type: bool
      sample: true
missing:
  description: Workloads of O(wait_for) that had no requests until the end of O(wait_timeout).
  returned: success
  type: list
  elements: str
  sample: []
unknown:
  description: What was not read, or not completely.
  returned: success
  type: list
  elements: dict
  contains:
    part:
      description: V(requests), V(durations), V(calls), V(connections), V(scrapes), V(alerts) or V(budgets).
      type: str
      sample: alerts
    why:
      description: Why.
      type: str
      sample: "Prometheus (http://prometheus.example.com/): connection refused"
"""

import time
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils import _args
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import KubeError
from ansible_collections.servicemesh.platform.plugins.module_utils._mesh.traffic import STEP, WINDOW, Part
from ansible_collections.servicemesh.platform.plugins.module_utils._mesh.traffic_reader import (
    Findings,
    await_requests,
    read,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._module import (
    Invocation,
    PlatformModule,
    connected,
    run,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._prometheus import (
    OPTION,
    Prometheus,
    given_endpoint,
)

ARGUMENTS = _args.spec(
    namespaces={"type": "list", "elements": "str", "default": ["ecommerce", "istio-system"]},
    prometheus=OPTION,
    rule_groups={"type": "str", "default": "ecommerce."},
    timeout={"type": "float", "default": 8},
    wait_for={"type": "list", "elements": "str", "default": []},
    wait_timeout={"type": "float", "default": 90},
)


def work(module: Invocation) -> dict[str, Any]:
    """The module's result."""
    params = module.params
    missing = sorted(set(params["wait_for"]))
    if wrong := [name for name in missing if name.partition("/")[0] not in params["namespaces"] or "/" not in name]:
        among = ", ".join(params["namespaces"])
        raise KubeError(f"wait_for is {', '.join(wrong)}: expected namespace/name, of one of the namespaces {among}")
    endpoint = given_endpoint(params["prometheus"])
    if endpoint is None:
        now, why = time.time(), "there is no Prometheus: platform_prometheus is absent"
        found = Findings(unknown=[{"part": part.value, "why": why} for part in Part])
    else:
        client = connected(module)
        prometheus = Prometheus(endpoint, client)
        if not module.check_mode:
            missing = await_requests(
                prometheus, params["namespaces"], missing, params["wait_timeout"], params["timeout"]
            )
        now = time.time()
        found = read(prometheus, client.each, params["namespaces"], params["rule_groups"], now, params["timeout"])
    return {
        "changed": False,
        "address": str(endpoint or ""),
        "time": now,
        "window": WINDOW,
        "step": STEP,
        "missing": missing,
        **found.as_dict(),
    }


def main() -> None:
    """Entry point."""
    run(PlatformModule(argument_spec=ARGUMENTS, supports_check_mode=True), work)


if __name__ == "__main__":
    main()
