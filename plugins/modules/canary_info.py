#!/usr/bin/python
# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: canary_info
short_description: Return the state of a service's canary, and what is live
version_added: 0.1.0
author:
  - servicemesh.platform contributors (@servicemesh)
description:
  - Reads the record of a service's rollouts, the lease, and the version and image of its Deployment.
options:
  service:
    description: Name of the Service.
    type: str
    required: true
  namespace:
    description: Its namespace.
    type: str
    default: ecommerce
  stable_deployment:
    description: Deployment of the present version. The default is the Service's name.
    type: str
  inventory:
    description:
      - Image and version that the inventory states. With this option the result has RV(decision), and a warning names what differs
        from the inventory.
    type: dict
    suboptions:
      image:
        description: Image of the container.
        type: str
        required: true
      version:
        description: Its version.
        type: str
        required: true
  requested:
    description: Image and version from the command line, which a canary promotes.
    type: dict
    suboptions:
      image:
        description: Image of the container.
        type: str
        required: true
      version:
        description: Its version.
        type: str
        required: true
  rollout:
    description: How a new version in the inventory is released.
    type: str
    choices: [rolling, canary]
    default: rolling
  variable:
    description: The variable that a warning names.
    type: str
    default: the version
extends_documentation_fragment:
  - servicemesh.platform._kube
  - servicemesh.platform._attributes
attributes:
  check_mode:
    support: full
    details:
      - Never changes anything.
  diff_mode:
    support: none
    details:
      - There is nothing to compare.
  idempotent:
    support: full
seealso:
  - module: servicemesh.platform.canary
"""

EXAMPLES = r"""
- name: Read the state of the canary
  servicemesh.platform.canary_info:
    service: user-service
  register: __canary

- name: Show why it was rolled back
  ansible.builtin.debug:
    msg: "{{ __canary.reason }}"
  when: __canary.phase == 'rolled_back'
"""

RETURN = r"""
phase:
  description: Phase of the rollout, see RV(servicemesh.platform.canary#module:phase); empty when there was none.
  returned: success
  type: str
  sample: paused
active:
  description: Whether a rollout is under way, also when it is paused or frozen.
  returned: success
  type: bool
weight:
  description: The canary's weight in percent.
  returned: success
  type: int
  sample: 20
version:
  description: The new version of the last rollout.
  returned: when there was one
  type: str
  sample: v1.1
blind_since:
  description: Time of the last usable sample, see RV(servicemesh.platform.canary#module:blind_since).
  returned: when there was one
  type: float
blind_limit:
  description: Seconds after RV(blind_since) at which the rollout fails without a usable sample.
  returned: when there was one
  type: float
  sample: 180
reason:
  description: Why the rollout is paused, frozen or rolled back.
  returned: when there was one
  type: str
proof:
  description: What the sampled proxies had as the last weight, see RV(servicemesh.platform.canary#module:proof).
  returned: when there was one
  type: dict
history:
  description: Events of the last rollout.
  returned: when there was one
  type: list
  elements: dict
release:
  description: Image and version of the rollout under way, and the inventory's at its start.
  returned: when a role started it
  type: dict
virtual_services:
  description: VirtualServices that the rollout under way shifts, as C(namespace/name).
  returned: success
  type: list
  elements: str
  sample: [ecommerce/user-service, ecommerce/user-service-ingress]
record:
  description: The release that is live by a promotion, and the inventory's at that time; null when the inventory's release is live.
  returned: success
  type: dict
runs:
  description: Summaries of earlier rollouts, newest last.
  returned: success
  type: list
  elements: dict
lease:
  description: The present lease (C(holder), C(fencing_token), C(age), C(renewed), C(expires_in)); null when nobody holds it.
  returned: success
  type: dict
live:
  description: Image and version label of the stable Deployment; null when it does not exist.
  returned: success
  type: dict
  sample: {image: "registry.example.com/shop/user-service:v1.0", version: v1.0}
decision:
  description: What a role does.
  returned: with O(inventory)
  type: dict
  contains:
    action:
      description: V(apply), V(canary), or V(watch) while another run is under way.
      type: str
    image:
      description: Image of the release.
      type: str
    version:
      description: Its version.
      type: str
    forget_promotion:
      description: Whether the record of a promotion is no longer needed.
      type: bool
    warning:
      description: What differs from the inventory; empty when nothing differs.
      type: str
metrics:
  description: The rollout in Prometheus' text format, for a textfile collector.
  returned: success
  type: str
"""

from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils import _args, _module
from ansible_collections.servicemesh.platform.plugins.module_utils._canary import info
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.release import decide

RELEASE = {"image": {"type": "str", "required": True}, "version": {"type": "str", "required": True}}
ARGUMENTS = _args.spec(
    service={"type": "str", "required": True},
    namespace={"type": "str", "default": "ecommerce"},
    stable_deployment={"type": "str"},
    inventory={"type": "dict", "options": RELEASE},
    requested={"type": "dict", "options": RELEASE},
    rollout={"type": "str", "choices": ["rolling", "canary"], "default": "rolling"},
    variable={"type": "str", "default": "the version"},
)


def work(module: _module.Invocation) -> dict[str, Any]:
    """The module's result."""
    client = _module.connected(module)
    params = module.params
    found = {
        "changed": False,
        **info.read(client, params["namespace"], params["service"], params["stable_deployment"] or ""),
    }
    if params["inventory"]:
        decision = decide(
            params["inventory"],
            found,
            rollout=params["rollout"],
            requested=params["requested"],
            variable=params["variable"],
        )
        found["decision"] = decision.as_dict()
        if decision.warning:
            module.warn(f"{params['namespace']}/{params['service']}: {decision.warning}")
    return found


def main() -> None:
    """Entry point."""
    _module.run(_module.PlatformModule(argument_spec=ARGUMENTS, supports_check_mode=True), work)


if __name__ == "__main__":
    main()
