# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules for every role: see CONTRIBUTING.md, "Names"."""

from __future__ import annotations

import re
from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.plugin_utils._variable_check import has_range

from tests.contract.tree import ROOT, flat_tasks, is_computed, load, roles, service_roles, task_files
from tests.role_values import main_files

EXPECTED_ROLES = {
    "added_services",
    "cluster_prep",
    "datastore",
    "helm_release",
    "istio",
    "local_cluster",
    "mesh_security",
    "mesh_traffic",
    "microservice",
    "nginx_ingress",
    "observability",
    "order_service",
    "payment_service",
    "product_service",
    "recommendation_service",
    "review_service",
    "service_catalogue",
    "user_service",
    "verify_mtls",
}
# Roles that are tested through the roles or playbooks that use them.
WITHOUT_SCENARIO = {"added_services", "helm_release", "local_cluster", "service_catalogue"}
NOT_MODULES = {
    "action", "any_errors_fatal", "args", "async", "become", "changed_when", "check_mode", "delegate_to", "diff", "environment",
    "failed_when", "ignore_errors", "loop", "loop_control", "module_defaults", "name", "no_log", "notify", "poll", "register",
    "retries", "delay", "run_once", "tags", "throttle", "until", "vars", "when", "listen", "timeout", "become_user", "delegate_facts",
}  # fmt: skip
EXPRESSIONS = ("when", "until", "failed_when", "changed_when")
SHELLS = {"ansible.builtin.shell", "ansible.builtin.raw"}


def defaults(role: str) -> dict[str, Any]:
    return load(ROOT / "roles" / role / "defaults" / "main.yml") or {}


def options(role: str) -> dict[str, Any]:
    return load(ROOT / "roles" / role / "meta" / "argument_specs.yml")["argument_specs"]["main"].get("options") or {}


def tasks(role: str) -> list[tuple[str, dict[str, Any]]]:
    return [(path.name, task) for path in task_files(role) for task in flat_tasks(load(path))]


def module_of(task: dict[str, Any]) -> str:
    (name,) = set(task) - NOT_MODULES - {key for key in task if key.startswith("with_")}
    return name


def test_all_roles_are_there() -> None:
    assert set(roles()) == EXPECTED_ROLES


@pytest.mark.parametrize("role", roles())
def test_a_role_has_its_files(role: str) -> None:
    base = ROOT / "roles" / role
    for name in ("defaults/main.yml", "meta/main.yml", "meta/argument_specs.yml", "README.md", "tasks/main.yml"):
        assert (base / name).is_file(), f"roles/{role}/{name} is missing"


@pytest.mark.parametrize("role", roles())
def test_defaults_and_options_have_the_same_keys(role: str) -> None:
    optional = {name for name, option in options(role).items() if "default" not in option}
    assert set(defaults(role)) <= set(options(role)), f"{role}: in defaults/main.yml but not in argument_specs.yml"
    required = {name for name in optional if options(role)[name].get("required")}
    assert set(options(role)) - required == set(defaults(role)) - required, (
        f"{role}: in argument_specs.yml but not in defaults"
    )


@pytest.mark.parametrize("role", roles())
def test_defaults_and_options_have_the_same_values(role: str) -> None:
    for name, option in options(role).items():
        if option.get("required") or is_computed(option, defaults(role)[name]):
            continue  # a computed default stands in the description: test_documented_defaults.py
        assert "default" in option, f"{role}: argument_specs.yml has no default of {name}"
        assert option["default"] == defaults(role)[name], (
            f"{role}: {name} differs between argument_specs.yml and defaults/main.yml"
        )


@pytest.mark.parametrize("role", roles())
def test_options_are_described(role: str) -> None:
    def undescribed(prefix: str, spec: dict[str, Any]) -> list[str]:
        found = []
        for name, option in spec.items():
            if not option.get("description"):
                found.append(prefix + name)
            found.extend(undescribed(f"{prefix}{name}.", option.get("options") or {}))
        return found

    assert undescribed("", options(role)) == []
    main = load(ROOT / "roles" / role / "meta" / "argument_specs.yml")["argument_specs"]["main"]
    assert main.get("short_description")


# What Helm or the API server would refuse too, but in the middle of a run.
WITHOUT_RANGE = {"microservice_definition"}  # has a check of its own, _service/definition.py
MEASURES = ("port", "timeout", "interval", "retention", "storage_size", "namespace", "domain")


@pytest.mark.parametrize("role", roles())
def test_numbers_and_measures_have_a_range(role: str) -> None:
    def without(prefix: str, spec: dict[str, Any]) -> list[str]:
        found = []
        for name, option in spec.items():
            path = prefix + name
            measure = option["type"] in ("int", "float") or (option["type"] == "str" and name.endswith(MEASURES))
            if measure and "choices" not in option and not has_range(path):
                found.append(path)
            found.extend(without(f"{path}.", option.get("options") or {}))
        return found

    assert without("", {name: option for name, option in options(role).items() if name not in WITHOUT_RANGE}) == []


@pytest.mark.parametrize("role", roles())
def test_variables_carry_the_roles_prefix(role: str) -> None:
    assert [name for name in defaults(role) if not name.startswith(f"{role}_")] == []
    for constants in main_files(role, "vars"):
        assert [name for name in load(constants) or {} if not name.startswith(f"__{role}_")] == []
    for filename, task in tasks(role):
        names = [task["register"]] if "register" in task else []
        if module_of(task) == "ansible.builtin.set_fact":
            names += [key for key in task["ansible.builtin.set_fact"] if key != "cacheable"]
        if "loop_var" in task.get("loop_control", {}):
            names.append(task["loop_control"]["loop_var"])
        assert [n for n in names if not n.startswith(f"__{role}_")] == [], f"{filename}: {task.get('name')}"


# Separate playbooks create and remove the local cluster, independent of the platform.
@pytest.mark.parametrize("role", sorted({*roles()} - {"local_cluster"}))
def test_state_follows_platform_state(role: str) -> None:
    assert defaults(role)[f"{role}_state"] == "{{ platform_state | default('present') }}"
    assert options(role)[f"{role}_state"]["choices"] == ["present", "absent"]


@pytest.mark.parametrize("role", roles())
def test_platform_variables_are_read_in_defaults_only(role: str) -> None:
    base = ROOT / "roles" / role
    reads = re.compile(r"\bplatform_[a-z0-9_]+")
    modules = {path.stem for path in (ROOT / "plugins" / "modules").glob("platform_*.py")}
    for folder in ("tasks", "handlers", "templates", "vars"):
        for path in (base / folder).rglob("*.*"):
            # Messages may contain the name of a variable; expressions may not read it.
            found = reads.findall(
                " ".join(re.findall(r"\{\{.*?\}\}|\{%.*?%\}", path.read_text(encoding="utf-8"), re.DOTALL))
            )
            assert set(found) <= modules, (
                f"{path.relative_to(ROOT)} reads a platform_ variable; put it into defaults/main.yml"
            )
    for filename, task in tasks(role):
        expressions = [task.get(key) for key in EXPRESSIONS] + [(task.get("ansible.builtin.assert") or {}).get("that")]
        assert reads.findall(str(expressions)) == [], f"{filename}: {task.get('name')}"
    for name, value in defaults(role).items():
        for read in re.findall(r"\{\{[^}]*\bplatform_[a-z0-9_]+[^}]*\}\}", str(value)):
            assert re.search(r"platform_[a-z0-9_]+\s*\|\s*default\(", read), (
                f"{role}: {name} reads a platform_ variable without a default"
            )


@pytest.mark.parametrize("role", roles())
def test_readme_names_every_variable(role: str) -> None:
    text = (ROOT / "roles" / role / "README.md").read_text(encoding="utf-8")
    assert [name for name in options(role) if f"`{name}`" not in text] == []


@pytest.mark.parametrize("role", roles())
def test_tasks_use_full_names_and_no_shell(role: str) -> None:
    for filename, task in tasks(role):
        module = module_of(task)
        assert module.count(".") >= 2, f"{role}/{filename}: {task.get('name')} uses the short name {module}"
        assert module not in SHELLS, f"{role}/{filename}: {task.get('name')} uses a shell"
        assert task.get("name"), f"{role}/{filename}: a task without a name"


@pytest.mark.parametrize("role", service_roles())
def test_a_service_role_is_one_import_of_microservice(role: str) -> None:
    (path,) = task_files(role)
    (task,) = load(path)
    # Validated once: the role passes only values of its own variables.
    assert task["ansible.builtin.import_role"] == {
        "name": "servicemesh.platform.microservice",
        "rolespec_validate": False,
    }
    assert {"name", "ansible.builtin.import_role", "vars"} >= set(task) - {"tags"}
    assert "microservice_definition" in task["vars"]


@pytest.mark.parametrize("role", service_roles())
def test_a_slow_try_does_not_end_a_request_before_its_timeout(role: str) -> None:
    """Envoy tries again after a try that took too long with these policies only (source/common/router/retry_state_impl.cc)."""
    for route in defaults(role)[f"{role}_routes"]:
        retries = route.get("retries") or {}
        policies = set(str(retries.get("retry_on")).split(","))
        assert "per_try_timeout" not in retries or policies & {"5xx", "gateway-error", "reset"}, route


@pytest.mark.parametrize("role", roles())
def test_a_molecule_scenario_covers_the_role(role: str) -> None:
    assert (ROOT / "molecule" / role / "molecule.yml").is_file() or role in WITHOUT_SCENARIO


@pytest.mark.parametrize("role", roles())
def test_roles_depend_on_no_role(role: str) -> None:
    meta = load(ROOT / "roles" / role / "meta" / "main.yml")
    assert not meta.get("dependencies"), "playbooks compose roles; dependencies hide the order"
    assert meta["galaxy_info"]["license"] == "GPL-3.0-or-later"
    assert meta["galaxy_info"]["min_ansible_version"] == "2.19"


def test_templates_are_rendered_by_our_own_lookup() -> None:
    """ansible.builtin.template copies all variables of the host for each template: a third of the time of a second site.yml."""
    allowed = ROOT / "roles" / "local_cluster"  # a cluster's start takes longer
    found = [
        str(path.relative_to(ROOT))
        for path in (ROOT / "roles").rglob("*")
        if path.suffix in (".yml", ".j2")
        and allowed not in path.parents
        and "lookup('ansible.builtin.template'" in path.read_text(encoding="utf-8")
    ]
    assert found == []
