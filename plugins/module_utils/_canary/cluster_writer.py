# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write what a rollout decides: weights, Deployments, marks. Every write is guarded against whoever wrote in between."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._apply.applier import Applier
from ansible_collections.servicemesh.platform.plugins.module_utils._apply.options import Options, Wait
from ansible_collections.servicemesh.platform.plugins.module_utils._apply.result import checked
from ansible_collections.servicemesh.platform.plugins.module_utils._canary import routes as routes
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.observe import ISTIO
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.record import HeldError
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.routes import ANNOTATION
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import Client
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import ApiError, KubeError
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.objects import CANARY_MANAGER

Obj = dict[str, Any]
_PATCH = "application/json-patch+json"
_MERGE = "application/merge-patch+json"
_QUERY = {"fieldManager": CANARY_MANAGER}
_TRIES = 4


class Writer:
    """Writes of one run. `mark` is what its VirtualServices say (run id and fencing number)."""

    def __init__(self, client: Client, settings: Mapping[str, Any], mark: str) -> None:
        self._client, self._settings, self.mark = client, settings, mark
        self._namespace = settings["namespace"]
        self._deployments = f"/apis/apps/v1/namespaces/{self._namespace}/deployments"

    # Routes --------------------------------------------------------------------------------------------------------

    def check_marks(self, virtual_services: Sequence[Obj]) -> bool:
        """Whether all VirtualServices carry this run's mark. Raises HeldError when one carries a later one."""
        present = [(item["metadata"].get("annotations") or {}).get(ANNOTATION, "") for item in virtual_services]
        later = [mark for mark in present if _fence(mark) > _fence(self.mark)]
        if later:
            raise HeldError(
                f"Another run ({later[0]}) took over the routes of {self._namespace}/{self._settings['service']} from this one "
                f"({self.mark}). Nothing was done; run again to go on from the recorded state"
            )
        return all(mark == self.mark for mark in present)

    def set_weight(
        self, virtual_services: Sequence[Obj], aim: routes.Aim, weight: int, *, extra: Obj | None, mirror: float = 0.0
    ) -> None:
        """Gives the canary `weight` percent in all routes, and extra routes of its own when there are any."""
        known = [(item, {place.canary_weight for place in routes.find(item, aim).places}) for item in virtual_services]

        def change(pair: tuple[Obj, set[int]]) -> None:
            item, before = pair

            def operations(live: Obj) -> list[Obj]:
                self.check_marks([live])
                found = routes.find(live, aim)
                if found.problems:
                    raise KubeError("The routes are not what they were: " + "; ".join(found.problems))
                strange = {place.canary_weight for place in found.places} - before - {weight}
                if strange:
                    raise KubeError(
                        f"{routes.named(live)}: somebody set the canary's weight to {min(strange)} just now"
                    )
                return routes.patch(live, aim, weight, mark=self.mark, extra=extra, mirror=mirror)

            self._patch(_path(item), item, operations)

        self._client.each(change, known)

    def put_marks(self, virtual_services: Sequence[Obj]) -> None:
        """Marks the VirtualServices as this run's. From then on every patch that an earlier holder thought out is refused."""

        def operations(live: Obj) -> list[Obj]:
            self.check_marks([live])
            return routes.marked(live, self.mark)

        self._all(virtual_services, operations)

    def let_go(self, virtual_services: Sequence[Obj], deployments: Sequence[Obj | None]) -> None:
        """Takes marks and ownership of fields off everything, so that roles and GitOps tools have it as before."""

        def operations(live: Obj) -> list[Obj]:
            self.check_marks([live])
            return routes.marked(live, "")

        self._all(virtual_services, operations)
        paths = [_path(item) for item in virtual_services]
        paths += [f"{self._deployments}/{item['metadata']['name']}" for item in deployments if item]
        for path in paths:
            live = self._client.get(path)
            if live is not None:
                self._patch(path, live, lambda obj: routes.disown(obj, CANARY_MANAGER))

    def _all(self, virtual_services: Sequence[Obj], operations: Callable[[Obj], list[Obj]]) -> None:
        def change(item: Obj) -> None:
            self._patch(_path(item), item, operations)

        self._client.each(change, virtual_services)

    def _patch(self, path: str, live: Obj, operations: Callable[[Obj], list[Obj]]) -> Obj:
        """One object by JSON Patch; thought out anew when somebody wrote in between."""
        for attempt in range(_TRIES):
            ops = operations(live)
            if not ops:
                return live
            try:
                return self._client.request("PATCH", path, query=_QUERY, body=ops, content_type=_PATCH)[1]
            except ApiError as error:
                # A `test` that does not hold is 422, or 409 where the server sees the resourceVersion first.
                if error.status not in (409, 422) or attempt == _TRIES - 1:
                    raise
                fresh = self._client.get(path)
                if fresh is None or fresh["metadata"]["resourceVersion"] == live["metadata"]["resourceVersion"]:
                    raise
                live = fresh
        raise AssertionError("unreachable")

    # Deployments ---------------------------------------------------------------------------------------------------

    def apply(self, definitions: Sequence[Obj]) -> bool:
        """Writes definitions as the roles do; waits for nothing. Returns whether anything changed."""
        applier = Applier(self._client, Options(name=self._settings["service"], wait=Wait(False)))
        return applier.run(checked(list(definitions)), []).changed

    def scale(self, name: str, number: int) -> None:
        """Sets a Deployment's number of pods."""
        self._client.request(
            "PATCH",
            f"{self._deployments}/{name}/scale",
            query=_QUERY,
            body={"spec": {"replicas": number}},
            content_type=_MERGE,
        )

    def remove(self, canary: Obj | None) -> None:
        """Takes the canary's pods away: deletes what the roles defined for it, or scales somebody else's Deployment to 0."""
        if self._settings["defined"]:
            applier = Applier(self._client, Options(name=self._settings["service"], state="absent", wait=Wait(False)))
            applier.run(checked(self._settings["remove"]), [])
        elif canary is not None and canary["spec"].get("replicas", 1):
            self.scale(canary["metadata"]["name"], 0)

    def copy_template(self, stable: Obj, canary: Obj) -> None:
        """Gives stable the canary's pod template, with stable's own labels: for Deployments that no role defines."""
        self._set_template(stable, _as_stable(canary["spec"]["template"], stable))

    def restore(self, stable: Obj, saved: Mapping[str, Any]) -> None:
        """Gives stable the pod template that it had, and the ConfigMaps that belong to it their content."""
        for entry in saved.get("configs") or []:
            path = f"/api/v1/namespaces/{self._namespace}/configmaps/{entry['name']}"
            live = self._client.get(path)
            if live is not None and live.get("data") != entry["data"]:
                self._patch(path, live, functools.partial(_replaced, path="/data", value=entry["data"]))
                live = self._client.get(path)
                if live is not None:
                    self._patch(path, live, lambda obj: routes.disown(obj, CANARY_MANAGER))
        self._set_template(stable, saved["template"])

    def _set_template(self, stable: Obj, template: Mapping[str, Any]) -> None:
        path = f"{self._deployments}/{stable['metadata']['name']}"
        live = self._patch(path, stable, lambda obj: _replaced(obj, "/spec/template", template))
        version = ((template.get("metadata") or {}).get("labels") or {}).get("version")
        if version and "version" in (live["metadata"].get("labels") or {}):
            live = self._patch(path, live, lambda obj: _replaced(obj, "/metadata/labels/version", version))
        self._patch(path, live, lambda obj: routes.disown(obj, CANARY_MANAGER))

    def saved(self, stable: Obj, definitions: Sequence[Obj]) -> dict[str, Any]:
        """What `restore` needs: the pod template that stable has now, and the ConfigMaps that the new version brings along."""
        names = [d["metadata"]["name"] for d in definitions if d and d.get("kind") == "ConfigMap"]
        found = [self._client.get(f"/api/v1/namespaces/{self._namespace}/configmaps/{name}") for name in names]
        configs = [
            {"name": name, "data": item.get("data") or {}}
            for name, item in zip(names, found, strict=True)
            if item is not None
        ]
        return {"template": stable["spec"]["template"], "configs": configs}


def _replaced(obj: Mapping[str, Any], path: str, value: Any) -> list[Obj]:
    """Operations that put a value in the place of another; none when it is there already."""
    node: Any = obj
    for part in path.split("/")[1:]:
        node = (node or {}).get(part)
    if node == value:
        return []
    guard = {"op": "test", "path": "/metadata/resourceVersion", "value": obj["metadata"]["resourceVersion"]}
    return [guard, {"op": "add", "path": path, "value": value}]


def _as_stable(template: Mapping[str, Any], stable: Mapping[str, Any]) -> Obj:
    meta = dict(template.get("metadata") or {})
    own = (stable["spec"].get("selector") or {}).get("matchLabels") or {}
    meta["labels"] = {**(meta.get("labels") or {}), **own}
    return {**template, "metadata": meta}


def _path(virtual_service: Mapping[str, Any]) -> str:
    meta = virtual_service["metadata"]
    return f"{ISTIO}/namespaces/{meta['namespace']}/virtualservices/{meta['name']}"


def _fence(mark: str) -> int:
    """Fencing number of a mark (`run/number`); -1 for none."""
    number = mark.rpartition("/")[2]
    return int(number) if number.isdigit() else -1
