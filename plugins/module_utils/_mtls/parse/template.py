# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pod templates: of Deployments, StatefulSets and DaemonSets, Jobs and CronJobs. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.model import Labels
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parse.metadata import Obj, identity, texts
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parse.pod import PROXY_CONTAINER
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parse.pod_calls import bypasses
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.pods import INJECT


@dataclass(frozen=True, slots=True)
class Template:
    """The pods of a workload as they would start. `ended` is a Job that has run, or that a CronJob has made.

    `inject` is the wish of the template's label or annotation; `bypasses` are reasons why its calls may not pass a sidecar, and
    `classes` the values of arguments that name an ingress class or its controller.
    """

    kind: str
    namespace: str
    name: str
    labels: Labels
    inject: str
    host_network: bool
    own_proxy: bool
    bypasses: tuple[str, ...]
    classes: frozenset[str]
    ended: bool = False
    suspended: bool = False

    @property
    def key(self) -> str:
        """`namespace/name`."""
        return f"{self.namespace}/{self.name}"


def template(kind: str, obj: Obj) -> Template:
    """The template of a workload."""
    namespace, name, _created = identity(obj)
    outer = obj.get("spec") or {}
    if kind == "CronJob":
        outer = (outer.get("jobTemplate") or {}).get("spec") or {}
    found = outer.get("template") or {}
    meta, spec = found.get("metadata") or {}, found.get("spec") or {}
    labels, annotations = texts(meta.get("labels")), meta.get("annotations") or {}
    containers = [*(spec.get("containers") or []), *(spec.get("initContainers") or [])]
    return Template(
        kind,
        namespace,
        name,
        labels,
        labels.get(INJECT) or str(annotations.get(INJECT) or ""),
        bool(spec.get("hostNetwork")),
        any(part.get("name") == PROXY_CONTAINER for part in containers),
        tuple(bypasses(annotations, spec)),
        frozenset(value for part in containers for value in _classes(part)),
        kind == "Job" and _ended(obj),
        bool((obj.get("spec") or {}).get("suspend")),
    )


def _classes(container: Obj) -> Iterator[str]:
    """Values of `--ingress-class=…`, `--controller-class …` and the like."""
    words = [str(word) for word in [*(container.get("command") or []), *(container.get("args") or [])]]
    for word, following in itertools.zip_longest(words, words[1:], fillvalue=""):
        name, equals, value = word.partition("=")
        if "class" in name:
            yield value if equals else following


def _ended(obj: Obj) -> bool:
    owners = (obj.get("metadata") or {}).get("ownerReferences") or []
    conditions = (obj.get("status") or {}).get("conditions") or []
    done = any(part.get("type") in ("Complete", "Failed") and part.get("status") == "True" for part in conditions)
    return done or any(owner.get("kind") == "CronJob" for owner in owners)
