# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Metrics, settings, proofs and results of a canary: the pure parts around the decisions."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.servicemesh.platform.plugins.module_utils._canary import plan as plans
from ansible_collections.servicemesh.platform.plugins.module_utils._canary import proxy_check as envoy
from ansible_collections.servicemesh.platform.plugins.module_utils._canary import settings
from ansible_collections.servicemesh.platform.plugins.module_utils._canary import state as states
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis import entries, metrics, queries
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.metrics import Subject
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.context import Result
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.options import OPTIONS
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.result import exposition, shown
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.routes import Aim
from hypothesis import given
from hypothesis import strategies as st

CANARY = Subject("user-service", "shop", "canary", "user-service-canary")


# Metrics -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({}, "name is ''"),
        ({"name": "x"}, "nothing to measure"),
        ({"name": "x", "query": "up", "url": "http://x", "max": 1}, "has query and url"),
        ({"metric": "success"}, "expected one of success_rate"),
        ({"metric": "p99"}, "has no limit"),
        ({"name": "x y", "query": "up", "max": 1}, "name is 'x y'"),
        ({"name": "x", "url": "ftp://x", "max": 1}, "url is 'ftp://x'"),
        ({"name": "x", "url": "http://x", "max": 1}, "value is missing"),
        ({"name": "x", "url": "https://u:p@x", "value": "a", "max": 1}, "which would be recorded"),
        ({"metric": "p99", "max": 1, "timeout": 5, "value": "a"}, "has value, timeout, which metric does not use"),
        ({"name": "x", "job": {"spec": {"template": {}}, "metadata": {"labels": ["a"]}}}, "job.metadata is not"),
        ({"name": "x", "job": {}}, "nothing to measure"),
        ({"name": "x", "job": {"spec": {}}}, "job is not a Job"),
        ({"name": "x", "query": "up", "min": 2, "max": 1}, "min is 2, above max"),
        ({"name": "x", "query": "up", "max": 1, "otherwise": {"lost": "pass"}}, "otherwise.lost"),
        ({"name": "x", "query": "up", "max": 1, "otherwise": {"nan": "ok"}}, "otherwise.nan is 'ok'"),
        ({"name": "x", "url": "http://x", "value": "a", "max_ratio": 1}, "measures the same for both"),
        ({"metric": "p99", "max": 1, "dry_run": True}, "no metric counts"),
    ],
)
def test_metrics_that_cannot_be_are_named(entry: dict[str, Any], words: str) -> None:
    assert words in "; ".join(entries.findings([entry], prometheus=True))


def test_a_metric_of_prometheus_needs_one() -> None:
    assert "needs Prometheus" in str(entries.findings([{"metric": "p99", "max": 1}], prometheus=False))
    assert "is used twice" in str(entries.findings([{"metric": "p99", "max": 1}] * 2, prometheus=True))


def test_what_a_user_writes_keeps_its_own_dollars() -> None:
    text = 'label_replace(x{subset="$subset"}[$window], "a", "$1", "b", "(.*)")'
    assert metrics.filled(text, CANARY, 60) == 'label_replace(x{subset="canary"}[60000ms], "a", "$1", "b", "(.*)")'


@pytest.mark.parametrize("metric", [metrics.REQUESTS, *metrics.BUILT_IN])
def test_built_in_queries_ask_for_one_version_over_the_window(metric: str) -> None:
    query = queries.promql(metric, CANARY, 12.5)
    assert "offset 12500ms" in query
    own = 'destination_workload="user-service-canary",destination_service_namespace="shop"'
    assert query.count(own) == query.count('destination_service_name="user-service"')


def test_istios_telemetry_is_asked_at_both_ends_unless_one_is_named() -> None:
    both = entries.metrics_of([{"metric": "success_rate", "min": 0.9}])
    assert [(metric.name, metric.reporter) for metric in both] == [
        ("success_rate/destination", "destination"),
        ("success_rate/source", "source"),
    ]
    assert len(entries.metrics_of([{"metric": "success_rate", "min": 0.9, "reporter": "source"}])) == 1


# Settings ------------------------------------------------------------------------------------------------------------


def params(**more: Any) -> dict[str, Any]:
    found = ArgumentSpecValidator(OPTIONS).validate({"service": "user-service", **more})
    assert not found.error_messages, found.error_messages
    return {name: found.validated_parameters.get(name) for name in OPTIONS}


SECRET = "hunter2-hunter2"


def test_what_is_recorded_holds_no_secret_and_each_call_brings_it_again() -> None:
    given_ = params(
        prometheus={"url": "https://p.example.com", "password": SECRET, "username": "u", "headers": {"x": SECRET}},
        analysis=[{"name": "a", "url": "http://x", "value": "y", "min": 1, "headers": {"authorization": SECRET}}],
        approvals=[
            {"before": "promotion", "url": "http://g", "value": "y", "min": 1, "headers": {"authorization": SECRET}}
        ],
    )
    assert settings.findings(given_) == []
    kept = settings.settings_of(given_, ["shop/a"])
    assert SECRET not in json.dumps(kept)
    again = settings.with_secrets(kept, given_)
    assert again["prometheus"]["password"] == SECRET
    assert again["analysis"][0]["headers"] == {"authorization": SECRET}
    assert again["approvals"][0]["headers"] == {"authorization": SECRET}
    endpoint = settings.endpoint(again)
    assert endpoint is not None
    assert SECRET not in repr(endpoint)


def test_names_follow_the_platforms_unless_others_are_given() -> None:
    kept = settings.settings_of(params(), [])
    assert (kept["stable_deployment"], kept["canary_deployment"]) == ("user-service", "user-service-canary")
    own = settings.settings_of(params(stable_deployment="a", canary_deployment="b", canary_subset="v2"), [])
    canary, stable = settings.subjects(own)
    assert (canary.workload, canary.subset, stable.workload) == ("b", "v2", "a")


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"service": "User"}, "service: 'User'"),
        ({"canary_subset": "stable"}, "canary_subset: 'stable' is the stable subset"),
        ({"approvals": [{"before": "7", "annotation": "a"}]}, "before is '7'"),
        ({"approvals": [{"before": "promotion"}]}, "nothing to check"),
        ({"approvals": [{"before": "promotion", "url": "http://x"}]}, "value is missing"),
        ({"approvals": [{"before": "promotion", "url": "http://x", "value": "ok"}]}, "approvals[0]: has no limit"),
        ({"approvals": [{"before": "promotion", "job": {}}]}, "nothing to check"),
        ({"approvals": [{"before": "promotion", "job": {"spec": {}}}]}, "job is not a Job"),
        ({"approvals": [{"before": "promotion", "query": "up", "min": 1}], "prometheus": None}, "needs Prometheus"),
        ({"prometheus": {"url": "https://u:p@x"}}, "prometheus: url contains a user or password"),
        ({"prometheus": {"url": "http://p", "service": "a/b:1"}}, "prometheus: both a url and a service"),
        ({"canary_definitions": [{"kind": "ConfigMap"}]}, "has 0 Deployments"),
        ({"stable_definitions": [{"kind": "Secret"}]}, "has a Secret"),
        ({"analysis": []}, "no metric counts"),
    ],
)
def test_wrong_parameters_are_named(more: dict[str, Any], words: str) -> None:
    given_ = {"prometheus": {"url": "http://p"}, **more}
    assert words in "; ".join(settings.findings(params(**given_)))


# Proofs --------------------------------------------------------------------------------------------------------------

AIM = Aim("user-service", "shop")


def route(name: str, *clusters: tuple[str, int]) -> dict[str, Any]:
    if len(clusters) == 1:
        return {"name": name, "route": {"cluster": clusters[0][0]}}
    entries = [{"name": cluster, "weight": weight} for cluster, weight in clusters]
    return {"name": name, "route": {"weighted_clusters": {"clusters": entries}}}


def dump(*found: dict[str, Any]) -> dict[str, Any]:
    return {"configs": [{"route_config": {"virtual_hosts": [{"routes": list(found)}]}}]}


STABLE, NEW = (f"outbound|80|{subset}|{AIM.host}" for subset in ("stable", "canary"))


@given(st.integers(1, 99))
def test_envoys_weights_are_read(weight: int) -> None:
    found = dump(
        route("api", (STABLE, 100 - weight), (NEW, weight)), route("mesh", (STABLE, 100 - weight), (NEW, weight))
    )
    assert envoy.shares(found, AIM, ["api", "mesh"]) == {weight}


def test_what_is_nobodys_weight_is_left_out() -> None:
    other = f"outbound|80|canary|{AIM.host}".replace("user", "other")
    found = dump(
        route("api", (STABLE, 100)),
        route("api-canary-match", (NEW, 100)),
        route("foreign", (other, 100)),
        route("left", (NEW, 100)),
        {"name": "redirect", "redirect": {}},
    )
    assert envoy.shares(found, AIM, ["api"], {"api-canary-match"}) == {0}
    assert envoy.shares(found, AIM, ["foreign"]) == set()
    assert envoy.shares({}, AIM, ["api"]) == set()


def test_routes_that_do_not_agree_yet_are_told_apart() -> None:
    found = dump(route("api", (STABLE, 80), (NEW, 20)), route("mesh", (STABLE, 100)))
    assert envoy.shares(found, AIM, ["api", "mesh"]) == {0, 20}


def listener(*chains: dict[str, Any], default: dict[str, Any] | None = None) -> dict[str, Any]:
    filters = [
        {"filters": [{"name": "envoy.filters.network.rbac"}, {"typed_config": chain}] if chain else []}
        for chain in (*chains, default)
    ]
    whole = {"filter_chains": filters[:-1], "default_filter_chain": filters[-1] if default else None}
    return {"active_state": {"listener": whole}}


@given(st.integers(0, 100))
def test_the_weights_of_connections_are_read_from_listeners(weight: int) -> None:
    """A destination with weight 0 is left out by istiod, or not."""
    both = route("", (STABLE, 100 - weight), (NEW, weight))["route"]
    only = {"cluster": NEW if weight else STABLE}
    http = {"rds": {"route_config_name": "80"}}
    other = {"cluster": STABLE.replace("user", "other")}
    for one in (both, only) if weight in (0, 100) else (both,):
        found = {"configs": [listener(http, other, one), listener(http, default=one), {"name": "warming"}]}
        assert envoy.connection_shares(found, AIM) == {weight}
    assert envoy.connection_shares({"configs": [listener(http, other)]}, AIM) == set()


# Results -------------------------------------------------------------------------------------------------------------


def test_a_stop_fails_and_a_diff_shows_the_weight() -> None:
    state = states.State("r", "user-service", "shop", plans.Plan((5,)), weight=5, phase=states.Phase.ANALYSING)
    result = Result(state=state, stopped="somebody else", before=0)
    told = shown(result, diff=True)
    assert told["failed"]
    assert "somebody else" in told["msg"]
    assert told["diff"] == {"before": {"weight": 0}, "after": {"weight": 5, "phase": "analysing"}}


def test_the_rollout_is_metrics_too() -> None:
    state = states.State("r", "user-service", "shop", plans.Plan((5,)), weight=5, phase=states.Phase.ANALYSING)
    state = state.noted(1.0, "window", "x", verdict="pass")
    text = exposition(state)
    assert 'servicemesh_canary_weight{namespace="shop",service="user-service",version=""} 5\n' in text
    assert 'verdict="pass"} 1\n' in text
    assert exposition(None) == ""
