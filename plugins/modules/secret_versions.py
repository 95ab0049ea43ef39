#!/usr/bin/python
# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: secret_versions
short_description: Tell the versions of Secrets without reading them
version_added: 0.1.0
author:
  - servicemesh.platform contributors (@servicemesh)
description:
  - Returns the C(resourceVersion) of each Secret, which changes whenever the Secret is written.
  - Asks for metadata only, so that no value leaves the API server, and for the named Secrets only, so that the right to get
    these is enough.
extends_documentation_fragment:
  - servicemesh.platform._kube
  - servicemesh.platform._attributes
attributes:
  check_mode:
    support: full
    details:
      - Reads as it does otherwise.
  diff_mode:
    support: N/A
  idempotent:
    support: full
options:
  namespace:
    description:
      - Their namespace.
    type: str
    required: true
  names:
    description:
      - Their names.
    type: list
    elements: str
    required: true
seealso:
  - module: servicemesh.platform.apply
"""

EXAMPLES = r"""
- name: See which Secrets changed
  servicemesh.platform.secret_versions:
    namespace: ecommerce
    names: [user-db, user-service-secrets]
  register: secrets

- name: Roll the pods when one did
  servicemesh.platform.apply:
    definitions: "{{ definition | servicemesh.platform.service_manifests(secret_versions=secrets.versions) }}"
"""

RETURN = r"""
versions:
  description: Version of each Secret by its name. A Secret that is not there is left out.
  returned: success
  type: dict
  sample: {user-db: "4711", user-service-secrets: "815"}
requests:
  description: Number of requests made to the API server.
  returned: success
  type: int
  sample: 2
"""

from typing import Any
from urllib.parse import quote

from ansible_collections.servicemesh.platform.plugins.module_utils import _args, _module

ARGUMENTS = _args.spec(
    namespace={"type": "str", "required": True},
    names={"type": "list", "elements": "str", "required": True},
)
# The second is for the answer that a Secret is not there, which has no metadata.
_METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=1,application/json"


def work(module: _module.Call) -> dict[str, Any]:
    """The module's result."""
    client = _module.connected(module)
    folder = f"/api/v1/namespaces/{quote(module.params['namespace'], safe='')}/secrets"
    names = sorted(set(module.params["names"]))

    def read(name: str) -> dict[str, Any] | None:
        return client.get(f"{folder}/{quote(name, safe='')}", accept=_METADATA)

    found = client.each(read, names)
    versions = {name: str(obj["metadata"]["resourceVersion"]) for name, obj in zip(names, found, strict=True) if obj}
    return {"changed": False, "versions": versions, "requests": client.requests}


def main() -> None:
    """Entry point."""
    _module.run(_module.PlatformModule(argument_spec=ARGUMENTS, supports_check_mode=True), work)


if __name__ == "__main__":
    main()
