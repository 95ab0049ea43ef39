# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""WorkloadEntry, also as an inline endpoint of a ServiceEntry. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.fields.kinds import doubt
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.model import Endpoint, Labels, matches
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parse.metadata import (
    Obj,
    identity,
    texts,
)


def labels_of(obj: Obj) -> Labels:
    """Labels of the workload: those of `spec`, and those of the object, which go first."""
    return {**texts((obj.get("spec") or {}).get("labels")), **texts((obj.get("metadata") or {}).get("labels"))}


def workload_entry(obj: Obj, port: int, by_ip: Mapping[str, int]) -> Endpoint:
    """The address of a WorkloadEntry (istio serviceentry/conversion.go, getTLSModeFromWorkloadEntry). `by_ip` are the groups of pods."""
    namespace, name, _created = identity(obj)
    spec, labels = obj.get("spec") or {}, labels_of(obj)
    claimed = labels.get("security.istio.io/tlsMode") or ("istio" if spec.get("serviceAccount") else "disabled")
    address = str(spec.get("address") or "")
    what = f"WorkloadEntry {name}" if name else address
    # An inline endpoint is a part of its ServiceEntry, which says what is not understood of it.
    doubted = doubt("WorkloadEntry", obj) if name else None
    unread = doubted.words if doubted else ""
    network = str(spec.get("network") or "")
    behind = by_ip.get(address)
    return Endpoint(port, None, claimed, namespace, labels, what, behind, unread, network=network, address=address)


def chosen(selector: Labels, namespace: str, entries: Iterable[Obj]) -> list[Obj]:
    """The WorkloadEntries of a namespace that a selector chooses; one without labels chooses none."""
    return [
        entry
        for entry in entries
        if selector and entry["metadata"]["namespace"] == namespace and matches(selector, labels_of(entry))
    ]
