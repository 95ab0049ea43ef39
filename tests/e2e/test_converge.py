"""Runs of site.yml on a converged platform change nothing."""

from __future__ import annotations

import pytest

from tests.support import ansible_playbook

INVENTORY = ("-i", "inventories/local")


@pytest.fixture
def cluster_args(kubeconfig: str) -> tuple[str, ...]:
    return (*INVENTORY, "-e", f"platform_kubeconfig={kubeconfig}")


@pytest.mark.slow
def test_a_second_run_changes_nothing(cluster_args: tuple[str, ...]) -> None:
    run = ansible_playbook("site.yml", *cluster_args)
    assert run.returncode == 0, run.told
    assert run.recap, run.told
    assert {host: counters["changed"] for host, counters in run.recap.items()} == dict.fromkeys(run.recap, 0), run.told


@pytest.mark.slow
def test_a_check_run_says_the_same(cluster_args: tuple[str, ...]) -> None:
    run = ansible_playbook("site.yml", *cluster_args, "--check", "--diff")
    assert run.returncode == 0, run.told
    assert {host: counters["changed"] for host, counters in run.recap.items()} == dict.fromkeys(run.recap, 0), run.told


@pytest.mark.parametrize("tag", ["cluster_prep", "mesh_traffic", "datastore", "review_service", "verify"])
def test_a_tag_alone_works_and_changes_nothing(cluster_args: tuple[str, ...], tag: str) -> None:
    run = ansible_playbook("site.yml", *cluster_args, "--tags", tag)
    assert run.returncode == 0, run.told
    assert all(counters["changed"] == 0 for counters in run.recap.values()), run.told
    assert all(counters["ok"] > 1 for counters in run.recap.values()), "the tag selects nothing"


def test_a_check_run_tells_a_change_and_makes_none(cluster_args: tuple[str, ...]) -> None:
    args = (*cluster_args, "--tags", "review_service", "--check", "--diff", "-e", "review_service_replicas=2")
    first, second = ansible_playbook("site.yml", *args), ansible_playbook("site.yml", *args)
    for run in (first, second):
        assert run.returncode == 0, run.told
        assert all(counters["changed"] == 1 for counters in run.recap.values()), run.told
        assert "replicas: 2" in run.text


def test_status_shows_every_service_healthy(cluster_args: tuple[str, ...]) -> None:
    run = ansible_playbook("status.yml", *cluster_args)
    assert run.returncode == 0, run.told
    for name in ("user", "product", "order", "payment", "review", "recommendation"):
        (line,) = [line for line in run.text.splitlines() if line.startswith(f"{name}-service ")]
        assert "healthy" in line
        assert f"/api/{name}s" in line
    assert "workloads are healthy." in run.text


def test_no_run_shows_a_secret(cluster_args: tuple[str, ...], cluster: object) -> None:
    import base64

    run = ansible_playbook("site.yml", *cluster_args, "--check", "--diff", "--tags", "datastore,user_service", "-vvv")
    secrets = cluster.core.list_namespaced_secret("ecommerce").items  # type: ignore[attr-defined]
    assert secrets
    for secret in secrets:
        for key, value in (secret.data or {}).items():
            if "pass" in key or "secret" in key or "url" in key:
                plain = base64.b64decode(value).decode(errors="replace")
                assert plain not in run.text, f"{secret.metadata.name}/{key}"
                assert value not in run.text, f"{secret.metadata.name}/{key}"
