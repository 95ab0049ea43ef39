# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The objects of the role datastore, rendered once for all variants; `bad` ones must be refused before anything is rendered."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).resolve().parents[3]
HERE = Path(__file__).with_name("datastore")
OWNERS = {
    f"{name}-db": f"{name}-service" for name in ("user", "product", "order", "payment", "review", "recommendation")
}
Rendered = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Rendered:
    """{variant: {objects, retired, claims, secrets} or {failed}} from one run of Ansible."""
    out = tmp_path_factory.mktemp("rendered")
    playbook = Path(sys.executable).with_name("ansible-playbook")
    command = [str(playbook), str(HERE / "render.yml"), "-i", str(HERE / "variants.yml"), "-e", f"render_dir={out}"]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True, timeout=120)
    files = {path.stem: json.loads(path.read_text()) for path in out.glob("*.json")}
    assert len(files) == 8, done.stdout + done.stderr
    return files


def pick(objects: list[dict[str, Any]], kind: str) -> dict[str, dict[str, Any]]:
    """{name: object} of one kind."""
    return {item["metadata"]["name"]: item for item in objects if item["kind"] == kind}


def test_each_service_has_a_database_that_only_it_may_use(rendered: Rendered) -> None:
    policies = pick(rendered["defaults"]["objects"], "AuthorizationPolicy")
    assert set(policies) == {*OWNERS, "redis"}
    for name, owner in {**OWNERS, "redis": "product-service"}.items():
        (rule,) = policies[name]["spec"]["rules"]
        assert policies[name]["spec"]["selector"] == {"matchLabels": {"app": name}}
        assert rule["from"] == [{"source": {"principals": [f"cluster.local/ns/ecommerce/sa/{owner}"]}}]
        assert rule["to"] == [{"operation": {"ports": ["6379" if name == "redis" else "5432"]}}]


@pytest.mark.parametrize("variant", ["defaults", "local", "no_mesh", "custom"])
def test_services_are_known_to_the_mesh_as_tcp(rendered: Rendered, variant: str) -> None:
    for name, service in pick(rendered[variant]["objects"], "Service").items():
        (port,) = service["spec"]["ports"]
        assert service["spec"]["type"] == "ClusterIP"
        assert service["spec"].get("clusterIP") != "None", "a headless service breaks automatic mutual TLS"
        assert port["name"] == ("tcp-redis" if name == "redis" else "tcp-postgres")


@pytest.mark.parametrize("variant", ["defaults", "local", "no_mesh", "custom"])
def test_pods_meet_pod_security_restricted(rendered: Rendered, variant: str) -> None:
    for item in pick(rendered[variant]["objects"], "StatefulSet").values():
        pod = item["spec"]["template"]["spec"]
        assert item["spec"]["selector"]["matchLabels"].items() <= item["spec"]["template"]["metadata"]["labels"].items()
        assert pod["securityContext"]["runAsNonRoot"]
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        (container,) = pod["containers"]
        security = container["securityContext"]
        assert security["readOnlyRootFilesystem"]
        assert not security["allowPrivilegeEscalation"]
        assert security["capabilities"] == {"drop": ["ALL"]}
        assert {"startupProbe", "readinessProbe", "livenessProbe", "resources"} <= set(container)
        mounted = {mount["name"] for mount in container["volumeMounts"]}
        claims = {claim["metadata"]["name"] for claim in item["spec"].get("volumeClaimTemplates", [])}
        assert mounted == {volume["name"] for volume in pod["volumes"]} | claims


def test_storage_is_a_volume_or_nothing(rendered: Rendered) -> None:
    for name, item in pick(rendered["defaults"]["objects"], "StatefulSet").items():
        assert ("volumeClaimTemplates" in item["spec"]) == (name != "redis")
    for item in pick(rendered["local"]["objects"], "StatefulSet").values():
        assert "volumeClaimTemplates" not in item["spec"]
        assert item["spec"]["template"]["spec"]["containers"][0]["image"].startswith("localhost/library/")
    (claim,) = pick(rendered["custom"]["objects"], "StatefulSet")["user-db"]["spec"]["volumeClaimTemplates"]
    assert claim["spec"]["storageClassName"] == "fast"
    assert claim["spec"]["resources"]["requests"]["storage"] == "3Gi"
    assert claim["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "servicemesh-platform"
    assert list(pick(rendered["custom"]["claims"], "PersistentVolumeClaim")) == ["data-user-db-0"]


def test_secrets_have_all_keys_and_fit_together(rendered: Rendered) -> None:
    secrets = pick(rendered["defaults"]["secrets"], "Secret")
    assert set(secrets) == {*OWNERS, "redis"}
    passwords = {secret["stringData"]["password"] for secret in secrets.values()}
    assert len(passwords) == 7, "each database has its own password"
    assert min(map(len, passwords)) == 32
    for name, secret in secrets.items():
        data = secret["stringData"]
        url = urlsplit(data["url"])
        assert secret["metadata"]["annotations"] == {"servicemesh.platform/create-only": "true"}
        assert (url.password, url.hostname) == (data["password"], f"{name}.ecommerce.svc.cluster.local")
        if name != "redis":
            assert set(data) == {"username", "password", "database", "host", "port", "url"}
            assert (url.username, str(url.port), url.path) == (data["username"], data["port"], "/" + data["database"])


def test_the_secrets_are_new_in_each_rendering(rendered: Rendered) -> None:
    first, second = (pick(rendered[name]["secrets"], "Secret")["user-db"] for name in ("defaults", "local"))
    assert first["stringData"]["password"] != second["stringData"]["password"]


def test_a_given_password_survives_the_url(rendered: Rendered) -> None:
    (secret,) = rendered["custom"]["secrets"]
    assert secret["metadata"]["name"] == "given"
    url = urlsplit(secret["stringData"]["url"])
    assert secret["stringData"]["password"] == "p@s/s:w\"o'rd %é"
    assert unquote(url.password or "") == secret["stringData"]["password"]
    assert url.hostname == "user-db.shop.svc.k8s.example"


def test_external_databases_are_left_alone(rendered: Rendered) -> None:
    names = {item["metadata"]["name"] for item in rendered["custom"]["objects"]}
    assert names == {"user-db"}
    policy = pick(rendered["custom"]["objects"], "AuthorizationPolicy")["user-db"]
    assert policy["spec"]["rules"][0]["from"][0]["source"]["principals"] == ["example.org/ns/shop/sa/accounts"]
    pod = pick(rendered["custom"]["objects"], "StatefulSet")["user-db"]["spec"]["template"]["spec"]
    assert pod["imagePullSecrets"] == [{"name": "mirror"}]
    assert [v["secret"]["secretName"] for v in pod["volumes"] if "secret" in v] == ["given"]


def test_an_external_host_gets_a_service_entry(rendered: Rendered) -> None:
    entries = pick(rendered["outside"]["objects"], "ServiceEntry")
    assert set(entries) == {"payment-db", "order-db", "review-db", "redis"}
    for entry in entries.values():
        assert entry["apiVersion"] == "networking.istio.io/v1"
        assert entry["metadata"]["namespace"] == "ecommerce"
        assert (entry["spec"]["location"], entry["spec"]["exportTo"]) == ("MESH_EXTERNAL", ["."])
        assert {port["protocol"] for port in entry["spec"]["ports"]} == {"TCP"}
    ports = {name: [port["number"] for port in entry["spec"]["ports"]] for name, entry in entries.items()}
    assert ports == {"payment-db": [5432, 5433], "order-db": [6432], "review-db": [5432], "redis": [6379]}
    for name, host in {"payment-db": "pg.db.example.com", "redis": "cache.example.com"}.items():
        spec = entries[name]["spec"]
        assert (spec["hosts"], spec["resolution"]) == ([host], "DNS")
        assert not {"addresses", "endpoints"} & set(spec)
    for name, address in {"order-db": "192.0.2.7", "review-db": "2001:db8::7"}.items():
        spec = entries[name]["spec"]
        assert (spec["hosts"], spec["resolution"]) == ([f"{name}.ecommerce.datastore.internal"], "STATIC")
        assert (spec["addresses"], spec["endpoints"]) == ([address], [{"address": address}])


def test_a_service_entry_is_deleted_with_its_host(rendered: Rendered) -> None:
    # user-db shares payment-db's host, product-db has none; cart-db is deployed here, and services may still use its external host.
    assert set(pick(rendered["outside"]["retired"], "ServiceEntry")) == {"user-db", "product-db"}
    assert set(pick(rendered["custom"]["retired"], "ServiceEntry")) == {"order-db", "redis"}
    assert rendered["outside_no_mesh"]["objects"] == []
    assert set(pick(rendered["outside_no_mesh"]["retired"], "ServiceEntry")) == {"user-db", "order-db"}


def test_names_share_a_port_where_sidecars_resolve_them(rendered: Rendered) -> None:
    entries = pick(rendered["outside_captured"]["objects"], "ServiceEntry")
    assert {name: entry["spec"]["ports"][0]["number"] for name, entry in entries.items()} == dict.fromkeys(
        ("user-db", "order-db", "cart-db"), 5432
    )


def test_without_a_mesh_its_policies_go(rendered: Rendered) -> None:
    assert pick(rendered["no_mesh"]["objects"], "AuthorizationPolicy") == {}
    assert set(pick(rendered["no_mesh"]["retired"], "AuthorizationPolicy")) == set(OWNERS)
    assert rendered["defaults"]["retired"] == []
    assert "redis" not in {item["metadata"]["name"] for item in rendered["no_mesh"]["objects"]}


def test_no_password_stands_in_a_pod(rendered: Rendered) -> None:
    text = json.dumps(rendered["defaults"]["objects"])
    for secret in rendered["defaults"]["secrets"]:
        assert secret["stringData"]["password"] not in text
    for item in pick(rendered["defaults"]["objects"], "StatefulSet").values():
        (container,) = item["spec"]["template"]["spec"]["containers"]
        assert not [argument for argument in container.get("args", []) if "pass" in argument]


def test_bad_input_is_refused_with_every_finding(rendered: Rendered) -> None:
    """The rules themselves: tests/unit/plugins/plugin_utils/test_role_rules.py."""
    (failed,) = rendered["bad"]["failed"]
    for finding in (
        "datastore_databases[0].name: 'User_DB'",
        "datastore_databases[1].secret",
        "datastore_passwords: 'usr-db'",
    ):
        assert finding in failed
