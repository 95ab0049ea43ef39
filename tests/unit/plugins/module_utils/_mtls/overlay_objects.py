# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""States and overlays for tests: objects as files have them, and what an overlay changes."""

from __future__ import annotations

import copy
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.engine import Engine
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.given import Given
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.overlay.entries import entries
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.overlay.preview import Preview, preview
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.overlay.state import Overlaid
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.read import read

from tests.unit.plugins.module_utils._mtls.mtls_objects import DOMAIN, ROOT, Obj, namespace, pod, service

VERSIONS = {
    "EndpointSlice": "discovery.k8s.io/v1",
    "PeerAuthentication": "security.istio.io/v1",
    "AuthorizationPolicy": "security.istio.io/v1",
    "DestinationRule": "networking.istio.io/v1",
    "Sidecar": "networking.istio.io/v1",
    "Gateway": "networking.istio.io/v1",
    "Deployment": "apps/v1",
    "StatefulSet": "apps/v1",
    "CronJob": "batch/v1",
    "MutatingWebhookConfiguration": "admissionregistration.k8s.io/v1",
}


def flat(objects: list[Any]) -> list[Obj]:
    """Objects as files have them: lists among them flattened, each with its apiVersion."""
    found: list[Obj] = []
    for one in objects:
        found += flat(one) if isinstance(one, list) else [{"apiVersion": VERSIONS.get(one["kind"], "v1"), **one}]
    return copy.deepcopy(found)


def config(mesh: str = f"rootNamespace: {ROOT}", name: str = "istio") -> Obj:
    """The ConfigMap with the MeshConfig."""
    return {"kind": "ConfigMap", "metadata": {"name": name, "namespace": ROOT}, "data": {"mesh": mesh}}


def owned(raw: Obj, kind: str = "ReplicaSet", hashed: str = "5d9c8b7f4") -> Obj:
    """A pod as a Deployment's, or another controller's."""
    made = copy.deepcopy(raw)
    name = made["metadata"]["ownerReferences"][0]["name"]
    if kind == "ReplicaSet":
        made["metadata"]["labels"]["pod-template-hash"] = hashed
        name = f"{name}-{hashed}"
    made["metadata"]["ownerReferences"] = [{"kind": kind, "name": name, "controller": True}]
    return made


def deployment(namespace: str, name: str, *, kind: str = "Deployment", replicas: int | None = None, **more: Any) -> Obj:
    """A workload, as a pull request has it. `labels`, `annotations` and the rest are its template's."""
    labels = {"app": name, **more.pop("labels", {})}
    meta = {"labels": labels, "annotations": more.pop("annotations", {})}
    spec: Obj = {"containers": [{"name": "app", "ports": more.pop("ports", [])}], **more}
    template: Obj = {"metadata": meta, "spec": spec}
    body: Obj = {"template": template} if kind != "CronJob" else {"jobTemplate": {"spec": {"template": template}}}
    if replicas is not None:
        body["replicas"] = replicas
    return {
        "apiVersion": VERSIONS[kind],
        "kind": kind,
        "metadata": {"namespace": namespace, "name": name},
        "spec": body,
    }


def web(name: str = "web", **options: Any) -> list[Any]:
    """A workload of namespace `a` and its Service, which has a selector."""
    made = owned(pod("a", name, **options))
    return [made, service("a", name, [made], selector={"app": name})]


STATE: list[Any] = [
    web(),
    owned(pod("b", "caller")),
    namespace("a", **{"istio-injection": "enabled"}),
    namespace("b", **{"istio-injection": "enabled"}),
    namespace(ROOT),
    config(),
]


def overlay(state: list[Any], *given: Any, complete: bool = True, files: Any = ()) -> Preview:
    """What an overlay changes. An entry is an object that is to be present, or `absent(object)`."""
    parts = [one if "resource" in one else {"state": "present", "resource": flat([one])[0]} for one in given]
    found = entries(parts, files, ROOT)
    overlaid = Overlaid(Given(flat(state), complete=complete), found, ROOT, DOMAIN)
    after = read(overlaid.after, ROOT, DOMAIN)
    return preview(overlaid, found, (after, Engine(after.mesh)), ROOT, DOMAIN)


def rows(state: list[Any], *given: Any) -> list[dict[str, Any]]:
    """The calls of a state with an overlay."""
    parts = [one if "resource" in one else {"state": "present", "resource": flat([one])[0]} for one in given]
    overlaid = Overlaid(Given(flat(state), complete=True), entries(parts, (), ROOT), ROOT, DOMAIN)
    return [call.as_dict() for call in Engine(read(overlaid.after, ROOT, DOMAIN).mesh).calls()]


def absent(one: Obj) -> Obj:
    """An entry for an object that is not to be there."""
    whole = flat([one])[0]
    return {"state": "absent", "resource": {key: whole[key] for key in ("apiVersion", "kind", "metadata")}}


def told(found: Preview) -> dict[tuple[str, str], str]:
    """(client, service) -> `before > after`, with `| after restart` if that differs."""

    def word(side: dict[str, Any] | None) -> str:
        return side["verdict"] if side else "-"

    lines = {}
    for change in found.as_dict()["changes"]:
        words = f"{word(change['before'])} > {word(change['after'])}"
        if change["after_restart"]:
            words += f" | {word(change['after_restart'])}"
        lines[(change["client"], change["service"])] = words
    return lines
