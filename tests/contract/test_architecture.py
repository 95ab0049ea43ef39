# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/architecture.md names files that exist, and every package."""

from __future__ import annotations

import re

from tests.contract.tree import ROOT

TEXT = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
PLUGINS = ROOT / "plugins"
# Short names of files in the diagrams and tables are relative to one of these.
FOLDERS = [ROOT, *(PLUGINS / name for name in ("module_utils", "plugin_utils"))]
FOLDERS += [folder for folder in (PLUGINS / "module_utils").rglob("_*") if folder.is_dir()]
FOLDERS += [PLUGINS / "plugin_utils" / "_service"]


def test_every_file_that_it_names_exists() -> None:
    named = set(re.findall(r"(?<![\w./-])[\w./-]+\.(?:py|yml)\b(?!\.j2)", TEXT))
    assert len(named) > 50
    assert {name for name in named if not any((folder / name).is_file() for folder in FOLDERS)} == set()


def test_every_package_and_single_file_has_a_row() -> None:
    utils = PLUGINS / "module_utils"
    packages = {f"{path.name}/" for path in utils.iterdir() if (path / "__init__.py").is_file()}
    files = {path.name for path in utils.glob("_*.py")}
    table = TEXT.partition("| package |")[2].partition("\n\n")[0]
    assert {name for name in packages | files if f"`{name}`" not in table} == set()
    assert len(files) <= 8, "single files are the exception"
