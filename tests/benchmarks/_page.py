# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/performance.md, from the results. No I/O."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from tests.benchmarks._rows import Row, raw_text, row_of, times

_INTRO = """# Performance

<!-- Written by `make bench` from tests/benchmarks/results.json. Change the benchmarks, not this page. -->

Times and resources of `servicemesh.platform.apply` and the platform, compared with other tools: whole commands, on the same cluster in
the same run. The time of a playbook includes the start of Ansible. The figures of all rounds are below each table.

![Bar chart of the figures below](images/performance.svg)
"""
_HOW = """## How it is measured

* `make bench` on the local cluster, without other work; a benchmark starts when the cluster is idle after the previous one.
  Five rounds; the median counts. Each contestant gets a new namespace in each round, the order changes from round to round, and
  a first round with one service fills all caches and does not count.
* The set: a Namespace, and for each service a ServiceAccount, ConfigMap, Service, VirtualService and DestinationRule. 50 services are 251
  objects, 200 are 1,001, 1,000 are 5,001.
* A playbook is what a user would write: `hosts: localhost`, `connection: local`, one task, and
  `ansible_python_interpreter: "{{ ansible_playbook_python }}"`. `apply` keeps its defaults, so it waits until its objects are ready; the
  others do not wait.
* A contestant that did not complete its work fails the benchmark: all objects are counted in the API server after a first run, and a second
  run must find nothing to change.
* The module and the API server count requests. The server has a FlowSchema for a separate user of the benchmark, so it counts only these
  requests (`apiserver_flowcontrol_dispatched_requests_total`). The higher number counts.
* Distance: answers of the API server are delayed by netem inside the cluster's network namespace if the kernel has it, otherwise by a TCP
  proxy on loopback. The table shows the measured delay.
* Readiness: from just before the request that changes an object's condition until the module's work returns.
* Canary beside others: Flagger and Argo Rollouts at the versions of the title, each in a namespace of its own, at the same time, with the
  same service, 20 requests a second, steps of 10, 30 and 60 %, 10 s between two of them, one failed check that rolls back, and a
  Prometheus that scrapes each second. Three rounds; medians. Flagger's metric looks 20 s back (over 10 s it finds no values at times, and
  rolls back good versions), that of Argo Rollouts 10 s, by the label `destination_version`. Their controllers run all the time, as
  processes in the node's network; ours is a playbook for each release. What is told apart is what a user sees: weights in the
  VirtualService, answers to the requests, and the status that each tool reports at the end. A release begins with the change of the pod
  template, or with the start of the playbook. Killed: SIGKILL to the controller, or to the playbook and all its processes, 2 s after the
  second weight, and the same command again. Flagger 1.36.1 does not know `preStop.sleep`: it writes the Deployment without the handler,
  the API server refuses that, and the release does not end; route, mirror and timeout go when it writes the VirtualService.
* Memory: the resident memory of the largest process, as the kernel counts it (`ru_maxrss`), in MB of 10^6 bytes.

`python -m tests.benchmarks.<name>` runs one benchmark and prints its table. With `BENCH_RUNS=1 BENCH_SCALE=0.1` it is a trial, which
writes nothing here.
"""


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _lines(rows: Sequence[Row]) -> list[str]:
    if rows and all(row.cells for row in rows):
        return _columns(rows)
    lines = ["| what | target | measured | ratio | |", "|---|---|---|---|---|"]
    for row in rows:
        ratio = "" if row.ratio is None else times(row.ratio)
        verdict = "reached" if row.reached else "**not reached**"
        lines.append(f"| {_cell(row.what)} | {_cell(row.target)} | {_cell(row.measured)} | {ratio} | {verdict} |")
    return lines


def _columns(rows: Sequence[Row]) -> list[str]:
    """A table with a column for each contestant."""
    names = list(dict.fromkeys(name for row in rows for name in row.cells))
    lines = [f"| what | {' | '.join(names)} | target | |", "|---" * (len(names) + 3) + "|"]
    for row in rows:
        cells = [_cell(row.cells.get(name, "")) for name in names]
        verdict = "reached" if row.reached else "**not reached**"
        lines.append(f"| {_cell(row.what)} | {' | '.join(cells)} | {_cell(row.target)} | {verdict} |")
    return lines


def _figures(rows: Sequence[Row]) -> list[str]:
    """The figures of all rounds. Those of a row with columns stand together, because names are the same in each such row."""
    texts = [
        text
        for row in rows
        for text in ([f"{row.what}: {'; '.join(raw_text(row))}"] if row.cells and row.raw else raw_text(row))
    ]
    return [f"* {text}" for text in dict.fromkeys(texts)]


def _section(stored: Mapping[str, Any]) -> list[str]:
    rows = [row_of(row) for row in stored["rows"]]
    lines = [f"## {stored['title']}", "", *_lines(rows), "", *_figures(rows)]
    missed = [row for row in rows if not row.reached]
    if missed:
        lines += ["", "Why not reached:", ""]
        for row in missed:
            lines += textwrap.wrap(f"* {row.what}: {row.reason}.", 140, subsequent_indent="  ", break_on_hyphens=False)
    lines += [
        "",
        f"Measured on {stored['when']} in {stored['minutes']} minutes; rounds: {stored['rounds']}; load average ",
    ]
    lines[-1] += f"{stored['load'][0]} at the start, {stored['load'][1]} at the end."
    return [*lines, ""]


def page(results: Mapping[str, Any]) -> str:
    """The whole file, from the content of `results.json`: `machine` (name -> text) and `benchmarks` (name -> results)."""
    lines = [_INTRO]
    for stored in results["benchmarks"].values():
        lines += _section(stored)
    lines += ["## Where", "", "| | |", "|---|---|"]
    lines += [f"| {name} | {_cell(str(value))} |" for name, value in results["machine"].items()]
    return "\n".join([*lines, "", _HOW])


def all_rows(results: Mapping[str, Any]) -> list[Row]:
    """The rows of all benchmarks, in their order."""
    return [row_of(row) for stored in results["benchmarks"].values() for row in stored["rows"]]
