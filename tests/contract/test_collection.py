# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The metadata of the collection is consistent and matches the tree."""

from __future__ import annotations

import ast
import importlib
import re
from typing import Any

import pytest
import yaml
from ansible_collections.servicemesh.platform.plugins.doc_fragments._prometheus import (
    ModuleDocFragment as PrometheusFragment,
)

from tests.contract.tree import ROOT, load, roles, service_roles

MODULES = sorted(path for path in (ROOT / "plugins" / "modules").glob("*.py") if path.name != "__init__.py")
MAX_FILE_LINES = 500
MAX_FUNCTION_LINES = 60


def documentation(path: Any) -> dict[str, Any]:
    """A module's DOCUMENTATION."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "DOCUMENTATION":
            return yaml.safe_load(ast.literal_eval(node.value))
    return {}


def python_files() -> list[Any]:
    return sorted(path for folder in ("plugins", "roles", "tests") for path in (ROOT / folder).rglob("*.py"))


def test_the_action_group_is_the_modules_that_talk_to_a_cluster() -> None:
    group = load(ROOT / "meta" / "runtime.yml")["action_groups"]["platform"]
    members = {name for name in group if isinstance(name, str)}
    connected = {
        path.stem
        for path in MODULES
        if "servicemesh.platform._kube" in documentation(path).get("extends_documentation_fragment", [])
    }
    assert members == connected
    (extended,) = [item["metadata"]["extend_group"] for item in group if isinstance(item, dict)]
    assert {"kubernetes.core.k8s", "kubernetes.core.helm"} <= set(extended)


def test_requirements_state_the_ranges_of_galaxy_yml() -> None:
    wanted = load(ROOT / "galaxy.yml")["dependencies"]
    assert {c["name"]: c["version"] for c in load(ROOT / "requirements.yml")["collections"]} == wanted


def test_requires_ansible_matches_the_requirements() -> None:
    floor = load(ROOT / "meta" / "runtime.yml")["requires_ansible"]
    assert floor.startswith(">=2.19")
    assert "ansible-core>=2.19" in (ROOT / "requirements.txt").read_text(encoding="utf-8")


def playbook_roles(name: str) -> list[str]:
    (play,) = load(ROOT / "playbooks" / name)
    return [role["role"].removeprefix("servicemesh.platform.") for role in play["roles"]]


def test_site_runs_every_role_and_teardown_the_same_ones_backwards() -> None:
    assert set(playbook_roles("site.yml")) == set(roles()) - {"helm_release", "local_cluster", "microservice"}
    assert playbook_roles("teardown.yml") == playbook_roles("site.yml")[::-1]


@pytest.mark.parametrize("name", ["site.yml", "teardown.yml"])
def test_each_role_has_its_name_for_a_tag(name: str) -> None:
    (play,) = load(ROOT / "playbooks" / name)
    for role in play["roles"]:
        assert role["role"].startswith("servicemesh.platform.")
        assert role["tags"] == [role["role"].removeprefix("servicemesh.platform.")]


def test_the_services_come_after_what_they_call() -> None:
    order = playbook_roles("site.yml")
    assert order[:2] == ["cluster_prep", "istio"]
    for caller, callee in (("order", "user"), ("order", "product"), ("order", "payment"), ("recommendation", "review")):
        assert order.index(f"{callee}_service") < order.index(f"{caller}_service")
    assert len(service_roles()) == 6


def _is_documentation(node: ast.stmt) -> bool:
    """Whether a statement is documentation of a module, which ansible-doc wants in the module's file."""
    return isinstance(node, ast.Assign) and any(
        isinstance(target, ast.Name) and target.id in ("DOCUMENTATION", "EXAMPLES", "RETURN") for target in node.targets
    )


@pytest.mark.parametrize("path", python_files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_python_files_are_short(path: Any) -> None:
    text = path.read_text(encoding="utf-8")
    relative = path.relative_to(ROOT)
    if relative.parts[0] == "tests":
        return
    tree = ast.parse(text)
    documentation = sum((node.end_lineno or 0) - node.lineno for node in tree.body if _is_documentation(node))
    assert len(text.splitlines()) - documentation <= MAX_FILE_LINES, f"{relative} has more than {MAX_FILE_LINES} lines"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            assert length <= MAX_FUNCTION_LINES, f"{relative}: {node.name} has {length} lines"


def test_only_kube_imports_the_kubernetes_client() -> None:
    importer = re.compile(r"^\s*(from|import) kubernetes\b", re.MULTILINE)
    found = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "plugins").rglob("*.py")
        if importer.search(path.read_text(encoding="utf-8"))
    }
    assert found <= {"plugins/module_utils/_kube/config.py"}


@pytest.mark.parametrize("name", ["plugin_utils", "module_utils"])
def test_shared_python_is_private(name: str) -> None:
    for path in (ROOT / "plugins" / name).glob("*.py"):
        assert path.name.startswith("_"), f"{path.name}: private files begin with an underscore"


@pytest.mark.parametrize("path", sorted((ROOT / "plugins" / "filter").glob("*.py")), ids=lambda path: path.stem)
def test_filters_are_documented_beside_their_code(path: Any) -> None:
    module = importlib.import_module(f"ansible_collections.servicemesh.platform.plugins.filter.{path.stem}")
    names = module.FilterModule().filters()
    assert names
    for name in names:
        assert (path.parent / f"{name}.yml").is_file(), f"plugins/filter/{name}.yml is missing"


def test_every_platform_variable_is_documented() -> None:
    from ansible_collections.servicemesh.platform.plugins.plugin_utils._collection_files import known_platform_names

    text = (ROOT / "docs" / "variables.md").read_text(encoding="utf-8")
    modules = {path.stem for path in MODULES}
    assert sorted(name for name in known_platform_names(ROOT) - modules if f"`{name}`" not in text) == []


def test_both_documentations_of_the_option_prometheus_say_the_same() -> None:
    usual, window = (
        yaml.safe_load(text)["options"]["prometheus"]
        for text in (PrometheusFragment.DOCUMENTATION, PrometheusFragment.WINDOW)
    )
    del window["suboptions"]["window"]
    assert window["suboptions"] == usual["suboptions"]
    assert window["description"][: len(usual["description"])] == usual["description"]
