# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the local cluster's programs are built from their Go modules, with a go that only answers."""

from __future__ import annotations

import importlib.util
import json
import stat
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.filter.component_steps import component_steps

from tests.support import ROOT

FILES = ROOT / "roles/local_cluster/files"


def build_go() -> Any:
    spec = importlib.util.spec_from_file_location("build_go", FILES / "build_go.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_file_that_a_module_lacks_is_put_into_a_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cache of modules is read-only and stays as it is."""
    module, scratch, here = tmp_path / "cache", tmp_path / "scratch", tmp_path / "here"
    (module / "ui").mkdir(parents=True)
    (module / "ui/web.go").write_text("package ui")
    (module / "ui/web.go").chmod(0o444)
    (module / "ui").chmod(0o555)
    for folder in (scratch, here):
        folder.mkdir()
    for name in ("go.mod", "go.sum"):
        (here / name).write_text(name)
    go = tmp_path / "go"
    answer = json.dumps({"Path": "example.com/alert", "Dir": str(module)})
    go.write_text(f'#!/bin/sh\nif [ "$2" = download ]; then echo \'{answer}\'; else echo "$@" >> {tmp_path}/said; fi\n')
    go.chmod(go.stat().st_mode | stat.S_IXUSR)
    monkeypatch.chdir(here)
    flags = build_go().fill_in(str(go), ["example.com/alert:ui/dist/page"], scratch)
    assert flags == [f"-modfile={scratch}/go.mod"]
    assert (scratch / "0/ui/dist/page").read_bytes() == b""
    assert (scratch / "0/ui/web.go").read_text() == "package ui"
    assert not (module / "ui/dist").exists()
    said = f"mod edit -replace=example.com/alert={scratch}/0 {scratch}/go.mod\n"
    assert (tmp_path / "said").read_text() == said


def test_what_a_component_needs_is_part_of_its_step() -> None:
    component = {"name": "a", "title": "A", "tags": "small,fast", "missing": ["m:p"], "assets": ["t=m:q"]}
    (step,) = component_steps([component], "/files", {"GO": "go"})
    assert step["argv"][4:] == ["--ldflags=-s -w", "--tags=small,fast", "--asset=t=m:q", "--missing=m:p"]
    (plain,) = component_steps([{"name": "a", "title": "A"}], "/files", {})
    assert plain["argv"][4:] == ["--ldflags=-s -w"]
