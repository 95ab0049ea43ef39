# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Helm records about a chart release, and whether the release is as wanted. No I/O."""

from __future__ import annotations

import base64
import binascii
import gzip
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._helm.content import Files, differing

# Every caller puts this key into the values of a chart release; a teardown uninstalls only releases that have it.
MARKER = "servicemesh.platform/managed-by"
# States of a record that block the next operation (helm.sh/helm pkg/release/v1/status.go).
_UNFINISHED = ("pending-install", "pending-upgrade", "pending-rollback", "uninstalling")
_GZIP = b"\x1f\x8b\x08"


@dataclass(frozen=True, slots=True)
class Chart:
    """Identity of a chart; `app_version` is None when only fetching the chart would tell it."""

    name: str
    version: str
    app_version: str | None = None


@dataclass(frozen=True, slots=True)
class ChartRelease:
    """State of one chart release."""

    name: str
    namespace: str
    status: str = ""
    revision: int = 0
    chart: str = ""
    app_version: str = ""
    managed: bool = False
    unfinished: tuple[str, ...] = ()
    current: bool = False
    differs: tuple[str, ...] = field(default=())
    changed_files: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """For the result of a module."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}


def decoded(secret: Mapping[str, Any]) -> dict[str, Any]:
    """The record in a chart release's Secret: base64 of base64 of gzip of JSON (helm.sh/helm pkg/storage/driver/util.go).

    Raises ValueError when the Secret holds something else.
    """
    try:
        packed = base64.b64decode(base64.b64decode(secret["data"]["release"]))
        record = json.loads(gzip.decompress(packed) if packed.startswith(_GZIP) else packed)
    except (KeyError, TypeError, binascii.Error, OSError, EOFError, ValueError) as error:
        raise ValueError(f"Secret {secret['metadata']['name']} is not a record of a chart release: {error}") from None
    if not isinstance(record, dict):
        raise ValueError(f"Secret {secret['metadata']['name']} is not a record of a chart release: it is not a mapping")
    return record


def chart_by_reference(reference: str, version: str) -> Chart | None:
    """Name and version of a chart that is fetched; None when only fetching it would tell them."""
    if not version or reference.endswith(".tgz"):
        return None
    return Chart(reference.rstrip("/").rpartition("/")[2], version)


def is_fetched(reference: str) -> bool:
    """Whether a chart is fetched over the network; otherwise it is a path."""
    return re.match(r"(oci|https?)://", reference) is not None


def release_of(
    name: str,
    namespace: str,
    secrets: Iterable[Mapping[str, Any]],
    chart: Chart | None,
    values: Mapping[str, Any],
    files: Files | None = None,
) -> ChartRelease:
    """State of a chart release from its records, and whether it is this chart with these values.

    `secrets`: the Secrets of the release, without superseded ones. `files`: those of a chart that is here, as Helm loads it. A release
    whose last operation failed is never current, because the operation may have changed only some of its objects.
    """
    by_revision = sorted(secrets, key=lambda secret: int(secret["metadata"]["labels"]["version"]))
    if not by_revision:
        return ChartRelease(name, namespace, differs=("it is not installed",))
    newest = by_revision[-1]
    status = str(newest["metadata"]["labels"].get("status", ""))
    record = decoded(newest)
    metadata = (record.get("chart") or {}).get("metadata") or {}
    config = record.get("config") or {}
    unfinished = [s for s in by_revision if s["metadata"]["labels"].get("status") in (*_UNFINISHED, "failed")]
    differs = [
        f"revision {s['metadata']['labels']['version']} is {s['metadata']['labels']['status']}" for s in unfinished
    ]
    if not unfinished and status != "deployed":
        differs.append(f"it is {status}")
    installed = Chart(str(metadata.get("name")), str(metadata.get("version")), metadata.get("appVersion"))
    if chart is None:
        differs.append("the chart's version is not set")
    elif (chart.name, chart.version) != (installed.name, installed.version):
        differs.append(f"chart {installed.name}-{installed.version} instead of {chart.name}-{chart.version}")
    elif chart.app_version is not None and chart.app_version != installed.app_version:
        differs.append(f"app version {installed.app_version} instead of {chart.app_version}")
    same = chart is not None and (chart.name, chart.version) == (installed.name, installed.version)
    changed_files = differing(files, record.get("chart") or {}) if same and files is not None else []
    if changed_files:
        differs.append(f"files of the chart: {', '.join(changed_files)}")
    if config != (values or {}):
        differs.append("values: " + ", ".join(sorted(_differing(config, values or {}))))
    return ChartRelease(
        name,
        namespace,
        status=status,
        revision=int(newest["metadata"]["labels"]["version"]),
        chart=f"{installed.name}-{installed.version}",
        app_version=str(installed.app_version or ""),
        managed=MARKER in json.dumps(config),
        unfinished=tuple(str(s["metadata"]["labels"]["status"]) for s in unfinished),
        current=not differs,
        differs=tuple(differs),
        changed_files=tuple(changed_files),
    )


def _differing(one: Mapping[str, Any], other: Mapping[str, Any], path: str = "") -> list[str]:
    """Paths of the values that differ, without the values."""
    found = []
    for key in {**one, **other}:
        here = f"{path}.{key}" if path else str(key)
        left, right = one.get(key), other.get(key)
        if isinstance(left, Mapping) and isinstance(right, Mapping):
            found += _differing(left, right, here)
        elif left != right or (key in one) != (key in other):
            found.append(here)
    return found
