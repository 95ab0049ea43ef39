# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every file has one licence, said in one place: source code in its first lines, all else in REUSE.toml."""

from __future__ import annotations

import re
import tomllib

import pytest

from tests.contract.tree import ROOT, load, roles
from tests.sanity.run import files

HOLDER = "servicemesh.platform contributors"
IDENTIFIER = "GPL-3.0-or-later"
HEADER = (
    f"Copyright: (c) 2026, {HOLDER}",
    "GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)",
    f"SPDX-License-Identifier: {IDENTIFIER}",
)
# How a line of comment begins in source code, by the ending of the file.
COMMENT = {".py": "# ", ".sh": "# ", ".go": "// ", ".lua": "-- "}
# The header is above all else, but below the line that names an interpreter.
INTERPRETER = re.compile(r"\A#!.*\n")


def annotations() -> list[dict[str, str]]:
    return tomllib.loads((ROOT / "REUSE.toml").read_text(encoding="utf-8"))["annotations"]


def without_header() -> tuple[str, ...]:
    """Folders whose source code REUSE.toml speaks for."""
    return tuple(entry["path"].removesuffix("**") for entry in annotations() if entry["path"] != "**")


def source_files() -> list[str]:
    """Files of source code that have to carry the header, empty ones left out."""
    return sorted(
        name
        for name in files(ROOT, excluded=())
        if (ROOT / name).suffix in COMMENT
        and not name.startswith(without_header())
        and (ROOT / name).read_text(encoding="utf-8").strip()
    )


def test_source_code_begins_with_its_licence() -> None:
    wrong = []
    for name in source_files():
        text = INTERPRETER.sub("", (ROOT / name).read_text(encoding="utf-8"))
        mark = COMMENT[(ROOT / name).suffix]
        if text.splitlines()[:3] != [mark + line for line in HEADER]:
            wrong.append(name)
    assert wrong == [], "these files do not begin with the three lines of the licence, as plugins/modules/apply.py does"


def test_there_is_source_code_in_every_part() -> None:
    assert {name.split("/")[0] for name in source_files()} >= {"plugins", "molecule", "tests"}


def test_reuse_speaks_for_every_file() -> None:
    assert "**" in [entry["path"] for entry in annotations()]
    for entry in annotations():
        assert entry["SPDX-License-Identifier"] == IDENTIFIER
        assert entry["SPDX-FileCopyrightText"] == f"2026 {HOLDER}"
        assert entry["precedence"] == "closest"
    for folder in without_header():
        assert (ROOT / folder).is_dir(), f"REUSE.toml names {folder}, which is not there"


def test_the_text_of_the_licence_is_there_once() -> None:
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "GNU GENERAL PUBLIC LICENSE" in text
    assert "Version 3, 29 June 2007" in text
    assert "END OF TERMS AND CONDITIONS" in text
    link = ROOT / "LICENSES" / f"{IDENTIFIER}.txt"
    assert link.is_symlink()
    assert link.resolve() == ROOT / "LICENSE"
    assert [path.name for path in (ROOT / "LICENSES").iterdir()] == [link.name]


def test_galaxy_says_the_same_licence() -> None:
    assert load(ROOT / "galaxy.yml")["license"] == [IDENTIFIER]
    assert "license_file" not in load(ROOT / "galaxy.yml")


@pytest.mark.parametrize("role", roles())
def test_roles_say_the_same_licence(role: str) -> None:
    assert load(ROOT / "roles" / role / "meta" / "main.yml")["galaxy_info"]["license"] == IDENTIFIER
