# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads a mesh from its source: all objects, and the MeshConfig of each revision that serves a pod.

What could not be read, or is not there, is named in `missing` and never guessed.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._kube import kubectl_yaml
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import KubeError
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.assemble import (
    Misread,
    Snapshot,
    assembled,
    reducers,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.findings import some
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.groups import revisions
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.model import (
    Group,
    MeshConfig,
    Missing,
    MissingCause,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parse.mesh_config import mesh_config
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parse.metadata import Obj
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.source import CALLER_KINDS, KINDS, Source


def read(source: Source, istio_namespace: str, domain: str, *, callers: bool = False) -> Snapshot:
    """Reads everything, with `callers` also the objects that name callers which are no workloads."""
    start, before = time.monotonic(), source.requests
    everything = source.everything(
        reducers(domain, callers=callers), istio_namespace, (*KINDS, *CALLER_KINDS) if callers else KINDS
    )
    found, missing = _understood(everything.found, everything.missing)
    environments = None if everything.istiods is None else _environments(everything.istiods)
    config, configs, missing_configs = _configs(source, istio_namespace, revisions(found["Pod"]), environments)
    snapshot = assembled(found, missing, config, configs, domain)
    stats = {
        "objects": {name: len(items) for name, items in found.items()},
        "groups": len(snapshot.mesh.groups),
        "requests": source.requests - before,
        "read_seconds": round(time.monotonic() - start, 3),
    }
    return replace(snapshot, stats=stats, missing_configs=_scoped(missing_configs, snapshot.mesh.groups))


def _understood(
    found: Mapping[str, list[Any]], missing: Mapping[str, Missing]
) -> tuple[dict[str, list[Any]], dict[str, Missing]]:
    """Without the objects that have not the shape of their kind; what depends on such a kind is not known."""
    more = dict(missing)
    for kind, items in found.items():
        misread = sorted(item.object for item in items if isinstance(item, Misread))
        if misread:
            more[kind] = Missing(kind, MissingCause.FAILED, f"{some(misread)} cannot be understood as {kind}")
    return {kind: [item for item in items if not isinstance(item, Misread)] for kind, items in found.items()}, more


def _environments(istiods: list[Obj]) -> dict[str, dict[str, str]] | None:
    """Plain environment variables of each revision's istiod, None without any istiod."""
    found = {}
    for item in istiods:
        revision = (item["metadata"].get("labels") or {}).get("istio.io/rev") or "default"
        containers = ((item.get("spec") or {}).get("template") or {}).get("spec", {}).get("containers") or []
        variables = [v for c in containers if c.get("name") == "discovery" for v in c.get("env") or []]
        found[revision] = {v["name"]: str(v["value"]) for v in variables if "value" in v}
    return found or None


def _scoped(missing: Mapping[str, Missing], groups: Sequence[Group]) -> tuple[Missing, ...]:
    """MeshConfigs that could not be read, each with the namespaces that its revision (the key) serves. The default one is everybody's."""
    return tuple(
        entry
        if revision == MeshConfig().revision
        else replace(entry, concerns=frozenset(group.namespace for group in groups if group.revision == revision))
        for revision, entry in missing.items()
    )


def _configs(
    source: Source, namespace: str, served: list[str], environments: dict[str, dict[str, str]] | None
) -> tuple[MeshConfig, dict[str, MeshConfig], dict[str, Missing]]:
    """The default revision's MeshConfig, those of the others that serve pods (`served`), and by revision those that could not be read.

    A revision without a MeshConfig of its own may be a tag: what a pod's label names, and `default` as well.
    """
    missing: dict[str, Missing] = {}
    tags = functools.cache(source.revision_tags)

    def of(revision: str) -> MeshConfig | Missing:
        environment = None if environments is None else environments.get(revision)
        return _config(source, namespace, revision, environment)

    def one(revision: str) -> MeshConfig | None:
        found = of(revision)
        if isinstance(found, Missing) and found.cause in (MissingCause.NOT_INSTALLED, MissingCause.NOT_GIVEN):
            known = tags()
            if isinstance(known, Missing):
                found = replace(found, text=f"{found.text}, and whether it is a tag is not known: {known.text}")
            elif revision in known:
                found = of(known[revision])
        if isinstance(found, Missing):
            missing[revision] = found
            return None
        return found

    found = {revision: one(revision) for revision in served}
    default = one("default")
    if default is None and (alike := _alike(list(found.values()))):
        default = alike  # there is no revision of that name, and all that there are say the same
        missing.pop("default", None)
    default = default or MeshConfig(known=False)
    return default, {rev: config or MeshConfig(revision=rev, known=False) for rev, config in found.items()}, missing


def _alike(configs: list[MeshConfig | None]) -> MeshConfig | None:
    """The one MeshConfig that all revisions have, None when one could not be read or they differ."""
    known = [config for config in configs if config is not None]
    if not known or len(known) < len(configs):
        return None
    return known[0] if len({replace(config, revision="") for config in known}) == 1 else None


def _config_name(revision: str) -> str:
    return "istio" if revision == "default" else f"istio-{revision}"


def _config(
    source: Source, namespace: str, revision: str, environment: Mapping[str, str] | None
) -> MeshConfig | Missing:
    """A revision's MeshConfig, or why it cannot be read."""
    found = source.config_map(namespace, _config_name(revision))
    if isinstance(found, Missing):
        return found
    where = f"ConfigMap {namespace}/{_config_name(revision)}"
    try:
        document = kubectl_yaml.value((found.get("data") or {}).get("mesh") or "")
    except KubeError as error:
        return Missing(where, MissingCause.FAILED, f"its key mesh is not YAML: {error}")
    if not isinstance(document, dict):
        return Missing(where, MissingCause.FAILED, "its key mesh has no MeshConfig")
    try:
        return mesh_config(document, revision, environment)
    except ValueError as error:
        return Missing(where, MissingCause.FAILED, f"its key mesh is not one that istiod takes: {error}")
