# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: may change at any time without notice; only this collection may import it.
"""The VirtualService of a host that clients outside use: it delegates to one VirtualService for each service.

Rules of Istio: pilot/pkg/model/virtualservice_controller.go (who delegates to whom), pilot/pkg/model/virtualservice.go (a delegate's match
must lie within that of its root), pkg/config/validation/validation.go (analyzeUnreachableHTTPRules: each rule needs a match of its own).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.servicemesh.platform.plugins.plugin_utils._service import closed
from ansible_collections.servicemesh.platform.plugins.plugin_utils._service.definition import covers

Manifest = dict[str, Any]
Obj = Mapping[str, Any]

API_VERSION = "networking.istio.io/v1"
LABEL = "servicemesh.platform/ingress"  # ROOT or DELEGATE
ROOT, DELEGATE = "root", "delegate"
_SET = "ingress"  # all services write the roots, so they are part of no service
# Annotations of a delegate. Istio does not look at them: they do not contain "istio.io" (pilot/pkg/model/config_compare.go, NeedsPush).
HOST, GATEWAY = "servicemesh.platform/ingress-host", "servicemesh.platform/ingress-gateway"


def delegate_name(service: str) -> str:
    """Name of the VirtualService with a service's routes for callers outside."""
    return f"{service}-ingress"


def root_name(host: str, gateway: str) -> str:
    """Name of the VirtualService of a host at a Gateway (namespace/name)."""
    return f"{gateway.rpartition('/')[2]}-{host.replace('*', 'any').lower()}"


def roots(
    own: Sequence[Obj], present: Iterable[Obj] = (), *, removal: bool = False
) -> tuple[list[Manifest], list[Manifest]]:
    """(the roots of all delegates, references of roots that have no delegate any more).

    ``own``: traffic rules of some services. They replace what ``present``, live VirtualServices with the label, says of these services: one
    with a DestinationRule but no delegate has no routes for callers outside. ``removal``: these services go, so none has.
    """
    found = {_key(item): item for item in present}
    mine = {(_key(item)[0], delegate_name(_key(item)[1])) for item in own if item["kind"] == "DestinationRule"}
    known = {key: item for key, item in found.items() if _label(item) == DELEGATE and key not in mine}
    if not removal:
        known |= {_key(item): item for item in own if item["kind"] == "VirtualService" and _label(item) == DELEGATE}
    groups: dict[tuple[str, str, str], list[Obj]] = {}
    for (namespace, _name), item in sorted(known.items()):
        notes = item["metadata"].get("annotations") or {}
        if notes.get(HOST) and notes.get(GATEWAY):
            groups.setdefault((namespace, notes[HOST], notes[GATEWAY]), []).append(item)
    wanted = [_root(host, gateway, delegates) for (_place, host, gateway), delegates in sorted(groups.items())]
    keys = {_key(item) for item in wanted}
    gone = [_reference(item) for key, item in sorted(found.items()) if _label(item) == ROOT and key not in keys]
    return wanted, gone


def _key(item: Obj) -> tuple[str, str]:
    return str(item["metadata"]["namespace"]), str(item["metadata"]["name"])


def _label(item: Obj) -> str:
    return str((item["metadata"].get("labels") or {}).get(LABEL) or "")


def _reference(item: Obj) -> Manifest:
    meta = {key: item["metadata"][key] for key in ("name", "namespace")}
    return {"apiVersion": API_VERSION, "kind": "VirtualService", "metadata": meta}


def _root(host: str, gateway: str, delegates: Sequence[Obj]) -> Manifest:
    return {
        "apiVersion": API_VERSION,
        "kind": "VirtualService",
        "metadata": {
            "name": root_name(host, gateway),
            "namespace": delegates[0]["metadata"]["namespace"],
            "labels": {LABEL: ROOT, "app.kubernetes.io/part-of": _SET},
        },
        "spec": {"hosts": [host], "gateways": [gateway], "http": [closed.first(), *_delegations(delegates)]},
    }


def _delegations(delegates: Sequence[Obj]) -> list[Manifest]:
    """One route for each prefix of each delegate, the deepest prefix first: the first route that matches takes a request.

    They have no names, so that in the proxies the routes have those of the delegates alone (virtualservice.go, mergeHTTPRoute).
    """
    paths = {_key(item): _paths(item) for item in delegates}
    entries = [
        (prefix, item["metadata"])
        for item in delegates
        for prefix in _prefixes(paths[_key(item)], {path for key in paths if key != _key(item) for path in paths[key]})
    ]
    entries.sort(key=lambda entry: (-_depth(entry[0]), entry[0], entry[1]["name"]))
    return [
        {
            "match": [{"uri": {"prefix": prefix}}],
            "delegate": {"name": meta["name"], "namespace": meta["namespace"]},
        }
        for prefix, meta in entries
    ]


def _depth(prefix: str) -> int:
    return len([part for part in prefix.split("/") if part])


def _paths(delegate: Obj) -> set[str]:
    """The prefixes of a delegate's routes, without a slash at the end."""
    return {
        str(uri.get("exact") or uri.get("prefix") or "/").rstrip("/") or "/"
        for route in delegate["spec"].get("http") or []
        for uri in ((match.get("uri") or {}) for match in route.get("match") or [{}])
    }


def _prefixes(mine: set[str], others: set[str]) -> list[str]:
    """The shortest prefixes that cover a delegate's paths: Istio warns of each route of a delegate that one of them does not cover.

    All of them, where another service has a path below: its route has to come between.
    """
    if any(covers(path, other) for path in mine for other in others if path != other):
        return sorted(mine)
    return sorted(path for path in mine if not any(path != wide and path.startswith(wide) for wide in mine))
