#!/usr/bin/python
# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: canary
short_description: Shift a service's traffic to a new version step by step, judged by metrics
version_added: 0.1.0
author:
  - servicemesh.platform contributors (@servicemesh)
description:
  - Gives the new version's pods a growing share of the requests, looks at metrics after each step, and either promotes the new version
    or takes everything back. Only weights in existing VirtualServices are changed.
  - The state of a rollout lives in the cluster, in a ConfigMap and a Lease named C(canary-SERVICE). A run that was killed at any moment
    is taken up by the next one, or rolled back when it is past O(max_duration).
  - O(verb=run), and also V(promote) and V(rollback), stay with the rollout until it has ended and print a line for each step. The other
    verbs are single, short calls.
options:
  verb:
    description:
      - V(run) starts a rollout, or takes up the one that is recorded for the same version, and stays with it.
      - V(start) and V(step) are what V(run) is made of; V(step) does all that is due now.
      - V(pause) stops at the present weight, V(resume) goes on. V(freeze) stops everything, a promotion and a rollback too.
      - V(promote) goes on from a hold with the steps that are left and then promotes; with O(full) it promotes now.
      - V(rollback) takes all traffic back to stable. After a promotion it gives stable its former pod template.
      - V(interrupt) takes back the step that no verdict was given on, V(release) gives the lease up, V(settle) forgets a promoted
        release. These three are for drivers and roles.
    type: str
    choices: [run, start, step, pause, resume, promote, rollback, freeze, status, interrupt, release, settle]
    default: run
  service:
    description: Name of the Service.
    type: str
    required: true
  namespace:
    description: Its namespace.
    type: str
    default: ecommerce
  cluster_domain:
    description: DNS domain of the cluster.
    type: str
    default: cluster.local
  stable_subset:
    description: Subset of the DestinationRule that has the present version.
    type: str
    default: stable
  canary_subset:
    description: Subset that has the new version.
    type: str
    default: canary
  stable_deployment:
    description: Deployment of the present version. By default it has the Service's name.
    type: str
  canary_deployment:
    description: Deployment of the new version. By default it has the Service's name and C(-canary).
    type: str
  port:
    description: Port of the Service whose routes are shifted. 0 shifts all.
    type: int
    default: 0
  virtual_services:
    description: VirtualServices to shift, as C(name) or C(namespace/name). By default all that lead to the canary subset.
    type: list
    elements: str
  routes:
    description: Names of the routes to shift. By default all that lead to both subsets.
    type: list
    elements: str
  canary_definitions:
    description:
      - Objects that run the new version, among them one Deployment. They are applied at the start and deleted at the end.
      - Without them the Deployment O(canary_deployment) has to be there, and is scaled to 0 at the end.
    type: list
    elements: dict
  stable_definitions:
    description:
      - Objects that a promotion applies. Without them and without O(canary_definitions), stable gets the canary's pod template.
    type: list
    elements: dict
  version:
    description: Name of the new version, for messages.
    type: str
    default: ""
  release:
    description: What is recorded with a promotion, for the role C(microservice).
    type: dict
  on_new_version:
    description: What V(run) does while a rollout of another version is under way, V(refuse) or V(restart).
    type: str
    choices: [refuse, restart]
    default: refuse
  telemetry:
    description: What counts requests, Istio's statistics filter (V(istio)) or Envoy's own cluster statistics (V(envoy)).
    type: str
    choices: [istio, envoy]
    default: istio
  match:
    description:
      - Requests that all go to the new version from the first step on, as a VirtualService's match has them, for example by a header.
        They get routes of their own, which are removed at the end.
    type: dict
  mirror:
    description:
      - Percent of the requests that the new version gets a copy of while it has any weight; its answers to them are thrown away, but count
        in its metrics. For services that only read.
    type: float
    default: 0
  takeover:
    description: Tools that manage the routes or the Deployment and were told to leave the weights alone.
    type: list
    elements: str
    choices: [flagger, argo-rollouts, argocd, flux]
  proof_samples:
    description: Proxies that are asked whether they have a new weight, by a port forward. 0 asks none; nothing is called proved then.
    type: int
    default: 3
  proof_timeout:
    description: Seconds that a weight may take to reach them.
    type: float
    default: 30
  full:
    description: For O(verb=promote), whether to leave out the steps and windows that are left.
    type: bool
    default: false
  reason:
    description: Why, for O(verb=rollback).
    type: str
    default: ""
  report:
    description: File on the controller that gets a report (HTML) at the end of V(run), V(promote) and V(rollback).
    type: path
  metrics_file:
    description: File on the controller that gets the rollout's own metrics in Prometheus' text format, for a textfile collector.
    type: path
  lease_duration:
    description: Seconds after which a run that does not answer any more may be taken over.
    type: float
    default: 30
  holder:
    description: Name of whoever calls, kept over several calls. Without it a call takes the lease and gives it back.
    type: str
  fence:
    description: Number of the lease that an earlier call returned.
    type: int
extends_documentation_fragment:
  - servicemesh.platform._kube
  - servicemesh.platform._attributes
  - servicemesh.platform._canary
attributes:
  check_mode:
    support: full
    details:
      - A start is checked as a whole, metrics and routes included.
  diff_mode:
    support: full
    details:
      - Shows the canary's weight before and after.
  idempotent:
    support: full
seealso:
  - module: servicemesh.platform.canary_info
"""

EXAMPLES = r"""
- name: Bring a new version live
  servicemesh.platform.canary:
    service: user-service
    namespace: ecommerce
    steps: [5, 20, 50]
    interval: 60
    prometheus:
      service: monitoring/prometheus:9090
    analysis:
      - {metric: success_rate, min: 0.99, min_requests: 50}
      - {metric: p99, max_ratio: 1.5, max: 800}
    report: user-service-canary.html

- name: Stop at 20 % until somebody has had a look
  servicemesh.platform.canary:
    service: user-service
    steps: [5, 20, 50]
    hold_at: 20
    prometheus:
      url: https://prometheus.example.com

- name: Go on from there
  servicemesh.platform.canary:
    service: user-service
    verb: promote

- name: Take everything back
  servicemesh.platform.canary:
    service: user-service
    verb: rollback
    reason: Support tickets
"""

RETURN = r"""
phase:
  description:
    - Where the rollout is (V(resetting), V(preparing), V(shifting), V(analysing), V(holding), V(promoting), V(promoted),
      V(rolling_back), V(rolled_back), V(frozen)); empty when there never was one.
  returned: success
  type: str
  sample: promoted
weight:
  description: The canary's weight in percent.
  returned: success
  type: int
  sample: 20
run:
  description: Name of the rollout.
  returned: when there is one
  type: str
  sample: 1f0c9a7be2d4
version:
  description: The new version.
  returned: when there is one
  type: str
  sample: v1.1
old_version:
  description: The version that stable had at the start.
  returned: when there is one
  type: str
  sample: v1.0
steps:
  description: Weights of the plan.
  returned: when there is one
  type: list
  elements: int
  sample: [5, 20, 50]
reason:
  description: Why it holds, is frozen or went back.
  returned: when there is one
  type: str
proof:
  description:
    - What proxies said of the last weight; after a rollback RV(proof.proved) says that the weight is 0 in the sampled proxies and that
      requests to the canary have ended.
  returned: when there is one
  type: dict
  contains:
    proved: {description: Whether it is proved., type: bool}
    proxies: {description: Pods that have the weight., type: list, elements: str}
    missing: {description: Pods that have another one., type: list, elements: str}
    errors: {description: What was seen after a rollback., type: str}
history:
  description: What happened, with each check (what was asked, got and decided).
  returned: when there is one
  type: list
  elements: dict
notes:
  description: The part of the history that this call added.
  returned: success
  type: list
  elements: dict
done:
  description: Whether nobody needs to call V(step) any more.
  returned: success
  type: bool
next_in:
  description: Seconds until another V(step) is of use.
  returned: success
  type: float
waiting:
  description: What is waited for.
  returned: success
  type: str
holder:
  description: Who has the lease, for the next call.
  returned: when the call took the lease
  type: str
fence:
  description: Number of the lease, for the next call.
  returned: when the call took the lease
  type: int
seconds:
  description: Seconds that the call took.
  returned: success
  type: float
  sample: 0.21
requests:
  description: Number of requests made to the API server.
  returned: success
  type: int
  sample: 14
"""

from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils import _args, _module
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.call import Call
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.operations import Operation
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.options import OPTIONS
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.result import shown
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.rollout import Rollout

ARGUMENTS = _args.spec(**OPTIONS)


def work(module: _module.Call) -> dict[str, Any]:
    """The module's result."""
    client = _module.connected(module)
    call = Call(client, module.params, check=module.check_mode)
    result = Rollout(call).perform(Operation(module.params["verb"]))
    return {**shown(result, diff=module._diff), "requests": client.requests}


def main() -> None:
    """Entry point."""
    _module.run(_module.PlatformModule(argument_spec=ARGUMENTS, supports_check_mode=True), work)


if __name__ == "__main__":
    main()
