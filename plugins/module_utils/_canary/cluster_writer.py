# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write what a rollout decides: weights, Deployments, annotations. Each patch fails when somebody else wrote since the object was read."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._canary import route_patch, routes
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.objects import OtherRunError
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.observe import ISTIO
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.route_record import record_for
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.routes import ANNOTATION
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.api import Api
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import ApiError, KubeError
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.objects import CANARY_MANAGER

Obj = dict[str, Any]
_PATCH = "application/json-patch+json"
_QUERY = {"fieldManager": CANARY_MANAGER}
_TRIES = 4


class ClusterWriter:
    """Writes of one run. `annotation` is the value on its VirtualServices: the run and its fencing token.

    `trial`: each write of the client is a dry run. What is there already is then written as well, and what only a write before would have
    left is not removed.
    """

    def __init__(self, client: Api, settings: Mapping[str, Any], annotation: str, *, trial: bool = False) -> None:
        self._client = client
        self._settings, self._annotation, self._trial = settings, annotation, trial
        self._namespace = settings["namespace"]
        self._deployments = f"/apis/apps/v1/namespaces/{self._namespace}/deployments"

    # Routes --------------------------------------------------------------------------------------------------------

    def check_annotation(self, virtual_services: Sequence[Obj]) -> bool:
        """Whether all VirtualServices have this run's annotation. Raises OtherRunError when one has a later fencing token."""
        present = [(item["metadata"].get("annotations") or {}).get(ANNOTATION, "") for item in virtual_services]
        own = _fencing_token(self._annotation)
        if later := [value for value in present if _fencing_token(value) > own]:
            raise OtherRunError(
                f"Another run ({later[0]}) took over the routes of {self._namespace}/{self._settings['service']} from this run "
                f"({self._annotation}). Nothing was done; run again to continue from the recorded state"
            )
        return all(value == self._annotation for value in present)

    def set_weight(self, virtual_services: Sequence[Obj], aim: routes.Aim, weight: int) -> None:
        """Gives the canary `weight` percent in all routes. Unless that is 0, the run's recorded copies and mirrors are there.

        Weight is given to the canary only in routes that are as they were at the start; it is taken back from all that there are.
        """
        known = [(item, self._weights(item, aim)) for item in virtual_services]

        def change(pair: tuple[Obj, set[int]]) -> None:
            item, before = pair

            def operations(live: Obj) -> list[Obj]:
                self.check_annotation([live])
                record = record_for(self._settings, live)
                if weight > max(before, default=0) and (found := route_patch.changed(live, aim, record)):
                    raise KubeError("The routes changed since the start: " + "; ".join(found))
                unexpected = self._weights(live, aim) - before - {weight}
                if unexpected:
                    raise KubeError(
                        f"{routes.named(live)}: somebody else set the canary's weight to {min(unexpected)} %; expected "
                        f"{' or '.join(str(number) for number in sorted(before))} %. Run again to continue from the recorded state"
                    )
                return route_patch.patch(live, aim, weight, record, annotation=self._annotation)

            self._patch(_path(item), item, operations)

        self._client.each(change, known)

    def _weights(self, virtual_service: Obj, aim: routes.Aim) -> set[int]:
        copies = record_for(self._settings, virtual_service).copies
        return {place.canary_weight for place in routes.find(virtual_service, aim, copies).places}

    def put_annotation(self, virtual_services: Sequence[Obj]) -> None:
        """Writes this run's annotation. From then on, the API server refuses each patch that an earlier holder computed before."""

        def operations(live: Obj) -> list[Obj]:
            self.check_annotation([live])
            return route_patch.annotated(live, self._annotation)

        self._all(virtual_services, operations)

    def clean_up(self, virtual_services: Sequence[Obj], deployments: Sequence[Obj | None]) -> None:
        """Removes the annotation and the ownership of fields, so that roles and GitOps tools can write all fields again."""

        def operations(live: Obj) -> list[Obj]:
            self.check_annotation([live])
            return route_patch.annotated(live, "", record_for(self._settings, live))

        self._all(virtual_services, operations)
        paths = [_path(item) for item in virtual_services]
        paths += [f"{self._deployments}/{item['metadata']['name']}" for item in deployments if item]
        for path in paths:
            live = self._client.get(path)
            if live is not None:
                self._disown(path, live)

    def _all(self, virtual_services: Sequence[Obj], operations: Callable[[Obj], list[Obj]]) -> None:
        def change(item: Obj) -> None:
            self._patch(_path(item), item, operations)

        self._client.each(change, virtual_services)

    def _patch(self, path: str, live: Obj, operations: Callable[[Obj], list[Obj]]) -> Obj:
        """Writes one object by JSON Patch; the patch is computed again when somebody else wrote in between."""
        for attempt in range(_TRIES):
            ops = operations(live)
            if not ops:
                return live
            try:
                return self._client.request("PATCH", path, query=_QUERY, body=ops, content_type=_PATCH)[1]
            except ApiError as error:
                # The answer to a failed `test` is 422, or 409 when the server compares the resourceVersion first.
                if error.status not in (409, 422) or attempt == _TRIES - 1:
                    raise
                fresh = self._client.get(path)
                if fresh is None or fresh["metadata"]["resourceVersion"] == live["metadata"]["resourceVersion"]:
                    raise
                live = fresh
        raise AssertionError("unreachable")

    # Deployments ---------------------------------------------------------------------------------------------------

    def scale(self, name: str, number: int) -> None:
        """Sets a Deployment's number of pods. Refused when it changed since it was read, so that no old number comes late."""
        path = f"{self._deployments}/{name}/scale"
        live = self._client.request("GET", path)[1]
        self._patch(path, live, functools.partial(self._replaced, values={"/spec/replicas": number}))

    def copy_template(self, stable: Obj, canary: Obj) -> None:
        """Gives stable the canary's pod template with stable's own labels, for runs without definitions."""
        self._set_template(stable, _as_stable(canary["spec"]["template"], stable))

    def restore(self, stable: Obj, saved: Mapping[str, Any]) -> None:
        """Gives stable its former pod template, and its ConfigMaps their former content."""
        for entry in saved.get("configs") or []:
            path = f"/api/v1/namespaces/{self._namespace}/configmaps/{entry['name']}"
            live = self._client.get(path)
            if live is not None and (self._trial or live.get("data") != entry["data"]):
                values = {"/data": entry["data"]}
                self._disown(path, self._patch(path, live, functools.partial(self._replaced, values=values)))
        self._set_template(stable, saved["template"])

    def _set_template(self, stable: Obj, template: Mapping[str, Any]) -> None:
        path = f"{self._deployments}/{stable['metadata']['name']}"
        version = ((template.get("metadata") or {}).get("labels") or {}).get("version")

        def operations(obj: Obj) -> list[Obj]:
            values: dict[str, Any] = {"/spec/template": template}
            if version and "version" in (obj["metadata"].get("labels") or {}):
                values["/metadata/labels/version"] = version
            return self._replaced(obj, values)

        self._disown(path, self._patch(path, stable, operations))

    def _replaced(self, obj: Mapping[str, Any], values: Mapping[str, Any]) -> list[Obj]:
        """Operations that replace values (JSON Pointer -> value); empty when the object has them already."""
        changes = [
            {"op": "add", "path": path, "value": value}
            for path, value in values.items()
            if self._trial or _at(obj, path) != value
        ]
        guard = {"op": "test", "path": "/metadata/resourceVersion", "value": obj["metadata"]["resourceVersion"]}
        return [guard, *changes] if changes else []

    def _disown(self, path: str, live: Obj) -> None:
        """Gives up the ownership of the fields that a patch wrote."""
        if not self._trial:
            self._patch(path, live, lambda obj: route_patch.disown(obj, CANARY_MANAGER))


def _at(obj: Mapping[str, Any], path: str) -> Any:
    """The value at a JSON Pointer without escapes; None when there is none."""
    node: Any = obj
    for part in path.split("/")[1:]:
        node = (node or {}).get(part)
    return node


def _as_stable(template: Mapping[str, Any], stable: Mapping[str, Any]) -> Obj:
    meta = dict(template.get("metadata") or {})
    own = (stable["spec"].get("selector") or {}).get("matchLabels") or {}
    meta["labels"] = {**(meta.get("labels") or {}), **own}
    return {**template, "metadata": meta}


def _path(virtual_service: Mapping[str, Any]) -> str:
    meta = virtual_service["metadata"]
    return f"{ISTIO}/namespaces/{meta['namespace']}/virtualservices/{meta['name']}"


def _fencing_token(annotation: str) -> int:
    """The fencing token of an annotation (`run/token`); -1 when there is none."""
    token = annotation.rpartition("/")[2]
    return int(token) if token.isdigit() else -1
