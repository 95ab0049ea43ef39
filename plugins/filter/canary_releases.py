# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Service definition -> its release, the definition with another release, and the objects of a canary."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.servicemesh.platform.plugins.plugin_utils._service import release as releases
from ansible_collections.servicemesh.platform.plugins.plugin_utils._service.definition import DefinitionError


def release_of(definition: Any, version: str = "", image: str = "") -> dict[str, str]:
    """Image and version of a definition, or of the definition with another version."""
    return _filtered("release_of", lambda: releases.release_of(definition, version, image))


def with_release(definition: Any, release: Mapping[str, Any]) -> dict[str, Any]:
    """The definition with another image and version."""
    return _filtered("with_release", lambda: releases.with_release(definition, release))


def canary_manifests(
    definition: Any, track: str = "canary", secret_versions: Mapping[str, Any] | None = None
) -> list[dict[str, Any]]:
    """Objects that run the new version beside the old one, or (``stable``) instead of it."""
    make = releases.canary_manifests if track == "canary" else releases.stable_manifests
    return _filtered("canary_manifests", lambda: make(definition, secret_versions))


def canary_leftovers(definition: Any) -> list[dict[str, Any]]:
    """References of objects that canaries may have left."""
    return _filtered("canary_leftovers", lambda: releases.canary_leftovers(definition))


def _filtered(name: str, work: Callable[[], Any]) -> Any:
    try:
        return work()
    except DefinitionError as error:
        raise AnsibleFilterError(f"{name}: {error}") from error


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name to function."""
        return {
            "canary_leftovers": canary_leftovers,
            "canary_manifests": canary_manifests,
            "release_of": release_of,
            "with_release": with_release,
        }
