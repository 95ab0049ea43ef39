# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The set as it is sent, and the result of a call of apply."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, assert_never

from ansible_collections.servicemesh.platform.plugins.module_utils._apply.hints import hint_of
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.diff import scrubbed
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.discovery import Catalog
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import ApiError, KubeError, numbered
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.objects import (
    Ref,
    data_fields,
    findings_of,
    flatten,
    is_secret,
)

Obj = dict[str, Any]


class Action(StrEnum):
    """What happened to an object."""

    CREATED = "created"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    KEPT = "kept"  # not written or not deleted; the note says why
    DELETED = "deleted"
    ABSENT = "absent"  # to delete, but it did not exist


@dataclass(slots=True)
class Outcome:
    """What happened to one object.

    `withheld`: fields that were left to another manager, with that manager; `before`, `live`: the object before that, and now.
    """

    ref: Ref
    wave: int
    action: Action
    seconds: float = 0.0
    withheld: list[dict[str, str]] = field(default_factory=list)
    note: str = ""
    predicted: bool = False
    difference: tuple[Any, Any] | None = None
    before: Obj | None = None
    live: Obj | None = None

    @property
    def changed(self) -> bool:
        """Whether this changed the cluster."""
        match self.action:
            case Action.CREATED | Action.CHANGED | Action.DELETED:
                return True
            case Action.UNCHANGED | Action.KEPT | Action.ABSENT:
                return False
            case _:
                assert_never(self.action)

    @property
    def applied(self) -> bool:
        """Whether the object exists as its definition says."""
        return self.action in (Action.CREATED, Action.CHANGED, Action.UNCHANGED)

    def as_dict(self) -> dict[str, Any]:
        """For the module's result."""
        shown: dict[str, Any] = {
            "action": self.action.value,
            "api_version": self.ref.api_version,
            "kind": self.ref.kind,
            "name": self.ref.name,
            "namespace": self.ref.namespace,
            "wave": self.wave,
            "seconds": round(self.seconds, 3),
        }
        for name in ("withheld", "note", "predicted"):
            if getattr(self, name):
                shown[name] = getattr(self, name)
        return shown


@dataclass(slots=True)
class Result:
    """What a call did, also when it failed."""

    outcomes: list[Outcome] = field(default_factory=list)
    pruned: list[Ref] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def changed(self) -> bool:
        """Whether any object changed."""
        return any(outcome.changed for outcome in self.outcomes)


def checked(definitions: Any) -> list[Obj]:
    """The objects of a set as they are sent. Raises KubeError with all findings; sends no request."""
    objects = list(flatten(definitions))
    if findings := findings_of(objects):
        raise refusal(findings)
    return [encoded(obj) for obj in objects]


def refusal(findings: Sequence[str]) -> KubeError:
    """The error for a set that may not be sent."""
    return KubeError(numbered("The definitions cannot be applied as they are; nothing was sent", findings))


def encoded(obj: Mapping[str, Any]) -> Obj:
    """An object without findings as it is sent.

    A Secret's `stringData` becomes `data`, because the server does not remove keys that leave `stringData`. None in the data of a Secret
    or a ConfigMap becomes an empty text, which is what the server makes of it, so that a second call finds what the first one sent.
    """
    sent = dict(obj)
    for name in data_fields(obj):
        if isinstance(obj.get(name), Mapping):
            sent[name] = {key: "" if value is None else value for key, value in obj[name].items()}
    if is_secret(obj) and isinstance(texts := sent.pop("stringData", None), Mapping):
        more = {key: base64.b64encode(text.encode()).decode() for key, text in texts.items()}
        sent["data"] = {**(sent.get("data") or {}), **more}
    return sent


def secret_values(objects: Iterable[Obj]) -> Iterable[str]:
    """All values of the Secrets among the objects, as base64 and as text."""
    for obj in objects:
        if not is_secret(obj) or not isinstance(obj.get("data"), Mapping):
            continue
        for value in obj["data"].values():
            text = str(value)
            yield text
            with contextlib.suppress(ValueError, UnicodeDecodeError):
                yield base64.b64decode(text, validate=True).decode()


def unknown_kind(ref: Ref, catalog: Catalog) -> str:
    """The finding for an object whose kind the server does not have."""
    versions = catalog.versions_of(ref.group, ref.kind)
    others = sorted({resource.api_version for resource in catalog.by_kind(ref.kind)})
    if versions:
        return f"{ref}: the server has no {ref.kind} in {ref.api_version}; it has {', '.join(versions)}"
    if others:
        return f"{ref}: the server has no {ref.kind} in {ref.api_version}; it has {', '.join(others)}"
    return (
        f"{ref}: the server does not know the kind {ref.kind} of {ref.api_version}; "
        "expected a kind of Kubernetes, or of a CRD that is installed or is part of the set"
    )


def worded(
    error: KubeError, secrets: Iterable[str], wanted: Mapping[str, Any], live: Mapping[str, Any] | None, manager: str
) -> str:
    """The message of an error about one object, with a hint where one helps and without values of `secrets`.

    `wanted`: its definition; `live`: the object in the cluster; `manager`: who applies it.
    """
    text = str(error)
    if isinstance(error, ApiError):
        hint = hint_of(error, wanted, live, manager)
        text = f"{error.status} {error.reason}: {text}" + (f" ({hint})" if hint else "")
    return scrubbed(text, secrets)
