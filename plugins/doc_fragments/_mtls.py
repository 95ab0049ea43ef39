# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  namespaces:
    description:
      - Namespaces whose services and workloads are reported, all by default. The whole mesh is read in any case.
    type: list
    elements: str
    default: []
  clients:
    description:
      - Clients whose calls are reported, as V(namespace/workload), V(*) for every meshed workload without an entry of its own,
        V(plaintext) for callers without a sidecar. All by default.
      - A call to a service that the client's Sidecar object hides is reported only for clients that are named here.
    type: list
    elements: str
    default: []
  services:
    description:
      - Services that are reported, as V(namespace/name), all by default.
    type: list
    elements: str
    default: []
  want:
    description:
      - The level that is demanded of each namespace, V(strict) or V(permissive). V(*) stands for all namespaces that are not named.
        Without it, nothing is demanded of them.
      - V(strict) demands that every port of every workload refuses what is not mutual TLS, and that every meshed call is mutual TLS.
        V(permissive) demands only that every meshed call is mutual TLS.
    type: dict
    default: {}
  exceptions:
    description:
      - Deviations from O(want) that are accepted. Each names a service, a workload or a client, or several of them.
      - One that matches nothing in the mesh is a finding, because it is misspelt or no longer needed.
    type: list
    elements: dict
    default: []
    suboptions:
      service:
        description: Service, as V(namespace/name).
        type: str
        default: ""
      workload:
        description: Workload, as V(namespace/name), with all services that lead to it.
        type: str
        default: ""
      port:
        description: Port of the service, or of the container when no service offers it, V(0) for all.
        type: int
        default: 0
      client:
        description: Client, as in O(clients), empty for all. Alone it stands for its calls to all services.
        type: str
        default: ""
      reason:
        description: Why the deviation is accepted, for the reports.
        type: str
        default: ""
  what_if:
    description:
      - Compute what would break if these were V(STRICT).
      - For this, objects that name callers without a certificate of the mesh are read as well, such as webhook configurations, Ingresses,
        ServiceMonitors and CronJobs. C(docs/mtls.md) lists them. One that may not be read is named in the result, and nothing fails.
    type: dict
    suboptions:
      namespaces:
        description: Namespaces. One that does not exist is refused.
        type: list
        elements: str
        default: []
      mesh:
        description: The whole mesh, by the policy of the root namespace.
        type: bool
        default: false
  istio_namespace:
    description:
      - Namespace of istiod and of the ConfigMap with the MeshConfig. The root namespace is read from there.
    type: str
    default: istio-system
  cluster_domain:
    description:
      - The cluster's DNS domain.
    type: str
    default: cluster.local
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
    details:
      - Nothing is changed, so there is nothing to compare.
  idempotent:
    support: full
"""
