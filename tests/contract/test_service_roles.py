# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The six service roles have one pattern: what differs is what makes a service another one."""

from __future__ import annotations

import re
from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.plugin_utils._service import catalogue

from tests.contract.tree import ROOT, load, service_roles

FILES = ("defaults/main.yml", "meta/argument_specs.yml", "meta/main.yml", "tasks/main.yml", "vars/main.yml")
# Variables that a service may have and another not: tokens, Secrets, a cache.
SOME = re.compile(r"SERVICE_(jwt_\w+|jwks|jwks_uri|cluster_domain|secrets_name|generate_secrets|cache_secret)")
# Values that are the service's own.
OWN = {"SERVICE_routes", "SERVICE_callers", "SERVICE_resources", "SERVICE_database_secret"}


def same(role: str, node: Any) -> Any:
    """Content of a file with a word for the service's name, in all its forms."""
    short = role.removesuffix("_service")
    if isinstance(node, dict):
        return {same(role, key): same(role, value) for key, value in node.items()}
    if isinstance(node, list):
        return [same(role, item) for item in node]
    return re.sub(rf"\b(__)?{short}([-_ ])service", r"\1SERVICE", node) if isinstance(node, str) else node


def content(role: str, name: str) -> Any:
    return same(role, load(ROOT / "roles" / role / name))


def options(role: str) -> dict[str, Any]:
    return {
        key: value
        for key, value in content(role, FILES[1])["argument_specs"]["main"]["options"].items()
        if not SOME.fullmatch(key)
    }


def test_the_catalogue_names_the_roles() -> None:
    assert sorted(map(catalogue.role_of, catalogue.SERVICES)) == service_roles()


@pytest.mark.parametrize("role", service_roles())
def test_a_role_has_the_files_of_the_pattern_and_no_others(role: str) -> None:
    base = ROOT / "roles" / role
    assert sorted(str(path.relative_to(base)) for path in base.rglob("*") if path.is_file()) == sorted(
        [*FILES, "README.md"]
    )


@pytest.mark.parametrize("role", service_roles())
@pytest.mark.parametrize("name", ["meta/main.yml", "tasks/main.yml"])
def test_tasks_and_metadata_are_the_same(role: str, name: str) -> None:
    assert content(role, name) == content("user_service", name)


@pytest.mark.parametrize("role", service_roles())
def test_defaults_have_the_same_keys_and_values(role: str) -> None:
    mine, other = (
        {key: value for key, value in content(one, FILES[0]).items() if not SOME.fullmatch(key)}
        for one in (role, "user_service")
    )
    assert list(mine) == list(other)
    assert {key: str(mine[key]).split() for key in mine if key not in OWN} == {
        key: str(other[key]).split() for key in other if key not in OWN
    }


@pytest.mark.parametrize("role", service_roles())
def test_options_are_described_alike(role: str) -> None:
    def shown(one: str) -> dict[str, Any]:
        found = options(one)
        return {key: {name: item for name, item in value.items() if name != "default"} for key, value in found.items()}

    assert shown(role) == shown("user_service")


@pytest.mark.parametrize("role", service_roles())
def test_vars_say_only_what_makes_a_service_another_one(role: str) -> None:
    found, other = content(role, FILES[4]), content("user_service", FILES[4])
    assert list(found) == list(other)
    for key in ("__SERVICE_definition", "__SERVICE_enabled"):
        assert found[key] == other[key]
    assert set(found["__SERVICE_own"]) <= {"env", "secret_env", "generated_secrets"}
    assert set(load(ROOT / "roles" / role / FILES[4])[f"__{role}_calls"].values()) <= set(catalogue.SERVICES)
    assert set(found["__SERVICE_database"]) == {"database"}


def test_who_calls_whom_is_said_once_on_each_side() -> None:
    """A service calls those that name it as a caller, and no others."""
    for role in service_roles():
        callees = set(load(ROOT / "roles" / role / FILES[4])[f"__{role}_calls"].values())
        naming = {
            other.replace("_", "-")
            for other in service_roles()
            for caller in load(ROOT / "roles" / other / FILES[0])[f"{other}_callers"]
            if caller["service_account"] == role.replace("_", "-")
        }
        assert callees == naming, role


def test_a_service_that_does_not_change_takes_five_tasks() -> None:
    """Each task costs a run of site.yml a twentieth of a second, whatever it does, and there are six services."""
    base = ROOT / "roles" / "microservice" / "tasks"
    tasks = [task for name in ("main.yml", "plan.yml") for task in load(base / name)]
    static = [task for task in tasks if "ansible.builtin.import_tasks" in task]
    assert [task["ansible.builtin.import_tasks"] for task in static] == ["plan.yml"]
    validation = 1  # of the service role's variables, by Ansible itself
    assert len(tasks) - len(static) + validation <= 5
