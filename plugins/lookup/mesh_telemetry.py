# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The variables of the platform -> where traces and access logs go."""

from __future__ import annotations

DOCUMENTATION = r"""
name: mesh_telemetry
short_description: Where the mesh sends traces and access logs
version_added: 0.1.0
author: servicemesh.platform contributors (@servicemesh)
description:
  - The one place from which the mesh's configuration (role C(istio)) and its Telemetry object (role C(observability)) take the names of
    their providers, so that neither can name one that the other does not have.
  - It reads C(platform_tracing), C(platform_tracing_address) and the variables of the role C(observability).
options: {}
notes:
  - Terms are not used.
"""

EXAMPLES = r"""
- name: Show where traces go
  ansible.builtin.debug:
    var: lookup('servicemesh.platform.mesh_telemetry').collector
"""

RETURN = r"""
_raw:
  description: One dict.
  type: list
  elements: dict
  contains:
    collector:
      description: Who takes the traces, C(host), C(grpc_port) and C(http_port). Empty for nobody.
      type: dict
    log_collector:
      description: Who gets the access logs by OTLP, in the same form.
      type: dict
    runs:
      description:
        - What the role C(observability) runs for this, by the names of the Services - C(otel-collector), C(jaeger).
        - The pods are in the mesh, in C(platform_monitoring_namespace).
      type: list
      elements: str
    collector_configuration:
      description: Configuration of the collector that the role runs. Empty when there is none.
      type: dict
    tracing_provider:
      description: Name of the provider of traces for a Telemetry object. Empty for no tracing.
      type: str
    log_providers:
      description: Names of the providers of access logs for a Telemetry object.
      type: list
      elements: str
    extension_providers:
      description: C(extensionProviders) of the mesh's configuration, with those of C(istio_mesh_config).
      type: list
      elements: dict
"""

from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase
from ansible_collections.servicemesh.platform.plugins.plugin_utils._telemetry import telemetry_of


class LookupModule(LookupBase):
    """Lookup plugin."""

    def run(self, terms: Any, variables: Any = None, **_options: Any) -> list[dict[str, Any]]:  # noqa: ARG002  # Ansible's own signature
        """Where traces and access logs go, as a list of one dict."""
        known = variables or {}
        try:
            found = telemetry_of(lambda name: self._templar.template(known[name]) if name in known else None)
        except ValueError as error:
            raise AnsibleLookupError(f"mesh_telemetry: {error}") from error
        return [
            {
                "collector": found.collector(),
                "log_collector": found.log_collector(),
                "runs": found.runs(),
                "collector_configuration": found.collector_configuration(),
                "tracing_provider": found.tracing_provider(),
                "log_providers": found.log_providers(),
                "extension_providers": found.extension_providers(),
            }
        ]
