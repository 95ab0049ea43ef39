#!/usr/bin/python
# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: platform_info
short_description: List the platform's workloads and their health
version_added: 0.1.0
author:
  - servicemesh.platform contributors (@servicemesh)
description:
  - Lists the Deployments and StatefulSets that this collection or one of its Helm charts created, each with its version,
    its replicas, its health and its URL.
  - A workload is healthy when M(servicemesh.platform.apply) would not wait for it. For an unhealthy one, the reason is that of its pods.
options:
  namespaces:
    description: Namespaces to read. Those that do not exist are in RV(missing_namespaces).
    type: list
    elements: str
    default: [ecommerce, istio-system, ingress-nginx, monitoring]
  domain:
    description: Host of the ingress. When it is empty, the host of the Ingress object is used.
    type: str
    default: ""
  url:
    description:
      - Base URL of the ingress. When it is empty, it is made from the address that the Ingress object publishes, or from a node's address
        and the port of the controller's Service.
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
      - The module changes nothing.
  idempotent:
    support: full
seealso:
  - module: servicemesh.platform.platform_table
"""

EXAMPLES = r"""
- name: Read the platform's workloads
  servicemesh.platform.platform_info:
  register: __platform

- name: Fail when a workload is unhealthy
  ansible.builtin.assert:
    that: __platform.services | rejectattr('healthy') | length == 0
    fail_msg: "{{ __platform.summary }}"
"""

RETURN = r"""
services:
  description: One entry for each Deployment and StatefulSet, by namespace and name.
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
      description: Label C(version) of its pods, else the image's tag, else the chart's version label.
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
      description: Ready and wanted replicas, for people.
      type: str
      sample: 3/3
    healthy:
      description: Whether all wanted replicas are ready and of the newest revision.
      type: bool
      sample: true
    health:
      description: V(healthy), or why the workload is not healthy.
      type: str
      sample: healthy
    deleted:
      description: Whether it is being deleted.
      type: bool
      sample: false
    proxies:
      description: Its pods that run a proxy of Istio, a sidecar or a gateway.
      type: list
      elements: str
      sample: [user-service-6d4f9c7b8d-x2x9k]
    path:
      description: First path of it that the gateway serves, empty for a workload that the gateway does not serve.
      type: str
      sample: /api/users
    url:
      description: RV(url) and this path.
      type: str
      sample: https://192.0.2.10/api/users
canaries:
  description:
    - The newest canary of each service that ever had one, and services whose routes send requests to a canary that nobody drives.
  returned: success
  type: list
  elements: dict
  contains:
    service:
      description: The service, as C(namespace/name).
      type: str
      sample: ecommerce/user-service
    version:
      description: The new version.
      type: str
      sample: v1.1
    old_version:
      description: The version before.
      type: str
      sample: v1.0
    phase:
      description:
        - Where it is, as RV(servicemesh.platform.canary#module:phase), or V(unknown) when there is no canary and requests go to one.
      type: str
      sample: analysing
    active:
      description: Whether it has not ended.
      type: bool
      sample: true
    weight:
      description: Share of the requests in percent that the routes send to the new version now; null when no route knows a canary.
      type: int
      sample: 25
    steps:
      description: Weights of its steps.
      type: list
      elements: int
      sample: [25, 50]
    reason:
      description: Why it is paused, frozen or rolled back.
      type: str
      sample: ""
    started:
      description: Unix time of its start.
      type: float
      sample: 1790000000.0
    since:
      description: Unix time at which its phase began.
      type: float
      sample: 1790000060.0
unread:
  description: What could not be read of RV(canaries), and why.
  returned: success
  type: list
  elements: str
  sample: []
url:
  description: Base URL of the ingress, empty when it is unknown.
  returned: success
  type: str
  sample: https://192.0.2.10
domain:
  description: Host of the ingress.
  returned: success
  type: str
  sample: ecommerce.example.com
missing_namespaces:
  description: Namespaces of O(namespaces) that do not exist.
  returned: success
  type: list
  elements: str
  sample: []
empty_namespaces:
  description: Namespaces of O(namespaces) that have no workload of the platform, or do not exist.
  returned: success
  type: list
  elements: str
  sample: []
summary:
  description: What is to be said of all workloads and namespaces.
  returned: success
  type: str
  sample: All 13 workloads are healthy.
"""

from typing import Any, NamedTuple

from ansible_collections.servicemesh.platform.plugins.module_utils import _args
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.overview import canaries
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import Client
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import ApiError
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.http import typed
from ansible_collections.servicemesh.platform.plugins.module_utils._mesh.status import (
    base_url,
    canary_weights,
    first_prefixes,
    ingress_host,
    service_rows,
    summary,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._module import (
    Invocation,
    PlatformModule,
    connected,
    run,
)

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
    ("records", "api/v1", "configmaps", MANAGED),
)


class Listing(NamedTuple):
    """One request for a collection, and the group that its objects go to."""

    group: str
    path: str
    selector: str


def listed(client: Client, path: str, selector: str = "") -> list[dict[str, Any]]:
    """Objects of a collection; none when the namespace or the kind does not exist."""
    body = client.get(path, query={"labelSelector": selector} if selector else None)
    return [] if body is None else typed(body)


def records_of(client: Client, listing: Listing) -> tuple[list[dict[str, Any]], str]:
    """ConfigMaps, and why they are not known: who may look at workloads may be refused these."""
    try:
        return listed(client, listing.path, listing.selector), ""
    except ApiError as error:
        if error.status == 403:
            return [], f"canaries: {error}"
        raise


def nodes_of(client: Client) -> list[dict[str, Any]]:
    """The nodes; none when the identity may not list them."""
    try:
        return listed(client, "/api/v1/nodes")
    except ApiError as error:
        if error.status == 403:
            return []
        raise


def is_missing(client: Client, namespace: str) -> bool:
    """Whether a namespace does not exist; False when the identity may not know."""
    try:
        return client.get(f"/api/v1/namespaces/{namespace}") is None
    except ApiError as error:
        if error.status == 403:
            return False
        raise


def work(module: Invocation) -> dict[str, Any]:
    """The module's result."""
    client = connected(module)
    namespaces = list(dict.fromkeys(module.params["namespaces"]))
    wanted = [
        Listing(group, f"/{prefix}/namespaces/{namespace}/{plural}", selector)
        for namespace in namespaces
        for group, prefix, plural, selector in KINDS
    ]
    found: dict[str, list[dict[str, Any]]] = {group: [] for group, *_rest in KINDS}
    unread: list[str] = []

    def ask(listing: Listing) -> tuple[list[dict[str, Any]], str]:
        if listing.group == "records":
            return records_of(client, listing)
        return listed(client, listing.path, listing.selector), ""

    answers = client.each(ask, wanted)
    for listing, (items, why) in zip(wanted, answers, strict=True):
        found[listing.group].extend(items)
        unread += [why] if why else []
    releases, unreadable = canaries(found["records"], canary_weights(found["routes"]))
    url = module.params["url"].rstrip("/")
    if not url:
        url = base_url(found["ingresses"], found["services"], nodes_of(client))
    rows = service_rows(found["workloads"], found["pods"], first_prefixes(found["routes"]), url)
    used = {row["namespace"] for row in rows}
    empty = [namespace for namespace in namespaces if namespace not in used]
    # A namespace with a workload exists.
    missing = [namespace for namespace in empty if is_missing(client, namespace)]
    return {
        "changed": False,
        "services": rows,
        "canaries": releases,
        "unread": [*unread, *unreadable],
        "missing_namespaces": missing,
        "empty_namespaces": empty,
        "url": url,
        "domain": module.params["domain"] or ingress_host(found["ingresses"]),
        "summary": summary(rows, empty, missing),
    }


def main() -> None:
    """Entry point."""
    run(PlatformModule(argument_spec=ARGUMENTS, supports_check_mode=True), work)


if __name__ == "__main__":
    main()
