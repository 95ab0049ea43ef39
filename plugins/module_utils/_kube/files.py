# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads objects from YAML text and files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import KubeError


def parsed(text: str, where: str) -> list[Any]:
    """Documents of a YAML text. Raises KubeError that names `where` and the line."""
    import yaml  # the C loader is 8 times as fast

    try:
        return list(yaml.load_all(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", "") or "not YAML"
        line = f", line {mark.line + 1}" if mark else ""
        raise KubeError(f"{where}{line}: {problem}") from None


def from_files(patterns: list[str], option: str = "src") -> list[Any]:
    """Documents of all files that match the patterns of an option.

    Raises KubeError for a pattern without a file, and for a file that cannot be read.
    """
    found: list[Any] = []
    for pattern in patterns:
        whole = Path(pattern)
        paths = sorted(path for path in whole.parent.glob(whole.name) if path.is_file())
        if not paths:
            raise KubeError(f"{option} is '{pattern}': no such file. Expected files with YAML documents.")
        for path in paths:
            try:
                found += parsed(path.read_text(encoding="utf-8"), str(path))
            except OSError as error:
                raise KubeError(f"{option} is '{path}': {error.strerror}. Expected a readable file.") from None
    return found
