#!/usr/bin/python
# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: canary
short_description: Shift a service's traffic to a new version step by step, based on metrics
version_added: 0.1.0
author:
  - servicemesh.platform contributors (@servicemesh)
description:
  - Sends an increasing share of the requests to the new version, judges metrics after each step, and then promotes the new version or
    rolls it back. Only weights in existing VirtualServices are changed.
  - The state of a rollout is in the cluster, in a ConfigMap and a Lease named C(canary-SERVICE). When a run is killed, the next run
    continues the rollout, or rolls it back after O(max_duration).
  - The operations V(run), V(promote) and V(rollback) drive the rollout until it has ended, and print a line for each step. Their result is
    short; M(servicemesh.platform.canary_info) and the report have all of it. Each other operation is one short call.
options:
  operation:
    description:
      - V(run) starts a rollout, or continues the recorded rollout of the same version, until it has ended.
      - V(start) and V(step) are the parts of V(run). V(step) does everything that is due now.
      - V(pause) stops at the present weight, V(resume) continues. V(freeze) stops everything, also a promotion or a rollback.
      - V(promote) continues after a pause with the remaining steps and then promotes. With O(full) it promotes at once.
      - V(rollback) sends all traffic back to stable. After a promotion it gives stable its former pod template.
      - V(status) only returns the recorded state.
      - V(interrupt) records that the driver stops, and takes back a step that has no verdict yet. V(give_up_lease) gives the lease up.
        V(forget_promotion) removes the record of a promoted release. These three are for drivers and roles.
    type: str
    choices: [run, start, step, pause, resume, promote, rollback, freeze, status, interrupt, give_up_lease, forget_promotion]
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
    description: Subset of the DestinationRule with the present version.
    type: str
    default: stable
  canary_subset:
    description: Subset with the new version.
    type: str
    default: canary
  stable_deployment:
    description: Deployment of the present version. The default is the Service's name.
    type: str
  canary_deployment:
    description: Deployment of the new version. The default is the Service's name with the suffix C(-canary).
    type: str
  port:
    description: Port of the Service whose routes are shifted. 0 shifts the routes of all ports.
    type: int
    default: 0
  virtual_services:
    description:
      - VirtualServices to shift, as C(name) or C(namespace/name). The default is all with a route to the canary subset.
      - One that delegates stands for those that it delegates to.
    type: list
    elements: str
  routes:
    description: Names of the routes to shift. The default is all routes to both subsets.
    type: list
    elements: str
  canary_definitions:
    description:
      - Objects of the new version, with exactly one Deployment. They are applied at the start and deleted at the end.
      - Without this option the Deployment O(canary_deployment) must exist; it is scaled to 0 at the end.
    type: list
    elements: dict
  stable_definitions:
    description:
      - Objects that a promotion applies. Without this option and O(canary_definitions), stable gets the canary's pod template.
    type: list
    elements: dict
  version:
    description:
      - Name of the new version in messages. Without it, the label C(version) of the new pods, or the tag of their image.
    type: str
    default: ""
  release:
    description: Release that is recorded with a promotion (image, version and the inventory's release), for the role C(microservice).
    type: dict
  on_new_version:
    description: What V(run) does while a rollout of another version is under way. V(restart) replaces that rollout.
    type: str
    choices: [refuse, restart]
    default: refuse
  match:
    description:
      - Match of a VirtualService, for example a header, without C(name) and C(statPrefix). Requests that match all go to the new
        version from the first step on, by copies of the routes, directly before them, that are removed at the end.
      - A start is refused where no copy can take exactly the requests that match both this and the route's own match.
    type: dict
  mirror:
    description:
      - Percent of the requests that are also copied to the new version while its weight is not 0. The responses to copies are discarded,
        but count in its metrics. Use this only for services that do not change data.
      - A start is refused for routes that have a mirror already. Such a mirror is never changed.
    type: float
    default: 0
  takeover:
    description: Tools that manage the routes or the Deployment, and that are configured to ignore the weights.
    type: list
    elements: str
    choices: [flagger, argo-rollouts, argocd, flux]
  proof_samples:
    description:
      - Number of proxies whose configuration is read to prove a new weight, by a port forward. With 0 no weight is proved.
      - Otherwise at least one proxy of each Gateway with the routes is read, and one sidecar.
    type: int
    default: 3
  proof_timeout:
    description: Seconds until these proxies must have a new weight.
    type: float
    default: 30
  watchdog:
    description:
      - Runs a Job in the service's namespace for the time of the rollout, which takes the weight back to 0 when the driver died, that is,
        when the holder of the lease does not renew it. Nothing is shifted before its pod runs.
      - Its pod has no sidecar, complies with the Pod Security Standard C(restricted), and must reach the API server. It runs the code of
        this collection, which it gets in a ConfigMap. Its account may change this service's VirtualServices, stable Deployment, Lease and
        record only; the driver needs all of these rights itself, and may create and delete Jobs, ConfigMaps, ServiceAccounts, Roles and
        RoleBindings.
    type: dict
    suboptions:
      image:
        description: An image with Python 3.11 or newer. Nothing but its standard library is used.
        type: str
        required: true
      image_pull_secrets:
        description: Names of Secrets of the service's namespace with which the image is pulled.
        type: list
        elements: str
      python:
        description: Python's name or path in the image.
        type: str
        default: python3
      run_as_user:
        description: User ID of the pod. With 0 the image or the cluster decides (OpenShift); it must not be root.
        type: int
        default: 65532
      service_account:
        description: An account that has the rights already. Without it, an account, a Role and a RoleBinding are made for each rollout.
        type: str
  metrics_push:
    description:
      - Address of a Prometheus Pushgateway, a URL or a Service that is reached through the API server's proxy. Each call pushes the
        rollout's series there (C(servicemesh_canary_...), the same that the watchdog serves), in the group with the labels C(job)
        (V(servicemesh_canary)), C(namespace) and C(service). A rollout that waits for somebody keeps its series; they are deleted when it
        has ended.
      - A start is refused when no Pushgateway answers there. A push that fails later is a warning, once for each run, and changes nothing
        else; the next one is made all the same. A push may take 2 seconds.
      - With O(watchdog) Prometheus finds the series without this option.
    type: dict
    suboptions:
      url:
        description: URL of the Pushgateway, without user and password.
        type: str
      service:
        description: C(namespace/name:port) of its Service; with the prefix V(https:) when it uses TLS.
        type: str
      headers:
        description: Headers of each request. They are not recorded; each later call needs them again.
        type: dict
      username:
        description: User for basic authentication.
        type: str
      password:
        description: Password. It is not recorded; each later call needs it again.
        type: str
      validate_certs:
        description: Whether its certificate is verified.
        type: bool
        default: true
      ca_cert:
        description: File with the CA certificate of the Pushgateway.
        type: path
  full:
    description: Whether O(operation=promote) skips the remaining steps and windows.
    type: bool
    default: false
  reason:
    description: Reason of O(operation=rollback) or O(operation=interrupt), for the history.
    type: str
    default: ""
  report:
    description:
      - File on the controller for an HTML report, written at the end of V(run), V(promote) and V(rollback). Without this option and
        O(report_folder), none is written. A relative path is relative to the current directory of C(ansible-playbook), folders that are
        missing are created, and an empty string counts as not set.
      - A path that cannot be written is refused before anything is done. V(rollback) is not refused; it warns. When the file cannot be
        written at the end, it goes to a temporary file, which is named with a warning. A report never changes how the rollout ends.
    type: path
  report_folder:
    description:
      - Folder on the controller for a report C(canary-SERVICE.html), or C(canary-SERVICE-HOST.html) in a play with several hosts, when
        O(report) is not set. When the folder cannot be written, a warning says so, and the report goes to a temporary file.
    type: path
  metrics_file:
    description:
      - File on the controller for the rollout's own metrics in Prometheus' text format, for a textfile collector. What is said about the
        path of O(report) holds for it too.
    type: path
  lease_duration:
    description:
      - Seconds after which another run may take the lease of a run that does not renew it. It is renewed every third of this time, also
        during long calls.
      - V(run), V(promote) and V(rollback) wait for this time when the run before was killed, and go on as soon as its lease has expired.
        A run that renews its lease is refused.
      - It is between 3 and 600. An outage of the API server may be longer, as long as no other run takes the lease.
    type: float
    default: 15
  outage_limit:
    description:
      - Seconds for which V(run), V(promote) and V(rollback) go on trying when the API server gives no answer, or when it or an admission
        webhook that it calls does not work. While istiod restarts, for example, no route can be written.
      - After that the run fails, and does not give up its lease, so that a watchdog (O(watchdog)) takes over. With V(0) it does so at once.
      - A V(step) of a driver of your own does not fail in an outage; it returns RV(outage).
    type: float
    default: 600
  holder:
    description: Name of the caller, which holds the lease over several calls. Without it, each call takes the lease and gives it up.
    type: str
  fencing_token:
    description: Fencing token that an earlier call returned, see RV(fencing_token).
    type: int
  settings:
    description:
      - Options of this module as one dict, as C(platform_canary) of the roles has them. Each of them is checked as the option itself is.
        An option that is given by itself takes precedence.
      - Options that state what one call does for which service (O(operation), O(service), O(namespace), O(version), the definitions,
        subsets and Deployments, O(holder) and O(fencing_token), for example) are not settings.
    type: dict
extends_documentation_fragment:
  - servicemesh.platform._kube
  - servicemesh.platform._attributes
  - servicemesh.platform._canary
  - servicemesh.platform._prometheus
attributes:
  check_mode:
    support: full
    details:
      - Checks and tries everything that a start does, by server dry run.
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
- name: Release a new version
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
    report: reports/user-service-canary.html
  register: __canary
  failed_when: false

- name: Tell the next node of a workflow
  ansible.builtin.set_stats:
    data:
      canary_results: "{{ __canary.workflow | default({}) }}"
    per_host: false

- name: Fail with the sentence alone
  ansible.builtin.fail:
    msg: "{{ __canary.msg }}"
  when: not (__canary.succeeded | default(false))

- name: Pause at 20 % for an approval
  servicemesh.platform.canary:
    service: user-service
    steps: [5, 20, 50]
    pause_at: 20
    prometheus:
      url: https://prometheus.example.com

- name: Pause for an approval, and let an alert tell when nobody gives it
  servicemesh.platform.canary:
    service: user-service
    steps: [5, 20, 50]
    pause_at: 20
    metrics_push:
      service: monitoring/pushgateway:9091

- name: Continue after the pause
  servicemesh.platform.canary:
    service: user-service
    operation: promote

- name: Roll back
  servicemesh.platform.canary:
    service: user-service
    operation: rollback
    reason: Support tickets
"""

RETURN = r"""
msg:
  description: How the rollout ended, in a sentence or two.
  returned: with O(operation=run), O(operation=promote) and O(operation=rollback), and on failure
  type: str
  sample: user-service v1.1 is live.
succeeded:
  description:
    - Whether the operation ended as it was meant to. A task with C(failed_when=false) knows by it whether the canary failed. It does not
      exist when the call ended by an error.
  returned: with O(operation=run), O(operation=promote) and O(operation=rollback)
  type: bool
workflow:
  description:
    - C(phase), C(version), C(weight) and C(report) of the rollout, by the name of the service. In a play with several hosts the name is
      C(HOST/SERVICE). The playbooks hand this to M(ansible.builtin.set_stats).
  returned: with O(operation=run), O(operation=promote) and O(operation=rollback)
  type: dict
  sample: {user-service: {phase: promoted, version: v1.1, weight: 0, report: /runner/project/canary-user-service.html}}
report:
  description: The file of the report.
  returned: when one was written
  type: str
  sample: /runner/project/canary-user-service.html
metrics_file:
  description: The file of the metrics.
  returned: when it was written
  type: str
push_error:
  description: Why the rollout's metrics were not pushed to O(metrics_push).
  returned: with operations that are one short call, when they were not
  type: str
phase:
  description:
    - Phase of the rollout (V(resetting), V(preparing), V(shifting), V(analysing), V(paused), V(promoting), V(promoted),
      V(rolling_back), V(rolled_back), V(frozen)); empty when there was none.
  returned: success
  type: str
  sample: promoted
weight:
  description: The canary's weight in percent.
  returned: success
  type: int
  sample: 20
run:
  description: ID of the rollout.
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
  returned: with operations that are one short call, when there is a rollout
  type: list
  elements: int
  sample: [5, 20, 50]
blind_since:
  description:
    - Unix time of the last usable sample of the present step, or of the beginning of its weight; 0 while no sample is due.
  returned: with operations that are one short call, when there is a rollout
  type: float
blind_limit:
  description: Seconds after RV(blind_since) at which the rollout fails without a usable sample.
  returned: with operations that are one short call, when there is a rollout
  type: float
  sample: 180
reason:
  description: Why the rollout is paused, frozen or rolled back.
  returned: when there is one
  type: str
proof:
  description:
    - What the sampled proxies had as the last weight. After a rollback, RV(proof.proved) means that the weight is 0 in these proxies and
      that requests to the canary have ended.
  returned: with operations that are one short call, when there is a rollout
  type: dict
  contains:
    proved: {description: Whether the weight is proved., type: bool}
    proxies: {description: Pods that have the weight., type: list, elements: str}
    missing: {description: Pods that have another weight., type: list, elements: str}
    places:
      description: Number of proxies that have the weight, for each Gateway (C(namespace/name)) and for V(mesh).
      type: dict
      sample: {istio-system/ecommerce-gateway: 1, mesh: 2}
    errors: {description: Requests to the canary after a rollback., type: str}
history:
  description:
    - Events of the rollout. V(window) has C(checks), one for each metric, V(note) says what a start found out, such as metrics that have no
      samples yet, what could not be tried, fields that are taken over.
    - A check has C(name), C(verdict) and C(reason), and as far as they are known C(value) and C(stable) (the numbers of both versions),
      C(requests) (of the new version in the window), C(reporter) (of a built-in metric), C(query) (PromQL or URL), C(critical) and
      C(dry_run).
  returned: with operations that are one short call, when there is a rollout
  type: list
  elements: dict
notes:
  description: The part of the history that this call added.
  returned: with operations that are one short call
  type: list
  elements: dict
done:
  description: Whether no other V(step) is needed.
  returned: with operations that are one short call
  type: bool
next_in:
  description: Seconds until another V(step) is useful.
  returned: with operations that are one short call
  type: float
waiting:
  description: What the rollout waits for.
  returned: with operations that are one short call
  type: str
outage:
  description:
    - What the API server, or what it calls, could not do, so that the call did nothing more. Call again after RV(next_in) seconds.
    - The rollout's own values may be missing then.
  returned: with O(operation=step), in an outage
  type: str
  sample: >-
    PATCH /apis/networking.istio.io/v1/namespaces/ecommerce/virtualservices/user-service: 500, Internal error occurred: failed calling
    webhook "validation.istio.io": no endpoints available for service "istiod"
holder:
  description: Holder of the lease, for the next call.
  returned: with operations that are one short call, when the call took the lease; in an outage, what was given
  type: str
fencing_token:
  description: Fencing token of the lease, for the next call. It increases with every holder, and writes of an earlier holder fail.
  returned: with operations that are one short call, when the call took the lease; in an outage, what was given
  type: int
lease:
  description: The lease that another run has.
  returned: when the call failed because of it
  type: dict
  contains:
    holder: {description: Its holder., type: str}
    fencing_token: {description: Its fencing token., type: int}
    age: {description: Seconds since the holder took it., type: float}
    renewed: {description: Time of the last renewal., type: str}
    expires_in: {description: Seconds until another run may take it., type: float}
seconds:
  description: Seconds that the call took.
  returned: with operations that are one short call
  type: float
  sample: 0.21
requests:
  description: Number of requests made to the API server.
  returned: with operations that are one short call
  type: int
  sample: 14
"""

import functools
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils import _args, _module
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.context import Context
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.objects import LeaseHeldError
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.operations import Operation
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.options import OPTIONS
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.result import shown
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.rollout import Rollout

ARGUMENTS = _args.spec(**OPTIONS)


def work(module: _module.Invocation, *, alone: bool = False) -> dict[str, Any]:
    """The module's result. `alone`: in a process of its own."""
    client = _module.connected(module)
    context = Context(client, module.params, check=module.check_mode, alone=alone)
    try:
        result = Rollout(context).run(Operation(module.params["operation"]))
    except LeaseHeldError as error:
        module.fail_json(msg=str(error), lease=error.present)
    return {**shown(result, diff=module._diff), "requests": client.requests}


def main() -> None:
    """Entry point."""
    _module.run(
        _module.PlatformModule(argument_spec=ARGUMENTS, supports_check_mode=True), functools.partial(work, alone=True)
    )


if __name__ == "__main__":
    main()
