# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a preflight finds in the MeshConfig of a mesh that is there already."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._preflight.normalization import LEVELS, findings


def found(text: str | None, wanted: str = "MERGE_SLASHES") -> list[str]:
    return [finding.severity.value for finding in findings(text, wanted, "istio-system/istio")]


def mesh(level: Any = None, **settings: Any) -> str:
    config: dict[str, Any] = {"rootNamespace": "istio-system"}
    if level is not None:
        config["pathNormalization"] = {"normalization": level}
    if settings:
        config["defaultConfig"] = {"connectionSettings": settings}
    return json.dumps(config)


@pytest.mark.parametrize("wanted", LEVELS[1:])
@pytest.mark.parametrize("level", LEVELS)
def test_less_than_wanted_is_a_finding(level: str, wanted: str) -> None:
    less = LEVELS.index(level) < LEVELS.index(wanted)
    assert found(mesh(level), wanted) == ([("error" if level == "NONE" else "warning")] if less else [])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),  # no Istio yet
        (None, ["warning"]),
        (mesh(), ["warning"]),  # Istio's default is BASE
        (mesh("DEFAULT"), ["warning"]),
        ("pathNormalization:\n", ["warning"]),
        (mesh("EVERYTHING"), ["error"]),
        (mesh(3), ["error"]),
        (json.dumps({"pathNormalization": "MERGE_SLASHES"}), ["error"]),
        ("- a list", ["error"]),
        ("{", ["error"]),
        # Settings of the proxies win (connection_settings.go).
        (mesh("BASE", httpMergeSlashes=True), []),
        (mesh("MERGE_SLASHES", httpMergeSlashes=False), ["warning"]),
        (mesh("NONE", httpMergeSlashes=True), ["error"]),
        (mesh("MERGE_SLASHES", httpMergeSlashes="yes"), ["error"]),
        ("defaultConfig: {connectionSettings: {httpMergeSlashes: y}}", []),  # a boolean, as Istio reads YAML
        (mesh("MERGE_SLASHES", httpPathWithEscapedSlashesAction="KEEP_UNCHANGED"), []),
        (mesh("MERGE_SLASHES", httpPathWithEscapedSlashesAction="OTHER"), ["error"]),
        (mesh("MERGE_SLASHES", httpIdleTimeout="1h"), []),
    ],
)
def test_what_is_not_understood_is_never_enough(text: str | None, expected: list[str]) -> None:
    assert found(text) == expected


def test_coded_slashes_by_the_settings_of_the_proxies() -> None:
    for action, expected in (
        ("REJECT_REQUEST", []),
        ("UNESCAPE_AND_FORWARD", []),
        ("UNESCAPE_AND_REDIRECT", []),
        ("KEEP_UNCHANGED", ["warning"]),
        ("PATH_WITH_ESCAPED_SLASHES_UNSPECIFIED", ["warning"]),
    ):
        assert found(mesh("MERGE_SLASHES", httpPathWithEscapedSlashesAction=action), LEVELS[3]) == expected
    assert found(mesh(LEVELS[3], httpPathWithEscapedSlashesAction="KEEP_UNCHANGED"), LEVELS[3]) == ["warning"]


def test_the_finding_says_what_was_found_and_what_to_do() -> None:
    (finding,) = findings(mesh("NONE"), "MERGE_SLASHES", "mesh/istio-1-31")
    assert "ConfigMap mesh/istio-1-31" in str(finding)
    assert "NONE" in finding.message
    assert "MERGE_SLASHES" in finding.action
    assert list(findings(mesh("NONE"), "", "mesh/istio")) == []
