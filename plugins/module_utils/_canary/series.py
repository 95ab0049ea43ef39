# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A rollout as series of Prometheus: its weight, its phase and since when, and its verdicts. Pure.

The watchdog serves them, a driver pushes them, and `metrics_file` has them: everybody has the same names and labels from here. The text is
Prometheus' exposition format 0.0.4, without timestamps, which a Pushgateway refuses.
"""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.servicemesh.platform.plugins.module_utils._canary.state import State

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
VERDICTS = ("pass", "fail", "inconclusive")


def page(state: State, *, namespaced: bool) -> str:
    """All series of a rollout. `namespaced`: with the namespace, which else the scrape of a pod or a group of a Pushgateway adds."""
    return "".join(f"{line}\n" for line in _lines(state, namespaced))


def _lines(state: State, namespaced: bool) -> Iterator[str]:
    who = {**({"namespace": state.namespace} if namespaced else {}), "service": state.service, "version": state.version}
    phase = {**who, "phase": state.phase.value}
    yield from _head("weight", "gauge", "Percent of the requests that the canary is to have.")
    yield _sample("weight", who, state.weight)
    yield from _head("phase", "gauge", "1 for the phase that the rollout is in.")
    yield _sample("phase", phase, 1)
    yield from _head(
        "phase_start_time_seconds", "gauge", "Unix time at which this phase, or its stage or window, began."
    )
    yield _sample("phase_start_time_seconds", phase, state.since)
    yield from _head("verdicts_total", "counter", "Verdicts of the analysis.")
    for verdict in VERDICTS:
        yield _sample("verdicts_total", {**who, "verdict": verdict}, state.verdicts.get(verdict, 0))


def _head(name: str, kind: str, text: str) -> Iterator[str]:
    yield f"# HELP servicemesh_canary_{name} {text}"
    yield f"# TYPE servicemesh_canary_{name} {kind}"


def _sample(name: str, labels: dict[str, str], value: float) -> str:
    inner = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
    return f"servicemesh_canary_{name}{{{inner}}} {value!r}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
