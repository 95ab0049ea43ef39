# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Scrape jobs -> the rights that a Prometheus needs for them and no others. No I/O.

What each role of the discovery reads: prometheus, discovery/kubernetes/kubernetes.go.

PRIVATE: may change at any time.
"""

from __future__ import annotations

import typing as t
from collections.abc import Mapping, Sequence

Rule = dict[str, list[str]]
_READ = ["get", "list", "watch"]
# Role of the discovery -> (API group, resource) that it reads in each namespace.
_NAMESPACED: Mapping[str, tuple[tuple[str, str], ...]] = {
    "pod": (("", "pods"),),
    "service": (("", "services"),),
    "endpoints": (("", "endpoints"), ("", "pods"), ("", "services")),
    "endpointslice": (("discovery.k8s.io", "endpointslices"), ("", "pods"), ("", "services")),
    "ingress": (("networking.k8s.io", "ingresses"),),
}


def rights(jobs: Sequence[Mapping[str, t.Any]]) -> dict[str, t.Any]:
    """Rules for RBAC: `cluster`, a list of rules, and `namespaces`, {namespace: [rule]}.

    Raises ValueError for a discovery that is not known.

    A job that shows its token (`authorization`) may get its page, from the kubelets or from the API server.
    """
    everywhere: set[tuple[str, str]] = set()
    there: dict[str, set[tuple[str, str]]] = {}
    pages: set[str] = set()
    kubelets = False
    for job in jobs:
        roles = set()
        for discovery in job.get("kubernetes_sd_configs") or []:
            role = str(discovery.get("role"))
            roles.add(role)
            if role == "node":
                everywhere.add(("", "nodes"))
                continue
            if role not in _NAMESPACED:
                raise ValueError(
                    f"job {job.get('job_name')}: discovery of {role!r} is not known; expected node or one of {', '.join(_NAMESPACED)}"
                )
            names = (discovery.get("namespaces") or {}).get("names") or []
            for name in names:
                there.setdefault(str(name), set()).update(_NAMESPACED[role])
            if not names:
                everywhere.update(_NAMESPACED[role])
        if "authorization" in job:
            kubelets = kubelets or "node" in roles
            pages |= set() if "node" in roles else {str(job.get("metrics_path", "/metrics"))}
    cluster = _rules(everywhere)
    if kubelets:
        cluster.append({"apiGroups": [""], "resources": ["nodes/metrics"], "verbs": ["get"]})
    if pages:
        cluster.append({"nonResourceURLs": sorted(pages), "verbs": ["get"]})
    return {"cluster": cluster, "namespaces": {name: _rules(resources) for name, resources in sorted(there.items())}}


def _rules(resources: set[tuple[str, str]]) -> list[Rule]:
    """One rule for each API group."""
    groups: dict[str, list[str]] = {}
    for group, resource in sorted(resources):
        groups.setdefault(group, []).append(resource)
    return [{"apiGroups": [group], "resources": names, "verbs": list(_READ)} for group, names in groups.items()]
