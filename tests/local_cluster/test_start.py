# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A second local cluster is started and removed, in time and without a trace."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.local_cluster.second import NAME, local, node_is_ready, output, traces

WARM_START_SECONDS = 60
DOWN_SECONDS = 15


@pytest.fixture(scope="module")
def before() -> dict[str, object]:
    """What was on the machine before the second cluster; one that an interrupted run left is removed first."""
    local("local_down.yml")
    return traces()


@pytest.fixture(scope="module")
def cluster(before: dict[str, object]) -> Iterator[float]:
    """The second cluster, running; the seconds that its start took."""
    started = time.monotonic()
    run = local("local_up.yml")
    seconds = time.monotonic() - started
    assert run.returncode == 0, run.told
    yield seconds
    local("local_down.yml")


def test_a_warm_start_is_quick_and_ends_with_a_ready_node(cluster: float) -> None:
    assert node_is_ready()
    assert cluster <= WARM_START_SECONDS


def test_there_is_no_way_out(cluster: float) -> None:
    routes = output("ip", "-netns", f"servicemesh-{NAME}", "route").splitlines()
    assert routes
    assert not [line for line in routes if line.startswith("default")]


def test_again_changes_nothing(cluster: float) -> None:
    run = local("local_up.yml")
    assert run.returncode == 0, run.told
    assert {host: counts["changed"] for host, counts in run.recap.items()} == {"local": 0}, run.told


def test_check_mode_on_a_running_cluster_reports_nothing(cluster: float) -> None:
    run = local("local_up.yml", "--check")
    assert run.returncode == 0, run.told
    assert {host: counts["changed"] for host, counts in run.recap.items()} == {"local": 0}, run.told


def test_down_is_quick_and_leaves_nothing(cluster: float, before: dict[str, object]) -> None:
    started = time.monotonic()
    run = local("local_down.yml")
    seconds = time.monotonic() - started
    assert run.returncode == 0, run.told
    assert traces() == before
    assert seconds <= DOWN_SECONDS


def test_down_again_changes_nothing(before: dict[str, object]) -> None:
    run = local("local_down.yml")
    assert run.recap["local"]["changed"] == 0, run.told


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("local_cluster_network", "198.18.7.0/24", "/30"),
        ("local_cluster_network", "127.0.0.0/30", "overlaps"),
        ("local_cluster_name", "Not_A_Name", "RFC 1123"),
        ("local_cluster_state", "presnet", "local_cluster_state"),
    ],
)
def test_wrong_input_is_refused_by_name(variable: str, value: str, said: str) -> None:
    there = traces()
    run = local("local_up.yml", "-e", f"{variable}={value}")
    assert run.returncode != 0
    assert said in run.text
    assert traces() == there, "something was begun"
