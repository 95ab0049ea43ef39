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
  - Reads the objects that decide on mutual TLS in an Istio mesh (about ten LISTs in pages). Returns for each client, service and port what
    the client sends, what the server accepts, what becomes of the call, which policy and which DestinationRule decided, and which ones do
    not apply and why.
  - Returns findings with what to change, whether the mesh is as demanded, and what would break under V(STRICT).
  - The rules are those of istiod, taken from its source. C(docs/mtls.md) of the collection lists them and the verdicts.
  - The module makes no call and changes nothing. M(servicemesh.platform.mtls_probe) proves a sample of the result on the wire.
  - Objects that could not be read are named in RV(findings) and leave RV(calls[].verdict=unknown); a missing object never makes a verdict
    V(strict).
extends_documentation_fragment:
  - servicemesh.platform._kube
  - servicemesh.platform._attributes
  - servicemesh.platform._mtls
  - servicemesh.platform._prometheus.window
  - servicemesh.platform._mtls_overlay
options:
  src:
    description:
      - Files to read instead of a cluster, with wildcards in the last part of a path. No request is made. YAML is read as kubectl reads it.
      - They hold what C(kubectl get --all-namespaces --output yaml) writes, as documents, lists, or lists of one kind, in YAML or JSON.
        For all verdicts, the kinds are Pod, EndpointSlice, Service, Namespace, PeerAuthentication, DestinationRule, Sidecar, ServiceEntry,
        WorkloadEntry, Gateway of Istio's API, the ConfigMaps with the MeshConfig and the Deployments of istiod. O(overlay) also reads
        MutatingWebhookConfiguration and the ConfigMaps of the injector.
      - A kind that is not in the files counts as not read, and calls that depend on it are V(unknown), unless O(src_complete=true).
      - O(what_if) also looks at the kinds that C(docs/mtls.md) lists for callers that are no workloads.
    type: list
    elements: path
    default: []
  src_complete:
    description:
      - Whether O(src) has everything, so that a kind that is not in the files does not exist in the cluster.
    type: bool
    default: false
attributes:
  check_mode:
    details:
      - Never changes anything.
seealso:
  - module: servicemesh.platform.mtls_probe
  - name: Mutual TLS verification
    description: How Istio's PeerAuthentication sets mutual TLS.
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

# kubectl get --all-namespaces --output yaml pods,endpointslices,services,namespaces,peerauthentications,destinationrules,sidecars,\
#   serviceentries,workloadentries,gateways.networking.istio.io,virtualservices,envoyfilters,configmaps,\
#   mutatingwebhookconfigurations,deployments > mesh.yaml
- name: Judge a mesh without its cluster
  servicemesh.platform.mtls_info:
    src: [mesh.yaml]
    src_complete: true
    want: {ecommerce: strict}
  register: __mtls

# In a pull-request check: the manifests of the branch against the cluster.
- name: Refuse a change that weakens or breaks mutual TLS
  servicemesh.platform.mtls_info:
    overlay_src: [manifests/*.yaml]
    fail_on: [weaker, broken]

- name: See what the deletion of a policy does
  servicemesh.platform.mtls_info:
    overlay:
      - state: absent
        resource:
          apiVersion: security.istio.io/v1
          kind: PeerAuthentication
          metadata: {name: default, namespace: ecommerce}
  register: __mtls

- name: Show which callers still send plain text
  servicemesh.platform.mtls_info:
    prometheus: {service: "monitoring/prometheus:9090", window: 86400}
  register: __mtls
"""

RETURN = r"""
calls:
  description: One entry for each client, service and port.
  returned: success
  type: list
  elements: dict
  contains:
    client:
      description:
        - V(*) is every meshed workload that sees the service and has no entry of its own.
        - V(namespace/workload) is a workload whose calls end differently from those of V(*).
        - V(plaintext) is a caller without a sidecar.
      type: str
      sample: "*"
    service:
      description: V(namespace/name), with the host as the name for a ServiceEntry.
      type: str
      sample: ecommerce/user-service
    port:
      description: Port of the service.
      type: int
      sample: 80
    target_port:
      description: Port of the container, V(0) for a service without endpoints.
      type: int
      sample: 8080
    server_mode:
      description:
        - V(STRICT), V(PERMISSIVE), V(DISABLE), V(NOT_ENFORCED) (no proxy stands before the port) or V(UNKNOWN).
        - Of several backends, the mode of the one that decides the verdict.
      type: str
      sample: STRICT
    client_mode:
      description: V(mtls), V(plaintext), V(tls) (with certificates that a DestinationRule names), V(blocked) or V(UNKNOWN).
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
      description: What was seen, empty for V(unproved).
      type: str
      sample: "metrics: 120 calls with mutual TLS, 0 in plain text (0.0%)"
    reason:
      description: Why the verdict is as it is, in words.
      type: str
      sample: "client sends mtls (auto mTLS: the endpoint has a sidecar); server accepts STRICT (STRICT by ecommerce/default)"
    rule:
      description: Code of the rule that explains the call, or empty. C(docs/mtls.md) lists them.
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
    demanded:
      description: Level that O(want) demands of the service's namespace, or empty.
      type: str
      sample: strict
    deviation:
      description: Why the call is not as O(want) demands, or empty.
      type: str
      sample: ""
    excepted:
      description: Reason of the exception that accepts RV(calls[].deviation), or empty.
      type: str
      sample: ""
    subset:
      description: Subset of the DestinationRule that the entry is about, or empty.
      type: str
      sample: ""
    overridden:
      description: Policies and DestinationRules that do not apply.
      type: list
      elements: dict
      contains:
        object:
          description: V(namespace/name).
          type: str
          sample: ecommerce/younger
        why:
          description: Why it does not apply.
          type: str
          sample: younger than ecommerce/default, which is of the same scope
workloads:
  description: One entry for each workload, two when only some of its pods have a sidecar.
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
  description: One entry for each namespace.
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
  description: Everything that was found, the worst first.
  returned: success
  type: list
  elements: dict
  contains:
    severity:
      description: V(error), V(warning) or V(info).
      type: str
      sample: error
    code:
      description: Code of the rule or check, or the verdict of a call without a rule.
      type: str
      sample: namespace_disable
    about:
      description: V(call), V(workload), or V(mesh) for everything else.
      type: str
      sample: call
    object:
      description: The object that it is about.
      type: str
      sample: Service ecommerce/user-service port 80
    message:
      description: What was found.
      type: str
      sample: "broken for every meshed caller: …"
    change:
      description: What to do, or empty.
      type: str
      sample: Give the namespace or the mesh a mode other than DISABLE, or add a DestinationRule with ISTIO_MUTUAL.
compliant:
  description:
    - Whether the mesh is as O(want) demands, null when nothing is demanded. A mesh that could not be read is not compliant.
    - Namespaces of which nothing is demanded cannot make it false. Their workloads can, by name, when a demanded service accepts their
      plain text.
  returned: success
  type: bool
  sample: true
violations:
  description: The findings that make RV(compliant) false, as RV(findings). Empty when RV(compliant) is not false.
  returned: success
  type: list
  elements: dict
summary:
  description: The result in a few sentences, which the report begins with.
  returned: success
  type: dict
  contains:
    answer:
      description:
        - V(yes), V(no), V(unknown) or V(nothing_demanded).
        - With V(unknown) nothing contradicts what is demanded, and something that decides is not known. RV(compliant) is then false.
      type: str
      sample: "yes"
    text:
      description: The answer in a sentence.
      type: str
      sample: "Yes: everything that is demanded is mutual TLS."
    demanded:
      description: What O(want) demands, in words, or empty.
      type: str
      sample: strict (mutual TLS is used, and plain text refused) of ecommerce
    calls:
      description: How many calls there are, and how many of them are proved.
      type: str
      sample: "72 calls, 30 of them to namespaces with a demand: 24 proved, 6 computed only (unproved)."
    outside:
      description: Namespaces, exceptions and calls outside of the demand, in words, or empty.
      type: str
      sample: 42 calls to namespaces default, istio-system, monitoring.
    what_if:
      description: What O(what_if) found, in words, or empty.
      type: str
      sample: With the mesh STRICT, nothing was found that would break.
    counts:
      description:
        - Numbers of calls. C(calls) are all of them, C(demanded) those to namespaces with a demand.
        - The others add up to C(demanded), or to C(calls) when nothing is demanded. A call whose verdict is unknown counts as C(unknown)
          only.
      type: dict
      sample: {calls: 72, demanded: 30, proved: 24, claimed: 0, unproved: 6, violated: 0, unknown: 0}
    outside_namespaces:
      description: Namespaces of which nothing is demanded.
      type: list
      elements: str
      sample: [default, istio-system, monitoring]
what_if:
  description:
    - What O(what_if) would break, null without that option.
    - AuthorizationPolicies and NetworkPolicies, which may refuse a call anyway, are not considered.
  returned: success
  type: dict
  contains:
    verdict:
      description:
        - V(breaks) when calls were found that would break.
        - V(nothing_found) when none was found and everything was read.
        - V(unknown) when none was found for certain, and RV(what_if.unknown), RV(what_if.named_callers), RV(what_if.probes) or
          RV(what_if.not_looked_at) leave it open, or callers without a sidecar can reach what would refuse them.
      type: str
      sample: breaks
    namespaces:
      description: Namespaces that were assumed V(STRICT).
      type: list
      elements: str
    mesh:
      description: Whether the mesh was assumed V(STRICT).
      type: bool
    breaks:
      description:
        - Entries of meshed callers that would be V(broken), as RV(calls), with C(was), the verdict now.
        - Calls to services that are hidden from their callers, calls that do not pass the caller's own sidecar, and those of workloads
          that have no pods now are among them. V(was=broken) means that calls to further endpoints of the port would break.
      type: list
      elements: dict
    unknown:
      description: Entries, as RV(what_if.breaks), of which it is not known whether they would break.
      type: list
      elements: dict
    refuses:
      description: Service ports of which at least one endpoint would start to refuse callers without a sidecar.
      type: list
      elements: dict
      sample: [{service: ecommerce/legacy, port: 80, was: plaintext_allowed}]
    callers:
      description: Workloads without a sidecar. Their calls to RV(what_if.refuses) would break. Whom they call is in no object.
      type: list
      elements: str
    possible_callers:
      description:
        - Other callers whose calls to RV(what_if.refuses) would break, if they make any. V(init_container) runs before the sidecar,
          V(workload), V(job) and V(cron_job) have no pods now and get no sidecar, or one that their calls may bypass.
      type: list
      elements: dict
      sample: [{kind: cron_job, caller: CronJob ecommerce/night, reason: "it has no pods now; they will have no sidecar: hostNetwork"}]
    named_callers:
      description:
        - Calls without a certificate of the mesh of which an object names the target, and that would be V(broken), or V(unknown) if that
          is not known.
        - RV(what_if.named_callers[].kind) is V(webhook), V(conversion_webhook) or V(aggregated_api) of the API server, V(scrape) of
          Prometheus, V(ingress) of an Ingress controller, or V(outside) for node ports, load balancers, external IPs and host ports.
        - RV(what_if.named_callers[].port) is the service's port, or the container's when the target is a workload.
      type: list
      elements: dict
      contains:
        kind:
          description: What the caller is.
          type: str
          sample: webhook
        caller:
          description: The object that names the target.
          type: str
          sample: "ValidatingWebhookConfiguration guard, webhook guard.example.com"
        target:
          description: Service or workload, as V(namespace/name).
          type: str
          sample: ecommerce/guard
        port:
          description: Port.
          type: int
          sample: 443
        was:
          description: The verdict now.
          type: str
          sample: not_enforced
        verdict:
          description: V(broken) or V(unknown).
          type: str
          sample: broken
        reason:
          description: Why, in words.
          type: str
          sample: the API server sends TLS that is not the mesh's
    probes:
      description:
        - Probes and hooks by HTTP or gRPC that the injector has not rewritten. The kubelet has no sidecar, so they would be V(broken),
          or V(unknown) if that is not known.
      type: list
      elements: dict
      sample: [{workload: ecommerce/legacy, port: 8080, probe: readinessProbe, was: PERMISSIVE, verdict: broken}]
    looked_at:
      description: Kinds of callers, and kinds of objects with their number, that were looked at.
      type: list
      elements: str
      sample: [workloads without a sidecar, "CronJob: 3"]
    not_looked_at:
      description: Kinds of objects that could not be read or understood, and why.
      type: list
      elements: str
      sample: ["APIService: no permission: verb list on apiservices.apiregistration.k8s.io in all namespaces is missing"]
changes:
  description:
    - Every call whose verdict differs between the state and the state with O(overlay), the worst first. Null without an overlay.
    - The whole mesh is compared, workload by workload, whatever O(namespaces), O(clients) and O(services) are.
  returned: success
  type: list
  elements: dict
  contains:
    client:
      description:
        - As RV(calls[].client). V(*) is every meshed workload without an entry of its own, and that is not in RV(changes[].same_for).
      type: str
      sample: "*"
    service:
      description: V(namespace/name).
      type: str
      sample: ecommerce/user-service
    port:
      description: Port of the service.
      type: int
      sample: 80
    direction:
      description:
        - V(broken), V(weaker), V(unknown), V(added), V(removed), V(stronger), V(fixed), or V(same) if only RV(changes[].after_restart)
          differs.
        - For the client V(plaintext), V(broken) is the good verdict, so that to be refused is V(stronger).
        - A call that was V(broken) and passes unencrypted is V(weaker). One that is new is V(broken) or V(unknown) if that is its verdict.
      type: str
      sample: weaker
    before:
      description: The call in the state, null if there was none.
      type: dict
      sample: {verdict: strict, reason: "…", rule: "", client_mode: mtls, server_mode: STRICT, server_policy: ecommerce/default}
    after:
      description: The call with the overlay while pods stay as they are, null if there is none.
      type: dict
    after_restart:
      description: The call once pods have restarted, with its C(direction), if its verdict differs from RV(changes[].after). Else null.
      type: dict
    same_for:
      description: Meshed workloads for which nothing changes, in an entry of client V(*).
      type: list
      elements: str
overlay:
  description: What the objects of O(overlay) did. Null without an overlay.
  returned: success
  type: dict
  contains:
    objects:
      description:
        - One entry for each object, with C(effect) V(added), V(replaced), V(deleted), V(unchanged), V(nothing) (the kind does not decide
          on mutual TLS) or V(unknown), and with the reason in C(why).
      type: list
      elements: dict
      sample: [{object: PeerAuthentication ecommerce/default, state: present, effect: replaced, why: ""}]
    compared:
      description: Number of calls that were compared.
      type: int
    unknown:
      description: Number of calls that are unknown before and after.
      type: int
    inconclusive:
      description: What else may change calls and is not known.
      type: list
      elements: str
msg:
  description: What was compared and what differs, with O(overlay).
  returned: with O(overlay), or on failure
  type: str
callers:
  description: Callers of each service within the window, from Prometheus, those with the most plain text first.
  returned: success
  type: list
  elements: dict
  sample: [{service: ecommerce/user-service, caller: unknown/unknown, mutual: 0.0, plaintext: 12.0, share: 1.0}]
mesh:
  description: Settings of the MeshConfig.
  returned: success
  type: dict
  sample: {root_namespace: istio-system, trust_domain: cluster.local, auto_mtls: true, outbound: ALLOW_ANY, known: true}
stats:
  description: Numbers of objects, groups, calls and requests, and times in seconds.
  returned: success
  type: dict
  sample: {objects: {Pod: 19}, groups: 19, requests: 12, seconds: 0.2, read_seconds: 0.1, judge_seconds: 0.01, calls: 56}
"""

import time
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils import _args
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import Client
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.documents import Document
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import KubeError
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.files import from_files
from ansible_collections.servicemesh.platform.plugins.module_utils._module import (
    Invocation,
    PlatformModule,
    connected,
    run,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.cluster import Cluster
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.given import Given
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.overlay.entries import entries
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.overlay.preview import OVERLAY_OPTIONS, preview
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.overlay.state import Overlaid
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.result import OPTIONS, judge, result
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.source import State
from ansible_collections.servicemesh.platform.plugins.module_utils._prometheus import given_endpoint

ARGUMENTS = _args.spec(
    **OPTIONS,
    **OVERLAY_OPTIONS,
    src={"type": "list", "elements": "path", "default": []},
    src_complete={"type": "bool", "default": False},
)


def work(module: Invocation) -> dict[str, Any]:
    """The module's result."""
    params = module.params
    source, client = _source(module)
    asked = params["overlay"] or params["overlay_src"]
    if not asked:
        if params["fail_on"]:
            raise KubeError(
                "fail_on: there is nothing to compare. Expected overlay or overlay_src with it, or fail_on left out."
            )
        judged = judge(source, client, params)
        return {**result(source, params, judged, judged.calls, []), "changes": None, "overlay": None}
    for option, given in (("prometheus", given_endpoint(params["prometheus"])), ("what_if", params["what_if"])):
        if given:
            raise KubeError(
                f"{option}: it has no answer for a change that is not made. Expected it left out with overlay."
            )
    told, failure = _with_overlay(module, source)
    if failure:
        module.fail_json(**{**told, "msg": failure})
    return told


def _with_overlay(module: Invocation, source: State) -> tuple[dict[str, Any], str]:
    """The result of a state with an overlay, and why the check of `fail_on` fails."""
    params = module.params
    place = params["istio_namespace"], params["cluster_domain"]
    files = from_files(params["overlay_src"], "overlay_src")
    _warn(module, files)
    found = entries(params["overlay"], files, params["istio_namespace"])
    begin = time.monotonic()
    state = Overlaid(source, found, *place)
    has_read = time.monotonic()
    judged = judge(state.after, None, params)
    compared = preview(state, found, (judged.snapshot, judged.engine), *place)
    told = result(state.after, params, judged, judged.calls, list(compared.findings))
    end = time.monotonic()
    told["stats"] |= {"read_seconds": round(has_read - begin, 3), "seconds": round(end - begin, 3)}
    return {**told, **compared.as_dict()}, compared.failure(params["fail_on"])


def _source(module: Invocation) -> tuple[State, Client | None]:
    """The files of option `src`, or the cluster and its client."""
    params = module.params
    if params["src"]:
        if given_endpoint(params["prometheus"]):
            raise KubeError("prometheus: it says nothing about the files in src. Expected one of the two.")
        files = from_files(params["src"])
        _warn(module, files)
        return Given(files, complete=params["src_complete"]), None
    if params["src_complete"]:
        raise KubeError("src_complete: true without src. Expected files in src, or src_complete left out.")
    client = connected(module)
    return Cluster(client), client


def _warn(module: Invocation, documents: list[Document]) -> None:
    for note in (note for document in documents for note in document.notes):
        module.warn(note)


def main() -> None:
    """Entry point."""
    run(PlatformModule(argument_spec=ARGUMENTS, supports_check_mode=True), work)


if __name__ == "__main__":
    main()
