# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role observability needs of the cluster and does not make, and what of it is not there. No I/O.

PRIVATE: may change at any time.
"""

from __future__ import annotations

import typing as t
from collections.abc import Iterator, Mapping, Sequence

import yaml
from ansible_collections.servicemesh.platform.plugins.plugin_utils._telemetry import BUILT_IN

_GROUP = "monitoring.coreos.com"
Query = dict[str, str]


def queries(needs: Mapping[str, t.Any]) -> list[Query]:
    """Queries of ``objects_info`` for needs.

    ``needs``: `namespace`; `kinds`, plural names of the operator's kinds; `secrets`, {Secret: [key]}; and `mesh`, of an Istio that somebody
    else runs: `namespace` and `config_map` of its configuration, and `providers` that are referred to. Empty for an own Istio.
    """
    crd = {"api_version": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition"}
    found = [{**crd, "name": f"{kind}.{_GROUP}"} for kind in needs["kinds"]]
    found += [{"kind": "Secret", "namespace": needs["namespace"], "name": name} for name in needs["secrets"]]
    if mesh := needs["mesh"]:
        found.append({"kind": "ConfigMap", "namespace": mesh["namespace"], "name": mesh["config_map"]})
    return found


def findings(needs: Mapping[str, t.Any], results: Sequence[Sequence[Mapping[str, t.Any]]]) -> Iterator[str]:
    """What is not there. ``results``: those of the queries, in their order."""
    kinds, secrets = needs["kinds"], needs["secrets"]
    of_secrets = results[len(kinds) : len(kinds) + len(secrets)]
    for kind, there in zip(kinds, results[: len(kinds)], strict=True):
        if not there:
            yield (
                f"{kind}.{_GROUP}: the cluster does not know this kind; install the Prometheus Operator, set "
                "observability_operator_install: true, or take another form (observability_prometheus, observability_external_rules)"
            )
    for (name, keys), there in zip(secrets.items(), of_secrets, strict=True):
        yield from _secret_findings(f"Secret {needs['namespace']}/{name}", keys, there)
    if needs["mesh"]:
        yield from _provider_findings(needs["mesh"], results[len(kinds) + len(secrets)])


def _secret_findings(name: str, keys: Sequence[str], there: Sequence[Mapping[str, t.Any]]) -> Iterator[str]:
    remedy = "create it (site.yml --tags cluster_prep makes the namespace), or correct observability_alert_receivers"
    if not there:
        yield f"{name}: does not exist, and receivers of alerts refer to it (keys {', '.join(keys)}); {remedy}"
    elif missing := sorted(set(keys) - set(there[0].get("keys") or [])):
        yield f"{name}: has no key {', '.join(missing)}, to which receivers of alerts refer; {remedy}"


def _provider_findings(mesh: Mapping[str, t.Any], there: Sequence[Mapping[str, t.Any]]) -> Iterator[str]:
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
