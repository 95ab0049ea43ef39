# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The variables of the platform -> where its Prometheus is."""

from __future__ import annotations

DOCUMENTATION = r"""
name: prometheus_address
short_description: Where the platform's Prometheus is
version_added: 0.1.0
author: servicemesh.platform contributors (@servicemesh)
description:
  - Returns the address of Prometheus as the option O(servicemesh.platform.canary#module:prometheus) of M(servicemesh.platform.canary) and
    O(servicemesh.platform.mtls_info#module:prometheus) of M(servicemesh.platform.mtls_info) take it.
  - It is C(platform_prometheus_address) where the inventory gives it. Otherwise it is the Service of the Prometheus that the role
    C(observability) runs, in C(platform_monitoring_namespace), which is another one with C(observability_prometheus=operator).
  - It is empty when C(platform_prometheus) is V(absent).
options: {}
notes:
  - Terms are not used.
"""

EXAMPLES = r"""
- name: Compare the verdicts on mutual TLS with the traffic
  servicemesh.platform.mtls_info:
    prometheus: "{{ lookup('servicemesh.platform.prometheus_address') }}"
"""

RETURN = r"""
_raw:
  description: One dict, with RV(ignore:service) or RV(ignore:url) and what goes with it.
  type: list
  elements: dict
  sample: [{service: "monitoring/prometheus:9090"}]
"""

from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase
from ansible_collections.servicemesh.platform.plugins.plugin_utils._components import components_of


class LookupModule(LookupBase):
    """Lookup plugin."""

    def run(self, terms: Any, variables: Any = None, **_options: Any) -> list[dict[str, Any]]:  # noqa: ARG002  # Ansible's own signature
        """The address, as a list of one dict."""
        known = variables or {}
        try:
            found = components_of(lambda name: self._templar.template(known[name]) if name in known else None)
        except ValueError as error:
            raise AnsibleLookupError(f"prometheus_address: {error}") from error
        return [found.address()]
