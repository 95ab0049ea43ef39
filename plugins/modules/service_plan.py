#!/usr/bin/python
# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: service_plan
short_description: Check a service definition, decide its release, and return all that is to be applied
version_added: 0.1.0
author:
  - servicemesh.platform contributors (@servicemesh)
description:
  - Fails with all findings of the definition and of the settings of its canary before it reads anything of the cluster.
  - Reads what the objects depend on in one call (M(servicemesh.platform.service_info)), decides which release is to be live, and returns
    each object rendered once. It changes nothing; the role C(microservice) applies the result.
  - Runs on the controller.
options:
  definition:
    description: The service definition, see C(docs/service-definition.md).
    type: dict
    required: true
  state:
    description: Whether the service is to exist.
    type: str
    choices: [present, absent]
    default: present
  traffic:
    description: Whether the service has traffic rules.
    type: bool
    default: true
  security:
    description: Whether it has access rules.
    type: bool
    default: true
  secret_checksum:
    description: Whether a change of a Secret in C(secret_env) replaces the pods.
    type: bool
    default: true
  domain:
    description: Host name that clients outside the cluster use.
    type: str
    default: ecommerce.example.com
  gateway:
    description: Gateway that serves the host, as namespace/name.
    type: str
    default: istio-system/ecommerce-gateway
  cluster_domain:
    description: DNS domain of the cluster.
    type: str
    default: cluster.local
  trust_domain:
    description: SPIFFE trust domain of the mesh.
    type: str
    default: cluster.local
  gateway_namespace:
    description: Namespace of the ingress gateway's ServiceAccount.
    type: str
    default: istio-system
  gateway_service_account:
    description: ServiceAccount of the ingress gateway.
    type: str
    default: istio-ingressgateway
  canary_settings:
    description: Settings of the canary, source to settings, from the weakest to the strongest.
    type: dict
    default: {}
  requested:
    description: Whether a canary releases O(version), whatever C(rollout) of the definition is.
    type: bool
    default: false
  version:
    description: The version that it releases; the definition's by default.
    type: str
    default: ""
  image:
    description: Image of that version, when its tag is not the version.
    type: str
    default: ""
  decision:
    description: The RV(decision) of an earlier call, which stays. For a call after a canary, or after Secrets were created.
    type: dict
  ended:
    description: Phase in which a canary of this run ended.
    type: str
    default: ""
  wait:
    description: Whether a service whose objects are not ready is no RV(noop).
    type: bool
    default: true
extends_documentation_fragment:
  - servicemesh.platform._kube
  - servicemesh.platform._attributes
attributes:
  check_mode:
    support: full
    details:
      - Does the same as without check mode.
  diff_mode:
    support: N/A
  idempotent:
    support: full
seealso:
  - module: servicemesh.platform.apply
  - module: servicemesh.platform.service_info
"""

EXAMPLES = r"""
- name: Plan a service
  servicemesh.platform.service_plan:
    definition: {name: basket-service, namespace: ecommerce, image: "registry.example.com/shop/basket-service:v1.0"}
  register: __plan

- name: Apply it
  servicemesh.platform.apply:
    name: basket-service
    definitions: "{{ __plan.definitions }}"
    retired: "{{ __plan.retired }}"
  when: __plan.decision.action == 'apply' and not __plan.noop
"""

RETURN = r"""
definition:
  description: The service definition with the release that is to be live.
  returned: success
  type: dict
decision:
  description: What a role does, see RV(servicemesh.platform.canary_info#module:decision).
  returned: success
  type: dict
release:
  description: Image and version of the decision, and the inventory's, so that a later run can detect a change of the inventory.
  returned: success
  type: dict
canary_settings:
  description: Settings of the service's canary, those of its entry in the catalogue included.
  returned: success
  type: dict
definitions:
  description: All objects of the service.
  returned: success
  type: list
  elements: dict
retired:
  description: References of objects that it no longer has.
  returned: success
  type: list
  elements: dict
roots:
  description:
    - Of these, C(definitions) and C(retired) of the routes of the host, which all services share.
    - For a removal, those without the service.
  returned: success
  type: dict
missing_secrets:
  description: Whether a Secret that the service generates for itself does not exist.
  returned: success
  type: bool
noop:
  description:
    - Whether the service is as planned, and ready with O(wait), so that M(servicemesh.platform.apply) would find nothing to do and nothing
      to tell.
    - It is always false where modules run in a process of their own, for which that would take longer than the task that it saves.
  returned: success
  type: bool
without_pods:
  description: The objects without the pods, which a canary writes.
  returned: when a canary is to run or is under way
  type: list
  elements: dict
canary_definitions:
  description: Objects of the canary.
  returned: when a canary is to run or is under way
  type: list
  elements: dict
stable_definitions:
  description: Objects that its promotion writes.
  returned: when a canary is to run or is under way
  type: list
  elements: dict
"""
