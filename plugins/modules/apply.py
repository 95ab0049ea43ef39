#!/usr/bin/python
# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: apply
short_description: Apply or delete a whole set of Kubernetes objects in one call
version_added: 0.1.0
author:
  - servicemesh.platform contributors (@servicemesh)
description:
  - Takes a set of objects, orders them in waves (namespaces, CRDs, limits, accounts, configuration, services, workloads,
    policies, routes), writes each by server-side apply, many at once, and waits by watch until all are ready.
  - Deletes in the opposite order, only what carries the label C(app.kubernetes.io/managed-by=servicemesh-platform), and
    waits until it is gone. The module puts that label on the objects that it creates; an object that stood there before
    stays without it and is never deleted.
  - A Namespace that still has pods when everything of the set in it is gone is kept, whoever made it.
  - An object with the annotation C(servicemesh.platform/create-only) set to C("true") is created when it is not there and
    otherwise left as it is, whatever its definition says. This is for generated passwords.
  - When a field belongs to another manager with another value, the module stops and names both. Only fields that
    C(servicemesh-canary) owns are left out silently and reported as RV(objects[].held).
  - A Deployment, StatefulSet or ReplicaSet whose definition leaves C(.spec.replicas) out keeps the number that it has. When only
    this module owned the field, it goes to the manager C(servicemesh-autoscaling) first.
  - A number of replicas that an autoscaler set (C(kube-controller-manager), C(servicemesh-autoscaling)) is taken over when no
    HorizontalPodAutoscaler of the namespace scales the object any more. RV(objects[].note) tells it.
  - An object that C(kubectl apply) wrote on the client's side is taken over when it is in the set. What was applied then
    and is not in the definition any more is removed, as C(kubectl apply) would, and its annotation
    C(kubectl.kubernetes.io/last-applied-configuration) goes. RV(objects[].note) tells it. Fields of other managers stay theirs.
  - Warnings of the API server, of deprecated APIs for instance, become warnings of the task, each once.
  - Values of Secrets appear in no result, difference, message or log. A digest tells that a value changed.
extends_documentation_fragment:
  - servicemesh.platform._kube
  - servicemesh.platform._attributes
attributes:
  check_mode:
    support: full
    details:
      - The server does a dry run of each object. What it cannot judge, because the namespace or the CRD is not there yet, is
        reported as RV(objects[].predicted).
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  definitions:
    description:
      - The objects, as a list, as nested lists, as one object, or as YAML text with any number of documents. Nulls are dropped,
        objects of C(kind=List) are taken apart.
      - One of O(definitions) and O(src) is needed.
    type: raw
  retired:
    description:
      - Objects to delete in the same call - what a switch turned off, say. Only C(apiVersion), C(kind) and C(metadata) matter.
        What somebody else made is kept.
      - A HorizontalPodAutoscaler goes before O(definitions) are applied, because it would set the number of pods back. What pods
        refer to (ConfigMap, Secret, ServiceAccount, roles and their bindings, PersistentVolumeClaim) goes when the set is ready,
        as do CRDs and namespaces; with O(wait=false), in the first call that finds the set ready. All else goes once
        O(definitions) are applied.
    type: raw
  src:
    description:
      - Files with YAML documents, on the machine that the module runs on. Patterns as C(*.yml) are allowed.
    type: list
    elements: path
  state:
    description:
      - V(present) applies the set, V(absent) deletes it.
    type: str
    choices: [present, absent]
    default: present
  name:
    description:
      - Name of the set; it becomes the label C(app.kubernetes.io/part-of) of the objects that the module creates.
      - With O(prune=true) it names the inventory, so it has to be the name of a ConfigMap too.
    type: str
    default: ""
  prune:
    description:
      - Whether to delete what the set once applied and no longer holds, as the last step, when all else succeeded.
      - Needs O(name) and O(inventory_namespace). There, the ConfigMap C(applyset-<name>) lists what the set applied. It is written
        before anything else is, so that a call that was killed loses nothing; the next one prunes. It costs one request, and one more
        for each time that the list changes.
      - Names and labels are those of ApplySets (KEP-3659), so that kubectl and others see whose the objects are.
      - Only what the set created is deleted. What somebody else made, applies too or has taken over, and what another set holds by now,
        is kept and told (RV(kept), RV(objects[].note)).
      - An empty set, the deletion of more than half of the set, and that of a Namespace, a CustomResourceDefinition or a
        PersistentVolumeClaim are refused before anything is sent. O(prune_allow) allows them by name.
      - With O(state=absent), all that the set ever applied is deleted, whatever O(definitions) are, and the inventory with it.
      - An object that is not in the inventory is never pruned, so nothing goes in the first call with O(prune=true).
    type: bool
    default: false
  prune_allow:
    description:
      - What O(prune) may do though it is dangerous. O(name) allows an empty set and the deletion of more than half of the set. An object
        as messages show it, V(Namespace shop) or V(PersistentVolumeClaim shop/data), allows that one to go.
    type: list
    elements: str
    default: []
  inventory_namespace:
    description:
      - Namespace of the inventory. It has to stay the same for all calls with this O(name).
      - It has to exist, or to be a Namespace of the set.
    type: str
  wait:
    description:
      - Whether to wait until the objects are ready, or until they are gone. V(true), V(false), or a mapping of kinds to one of these, in
        which C(*) stands for all kinds that are not named (V(true) by default).
      - Ready is known of Deployment, StatefulSet, DaemonSet, ReplicaSet, Job, Pod, PersistentVolumeClaim, Namespace, CRD and APIService;
        of the Gateway API (a Gateway is programmed, a route is accepted by all its parents); and of any kind with a condition C(Ready)
        or C(Available). All else is ready once it is there.
      - An Ingress is ready when it has an address of a load balancer. As many clusters never give it one, it is waited for only when it
        is named.
      - CRDs are waited for in any case, because the objects that follow need them.
      - The module stops as soon as waiting cannot help (an image that cannot be pulled, a container that crashes again and
        again, a quota) and says why, with the pod, its last log line and the last events.
    type: raw
    default: true
  wait_timeout:
    description:
      - Seconds that the call may wait altogether, also for admission webhooks that cannot be reached yet.
    type: int
    default: 300
  field_manager:
    description:
      - Name under which fields are owned.
    type: str
    default: servicemesh-platform
  force_conflicts:
    description:
      - Paths of fields that may be taken over from other managers, as C(.spec.replicas). A path covers what is below it.
    type: list
    elements: str
    default: []
  concurrency:
    description:
      - Requests at the same time, 32 at most. Halves while the server answers that it has too much to do.
    type: int
    default: 16
seealso:
  - module: servicemesh.platform.ready
  - name: ApplySets
    description: The convention for labels and inventories that O(prune) follows.
    link: https://git.k8s.io/enhancements/keps/sig-cli/3659-kubectl-apply-prune
  - module: kubernetes.core.k8s
"""

EXAMPLES = r"""
- name: Apply all manifests of a template
  servicemesh.platform.apply:
    name: mesh-traffic
    definitions: "{{ lookup('ansible.builtin.template', 'gateway.yml.j2') | from_yaml_all }}"

- name: Delete what a role made
  servicemesh.platform.apply:
    name: mesh-traffic
    state: absent
    definitions: "{{ lookup('ansible.builtin.template', 'gateway.yml.j2') | from_yaml_all }}"

- name: Keep a generated password
  servicemesh.platform.apply:
    name: user-db
    definitions:
      - apiVersion: v1
        kind: Secret
        metadata:
          name: user-db
          namespace: ecommerce
          annotations:
            servicemesh.platform/create-only: "true"
        stringData:
          password: "{{ lookup('ansible.builtin.password', '/dev/null', length=32) }}"

- name: Apply what is switched on, and delete what is switched off
  servicemesh.platform.apply:
    name: user-service
    definitions: "{{ definition | servicemesh.platform.service_manifests }}"
    retired: "{{ definition | servicemesh.platform.retired_manifests }}"

- name: Apply what is there now, and delete what the set held before
  servicemesh.platform.apply:
    name: shop
    src: [manifests/*.yml]
    prune: true
    inventory_namespace: ecommerce

- name: Wait for the load balancer too, and not for jobs
  servicemesh.platform.apply:
    src: [manifests/*.yml]
    wait: {Ingress: true, Job: false}

- name: Take over the number of replicas from whoever set it
  servicemesh.platform.apply:
    src: [manifests/*.yml]
    force_conflicts: [.spec.replicas]
"""

RETURN = r"""
objects:
  description: What happened to each object, in the order of the waves.
  returned: always, also on failure for the objects that were done
  type: list
  elements: dict
  contains:
    action:
      description:
        - V(created), V(changed), V(unchanged), V(deleted), V(absent) (was not there), or V(kept) (create-only, made by somebody
          else, or still in use).
      type: str
      sample: changed
    api_version:
      description: Its API version.
      type: str
      sample: apps/v1
    kind:
      description: Its kind.
      type: str
      sample: Deployment
    name:
      description: Its name.
      type: str
      sample: user-service
    namespace:
      description: Its namespace, empty for cluster-scoped objects.
      type: str
      sample: ecommerce
    wave:
      description: Number of its wave.
      type: int
      sample: 7
    seconds:
      description: How long its requests took.
      type: float
      sample: 0.012
    held:
      description: Fields that were left to C(servicemesh-canary).
      type: list
      elements: dict
      returned: when there are any
      sample: [{field: .spec.http, manager: servicemesh-canary}]
    note:
      description: Why it was kept, or what was taken over.
      type: str
      returned: when there is something to say
    predicted:
      description: In check mode, that the server could not do a dry run of it.
      type: bool
      returned: when true
pruned:
  description: Objects that were deleted because the set no longer holds them; in check mode, those that would be.
  returned: always
  type: list
  elements: str
  sample: [ConfigMap ecommerce/old]
kept:
  description: Objects that were not deleted, because somebody else made them or took them over or pods may still use them, and
    create-only objects that were there.
  returned: success
  type: list
  elements: str
  sample: [Secret ecommerce/user-db]
held:
  description: Objects with fields that were left to C(servicemesh-canary).
  returned: success
  type: list
  elements: str
  sample: [VirtualService ecommerce/user-service]
requests:
  description: Number of requests made to the API server.
  returned: always
  type: int
  sample: 260
seconds:
  description: Seconds of each phase.
  returned: always
  type: dict
  sample: {discover: 0.05, read: 0.1, apply: 0.4, wait: 12.1}
diff:
  description: Fields that differ, before and after, of each object that changed.
  returned: in diff mode
  type: list
  elements: dict
"""

from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils import _args, _module
from ansible_collections.servicemesh.platform.plugins.module_utils._apply import sources as _sources
from ansible_collections.servicemesh.platform.plugins.module_utils._apply.applier import Applier
from ansible_collections.servicemesh.platform.plugins.module_utils._apply.options import options_of
from ansible_collections.servicemesh.platform.plugins.module_utils._apply.result import Outcome, checked
from ansible_collections.servicemesh.platform.plugins.module_utils._kube import objects as _objects
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import Client
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import KubeError

ARGUMENTS = _args.spec(
    definitions={"type": "raw"},
    retired={"type": "raw"},
    src={"type": "list", "elements": "path"},
    state={"type": "str", "choices": ["present", "absent"], "default": "present"},
    name={"type": "str", "default": ""},
    prune={"type": "bool", "default": False},
    prune_allow={"type": "list", "elements": "str", "default": []},
    inventory_namespace={"type": "str"},
    wait={"type": "raw", "default": True},
    wait_timeout={"type": "int", "default": 300},
    field_manager={"type": "str", "default": _objects.FIELD_MANAGER},
    force_conflicts={"type": "list", "elements": "str", "default": []},
    concurrency={"type": "int", "default": 16},
)


def _shown(outcome: Outcome) -> dict[str, Any]:
    before, after = outcome.difference or ({}, {})
    return {"before_header": str(outcome.ref), "after_header": str(outcome.ref), "before": before, "after": after}


def _result(module: _module.Call, applier: Applier, client: Client) -> dict[str, Any]:
    result = applier.result
    for warning in client.warnings:
        module.warn(applier.scrubbed(warning))
    shown: dict[str, Any] = {
        "changed": result.changed,
        "objects": [outcome.as_dict() for outcome in result.outcomes],
        "pruned": [str(ref) for ref in result.pruned],
        "requests": client.requests,
        "seconds": result.seconds,
        "kept": [str(outcome.ref) for outcome in result.outcomes if outcome.action == "kept"],
        "held": [str(outcome.ref) for outcome in result.outcomes if outcome.held],
    }
    if module._diff:
        shown["diff"] = [_shown(outcome) for outcome in result.outcomes if outcome.changed and outcome.difference]
    return shown


def work(module: _module.Call) -> dict[str, Any]:
    """The module's result."""
    params = module.params
    options = options_of(params, check=module.check_mode)
    definitions = params["definitions"]
    if isinstance(definitions, str):
        definitions = _sources.parsed(definitions, "definitions")
    everything = checked([definitions, _sources.from_files(params["src"] or []), params["retired"]])
    last = len(everything) - len(list(_objects.flatten(params["retired"])))
    client = _module.connected(module, params["concurrency"])
    applier = Applier(client, options)
    try:
        applier.run(everything[:last], everything[last:])
    except KubeError as error:
        module.fail_json(msg=str(error), **_result(module, applier, client))
    return _result(module, applier, client)


def main() -> None:
    """Entry point."""
    _module.run(_module.PlatformModule(argument_spec=ARGUMENTS, supports_check_mode=True), work)


if __name__ == "__main__":
    main()
