# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules of the role observability: objectives, alerts, their pages, and promtool's tests of them."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.servicemesh.platform.plugins.plugin_utils._role_rules import observability
from ansible_collections.servicemesh.platform.plugins.plugin_utils._service.definition import findings
from ansible_collections.servicemesh.platform.plugins.plugin_utils._variable_check import range_findings

from tests.role_values import rendered, value
from tests.rules import tools

ROOT = Path(__file__).resolve().parents[3]
ROLE = ROOT / "roles" / "observability"
CASES = sorted((ROOT / "tests" / "rules").glob("alerts_*.yml"))
PAGES = ROOT / "docs" / "runbooks"
# What a page may tell somebody to run.
PROGRAMS = {"kubectl", "istioctl", "ansible-playbook"}


def text(**given: Any) -> str:
    """The rules as they are in the ConfigMap, with variables of an inventory: with a collector, so that all alerts are there."""
    return str(
        value(
            "observability",
            "__observability_rules",
            inventory_hostname="one",
            **{"platform_tracing": "jaeger", **given},
        )
    )


def rules(**given: Any) -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(text(**given))["groups"] for rule in group["rules"]]


def alerts(**given: Any) -> dict[str, dict[str, Any]]:
    return {rule["alert"]: rule for rule in rules(**given) if "alert" in rule}


@pytest.fixture(scope="module")
def usual() -> dict[str, dict[str, Any]]:
    return alerts()


def test_alerts_fire_and_stay_silent(tmp_path: Path) -> None:
    """All cases in one run of promtool."""
    (tmp_path / "rules.yml").write_text(text())
    for path in CASES:
        shutil.copy(path, tmp_path)
    command = [tools.find("promtool"), "test", "rules", *(str(tmp_path / path.name) for path in CASES)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_shown_firing_and_silent(usual: dict[str, dict[str, Any]]) -> None:
    firing: set[str] = set()
    silent: set[str] = set()
    for path in CASES:
        for test in yaml.safe_load(path.read_text())["tests"]:
            for expression in test["promql_expr_test"]:
                if not expression["exp_samples"]:
                    silent |= set(re.findall(r'alertname="(\w+)"', expression["expr"]))
                for sample in expression["exp_samples"]:
                    firing |= set(re.findall(r'alertname="(\w+)",alertstate="firing"', sample["labels"]))
    assert set(usual) == firing
    assert set(usual) == silent, "each alert by its name: series that are there, and no alert"


def test_every_alert_says_what_how_bad_and_what_to_do(usual: dict[str, dict[str, Any]]) -> None:
    assert "[[" not in text()
    for name, alert in usual.items():
        assert alert["labels"]["severity"] in {"info", "warning", "critical"}, name
        assert set(alert["annotations"]) == {"summary", "description", "runbook_url"}, name
        assert alert["annotations"]["runbook_url"] == f"docs/runbooks/{name}.md"
    published = alerts(observability_runbook_url="https://docs.example.com/runbooks")
    assert published["ServiceDown"]["annotations"]["runbook_url"] == "https://docs.example.com/runbooks/ServiceDown.md"


def test_every_alert_has_a_page_that_ends_in_a_command(usual: dict[str, dict[str, Any]]) -> None:
    pages = {path.stem: path.read_text() for path in PAGES.glob("*.md") if path.stem != "index"}
    assert set(pages) == set(usual), "pages and alerts are the same"
    for name, page in pages.items():
        assert page.startswith(f"# {name}\n\n"), name
        assert re.search(r"^\* ", page, re.MULTILINE), f"{name} says what to look at"
        command = re.search(r"\n```bash\n([^\n]+)\n```\n\Z", page)
        assert command, f"{name} ends in a command"
        assert shlex.split(command[1])[0] in PROGRAMS, command[1]


def test_playbooks_of_the_pages_are_there() -> None:
    named = {name for path in PAGES.glob("*.md") for name in re.findall(r"playbooks/(\w+\.yml)", path.read_text())}
    assert named
    assert all((ROOT / "playbooks" / name).is_file() for name in named)


def test_rules_of_a_site_are_beside_ours() -> None:
    own = {
        "name": "shop",
        "rules": [{"alert": "A", "expr": "up == 0", "annotations": {"summary": "{{ $labels.pod }}"}}],
    }
    groups = yaml.safe_load(text(observability_rules=[own]))["groups"]
    assert groups[-1] == own
    assert [group["name"] for group in groups[:-1]] == [group["name"] for group in yaml.safe_load(text())["groups"]]


def test_databases_of_the_catalogue_raise_an_alert_and_those_of_others_do_not() -> None:
    def stores(**given: Any) -> set[str]:
        return {rule["labels"]["app"] for rule in rules(**given) if rule.get("alert") == "DatabaseDown"}

    usual = {f"{name}-db" for name in ("user", "product", "order", "payment", "review", "recommendation")} | {"redis"}
    assert stores() == usual
    external = {"external": True, "host": "db.example.com", "secret": "order-db"}
    changed = {
        "order-service": {"database": external},
        "review-service": {"enabled": False},
        "basket-service": {"database": True},
    }
    assert stores(platform_services=changed) == usual - {"order-db", "review-db"} | {"basket-db"}


# Objectives ---------------------------------------------------------------------------------------------------------


def objectives(**given: Any) -> dict[tuple[str, str], str]:
    """{(service, sli): expression of its objective}."""
    return {
        (rule["labels"]["destination_service_name"], rule["labels"]["sli"]): rule["expr"]
        for rule in rules(**given)
        if rule.get("record") == "slo:objective:ratio"
    }


def test_a_service_says_its_own_objective_in_the_catalogue() -> None:
    found = objectives(
        platform_services={
            "order-service": {"slo": {"availability": 99.9, "latency_ms": 250}},
            "basket-service": {"slo": {"latency": "99"}},
            "review-service": {"slo": {"enabled": False}},
        },
        product_service_extra={"slo": {"availability": 98}},
        observability_slo={"availability": 99},
    )
    assert found["order-service", "availability"] == "vector(0.999)"
    assert found["order-service", "latency"] == "vector(0.95)"
    assert found["product-service", "availability"] == "vector(0.98)"
    assert found["basket-service", "latency"] == "vector(0.99)"
    assert found["user-service", "availability"] == "vector(0.99)"
    assert "review-service" not in {service for service, _sli in found}
    assert objectives(observability_slo={"enabled": False}) == {}


def test_the_bound_of_an_objective_is_read_as_both_versions_of_prometheus_write_it() -> None:
    found = text(platform_services={"order-service": {"slo": {"latency_ms": 250}}})
    assert 'destination_service_name="order-service", le=~"250([.]0)?"' in found
    assert 'destination_service_name="user-service", le=~"1000([.]0)?"' in found


@pytest.mark.parametrize("wrong", [100, 100.0, "100", 0, -1, 89.9, 250, "all", True])
def test_an_objective_without_a_budget_is_refused(wrong: Any) -> None:
    (of_all,) = range_findings("observability_slo", {"enabled": True, "availability": wrong})
    assert of_all.startswith(f"observability_slo.availability: {wrong!r} is not a percentage from 90 to below 100")
    (of_one,) = findings({"name": "a", "image": "registry.example.com/a:v1", "slo": {"availability": wrong}})
    assert of_one.startswith(f"slo.availability: {wrong!r} is not a")


def test_a_time_between_the_bounds_of_the_histogram_is_refused() -> None:
    (of_all,) = range_findings("observability_slo", {"latency_ms": 300})
    (of_one,) = findings({"name": "a", "image": "registry.example.com/a:v1", "slo": {"latency_ms": 300}})
    for finding in (of_all, of_one):
        assert "300 is not one of 1, 5, 10, 25, 50, 100, 250, 500" in finding
    assert list(range_findings("observability_slo", {"latency_ms": 250, "latency": 99.9})) == []


def test_a_budget_is_recorded_with_the_first_requests() -> None:
    """In their group and after them; promtool evaluates all groups each minute, so that its tests show nothing of this."""
    groups = {
        group["name"]: [rule.get("record") for rule in group["rules"]] for group in yaml.safe_load(text())["groups"]
    }
    names = groups["ecommerce.slo"]
    assert max(n for n, name in enumerate(names) if name == "slo:bad_requests:rate5m") < names.index(
        "slo:error_budget_left:ratio"
    )


def test_a_budget_is_counted_from_samples_that_are_there() -> None:
    given = {
        "observability_environment": "prod",
        "observability_collector_env": {},
        "observability_pushgateway": "",
        "observability_tracing_sampling": {"prod": 1},
        "observability_metrics_reporting_interval": {"prod": "15s"},
        "observability_access_log_filter": {"prod": ""},
        "observability_services": ["a"],
        "observability_databases": ["a-db"],
        "observability_mode": "managed",
        "observability_prometheus": "standalone",
        "observability_grafana": "none",
        "observability_kiali": "none",
        "observability_address": {},
        "observability_rules": [],
        "observability_alertmanager": "none",
        **dict.fromkeys(
            ("observability_alert_receivers", "observability_alert_route", "observability_alert_global"), ()
        ),
        "observability_slo_window": "30d",
        "observability_retention": "15d",
    }
    (finding,) = observability.findings(given)
    assert finding.startswith("observability_slo_window: '30d' is longer than observability_retention, which is '15d'")
    assert list(observability.findings({**given, "observability_retention": "4w2d"})) == []
    assert list(observability.findings({**given, "observability_mode": "external"})) == []
    assert observability.seconds("1h30m") == 5400


# Dashboards ---------------------------------------------------------------------------------------------------------

# A recorded series (with colons) or a metric of an allow list.
NAME = re.compile(
    r"\b(?:[a-z]+:[a-z_:0-9]+|(?:istio|envoy|pilot|citadel|nginx|container|servicemesh|sidecar)_[a-z_]+)(?=[{\[ )]|$)"
)
BOARDS = {path.stem: json.loads(path.read_text()) for path in sorted((ROLE / "files" / "dashboards").glob("*.json"))}


def queries() -> list[tuple[str, str]]:
    """(panel, query) of all dashboards, their annotations and variables included."""
    found = []
    for name, board in BOARDS.items():
        found += [(f"{name}: {p['title']}", t["expr"]) for p in board["panels"] for t in p.get("targets", [])]
        found += [(f"{name}: {one['name']}", one["expr"]) for one in board["annotations"]["list"]]
        for one in board["templating"]["list"][1:]:
            series = re.fullmatch(r"label_values\((.+), \w+\)", one["definition"])
            assert series, one
            found.append((f"{name}: {one['name']}", series[1]))
    return found


def test_there_is_a_dashboard_for_each_subject() -> None:
    assert {name.removeprefix("ecommerce-") for name in BOARDS} == {
        "mesh",
        "service",
        "security",
        "canary",
        "ingress",
        "slo",
    }
    titles = {panel["title"] for panel in BOARDS["ecommerce-mesh"]["panels"]}
    assert {"Request rate", "Error rate", *(f"Request duration, p{share}" for share in (50, 95, 99))} <= titles


def test_every_query_is_promql(tmp_path: Path) -> None:
    texts = [re.sub(r"\$\w+", ".+", query) for _title, query in queries()]
    checked = [{"record": f"dashboard:query{number}", "expr": query} for number, query in enumerate(texts)]
    path = tmp_path / "dashboard.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": checked}]}))
    command = [tools.find("promtool"), "check", "rules", str(path)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(checked) > 60


@pytest.mark.parametrize("environment", ["dev", "local"])
def test_what_dashboards_and_alerts_read_is_recorded_or_kept(environment: str) -> None:
    """A metric that is dropped, or a recorded series without a rule, would leave a panel empty and an alert silent."""
    given = {"platform_environment": environment}
    jobs = yaml.safe_load(value("observability", "__observability_jobs", inventory_hostname="one", **given))
    known = rules(**given)
    records = {rule["record"] for rule in known if "record" in rule}
    patterns = [
        rule["regex"]
        for job in jobs
        for rule in job.get("metric_relabel_configs", [])
        if rule.get("source_labels") == ["__name__"]
        and (rule.get("action") == "keep" or rule.get("target_label") == "__tmp_keep")
    ]
    patterns.append(
        "servicemesh_canary_(weight|phase|phase_start_time_seconds|verdicts_total)"
    )  # job pods drops nothing
    for title, query in [*queries(), *((rule.get("alert") or rule["record"], rule["expr"]) for rule in known)]:
        for name in set(NAME.findall(query)):
            assert name in records or any(re.fullmatch(pattern, name) for pattern in patterns), (title, name, query)


def test_the_annotation_of_a_canary_is_shown_with_samples() -> None:
    """It has data only in the minute of a step, so that promtool's cases show it."""
    shown = {
        test["expr"]
        for path in CASES
        for case in yaml.safe_load(path.read_text())["tests"]
        for test in case["promql_expr_test"]
        if test["exp_samples"]
    }
    for board in BOARDS.values():
        assert board["annotations"]["list"][0]["expr"] in shown


def test_the_dashboards_are_grafanas() -> None:
    objects = [
        item
        for item in yaml.safe_load_all(rendered("observability", "manifests.yml.j2", inventory_hostname="one"))
        if item
    ]
    (config_map,) = [item for item in objects if item["metadata"]["name"] == "ecommerce-dashboards"]
    assert config_map["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert {name: json.loads(text) for name, text in config_map["data"].items()} == {
        f"{name}.json": board for name, board in BOARDS.items()
    }
    for name, board in BOARDS.items():
        assert board["uid"] == name
        numbers = [panel["id"] for panel in board["panels"]]
        assert len(numbers) == len(set(numbers))
        cells: set[tuple[int, int]] = set()
        for panel in board["panels"]:
            grid = panel["gridPos"]
            covered = {
                (x, y) for x in range(grid["x"], grid["x"] + grid["w"]) for y in range(grid["y"], grid["y"] + grid["h"])
            }
            assert not covered & cells, panel["title"]
            assert all(x < 24 for x, _y in covered), panel["title"]
            assert panel["type"] == "row" or panel["description"], panel["title"]
            cells |= covered


# Grafana by its chart -----------------------------------------------------------------------------------------------

# Of values.yaml of chart grafana 12.11.1 (grafana-community/helm-charts), what is set here. What is below free keys (`grafana.ini`, labels,
# datasources) is the user's or Grafana's own. The chart was rendered once with these values; its image cannot be had here.
CHART_KEYS = {
    "admin.existingSecret",
    "datasources",
    "fullnameOverride",
    "global.imageRegistry",
    "grafana.ini",
    "podLabels",
    "rbac.namespaced",
    "sidecar.dashboards.enabled",
    "sidecar.dashboards.label",
    "sidecar.dashboards.labelValue",
    "sidecar.dashboards.resource",
    "testFramework.enabled",
    "servicemesh.platform/managed-by",  # helm_release's, not the chart's
}
FREE = {"datasources", "grafana.ini", "podLabels"}


def grafana(**given: Any) -> dict[str, Any]:
    found = value("observability", "__observability_grafana_values", inventory_hostname="one", **given)
    assert isinstance(found, dict)
    return found


def keys(values: dict[str, Any], prefix: str = "") -> set[str]:
    """Paths of all values that are no dicts, free keys as one."""
    found: set[str] = set()
    for key, one in values.items():
        path = f"{prefix}{key}"
        found |= keys(one, f"{path}.") if isinstance(one, dict) and path not in FREE else {path}
    return found


def test_the_values_are_those_of_the_chart() -> None:
    given = {"observability_grafana_admin_secret": "grafana", "platform_upstream_registry": "registry.example.com"}
    assert keys(grafana(**given)) == CHART_KEYS
    assert keys(grafana()) == CHART_KEYS - {"admin.existingSecret", "global.imageRegistry"}
    found = grafana(observability_dashboard_labels={"board": "yes"})["sidecar"]["dashboards"]
    assert (found["label"], found["labelValue"]) == ("board", "yes")


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ({}, "http://prometheus.monitoring.svc:9090"),
        ({"observability_prometheus": "operator"}, "http://prometheus-operated.monitoring.svc:9090"),
        (
            {"platform_prometheus": "external", "platform_prometheus_address": {"service": "seen/k8s:9091"}},
            "http://k8s.seen.svc:9091",
        ),
        (
            {
                "platform_prometheus": "external",
                "platform_prometheus_address": {"url": "https://prometheus.example.com"},
            },
            "https://prometheus.example.com",
        ),
    ],
)
def test_the_data_source_is_the_platforms_prometheus(given: dict[str, Any], url: str) -> None:
    (source,) = grafana(**given)["datasources"]["datasources.yaml"]["datasources"]
    assert (source["type"], source["url"], source["isDefault"]) == ("prometheus", url, True)


def test_charts_are_installed_when_they_are_asked_for() -> None:
    def charts(name: str, **given: Any) -> list[str]:
        return list(value("observability", f"__observability_charts_{name}", inventory_hostname="one", **given))

    both = {
        "observability_grafana": "chart",
        "observability_kiali": "chart",
        "observability_prometheus": "operator",
        "observability_operator_install": True,
    }
    assert charts("present") == charts("absent") == []
    assert charts("present", **both) == ["operator", "grafana", "kiali"]
    assert charts("absent", **both) == charts("present", **both, observability_state="absent") == []
    assert charts("absent", **both, observability_state="absent") == ["operator", "grafana", "kiali"]


def test_kiali_reads_what_the_platform_has_and_writes_nothing() -> None:
    """The keys are those of values.yaml of chart kiali-server 2.29.0, and of Kiali's configuration, which external_services is."""

    def kiali(**given: Any) -> dict[str, Any]:
        found = value("observability", "__observability_kiali_values", inventory_hostname="one", **given)
        return dict(found)

    usual = kiali()
    assert usual["deployment"]["view_only_mode"] is True
    assert usual["external_services"]["prometheus"] == {"url": "http://prometheus.monitoring.svc:9090"}
    assert not usual["external_services"]["tracing"]["enabled"]
    assert not usual["external_services"]["grafana"]["enabled"]
    more = kiali(platform_tracing="jaeger", observability_grafana="chart", platform_monitoring_namespace="metrics")
    assert more["external_services"]["tracing"]["enabled"] is True
    assert more["external_services"]["tracing"]["internal_url"] == "http://jaeger.metrics.svc:16686"
    assert more["external_services"]["grafana"] == {"enabled": True, "internal_url": "http://grafana.metrics.svc:80"}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"observability_mode": "absent"},
            "observability_grafana: 'chart' has no Prometheus to read, because platform_prometheus is",
        ),
        (
            {"observability_mode": "absent", "observability_grafana": "none", "observability_kiali": "chart"},
            "observability_kiali: 'chart' has",
        ),
        ({"observability_address": {"url": "https://p", "password": "x"}}, "'chart' cannot hand password of platform_"),
        ({"observability_dashboard_labels": {"a": "1", "b": "2"}}, "is not one label"),
        ({"observability_dashboards": False}, "observability_dashboards: is false"),
        ({"observability_grafana": "none", "observability_mode": "absent"}, ""),
    ],
)
def test_what_a_chart_cannot_work_with_is_refused(given: dict[str, Any], said: str) -> None:
    usual = {
        "observability_grafana": "chart",
        "observability_mode": "managed",
        "observability_address": {},
        "observability_grafana_values": {},
        "observability_kiali": "none",
        "observability_kiali_values": {},
        "observability_dashboards": True,
        "observability_dashboard_labels": {"grafana_dashboard": "1"},
    }
    all_values = {**usual, **given}
    found = [*observability.chart_findings(all_values), *observability.grafana_findings(all_values)]
    assert bool(found) == bool(said)
    assert said in "".join(found)
