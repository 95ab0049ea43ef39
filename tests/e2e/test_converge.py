# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs of site.yml on a converged platform change nothing."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path

import pytest

from tests.support import Cluster, Run, ansible_playbook

INVENTORY = ("-i", "inventories/local")
DEPLOYMENT = "/apis/apps/v1/namespaces/ecommerce/deployments/review-service"


@pytest.fixture(scope="module")
def cluster_args(kubeconfig: str) -> tuple[str, ...]:
    return (*INVENTORY, "-e", f"platform_kubeconfig={kubeconfig}")


@pytest.fixture(scope="module")
def checked(cluster_args: tuple[str, ...]) -> Run:
    """A check run of the whole, with all that Ansible can be made to tell."""
    return ansible_playbook("site.yml", *cluster_args, "--check", "--diff", "-vvv")


@pytest.mark.slow
def test_a_second_run_changes_nothing(cluster_args: tuple[str, ...]) -> None:
    run = ansible_playbook("site.yml", *cluster_args)
    assert run.returncode == 0, run.told
    assert run.recap, run.told
    assert {host: counters["changed"] for host, counters in run.recap.items()} == dict.fromkeys(run.recap, 0), run.told


@pytest.mark.slow
def test_a_check_run_says_the_same(checked: Run) -> None:
    assert checked.returncode == 0, checked.told
    assert checked.recap, checked.told
    changed = {host: counters["changed"] for host, counters in checked.recap.items()}
    assert changed == dict.fromkeys(checked.recap, 0), checked.told


@pytest.mark.slow
def test_no_run_shows_a_secret(checked: Run, cluster: Cluster) -> None:
    secrets = cluster.core.list_namespaced_secret("ecommerce").items
    assert secrets
    for secret in secrets:
        for key, value in (secret.data or {}).items():
            if "pass" in key or "secret" in key or "url" in key:
                plain = base64.b64decode(value).decode(errors="replace")
                assert plain not in checked.text, f"{secret.metadata.name}/{key}"
                assert value not in checked.text, f"{secret.metadata.name}/{key}"


@pytest.mark.parametrize("tag", ["cluster_prep", "mesh_traffic", "datastore", "review_service", "verify"])
def test_a_tag_alone_works_and_changes_nothing(cluster_args: tuple[str, ...], tag: str) -> None:
    run = ansible_playbook("site.yml", *cluster_args, "--tags", tag)
    assert run.returncode == 0, run.told
    assert all(counters["changed"] == 0 for counters in run.recap.values()), run.told
    assert all(counters["ok"] > 1 for counters in run.recap.values()), "the tag selects nothing"


def test_a_check_run_tells_a_change_and_makes_none(cluster_args: tuple[str, ...], cluster: Cluster) -> None:
    before = cluster.get(DEPLOYMENT)["metadata"]["generation"]
    args = (*cluster_args, "--tags", "review_service", "--check", "--diff", "-e", "review_service_replicas=2")
    run = ansible_playbook("site.yml", *args)
    assert run.returncode == 0, run.told
    assert all(counters["changed"] == 1 for counters in run.recap.values()), run.told
    assert "replicas: 2" in run.text
    assert cluster.get(DEPLOYMENT)["metadata"]["generation"] == before


def test_status_shows_every_service_healthy(cluster_args: tuple[str, ...], tmp_path: Path) -> None:
    report = tmp_path / "status.html"
    run = ansible_playbook("status.yml", *cluster_args, "-e", f"report={report}")
    assert run.returncode == 0, run.told
    assert f"page: {report}" in run.text
    page = report.read_text()
    # Whatever fires: that Prometheus was asked, and has the rules.
    assert re.search(r"None of \d+ rules fires|alerts? fires?:", page), page
    for name in ("user", "product", "order", "payment", "review", "recommendation"):
        (line,) = [line for line in run.text.splitlines() if line.startswith(f"{name}-service ")]
        assert "healthy" in line
        assert f"/api/{name}s" in line
        assert f">{name}-service<" in page
    assert "workloads are healthy." in run.text


def test_a_diagnosis_finds_no_error(cluster_args: tuple[str, ...], tmp_path: Path) -> None:
    """Everything of the platform is read, and what its gateway runs is what istiod would send."""
    asked = {
        "namespaces": ["ecommerce", "istio-system"],
        "sections": ["proxies", "config", "certificates", "calls", "istioctl"],
        "proxies": ["istio-system/istio-ingressgateway"],
        "report_folder": str(tmp_path),
    }
    run = ansible_playbook("diagnose.yml", *cluster_args, "-e", json.dumps(asked))
    assert run.returncode == 0, run.told
    report = json.loads((tmp_path / "diagnosis-local.json").read_text())
    states = {row["section"]: row["state"] for row in report["summary"]["sections"]}
    assert {states[name] for name in asked["sections"]} == {"read"}, states
    assert {entry["workload"] for entry in report["proxies"]} >= {"user-service", "user-db", "istio-ingressgateway"}
    (gateway,) = report["proxy_configs"]
    assert (gateway["known"], gateway["differences"]) == (True, [])
    assert any("ecommerce.example.com" in hosts for hosts in gateway["summary"]["routes"].values())
    assert {entry["use"] for entry in report["certificates"]} == {"workload", "serving", "root"}


def test_status_of_a_namespace_that_does_not_exist_is_no_good_news(cluster_args: tuple[str, ...]) -> None:
    run = ansible_playbook("status.yml", *cluster_args, "-e", "platform_namespace=t-nope")
    assert run.returncode == 2, run.told
    assert "There is no namespace t-nope." in run.text
    assert "local has no namespace t-nope, so nothing is known of the workloads that belong there" in " ".join(
        run.text.split()
    )
