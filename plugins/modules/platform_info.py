#!/usr/bin/python
# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: platform_info
short_description: Tell what runs of the platform, and how well
version_added: 0.1.0
author:
  - servicemesh.platform contributors (@servicemesh)
description:
  - Lists the Deployments and StatefulSets that this collection or one of its Helm charts has made, each with its version,
    its replicas and its health, and where clients reach it.
  - Health is what a wait of M(servicemesh.platform.apply) would conclude; an ill workload is explained by its pods' own reason.
options:
  namespaces:
    description: Where to look. Namespaces that do not exist are passed over.
    type: list
    elements: str
    default: [ecommerce, istio-system, ingress-nginx, monitoring]
  domain:
    description: Host that the edge answers for. Empty takes it from the Ingress.
    type: str
    default: ""
  url:
    description:
      - Base URL of the ingress. Empty takes it from the address that the Ingress publishes, or from a node's address and the port
        of the controller's Service.
    type: str
    default: ""
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
  - module: servicemesh.platform.platform_table
"""

EXAMPLES = r"""
- name: Read what runs
  servicemesh.platform.platform_info:
  register: __platform

- name: Fail when something is ill
  ansible.builtin.assert:
    that: __platform.services | rejectattr('healthy') | length == 0
    fail_msg: "{{ __platform.summary }}"
"""

RETURN = r"""
services:
  description: One entry a Deployment or StatefulSet, by namespace and name.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name of the workload.
      type: str
      sample: user-service
    namespace:
      description: Its namespace.
      type: str
      sample: ecommerce
    kind:
      description: V(Deployment) or V(StatefulSet).
      type: str
      sample: Deployment
    version:
      description: Label C(version) of its pods, else the chart's version label, else the image's tag.
      type: str
      sample: v1.0
    ready:
      description: Replicas that are ready.
      type: int
      sample: 3
    desired:
      description: Replicas that are wanted.
      type: int
      sample: 3
    replicas:
      description: Both, for reading.
      type: str
      sample: 3/3
    healthy:
      description: Whether all that is wanted is there, in its newest form.
      type: bool
      sample: true
    health:
      description: V(healthy), or why not.
      type: str
      sample: healthy
    path:
      description: First path under which the gateway serves it, empty for what is not served.
      type: str
      sample: /api/users
    url:
      description: The same with O(url) in front.
      type: str
      sample: https://192.0.2.10/api/users
url:
  description: Base URL of the ingress, empty when it cannot be told.
  returned: success
  type: str
  sample: https://192.0.2.10
domain:
  description: Host that the edge answers for.
  returned: success
  type: str
  sample: ecommerce.example.com
summary:
  description: One sentence on all workloads.
  returned: success
  type: str
  sample: All 13 workloads are healthy.
"""

from typing import Any, NamedTuple

from ansible_collections.servicemesh.platform.plugins.module_utils import _args
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import Client
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import ApiError
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.http import typed
from ansible_collections.servicemesh.platform.plugins.module_utils._mesh import status as _status
from ansible_collections.servicemesh.platform.plugins.module_utils._module import Call, PlatformModule, connected, run

ARGUMENTS = _args.spec(
    namespaces={
        "type": "list",
        "elements": "str",
        "default": ["ecommerce", "istio-system", "ingress-nginx", "monitoring"],
    },
    domain={"type": "str", "default": ""},
    url={"type": "str", "default": ""},
)
MANAGED = "app.kubernetes.io/managed-by in (servicemesh-platform,Helm)"

KINDS = (
    ("workloads", "apis/apps/v1", "deployments", MANAGED),
    ("workloads", "apis/apps/v1", "statefulsets", MANAGED),
    ("pods", "api/v1", "pods", ""),
    ("services", "api/v1", "services", MANAGED),
    ("ingresses", "apis/networking.k8s.io/v1", "ingresses", MANAGED),
    ("routes", "apis/networking.istio.io/v1", "virtualservices", MANAGED),
)


class Listing(NamedTuple):
    """One request for a collection, and the group that its objects go to."""

    group: str
    path: str
    selector: str


def listed(client: Client, path: str, selector: str = "") -> list[dict[str, Any]]:
    """Objects of a collection; none when the namespace or the kind is not there."""
    body = client.get(path, query={"labelSelector": selector} if selector else None)
    return [] if body is None else typed(body)


def nodes_of(client: Client) -> list[dict[str, Any]]:
    """The nodes; none for somebody who may not list them."""
    try:
        return listed(client, "/api/v1/nodes")
    except ApiError as error:
        if error.status == 403:
            return []
        raise


def work(module: Call) -> dict[str, Any]:
    """The module's result."""
    client = connected(module)
    wanted = [
        Listing(group, f"/{prefix}/namespaces/{namespace}/{plural}", selector)
        for namespace in dict.fromkeys(module.params["namespaces"])
        for group, prefix, plural, selector in KINDS
    ]
    found: dict[str, list[dict[str, Any]]] = {group: [] for group, *_rest in KINDS}

    def ask(listing: Listing) -> list[dict[str, Any]]:
        return listed(client, listing.path, listing.selector)

    answers = client.each(ask, wanted)
    for listing, items in zip(wanted, answers, strict=True):
        found[listing.group].extend(items)
    url = module.params["url"].rstrip("/")
    if not url:
        url = _status.base_url(found["ingresses"], found["services"], nodes_of(client))
    rows = _status.service_rows(found["workloads"], found["pods"], _status.first_prefixes(found["routes"]), url)
    return {
        "changed": False,
        "services": rows,
        "url": url,
        "domain": module.params["domain"] or _status.ingress_host(found["ingresses"]),
        "summary": _status.summary(rows),
    }


def main() -> None:
    """Entry point."""
    run(PlatformModule(argument_spec=ARGUMENTS, supports_check_mode=True), work)


if __name__ == "__main__":
    main()
