# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Unit tests of _mesh/diagnose/sync: what istiod's /debug/syncz says of each proxy."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._mesh.diagnose.sync import (
    Expected,
    Istiod,
    Judged,
    State,
    judge,
    unsettled,
)

NOW = datetime(2026, 11, 26, 18, 0, 0, tzinfo=UTC).timestamp()
CDS = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
LDS = "type.googleapis.com/envoy.config.listener.v3.Listener"
RDS = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"


def sent(acked: bool = True, seconds: float = 60, **more: Any) -> dict[str, Any]:
    at = datetime.fromtimestamp(NOW - seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.123456789Z")
    return {"sent": "n2", "acked": "n2" if acked else "n1", "sentTime": at, **more}


def proxy(name: str = "web-1.shop", **types: dict[str, Any]) -> dict[str, Any]:
    resources = {CDS: sent(), LDS: sent(), **types}
    return {"proxy": name, "proxy_type": "sidecar", "istio_version": "1.31.0", "resources": resources}


def judged(*rows: Any, pods: tuple[str, ...] = (), patience: float = 10, **more: Any) -> Judged:
    istiod = Istiod("istiod-1", "1.31.2", time=NOW, answer=list(rows), **more)
    return judge([istiod], [Expected("shop", name, "web", up=True) for name in pods], patience)


def codes(found: Judged) -> list[str]:
    return [str(entry.code) for entry in found.findings]


def test_a_synced_proxy_is_no_finding() -> None:
    found = judged(proxy(), pods=("web-1",))
    (row,) = found.proxies
    assert (row.state, row.istiod, row.workload, codes(found)) == (State.SYNCED, "istiod-1", "web", [])
    assert row.as_dict()["types"]["CDS"] == {"state": "synced", "seconds": 59.9, "error": ""}


@pytest.mark.parametrize(
    ("types", "state", "code"),
    [
        ({RDS: sent(acked=False, seconds=60)}, State.STALE, "proxy_stale"),
        ({RDS: sent(acked=False, seconds=2)}, State.PENDING, None),
        ({RDS: sent(acked=False, sentTime="0001-01-01T00:00:00Z")}, State.STALE, "proxy_stale"),
        ({RDS: sent(acked=False, lastError="no such filter")}, State.REJECTED, "proxy_rejected"),
        ({RDS: sent(lastError="no such filter")}, State.REJECTED, "proxy_rejected"),
        ({LDS: {"sent": "", "acked": ""}}, State.NOT_SENT, "proxy_not_sent"),
        # istiod has nothing of such a type; types that are not known count as well
        ({RDS: {}}, State.SYNCED, None),
        ({"type.googleapis.com/new.Thing": sent(acked=False)}, State.STALE, "proxy_stale"),
    ],
)
def test_states_of_types(types: dict[str, Any], state: State, code: str | None) -> None:
    found = judged(proxy(**types))
    assert found.proxies[0].state is state
    assert codes(found) == ([code] if code else [])


def test_a_refusal_is_told_with_envoys_words() -> None:
    (finding,) = judged(proxy(**{LDS: sent(lastError="Error adding listener: no such filter")})).findings
    assert finding.object == "Pod shop/web-1"
    assert finding.message == "Envoy refused LDS that istiod-1 sent 60 s ago: Error adding listener: no such filter"


def test_a_pod_without_connection_is_lost_only_when_every_istiod_answered() -> None:
    lost = judged(proxy(), pods=("web-1", "web-2"))
    assert [(row.pod, row.state) for row in lost.proxies] == [("web-2", State.NOT_CONNECTED), ("web-1", State.SYNCED)]
    assert codes(lost) == ["proxy_not_connected"]
    silent = Istiod("istiod-2", error="no right", right="create pods/portforward")
    both = judge(
        [Istiod("istiod-1", time=NOW, answer=[proxy()]), silent], [Expected("shop", "web-2", "web", up=True)], 10
    )
    assert [row.state for row in both.proxies] == [State.UNKNOWN, State.SYNCED]
    assert codes(both) == ["not_read"]
    assert "create pods/portforward" in both.findings[0].change


def test_a_proxy_on_its_way_to_another_istiod_is_not_lost() -> None:
    pods = [Expected("shop", name, "web", up=True) for name in ("web-1", "web-2", "web-3")]
    ends = Istiod("istiod-1", time=NOW, answer=[proxy("web-3.shop")])
    first = [ends, Istiod("istiod-2", time=NOW, answer=[proxy("web-2.shop", **{CDS: {}, LDS: {}})])]
    second = [Istiod("istiod-2", time=NOW, answer=[proxy("web-1.shop"), proxy("web-2.shop")])]
    assert unsettled(first, pods, 10)
    found = judge(second, pods, 10, first)
    assert {row.pod: (row.istiod, row.state) for row in found.proxies} == {
        "web-1": ("istiod-2", State.SYNCED),
        "web-2": ("istiod-2", State.SYNCED),
        "web-3": ("istiod-1", State.SYNCED),  # it moved, or has ended, between both looks
    }
    assert found.findings == []
    assert not unsettled(second, pods[:2], 10)
    # What no look names is lost.
    assert codes(judge(second, [*pods, Expected("shop", "web-4", "web", up=True)], 10, first)) == [
        "proxy_not_connected"
    ]


def test_an_istiod_without_an_answer_is_asked_again_unless_a_right_is_missing() -> None:
    assert unsettled([Istiod("istiod-1", error="it is gone")], [], 10)
    assert not unsettled([Istiod("istiod-1", error="no right", right="create pods/portforward")], [], 10)
    assert not unsettled([], [Expected("shop", "web-1", "web", up=True)], 10)


def test_a_pod_that_is_not_ready_is_no_lost_proxy() -> None:
    found = judge([Istiod("istiod-1", time=NOW, answer=[])], [Expected("shop", "web-1", "web", up=False)], 10)
    assert (found.proxies, found.findings) == ([], [])


def test_without_istiod_nobody_is_connected() -> None:
    found = judge([], [Expected("shop", "web-1", "web", up=True)], 10)
    assert codes(found) == ["no_istiod", "proxy_not_connected"]


@pytest.mark.parametrize(
    "answer",
    [
        None,
        {"a": 1},
        "text",
        [1],
        [{"x": 1}],
        [{"proxy": "a.b", "resources": 5}],
        [{"proxy": "a.b", "resources": {CDS: 5}}],
    ],
)
def test_an_answer_of_another_shape_is_not_read(answer: Any) -> None:
    found = judge([Istiod("istiod-1", time=NOW, answer=answer)], [Expected("shop", "web-1", "web", up=True)], 10)
    assert codes(found) == ["not_read"]
    assert [row.state for row in found.proxies] == [State.UNKNOWN]


def test_older_istiods_tell_no_time() -> None:
    old = {
        "proxy": "web-1.shop",
        "cluster_sent": "a",
        "cluster_acked": "a",
        "listener_sent": "b",
        "listener_acked": "x",
    }
    (row,) = judged(old).proxies
    assert {name: entry.state for name, entry in row.types.items()} == {"CDS": State.SYNCED, "LDS": State.STALE}


def test_istioctl_is_no_proxy() -> None:
    assert judged({"proxy": "istioctl.x", "resources": {"istio.io/debug/syncz": {}}}).proxies == []


@pytest.mark.parametrize(
    ("version", "code"), [("1.30.1", "proxy_old"), ("1.32.0", "proxy_newer"), ("1.31.9", None), ("unknown", None)]
)
def test_versions(version: str, code: str | None) -> None:
    assert codes(judged({**proxy(), "istio_version": version})) == ([code] if code else [])
