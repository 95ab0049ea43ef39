#!/usr/bin/python
# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ready
short_description: Wait until Kubernetes objects are ready
version_added: 0.1.0
author:
  - servicemesh.platform contributors (@servicemesh)
description:
  - Waits by watch until objects that another tool created (for example Helm) are ready, and stops as soon as waiting cannot
    help, as M(servicemesh.platform.apply) does.
  - Also waits for an object that does not exist yet.
extends_documentation_fragment:
  - servicemesh.platform._kube
  - servicemesh.platform._attributes
attributes:
  check_mode:
    support: full
    details:
      - Returns at once, because the objects may be those of an earlier task that did not run.
  diff_mode:
    support: N/A
  idempotent:
    support: full
options:
  objects:
    description:
      - What to wait for. Option C(wait) of M(servicemesh.platform.apply) describes when an object is ready; this module always waits for
        an Ingress.
    type: list
    elements: dict
    required: true
    suboptions:
      api_version:
        description:
          - API version; by default the one that the server prefers for the kind.
        type: str
      kind:
        description:
          - Kind.
        type: str
        required: true
      name:
        description:
          - Name.
        type: str
        required: true
      namespace:
        description:
          - Namespace, when objects of the kind have one.
        type: str
      started:
        description:
          - For a Job, whether it is enough that one of its pods is ready. Otherwise it is ready when it has completed.
        type: bool
        default: false
  wait_timeout:
    description:
      - Seconds to wait at most.
    type: int
    default: 300
  api_timeout:
    description:
      - Seconds to wait for the API server itself first, when it has just been started.
    type: int
    default: 0
seealso:
  - module: servicemesh.platform.apply
"""

EXAMPLES = r"""
- name: Wait for the objects of the chart
  servicemesh.platform.ready:
    objects:
      - {kind: Deployment, name: istiod, namespace: istio-system}
      - {kind: CustomResourceDefinition, name: virtualservices.networking.istio.io}
    wait_timeout: 180

- name: Wait until the Job runs
  servicemesh.platform.ready:
    objects:
      - {kind: Job, name: load, namespace: ecommerce, started: true}
"""

RETURN = r"""
objects:
  description: The objects that are ready.
  returned: success
  type: list
  elements: str
  sample: [Deployment istio-system/istiod]
requests:
  description: Number of requests made to the API server.
  returned: success
  type: int
  sample: 4
seconds:
  description: Duration in seconds.
  returned: success
  type: float
  sample: 7.31
"""

import time
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils import _args, _module
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import Client
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.discovery import Catalog, is_built_in
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import KubeError, StoppedError
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.objects import Ref, expected_name
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.wait import NotReadyError, Target, Waiter

# A kind cannot be watched before the server knows it, so discovery is repeated after this time (seconds).
_KIND_PAUSE = 2.0
# The same for an API server that does not listen yet (seconds).
_API_PAUSE = 0.25
# A chart's controllers may have failed to create their pods some time before this module starts (seconds).
_EVENT_AGE = 60.0

ARGUMENTS = _args.spec(
    objects={
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "api_version": {"type": "str"},
            "kind": {"type": "str", "required": True},
            "name": {"type": "str", "required": True},
            "namespace": {"type": "str"},
            "started": {"type": "bool", "default": False},
        },
    },
    wait_timeout={"type": "int", "default": 300},
    api_timeout={"type": "int", "default": 0},
)


def work(module: _module.Invocation) -> dict[str, Any]:
    """The module's result."""
    start = time.monotonic()
    if module.check_mode:
        return {"changed": False, "objects": [], "requests": 0, "seconds": 0.0}
    client = _module.connected(module)
    if module.params["api_timeout"]:
        api_answers(client, module.params["api_timeout"])
    refs = wait_for(client, module.params["objects"], module.params["wait_timeout"])
    return {
        "changed": False,
        "objects": [str(ref) for ref in refs],
        "requests": client.requests,
        "seconds": round(time.monotonic() - start, 3),
    }


def wait_for(client: Client, wanted: Iterable[Mapping[str, Any]], timeout: float) -> list[Ref]:
    """Returns when all of `wanted` (kind, name, namespace, api_version) are ready; raises KubeError after `timeout` seconds at most."""
    deadline = time.monotonic() + timeout
    objects = list(wanted)
    findings = [
        f"objects[{index}] ({obj['kind']}): name is {obj['name']!r}; expected {expected}"
        for index, obj in enumerate(objects)
        if (expected := expected_name(obj["kind"], obj["name"]))
    ]
    if findings:
        raise KubeError("; ".join(findings))
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
    """Returns when the API server is ready; raises KubeError after `timeout` seconds.

    For a server that has just been started: at first it does not listen, then it answers which of its parts are not ready.
    """
    deadline = time.monotonic() + timeout
    while True:
        try:
            client.request("GET", "/readyz", budget=0.0)
            return
        except StoppedError:
            raise
        except KubeError:
            if time.monotonic() + _API_PAUSE > deadline:
                raise
        time.sleep(_API_PAUSE)


def _targets(catalog: Catalog, objects: Iterable[Mapping[str, Any]]) -> tuple[list[Target], list[str]]:
    """What to wait for, and the kinds that the server does not know yet. Raises KubeError for an object that cannot exist."""
    targets, missing, findings = [], [], []
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
        if obj.get("started") and kind != "Job":
            findings.append(f"{shown}: started is for a Job; remove it")
        elif len(found) > 1:
            versions = ", ".join(sorted(resource.api_version for resource in found))
            findings.append(f"{shown}: several kinds of this name ({versions}); set api_version")
        elif not found:
            if api_version and is_built_in(api_version):
                findings.append(f"{shown}: the server has no {kind} in {api_version}")
            missing.append(f"kind {kind}" + (f" of {api_version}" if api_version else ""))
        elif found[0].namespaced != bool(namespace):
            findings.append(
                f"{shown}: objects of this kind need a namespace; set namespace"
                if found[0].namespaced
                else f"{shown}: objects of this kind have no namespace; remove namespace"
            )
        else:
            targets.append(
                Target(Ref(found[0].api_version, kind, namespace, obj["name"]), found[0], bool(obj.get("started")))
            )
    if findings:
        raise KubeError("; ".join(findings))
    return targets, sorted(set(missing))


def main() -> None:
    """Entry point."""
    _module.run(_module.PlatformModule(argument_spec=ARGUMENTS, supports_check_mode=True), work)


if __name__ == "__main__":
    main()
