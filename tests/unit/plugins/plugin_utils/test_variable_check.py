# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Unit tests of plugin_utils/_variable_check."""

from __future__ import annotations

import pytest
from ansible_collections.servicemesh.platform.plugins.plugin_utils import _variable_check as vc
from hypothesis import given
from hypothesis import strategies as st

OPTIONS = {
    "istio": ["istio_namespace", "istio_revision"],
    "user_service": ["user_service_replicas", "user_service_version"],
    "mesh_security": ["mesh_security_mtls_mode"],
}
PLATFORM = ["platform_replicas", "platform_domain"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x_port", 0),
        ("x_port", 65536),
        ("x_port", "http"),
        ("x_port", True),
        ("x_canary_weight", 101),
        ("x_canary_weight", -1),
        ("x_replicas", -1),
        ("x_namespace", "Ecommerce"),
        ("x_namespace", "a.b"),
        ("x_namespace", 5),
        ("x_service_account", "a_b"),
        ("x_tls_secret", "ecommerce_tls"),
        ("x_domain", "https://example.com"),
    ],
)
def test_range_refuses(name: str, value: object) -> None:
    (finding,) = vc.range_findings(name, value)
    assert finding.startswith(f"{name}: {value!r} is not ")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x_port", 1),
        ("x_port", "65535"),
        ("x_weight", 0),
        ("x_weight", 100),
        ("x_replicas", 0),
        ("x_namespace", ""),
        ("x_namespace", None),
        ("x_support", "Anything"),
        ("x_service_account", "*"),
        ("x_airport", 99999),
        ("x_domain", "ecommerce.example.com"),
    ],
)
def test_range_accepts(name: str, value: object) -> None:
    assert list(vc.range_findings(name, value)) == []


def test_range_looks_below_dicts_and_lists() -> None:
    value = {"a": [{"port": 80, "weight": 101}], "callers": [{"namespace": "No"}]}
    assert [f.split(":")[0] for f in vc.range_findings("x", value)] == ["x.a[0].weight", "x.callers[0].namespace"]


@given(st.integers())
def test_port_rule_is_the_range(port: int) -> None:
    assert bool(list(vc.range_findings("x_port", port))) == (not 1 <= port <= 65535)


def test_owner_is_the_longest_prefix() -> None:
    assert vc.owner_of("mesh_security_x", ["mesh", "mesh_security"]) == "mesh_security"
    assert vc.owner_of("istiod", ["istio"]) is None


def test_unknown_names_the_role_and_the_closest_match() -> None:
    names = [
        "user_service_replica",
        "istio_zzz",
        "platform_replica",
        "__istio_internal",
        "something_else",
        "istio_revision",
    ]
    assert list(vc.unknown_findings(names, OPTIONS, PLATFORM)) == [
        "istio_zzz: role istio has no such variable",
        "platform_replica: nothing reads this variable; did you mean platform_replicas?",
        "user_service_replica: role user_service has no such variable; did you mean user_service_replicas?",
    ]


def test_unknown_leaves_ignored_names_alone() -> None:
    assert list(vc.unknown_findings(["istio_contact"], OPTIONS, PLATFORM, ["istio_contact"])) == []


def test_lookalikes_finds_a_misspelt_prefix_and_nothing_else() -> None:
    names = ["user_servce_replicas", "user_service_replicas", "ansible_istio_revision", "user_table", "ansible_user"]
    assert list(vc.lookalikes(names, OPTIONS, PLATFORM)) == [("user_servce_replicas", "user_service_replicas")]


def test_platform_names_skips_comments() -> None:
    text = '# platform_no: 1\na: "{{ platform_yes | default(1) }}"  # platform_neither\n'
    assert vc.platform_names([text]) == {"platform_yes"}


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("istio_chart", "/charts/base", [("istio_chart", "/charts/base")]),
        ("istio_charts", {"base": "/b", "istiod": "oci://x"}, [("istio_charts.base", "/b")]),
        ("nginx_ingress_chart_ref", "./x", [("nginx_ingress_chart_ref", "./x")]),
        ("istio_chart", "istio/base", []),
        ("istio_chart_version", "/no", []),
    ],
)
def test_chart_paths(name: str, value: object, expected: list[tuple[str, str]]) -> None:
    assert list(vc.chart_paths(name, value)) == expected


def test_what_is_passed_on_is_called_by_the_name_that_users_set() -> None:
    raw = {
        "a_namespace": "{{ platform_namespace | default('x') }}",
        "b_namespace": "{{ platform_other | default('x') }}",
        "c_image": "{{ platform_registry | default('x') }}/image",
        "platform_namespace": "E_c",
        "platform_registry": "r",
        "d": 5,
    }
    names = vc.sources(raw)
    assert names == {"a_namespace": "platform_namespace"}
    assert (
        vc.renamed("value of a_namespace, not of aa_namespace", names)
        == "value of platform_namespace, not of aa_namespace"
    )


FLAVOURS = [
    "__nginx_ingress_f5_class_controller",
    "__nginx_ingress_class_controller",
    "__nginx_ingress_community_class_controller",
]


def test_an_unknown_flavour_is_told_with_those_that_have_a_file() -> None:
    assert list(vc.flavour_findings("f5", FLAVOURS)) == []
    expected = "expected one of community, f5; did you mean community?"
    assert list(vc.flavour_findings("comunity", FLAVOURS)) == [
        f"nginx_ingress_flavour: 'comunity' is no flavour of the ingress; {expected}"
    ]
