# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``make bench``: run every benchmark, print the table of all, and write docs/performance.md with its chart.

A benchmark is a module of this package with ``TITLE`` and ``rows(harness) -> list[Row]`` whose name does not start with an underscore.
``python -m tests.benchmarks`` runs all of them, ``python -m tests.benchmarks platform memory`` only these; the results of the others stay.
``python -m tests.benchmarks page`` measures nothing and writes page and chart again from the stored results.
"""

from __future__ import annotations

import datetime
import importlib
import importlib.metadata
import json
import os
import pkgutil
import platform as machine
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from tests import benchmarks
from tests.benchmarks import _chart, _page
from tests.benchmarks._harness import ROOT, BenchmarkError, Harness, opened
from tests.benchmarks._rows import Row, failed, table

# These come first, in this order; other modules follow.
_ORDER = ("convergence", "distance", "readiness", "memory", "platform")
RESULTS = Path(__file__).parent / "results.json"
PAGE = ROOT / "docs" / "performance.md"
CHART = ROOT / "docs" / "images" / "performance.svg"


def registry() -> dict[str, Any]:
    """Name -> module of each benchmark, in their order."""
    names = [info.name for info in pkgutil.iter_modules(benchmarks.__path__) if not info.name.startswith("_")]
    names.sort(key=lambda name: (_ORDER.index(name) if name in _ORDER else len(_ORDER), name))
    modules = {name: importlib.import_module(f"tests.benchmarks.{name}") for name in names}
    return {name: module for name, module in modules.items() if hasattr(module, "rows")}


def measure(harness: Harness, module: Any) -> tuple[dict[str, Any], list[Row]]:
    """One benchmark: its part of the results, and its rows. A failed one has one row with the reason. `ROUNDS` of a module are its most."""
    print(f"\n{module.TITLE}", file=sys.stderr, flush=True)
    harness.calm()
    started, load = time.time(), os.getloadavg()[0]
    try:
        rows = list(module.rows(harness))
    except Exception as error:  # continue with the others
        traceback.print_exc()
        rows = [failed(module.TITLE, str(error).splitlines()[0] if str(error) else type(error).__name__)]
    stored = {
        "title": module.TITLE,
        "when": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
        "minutes": round((time.time() - started) / 60, 1),
        "rounds": min(harness.runs, getattr(module, "ROUNDS", harness.runs)),
        "load": [round(load, 1), round(os.getloadavg()[0], 1)],
        "rows": [row.as_dict() for row in rows],
    }
    return stored, rows


def surroundings(harness: Harness) -> dict[str, str]:
    """The machine of the measurement."""
    versions = json.loads(harness.kubectl("version", "-o", "json"))
    galaxy = str(Path(sys.executable).parent / "ansible-galaxy")
    found = json.loads(
        harness.timed(
            [galaxy, "collection", "list", "kubernetes.core", "--format", "json"],
            env={"ANSIBLE_LOG_PATH": os.devnull, "ANSIBLE_DEPRECATION_WARNINGS": "False"},
        ).text
    )
    core = next(iter(found.values()))["kubernetes.core"]["version"]
    cpu = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
            if line.startswith("model name")
        ),
        machine.machine(),
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "cores": f"{os.cpu_count()} ({cpu}), shared by the client and all of the cluster",
        "memory": f"{memory:.0f} GiB",
        "kernel": machine.release().partition("-")[0],
        "Kubernetes": str(versions["serverVersion"]["gitVersion"]),
        "kubectl": str(versions["clientVersion"]["gitVersion"]),
        "Python": machine.python_version(),
        "ansible-core": importlib.metadata.version("ansible-core"),
        "kubernetes.core": core,
        "kubernetes (Python)": importlib.metadata.version("kubernetes"),
    }


def stored_results() -> dict[str, Any]:
    """Stored results of earlier measurements."""
    results: dict[str, Any] = {"machine": {}, "benchmarks": {}}
    if RESULTS.is_file():
        results = json.loads(RESULTS.read_text(encoding="utf-8"))
    return results


def write(results: dict[str, Any], *, full: bool) -> None:
    """Write results, page and chart; those of a trial go to build/, so that they are not mistaken for measurements."""
    folder = ROOT / "build" / "benchmarks"
    results_at, page_at, chart_at = RESULTS, PAGE, CHART
    if not full:
        results_at, page_at, chart_at = folder / RESULTS.name, folder / PAGE.name, folder / "images" / CHART.name
    chart_at.parent.mkdir(parents=True, exist_ok=True)
    results_at.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    page_at.write_text(_page.page(results), encoding="utf-8")
    chart_at.write_text(_chart.chart(_page.all_rows(results)), encoding="utf-8")
    print(f"\nwritten: {', '.join(str(path.relative_to(ROOT)) for path in (results_at, page_at, chart_at))}")


def run(names: list[str]) -> int:
    """Run these benchmarks, or all. Exit code 1 if one of them failed; a missed target is not a failure."""
    if names == ["page"]:
        write(stored_results(), full=True)
        return 0
    known = registry()
    if unknown := [name for name in names if name not in known]:
        raise BenchmarkError(f"unknown: {', '.join(unknown)}; there are {', '.join(known)}")
    broken = False
    with opened() as harness:
        before = stored_results() if harness.full else {"benchmarks": {}}
        results: dict[str, Any] = {"machine": surroundings(harness), "benchmarks": {}}
        everything: list[Row] = []
        for name, module in known.items():
            if names and name not in names:
                if name in before["benchmarks"]:
                    results["benchmarks"][name] = before["benchmarks"][name]
                continue
            results["benchmarks"][name], rows = measure(harness, module)
            broken = broken or any(not row.raw for row in rows)
            everything += rows
            print(f"\n{module.TITLE}\n{table(rows)}", flush=True)
        print(f"\nAll of this run, median of {harness.runs}\n{table(everything)}")
        write(results, full=harness.full)
    return int(broken)


def alone(name: str) -> None:
    """Run one benchmark: print its table, write nothing."""
    try:
        with opened() as harness:
            print(table(importlib.import_module(f"tests.benchmarks.{name}").rows(harness)))
    except BenchmarkError as error:
        raise SystemExit(str(error)) from None


def main() -> None:
    """Entry point."""
    try:
        sys.exit(run(sys.argv[1:]))
    except BenchmarkError as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
