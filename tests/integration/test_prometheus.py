# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The platform's own Prometheus, asked through the API server."""

from __future__ import annotations

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import Client
from ansible_collections.servicemesh.platform.plugins.module_utils._prometheus import (
    Endpoint,
    Prometheus,
    PrometheusError,
)

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("cluster")]


@pytest.fixture
def prometheus(client: Client) -> Prometheus:
    return Prometheus(Endpoint(service="monitoring/prometheus:9090"), client)


def test_an_instant_query(prometheus: Prometheus) -> None:
    answer = prometheus.query('up{job="prometheus"}')
    assert answer.kind == "vector"
    (series,) = answer.series
    assert series["metric"]["job"] == "prometheus"
    assert series["value"][1] == "1"


def test_an_empty_result_is_no_error(prometheus: Prometheus) -> None:
    assert prometheus.query("no_such_metric").series == []


@pytest.mark.parametrize(
    ("query", "kind"), [("sum(", "query"), ("vector(1) * on() group_left() (up or -up)", "execution")]
)
def test_prometheus_own_words_come_through(prometheus: Prometheus, query: str, kind: str) -> None:
    with pytest.raises(PrometheusError) as caught:
        prometheus.query(query)
    assert caught.value.kind == kind
    assert "Prometheus (service monitoring/prometheus:9090" in str(caught.value)
    assert len(str(caught.value)) > 80, "it says what is wrong"


def test_a_service_that_is_not_there(client: Client) -> None:
    with pytest.raises(PrometheusError) as caught:
        Prometheus(Endpoint(service="monitoring/not-there:9090"), client).query("up", budget=0.0)
    assert caught.value.kind == "unreachable"
