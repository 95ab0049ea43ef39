# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reports of a play: refused before it where somebody chose a folder that cannot be written, and never its end."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.contract.tree import ROOT

NAME = "servicemesh.platform.report_files"


def played(tmp_path: Path, tasks: list[dict[str, Any]], *args: str) -> tuple[int, str]:
    """Exit code and output (in one line) of a play that runs in a folder of its own."""
    (tmp_path / "play.yml").write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": tasks}]))
    (tmp_path / "here").mkdir()
    done = subprocess.run(
        [str(Path(sys.executable).parent / "ansible-playbook"), "-v", str(tmp_path / "play.yml"), *args],
        cwd=tmp_path / "here",
        env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".collections"),
             "ANSIBLE_NOCOLOR": "1"},
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120, check=False,
    )  # fmt: skip
    return done.returncode, " ".join(done.stdout.split())


def test_a_folder_that_somebody_chose_is_refused_before_and_a_default_warns(tmp_path: Path) -> None:
    wrong = {"folder": "/dev/null/x", "files": {"a.json": ""}, "state": "checked"}
    code, text = played(tmp_path, [{NAME: {**wrong, "fallback": True}}, {NAME: wrong}])
    assert code == 2, text
    assert (
        "[WARNING]: /dev/null/x/a.json cannot be written: /dev/null is no folder; it will be a temporary file" in text
    )
    assert "Nothing was done. /dev/null/x/a.json cannot be written" in text
    assert "failed=1" in text
    assert "ok=1" in text


@pytest.mark.parametrize("check", [[], ["--check"]])
def test_what_cannot_be_written_is_elsewhere_and_the_play_goes_on(tmp_path: Path, check: list[str]) -> None:
    tasks = [
        {NAME: {"folder": folder, "files": {"a.json": "{}", "b.xml": "<x/>"}}} for folder in ("reports", "/dev/null/x")
    ]
    code, text = played(tmp_path, tasks, *check)
    assert code == 0, text
    assert "changed=0" in text
    reports = tmp_path / "here" / "reports"
    if check:
        assert not reports.exists()
        return
    assert {path.name: path.read_text() for path in reports.iterdir()} == {"a.json": "{}", "b.xml": "<x/>"}
    moved = Path(
        text.partition("/dev/null/x/a.json cannot be written: Not a directory; it is now ")[2].partition(" ")[0]
    )
    assert moved.read_text() == "{}"
    for path in {moved.parent, Path(text.rpartition("; it is now ")[2].partition(" ")[0]).parent}:
        shutil.rmtree(path)
