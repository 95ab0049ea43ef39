# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection as users get it: built, installed into an empty folder, and run from a folder that is no checkout."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.artifact import build, copy, install
from tests.support import ROOT, Run, ansible_playbook


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the collection is installed."""
    checkout, archive, installed = (tmp_path_factory.mktemp(name) for name in ("checkout", "archive", "collections"))
    copy(ROOT, checkout, excluded=())
    return install(build(checkout, archive), installed)


def run(collection: Path, folder: Path, playbook: str, *args: str) -> Run:
    """Runs a playbook of the installed collection by its full name; neither ansible.cfg nor the collection of the checkout is in reach."""
    return ansible_playbook(
        f"servicemesh.platform.{playbook}",
        "-i",
        str(collection / "inventories" / "local"),
        *args,
        environment={"ANSIBLE_COLLECTIONS_PATH": str(collection.parent.parent.parent)},
        folder=folder,
    )


@pytest.mark.slow
def test_the_installed_collection_finds_the_platform_as_it_has_to_be(
    collection: Path, tmp_path: Path, kubeconfig: str
) -> None:
    done = run(collection, tmp_path, "site", "--check", "-e", f"platform_kubeconfig={kubeconfig}")
    assert done.returncode == 0, done.told
    assert done.recap, done.told
    assert {host: counters["changed"] for host, counters in done.recap.items()} == dict.fromkeys(done.recap, 0), (
        done.told
    )
    assert "[WARNING]" not in done.text, done.told


@pytest.mark.parametrize("playbook", ["canary", "teardown", "local_up"])
def test_other_playbooks_are_found_too(collection: Path, tmp_path: Path, playbook: str) -> None:
    done = run(collection, tmp_path, playbook, "--syntax-check")
    assert done.returncode == 0, done.told
    assert "playbook: " in done.text, done.told


def test_without_the_collection_nothing_is_found(tmp_path: Path) -> None:
    """What makes the other tests mean something: the checkout is not in reach."""
    empty = tmp_path / "ansible_collections" / "servicemesh" / "platform"
    done = run(empty, tmp_path, "site", "--syntax-check")
    assert done.returncode != 0, done.told
