# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each provider of metrics has."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis import verdict
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.metrics import (
    REPORTERS,
    Metric,
    Subject,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.providers.asking import requests
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.providers.base import (
    Outcome,
    Request,
    Servers,
    Trial,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.providers.known import Known
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.verdict import Sample

Options = Mapping[str, Any]


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """What the guide's table of providers says: `measures`, the limits of an answer, and what a start tries of it."""

    measures: str
    limits: str
    at_start: str


class Provider(ABC):
    """One way to measure. It is chosen by an entry of `analysis` that has the option `option`."""

    option: ClassVar[str]
    # Its options in the argument specification of the module, each with its `description` (a text or a list of sentences) for the
    # module's documentation, and with a shorter `approval_description` where that of an approval is another one.
    options: ClassVar[Mapping[str, Mapping[str, Any]]]
    row: ClassVar[Row]
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
    def judged(self, servers: Servers, request: Request, stable: Subject) -> Outcome:
        """Verdict on the version of the request. `stable` is the version that limits may compare it with.

        Errors are an outcome without a number. Raises Pending when it takes longer than this call.
        """


class NumberProvider(Provider):
    """One that measures a number of each version, which the limits of the metric judge."""

    @abstractmethod
    def measure(self, servers: Servers, request: Request) -> Sample:
        """The number of the version of the request. Errors are samples without a number."""

    def judged(self, servers: Servers, request: Request, stable: Subject) -> Outcome:
        metric, limits = request.metric, request.metric.limits
        canary = self.measure(servers, request)
        other = self.measure(servers, dataclasses.replace(request, subject=stable)) if limits.compares else None
        counted = None
        if limits.min_requests:
            reporter = metric.reporter or REPORTERS[0]
            counted = requests(servers, request.subject, request.window, reporter, request.deadline)
        found, reason = verdict.judge(limits, canary, other, counted, request.window)
        return Outcome(
            found,
            reason,
            value=canary.value,
            stable=other.value if other else None,
            requests=counted.value if counted else None,
        )
