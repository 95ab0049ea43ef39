# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Unit tests of tests/parts.py, and that each part of ``make test`` has a budget."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import parts
from tests.parts import Case, Part, budgets, cases, duration, table

TABLE = """
| command | budget | what |
|---|---|---|
| `make units` | 2 min | unit tests |
| `make lint` | 50 s | linters |
| `make e2e-changes` | 4 min 30 s | what changes the platform |
| `make bench` | none | an hour |
"""
JUNIT = """<?xml version="1.0"?><testsuites><testsuite>
<testcase classname="tests.e2e.test_ingress" name="test_a" time="1.5"/>
<testcase classname="tests.e2e.test_ingress" name="test_b[x-y]" time="12.25"><failure>no</failure></testcase>
</testsuite></testsuites>"""


def test_budgets_are_the_tables() -> None:
    assert budgets(TABLE) == {"units": 120, "lint": 50, "e2e-changes": 270}


@pytest.mark.parametrize(("seconds", "text"), [(0.4, "0 s"), (59.6, "1 min 0 s"), (272, "4 min 32 s")])
def test_durations_for_people(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_tests_are_read_from_junit() -> None:
    assert cases("e2e", JUNIT) == [
        Case("e2e", "e2e/test_ingress::test_a", 1.5),
        Case("e2e", "e2e/test_ingress::test_b[x-y]", 12.25),
    ]


def test_the_table_names_what_is_over_budget_or_failed_and_the_slowest_tests() -> None:
    parts_ = [Part("units", 130, 0, 100.0), Part("lint", 40, 1, 90.0), Part("browser", 10, 0, 95.0)]
    many = [Case("units", f"t::test_{number}", float(number)) for number in range(30)]
    lines = table(parts_, {"units": 120, "lint": 50, "test": 150}, many).splitlines()
    assert [line.split("  ")[0] for line in lines[1:5]] == ["lint", "browser", "units", "together"]
    assert lines[1].endswith("failed")
    assert lines[2].endswith("none")
    assert lines[3].endswith("over budget")
    assert "2 min 20 s" in lines[4]
    assert not lines[4].endswith("over budget")
    assert [line.split("test_")[1] for line in lines[7:]] == [str(number) for number in range(29, 9, -1)]


@pytest.mark.parametrize("at_end", [True, False])
def test_a_part_shows_its_output_and_leaves_what_it_took(
    at_end: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(parts, "FOLDER", tmp_path)
    assert parts.run("units", [sys.executable, "-c", "print('one'); raise SystemExit(3)"], at_end=at_end) == 3
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("== units: started, budget")
    assert lines[1] == "one"
    assert lines[2].startswith("== units: failed with status 3 in ")
    assert json.loads((tmp_path / "units.json").read_text())["status"] == 3
    assert (tmp_path / "units.log").read_text() == "one\n"


def test_a_part_in_the_background_gives_way_with_its_whole_session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "FOLDER", tmp_path)
    here = (os.nice(0), os.getsid(0))  # these tests themselves may run in the background
    look = (
        "import os, pathlib; group = pathlib.Path('/proc/self/autogroup')\n"
        "print(os.getsid(0) == os.getpid(), os.nice(0), group.read_text().split()[-1] if group.exists() else 5)"
    )
    assert parts.run("units", [sys.executable, "-c", look], at_end=True, background=True) == 0
    assert (tmp_path / "units.log").read_text().split() == ["True", "19", "5"]
    assert (os.nice(0), os.getsid(0)) == here
    assert parts.run("units", [sys.executable, "-c", look], at_end=True) == 0
    assert (tmp_path / "units.log").read_text().startswith("False")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_part_in_the_background_ends_with_who_started_it(number: signal.Signals, tmp_path: Path) -> None:
    """It has a session of its own, which the signals of a terminal and of make do not reach."""
    child = f"import os, pathlib, time; pathlib.Path(r'{tmp_path}/pid').write_text(str(os.getpid())); time.sleep(60)"
    code = (
        f"import pathlib, sys; sys.path.insert(0, {str(parts.ROOT)!r}); from tests import parts\n"
        f"parts.FOLDER = pathlib.Path({str(tmp_path)!r})\n"
        f"parts.run('units', [sys.executable, '-c', {child!r}], at_end=True, background=True)"
    )
    reset = ["env", "--default-signal"]  # under nohup, or in the background of a shell, it would ignore them
    with subprocess.Popen([*reset, sys.executable, "-c", code], stderr=subprocess.DEVNULL) as run:
        until((tmp_path / "pid").exists)
        until(lambda: bool((tmp_path / "pid").read_text()))
        run.send_signal(number)
        assert run.wait(timeout=30) != 0
    until(lambda: not alive(int((tmp_path / "pid").read_text())))


def alive(pid: int) -> bool:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False


def until(condition: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_what_a_killed_run_left_half_written_is_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "FOLDER", tmp_path)
    for name in ("units.json", "units.xml"):
        (tmp_path / name).write_text("<testsuites")
    (tmp_path / "units.log").write_text("kept")
    assert parts.main(["forget"]) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["units.log"]


def test_each_part_of_make_test_has_a_budget() -> None:
    makefile = (parts.ROOT / "Makefile").read_text(encoding="utf-8")
    run = set(re.findall(r"^([a-z0-9-]+):.*\n\t@.*\$\(call part,\$@\)", makefile, re.MULTILINE))
    run |= set(re.findall(r"^([a-z0-9-]+):.*\n\t@[^\n]*\n\t\$\(call part,\$@\)", makefile, re.MULTILINE))
    found = budgets((parts.ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"))
    assert run > {"lint", "units", "browser", "integration", "rebuild", "e2e"}
    assert run | {"up", "test"} == set(found)
