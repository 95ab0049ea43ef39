# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role observability needs of the cluster and does not make, and what of it is not there. No I/O.

PRIVATE: may change at any time.
"""

from __future__ import annotations

import typing as t
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

import yaml
from ansible_collections.servicemesh.platform.plugins.plugin_utils._secret_references import keys_of
from ansible_collections.servicemesh.platform.plugins.plugin_utils._telemetry import BUILT_IN

_GROUP = "monitoring.coreos.com"
_INJECTION, _POD_SECURITY = "istio-injection", "pod-security.kubernetes.io/enforce"
# Levels that do not allow the capability NET_ADMIN (Kubernetes, Pod Security Standards).
_REFUSE_INIT = ("baseline", "restricted")
Query = dict[str, str]
# Objects that a query has found.
Found = Sequence[Mapping[str, t.Any]]


def queries(needs: Mapping[str, t.Any]) -> list[Query]:
    """Queries of ``objects_info`` for needs.

    ``needs``: `namespace`; `kinds`, plural names of the operator's kinds; `alert_secrets`, {Secret: [key]}; `collector_env`,
    {name: reference with `secret` and `key`}; `in_mesh`, what runs with a proxy in a namespace that this run does not prepare, and
    `istio_cni`, whether proxies need no init container; and `mesh`, of an Istio that somebody else runs: `namespace` and `config_map` of
    its configuration, and `providers` that are referred to. Empty for an own Istio.
    """
    return [query for query, _judge in _wanted(needs)]


def findings(needs: Mapping[str, t.Any], results: Sequence[Found]) -> Iterator[str]:
    """What is not there. ``results``: those of the queries, in their order."""
    for (_query, judge), there in zip(_wanted(needs), results, strict=True):
        yield from judge(there)


def _wanted(needs: Mapping[str, t.Any]) -> Iterator[tuple[Query, Callable[[Found], Iterator[str]]]]:
    """(query, what judges its answer) of all that has to be there."""
    crd = {"api_version": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition"}
    for kind in needs["kinds"]:
        yield {**crd, "name": f"{kind}.{_GROUP}"}, partial(_kind_findings, kind)
    for variable, name, keys in _references(needs):
        secret = {"kind": "Secret", "namespace": needs["namespace"], "name": name}
        yield secret, partial(_secret_findings, variable, f"Secret {needs['namespace']}/{name}", keys)
    if needs["in_mesh"]:
        yield {"kind": "Namespace", "name": needs["namespace"]}, partial(_namespace_findings, needs)
    if mesh := needs["mesh"]:
        yield (
            {"kind": "ConfigMap", "namespace": mesh["namespace"], "name": mesh["config_map"]},
            partial(_provider_findings, mesh),
        )


def _kind_findings(kind: str, there: Found) -> Iterator[str]:
    if not there:
        yield (
            f"{kind}.{_GROUP}: the cluster does not know this kind; install the Prometheus Operator, set "
            "observability_operator_install: true, or take another form (observability_prometheus, observability_external_rules)"
        )


def _references(needs: Mapping[str, t.Any]) -> Iterator[tuple[str, str, list[str]]]:
    """(variable, Secret, keys) that are referred to."""
    for name, keys in needs["alert_secrets"].items():
        yield "observability_alert_receivers", name, list(keys)
    for name, keys in keys_of(needs["collector_env"].values()).items():
        yield "observability_collector_env", name, keys


def _secret_findings(
    variable: str, name: str, keys: Sequence[str], there: Sequence[Mapping[str, t.Any]]
) -> Iterator[str]:
    remedy = f"create it (site.yml --tags cluster_prep makes the namespace), or correct {variable}"
    if not there:
        yield f"{name}: does not exist, and {variable} refers to it (keys {', '.join(keys)}); {remedy}"
    elif missing := sorted(set(keys) - set(there[0].get("keys") or [])):
        yield f"{name}: has no key {', '.join(missing)}, to which {variable} refers; {remedy}"


def _namespace_findings(needs: Mapping[str, t.Any], there: Found) -> Iterator[str]:
    """A namespace that would not let a pod with a proxy in, and that this run does not prepare. One that is not there is not judged."""
    name, pods = f"Namespace {needs['namespace']}", ", ".join(needs["in_mesh"])
    labels = ((there[0].get("metadata") or {}).get("labels") or {}) if there else {}
    # A namespace with this label gets no proxies, whatever the labels of its pods are (istio, manifests/charts/istio-control/
    # istio-discovery/templates/mutatingwebhook.yaml).
    if labels.get(_INJECTION) == "disabled":
        yield f"{name}: its label {_INJECTION} is disabled, and {pods} have a proxy; remove the label, or set platform_tracing: external"
    level = labels.get(_POD_SECURITY)
    if level in _REFUSE_INIT and not needs["istio_cni"]:
        yield (
            f"{name}: its label {_POD_SECURITY} is {level}, which refuses NET_ADMIN of the proxies' init containers, and {pods} "
            "have one; have it set to privileged, set istio_cni_enabled: true if the mesh has istio-cni, or set platform_tracing: external"
        )


def _provider_findings(mesh: Mapping[str, t.Any], there: Found) -> Iterator[str]:
    """Providers that the mesh of somebody else does not have. Where its configuration is not in this cluster, nothing is known of them."""
    if not there:
        return
    name = f"ConfigMap {mesh['namespace']}/{mesh['config_map']}"
    try:
        config = yaml.safe_load(str((there[0].get("data") or {}).get("mesh") or ""))
    except yaml.YAMLError:
        yield f"{name}: its key mesh is no YAML, so the providers of that mesh are unknown"
        return
    given = config.get("extensionProviders") if isinstance(config, Mapping) else None
    known = [
        *BUILT_IN,
        *(str(one.get("name")) for one in (given if isinstance(given, list) else []) if isinstance(one, Mapping)),
    ]
    for provider in mesh["providers"]:
        if provider not in known:
            yield (
                f"{name}: that mesh has no provider {provider!r} (it has {', '.join(known)}); have it added to its extensionProviders, or "
                "name another one (observability_tracing_provider, observability_access_log_provider, observability_metrics_provider)"
            )
