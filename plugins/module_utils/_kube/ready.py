# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Wait for objects that somebody else makes."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._kube import objects as _objects
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import Client
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.discovery import Catalog, is_built_in
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import KubeError
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.objects import Ref
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.wait import NotReadyError, Target, Waiter

# A kind is no object that could be watched before its CRD is known; so this is asked for again (seconds).
_KIND_PAUSE = 2.0
# Nor is there anything to watch while nobody listens (seconds).
_API_PAUSE = 0.25
# What a chart made failed to make its pods some time before the module was asked (seconds).
_EVENT_AGE = 60.0


def wait_for(client: Client, wanted: Iterable[Mapping[str, Any]], timeout: float) -> list[Ref]:
    """Returns when all of `wanted` (kind, name, namespace, api_version) are ready. Raises KubeError."""
    deadline = time.monotonic() + timeout
    objects = list(wanted)
    problems = [
        f"objects[{index}] ({obj['kind']}): name is {obj['name']!r}; expected {expected}"
        for index, obj in enumerate(objects)
        if (expected := _objects.name_problem(obj["kind"], obj["name"]))
    ]
    if problems:
        raise KubeError("; ".join(problems))
    kinds = [(obj["api_version"], obj["kind"]) for obj in objects if obj.get("api_version")]
    while True:
        targets, missing = _targets(client.discover(kinds), objects)
        if not missing:
            break
        if time.monotonic() + _KIND_PAUSE > deadline:
            raise NotReadyError("Not ready before the timeout. The server does not know: " + ", ".join(missing))
        time.sleep(_KIND_PAUSE)
    Waiter(client, deadline, event_age=_EVENT_AGE).ready(targets)
    return [target.ref for target in targets]


def api_answers(client: Client, timeout: float) -> None:
    """Returns when the API server says that it is ready, after `timeout` seconds at most. Raises KubeError.

    For a server that has just been started: nobody listens at first, and then it says which of its parts are not ready.
    """
    deadline = time.monotonic() + timeout
    while True:
        try:
            client.request("GET", "/readyz", budget=0.0)
            return
        except KubeError:
            if time.monotonic() + _API_PAUSE > deadline:
                raise
        time.sleep(_API_PAUSE)


def _targets(catalog: Catalog, objects: Iterable[Mapping[str, Any]]) -> tuple[list[Target], list[str]]:
    """What to wait for, and the kinds that may still come. Raises KubeError for what cannot be right."""
    targets, missing, problems = [], [], []
    for obj in objects:
        kind, api_version, namespace = obj["kind"], obj.get("api_version"), obj.get("namespace") or ""
        shown = f"{kind} {namespace + '/' if namespace else ''}{obj['name']}"
        if api_version:
            resource = catalog.find(api_version, kind)
            found = [resource] if resource else []
        else:
            found = catalog.by_kind(kind)
            built_in = [resource for resource in found if is_built_in(resource.api_version)]
            found = built_in[:1] if built_in else found
        if len(found) > 1:
            versions = ", ".join(sorted(resource.api_version for resource in found))
            problems.append(f"{shown}: several kinds of this name ({versions}); set api_version")
        elif not found:
            if api_version and is_built_in(api_version):
                problems.append(f"{shown}: the server has no {kind} in {api_version}")
            missing.append(f"kind {kind}" + (f" of {api_version}" if api_version else ""))
        elif found[0].namespaced != bool(namespace):
            problems.append(
                f"{shown}: objects of this kind live in a namespace; set namespace"
                if found[0].namespaced
                else f"{shown}: objects of this kind have no namespace; leave it out"
            )
        else:
            targets.append(Target(Ref(found[0].api_version, kind, namespace, obj["name"]), found[0]))
    if problems:
        raise KubeError("; ".join(problems))
    return targets, sorted(set(missing))
