# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of the benchmark beside Flagger and Argo Rollouts that need no cluster."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.plugin_utils._build_cache import parse_steps

from tests.benchmarks import peers
from tests.benchmarks._chart import chart
from tests.benchmarks._harness import BenchmarkError
from tests.benchmarks._page import page
from tests.benchmarks._peers import build, objects
from tests.benchmarks._peers.process import Driver, computed, memory
from tests.benchmarks._peers.runs import Cost, Outcome, Run, Scenario, beside, failures, last_old, rows_of, window

HOST = "web.n.svc.cluster.local"


def split(canary: int, *, by: str = "subset") -> list[dict[str, Any]]:
    targets = (
        [{"host": HOST, "subset": "stable"}, {"host": HOST, "subset": "canary"}]
        if by == "subset"
        else [{"host": "web-primary"}, {"host": "web-canary"}]
    )
    return [
        {"destination": target, "weight": share} for target, share in zip(targets, (100 - canary, canary), strict=True)
    ]


def virtual_service(*weights: int, by: str = "subset") -> dict[str, Any]:
    return {
        "spec": {"http": [{"name": f"r{index}", "route": split(share, by=by)} for index, share in enumerate(weights)]}
    }


def app(hook: dict[str, Any]) -> dict[str, Any]:
    container = {"name": "web", "lifecycle": {"preStop": hook}}
    labels = {"app": "web", "track": "stable", "version": "v1"}
    return {
        "kind": "Deployment",
        "spec": {"template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}}},
    }


# Objects -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["subset", "host"])
def test_the_weight_is_that_of_the_new_version_by_subset_and_by_host(by: str) -> None:
    assert objects.weight(virtual_service(0, 0, by=by)) == 0
    assert objects.weight(virtual_service(0, 30, by=by)) == 30
    assert objects.weight({"spec": {"http": [{"redirect": {"uri": "/"}}]}}) == 0
    assert objects.weight(None) == 0


def test_what_a_user_added_is_found_and_what_was_lost_is_named() -> None:
    plain, slept = virtual_service(0, 0), objects.with_sleep(app({"exec": {"command": ["sleep", "2"]}}))
    added = objects.with_extras(plain, "elsewhere")
    template = slept["spec"]["template"]
    assert set(objects.kept(added, template).values()) == {True}
    assert set(objects.kept(plain, app({})["spec"]["template"]).values()) == {False}
    without = json.loads(json.dumps(added))
    del without["spec"]["http"][2]["mirror"]
    lost = objects.kept(without, template)
    assert [name for name, there in lost.items() if not there] == ["mirror"]
    assert len(plain["spec"]["http"]) == 2, "the original is not changed"


def test_all_contestants_have_the_same_steps() -> None:
    (canary,) = objects.flagger("n")
    assert canary["spec"]["analysis"]["stepWeights"] == list(objects.STEPS)
    task = objects.ours("n", app({}), "v2")["servicemesh.platform.canary"]
    assert task["steps"] == list(objects.STEPS)
    for background, between in ((False, "analysis"), (True, "pause")):
        steps = objects.argo_strategy("v2", background=background)["steps"]
        assert [step["setWeight"] for step in steps[::2]] == list(objects.STEPS)
        assert all(between in step for step in steps[1::2])
    assert objects.argo_strategy("v2")["analysis"] is None, "a merge patch removes that of the release before"


def test_argo_gets_subsets_without_the_label_that_only_our_deployments_have() -> None:
    rule = {"kind": "DestinationRule", "spec": {"subsets": [{"name": "stable", "labels": {"track": "stable"}}]}}
    found = objects.argo("n", [rule], app({}), "http://p")
    text = json.dumps(found)
    assert "track" not in text
    assert [obj["kind"] for obj in found] == ["DestinationRule", "AnalysisTemplate", "Rollout"]
    assert rule["spec"]["subsets"][0]["labels"] == {"track": "stable"}, "ours keeps its own"  # type: ignore[index]


def test_lines_are_those_of_yaml() -> None:
    assert objects.lines([{"a": 1, "b": [1, 2]}, {"c": 1}]) == len("a: 1\nb:\n- 1\n- 2\n---\nc: 1\n".splitlines())


# Builds --------------------------------------------------------------------------------------------------------------


def test_the_peers_are_built_of_the_versions_that_the_title_names(monkeypatch: pytest.MonkeyPatch) -> None:
    pinned = {
        "flagger": ("github.com/fluxcd/flagger", "1.36.1"),
        "argo": ("github.com/argoproj/argo-rollouts", "1.10.2"),
    }
    for name, (module, version) in pinned.items():
        text = (Path(build.__file__).parent / "modules" / name / "go.mod").read_text(encoding="utf-8")
        assert f"{module} v{version}" in text
        assert version in peers.TITLE
    for version, names in (
        ((1, 26, 8), ["go", "flagger", "argo"]),
        ((1, 27, 0), ["flagger", "argo"]),
    ):
        monkeypatch.setattr(build, "_version", lambda _go, found=version: found)
        monkeypatch.setattr(build.shutil, "which", lambda _name: "/go")
        steps = parse_steps(build._steps(list(pinned)))
        assert [step.name for step in steps] == names
        assert all(Path(step.chdir, step.argv[1]).is_file() for step in steps[-2:]), "build_go.py"


# Processes -----------------------------------------------------------------------------------------------------------

_FAMILY = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; x = bytearray(30_000_000); print('up', flush=True); time.sleep(60)"],
                         start_new_session=True)
print(child.pid, flush=True)
time.sleep(60)
"""


def test_a_killed_driver_takes_its_children_with_it_wherever_their_sessions_are(tmp_path: Path) -> None:
    driver = Driver([sys.executable, "-c", _FAMILY], os.environ, tmp_path / "log")
    assert driver.pids() == []
    driver.start()
    try:
        deadline = time.monotonic() + 20
        while "up" not in driver.tail():
            assert time.monotonic() < deadline, driver.tail()
            time.sleep(0.02)
        child = int(driver.tail().split("up")[0].split()[0])
        assert child in driver.pids()
        assert memory(driver.pids()) > 30
        assert computed(driver.pids()) >= 0
    finally:
        driver.kill()
    assert not driver.running()
    assert driver.processor > 0
    deadline = time.monotonic() + 10
    while Path(f"/proc/{child}").exists() and "Z" not in Path(f"/proc/{child}/stat").read_text().rpartition(")")[2][:3]:
        assert time.monotonic() < deadline, "the child goes on"
        time.sleep(0.02)
    driver.start()
    assert driver.starts == 2
    driver.kill()


# Runs ----------------------------------------------------------------------------------------------------------------

ENTRIES = [
    {"time": 10.0, "v1 200": 20},
    {"time": 11.0, "v1 200": 18, "v2 500": 2},
    {"time": 12.0, "v1 503": 1, "v2 200": 18, "none ConnectionResetError": 1},
    {"time": 13.0, "v2 200": 20},
]


def test_what_fails_and_who_answers_is_read_from_the_stream_of_requests() -> None:
    assert failures(ENTRIES, 0, 99) == 4
    assert failures(ENTRIES, 11.5, 99) == 2
    assert last_old(ENTRIES, "v2") == 11.0
    assert last_old([], "v2") is None


@pytest.mark.parametrize(
    ("samples", "found"),
    [
        ([(0.0, 0)], (None, None)),
        ([(0.0, 30), (1.0, 0), (5.0, 10), (15.0, 30), (25.0, 0)], (5.0, 25.0)),
        ([(5.0, 10)], (5.0, None)),
    ],
)
def test_a_weight_opens_and_closes_after_the_release(
    samples: list[tuple[float, int]], found: tuple[float | None, float | None]
) -> None:
    assert window(samples, 2.0) == found


def run(outcome: Outcome, seconds: float, **more: Any) -> Run:
    return Run(outcome=outcome, begun=0, ended=seconds + 5, opened=5, closed=5 + seconds, **more)


def test_a_row_takes_the_better_of_the_others_and_names_what_did_not_end_as_expected() -> None:
    good = {
        "ours": {Scenario.BAD: [run(Outcome.ROLLED_BACK, 12, failed=8)]},
        "Flagger": {Scenario.BAD: [run(Outcome.ROLLED_BACK, 20, failed=9), run(Outcome.PROMOTED, 60, failed=99)]},
        "Argo": {Scenario.BAD: [run(Outcome.ROLLED_BACK, 14, failed=7)]},
    }
    requests, seconds = rows_of(good, {})
    assert (requests.value, requests.limit, requests.reached) == (8, 7, False)
    assert (seconds.value, seconds.limit, seconds.reached, seconds.reason) == (12, 14, True, "")
    assert seconds.cells["Flagger"] == "20.0 s, rolled back 1 of 2, promoted 1 of 2"
    assert seconds.raw["Flagger"] == [20]


def test_ours_does_not_reach_a_target_with_releases_that_ended_otherwise() -> None:
    runs = {
        "ours": {Scenario.BAD: [run(Outcome.ROLLED_BACK, 1), run(Outcome.PROMOTED, 1)]},
        "Flagger": {Scenario.BAD: [run(Outcome.ROLLED_BACK, 20)]},
    }
    assert [row.reached for row in rows_of(runs, {})] == [False, False]
    silent = {
        "ours": {Scenario.SILENCE: [run(Outcome.PROMOTED, 1), run(Outcome.ROLLED_BACK, 1), run(Outcome.ROLLED_BACK, 1)]}
    }
    (row,) = rows_of(silent, {})
    assert row.reached is False, "one of three is too many, whatever the median is"


def test_outcomes_strikes_extras_and_costs_have_their_rows() -> None:
    kept = {"mirror": True, "timeout": False}
    one = {
        Scenario.GOOD: [run(Outcome.PROMOTED, 40, old_until=33, processor=2.5)],
        Scenario.KILL: [run(Outcome.PROMOTED, 40, struck=25.0, again=3)],
        Scenario.PROMETHEUS: [run(Outcome.ROLLED_BACK, 40, struck=25.0)],
        Scenario.SILENCE: [run(Outcome.ROLLED_BACK, 40), run(Outcome.PROMOTED, 30, variant="a variant")],
        Scenario.EXTRAS: [run(Outcome.PROMOTED, 40, kept=kept)],
    }
    cost = {"ours": Cost(0, 0, 90, 5, 120), "Flagger": Cost(50, 1.5, 60, 2, 80)}
    found = {row.what.partition(":")[0] + "|" + row.unit: row for row in rows_of({"ours": one, "Flagger": one}, cost)}
    text = "\n".join(row.measured for row in rows_of({"ours": one, "Flagger": one}, cost))
    assert "20.0 s, promoted 1 of 1, 0 failed requests, started again 3 times" in text
    assert "rolled back 1 of 1, weight 0 after 40.0 s, with a variant: promoted 1 of 1" in text
    assert "lost: timeout" in text
    assert "120, 5 objects or tasks" in text
    assert found["no traffic|%"].reached
    assert not found["cost|"].reached, "more lines than Flagger"


def test_a_contestant_without_a_figure_is_none_and_a_row_without_others_has_no_limit() -> None:
    row = beside("x", {"ours": [], "Flagger": [2.0]}, "s")
    assert (row.reached, row.cells["ours"]) == (False, "none")
    alone = beside("x", {"ours": [3.0]}, "s")
    assert (alone.reached, alone.limit) == (True, 0.0)


def test_the_page_has_a_column_for_each_contestant_and_the_chart_has_none_of_it() -> None:
    rows = [
        beside("a|b", {"ours": [1.0, 3.0], "Flagger": [2.0], "Argo": [4.0]}, "s"),
        beside("c", {"ours": [5.0], "Flagger": [1.0]}, "s"),
    ]
    measured = {"title": "P", "when": "2026-01-01", "minutes": 1, "rounds": 3, "load": [0, 0]}
    stored = json.loads(
        json.dumps({"machine": {}, "benchmarks": {"p": {**measured, "rows": [row.as_dict() for row in rows]}}})
    )
    text = page(stored)
    assert "| what | ours | Flagger | Argo | target | |\n|---|---|---|---|---|---|" in text
    assert "| a\\|b | 2.00 s | 2.00 s | 4.00 s | no more than the better of the others | reached |" in text
    assert "| c | 5.00 s | 1.00 s |  | no more than the better of the others | **not reached** |" in text
    assert "* a|b: ours: 1.00 3.00 s; Flagger: 2.00 s; Argo: 4.00 s" in text
    assert "a|b" not in chart(rows)


def test_contestants_and_scenarios_are_chosen_by_name() -> None:
    assert peers.chosen([]) == (list(peers.TOOLS), list(Scenario))
    assert peers.chosen(["argo", "kill", "bad"]) == (["argo"], [Scenario.BAD, Scenario.KILL])
    with pytest.raises(BenchmarkError, match="unknown: worse; there are ours, flagger, argo, bad"):
        peers.chosen(["worse"])
