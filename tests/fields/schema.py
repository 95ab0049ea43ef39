# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The leaves of a CRD's OpenAPI schema, as paths with their types. Used by the generator and by the test on a cluster."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Leaf = str | list[str]  # a type, or the values of an enum


def leaves(schema: Mapping[str, Any], path: str) -> Iterator[tuple[str, Leaf]]:
    """(path, type) of everything below a schema. `[]` is an entry of a list, `*` a key of a mapping."""
    if schema.get("properties"):
        for name, part in schema["properties"].items():
            yield from leaves(part, f"{path}.{name}" if path else name)
    elif schema.get("items"):
        yield from leaves(schema["items"], f"{path}[]")
    elif isinstance(schema.get("additionalProperties"), Mapping):
        yield from leaves(schema["additionalProperties"], f"{path}.*")
    elif schema.get("enum"):
        yield path, [str(value) for value in schema["enum"]]
    elif schema.get("x-kubernetes-int-or-string"):
        yield path, "int-or-string"
    else:
        yield path, str(schema.get("type") or "object")


def of_crd(crd: Mapping[str, Any]) -> dict[str, dict[str, Leaf]]:
    """Leaves of `spec` by version."""
    found = {}
    for version in crd["spec"]["versions"]:
        spec = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
        found[version["name"]] = dict(sorted(leaves(spec, "spec")))
    return found
