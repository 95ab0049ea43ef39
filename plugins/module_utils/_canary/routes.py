# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The weights of a canary in VirtualServices, and the JSON Patch that changes only them. Pure: dicts in, dicts out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._canary.plan import FULL

Obj = Mapping[str, Any]
Op = dict[str, Any]

PROTOCOLS = ("http", "tls", "tcp")
# Names the run that may write a VirtualService, and its fencing token. The name does not contain "istio.io": istiod pushes when an
# annotation with that text changes (pilot/pkg/model/config_compare.go, NeedsPush), but not when this one does.
ANNOTATION = "servicemesh.platform/canary"
EXTRA_SUFFIX = "-canary-match"


@dataclass(frozen=True, slots=True)
class Aim:
    """Whose traffic is shifted. `port` 0: any port, when both subsets have the same one. `routes`: their names; empty is all."""

    service: str
    namespace: str
    stable: str = "stable"
    canary: str = "canary"
    port: int = 0
    cluster_domain: str = "cluster.local"
    routes: tuple[str, ...] = ()

    @property
    def host(self) -> str:
        """Full name of the service."""
        return f"{self.service}.{self.namespace}.svc.{self.cluster_domain}"

    def means(self, host: str, namespace: str) -> bool:
        """Whether `host`, in a VirtualService of `namespace`, is this service.

        A name without a dot is in the object's namespace (pilot/pkg/model/config.go, ResolveShortnameToFQDN).
        """
        if "." not in host:
            return host == self.service and namespace == self.namespace
        return host.lower() == self.host.lower()


@dataclass(frozen=True, slots=True)
class Place:
    """One route of a VirtualService that has both subsets. `stable` and `canary` are the indexes of their destinations."""

    protocol: str
    index: int
    name: str
    stable: int
    canary: int
    canary_weight: int

    def __str__(self) -> str:
        return f"{self.protocol} route {self.name or f'[{self.index}]'}"


@dataclass(frozen=True, slots=True)
class Found:
    """What a VirtualService has: routes to shift, indexes of extra routes of this collection, routes to leave, and findings."""

    places: tuple[Place, ...] = ()
    extra: tuple[int, ...] = ()
    left: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()


def named(virtual_service: Obj) -> str:
    """`VirtualService namespace/name`, for messages."""
    meta = virtual_service["metadata"]
    return f"VirtualService {meta.get('namespace', '')}/{meta['name']}"


def concerns(virtual_service: Obj, aim: Aim) -> bool:
    """Whether a VirtualService is shifted by default: one of its routes leads to the canary subset, or to the pods of both versions.

    `find` reports the latter: no weight applies to requests on such a route.
    """
    namespace = virtual_service["metadata"].get("namespace") or ""
    return any(
        str((target := entry.get("destination") or {}).get("subset") or "") in (aim.canary, "")
        and aim.means(str(target.get("host") or ""), namespace)
        for _protocol, _index, route in _routes(virtual_service)
        for entry in route.get("route") or []
    )


def hosts_of(virtual_service: Obj, aim: Aim) -> bool:
    """Whether a VirtualService is for the host of this service."""
    namespace = virtual_service["metadata"].get("namespace") or ""
    return any(aim.means(str(host), namespace) for host in (virtual_service.get("spec") or {}).get("hosts") or [])


def _routes(virtual_service: Obj) -> Iterable[tuple[str, int, Obj]]:
    spec = virtual_service.get("spec") or {}
    for protocol in PROTOCOLS:
        for index, route in enumerate(spec.get(protocol) or []):
            yield protocol, index, route


def find(virtual_service: Obj, aim: Aim) -> Found:
    """The routes of one VirtualService that a canary shifts, and every reason why it cannot."""
    namespace = virtual_service["metadata"].get("namespace") or ""
    who = named(virtual_service)
    places: list[Place] = []
    extra: list[int] = []
    left: list[str] = []
    findings: list[str] = []
    for protocol, index, route in _routes(virtual_service):
        name = str(route.get("name") or "")
        shown = f"{protocol} route {name or f'[{index}]'}"
        if protocol == "http" and name.endswith(EXTRA_SUFFIX):
            extra.append(index)
            continue
        if route.get("delegate"):
            target = route["delegate"]
            findings.append(
                f"{who}, {shown}: delegates to {target.get('namespace', namespace)}/{target.get('name')}; the weights are there. "
                "Name that VirtualService in virtual_services instead of this one"
            )
            continue
        if aim.routes and name not in aim.routes:
            if _ours(route, aim, namespace):
                left.append(shown)
            continue
        place, finding = _place(protocol, index, route, aim, namespace)
        if finding:
            findings.append(f"{who}, {shown}: {finding}")
        elif place is not None:
            places.append(place)
        elif _ours(route, aim, namespace):
            left.append(shown)
    return Found(tuple(places), tuple(extra), tuple(left), tuple(findings))


def _ours(route: Obj, aim: Aim, namespace: str) -> list[int]:
    entries = route.get("route") or []
    return [
        position
        for position, entry in enumerate(entries)
        if aim.means(str((entry.get("destination") or {}).get("host") or ""), namespace)
    ]


def _place(protocol: str, index: int, route: Obj, aim: Aim, namespace: str) -> tuple[Place | None, str]:
    """(place, finding) of one route; neither when the route does not concern this canary."""
    entries = route.get("route") or []
    ours = _ours(route, aim, namespace)
    if not ours:
        return None, ""
    subsets = [str((entries[position]["destination"]).get("subset") or "") for position in ours]
    if "" in subsets:
        return None, (
            f"a destination {aim.host} has no subset, so it reaches the pods of both versions; "
            f"expected subsets {aim.stable} and {aim.canary}"
        )
    if aim.canary not in subsets and set(subsets) == {aim.stable} and len(entries) == 1:
        return None, ""  # a route to stable only stays as it is
    others = [entry for position, entry in enumerate(entries) if position not in ours]
    unexpected = sorted(set(subsets) - {aim.stable, aim.canary})
    if others or unexpected:
        third = unexpected[0] if unexpected else str((others[0].get("destination") or {}).get("host"))
        return None, (
            f"has a third destination ({third}); expected only subsets {aim.stable} and {aim.canary} of {aim.host}. "
            "Remove it, or exclude this route with the option routes"
        )
    if sorted(subsets) != sorted([aim.stable, aim.canary]):
        return None, f"has subsets {', '.join(subsets)}; expected {aim.stable} and {aim.canary}, each once"
    stable, canary = (ours[subsets.index(subset)] for subset in (aim.stable, aim.canary))
    ports = [(entries[position]["destination"].get("port") or {}).get("number", 0) for position in (stable, canary)]
    if ports[0] != ports[1]:
        return None, f"sends stable to port {ports[0]} and canary to port {ports[1]}; expected one port"
    if aim.port and ports[0] and ports[0] != aim.port:
        return None, ""
    weights = [entries[position].get("weight") or 0 for position in (stable, canary)]
    if sum(weights) != FULL:
        return None, f"has weights {weights[0]} and {weights[1]}; expected a sum of 100"
    return Place(protocol, index, str(route.get("name") or ""), stable, canary, weights[1]), ""


def weights(virtual_services: Iterable[Obj], aim: Aim) -> set[int]:
    """Weights that the canary has in all routes; one number when all agree."""
    return {place.canary_weight for item in virtual_services for place in find(item, aim).places}


def patch(
    virtual_service: Obj,
    aim: Aim,
    weight: int,
    *,
    annotation: str | None,
    extra: Obj | None = None,
    mirror: float = 0.0,
) -> list[Op]:
    """Operations that give the canary `weight` percent in all its routes; empty when nothing is to change.

    `test` operations guard the resourceVersion, the destinations and their weights: the API server refuses the whole patch when
    somebody else wrote after the object was read.

    `annotation`: its wanted value; empty removes it, None leaves it.
    `extra`: a match (`{"headers": …}`) whose requests all go to the canary, in routes of their own; None removes such routes.
    `mirror`: percent of the requests that are copied to the canary; 0 removes such a mirror.
    """
    found = find(virtual_service, aim)
    changes: list[Op] = []
    for place in found.places:
        changes += _weight_ops(virtual_service, place, weight)
        changes += _mirror_ops(virtual_service, aim, place, mirror)
    changes += _extra_ops(virtual_service, found, extra)
    changes += _annotation_ops(virtual_service, annotation)
    if not changes:
        return []
    return [_version_test(virtual_service), *changes]


def annotated(virtual_service: Obj, annotation: str) -> list[Op]:
    """Operations that change the annotation alone; the empty value removes it."""
    changes = _annotation_ops(virtual_service, annotation)
    return [_version_test(virtual_service), *changes] if changes else []


def _version_test(obj: Obj) -> Op:
    return {"op": "test", "path": "/metadata/resourceVersion", "value": obj["metadata"]["resourceVersion"]}


def _weight_ops(virtual_service: Obj, place: Place, weight: int) -> list[Op]:
    if place.canary_weight == weight:
        return []
    entries = virtual_service["spec"][place.protocol][place.index]["route"]
    base = f"/spec/{place.protocol}/{place.index}/route"
    ops: list[Op] = []
    for position, value in ((place.stable, FULL - weight), (place.canary, weight)):
        entry, path = entries[position], f"{base}/{position}"
        ops.append({"op": "test", "path": f"{path}/destination", "value": entry["destination"]})
        if "weight" in entry:
            ops.append({"op": "test", "path": f"{path}/weight", "value": entry["weight"]})
        ops.append({"op": "replace" if "weight" in entry else "add", "path": f"{path}/weight", "value": value})
    return ops


def mirrors_elsewhere(virtual_service: Obj, aim: Aim) -> list[str]:
    """Routes that already mirror their requests to another destination, so that they cannot mirror to the canary."""
    return [
        f"{named(virtual_service)}, {place}: has a mirror already; expected no mirror. Remove it, or omit the option mirror"
        for place in find(virtual_service, aim).places
        if place.protocol == "http"
        and (route := virtual_service["spec"]["http"][place.index])
        and (route.get("mirrors") or (route.get("mirror") and not _mirrors(virtual_service, aim, route)))
    ]


def _mirrors(virtual_service: Obj, aim: Aim, route: Obj) -> bool:
    target = route.get("mirror") or {}
    namespace = virtual_service["metadata"].get("namespace") or ""
    return target.get("subset") == aim.canary and aim.means(str(target.get("host") or ""), namespace)


def _mirror_ops(virtual_service: Obj, aim: Aim, place: Place, percent: float) -> list[Op]:
    if place.protocol != "http":
        return []
    route, path = virtual_service["spec"]["http"][place.index], f"/spec/http/{place.index}"
    ours = _mirrors(virtual_service, aim, route)
    if not percent:
        there = [key for key in ("mirror", "mirrorPercentage") if key in route] if ours else []
        return [{"op": "remove", "path": f"{path}/{key}"} for key in there]
    share = {"value": percent}
    if ours and route.get("mirrorPercentage") == share:
        return []
    target = route["route"][place.canary]["destination"]
    return [
        {"op": "add", "path": f"{path}/mirror", "value": target},
        {"op": "add", "path": f"{path}/mirrorPercentage", "value": share},
    ]


def _extra_ops(virtual_service: Obj, found: Found, extra: Obj | None) -> list[Op]:
    """Extra routes come first, so that the requests that they match never reach a weighted route."""
    http = (virtual_service.get("spec") or {}).get("http") or []
    wanted: list[dict[str, Any]] = []
    if extra:
        wanted = [extra_route(http[place.index], place, extra) for place in found.places if place.protocol == "http"]
    if [http[index] for index in found.extra] == wanted:
        return []
    ops: list[Op] = []
    for index in sorted(found.extra, reverse=True):
        ops += [
            {"op": "test", "path": f"/spec/http/{index}/name", "value": http[index]["name"]},
            {"op": "remove", "path": f"/spec/http/{index}"},
        ]
    return ops + [{"op": "add", "path": "/spec/http/0", "value": route} for route in reversed(wanted)]


def extra_route(route: Obj, place: Place, extra: Obj) -> dict[str, Any]:
    """Copy of a route with all its settings, for the requests that also match `extra`; all of them go to the canary."""
    matches = [
        {**match, **{key: {**(match.get(key) or {}), **value} for key, value in extra.items()}}
        for match in route.get("match") or [{}]
    ]
    target = {key: value for key, value in route["route"][place.canary].items() if key != "weight"}
    # These requests go to the canary, so they are not mirrored to it.
    own = ("mirror", "mirrorPercentage") if route.get("mirror") == target.get("destination") else ()
    kept = {key: value for key, value in route.items() if key not in ("match", "route", "name", *own)}
    name = f"{place.name or f'route-{place.index}'}{EXTRA_SUFFIX}"
    return {"name": name, "match": matches, "route": [target], **kept}


def _annotation_ops(virtual_service: Obj, value: str | None) -> list[Op]:
    annotations = virtual_service["metadata"].get("annotations") or {}
    path = f"/metadata/annotations/{_escaped(ANNOTATION)}"
    if value is None or annotations.get(ANNOTATION, "") == value:
        return []
    if not value:
        return [{"op": "remove", "path": path}]
    if not annotations:
        return [{"op": "add", "path": "/metadata/annotations", "value": {ANNOTATION: value}}]
    return [{"op": "add", "path": path, "value": value}]


def disown(obj: Obj, manager: str) -> list[Op]:
    """Operations that remove the entries of `manager` from an object's managedFields; empty when it has none.

    An entry that stays keeps GitOps tools and roles from writing the fields after the canary has ended.
    """
    entries: Sequence[Obj] = obj["metadata"].get("managedFields") or []
    ops: list[Op] = [
        {"op": "remove", "path": f"/metadata/managedFields/{index}"}
        for index in reversed(range(len(entries)))
        if entries[index].get("manager") == manager
    ]
    return [_version_test(obj), *ops] if ops else []


def _escaped(key: str) -> str:
    """A key in a JSON Pointer (RFC 6901)."""
    return key.replace("~", "~0").replace("/", "~1")
