# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is given to a playbook is used or refused: runs of the playbooks that need no cluster."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.contract.test_playbooks import PLAYBOOKS, ansible_playbook
from tests.contract.tree import ROOT, flat_tasks, load

META = {name: load(ROOT / "playbooks" / name.replace(".yml", ".meta.yml"))["argument_specs"] for name in PLAYBOOKS}
OPTIONS: dict[str, dict[str, Any]] = {
    name: option for specs in META.values() for spec in specs.values() for name, option in spec["options"].items()
}

# local_up.yml and local_down.yml are left out: a test that fails would change the local cluster of the machine.
# Playbook -> what is given, and what is said about it. All findings of a run are told at once.
REFUSED: dict[str, tuple[str, list[str], list[str]]] = {
    "canary": (
        "canary.yml",
        [
            *("--tags", "obserability", "-e", "service=usr-service", "-e", "verison=v1.1", "-e", "pause_at=abc", "-e", "stpes=3"),
            *("-e", json.dumps({"platform_canary": {"stpes": [5]}, "microservice_canary": {"proof_timout": 5}})),
        ],
        [
            "--tags obserability: no task has this tag. canary.yml has no tags",
            "service: there is no service 'usr-service'; did you mean user-service? Services: order-service, payment-service,",
            "verison: nothing reads this variable; did you mean version?",
            "pause_at: 'abc' is not a whole number; expected for example 20 (-e pause_at=20)",
            "stpes: nothing reads this variable; did you mean steps?",
            "platform_canary.stpes: a canary has no such setting; did you mean steps?",
            "microservice_canary.proof_timout: a canary has no such setting; did you mean proof_timeout?",
        ],
    ),
    "canary, settings that do not fit together": (
        "canary.yml",
        ["-e", "service=user-service", "-e", "steps=10", "-e", "pause_at=7", "-e", "hold_at=10", "-e", "namespace=shop"],
        [
            "hold_at: nothing reads this variable; did you mean pause_at?",
            "the command line: pause_at: 7 is not one of the steps [10]",
            "namespace: nothing reads this variable; did you mean platform_namespace?",
        ],
    ),
    "canary without a service": (
        "canary.yml",
        ["-e", "version=v1.1"],
        ["service: is not given; expected for example -e service=user-service or -e '{", "Services: order-service, payment-service,"],
    ),
    "site": (
        "site.yml",
        [
            *("--tags", "obserability", "--skip-tags", "isto", "-e", "service=user-service", "-e", "steps=10"),
            *("-e", "istio_pilot_autoscale_min=9", "-e", "observability_scrape_interval=often", "-e", "user_service_autoscaling=no"),
            *("-e", json.dumps({"nginx_ingress_node_ports": {"http": 99999}, "platform_canary": {"stpes": [5]}})),
        ],
        [
            "--tags obserability: no task has this tag; did you mean observability? Tags of site.yml: added_services, cluster_prep,",
            "--skip-tags isto: no task has this tag; did you mean istio?",
            "service: site.yml has no such argument, it is one of canary.yml, demo.yml, promote.yml, rollback.yml",
            "steps: site.yml has no such argument, it is one of canary.yml",
            "istio_pilot_autoscale_min: 9 is above istio_pilot_autoscale_max, which is 5",
            "observability_scrape_interval: 'often' is not a duration of Prometheus",
            'user_service_autoscaling: \'no\' is not a dict; expected for example {"enabled": false, "min": 3,',
            "nginx_ingress_node_ports.http: 99999 is not a port from 1 to 65535",
            "platform_canary.stpes: a canary has no such setting; did you mean steps?",
        ],
    ),
    "site, the catalogue": (
        "site.yml",
        [
            *("--tags", "baskets_service", "-e", "user_service_replicas=2"),
            *("-e", json.dumps({"platform_other_workloads": ["batch"], "platform_services": {
                "basket-service": {"port": 80800, "routes": [{"prefix": "/api/users"}], "callers": [
                    {"service_account": "oder-service", "methods": ["GET"], "paths": ["/x"]},
                    {"service_account": "batch", "methods": ["GET"], "paths": ["/x"]}]},
                "user-service": {"replicas": 3},
                "product-service": {"database": {"name": "order-db"}},
                "review-service": {"canary": {"stpes": [5]}},
                "payment-service": {"enabled": False}}})),
            *("-e", json.dumps({"order_service_env": {"PAYMENTS": "http://payment-service/x"}})),
            *("-e", json.dumps({"datastore_databases": [{"name": "x-db", "owner": "nobody", "database": "x", "username": "x"}]})),
        ],
        [
            "--tags baskets_service: no task has this tag; did you mean basket_service?",
            "platform_services.basket-service.port: 80800 is not a port from 1 to 65535",
            "platform_services.basket-service.image: missing, and platform_image_registry is not given",
            "platform_services.basket-service.routes: prefix '/api/users' is one of user-service too",
            "platform_services.basket-service.callers[0].service_account: 'oder-service' is no service; did you mean order-service?",
            "platform_services.user-service.replicas: user_service_replicas is given too",
            "platform_services.review-service.canary.stpes: a canary has no such setting; did you mean steps?",
            "order-service.env.PAYMENTS: 'http://payment-service/x' is the address of payment-service, which is left out",
            "datastore_databases: the owner of 'x-db', 'nobody', is no service",
        ],
    ),
    "site, entries that cannot be read": (
        "site.yml",
        ["-e", json.dumps({"platform_services": {"Basket": {}, "basket-service": {"replica": 2}, "user_service": {"enabled": "maybe"}}})],
        [
            "platform_services.Basket: 'Basket' is not an RFC 1123 label",
            "platform_services.basket-service.replica: unknown key; did you mean replicas?",
            "platform_services.user_service.enabled: 'maybe' is not true or false",
        ],
    ),
    "canary of a service that is left out": (
        "canary.yml",
        ["-e", "service=review-service", "-e", json.dumps(
            {"platform_services": {"review-service": {"enabled": False}, "basket-service": {}}})],
        ["service: there is no service 'review-service'", "Services: basket-service, order-service,"],
    ),
    "diagnose": (
        "diagnose.yml",
        ["-e", "fail_on=bad", "-e", "section=proxies", "-e", "window=often", "-e", "sections=proxies,confg"],
        [
            "value of fail_on must be one of: error, warning, info, never, got: bad (-e fail_on=warning)",
            "section: nothing reads this variable; did you mean sections?",
            "window: 'often' is not a whole number; expected for example 86400 (-e window=86400)",
            "Got no match for: confg (-e '{\"sections\": [\"proxies\", \"config\"]}')",
        ],
    ),
    "promote": (
        "promote.yml",
        ["-e", "service=zzz", "-e", "full=perhaps", "-e", "reason=none"],
        [
            "service: there is no service 'zzz'. Services: order-service,",
            "full: 'perhaps' is not true or false; expected for example true (-e full=true)",
            "reason: promote.yml has no such argument, it is one of rollback.yml. Arguments here: full, report, service, version",
        ],
    ),
    "rollback": (
        "rollback.yml",
        ["-e", "servce=user-service", "-e", "raeson=tickets"],
        [
            "servce: nothing reads this variable; did you mean service?",
            "raeson: nothing reads this variable; did you mean reason?",
            "service: is not given; expected for example -e service=user-service",
        ],
    ),
    "teardown of one service": (
        "teardown.yml",
        ["-e", "confirm=dev", "-e", "service=user-service", "--tags", "user-service"],
        [
            "service: teardown.yml has no such argument",
            "--tags user-service: no task has this tag; did you mean user_service?",
        ],
    ),
    "demo": (
        "demo.yml",
        ["-e", "service=usr-service", "-e", "confrim=dev", "-e", "rate=fast"],
        [
            "confrim: nothing reads this variable; did you mean confirm?",
            "service: there is no service 'usr-service'; did you mean user-service?",
            "rate: 'fast' is not a whole number; expected for example 15 (-e rate=15)",
        ],
    ),
    "status": (
        "status.yml",
        ["-e", "platfrom_namespace=shop", "-e", "platform_image_pull_policy=Often", "-e", "platform_namespace=Shop"],
        [
            "platfrom_namespace: nothing reads this variable; did you mean platform_namespace?",
            "value of platform_image_pull_policy must be one of: Always, IfNotPresent, Never, got: Often",
            "platform_namespace: 'Shop' is not an RFC 1123 label",
        ],
    ),
    "verify_mtls": ("verify_mtls.yml", ["--tags", "verify-mtls"], ["--tags verify-mtls: no task has this tag; did you mean verify_mtls?"]),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_used_is_refused_before_anything_runs(case: str) -> None:
    playbook, args, messages = REFUSED[case]
    done = ansible_playbook(f"playbooks/{playbook}", "-i", "inventories/dev", *args)
    text = done.stdout + done.stderr
    assert done.returncode == 2, text
    assert [message for message in messages if message not in text] == [], text
    assert "nothing was changed" in text
    assert "TASK [servicemesh.platform." not in done.stdout, "a role started"


GIVEN = {"platform_image_registry": "registry.example.com/shop"}
PROXY = {"name": "smoke", "url": "https://smoke.example.com/ok", "value": "failed", "max": 1}
# Playbook, what is given, what is said of it.
ABSENT: dict[str, tuple[str, dict[str, Any], list[str]]] = {
    "all three": (
        "site.yml",
        {"platform_istio": "absent", "platform_ingress": "absent", "platform_prometheus": "absent", "user_service_rollout": "canary"},
        [
            "platform_istio: is absent, and this run uses it: role mesh_security",
            "services user-service, product-service, ",
            "(routes and access rules); the canary of user-service (weights of routes). Set platform_istio to managed",
            "platform_prometheus: is absent, and this run uses it: the canary of user-service (success_rate, p99). Set",
        ],
    ),
    "an ingress in front of a gateway that nobody reaches": (
        "site.yml",
        {"platform_ingress": "absent"},
        ["platform_ingress: is absent, and this run uses it: services user-service, product-service"],
    ),
    "a canary": (
        "canary.yml",
        {"platform_prometheus": "absent", "service": "user-service", "verify_mtls_metrics": False},
        ["platform_prometheus: is absent, and this run uses it: the canary of user-service (success_rate, p99)"],
    ),
    "a report": (
        "verify_mtls.yml",
        {"platform_prometheus": "absent"},
        ["platform_prometheus: is absent, and this run uses it: role verify_mtls (verify_mtls_metrics"],
    ),
    "wrong values and former names": (
        "site.yml",
        {
            "platform_istio": "somewhere",
            "platform_prometheus": "external",
            "observability_prometheus": "external",
            "microservice_canary_monitoring_namespace": "metrics",
            "platform_gateway": {"selecter": {}},
        },
        [
            "value of platform_istio must be one of: managed, external, absent, got: somewhere",
            "observability_prometheus: 'external' is no value any more; set platform_prometheus: external",
            "microservice_canary_monitoring_namespace: this variable is not read any more; set platform_monitoring_namespace",
            "platform_gateway.selecter: there is no such option; did you mean selector?",
        ],
    ),
    "no address": (
        "site.yml",
        {"platform_prometheus": "external"},
        ["platform_prometheus_address: is not given, and platform_prometheus is external; expected for example"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", ABSENT)
def test_what_is_absent_and_used_stops_the_run_before_anything_is_changed(case: str) -> None:
    playbook, given, told = ABSENT[case]
    done = ansible_playbook(f"playbooks/{playbook}", "-i", "inventories/dev", "-e", json.dumps({**GIVEN, **given}))
    text = done.stdout + done.stderr
    assert done.returncode == 2, text
    assert [message for message in told if message not in text] == [], text
    assert "nothing was changed" in text
    assert "TASK [servicemesh.platform." not in done.stdout, "a role started"


@pytest.mark.parametrize(
    ("playbook", "given"),
    [
        (
            "site.yml",
            {"platform_prometheus": "absent", "platform_ingress": "absent", "istio_ingress_gateway_service_type": "LoadBalancer"},
        ),
        (
            "site.yml",
            {
                **dict.fromkeys(("platform_istio", "platform_ingress", "platform_prometheus"), "external"),
                "platform_prometheus_address": {"service": "stack/thanos:9090"},
            },
        ),
        ("canary.yml", {"platform_prometheus": "absent", "service": "user-service", "platform_canary": {"analysis": [PROXY]}}),
        ("verify_mtls.yml", {"platform_prometheus": "absent", "verify_mtls_metrics": "false"}),
        ("teardown.yml", {"platform_istio": "absent", "confirm": "dev"}),
    ],
)  # fmt: skip
def test_what_is_absent_and_not_used_is_accepted(inventory: Path, playbook: str, given: dict[str, Any]) -> None:
    done = ansible_playbook(
        f"playbooks/{playbook}", "-i", str(inventory), "-e", json.dumps({"domain": "x.y", **GIVEN, **given})
    )
    text = done.stdout + done.stderr
    assert "https://127.0.0.1:1" in text, text  # the checks of variables pass, and the first request fails
    assert "nothing was changed" not in text


NO_IMAGE = (
    "user_service_image, product_service_image, payment_service_image, review_service_image, order_service_image, "
    "recommendation_service_image: no image is given, and there is no default. Set platform_image_registry to where your images are"
)


@pytest.mark.parametrize(
    ("environment", "given", "told"),
    [
        ("dev", [], [NO_IMAGE, "ansible-playbook playbooks/images.yml -i <inventory> -e platform_image_registry="]),
        ("prod", [], [NO_IMAGE]),
        (
            "dev",
            ["-e", "platform_image_registry=docker.io"],
            ["platform_image_registry: 'docker.io' is a public registry, and no place of yours in it"],
        ),
        (
            "dev",
            ["-e", "platform_image_registry=ecommerce", "-e", "platform_upstream_registry=https://mirror"],
            [
                "images would come from docker.io/ecommerce",
                "platform_upstream_registry: 'https://mirror' is not a registry",
            ],
        ),
        (
            "dev",
            ["-e", "user_service_image=registry.example.com/user-service:v1"],
            [NO_IMAGE.removeprefix("user_service_image, ")],
        ),
    ],
)
def test_a_service_without_an_image_stops_the_run_before_anything_is_changed(
    environment: str, given: list[str], told: list[str]
) -> None:
    done = ansible_playbook("playbooks/site.yml", "-i", f"inventories/{environment}", *given)
    text = done.stdout + done.stderr
    assert done.returncode == 2, text
    assert [message for message in told if message not in text] == [], text
    assert "nothing was changed" in text
    assert "TASK [servicemesh.platform." not in done.stdout, "a role started"
    assert "image: 'missing'" not in text
    assert "is not an image reference" not in text, "told twice"


@pytest.fixture
def inventory(tmp_path: Path) -> Path:
    """An inventory with variables of its own, and a cluster that nobody answers for."""
    kubeconfig = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}],
        "users": [{"name": "u", "user": {"token": "x"}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "c",
    }
    (tmp_path / "kubeconfig").write_text(json.dumps(kubeconfig), encoding="utf-8")
    variables = {
        "ansible_connection": "local",
        "platform_kubeconfig": str(tmp_path / "kubeconfig"),
        "platform_image_registry": "registry.example.com/shop",
        "platform_domain": "{{ domain }}",  # used here, and given with -e
        "versions": "a variable of this inventory that resembles an argument",
        "platform_ignored_variables": ["reports", "istio_contact"],
        "istio_contact": "somebody",
    }
    hosts = {"clusters": {"hosts": {"one": variables}}}
    (tmp_path / "hosts.yml").write_text(json.dumps(hosts), encoding="utf-8")
    return tmp_path / "hosts.yml"


def test_a_removal_needs_no_image(inventory: Path) -> None:
    done = ansible_playbook(
        "playbooks/teardown.yml",
        "-i",
        str(inventory),
        "-e",
        "confirm=dev",
        "-e",
        "platform_image_registry=",
        "-e",
        "domain=x.y",
    )
    text = done.stdout + done.stderr
    assert "https://127.0.0.1:1" in text, text
    assert "no image is given" not in text


def test_what_others_give_passes(inventory: Path) -> None:
    given = {
        "awx_job_id": 4,
        "tower_user_name": "me",
        "domain": "shop.example.com",
        "versions": 3,
        "reports": "ignored",
        "service": "user-service",
        "version": "",
        "release_plan": "",
        "pause_at": "20",
        "steps": "20,50",
        "stay_at": 20,
    }
    done = ansible_playbook("playbooks/canary.yml", "-i", str(inventory), "-e", json.dumps(given))
    text = done.stdout + done.stderr
    # The check passes, and the first request fails.
    assert "https://127.0.0.1:1" in text, text
    assert "nothing was changed" not in text
    assert "Neither canary.yml nor the inventory reads these extra variables: stay_at" in " ".join(text.split())


def test_somebody_elses_playbook_may_have_more(inventory: Path, tmp_path: Path) -> None:
    """Variables of import_playbook are arguments; variables and tags of the importing playbook are its own."""
    outer = tmp_path / "outer.yml"
    arguments = {"service": "user-service", "verison": "v1.1"}
    plays = [
        {"import_playbook": str(ROOT / "playbooks" / "promote.yml"), "vars": arguments},
        {
            "hosts": "all",
            "gather_facts": False,
            "tasks": [{"ansible.builtin.debug": {"var": "reports"}, "tags": ["mine"]}],
        },
    ]
    outer.write_text(json.dumps(plays), encoding="utf-8")
    done = ansible_playbook(
        str(outer), "-i", str(inventory), "-e", "reports=1", "-e", "steps=5", "-e", "domain=x.y", "--tags", "mine"
    )
    text = done.stdout + done.stderr
    assert done.returncode == 2, text
    assert "verison: nothing reads this variable; did you mean version?" in text
    assert "1 variable is wrong" in text, text


@pytest.mark.parametrize("playbook", PLAYBOOKS)
def test_a_playbook_states_its_arguments_and_checks_them_first(playbook: str) -> None:
    (play,) = load(ROOT / "playbooks" / playbook)
    (name,) = META[playbook]
    assert name == play["name"]
    tasks = flat_tasks([*play.get("pre_tasks", []), *play.get("tasks", [])])
    checks = [task for task in tasks[:2] if "servicemesh.platform.check_variables" in task]
    assert [task["servicemesh.platform.check_variables"]["playbook"] for task in checks] == [
        playbook.removesuffix(".yml")
    ]
    assert "always" in checks[0]["tags"]


def test_arguments_have_a_type_a_meaning_and_an_example_and_are_documented() -> None:
    text = (ROOT / "docs" / "variables.md").read_text(encoding="utf-8")
    for name, option in OPTIONS.items():
        assert {"type", "description", "example"} <= set(option), name
        assert f"`{name}`" in text, name
