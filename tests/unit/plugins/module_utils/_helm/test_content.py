# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a chart's files Helm takes, and which of them differ from its record."""

from __future__ import annotations

import base64
import tarfile
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._helm.charts import local_files
from ansible_collections.servicemesh.platform.plugins.module_utils._helm.content import Ignored, differing

FILES = {
    "Chart.yaml": b"{name: small, version: 1.0.0}",
    "values.yaml": b"{a: 1, b: {c: true}}",
    "values.schema.json": b"{}",
    "templates/all.yaml": b"kind: ConfigMap",
    "README.md": b"words",
}


def recorded(**more: Any) -> dict[str, Any]:
    """What Helm records of FILES."""

    def entry(name: str) -> dict[str, str]:
        return {"name": name, "data": base64.b64encode(FILES[name]).decode()}

    return {
        "metadata": {"name": "small", "version": "1.0.0"},
        "templates": [entry("templates/all.yaml")],
        "files": [entry("README.md")],
        "schema": base64.b64encode(FILES["values.schema.json"]).decode(),
        "values": {"a": 1, "b": {"c": True}},
        **more,
    }


# internal/ignore/rules_test.go has such cases.
@pytest.mark.parametrize(
    ("rules", "path", "folder", "ignored"),
    [
        ("*.bak", "a/b.bak", False, True),
        ("/*.bak", "a/b.bak", False, False),
        ("a/*.bak", "a/b.bak", False, True),
        ("a/*.bak", "a/c/b.bak", False, False),
        ("cargo/", "cargo", True, True),
        ("cargo/", "cargo", False, False),
        ("!*.yaml", "a.txt", False, True),
        ("!*.yaml", "a.yaml", False, False),
        ("# *.txt\n\n  b?.txt ", "bb.txt", False, True),
        ("[a-c][^x].txt", "ay.txt", False, True),
        ("[a-c][^x].txt", "ax.txt", False, False),
        (r"\*.txt", "a.txt", False, False),
        ("[[]a", "[a", False, True),
        ("", "templates/.hidden", False, True),
        ("", "templates/shown", False, False),
        ("", ".hidden", False, False),
        ("\ufeff*.txt", "a.txt", False, True),
    ],
)
def test_rules_leave_out_what_helm_leaves_out(rules: str, path: str, folder: bool, ignored: bool) -> None:
    assert Ignored(rules)(path, folder=folder) is ignored


@pytest.mark.parametrize("rule", ["a/**", "[a"])
def test_rules_that_helm_refuses_are_refused(rule: str) -> None:
    with pytest.raises(ValueError, match=r"its \.helmignore has"):
        Ignored(rule)


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, []),
        ({"Chart.yaml": b"x: y", "Chart.lock": b"z"}, []),
        ({"templates/all.yaml": b"kind: Secret"}, ["templates/all.yaml"]),
        ({"templates/more.yaml": b"", "crds/a.yaml": b"x"}, ["crds/a.yaml", "templates/more.yaml"]),
        ({"README.md": None}, ["README.md"]),
        ({"values.schema.json": None}, ["values.schema.json"]),
        ({"values.yaml": b"a: 1\nb:\n  # a comment\n  c: true\n"}, []),
        ({"values.yaml": b"\xef\xbb\xbfa: 1\n---\nb: {c: true}\n"}, []),
        ({"values.yaml": b"{a: 2, b: {c: true}}"}, ["values.yaml"]),
        ({"values.yaml": None}, ["values.yaml"]),
        # Helm does not record subcharts, and their values change those that it records.
        ({"charts/x/Chart.yaml": b"x", "values.yaml": b"a: 2"}, []),
        ({"templates/all.yaml": b"\xef\xbb\xbfkind: ConfigMap"}, []),
    ],
)
def test_files_that_differ_are_named(changed: dict[str, bytes | None], expected: list[str]) -> None:
    files = {name: data for name, data in {**FILES, **changed}.items() if data is not None}
    assert differing(files, recorded()) == expected


def test_a_folder_and_its_archive_have_the_same_files(tmp_path: Path) -> None:
    chart, elsewhere = tmp_path / "small", tmp_path / "elsewhere"
    for name, data in {**FILES, "templates/.x": b"", "junk/a.txt": b"", ".helmignore": b"junk/\n"}.items():
        (chart / name).parent.mkdir(parents=True, exist_ok=True)
        (chart / name).write_bytes(data)
    elsewhere.mkdir()
    (elsewhere / "linked.yaml").write_bytes(b"linked")
    (chart / "files").symlink_to(elsewhere)
    found = local_files(str(chart))
    assert found == {**FILES, "files/linked.yaml": b"linked", ".helmignore": b"junk/\n"}
    archive = tmp_path / "small-1.0.0.tgz"
    with tarfile.open(archive, "w:gz", dereference=True) as written:
        for name in found:
            written.add(chart / name, f"small/{name}")
    assert local_files(str(archive)) == found
    assert local_files(str(tmp_path / "none.tgz")) is None
    archive.write_bytes(b"no archive")
    with pytest.raises(ValueError, match="cannot be read"):
        local_files(str(archive))
