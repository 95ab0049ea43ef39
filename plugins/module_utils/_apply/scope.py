# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The namespace of each object, once the scope of its kind is known. No I/O."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._kube.discovery import Resource
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.objects import Ref, ref_of

Obj = dict[str, Any]


def placed(obj: Obj, resource: Resource | None, namespace: str) -> Obj:
    """An object in its namespace: `namespace`, when the object names none and its kind has namespaces."""
    if not namespace or resource is None or not resource.namespaced or ref_of(obj).namespace:
        return obj
    return {**obj, "metadata": {**obj["metadata"], "namespace": namespace}}


def scope_finding(ref: Ref, resource: Resource, namespace: str) -> str:
    """What is wrong with the namespace of an object that was placed; empty when nothing is. `namespace`: the option."""
    if not resource.namespaced:
        if ref.namespace:
            return f"{ref}: metadata.namespace is {ref.namespace!r}; objects of this kind have no namespace, remove it"
        return ""
    if not ref.namespace:
        return f"{ref}: metadata.namespace is missing; objects of this kind need a namespace. Expected it there, or in the option namespace"
    if namespace and ref.namespace != namespace:
        return (
            f"{ref}: metadata.namespace is {ref.namespace!r}, but the option namespace is {namespace!r}; expected the same, or none of one "
            "of the two"
        )
    return ""


def doubles(given: Iterable[Obj], result: Iterable[Obj]) -> list[tuple[Ref, str]]:
    """Objects that are the same one only after they were placed, with findings. `given`, `result`: before and after, in one order."""
    found: dict[tuple[str, str, str, str], set[str]] = {}
    refs = [(ref_of(before), ref_of(after)) for before, after in zip(given, result, strict=True)]
    for before, after in refs:
        found.setdefault(after.key, set()).add(before.namespace)
    return [
        (before, f"{after} is defined twice, with its namespace and without one; remove one")
        for before, after in refs
        if not before.namespace and len(found[after.key]) > 1
    ]
