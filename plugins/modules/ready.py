#!/usr/bin/python
# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ready
short_description: Wait until Kubernetes objects are ready
version_added: 0.1.0
author:
  - servicemesh.platform contributors (@servicemesh)
description:
  - Waits by watch until objects that something else made (a Helm release, say) are ready, and stops as soon as waiting cannot
    help, as M(servicemesh.platform.apply) does.
  - An object that is not there is waited for.
extends_documentation_fragment:
  - servicemesh.platform._kube
  - servicemesh.platform._attributes
attributes:
  check_mode:
    support: full
    details:
      - Returns at once, because what is waited for may be made by an earlier task that did not run.
  diff_mode:
    support: N/A
  idempotent:
    support: full
options:
  objects:
    description:
      - What to wait for. When an object counts as ready is said at option C(wait) of M(servicemesh.platform.apply); here, an Ingress is
        always waited for.
    type: list
    elements: dict
    required: true
    suboptions:
      api_version:
        description:
          - Its API version; by default the one that the server prefers for the kind.
        type: str
      kind:
        description:
          - Its kind.
        type: str
        required: true
      name:
        description:
          - Its name.
        type: str
        required: true
      namespace:
        description:
          - Its namespace, when objects of its kind have one.
        type: str
  wait_timeout:
    description:
      - Seconds to wait at most.
    type: int
    default: 300
  api_timeout:
    description:
      - Seconds that the API server itself gets to answer first, for one that has just been started.
    type: int
    default: 0
seealso:
  - module: servicemesh.platform.apply
"""

EXAMPLES = r"""
- name: Wait for what the chart installed
  servicemesh.platform.ready:
    objects:
      - {kind: Deployment, name: istiod, namespace: istio-system}
      - {kind: CustomResourceDefinition, name: virtualservices.networking.istio.io}
    wait_timeout: 180
"""

RETURN = r"""
objects:
  description: What was waited for.
  returned: success
  type: list
  elements: str
  sample: [Deployment istio-system/istiod]
requests:
  description: Number of requests made to the API server.
  returned: success
  type: int
  sample: 4
seconds:
  description: Seconds that it took.
  returned: success
  type: float
  sample: 7.31
"""

import time
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils import _args, _module
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.ready import api_answers, wait_for

ARGUMENTS = _args.spec(
    objects={
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "api_version": {"type": "str"},
            "kind": {"type": "str", "required": True},
            "name": {"type": "str", "required": True},
            "namespace": {"type": "str"},
        },
    },
    wait_timeout={"type": "int", "default": 300},
    api_timeout={"type": "int", "default": 0},
)


def work(module: _module.Call) -> dict[str, Any]:
    """The module's result."""
    start = time.monotonic()
    if module.check_mode:
        return {"changed": False, "objects": [], "requests": 0, "seconds": 0.0}
    client = _module.connected(module)
    if module.params["api_timeout"]:
        api_answers(client, module.params["api_timeout"])
    refs = wait_for(client, module.params["objects"], module.params["wait_timeout"])
    return {
        "changed": False,
        "objects": [str(ref) for ref in refs],
        "requests": client.requests,
        "seconds": round(time.monotonic() - start, 3),
    }


def main() -> None:
    """Entry point."""
    _module.run(_module.PlatformModule(argument_spec=ARGUMENTS, supports_check_mode=True), work)


if __name__ == "__main__":
    main()
