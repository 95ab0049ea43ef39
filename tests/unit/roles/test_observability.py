# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The objects of the role observability, rendered once for all variants; promtool checks configuration, rules and queries."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.role_values import rendered as rendered_text
from tests.role_values import value
from tests.rules import tools

ROOT = Path(__file__).resolve().parents[3]
RULES = ROOT / "tests" / "rules"
VARIANTS = list(yaml.safe_load((RULES / "variants.yml").read_text())["all"]["hosts"])
STANDALONE = ["defaults", "local", "staging", "prod", "prometheus3", "renamed"]


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, Any]]]:
    """{variant: [object, ...]} from one run of Ansible."""
    out = tmp_path_factory.mktemp("rendered")
    command = [
        str(Path(sys.executable).with_name("ansible-playbook")),
        str(RULES / "render.yml"),
        "-i",
        str(RULES / "variants.yml"),
    ]
    done = subprocess.run(
        [*command, "-e", f"render_dir={out}"], cwd=ROOT, check=False, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return {name: json.loads((out / f"{name}.json").read_text()) for name in VARIANTS}


@pytest.fixture(scope="module")
def promtool() -> str:
    return tools.find("promtool")


def pick(objects: list[dict[str, Any]], kind: str, name: str) -> dict[str, Any]:
    """The only object of that kind and name."""
    (found,) = [item for item in objects if item["kind"] == kind and item["metadata"]["name"] == name]
    return found


def kinds(objects: list[dict[str, Any]]) -> set[str]:
    return {item["kind"] for item in objects}


def jobs(objects: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    config = yaml.safe_load(pick(objects, "ConfigMap", "prometheus")["data"]["prometheus.yml"])
    return {job["job_name"]: job for job in config["scrape_configs"]}


@pytest.mark.parametrize("variant", VARIANTS)
def test_objects_are_named_once_and_placed(rendered: dict[str, list[dict[str, Any]]], variant: str) -> None:
    objects = rendered[variant]
    keys = [(item["kind"], item["metadata"].get("namespace"), item["metadata"]["name"]) for item in objects]
    assert len(keys) == len(set(keys))
    for item in objects:
        assert item["apiVersion"]
        assert ("namespace" in item["metadata"]) != item["kind"].startswith("Cluster")


@pytest.mark.parametrize("variant", VARIANTS)
def test_there_is_one_telemetry_object_in_the_root_namespace(
    rendered: dict[str, list[dict[str, Any]]], variant: str
) -> None:
    own = [item for item in rendered[variant] if item["kind"] == "Telemetry"]
    telemetry, *narrower = own
    assert all(item["spec"]["selector"] for item in narrower), "pods of this role only"
    assert telemetry["apiVersion"] == "telemetry.istio.io/v1"
    assert telemetry["metadata"] == {
        "name": "mesh-default",
        "namespace": {"renamed": "mesh", "others": "ecommerce"}.get(variant, "istio-system"),
    }


def test_telemetry_follows_the_environment(rendered: dict[str, list[dict[str, Any]]]) -> None:
    spec = {name: pick(objects, "Telemetry", "mesh-default")["spec"] for name, objects in rendered.items()}
    logs = [{"providers": [{"name": "envoy"}]}]
    metrics = {"providers": [{"name": "prometheus"}]}
    assert spec["defaults"] == {"metrics": [{**metrics, "reportingInterval": "10s"}], "accessLogging": logs}
    assert spec["staging"]["accessLogging"] == [{**logs[0], "filter": {"expression": "response.code >= 400"}}]
    assert spec["prod"] == {
        "tracing": [{"providers": [{"name": "otel"}], "randomSamplingPercentage": 1}],
        "metrics": [{**metrics, "reportingInterval": "15s"}],
        "accessLogging": [
            {"providers": [{"name": "access-log-json"}], "filter": {"expression": "response.code >= 500"}}
        ],
    }
    assert spec["external"]["tracing"] == [{"providers": [{"name": "otel"}], "randomSamplingPercentage": 100}]
    assert spec["external"]["accessLogging"] == [{"providers": [{"name": "envoy"}, {"name": "access-log-otlp"}]}]
    assert spec["local"] == {"accessLogging": logs}, "upstream Envoy has no statistics filter to configure"
    assert "accessLogging" not in spec["renamed"]


def test_each_form_has_its_objects(rendered: dict[str, list[dict[str, Any]]]) -> None:
    rbac = {"ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"}
    assert kinds(rendered["defaults"]) == {"Telemetry", "ConfigMap", "Service", "StatefulSet"} | rbac
    in_mesh = {"Deployment", "PeerAuthentication", "AuthorizationPolicy", "DestinationRule"}
    assert kinds(rendered["prod"]) == kinds(rendered["defaults"]) | in_mesh | {"NetworkPolicy"}
    assert kinds(rendered["operator"]) == {"Telemetry", "ConfigMap", "PodMonitor", "PrometheusRule", "ScrapeConfig"}
    assert kinds(rendered["external"]) == {"Telemetry"}
    assert kinds(rendered["absent"]) == {"Telemetry"}
    assert "groups" in yaml.safe_load(
        pick(rendered["external_rules"], "ConfigMap", "ecommerce-rules")["data"]["rules.yml"]
    )


def test_what_there_was_of_a_prometheus_goes_when_it_is_absent() -> None:
    def gone(**given: Any) -> set[str]:
        retired = value("observability", "__observability_retired_prometheus", inventory_hostname="one", **given)
        return {item["kind"] for item in retired}

    assert gone() == gone(platform_prometheus="external") == set()
    rbac = {"ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"}
    standalone = rbac | {"ServiceAccount", "ConfigMap", "Service", "StatefulSet"}
    assert gone(platform_prometheus="absent") == standalone
    operator = {"PodMonitor", "PrometheusRule", "ConfigMap"}
    assert gone(platform_prometheus="absent", observability_prometheus="operator") == operator


def test_a_mesh_and_an_ingress_of_others_get_no_policies(rendered: dict[str, list[dict[str, Any]]]) -> None:
    def isolated(variant: str) -> set[str]:
        return {item["metadata"]["namespace"] for item in rendered[variant] if item["kind"] == "NetworkPolicy"}

    assert isolated("prod") == {"monitoring", "ecommerce", "istio-system", "ingress-nginx"}
    assert isolated("others") == {"monitoring", "ecommerce"}
    assert "nginx-ingress" in jobs(rendered["prod"])
    assert "nginx-ingress" not in jobs(rendered["others"])


@pytest.mark.parametrize("variant", STANDALONE)
def test_the_pod_is_restricted_and_out_of_the_mesh(rendered: dict[str, list[dict[str, Any]]], variant: str) -> None:
    template = pick(rendered[variant], "StatefulSet", "prometheus")["spec"]["template"]
    pod, container = template["spec"], template["spec"]["containers"][0]
    assert template["metadata"]["annotations"]["sidecar.istio.io/inject"] == "false"
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == 65534
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    context = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
    assert container["securityContext"] == context
    assert container["resources"]["limits"] == {"cpu": "1000m", "memory": "2Gi"}


def test_jaeger_has_ports_that_the_mesh_understands_and_only_the_receivers_that_are_used(
    rendered: dict[str, list[dict[str, Any]]],
) -> None:
    service = pick(rendered["prod"], "Service", "jaeger")
    assert {port["name"]: port["port"] for port in service["spec"]["ports"]} == {
        "grpc-otlp": 4317,
        "http-query": 16686,
    }
    template = pick(rendered["prod"], "Deployment", "jaeger")["spec"]["template"]
    assert template["spec"]["automountServiceAccountToken"] is False
    assert template["spec"]["containers"][0]["securityContext"]["readOnlyRootFilesystem"] is True
    config = json.loads(pick(rendered["prod"], "ConfigMap", "jaeger")["data"]["config.yml"])
    assert list(config["receivers"]) == ["otlp"]
    assert list(config["receivers"]["otlp"]["protocols"]) == ["grpc"], "from the collector"
    assert config["extensions"]["jaeger_storage"] == {"backends": {"traces": {"memory": {"max_traces": 10000}}}}


def test_what_takes_traces_is_in_the_mesh_and_takes_them_by_mutual_tls_only(
    rendered: dict[str, list[dict[str, Any]]],
) -> None:
    callers = {"otel-collector": ["*"], "jaeger": ["shop.example/ns/monitoring/sa/otel-collector"]}
    for name, principals in callers.items():
        pod = pick(rendered["prod"], "Deployment", name)["spec"]["template"]["metadata"]
        assert pod["labels"]["sidecar.istio.io/inject"] == "true"
        assert pod["labels"]["istio.io/rev"] == "1-31-0"
        chosen = {"selector": {"matchLabels": {"app": name}}}
        assert pick(rendered["prod"], "PeerAuthentication", name)["spec"] == {**chosen, "mtls": {"mode": "STRICT"}}
        (rule,) = pick(rendered["prod"], "AuthorizationPolicy", name)["spec"]["rules"]
        assert rule["from"] == [{"source": {"principals": principals}}]
        quiet = {"tracing": [{"disableSpanReporting": True}], "accessLogging": [{"disabled": True}]}
        assert pick(rendered["prod"], "Telemetry", name)["spec"] == {**chosen, **quiet}, "or each report makes a report"
        assert pick(rendered["prod"], "ServiceAccount", name)["automountServiceAccountToken"] is False
    excluded = "traffic.sidecar.istio.io/excludeInboundPorts"
    assert (
        pick(rendered["prod"], "Deployment", "jaeger")["spec"]["template"]["metadata"]["annotations"][excluded]
        == "16686"
    )
    assert jobs(rendered["prod"])["mesh-proxies"]["kubernetes_sd_configs"][0]["namespaces"]["names"][-1] == "monitoring"
    assert (
        "monitoring"
        not in jobs(rendered["defaults"])["mesh-proxies"]["kubernetes_sd_configs"][0]["namespaces"]["names"]
    )


def test_the_collector_gets_its_secrets_by_reference(rendered: dict[str, list[dict[str, Any]]]) -> None:
    (container,) = pick(rendered["prod"], "Deployment", "otel-collector")["spec"]["template"]["spec"]["containers"]
    assert container["env"][-1] == {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "store", "key": "token"}}}
    assert container["image"] == "docker.io/otel/opentelemetry-collector:0.165.0"


def test_alertmanager_gets_receivers_with_files_for_their_secrets(
    rendered: dict[str, list[dict[str, Any]]], tmp_path: Path
) -> None:
    config = json.loads(pick(rendered["prod"], "ConfigMap", "alertmanager")["data"]["alertmanager.yml"])
    assert config["receivers"][1] == {
        "name": "pager",
        "pagerduty_configs": [{"routing_key_file": "/etc/alertmanager/secrets/pager/routing-key"}],
    }
    assert config["route"]["receiver"] == "team"
    pod = pick(rendered["prod"], "StatefulSet", "alertmanager")["spec"]["template"]["spec"]
    (secret,) = [volume["secret"] for volume in pod["volumes"] if "secret" in volume]
    assert secret == {
        "secretName": "pager",
        "defaultMode": 0o440,
        "items": [{"key": "routing-key", "path": "routing-key"}],
    }
    assert {"name": "secret-0", "mountPath": "/etc/alertmanager/secrets/pager", "readOnly": True} in pod["containers"][
        0
    ]["volumeMounts"]
    assert yaml.safe_load(pick(rendered["prod"], "ConfigMap", "prometheus")["data"]["prometheus.yml"])["alerting"] == {
        "alertmanagers": [{"static_configs": [{"targets": ["alertmanager:9093", "alertmanager.elsewhere.svc:9093"]}]}]
    }
    file = tmp_path / "alertmanager.yml"
    file.write_text(json.dumps(config))
    done = subprocess.run(
        [tools.find("amtool"), "check-config", str(file)], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_operators_chart_sends_alerts_to_this_roles_alertmanager() -> None:
    values = value("observability", "__observability_operator_values", observability_alertmanager="managed")
    assert values["alertmanager"] == {"enabled": False}
    (endpoint,) = values["prometheus"]["prometheusSpec"]["alertingEndpoints"]
    assert endpoint == {"name": "alertmanager", "namespace": "monitoring", "port": "http"}


def test_jaeger_and_alertmanager_go_when_they_are_not_wanted_any_more() -> None:
    def gone(name: str, **given: Any) -> set[str]:
        retired = value("observability", "__observability_retired", inventory_hostname="one", **given)
        return {item["kind"] for item in retired if item["metadata"]["name"] == name}

    assert gone("jaeger", platform_tracing="jaeger", platform_prometheus="absent") == set()
    in_mesh = {"PeerAuthentication", "AuthorizationPolicy", "Telemetry"}
    traces = {"ServiceAccount", "ConfigMap", "Service", "Deployment"} | in_mesh
    assert gone("jaeger") == traces | {"DestinationRule"}
    assert gone("otel-collector") == gone("otel-collector", platform_tracing="external") == traces
    assert gone("otel-collector", observability_access_log_otlp="collector") == set()
    assert gone("alertmanager", observability_alertmanager="managed") == set()
    there = {"ServiceAccount", "ConfigMap", "Service", "StatefulSet"}
    assert gone("alertmanager") == there
    assert gone("alertmanager", observability_alertmanager="managed", platform_prometheus="absent") == there


def test_storage_by_choice(rendered: dict[str, list[dict[str, Any]]]) -> None:
    local = pick(rendered["local"], "StatefulSet", "prometheus")["spec"]
    prod = pick(rendered["prod"], "StatefulSet", "prometheus")["spec"]
    assert "volumeClaimTemplates" not in local
    assert {"name": "data", "emptyDir": {"sizeLimit": "20Gi"}} in local["template"]["spec"]["volumes"]
    (claim,) = prod["volumeClaimTemplates"]
    assert claim["spec"]["storageClassName"] == "fast"
    assert "--storage.tsdb.retention.size=15GB" in prod["template"]["spec"]["containers"][0]["args"]


def test_a_service_more_changes_the_rules_and_replaces_no_pod() -> None:
    """Prometheus loads them itself."""

    def made(services: list[str]) -> tuple[str, dict[str, Any]]:
        given = {"observability_services": services, "inventory_hostname": "one"}
        objects = [
            item for item in yaml.safe_load_all(rendered_text("observability", "manifests.yml.j2", **given)) if item
        ]
        template = pick(objects, "StatefulSet", "prometheus")["spec"]["template"]
        return pick(objects, "ConfigMap", "prometheus")["data"]["rules.yml"], template

    (rules, before), (more, after) = made(["user-service"]), made(["user-service", "basket-service"])
    assert rules != more
    assert before == after
    args = after["spec"]["containers"][0]["args"]
    assert "--enable-feature=auto-reload-config" in args
    assert not [name for name in args if "lifecycle" in name]


def test_prometheus_may_read_no_secret(rendered: dict[str, list[dict[str, Any]]]) -> None:
    roles = [item for item in rendered["defaults"] if item["kind"] in ("ClusterRole", "Role")]
    read = {
        item["metadata"].get("namespace", ""): {name for rule in item["rules"] for name in rule.get("resources", [])}
        for item in roles
    }
    assert read == {
        "": {"nodes", "nodes/metrics"},
        "ecommerce": {"pods"},
        "istio-system": {"pods"},
        "ingress-nginx": {"pods"},
        "default": {"endpointslices", "pods", "services"},
    }
    assert {verb for item in roles for rule in item["rules"] for verb in rule["verbs"]} == {"get", "list", "watch"}
    assert [rule["nonResourceURLs"] for item in roles for rule in item["rules"] if "nonResourceURLs" in rule] == [
        ["/metrics"]
    ]


def test_prometheus_has_no_rights_for_what_it_does_not_scrape(rendered: dict[str, list[dict[str, Any]]]) -> None:
    assert not [item for item in rendered["prometheus3"] if item["kind"].startswith("ClusterRole")], (
        "neither nodes nor the API server"
    )
    assert "default" not in {item["metadata"].get("namespace") for item in rendered["prometheus3"]}
    assert "ingress-nginx" not in {
        item["metadata"].get("namespace") for item in rendered["others"] if item["kind"] == "Role"
    }


def test_a_prometheus_3_is_told_what_an_empty_answer_is(rendered: dict[str, list[dict[str, Any]]]) -> None:
    for variant in STANDALONE:
        assert jobs(rendered[variant])["service-readiness"]["fallback_scrape_protocol"] == "PrometheusText0.0.4"
    assert set(jobs(rendered["defaults"])) - set(jobs(rendered["prometheus3"])) == {"apiserver", "cadvisor"}


def test_the_operators_chart_writes_to_kube_system_only_when_asked() -> None:
    """The keys of kube-prometheus-stack (values.yaml) whose templates have kube-system, or whose Services the operator writes there."""
    components = {"kubelet", "coreDns", "kubeDns", "kubeControllerManager", "kubeEtcd", "kubeScheduler", "kubeProxy"}
    apart = value("observability", "__observability_operator_values")
    assert {name for name in components if apart[name] == {"enabled": False}} == components
    assert apart["prometheusOperator"] == {"kubeletService": {"enabled": False}}
    asked = value("observability", "__observability_operator_values", observability_operator_kube_system=True)
    assert set(asked) == {"servicemesh.platform/managed-by", "fullnameOverride"}


def test_names_of_the_site_reach_every_place(rendered: dict[str, list[dict[str, Any]]]) -> None:
    text = json.dumps(rendered["renamed"])
    assert not re.search(r'namespace[\\"=:, ]+(ecommerce|istio-system|monitoring)\b', text)
    assert "user-service" not in pick(rendered["renamed"], "ConfigMap", "prometheus")["data"]["rules.yml"]
    names = jobs(rendered["renamed"])["mesh-proxies"]["kubernetes_sd_configs"][0]["namespaces"]["names"]
    assert names == ["shop", "mesh", "tools"]


def test_pod_monitors_say_what_the_scrape_configuration_says(rendered: dict[str, list[dict[str, Any]]]) -> None:
    keys = {"source_labels": "sourceLabels", "target_label": "targetLabel"}

    def camel(rules: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{keys.get(key, key): value for key, value in rule.items()} for rule in rules]

    for name, job in jobs(rendered["local"]).items():
        discovery = job.get("kubernetes_sd_configs", [{"role": "none"}])[0]
        if discovery["role"] != "pod":
            continue
        spec = pick(rendered["operator"], "PodMonitor", name)["spec"]
        (endpoint,) = spec["podMetricsEndpoints"]
        assert spec["namespaceSelector"]["matchNames"] == discovery["namespaces"]["names"]
        assert endpoint["relabelings"][0] == {"targetLabel": "job", "replacement": name}
        assert endpoint["relabelings"][1:] == camel(job["relabel_configs"])
        assert endpoint.get("metricRelabelings", []) == camel(job.get("metric_relabel_configs", []))
    # Without discovery there is no pod that a monitor could select.
    job, spec = (
        jobs(rendered["local"])["pushgateway"],
        pick(rendered["operator"], "ScrapeConfig", "pushgateway")["spec"],
    )
    assert (spec["staticConfigs"], spec["honorLabels"]) == (job["static_configs"], job["honor_labels"])
    assert spec["metricRelabelings"] == camel(job["metric_relabel_configs"])


def test_the_operator_has_to_know_each_kind_that_it_is_given() -> None:
    def kinds_of(**given: Any) -> list[str]:
        wanted = value(
            "observability",
            "__observability_needs",
            inventory_hostname="one",
            observability_prometheus="operator",
            **given,
        )
        return list(wanted["kinds"])

    assert kinds_of() == ["podmonitors", "prometheusrules"]
    assert kinds_of(platform_pushgateway="a/b:1") == ["podmonitors", "prometheusrules", "scrapeconfigs"]
    assert kinds_of(platform_pushgateway="a/b:1", observability_operator_install=True) == []


@pytest.mark.parametrize("variant", STANDALONE)
def test_promtool_accepts_the_configuration(
    rendered: dict[str, list[dict[str, Any]]], variant: str, promtool: str, tmp_path: Path
) -> None:
    """Debian's promtool has version 2 and no Kubernetes discovery, so this test checks these keys and removes them first."""
    data = pick(rendered[variant], "ConfigMap", "prometheus")["data"]
    config = yaml.safe_load(data["prometheus.yml"])
    for job in config["scrape_configs"]:
        job.pop("fallback_scrape_protocol", None)
        for discovery in job.pop("kubernetes_sd_configs", []):
            assert set(discovery) <= {"role", "namespaces"}
            assert discovery["role"] in {"pod", "node", "endpointslice"}
            assert discovery.get("namespaces", {"names": ["x"]}).keys() == {"names"}
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(config))
    (tmp_path / "rules.yml").write_text(data["rules.yml"])
    command = [promtool, "check", "config", "--syntax-only", str(tmp_path / "prometheus.yml")]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    done = subprocess.run(
        [promtool, "check", "rules", str(tmp_path / "rules.yml")],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "duplicate" not in done.stdout
