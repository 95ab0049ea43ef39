# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the proxies of a mesh normalise paths as the access rules need it, from its MeshConfig. No I/O.

Rules: istio pilot/pkg/networking/core/listener_builder.go (pathNormalization), core/connection_settings.go (connectionSettings of
defaultConfig, which win). A pod's own annotation proxy.istio.io/config is not looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._kube import kubectl_yaml
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import KubeError
from ansible_collections.servicemesh.platform.plugins.module_utils._preflight.checks import Finding, Severity

CHECK = "paths"
# From weak to strong.
LEVELS = ("NONE", "BASE", "MERGE_SLASHES", "DECODE_AND_MERGE_SLASHES")
_DECODES = ("UNESCAPE_AND_FORWARD", "UNESCAPE_AND_REDIRECT", "REJECT_REQUEST")
_ACTION = (
    "Set meshConfig.pathNormalization.normalization of this Istio to {wanted}, or let the role istio do it; "
    "cluster_prep_preflight_ignore: [paths] accepts it"
)


def findings(text: str | None, wanted: str, config_map: str) -> Iterable[Finding]:
    """What keeps the proxies from normalising at least as ``wanted`` (one of LEVELS; empty: anything will do).

    ``text`` is the MeshConfig as YAML: empty when there is none, None when it may not be read. ``config_map`` is namespace/name.
    """
    subject, action = f"ConfigMap {config_map}", _ACTION.format(wanted=wanted)
    if not wanted or text == "":
        return
    if text is None:
        yield Finding(
            CHECK,
            Severity.WARNING,
            subject,
            "it may not be read, so how the proxies normalise paths is unknown",
            action,
        )
        return
    level, shown = _level(text)
    if level is None:
        yield Finding(
            CHECK,
            Severity.ERROR,
            subject,
            f"{shown} is not known, so how the proxies normalise paths is unknown",
            action,
        )
    elif LEVELS.index(level) < LEVELS.index(wanted):
        severity = Severity.ERROR if level == "NONE" else Severity.WARNING
        yield Finding(
            CHECK, severity, subject, f"the proxies normalise paths as {level} ({shown}), {_RISKS[level]}", action
        )


_RISKS = {
    "NONE": "so /open/../closed reaches a closed path",
    "BASE": "so /open//closed is another path than /open/closed for callers in the mesh; from outside it is answered 400",
    "MERGE_SLASHES": "so %2F and %5C stay coded in paths",
}


def _level(text: str) -> tuple[str | None, str]:
    """(What the proxies do, as one of LEVELS; what the MeshConfig says). None when that has another value or form."""
    try:
        config = kubectl_yaml.value(text)
    except KubeError:
        return None, "a MeshConfig that is no YAML"
    given = _at(config, "pathNormalization", "normalization", "DEFAULT")
    name = {"DEFAULT": "BASE"}.get(str(given), str(given))
    settings = _at(config, "defaultConfig", "connectionSettings", {})
    if name not in LEVELS or not isinstance(settings, Mapping):
        return None, f"pathNormalization.normalization {given!r}"
    merge = settings.get("httpMergeSlashes")
    action = settings.get("httpPathWithEscapedSlashesAction")
    merges = name in LEVELS[2:] if merge is None else merge
    decodes = name == LEVELS[3] if action in (None, "PATH_WITH_ESCAPED_SLASHES_UNSPECIFIED") else action in _DECODES
    if not isinstance(merges, bool) or not (
        decodes or action in (None, "PATH_WITH_ESCAPED_SLASHES_UNSPECIFIED", "KEEP_UNCHANGED")
    ):
        return None, f"defaultConfig.connectionSettings {dict(settings)!r}"
    shown = f"pathNormalization.normalization {given}"
    if settings:
        shown += f", httpMergeSlashes {merge}, httpPathWithEscapedSlashesAction {action}"
    if name == "NONE" or not merges:
        return min(name, "BASE", key=LEVELS.index), shown
    return (LEVELS[3] if decodes else LEVELS[2]), shown


def _at(config: Any, part: str, key: str, default: Any) -> Any:
    """``config[part][key]``; the default where one of them is not set, None where one has another form."""
    for name in (part, key):
        if config is None:
            return default
        if not isinstance(config, Mapping):
            return None
        config = config.get(name)
    return default if config is None else config
