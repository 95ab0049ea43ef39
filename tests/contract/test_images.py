# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every image comes from the user's place or from that of its own project: in all defaults, inventories and examples."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.contract.test_inventories import ENVIRONMENTS, LOCAL_ONLY
from tests.contract.tree import ROOT, load, roles, service_roles
from tests.role_values import value

# Registry -> namespaces there that belong to the project of the images in them. Docker's official images are in library.
PROJECTS = {
    "docker.io": {"library", "istio", "prom", "jaegertracing", "otel"},
    "ghcr.io": {"grafana-community", "istio", "nginx"},
    "quay.io": {"kiali", "prometheus"},
    "registry.k8s.io": set[str](),
    "gcr.io": {"istio-release"},
    "public.ecr.aws": set[str](),
}
# Text that is read or run; tests have examples of what is refused.
SHIPPED = ("docs", "inventories", "meta", "molecule", "playbooks", "plugins", "roles", "README.md", "CONTRIBUTING.md")
SUFFIXES = {".md", ".yml", ".yaml", ".j2", ".py", ".txt", ""}
REFERENCE = re.compile(rf"\b({'|'.join(map(re.escape, PROJECTS))})/([a-z0-9][a-z0-9._-]*)/?")
# Where names of registries and of what is not allowed there stand as such.
ABOUT_REGISTRIES = {"plugins/plugin_utils/_images.py"}
OLD = ("postgres:15", "redis:7.0")  # of Debian 12
NO_INVENTORY = "no inventory"


def given(environment: str) -> dict[str, Any]:
    """All variables of an inventory, those of the local cluster alone included."""
    merged: dict[str, Any] = {}
    for path in sorted((ROOT / "inventories" / environment / "group_vars").rglob("*.yml")):
        merged.update(load(path))
    return merged


def images(environment: str, **more: Any) -> dict[str, str]:
    """Variable -> image, of every role; as a run with the inventory has them."""
    variables = {} if environment == NO_INVENTORY else given(environment)
    found = {}
    for role in {*roles()} - {"local_cluster"}:
        for name in load(ROOT / "roles" / role / "defaults" / "main.yml") or {}:
            if name.endswith("_image"):
                found[name] = str(value(role, name, **{**variables, **more}))
    return found


SERVICES = {f"{role}_image" for role in service_roles()}
# Empty by default: the image of a running sidecar, the chart's own, that of the release.
OPTIONAL = {"verify_mtls_probe_image", "nginx_ingress_image", "microservice_canary_image"}


@pytest.mark.parametrize("environment", [NO_INVENTORY, *ENVIRONMENTS])
def test_every_image_is_of_its_project_or_given_by_the_user(environment: str) -> None:
    found = images(environment)
    assert len(SERVICES) == 6
    assert set(found) >= SERVICES | {"datastore_postgresql_image", "datastore_redis_image", "observability_image"}
    for name, image in found.items():
        if environment == "local":
            assert image.startswith("localhost/") or name in OPTIONAL, f"{name}: {image}"
        elif name in SERVICES:
            assert image == "", f"{name}: a default of nobody"
        elif image or name not in OPTIONAL:
            host, _slash, path = image.partition("/")
            assert path.partition("/")[0] in PROJECTS[host], f"{name}: {image}"


@pytest.mark.parametrize("environment", [NO_INVENTORY, *ENVIRONMENTS])
def test_the_users_registry_has_the_services_and_the_mirror_has_the_rest(environment: str) -> None:
    places = {
        "platform_image_registry": "registry.example.com/shop",
        "platform_upstream_registry": "mirror.example.com/hub",
    }
    found = images(environment, **places)
    for role in service_roles():
        name = role.replace("_", "-")
        assert found[f"{role}_image"] == f"registry.example.com/shop/{name}:v1.0"
    if environment != "local":
        for name in ("datastore_postgresql_image", "datastore_redis_image", "observability_image"):
            assert found[name].startswith("mirror.example.com/hub/"), found[name]


@pytest.mark.parametrize("environment", [NO_INVENTORY, *ENVIRONMENTS])
def test_every_tag_is_a_version(environment: str) -> None:
    for name, image in images(environment, platform_image_registry="registry.example.com/shop").items():
        tag = image.rpartition("/")[2].partition(":")[2]
        assert (tag and tag != "latest") or (not image and name in OPTIONAL), f"{name}: {image}"


def shipped() -> list[Path]:
    found = []
    for name in SHIPPED:
        path = ROOT / name
        files = path.rglob("*") if path.is_dir() else [path]
        found += [
            file for file in files if file.is_file() and file.suffix in SUFFIXES and "__pycache__" not in file.parts
        ]
    return [path for path in found if str(path.relative_to(ROOT)) not in ABOUT_REGISTRIES]


def test_no_text_names_a_place_in_a_public_registry_that_is_not_the_projects_own() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}: {match[0]}"
        for path in shipped()
        for match in REFERENCE.finditer(path.read_text(encoding="utf-8"))
        if match[2] not in PROJECTS[match[1]]
    ]
    assert wrong == []


def test_the_finder_of_references_finds_them() -> None:
    found = [
        match.groups()
        for match in REFERENCE.finditer("image: docker.io/ecommerce/user-service:v1, ghcr.io/istio/release")
    ]
    assert found == [("docker.io", "ecommerce"), ("ghcr.io", "istio")]


def test_versions_of_debian_are_those_of_the_local_cluster_alone() -> None:
    files = [
        *(ROOT / "inventories").rglob("*.yml"),
        *(ROOT / "roles").glob("*/defaults/*.yml"),
        *(ROOT / "roles").glob("*/vars/**/*.yml"),
    ]
    having = {
        str(path.relative_to(ROOT))
        for path in files
        if any(old in path.read_text(encoding="utf-8") for old in OLD) and "local_cluster" not in path.parts
    }
    assert having == {"inventories/local/group_vars/clusters/debian_versions.yml"}
    assert Path(next(iter(having))).name in LOCAL_ONLY


def test_prod_is_made_for_production() -> None:
    prod = given("prod")
    assert prod["istio_size"] == "tuned"
    assert value("nginx_ingress", "nginx_ingress_tls_mode", **prod) in {"secret", "cert_manager"}, (
        "no self-signed certificate"
    )
    assert value("cluster_prep", "cluster_prep_config", **prod) is False
