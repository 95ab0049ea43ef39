# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The archive that users install has what they run and read, and nothing else."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from tests.artifact import build, copy
from tests.contract.tree import ROOT
from tests.sanity.run import files

# What the collection's users run and read; everything else of the checkout is for those who work on it.
SHIPPED = {
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "LICENSE",
    "LICENSES",
    "README.md",
    "REUSE.toml",
    "changelogs",
    "docs",
    "execution-environment.yml",
    "inventories",
    "meta",
    "playbooks",
    "plugins",
    "requirements.txt",
    "requirements.yml",
    "roles",
}
NOT_SHIPPED = ("docs/site/",)
ADDED = {"FILES.json", "MANIFEST.json"}
# What lies in a checkout that somebody works in.
LOCAL = (
    ".venv/bin/python",
    ".ansible/tmp/x",
    ".env",
    ".vault_pass",
    ".hypothesis/examples/x",
    "build/tests/lint.json",
    "reports/mtls.html",
    "canary-user-service.html",
    "prod.kubeconfig",
    "servicemesh-platform-0.0.1.tar.gz",
    "roles/istio/tasks/main.retry",
    "plugins/modules/__pycache__/apply.cpython-311.pyc",
)


@pytest.fixture(scope="module")
def members(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tarfile.TarInfo]:
    """Files of an archive that was built in a checkout with local files."""
    checkout, folder = tmp_path_factory.mktemp("checkout"), tmp_path_factory.mktemp("archive")
    copy(ROOT, checkout, excluded=())
    for name in LOCAL:
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        (checkout / name).write_text("local", encoding="utf-8")
    with tarfile.open(build(checkout, folder)) as archive:
        return {member.name: member for member in archive.getmembers() if not member.isdir()}


def test_the_archive_is_the_shipped_part_of_the_checkout(members: dict[str, tarfile.TarInfo]) -> None:
    wanted = {
        name for name in files(ROOT, excluded=()) if name.split("/")[0] in SHIPPED and not name.startswith(NOT_SHIPPED)
    }
    assert set(members) - ADDED == wanted


def test_all_that_a_playbook_needs_is_shipped(members: dict[str, tarfile.TarInfo]) -> None:
    assert {"playbooks/site.yml", "meta/runtime.yml", "inventories/dev/hosts.yml", "LICENSE"} <= set(members)
    assert {name.split("/")[0] for name in members} == (SHIPPED | ADDED)


def test_galaxy_can_show_the_guides(members: dict[str, tarfile.TarInfo]) -> None:
    """It refuses larger ones (galaxy_importer/utils/markup.py), in the part that `make lint` leaves out."""
    shown = [name for name in members if name == "README.md" or (name.startswith("docs/") and name.endswith(".md"))]
    assert "README.md" in shown
    assert {name for name in shown if members[name].size > 512 * 1024} == set()


@pytest.mark.parametrize("name", LOCAL)
def test_nothing_local_is_shipped(members: dict[str, tarfile.TarInfo], name: str) -> None:
    assert name not in members


def test_links_stay_within_the_collection(members: dict[str, tarfile.TarInfo]) -> None:
    for name, member in members.items():
        if member.issym():
            assert not Path(member.linkname).is_absolute(), name
            assert (ROOT / name).resolve().is_relative_to(ROOT), name
