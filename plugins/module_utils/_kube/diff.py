# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What differs between an object before and after, without fields that only the server writes and without secrets. No I/O."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._kube.objects import is_secret

_SERVER_METADATA = frozenset(
    {
        "managedFields",
        "resourceVersion",
        "uid",
        "generation",
        "creationTimestamp",
        "selfLink",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
    }
)
_SERVER_ANNOTATIONS = frozenset(
    {
        "kubectl.kubernetes.io/last-applied-configuration",
        "deployment.kubernetes.io/revision",
    }
)
_ABSENT = object()


def content(obj: Mapping[str, Any] | None) -> dict[str, Any]:
    """The part of an object that its author writes: without status and without the server's own metadata."""
    if obj is None:
        return {}
    meta = {key: value for key, value in obj.get("metadata", {}).items() if key not in _SERVER_METADATA}
    annotations = {k: v for k, v in (meta.get("annotations") or {}).items() if k not in _SERVER_ANNOTATIONS}
    meta.pop("annotations", None)
    if annotations:
        meta["annotations"] = annotations
    return {**{k: v for k, v in obj.items() if k not in ("metadata", "status")}, "metadata": meta}


def redacted(obj: Mapping[str, Any], salt: bytes) -> dict[str, Any]:
    """Copy in which each value of a Secret is a digest, which shows that a value changed and nothing else.

    `salt` is random for each run, so that a digest cannot be compared with those of guessed passwords.
    """
    if not is_secret(obj):
        return dict(obj)
    hidden = dict(obj)
    for field in ("data", "stringData"):
        values = obj.get(field)
        if isinstance(values, Mapping):
            hidden[field] = {key: _digest(value, salt) for key, value in values.items()}
        elif values is not None:
            hidden[field] = _digest(values, salt)
    return hidden


def _digest(value: Any, salt: bytes) -> str:
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)
    return "digest:" + hashlib.blake2b(text.encode(), key=salt, digest_size=4).hexdigest()


def changes(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None, salt: bytes) -> tuple[Any, Any] | None:
    """`(before, after)` cut down to the fields that differ, or None when the content is the same."""
    old, new = content(before), content(after)
    if old == new:
        return None
    if before is not None:
        old = content(redacted(before, salt))
    if after is not None:
        new = content(redacted(after, salt))
    if not old or not new:
        return old, new
    return _reduced(old, new)


def _reduced(old: Any, new: Any) -> tuple[Any, Any]:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        left, right = {}, {}
        for key in sorted({*old, *new}, key=str):
            a, b = old.get(key, _ABSENT), new.get(key, _ABSENT)
            if a is not _ABSENT and b is not _ABSENT:
                if a == b:
                    continue
                a, b = _reduced(a, b)
            if a is not _ABSENT:
                left[key] = a
            if b is not _ABSENT:
                right[key] = b
        return left, right
    if isinstance(old, list) and isinstance(new, list) and _is_named(old) and _is_named(new):
        return _reduced_named(old, new)
    return old, new


def _is_named(items: list[Any]) -> bool:
    names = [item.get("name") for item in items if isinstance(item, Mapping)]
    return len(names) == len(items) and None not in names and len(set(map(str, names))) == len(items)


def _reduced_named(old: list[Any], new: list[Any]) -> tuple[list[Any], list[Any]]:
    """For lists whose items have names, as containers and ports do: only the items that differ."""
    before, after = ({str(item["name"]): item for item in items} for items in (old, new))
    if list(before) != list(after) and set(before) == set(after) and all(before[n] == after[n] for n in before):
        return old, new  # only the order differs
    left, right = [], []
    for name in [*before, *(n for n in after if n not in before)]:
        a, b = before.get(name, _ABSENT), after.get(name, _ABSENT)
        if a == b:
            continue
        if a is not _ABSENT and b is not _ABSENT:
            a, b = _reduced(a, b)
            a, b = {"name": name, **a}, {"name": name, **b}
        if a is not _ABSENT:
            left.append(a)
        if b is not _ABSENT:
            right.append(b)
    return left, right


def overlay(live: Mapping[str, Any] | None, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Prediction of an apply where the server cannot do a dry run: mappings are merged, everything else is replaced."""
    if live is None:
        return dict(wanted)
    merged = dict(live)
    for key, value in wanted.items():
        if isinstance(value, Mapping) and isinstance(merged.get(key), Mapping):
            merged[key] = overlay(merged[key], value)
        else:
            merged[key] = value
    return merged


def scrubbed(text: str, secrets: Iterable[str]) -> str:
    """Text without any of these values, replaced from the longest on, so that no part of a value is left."""
    for value in sorted(set(secrets), key=len, reverse=True):
        if len(value) >= 3:
            text = text.replace(value, "********")
    return text
