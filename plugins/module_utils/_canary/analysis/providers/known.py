# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a Prometheus has: names of metrics and of labels, each asked once for all metrics of a start."""

from __future__ import annotations

import threading
from collections.abc import Callable

from ansible_collections.servicemesh.platform.plugins.module_utils._prometheus import Prometheus, PrometheusError


class Known:
    """Names that Prometheus has stored at any time. Safe to use from several threads."""

    def __init__(self, prometheus: Prometheus) -> None:
        self._prometheus = prometheus
        self._lock = threading.Lock()
        self._found: dict[str, frozenset[str] | PrometheusError] = {}

    def names(self) -> frozenset[str]:
        """Names of all metrics. Raises PrometheusError."""
        return self._once("", self._prometheus.metric_names)

    def labels(self, selector: str) -> frozenset[str]:
        """Names of the labels of the series that match. Raises PrometheusError."""
        return self._once(selector, lambda: self._prometheus.label_names(selector))

    def _once(self, key: str, ask: Callable[[], list[str]]) -> frozenset[str]:
        with self._lock:
            if key not in self._found:
                try:
                    self._found[key] = frozenset(ask())
                except PrometheusError as error:
                    self._found[key] = error
            found = self._found[key]
        if isinstance(found, PrometheusError):
            raise found
        return found
