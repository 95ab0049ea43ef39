# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filters, called as from a playbook."""

from __future__ import annotations

import importlib
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleFilterError

from tests.contract.tree import ROOT

NAMES = [
    "ingress_paths",
    "ingress_roots",
    "retired_manifests",
    "secret_manifests",
    "security_manifests",
    "service_findings",
    "service_manifests",
    "traffic_manifests",
]
GOOD: dict[str, Any] = {
    "name": "hello",
    "image": "example/hello:1",
    "generated_secrets": [{"name": "hello", "key": "k", "length": 40}],
}


def load(name: str) -> Any:
    module = importlib.import_module(f"ansible_collections.servicemesh.platform.plugins.filter.{name}")
    return module.FilterModule().filters()[name]


def test_every_filter_has_its_documentation() -> None:
    for name in NAMES:
        document = yaml.safe_load((ROOT / "plugins" / "filter" / f"{name}.yml").read_text(encoding="utf-8"))
        assert document["DOCUMENTATION"]["name"] == name
        assert document["EXAMPLES"]
        assert document["RETURN"]["_value"]


@pytest.mark.parametrize("name", [name for name in NAMES if name.endswith("_manifests")])
def test_a_valid_definition_gives_objects_and_an_invalid_one_all_findings(name: str) -> None:
    function = load(name)
    assert all(manifest["kind"] for manifest in function(GOOD))
    with pytest.raises(AnsibleFilterError) as error:
        function({**GOOD, "port": 0, "replicas": "many"})
    assert name in str(error.value)
    assert "port: 0 is not a port" in str(error.value)
    assert "replicas: 'many' is not a whole number" in str(error.value)


def test_findings() -> None:
    assert load("service_findings")(GOOD) == []
    assert load("service_findings")({**GOOD, "port": 0}) == ["port: 0 is not a port from 1 to 65535"]
    assert load("service_findings")([{**GOOD, "port": 0}]) == ["hello: port: 0 is not a port from 1 to 65535"]


def test_ingress_paths() -> None:
    assert load("ingress_paths")([GOOD], ["/api/a"]) == ["/api/a", "/api/a/*"]
    with pytest.raises(AnsibleFilterError, match="ingress_paths: the definition of hello"):
        load("ingress_paths")([{**GOOD, "port": 0}])


def test_ingress_roots() -> None:
    manifests = load("traffic_manifests")({**GOOD, "routes": [{"prefix": "/hello"}]})
    found = load("ingress_roots")(manifests)
    assert [item["spec"]["hosts"] for item in found["definitions"]] == [["ecommerce.example.com"]]
    assert found["retired"] == []


def test_secrets_are_random_letters_and_digits() -> None:
    (one,), (other,) = load("secret_manifests")(GOOD), load("secret_manifests")(GOOD)
    assert one["stringData"] != other["stringData"]
    assert len(one["stringData"]["k"]) == 40
    assert one["stringData"]["k"].isalnum()
