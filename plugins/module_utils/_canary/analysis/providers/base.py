# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What measurements share: whom they ask, what is asked for, and what comes of it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.metrics import Metric, Subject
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.verdict import Verdict
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import Client
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.http import Deadline
from ansible_collections.servicemesh.platform.plugins.module_utils._prometheus import Prometheus


@dataclass(frozen=True, slots=True)
class Servers:
    """Whom measurements ask. `prometheus` is None when its address is not given."""

    client: Client
    prometheus: Prometheus | None


@dataclass(frozen=True, slots=True)
class Request:
    """The measurement of a metric of one version over `window` seconds that end now.

    `deadline` is that of the metric's whole check. `job` is a name that no other window of the rollout has. `waited`: seconds since the
    measurement was due.
    """

    metric: Metric
    subject: Subject
    window: float
    deadline: Deadline
    job: str = ""
    waited: float = 0.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """Verdict of one metric in one window, with the numbers that are known: of both versions, and of the canary's requests."""

    verdict: Verdict
    reason: str
    value: float | None = None
    stable: float | None = None
    requests: float | None = None


@dataclass(frozen=True, slots=True)
class Trial:
    """What a start finds out about metrics.

    `findings` refuse the start. `no_samples`: the metric is right, but has no samples yet. `not_tried`: what could not be checked.
    """

    findings: tuple[str, ...] = ()
    no_samples: tuple[str, ...] = ()
    not_tried: tuple[str, ...] = ()

    def __add__(self, other: Trial) -> Trial:
        """What both found, each once."""
        names = [entry.name for entry in dataclasses.fields(Trial)]
        return Trial(*(tuple(dict.fromkeys((*getattr(self, name), *getattr(other, name)))) for name in names))
