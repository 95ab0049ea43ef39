# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a role's variables come to, without running the role: its defaults and vars, templated as Ansible does."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import init_plugin_loader
from ansible.template import Templar, trust_as_template

ROLES = Path(__file__).parent.parent / "roles"
init_plugin_loader()  # lookups in templates, as ansible-playbook has them


@functools.cache
def _known(role: str) -> dict[str, Any]:
    known: dict[str, Any] = {"ansible_search_path": [str(ROLES / role)]}
    for folder in ("defaults", "vars"):
        for path in main_files(role, folder):
            known |= DataLoader().load_from_file(str(path), trusted_as_template=True)
    return known


def main_files(role: str, folder: str) -> list[Path]:
    """What Ansible loads as a role's `defaults` or `vars`: main.yml, or all files of the folder main."""
    place = ROLES / role / folder
    return sorted((place / "main").glob("*.yml")) or [path for path in [place / "main.yml"] if path.exists()]


def variables(role: str, **overrides: Any) -> Templar:
    """A templar that knows the role's defaults and vars and, above them, what an inventory would set."""
    loader = DataLoader()
    loader.set_basedir(str(ROLES / role))
    return Templar(loader=loader, variables=_known(role) | overrides)


def value(role: str, name: str, **overrides: Any) -> Any:
    """The value of one variable of the role."""
    templar = variables(role, **overrides)
    return templar.template(templar.available_variables[name])


def rendered(role: str, template: str, **overrides: Any) -> str:
    """A template of the role as text."""
    source = (ROLES / role / "templates" / template).read_text(encoding="utf-8")
    templar = variables(role, **overrides).copy_with_new_env(
        searchpath=[str(ROLES / role / "templates")]
    )  # of what it includes
    return templar.template(trust_as_template(source))
