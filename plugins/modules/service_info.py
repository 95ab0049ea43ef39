#!/usr/bin/python
# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: service_info
short_description: Read all that the next objects of a service depend on, in one call
version_added: 0.1.0
author:
  - servicemesh.platform contributors (@servicemesh)
description:
  - Reads the state of the service's canary, the versions of Secrets without their values, and the routes for callers outside of all
    services of the namespace, all at once.
  - M(servicemesh.platform.service_plan) uses it; it is of little use by itself.
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
options:
  service:
    description: Name of the service.
    type: str
    required: true
  namespace:
    description: Its namespace.
    type: str
    required: true
  canary:
    description: Whether to read the state of its canary.
    type: bool
    default: true
  secrets:
    description: Names of Secrets.
    type: list
    elements: str
    default: []
seealso:
  - module: servicemesh.platform.service_plan
"""

EXAMPLES = r"""
- name: Read what the objects of a service depend on
  servicemesh.platform.service_info:
    service: user-service
    namespace: ecommerce
    secrets: [user-db]
"""

RETURN = r"""
canary:
  description: What M(servicemesh.platform.canary_info) returns, without a decision; empty without O(canary).
  returned: success
  type: dict
secrets:
  description: Version of each Secret by its name. A Secret that does not exist is left out.
  returned: success
  type: dict
  sample: {user-db: "4711"}
ingress:
  description: VirtualServices of the routes for callers outside.
  returned: success
  type: list
  elements: dict
requests:
  description: Number of requests made to the API server.
  returned: success
  type: int
  sample: 6
"""

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from ansible_collections.servicemesh.platform.plugins.module_utils import _args, _module
from ansible_collections.servicemesh.platform.plugins.module_utils._canary import info
from ansible_collections.servicemesh.platform.plugins.module_utils._kube import secret_versions
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import Client
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import ApiError

ARGUMENTS = _args.spec(
    service={"type": "str", "required": True},
    namespace={"type": "str", "required": True},
    canary={"type": "bool", "default": True},
    secrets={"type": "list", "elements": "str", "default": [], "no_log": False},  # names, no values
)
INGRESS = "servicemesh.platform/ingress"  # label of the VirtualServices for callers outside


def _ingress(client: Client, namespace: str) -> list[dict[str, Any]]:
    """The VirtualServices for callers outside; none when the cluster has no such kind yet."""
    path = f"/apis/networking.istio.io/v1/namespaces/{quote(namespace, safe='')}/virtualservices"
    try:
        found = client.list_all(path, {"labelSelector": INGRESS})[0]
    except ApiError as error:
        if error.status == 404:
            return []
        raise
    return [
        {**item, "metadata": {key: value for key, value in item["metadata"].items() if key != "managedFields"}}
        for item in found
    ]


def work(module: _module.Invocation) -> dict[str, Any]:
    """The module's result."""
    client = _module.connected(module)
    params = module.params
    namespace, service = params["namespace"], params["service"]
    reads: list[Callable[[], Any]] = [
        lambda: info.read(client, namespace, service) if params["canary"] else {},
        lambda: secret_versions.read(client, namespace, params["secrets"]),
        lambda: _ingress(client, namespace),
    ]

    def called(read: Callable[[], Any]) -> Any:
        return read()

    canary, secrets, ingress = client.each(called, reads)
    return {"changed": False, "canary": canary, "secrets": secrets, "ingress": ingress, "requests": client.requests}


def main() -> None:
    """Entry point."""
    _module.run(_module.PlatformModule(argument_spec=ARGUMENTS, supports_check_mode=True), work)


if __name__ == "__main__":
    main()
