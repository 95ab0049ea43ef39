# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a call is given: objects in variables, texts and files, checked together, and where each was written."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._apply.result import encoded, refusal
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.documents import Document, Origin
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.files import from_files
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.kubectl_yaml import read
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.objects import (
    Ref,
    findings_of,
    located,
    ref_of,
)

Obj = dict[str, Any]
Key = tuple[str, str, str, str]


@dataclass(frozen=True, slots=True)
class Sources:
    """The objects to apply and those to delete, as they are sent. `warnings` name their place."""

    objects: list[Obj]
    retired: list[Obj]
    warnings: list[str]
    origins: Mapping[Key, Origin]

    def place(self, ref: Ref, field: str = "") -> str:
        """Where an object of a text was written, and in it a field as the API server names it; empty for an object of a variable."""
        origin = self.origins.get(ref.key) or self.origins.get((ref.group, ref.kind, "", ref.name))
        return origin.at(*_path(field)) if origin is not None and origin.document is not None else ""


def sources_of(definitions: Any, src: list[str], retired: Any) -> Sources:
    """Reads and checks what the options of a call name. Raises KubeError with all findings; sends no request."""
    given, files, gone = _read("definitions", definitions), from_files(src), _read("retired", retired)
    wanted = [*located("definitions", given), *located("src", files)]
    leaving = located("retired", gone)
    findings = _findings(wanted) + _findings(leaving, names_only=True)
    if not findings:
        findings = _findings([*wanted, *leaving], names_only=True)
    if findings:
        raise refusal(findings)
    return Sources(
        objects=[encoded(obj) for obj, _origin in wanted],
        retired=[dict(obj) for obj, _origin in leaving],
        warnings=[note for part in (given, files, gone) for note in _notes(part)],
        origins={ref_of(obj).key: origin for obj, origin in [*wanted, *leaving]},
    )


def _findings(entries: list[tuple[Any, Origin]], names_only: bool = False) -> list[str]:
    objects, origins = [obj for obj, _origin in entries], [origin for _obj, origin in entries]
    return findings_of(objects, origins, names_only=names_only)


def _path(field: str) -> list[str | int]:
    """`spec.ports[0].port` and `data[a.key]` as paths (apimachinery, pkg/util/validation/field/path.go)."""
    parts = re.findall(r"\[([^\]]*)\]|([^.\[\]]+)", field)
    return [int(key) if key.isdecimal() else key or name for key, name in parts]


def _read(option: str, value: Any) -> Any:
    return read(value, option) if isinstance(value, str) else value


def _notes(given: Any) -> list[str]:
    if isinstance(given, list):
        return [note for document in given if isinstance(document, Document) for note in document.notes]
    return []
