# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""MeshConfig: the YAML in Istio's ConfigMap, with istiod's environment. Pure.

Defaults: istio pkg/config/mesh/mesh.go; switches: istio pilot/pkg/features.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.model import LabelSelector, MeshConfig
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parse.metadata import Obj

_OPERATORS = frozenset({"In", "NotIn", "Exists", "DoesNotExist"})


def mesh_config(document: Obj, revision: str = "default", environment: Mapping[str, str] | None = None) -> MeshConfig:
    """A revision's MeshConfig. `environment` are istiod's variables, None when they could not be read."""
    env = environment or {}

    def on(name: str, default: bool = False) -> bool:
        return str(env.get(name, default)).lower() in ("true", "1")

    auto = document.get("enableAutoMtls")
    discovery = _selectors(document.get("discoverySelectors"))
    return MeshConfig(
        revision=revision,
        root_namespace=str(document.get("rootNamespace") or "istio-system"),
        auto_mtls=True if auto is None else bool(auto),
        trust_domain=str(document.get("trustDomain") or "cluster.local"),
        outbound=str((document.get("outboundTrafficPolicy") or {}).get("mode") or "ALLOW_ANY"),
        destination_rule_export_to=tuple(document.get("defaultDestinationRuleExportTo") or ("*",)),
        service_export_to=tuple(document.get("defaultServiceExportTo") or ("*",)),
        interception=str((document.get("defaultConfig") or {}).get("interceptionMode") or "REDIRECT"),
        eds_for_headless=on("PILOT_ENABLE_EDS_FOR_HEADLESS_SERVICES"),
        sidecar_ingress_tls=on("ENABLE_TLS_ON_SIDECAR_INGRESS"),
        merge_by_export=on("ENABLE_ENHANCED_DESTINATIONRULE_MERGE", True),
        selects_entries=on("PILOT_ENABLE_K8S_SELECT_WORKLOAD_ENTRIES", True),
        ambient=None if environment is None else on("PILOT_ENABLE_AMBIENT"),
        discovery=discovery or (),
        known=discovery is not None,
    )


def _selectors(node: Any) -> tuple[LabelSelector, ...] | None:
    """discoverySelectors; None for what is no list of label selectors."""
    try:
        return tuple(_selector(part or {}) for part in node or ())
    except (AttributeError, KeyError, TypeError, ValueError):
        return None


def _selector(node: Obj) -> LabelSelector:
    if set(node) - {"matchLabels", "matchExpressions"}:
        raise ValueError(node)
    expressions = []
    for part in node.get("matchExpressions") or ():
        values = frozenset(str(value) for value in part.get("values") or ())
        if part["operator"] not in _OPERATORS or bool(values) != (part["operator"] in ("In", "NotIn")):
            raise ValueError(part)
        expressions.append((str(part["key"]), str(part["operator"]), values))
    labels = tuple(sorted((str(key), str(value)) for key, value in (node.get("matchLabels") or {}).items()))
    return LabelSelector(labels, tuple(expressions))
