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
    policies, routes), writes the objects of a wave at once by server-side apply, and waits by watch until all are ready.
  - Deletes in the reverse order, only objects with the label C(app.kubernetes.io/managed-by=servicemesh-platform), and
    waits until they are gone. The module sets that label on the objects that it creates. An object that existed before
    does not get the label and is never deleted.
  - A Namespace that still has pods after the objects of the set in it were deleted is kept, also when this module created it.
  - An object with the annotation C(servicemesh.platform/create-only) set to C("true") is created when it does not exist and
    is not changed otherwise. This is for generated passwords.
  - When another manager owns a field with another value, the module stops and names the field and the manager. Fields that
    C(servicemesh-canary) owns are left to it without an error and reported as RV(objects[].withheld).
  - A Deployment, StatefulSet or ReplicaSet whose definition omits C(.spec.replicas) keeps its number of replicas. When this
    module is the only owner of the field, the manager C(servicemesh-autoscaling) becomes its owner first.
  - A number of replicas that an autoscaler set (C(kube-controller-manager), C(servicemesh-autoscaling)) is taken over when no
    HorizontalPodAutoscaler of the namespace scales the object any more. RV(objects[].note) reports it.
  - An object of the set that C(kubectl apply) wrote by client-side apply is taken over. Fields that were applied then and are
    not in the definition any more are removed, as C(kubectl apply) does, and so is the annotation
    C(kubectl.kubernetes.io/last-applied-configuration). RV(objects[].note) reports it. Other managers keep their fields.
  - Where several objects are written, or one is taken over, all are tried by server dry run before the first is written. A call that the
    server refuses has changed nothing then. What cannot be tried, because its namespace, its CRD or a webhook comes with the call, is left
    to the write itself.
  - Warnings of the API server, for example about deprecated APIs, become warnings of the task, each once.
  - Values of Secrets appear in no result, difference, message or log. A digest shows that a value changed.
extends_documentation_fragment:
  - servicemesh.platform._kube
  - servicemesh.platform._attributes
attributes:
  check_mode:
    support: full
    details:
      - The server does a dry run of each object. An object that it cannot dry-run, because its namespace or CRD does not exist yet, is
        reported with RV(objects[].predicted).
      - For an object that is taken over from C(kubectl apply), the dry run is an update to what the take-over and the definition make
        of it.
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  definitions:
    description:
      - The objects, as a list, as nested lists, as one object, or as text with any number of documents, which is read as kubectl reads it.
        Nulls are ignored, and the items of lists (C(List), C(ConfigMapList)) are used.
      - Values in C(data) and C(stringData) of Secrets and ConfigMaps must be strings. A null is an empty string.
      - One of O(definitions) and O(src) is required.
    type: raw
  retired:
    description:
      - Objects to delete in the same call, for example those of a feature that was switched off. Only C(apiVersion), C(kind) and
        C(metadata) are used. An object that another owner created is kept.
      - A HorizontalPodAutoscaler is deleted before O(definitions) are applied, because it would reset the number of replicas. Objects
        that pods refer to (ConfigMap, Secret, ServiceAccount, roles and their bindings, PersistentVolumeClaim), CRDs and namespaces
        are deleted when the set is ready; with O(wait=false), in the first call that finds the set ready. All other objects are
        deleted after O(definitions) were applied.
    type: raw
  src:
    description:
      - Files with YAML or JSON documents, on the machine that runs the module. Patterns such as C(*.yml) are allowed.
      - The files are read as kubectl reads them (C(docs/apply.md) of the collection lists the rules). Errors name file, document, line and
        object. A key that is set more than once is a warning.
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
      - Name of the set; it becomes the label C(app.kubernetes.io/part-of) of the objects that the module creates, unless their manifest
        has one.
      - With O(prune=true) the inventory is named after it, so it must be valid in the name of a ConfigMap.
    type: str
    default: ""
  namespace:
    description:
      - Namespace of the objects that name none and whose kind has namespaces, as with C(kubectl -n). An object that names another
        namespace is an error.
      - It applies to O(definitions), O(src) and O(retired), and says nothing about O(inventory_namespace).
      - The namespace must exist, or be a Namespace of the set.
    type: str
  prune:
    description:
      - Whether to delete objects that the set once applied and does not contain any more. This is the last step, after everything else
        succeeded.
      - Requires O(name) and O(inventory_namespace). In that namespace, the ConfigMap C(applyset-<name>) lists what the set applied. It
        is written before any other object, so that the call after one that was killed still prunes. It costs one request, and one more
        for each change of the list.
      - Names and labels are those of ApplySets (KEP-3659), so that kubectl and other tools see who owns the objects.
      - Only objects that the set created are deleted. An object that another owner created, took over or applies too, or that is part of
        another set now, is kept and reported (RV(kept), RV(objects[].note)).
      - An empty set, the deletion of more than half of the set, and the deletion of a Namespace, a CustomResourceDefinition or a
        PersistentVolumeClaim are refused before anything is sent. O(prune_allow) allows them by name.
      - With O(state=absent), all objects that the set ever applied and the inventory are deleted, whatever O(definitions) contains.
      - An object that is not in the inventory is never pruned, so the first call with O(prune=true) deletes nothing.
    type: bool
    default: false
  prune_allow:
    description:
      - Allows dangerous deletions by O(prune). The value of O(name) allows an empty set and the deletion of more than half of the set. An
        object as messages show it, V(Namespace shop) or V(PersistentVolumeClaim shop/data), allows the deletion of this object.
    type: list
    elements: str
    default: []
  inventory_namespace:
    description:
      - Namespace of the inventory. It must be the same in all calls with this O(name).
      - It must exist, or be a Namespace of the set.
    type: str
  wait:
    description:
      - Whether to wait until the objects are ready, or until they are gone. V(true), V(false), or a mapping of kinds to one of these, in
        which C(*) stands for all kinds that are not named (V(true) by default).
      - Readiness is checked for Deployment, StatefulSet, DaemonSet, ReplicaSet, Job, Pod, PersistentVolumeClaim, Namespace, CRD and
        APIService; for the Gateway API (a Gateway is programmed, a route is accepted by all its parents); and for any kind with a
        condition C(Ready) or C(Available). Other objects are ready when they exist.
      - An Ingress is ready when a load balancer has given it an address. Many clusters never do that, so the module waits for an Ingress
        only when this kind is named.
      - The module always waits for CRDs, because later objects need them.
      - The module stops as soon as waiting cannot help (an image that cannot be pulled, a container that crashes repeatedly,
        a quota) and reports why, with the pod, its last log line and the last events.
    type: raw
    default: true
  wait_timeout:
    description:
      - Seconds for all waits of the call together, including the wait for admission webhooks that cannot be called yet.
    type: int
    default: 300
  field_manager:
    description:
      - Field manager of server-side apply.
    type: str
    default: servicemesh-platform
  force_conflicts:
    description:
      - Paths of fields that may be taken over from other managers, for example C(.spec.replicas). A path covers all fields below it.
    type: list
    elements: str
    default: []
  concurrency:
    description:
      - Number of requests at the same time, 32 at most. It is halved while the server answers 429.
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

- name: Delete what a role created
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

- name: Apply the enabled features of a service, and delete the disabled ones
  servicemesh.platform.apply:
    name: user-service
    definitions: "{{ definition | servicemesh.platform.service_manifests }}"
    retired: "{{ definition | servicemesh.platform.retired_manifests }}"

- name: Apply the objects of the files, and delete what earlier files contained
  servicemesh.platform.apply:
    name: shop
    src: [manifests/*.yml]
    prune: true
    inventory_namespace: ecommerce

- name: Wait for the load balancer as well, but not for jobs
  servicemesh.platform.apply:
    src: [manifests/*.yml]
    wait: {Ingress: true, Job: false}

- name: Take the number of replicas over from any manager
  servicemesh.platform.apply:
    src: [manifests/*.yml]
    force_conflicts: [.spec.replicas]
"""

RETURN = r"""
objects:
  description: What happened to each object, in the order of the waves.
  returned: always; on failure, the objects that were handled before
  type: list
  elements: dict
  contains:
    action:
      description:
        - V(created), V(changed), V(unchanged), V(deleted), V(absent) (did not exist), or V(kept) (create-only, created by another
          owner, or still in use).
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
    withheld:
      description: Fields that were left to C(servicemesh-canary).
      type: list
      elements: dict
      returned: when there are any
      sample: [{field: .spec.http, manager: servicemesh-canary}]
    note:
      description: Why the object was kept, or what was taken over.
      type: str
      returned: when the object was kept or something was taken over
    predicted:
      description: In check mode, whether the module predicted the action because the server could not dry-run it, or not all of it.
      type: bool
      returned: when true
pruned:
  description: Objects that were deleted because the set does not contain them any more; in check mode, those that would be deleted.
  returned: always
  type: list
  elements: str
  sample: [ConfigMap ecommerce/old]
kept:
  description: Objects that were not deleted, because another owner created them or took them over or because pods may still use them, and
    create-only objects that existed.
  returned: success
  type: list
  elements: str
  sample: [Secret ecommerce/user-db]
withheld:
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
  sample: {discover: 0.05, read: 0.1, try: 0.3, apply: 0.4, wait: 12.1}
diff:
  description: Fields that differ, before and after, of each object that changed.
  returned: in diff mode
  type: list
  elements: dict
"""

from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils import _args, _module
from ansible_collections.servicemesh.platform.plugins.module_utils._apply.applier import Applier
from ansible_collections.servicemesh.platform.plugins.module_utils._apply.options import options_of
from ansible_collections.servicemesh.platform.plugins.module_utils._apply.result import Action, Outcome
from ansible_collections.servicemesh.platform.plugins.module_utils._apply.sources import sources_of
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import Client
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import KubeError
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.objects import FIELD_MANAGER

ARGUMENTS = _args.spec(
    definitions={"type": "raw"},
    retired={"type": "raw"},
    src={"type": "list", "elements": "path"},
    state={"type": "str", "choices": ["present", "absent"], "default": "present"},
    name={"type": "str", "default": ""},
    namespace={"type": "str"},
    prune={"type": "bool", "default": False},
    prune_allow={"type": "list", "elements": "str", "default": []},
    inventory_namespace={"type": "str"},
    wait={"type": "raw", "default": True},
    wait_timeout={"type": "int", "default": 300},
    field_manager={"type": "str", "default": FIELD_MANAGER},
    force_conflicts={"type": "list", "elements": "str", "default": []},
    concurrency={"type": "int", "default": 16},
)


def _shown(outcome: Outcome) -> dict[str, Any]:
    before, after = outcome.difference or ({}, {})
    return {"before_header": str(outcome.ref), "after_header": str(outcome.ref), "before": before, "after": after}


def _result(module: _module.Invocation, applier: Applier, client: Client) -> dict[str, Any]:
    result = applier.result
    for warning in client.warnings:
        module.warn(applier.scrubbed(warning))
    shown: dict[str, Any] = {
        "changed": result.changed,
        "objects": [outcome.as_dict() for outcome in result.outcomes],
        "pruned": [str(ref) for ref in result.pruned],
        "requests": client.requests,
        "seconds": result.seconds,
        "kept": [str(outcome.ref) for outcome in result.outcomes if outcome.action == Action.KEPT],
        "withheld": [str(outcome.ref) for outcome in result.outcomes if outcome.withheld],
    }
    if module._diff:
        shown["diff"] = [_shown(outcome) for outcome in result.outcomes if outcome.changed and outcome.difference]
    return shown


def work(module: _module.Invocation) -> dict[str, Any]:
    """The module's result."""
    params = module.params
    options = options_of(params, check=module.check_mode)
    sources = sources_of(params["definitions"], params["src"] or [], params["retired"])
    for warning in sources.warnings:
        module.warn(warning)
    client = _module.connected(module, params["concurrency"])
    applier = Applier(client, options, sources.place)
    try:
        applier.run(sources.objects, sources.retired)
    except KubeError as error:
        module.fail_json(msg=str(error), **_result(module, applier, client))
    return _result(module, applier, client)


def is_noop(call: _module.Invocation) -> bool:
    """Whether a call finds nothing to do, to wait for, or to tell. It has to be in check mode."""
    if not call.check_mode:
        raise AssertionError("is_noop changes nothing: the call has to be in check mode")
    params = call.params
    sources = sources_of(params["definitions"], params["src"] or [], params["retired"])
    client = _module.connected(call, params["concurrency"])
    applier = Applier(client, options_of(params, check=True), sources.place)
    try:
        applier.run(sources.objects, sources.retired)
    except KubeError:  # the call itself tells it, with its hints
        return False
    return applier.is_noop and not client.warnings and not sources.warnings


def main() -> None:
    """Entry point."""
    _module.run(_module.PlatformModule(argument_spec=ARGUMENTS, supports_check_mode=True), work)


if __name__ == "__main__":
    main()
