#!/usr/bin/python
# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: secret_versions
short_description: Return the versions of Secrets without reading their values
version_added: 0.1.0
author:
  - servicemesh.platform contributors (@servicemesh)
description:
  - Returns the C(resourceVersion) of each Secret, which changes whenever the Secret is written.
  - Requests only metadata, so that no value leaves the API server, and only the named Secrets, so that the right to get these
    Secrets is enough.
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
  namespace:
    description:
      - Namespace of the Secrets.
    type: str
    required: true
  names:
    description:
      - Names of the Secrets.
    type: list
    elements: str
    required: true
seealso:
  - module: servicemesh.platform.apply
"""

EXAMPLES = r"""
- name: Read the versions of the Secrets
  servicemesh.platform.secret_versions:
    namespace: ecommerce
    names: [user-db, user-service-secrets]
  register: secrets

- name: Replace the pods when a Secret has changed
  servicemesh.platform.apply:
    definitions: "{{ definition | servicemesh.platform.service_manifests(secret_versions=secrets.versions) }}"
"""

RETURN = r"""
versions:
  description: Version of each Secret by its name. A Secret that does not exist is left out.
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

from ansible_collections.servicemesh.platform.plugins.module_utils import _args, _module
from ansible_collections.servicemesh.platform.plugins.module_utils._kube import secret_versions

ARGUMENTS = _args.spec(
    namespace={"type": "str", "required": True},
    names={"type": "list", "elements": "str", "required": True},
)


def work(module: _module.Invocation) -> dict[str, Any]:
    """The module's result."""
    client = _module.connected(module)
    versions = secret_versions.read(client, module.params["namespace"], module.params["names"])
    return {"changed": False, "versions": versions, "requests": client.requests}


def main() -> None:
    """Entry point."""
    _module.run(_module.PlatformModule(argument_spec=ARGUMENTS, supports_check_mode=True), work)


if __name__ == "__main__":
    main()
