# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each provider of metrics has, and what measurements share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.metrics import Metric, Subject
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.providers.known import Known
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.verdict import Sample, Verdict
from ansible_collections.servicemesh.platform.plugins.module_utils._http import Deadline
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import Client
from ansible_collections.servicemesh.platform.plugins.module_utils._prometheus import Prometheus

Options = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Servers:
    """Whom measurements ask. `prometheus` is None when its address is not given."""

    client: Client
    prometheus: Prometheus | None


@dataclass(frozen=True, slots=True)
class Request:
    """One measurement of one version over `window` seconds that end now.

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
    """A measurement that is a verdict and not a number."""

    verdict: Verdict
    reason: str


@dataclass(frozen=True, slots=True)
class Trial:
    """What a start finds out about a metric.

    `findings` refuse the start. `no_samples`: the metric is right, but has no samples yet. `not_tried`: what could not be checked.
    """

    findings: tuple[str, ...] = ()
    no_samples: tuple[str, ...] = ()
    not_tried: tuple[str, ...] = ()


class Provider(ABC):
    """One way to measure. It is chosen by an entry of `analysis` that has the option `option`."""

    option: ClassVar[str]
    # Its options in the argument specification of the module; the module's documentation describes them.
    options: ClassVar[Mapping[str, Mapping[str, Any]]]
    # Those that an approval takes as well; none when an approval cannot be given by it.
    approval_options: ClassVar[tuple[str, ...]] = ()
    needs_prometheus: ClassVar[bool] = False
    has_number: ClassVar[bool] = True  # else it has a verdict, and needs no limits
    tells_versions_apart: ClassVar[bool] = True  # else only variables such as $subset do
    failure_is_final: ClassVar[bool] = False  # waiting cannot change a failure

    def findings(self, _entry: Options) -> list[str]:
        """Everything that is wrong with the options of an entry, without I/O."""
        return []

    def reporters(self, _entry: Options) -> tuple[str, ...]:
        """Reporters of which each has a metric of its own."""
        return ("",)

    def query(self, _metric: Metric, _subject: Subject, _window: float) -> str:
        """What is asked, for people; without secrets."""
        return ""

    def tried(self, _servers: Servers, _metric: Metric, _subject: Subject, _known: Known | None) -> Trial:
        """What a start finds out about a metric of the canary. `known` is what Prometheus has, None without its address. Writes nothing."""
        return Trial()

    @abstractmethod
    def measure(self, servers: Servers, request: Request) -> Sample | Outcome:
        """The measurement. Errors are samples without a number. Raises Pending when it takes longer than this call."""
