# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The entries of the option `analysis`: checked, and as metrics. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.metrics import Metric
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.providers import registry
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.providers.provider import Provider
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.verdict import (
    BOUNDS,
    COMPARING,
    NO_NUMBER,
    Limits,
    Status,
    Verdict,
)

Options = Mapping[str, Any]
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./-]{0,62}")


def findings(analysis: Sequence[Options], *, prometheus: bool) -> list[str]:
    """Everything that is wrong with the user's metrics. `prometheus`: whether the address of Prometheus is given."""
    found: list[str] = []
    if not any(not entry.get("dry_run") for entry in analysis):
        found.append("analysis: no metric counts; expected at least one metric without dry_run")
    seen: set[str] = set()
    for index, entry in enumerate(analysis):
        name = str(entry.get("name") or entry.get("metric") or "")
        where = f"analysis[{index}]" + (f" ({name})" if name else "")
        if not _NAME.fullmatch(name):
            found.append(f"{where}: name is {name!r}; expected a name of letters, digits and _ . / -")
        elif name in seen:
            found.append(f"{where}: the name is used twice; expected a different name for each metric")
        seen.add(name)
        found += [f"{where}: {finding}" for finding in _findings_of(entry, prometheus)]
    return found


def _findings_of(entry: Options, prometheus: bool) -> list[str]:
    sources = registry.chosen(entry)
    if len(sources) != 1:
        expected = ", ".join(registry.PROVIDERS)
        return [f"has {' and '.join(sources) or 'nothing to measure'}; expected one of {expected}"]
    provider = registry.PROVIDERS[sources[0]]
    found = provider_findings(provider, entry, prometheus=prometheus)
    without_effect = [name for name in registry.OPTIONS if entry.get(name) and name not in provider.options]
    if without_effect:
        found.append(
            f"has {', '.join(without_effect)}, which {provider.option} does not use; expected the entry without it"
        )
    bounds = [name for name in BOUNDS if entry.get(name) is not None]
    if entry.get("min_requests") and not prometheus:
        found.append("min_requests needs Prometheus; expected prometheus.url or prometheus.service")
    if not provider.tells_versions_apart and set(bounds) & set(COMPARING) and "$" not in json.dumps(entry, default=str):
        found.append("is compared with stable, but measures the same for both; expected $subset or $workload in it")
    for low, high in (("min", "max"), ("min_ratio", "max_ratio"), ("min_difference", "max_difference")):
        least, most = entry.get(low), entry.get(high)
        if least is not None and most is not None and least > most:
            found.append(f"{low} is {least:g}, above {high}, which is {most:g}")
    for key, value in (entry.get("otherwise") or {}).items():
        if key not in NO_NUMBER:
            found.append(f"otherwise.{key}: expected one of {', '.join(NO_NUMBER)}")
        if value not in tuple(Verdict):
            found.append(f"otherwise.{key} is {value!r}; expected one of {', '.join(Verdict)}")
    return found


def provider_findings(provider: Provider, entry: Options, *, prometheus: bool) -> list[str]:
    """What is wrong with how an entry is measured; also for an approval."""
    found = provider.findings(entry)
    if provider.needs_prometheus and not prometheus:
        found.append("needs Prometheus; expected prometheus.url or prometheus.service")
    if provider.has_number and all(entry.get(name) is None for name in BOUNDS):
        found.append(f"has no limit, so it can never fail; expected one of {', '.join(BOUNDS)}")
    return found


def asking_prometheus(analysis: Sequence[Options]) -> list[str]:
    """Names of those valid entries that need Prometheus."""
    return [
        str(entry.get("name") or entry[provider.option])
        for entry in analysis
        for provider in [registry.PROVIDERS[registry.chosen(entry)[0]]]
        if provider.needs_prometheus or entry.get("min_requests")
    ]


def metrics_of(analysis: Sequence[Options]) -> list[Metric]:
    """The metrics of valid entries. A provider with several reporters has a metric for each."""
    return [metric for entry in analysis for metric in _metrics_of(entry)]


def _metrics_of(entry: Options) -> list[Metric]:
    provider = registry.PROVIDERS[registry.chosen(entry)[0]]
    limits = Limits(
        **{name: entry.get(name) for name in BOUNDS},
        min_requests=int(entry.get("min_requests") or 0),
        otherwise={Status(key): Verdict(value) for key, value in (entry.get("otherwise") or {}).items()},
    )
    name = str(entry.get("name") or entry[provider.option])
    reporters = provider.reporters(entry)
    return [
        Metric(
            f"{name}/{reporter}" if len(reporters) > 1 else name,
            provider.option,
            {option: entry[option] for option in provider.options if entry.get(option) is not None},
            limits,
            reporter=reporter,
            critical=bool(entry.get("critical")),
            dry_run=bool(entry.get("dry_run")),
        )
        for reporter in reporters
    ]
