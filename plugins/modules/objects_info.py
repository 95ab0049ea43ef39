#!/usr/bin/python
# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: objects_info
short_description: Read Kubernetes objects, several queries in one call, without the values of Secrets
version_added: 0.1.0
author:
  - servicemesh.platform contributors (@servicemesh)
description:
  - Reads single objects by name and lists by namespace and label, all at once. For an object, a namespace or a kind that does not
    exist, the result is empty.
  - Of a Secret, the names of its keys are returned, and only the values of O(public_keys).
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
  queries:
    description:
      - Objects to read.
    type: list
    elements: dict
    required: true
    suboptions:
      api_version:
        description: API version.
        type: str
        default: v1
      kind:
        description: Kind.
        type: str
        required: true
      namespace:
        description: Namespace. Without it, a list has the objects of all namespaces.
        type: str
      name:
        description: Name of one object.
        type: str
      label_selector:
        description: Selector for a list.
        type: str
  public_keys:
    description:
      - Keys of Secrets whose values are not secret. Their values are returned decoded.
    type: list
    elements: str
    choices: [tls.crt, ca.crt]
    default: []
seealso:
  - module: kubernetes.core.k8s_info
"""

EXAMPLES = r"""
- name: Read a namespace and its Secrets
  servicemesh.platform.objects_info:
    queries:
      - {kind: Namespace, name: ecommerce}
      - {kind: Secret, namespace: ecommerce}
  register: found

- name: Check that the database's Secret has a password
  ansible.builtin.assert:
    that: "'password' in (found.results[1] | selectattr('metadata.name', 'eq', 'user-db') | first)['keys']"
"""

RETURN = r"""
results:
  description: The objects that each query found, in the order of the queries.
  returned: success
  type: list
  elements: list
  sample: [[{kind: Secret, metadata: {name: user-db}, keys: [password, url], public: {}}]]
requests:
  description: Number of requests made to the API server.
  returned: success
  type: int
  sample: 4
"""

import base64
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils import _args, _module
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import Client
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import ApiError
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.objects import Ref

ARGUMENTS = _args.spec(
    queries={
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "api_version": {"type": "str", "default": "v1"},
            "kind": {"type": "str", "required": True},
            "namespace": {"type": "str"},
            "name": {"type": "str"},
            "label_selector": {"type": "str"},
        },
    },
    public_keys={"type": "list", "elements": "str", "choices": ["tls.crt", "ca.crt"], "default": []},
)


def shown(obj: dict[str, Any], public_keys: list[str]) -> dict[str, Any]:
    """An object as it may be shown: without `managedFields`, and a Secret without its values."""
    metadata = {key: value for key, value in obj["metadata"].items() if key != "managedFields"}
    if obj.get("kind") != "Secret":
        return {**obj, "metadata": metadata}
    data = obj.get("data") or {}
    # The annotation of kubectl apply contains a Secret's values as well.
    annotations = {
        key: value
        for key, value in (metadata.get("annotations") or {}).items()
        if key != "kubectl.kubernetes.io/last-applied-configuration"
    }
    return {
        "apiVersion": obj.get("apiVersion"),
        "kind": "Secret",
        "metadata": {**metadata, "annotations": annotations},
        "type": obj.get("type"),
        "keys": sorted(data),
        "public": {key: base64.b64decode(data[key]).decode(errors="replace") for key in public_keys if key in data},
    }


def found(client: Client, query: dict[str, Any]) -> list[dict[str, Any]]:
    """Objects of one query."""
    resource = client.catalog.find(query["api_version"], query["kind"])
    if resource is None:
        return []
    if query["name"]:
        ref = Ref(query["api_version"], query["kind"], query["namespace"] or "", query["name"])
        obj = client.get(resource.path(ref))
        return [] if obj is None else [obj]
    selector = {"labelSelector": query["label_selector"]} if query["label_selector"] else None
    try:
        return client.list_all(resource.collection(query["namespace"] or ""), selector)[0]
    except ApiError as error:
        if error.status == 404:
            return []
        raise


def work(module: _module.Invocation) -> dict[str, Any]:
    """The module's result."""
    client = _module.connected(module)
    client.discover((query["api_version"], query["kind"]) for query in module.params["queries"])

    def read(query: dict[str, Any]) -> list[dict[str, Any]]:
        return found(client, query)

    results = client.each(read, module.params["queries"])
    return {
        "changed": False,
        "results": [[shown(obj, module.params["public_keys"]) for obj in result] for result in results],
        "requests": client.requests,
    }


def main() -> None:
    """Entry point."""
    _module.run(_module.PlatformModule(argument_spec=ARGUMENTS, supports_check_mode=True), work)


if __name__ == "__main__":
    main()
