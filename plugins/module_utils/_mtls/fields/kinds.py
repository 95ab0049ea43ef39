# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which table a kind has, and what of an object is not understood. A new kind needs an entry here, and a table. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.fields import (
    gateway_api,
    keys,
    kubernetes,
    networking,
    routing,
    security,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.fields.mesh_config import MESH_CONFIG
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.fields.table import Table
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parts import Doubt

# Kinds whose fields are looked for in each object.
ISTIO: Mapping[str, Table] = {
    "PeerAuthentication": security.PEER_AUTHENTICATION,
    "DestinationRule": networking.DESTINATION_RULE,
    "Sidecar": networking.SIDECAR,
    "ServiceEntry": networking.SERVICE_ENTRY,
    "WorkloadEntry": networking.WORKLOAD_ENTRY,
    "Gateway": networking.GATEWAY,
    "VirtualService": routing.VIRTUAL_SERVICE,
    "EnvoyFilter": routing.ENVOY_FILTER,
    "BackendTLSPolicy": gateway_api.BACKEND_TLS_POLICY,
}
# Kinds of which only annotations and labels are looked for: Kubernetes itself drops fields that it does not know.
KUBERNETES: Mapping[str, Table] = {
    "Pod": kubernetes.POD,
    "Service": kubernetes.SERVICE,
    "EndpointSlice": kubernetes.ENDPOINT_SLICE,
    "Namespace": kubernetes.NAMESPACE,
}
TABLES: Mapping[str, Table] = {**ISTIO, **KUBERNETES, "MeshConfig": MESH_CONFIG}


def doubt(kind: str, obj: Mapping[str, Any], subject: str = "") -> Doubt | None:
    """What of an object is not understood, by the name of the object (or `subject`) and the field; None for nothing."""
    meta = obj.get("metadata") or {}
    subject = subject or f"{kind} " + "/".join(str(meta[key]) for key in ("namespace", "name") if meta.get(key))
    table = ISTIO.get(kind)
    found = table.doubt({"spec": obj.get("spec")}, subject) if table else None
    return found or keys.doubt(kind, meta, subject)
