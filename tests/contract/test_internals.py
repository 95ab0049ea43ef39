# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What serves the local cluster only is internal, and says so wherever a user finds it."""

from __future__ import annotations

import ast
import functools
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.contract.tree import ROOT

PLUGINS = ROOT / "plugins"
MARK = "(internal) "
SENTENCE = "B(Internal:) "
USE = re.compile(r"servicemesh\.platform\.(\w+)")
LOCAL = ("roles/local_cluster/", "playbooks/local_")


@functools.cache
def documented() -> dict[str, dict[str, Any]]:
    """Name of each module and filter -> its DOCUMENTATION."""
    found = {
        path.stem: yaml.safe_load(path.read_text(encoding="utf-8"))["DOCUMENTATION"]
        for path in PLUGINS.glob("filter/*.yml")
    }
    for path in PLUGINS.glob("modules/*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "DOCUMENTATION":
                found[path.stem] = yaml.safe_load(ast.literal_eval(node.value))
    return found


def used(path: Path) -> set[str]:
    return set(USE.findall(path.read_text(encoding="utf-8")))


@functools.cache
def internal() -> set[str]:
    """Modules and filters that roles and playbooks use for the local cluster and for nothing else."""
    users: dict[str, set[bool]] = {}
    for folder in ("roles", "playbooks"):
        for path in (ROOT / folder).rglob("*.yml"):
            for name in used(path) & set(documented()):
                users.setdefault(name, set()).add(str(path.relative_to(ROOT)).startswith(LOCAL))
    return {name for name, local in users.items() if local == {True}}


def marked() -> set[str]:
    return {name for name, text in documented().items() if text["short_description"].startswith(MARK)}


def test_what_serves_the_local_cluster_only_is_marked() -> None:
    assert {"build", "local_node"} <= internal()
    assert marked() == internal()


def test_the_documentation_says_whom_it_serves() -> None:
    for name, text in documented().items():
        assert str(text["description"][0]).startswith(SENTENCE) == (name in internal()), name


@pytest.mark.parametrize("guide", ["README.md", "docs/index.md", "roles/local_cluster/README.md"])
def test_guides_name_them(guide: str) -> None:
    lines = [line for line in (ROOT / guide).read_text(encoding="utf-8").splitlines() if "nternal" in line]
    assert {name for name in internal() if not any(f"`{name}`" in line for line in lines)} == set()
