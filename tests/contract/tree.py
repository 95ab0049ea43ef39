# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Contract tests read the tree. They need neither a network nor a cluster."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parent.parent.parent


@functools.cache
def load(path: Path) -> Any:
    """A YAML file of the repository; tags such as ``!vault`` become plain strings."""

    class Loader(yaml.SafeLoader):
        pass

    Loader.add_multi_constructor("!", lambda _loader, suffix, _node: f"!{suffix}")
    return yaml.load(path.read_text(encoding="utf-8"), Loader)  # noqa: S506  # Loader is a SafeLoader


def roles() -> list[str]:
    """Names of all roles, sorted."""
    return sorted(path.name for path in (ROOT / "roles").iterdir() if path.is_dir())


def service_roles() -> list[str]:
    """The service roles, which contain only settings and one import of ``microservice``."""
    return [name for name in roles() if name.endswith("_service")]


def task_files(role: str) -> list[Path]:
    """YAML files with tasks of a role, handlers included."""
    base = ROOT / "roles" / role
    return sorted(path for folder in ("tasks", "handlers") for path in (base / folder).rglob("*.yml"))


def flat_tasks(tasks: list[dict[str, Any]] | None) -> list[dict[str, Any]]:
    """Tasks with those inside blocks in place of the blocks."""
    found: list[dict[str, Any]] = []
    for task in tasks or []:
        if "block" in task:
            for part in ("block", "rescue", "always"):
                found.extend(flat_tasks(task.get(part)))
        else:
            found.append(task)
    return found


def is_computed(option: dict[str, Any], default: Any) -> bool:
    """Whether a role variable's default is a template whose value is no text; the type of the option does not allow the template itself."""
    return isinstance(default, str) and "{{" in default and option["type"] not in ("str", "path", "raw")
