#!/usr/bin/python
# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: objects_absent
short_description: Delete the Kubernetes objects that labels select, whoever created them
version_added: 0.1.0
author:
  - servicemesh.platform contributors (@servicemesh)
description:
  - Deletes every object of a kind that a label selector selects, also objects that this collection did not create.
    M(servicemesh.platform.apply) deletes objects by name, and only its own.
  - An object that changes between being read and being deleted is read again, and stays when the selector does not select it any more.
  - A kind that the cluster does not have has no objects.
extends_documentation_fragment:
  - servicemesh.platform._kube
  - servicemesh.platform._attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
    details:
      - The names of the objects are in the result.
  idempotent:
    support: full
options:
  api_version:
    description: API version.
    type: str
    default: v1
  kind:
    description: Kind.
    type: str
    required: true
  namespace:
    description: Namespace of the objects. Without it, those of all namespaces, or those of a kind without namespaces.
    type: str
  label_selector:
    description: Which objects. It may not be empty.
    type: str
    required: true
  wait:
    description: Whether to wait until the objects are gone.
    type: bool
    default: false
  wait_timeout:
    description: Seconds to wait at most.
    type: int
    default: 300
seealso:
  - module: servicemesh.platform.apply
  - module: servicemesh.platform.objects_info
"""

EXAMPLES = r"""
- name: Delete the records of failed operations of a chart release
  servicemesh.platform.objects_absent:
    kind: Secret
    namespace: istio-system
    label_selector: owner=helm,name=istiod,status=failed

- name: Delete Istio's CRDs, and with them all Istio objects of the cluster
  servicemesh.platform.objects_absent:
    api_version: apiextensions.k8s.io/v1
    kind: CustomResourceDefinition
    label_selector: app=istio-pilot,release=istio
    wait: true
"""

RETURN = r"""
objects:
  description: The objects that were deleted, or would be.
  returned: success
  type: list
  elements: str
  sample: ["Secret istio-system/sh.helm.release.v1.istiod.v2"]
requests:
  description: Number of requests made to the API server.
  returned: success
  type: int
  sample: 3
"""

import time
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils import _args, _module
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import Client
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.discovery import Resource
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import ApiError, KubeError
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.objects import Ref, delete_options, ref_of
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.wait import Target, Waiter

_TRIES = 5  # reads of objects that change all the time
ARGUMENTS = _args.spec(
    api_version={"type": "str", "default": "v1"},
    kind={"type": "str", "required": True},
    namespace={"type": "str"},
    label_selector={"type": "str", "required": True},
    wait={"type": "bool", "default": False},
    wait_timeout={"type": "int", "default": 300},
)


def selected(client: Client, resource: Resource, namespace: str, selector: str) -> list[dict[str, Any]]:
    """The objects that the selector selects now, without those that are being deleted."""
    found = client.list_all(resource.collection(namespace), {"labelSelector": selector})[0]
    kind = {"apiVersion": resource.api_version, "kind": resource.kind}
    return [{**obj, **kind} for obj in found if not obj["metadata"].get("deletionTimestamp")]


def deleted(client: Client, resource: Resource, obj: dict[str, Any]) -> bool:
    """Whether an object was deleted as it was read; False when it has changed since, or is gone."""
    body = delete_options(obj)
    body["preconditions"]["resourceVersion"] = obj["metadata"]["resourceVersion"]
    try:
        client.request("DELETE", resource.path(ref_of(obj)), body=body)
    except ApiError as error:
        if error.status in (404, 409):
            return False
        raise
    return True


def work(module: _module.Invocation) -> dict[str, Any]:
    """The module's result."""
    params, deadline = module.params, time.monotonic() + module.params["wait_timeout"]
    selector, namespace = params["label_selector"].strip(), params["namespace"] or ""
    if not selector:
        raise KubeError("label_selector is empty, which selects all objects. Expected labels such as app=shop.")
    client = _module.connected(module)
    resource = client.discover([(params["api_version"], params["kind"])]).find(params["api_version"], params["kind"])
    if resource is None:
        return {"changed": False, "objects": [], "requests": client.requests}

    def delete(obj: dict[str, Any]) -> bool:
        return deleted(client, resource, obj)

    gone: dict[Ref, None] = {}
    for _try in range(_TRIES):
        there = selected(client, resource, namespace, selector)
        if module.check_mode or not there:
            gone |= dict.fromkeys(map(ref_of, there))
            break
        done = client.each(delete, there)
        gone |= dict.fromkeys(ref_of(obj) for obj, was in zip(there, done, strict=True) if was)
    else:
        names = ", ".join(str(ref_of(obj)) for obj in selected(client, resource, namespace, selector)[:5])
        if names:
            raise KubeError(f"objects change while they are deleted: {names}. Stop what changes them, and run again.")
    if params["wait"] and not module.check_mode:
        Waiter(client, deadline).gone([Target(ref, resource) for ref in gone])
    return {"changed": bool(gone), "objects": sorted(map(str, gone)), "requests": client.requests}


def main() -> None:
    """Entry point."""
    _module.run(_module.PlatformModule(argument_spec=ARGUMENTS, supports_check_mode=True), work)


if __name__ == "__main__":
    main()
