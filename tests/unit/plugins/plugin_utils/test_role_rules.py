# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules of roles that their argument specifications cannot express."""

from __future__ import annotations

import functools
import re
from typing import Any

import pytest
import yaml
from ansible_collections.servicemesh.platform.plugins.plugin_utils._option_values import checked
from ansible_collections.servicemesh.platform.plugins.plugin_utils._role_rules.registry import RULES, findings

from tests.role_values import ROLES, variables


@functools.cache
def options(role: str) -> dict[str, Any]:
    text = (ROLES / role / "meta" / "argument_specs.yml").read_text(encoding="utf-8")
    found: dict[str, Any] = yaml.safe_load(text)["argument_specs"]["main"]["options"]
    return found


def found(role: str, **given: Any) -> list[str]:
    """What the rules say about a role's variables, with what an inventory gives."""
    templar = variables(role, **given, inventory_hostname="shop")
    values = {}
    for name, entry in options(role).items():
        if name in templar.available_variables:
            result = checked(name, templar.template(templar.available_variables[name]), entry)
            assert result.findings == [], "the argument specification refuses this before the rules see it"
            values[name] = result.value
    return list(findings(role, values))


@pytest.mark.parametrize("role", sorted(RULES))
def test_defaults_have_no_findings(role: str) -> None:
    assert found(role) == []


def external(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "owner": name, "external": True, "secret": "s", **more}


def own(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "owner": "user-service", "database": "users", "username": "app", **more}


def databases(*stores: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"datastore_databases": list(stores), "datastore_redis": {}, **more}


HOST = "datastore_databases[0].host: {!r} of a-db"
BAD_HOSTS = (
    "postgresql://db.example.com", "*.example.com", "10.0.0.256", "2001:db8:::7", "Db.example.com", "pg", "pg.other.svc.cluster.local",
    "127.0.0.1", "0.0.0.0", "0.1.2.3", "::1", "::", "fe80::1%eth0", "10.0.0.0/8", "db.example.com.", "db.example.com:5432", "1.2.3",  # noqa: S104
)  # fmt: skip
GOOD_HOSTS = ("db.example.com", "10.0.0.7", "::ffff:a00:1", "2001:db8::7", "pg.other.svc.other.local")

CASES: dict[str, tuple[str, dict[str, Any], list[str]]] = {
    "namespaces without a name": (
        "cluster_prep",
        {"cluster_prep_namespace": "", "cluster_prep_extra_namespaces": [{"name": "Team_A"}]},
        ["cluster_prep_namespace: '' is not", "cluster_prep_extra_namespaces[0].name: 'Team_A' is not"],
    ),
    "a revision with dots": ("cluster_prep", {"cluster_prep_istio_revision": "1.31.0"}, ["cluster_prep_istio_revision: '1.31.0'"]),
    "networks": (
        "cluster_prep",
        {"cluster_prep_pod_cidr": "10.244.0.0", "cluster_prep_service_cidr": "10.96.0.0/33"},
        ["cluster_prep_pod_cidr: '10.244.0.0' is no network", "cluster_prep_service_cidr: '10.96.0.0/33' is no network"],
    ),
    "networks of both families": ("cluster_prep", {"cluster_prep_pod_cidr": "fd00::/56", "cluster_prep_service_cidr": "10.96.0.1/12"}, []),
    "names of istio": (
        "istio",
        {"istio_revision": "1.31.0", "istio_ingress_gateway_name": "Front", "istio_egress_gateway_name": "e.gress"},
        ["istio_revision: '1.31.0'", "istio_ingress_gateway_name: 'Front'", "istio_egress_gateway_name: 'e.gress'"],
    ),
    "an environment of one's own": (
        "observability",
        {"observability_environment": "qa", "observability_access_log_filter": {"qa": ""}},
        ["observability_tracing_sampling: has no value for observability_environment 'qa'", "observability_metrics_reporting"],
    ),
    "an old Prometheus": (
        "observability",
        {"observability_image": "registry.example.com:5000/prom/prometheus:v2.53.0"},
        ["observability_image: 'registry.example.com:5000/prom/prometheus:v2.53.0' is Prometheus 2"],
    ),
    "a Pushgateway that Prometheus cannot scrape": (
        "observability",
        {"observability_pushgateway": "https:monitoring/pushgateway:http"},
        ["observability_pushgateway: 'https:monitoring/pushgateway:http' is not the address of a Service; expected namespace/name:port"],
    ),
    "a Pushgateway": ("observability", {"observability_pushgateway": "monitoring/pushgateway:9091"}, []),
    "a Prometheus of any version": ("observability", {"observability_image": "registry.example.com:2000/prometheus@sha256:22"}, []),
    "environment of the collector": (
        "observability",
        {"observability_collector_env": {"A_1": {"secret": "s", "key": "k"}, "TOKEN": "s3cret", "a-b": {"secret": "s", "key": "k"}}},
        ["observability_collector_env.TOKEN: is no reference", "observability_collector_env.a-b: is no name of an environment variable"],
    ),
    "names of services": ("observability", {"observability_services": ["user_service", "a"]}, ["observability_services: 'user_service'"]),
    "hosts": (
        "nginx_ingress",
        {"nginx_ingress_hosts": ["shop.example.com", "*.shop.example.com", "shop_1.example.com", "a.*.example.com"]},
        ["nginx_ingress_hosts: 'shop_1.example.com'", "nginx_ingress_hosts: 'a.*.example.com'"],
    ),
    "no host": ("nginx_ingress", {"nginx_ingress_hosts": [], "nginx_ingress_upstream_vhost": ""}, ["nginx_ingress_hosts: is empty"]),
    "forms": (
        "nginx_ingress",
        {"nginx_ingress_upstream_vhost": "*.example.com", "nginx_ingress_header_size": "16 kB", "nginx_ingress_image": "controller"},
        ["nginx_ingress_upstream_vhost: '*.example.com'", "nginx_ingress_header_size: '16 kB'", "nginx_ingress_image: 'controller'"],
    ),
    "the client's host": ("nginx_ingress", {"nginx_ingress_upstream_vhost": "$host"}, []),
    "a certificate without a key": (
        "nginx_ingress",
        {"nginx_ingress_tls_mode": "secret", "nginx_ingress_tls_certificate": "PEM"},
        ["nginx_ingress_tls_key: is empty"],
    ),
    "a certificate that is not used": (
        "nginx_ingress",
        {"nginx_ingress_tls_mode": "none", "nginx_ingress_tls_certificate": "PEM", "nginx_ingress_tls_key": "PEM"},
        ["nginx_ingress_tls_certificate: is given, but nginx_ingress_tls_mode is 'none'"],
    ),
    "no issuer": ("nginx_ingress", {"nginx_ingress_tls_mode": "cert_manager"}, ["nginx_ingress_tls_issuer: is empty"]),
    "renewed after it expired": (
        "nginx_ingress",
        {"nginx_ingress_self_signed_days": 30, "nginx_ingress_self_signed_renew_days": 30},
        ["nginx_ingress_self_signed_renew_days: 30 is not less"],
    ),
    "node ports out of range": (
        "nginx_ingress",
        {"nginx_ingress_node_ports": {"http": 80, "https": "32000"}},
        ["nginx_ingress_node_ports.http: 80 is outside of 30000-32767"],
    ),
    "node ports in a range of one's own": (
        "nginx_ingress",
        {"nginx_ingress_node_ports": {"http": 80}, "nginx_ingress_node_port_range": "80-32767"},
        [],
    ),
    "no range": ("nginx_ingress", {"nginx_ingress_node_port_range": "30000"}, ["nginx_ingress_node_port_range: '30000'"]),
    "node ports that are not used": (
        "nginx_ingress",
        {"nginx_ingress_node_ports": {"http": 80}, "nginx_ingress_service_type": "ClusterIP"},
        [],
    ),
    "names of databases": (
        "datastore",
        databases(own("User_DB"), own("9-db"), own("order-db", owner=""), external("cart-db", secret=None)),
        ["datastore_databases[0].name: 'User_DB'", "datastore_databases[1].name: '9-db'", "datastore_databases[2].owner: ''",
         "datastore_databases[3].secret: is not given"],
    ),
    "names in PostgreSQL": (
        "datastore",
        databases(own("user-db", database="users; DROP"), own("order-db", username="pg_app"), own("cart-db", database=None)),
        ["datastore_databases[0].database: 'users; DROP'", "datastore_databases[1].username: 'pg_app'",
         "datastore_databases[2].database: ''"],
    ),
    "one name twice": (
        "datastore",
        databases(own("user-db"), datastore_redis={"name": "user-db", "owner": "product-service"}),
        ["datastore_databases and datastore_redis: 'user-db' is the name of 2"],
    ),
    "a password of nobody": ("datastore", databases(own("user-db"), datastore_passwords={"usr-db": "x"}), ["datastore_passwords: 'usr"]),
    "a host of one's own database": (
        "datastore",
        databases(own("user-db", host="db.example.com")),
        ["datastore_databases[0].host: user-db is not external"],
    ),
    "a port without a host": ("datastore", databases(external("a-db", port=5433)), ["datastore_databases[0].port: 5433 of a-db"]),
    "two names on one port": (
        "datastore",
        databases(external("a-db", host="b.example.com"), external("b-db", host="a.example.com", port=5432)),
        ["datastore_databases: the external hosts a.example.com, b.example.com share port 5432"],
    ),
    "two names on one port, told apart": (
        "datastore",
        databases(external("a-db", host="b.example.com"), external("b-db", host="a.example.com"), datastore_dns_capture="yes"),
        [],
    ),
    "a name and an address on one port": (
        "datastore",
        databases(external("a-db", host="b.example.com"), external("b-db", host="192.0.2.7"), external("c-db", host="b.example.com")),
        [],
    ),
    **{f"host {host}": ("datastore", databases(external("a-db", host=host)), [HOST.format(host)]) for host in BAD_HOSTS},
    **{f"good host {host}": ("datastore", databases(external("a-db", host=host)), []) for host in GOOD_HOSTS},
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_everything_that_is_wrong_is_named(case: str) -> None:
    role, given, expected = CASES[case]
    told = found(role, **given)
    assert [text for text, start in zip(told, expected, strict=True) if not text.startswith(start)] == []
    # What is wrong, and what to do: all of them say what was expected.
    assert [text for text in told if not re.search(r"expected|is not (an RFC|less than)|Choose", text)] == []
