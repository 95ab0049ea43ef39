# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a canary measures. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from string import Template
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.verdict import Limits

REQUESTS, SUCCESS = "requests", "success_rate"
CONNECTIONS, TCP_SUCCESS = "connections", "tcp_success_rate"
QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
BUILT_IN = (SUCCESS, TCP_SUCCESS, *QUANTILES)
REPORTERS = ("destination", "source")
MAX_AGE = 90.0  # seconds; six of the default scrape intervals


@dataclass(frozen=True, slots=True)
class Subject:
    """One of the two versions, as metrics select it: `workload` is its Deployment, `subset` its name in the DestinationRule.

    `pods`: expression (RE2) of its pods' names, those of its newest ReplicaSet (`queries.pod_regex`); empty: of any.
    """

    service: str
    namespace: str
    subset: str
    workload: str
    pods: str = ""


@dataclass(frozen=True, slots=True)
class Metric:
    """One thing to measure.

    `provider` is the option that says what is measured (`providers/registry.py`), `options` are those of the user's entry that the
    provider knows. `reporter` is that of a built-in metric, empty for others.
    """

    name: str
    provider: str
    options: Mapping[str, Any] = field(repr=False)  # they may be secret
    limits: Limits
    reporter: str = ""
    critical: bool = False
    dry_run: bool = False

    @property
    def source(self) -> Any:
        """What is measured: the name of a built-in metric, PromQL, a URL or a Job."""
        return self.options[self.provider]


def filled(text: str, subject: Subject, window: float) -> str:
    """A user's query or URL with `$service $namespace $subset $workload $window` replaced; other dollar signs stay (`$1`)."""
    return Template(text).safe_substitute(
        service=subject.service,
        namespace=subject.namespace,
        subset=subject.subset,
        workload=subject.workload,
        window=seconds(window),
    )


def seconds(window: float) -> str:
    """A duration in PromQL, in milliseconds."""
    return f"{round(window * 1000)}ms"
