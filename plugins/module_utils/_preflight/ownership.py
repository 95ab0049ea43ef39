# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose a namespace is: the platform's own, free for it, or somebody's who uses it. No I/O.

Taking a namespace over changes what runs in it: injection, Pod Security, STRICT mutual TLS and deny by default apply to every pod. So a
namespace that exists is free only when everything in it was read and is known to be no use of it; an unknown kind is a use.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._kube.objects import PART_OF_LABEL, is_ours

# On each namespace that the platform prepares, also on one that existed before: charts that it installs there have no label of ours.
PREPARED_BY = "servicemesh.platform/prepared-by"

# Views of other objects that the server computes at each request, and events.
_COMPUTED_GROUPS = frozenset(
    {
        "metrics.k8s.io",
        "custom.metrics.k8s.io",
        "external.metrics.k8s.io",
        "packages.operators.coreos.com",
        "events.k8s.io",
    }
)
# (group, kind) of objects that prepare a namespace for whoever will use it, and do nothing by themselves: accounts, rights, limits,
# network rules, credentials and certificates; and what controllers write about others.
_PREPARATION = frozenset(
    {
        ("", "ServiceAccount"),
        ("", "Secret"),
        ("", "ResourceQuota"),
        ("", "LimitRange"),
        ("", "Event"),
        ("", "Endpoints"),
        ("discovery.k8s.io", "EndpointSlice"),
        ("coordination.k8s.io", "Lease"),
        ("rbac.authorization.k8s.io", "Role"),
        ("rbac.authorization.k8s.io", "RoleBinding"),
        ("authorization.openshift.io", "Role"),  # OpenShift's view of the two above
        ("authorization.openshift.io", "RoleBinding"),
        ("networking.k8s.io", "NetworkPolicy"),
        ("crd.projectcalico.org", "NetworkPolicy"),
        ("projectcalico.org", "NetworkPolicy"),
        ("cilium.io", "CiliumNetworkPolicy"),
        ("cert-manager.io", "Certificate"),
        ("cert-manager.io", "CertificateRequest"),
        ("cert-manager.io", "Issuer"),
        ("acme.cert-manager.io", "Order"),
        ("acme.cert-manager.io", "Challenge"),
        ("external-secrets.io", "ExternalSecret"),
        ("external-secrets.io", "SecretStore"),
        ("bitnami.com", "SealedSecret"),
        ("wgpolicyk8s.io", "PolicyReport"),
    }
)
# ConfigMaps that controllers put into every namespace: kube-controller-manager, istiod (pilot/pkg/bootstrap/namespacecontroller.go,
# pkg/kube/controllers), OpenShift.
_EVERYWHERE = frozenset({"kube-root-ca.crt", "istio-ca-root-cert", "istio-ca-crl", "openshift-service-ca.crt"})
_COPIED = "olm.copiedFrom"  # Operator Lifecycle Manager copies a ClusterServiceVersion into every namespace
_NAMED = 6  # objects that a message names


class Use(StrEnum):
    """Whether somebody else uses a namespace that the platform has not prepared."""

    FREE = "free"
    USED = "used"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Item:
    """One object in a namespace: its kind and its metadata."""

    group: str
    kind: str
    metadata: Mapping[str, Any]

    def __str__(self) -> str:
        return f"{self.kind} {self.metadata.get('name', '')}"


@dataclass(frozen=True, slots=True)
class Contents:
    """What is in one namespace. `unread`: names of the kinds that could not be read."""

    items: tuple[Item, ...] = ()
    unread: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Judgement:
    """Whose a namespace is, and by what: the objects that use it, or the kinds that could not be read."""

    use: Use
    evidence: tuple[str, ...] = ()


def is_prepared(namespace: Mapping[str, Any], owner: str) -> bool:
    """Whether the platform made the namespace, or prepared it in an earlier run. `owner`: name of the set that does so."""
    meta = namespace["metadata"]
    made = is_ours(namespace) and (meta.get("labels") or {}).get(PART_OF_LABEL) == owner
    return made or (meta.get("annotations") or {}).get(PREPARED_BY) == owner


def is_computed(group: str) -> bool:
    """Whether a group's objects are views of others, which need not be read."""
    return group in _COMPUTED_GROUPS


def stale_groups(discovery: Mapping[str, Any]) -> list[str]:
    """Groups of an `APIGroupDiscoveryList` whose server does not answer, so that their kinds may be missing.

    apidiscovery.k8s.io/v2: `freshness` is Stale where the aggregated server could not be reached.
    """
    return sorted(
        name
        for group in discovery.get("items") or []
        if not is_computed(name := str((group.get("metadata") or {}).get("name") or ""))
        and any(version.get("freshness") == "Stale" for version in group.get("versions") or [])
    )


def judged(contents: Contents) -> Judgement:
    """Whose a namespace is that the platform has not prepared, by what is in it."""
    uids = {item.metadata.get("uid") for item in contents.items} - {None}
    using = sorted(str(item) for item in contents.items if _uses(item, uids))
    if using:
        return Judgement(Use.USED, tuple(using))
    if contents.unread:
        return Judgement(Use.UNKNOWN, contents.unread)
    return Judgement(Use.FREE)


def _uses(item: Item, uids: set[Any]) -> bool:
    """Whether an object shows that somebody else uses its namespace. `uids`: of all objects that were read there."""
    meta = item.metadata
    labels: Mapping[str, str] = meta.get("labels") or {}
    if is_ours({"metadata": meta}) or is_computed(item.group):
        return False
    # An object of an owner that is not there (a resource of the whole cluster, say) stands for itself.
    if any(owner.get("uid") in uids for owner in meta.get("ownerReferences") or []):
        return False
    if (item.group, item.kind) == ("", "Secret"):
        return (
            labels.get("owner") == "helm"
        )  # the record of a chart release (helm.sh/helm pkg/storage/driver/secrets.go)
    if (item.group, item.kind) == ("", "ConfigMap") and meta.get("name") in _EVERYWHERE:
        return False
    return (item.group, item.kind) not in _PREPARATION and _COPIED not in labels


def told(objects: Iterable[str]) -> str:
    """Some names in words."""
    listed = list(objects)
    rest = len(listed) - _NAMED
    return ", ".join(listed[:_NAMED]) + (f" and {rest} more" if rest > 0 else "")
