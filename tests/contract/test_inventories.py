# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Four inventories, the same keys, no plain secrets."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.contract.tree import ROOT, load

ENVIRONMENTS = ["local", "dev", "staging", "prod"]
SECRET_NAME = re.compile(r"(password|passwd|secret|token|api_?key|private_?key|credential)", re.IGNORECASE)
REFERENCE_NAME = re.compile(
    r"(_secret|_secret_name|_secrets|secret_env|require_jwt|_token_path)$"
)  # names of Secrets, not their content
SECRET_VALUE = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----|eyJ[A-Za-z0-9_-]{10,}\.eyJ|://[^/\s:{}]+:[^@\s{}]+@")


# What only the local cluster needs: its proxies are upstream Envoy, its images are made from Debian's packages, and it builds programs.
LOCAL_ONLY = {"upstream_envoy.yml", "debian_versions.yml", "programs.yml"}


def group_variables(environment: str) -> dict[str, Any]:
    """All group variables of an inventory, merged, without those that only the local cluster has."""
    merged: dict[str, Any] = {}
    for path in sorted((ROOT / "inventories" / environment / "group_vars").rglob("*.yml")):
        if path.name in LOCAL_ONLY:
            assert environment == "local"
            continue
        values = load(path) or {}
        assert not set(merged) & set(values), f"{path} sets variables twice: {sorted(set(merged) & set(values))}"
        merged.update(values)
    return merged


def clusters(environment: str) -> dict[str, dict[str, Any]]:
    """Host name -> host variables."""
    return load(ROOT / "inventories" / environment / "hosts.yml")["clusters"]["hosts"]


def walk(prefix: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from walk(f"{prefix}.{key}" if prefix else str(key), item)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from walk(f"{prefix}[{index}]", item)
    else:
        yield prefix, value


def test_there_are_exactly_these_inventories() -> None:
    assert {path.name for path in (ROOT / "inventories").iterdir()} == set(ENVIRONMENTS)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_group_variables_have_the_same_keys(environment: str) -> None:
    expected = set().union(*(group_variables(other) for other in ENVIRONMENTS))
    assert sorted(expected - set(group_variables(environment))) == [], f"inventories/{environment} does not set these"


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_host_variables_have_the_same_keys(environment: str) -> None:
    for host, values in clusters(environment).items():
        assert set(values) == {"platform_context", "platform_region"}, host


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_group_files_have_the_same_names(environment: str) -> None:
    def names(other: str) -> set[str]:
        base = ROOT / "inventories" / other
        return {
            str(path.relative_to(base)) for path in base.rglob("*") if path.is_file() and path.name not in LOCAL_ONLY
        }

    assert names(environment) == names("local")


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_environment_names_itself(environment: str) -> None:
    assert group_variables(environment)["platform_environment"] == environment


def test_a_variable_is_stated_only_where_environments_differ() -> None:
    names = set().union(*(group_variables(environment) for environment in ENVIRONMENTS))
    same = [n for n in names if all(group_variables(e).get(n) == group_variables("local").get(n) for e in ENVIRONMENTS)]
    assert sorted(same) == [], "the same value everywhere: use the role's default"


def test_prod_has_two_regions_and_named_contexts() -> None:
    assert {host: values["platform_region"] for host, values in clusters("prod").items()} == {
        "prod-eu-1": "eu",
        "prod-us-1": "us",
    }
    for environment in ("staging", "prod"):
        for host, values in clusters(environment).items():
            assert values["platform_context"] == host, "the current context of a kubeconfig must not select the cluster"


def secrets_in(path: Path) -> list[str]:
    """Variables of a file whose value looks like a secret and is not a reference, vault or lookup."""
    found = []
    for name, value in walk("", load(path)):
        if not isinstance(value, str) or value == "":
            continue
        last = name.rsplit(".", 1)[-1]
        plain = "{{" not in value and not value.startswith("!vault")
        if SECRET_VALUE.search(value) or (plain and SECRET_NAME.search(last) and not REFERENCE_NAME.search(last)):
            found.append(name)
    return found


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_inventories_contain_no_plain_secret(environment: str) -> None:
    for path in sorted((ROOT / "inventories" / environment).rglob("*.yml")):
        assert secrets_in(path) == [], path


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("user_service_db_password: hunter2", ["user_service_db_password"]),
        ("a: {token: abc}", ["a.token"]),
        ("url: postgresql://user:pw@db/x", ["url"]),
        ("a: |\n  -----BEGIN PRIVATE KEY-----", ["a"]),
        ("user_service_db_password: \"{{ lookup('community.sops.sops', 'x') }}\"", []),
        ("platform_tls_secret: ecommerce-tls", []),
        ("a_password: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  00", []),
    ],
)
def test_the_secret_finder_finds_secrets(tmp_path: Path, text: str, found: list[str]) -> None:
    path = tmp_path / "x.yml"
    path.write_text(text, encoding="utf-8")
    assert secrets_in(path) == found
