# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a call of apply did, and the set as it is sent."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._kube import objects as _objects
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.diff import scrubbed
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.discovery import Catalog
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import ApiError, KubeError, numbered
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.objects import Ref

Obj = dict[str, Any]


@dataclass(slots=True)
class Outcome:
    """What happened to one object."""

    ref: Ref
    wave: int
    action: str  # created, changed, unchanged, kept, deleted, absent
    seconds: float = 0.0
    held: list[dict[str, str]] = field(default_factory=list)
    note: str = ""
    predicted: bool = False
    difference: tuple[Any, Any] | None = None
    live: Obj | None = None

    @property
    def changed(self) -> bool:
        """Whether the cluster is not the same any more."""
        return self.action in ("created", "changed", "deleted")

    def as_dict(self) -> dict[str, Any]:
        """For the module's result."""
        shown: dict[str, Any] = {
            "action": self.action,
            "api_version": self.ref.api_version,
            "kind": self.ref.kind,
            "name": self.ref.name,
            "namespace": self.ref.namespace,
            "wave": self.wave,
            "seconds": round(self.seconds, 3),
        }
        for name in ("held", "note", "predicted"):
            if getattr(self, name):
                shown[name] = getattr(self, name)
        return shown


@dataclass(slots=True)
class Result:
    """What a call did, also when it failed in the middle."""

    outcomes: list[Outcome] = field(default_factory=list)
    pruned: list[Ref] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def changed(self) -> bool:
        """Whether any object changed."""
        return any(outcome.changed for outcome in self.outcomes)


def checked(definitions: Any) -> list[Obj]:
    """The objects of a set as they are sent. Raises KubeError with all that is wrong; needs no cluster."""
    objects = [encoded(obj) for obj in _objects.flatten(definitions)]
    problems = _objects.findings_of(objects)
    if problems:
        raise KubeError(numbered("The definitions cannot be applied as they are; nothing was sent", problems))
    return objects


def encoded(obj: Any) -> Any:
    """A Secret's `stringData` as `data`: the server would forget to remove keys that leave `stringData`."""
    if not isinstance(obj, Mapping):
        return obj
    if not _objects.is_secret(obj) or not isinstance(obj.get("stringData"), Mapping):
        return dict(obj)
    data = dict(obj.get("data") or {})
    for key, value in obj["stringData"].items():
        data[key] = base64.b64encode((value if isinstance(value, str) else str(value)).encode()).decode()
    return {**{key: value for key, value in obj.items() if key != "stringData"}, "data": data}


def secret_values(objects: Iterable[Obj]) -> Iterable[str]:
    for obj in objects:
        if not _objects.is_secret(obj) or not isinstance(obj.get("data"), Mapping):
            continue
        for value in obj["data"].values():
            text = str(value)
            yield text
            with contextlib.suppress(ValueError, UnicodeDecodeError):
                yield base64.b64decode(text, validate=True).decode()


def unknown_kind(ref: Ref, catalog: Catalog) -> str:
    versions = catalog.versions_of(ref.group, ref.kind)
    others = sorted({resource.api_version for resource in catalog.by_kind(ref.kind)})
    if versions:
        return f"{ref}: the server has no {ref.kind} in {ref.api_version}; it has {', '.join(versions)}"
    if others:
        return f"{ref}: the server has no {ref.kind} in {ref.api_version}; it has {', '.join(others)}"
    return (
        f"{ref}: the server does not know the kind {ref.kind} of {ref.api_version}; "
        "expected a kind of Kubernetes, or of a CRD that is installed or part of the set"
    )


def worded(error: KubeError, secrets: Iterable[str]) -> str:
    """An error about one object as a person should read it, with a hint where one helps and without values of `secrets`."""
    text = scrubbed(str(error), secrets)
    if not isinstance(error, ApiError):
        return text
    hint = {
        403: " (the identity of this kubeconfig lacks the right, or an admission rule refused it)",
        404: " (a namespace or kind that it needs is not there)" if "namespaces" in text else "",
    }.get(error.status, "")
    if "field is immutable" in text or "updates to statefulset spec" in text:
        hint = " (delete the object first, or leave the field as it is)"
    return f"{error.status} {error.reason}: {text}{hint}"
