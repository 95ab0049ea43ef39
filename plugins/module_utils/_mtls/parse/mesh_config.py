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
    """A revision's MeshConfig. `environment` are istiod's variables, None when they could not be read.

    Raises ValueError, which names the field, for a value that istiod does not take: it then goes on with what it had before.
    """
    env = environment or {}

    def on(name: str, default: bool = False) -> bool:
        return str(env.get(name, default)).lower() in ("true", "1")

    outbound = _mapping(document, "outboundTrafficPolicy")
    return MeshConfig(
        revision=revision,
        root_namespace=_text(document, "rootNamespace") or "istio-system",
        auto_mtls=_switch(document, "enableAutoMtls", default=True),
        trust_domain=_text(document, "trustDomain") or "cluster.local",
        outbound=_one_of(outbound, "mode", ("ALLOW_ANY", "REGISTRY_ONLY"), "outboundTrafficPolicy."),
        destination_rule_export_to=_texts(document, "defaultDestinationRuleExportTo") or ("*",),
        service_export_to=_texts(document, "defaultServiceExportTo") or ("*",),
        interception=_one_of(
            _mapping(document, "defaultConfig"), "interceptionMode", ("REDIRECT", "TPROXY", "NONE"), "defaultConfig."
        ),
        eds_for_headless=on("PILOT_ENABLE_EDS_FOR_HEADLESS_SERVICES"),
        sidecar_ingress_tls=on("ENABLE_TLS_ON_SIDECAR_INGRESS"),
        merge_by_export=on("ENABLE_ENHANCED_DESTINATIONRULE_MERGE", True),
        selects_entries=on("PILOT_ENABLE_K8S_SELECT_WORKLOAD_ENTRIES", True),
        ambient=None if environment is None else on("PILOT_ENABLE_AMBIENT"),
        discovery=_selectors(document.get("discoverySelectors")),
    )


def _wrong(name: str, value: Any, expected: str) -> ValueError:
    return ValueError(f"{name} is {value!r}, expected {expected}")


def _text(node: Obj, name: str) -> str:
    value = node.get(name)
    if value is not None and not isinstance(value, str):
        raise _wrong(name, value, "a text")
    return value or ""


def _switch(node: Obj, name: str, *, default: bool) -> bool:
    value = node.get(name)
    if value is not None and not isinstance(value, bool):
        raise _wrong(name, value, "true or false")
    return default if value is None else value


def _mapping(node: Obj, name: str) -> Obj:
    value = node.get(name)
    if value is not None and not isinstance(value, Mapping):
        raise _wrong(name, value, "a mapping")
    return value or {}


def _texts(node: Obj, name: str) -> tuple[str, ...]:
    value = node.get(name)
    if value is not None and not (isinstance(value, list) and all(isinstance(part, str) for part in value)):
        raise _wrong(name, value, "a list of texts")
    return tuple(value or ())


def _one_of(node: Obj, name: str, choices: tuple[str, ...], prefix: str) -> str:
    """One of the names of an enum, its first one by default."""
    value = node.get(name)
    if value is not None and value not in choices:
        raise _wrong(prefix + name, value, " or ".join(choices))
    return value or choices[0]


def _selectors(node: Any) -> tuple[LabelSelector, ...]:
    """discoverySelectors."""
    try:
        if node is not None and not isinstance(node, list):
            raise TypeError(node)
        return tuple(label_selector(part or {}) for part in node or ())
    except (AttributeError, KeyError, TypeError, ValueError):
        raise _wrong("discoverySelectors", node, "a list of label selectors") from None


def label_selector(node: Obj) -> LabelSelector:
    """A label selector of Kubernetes. Raises an error of its shape for what is none."""
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
