# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A new major version of PostgreSQL does not meet the files of an old one."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import trust_as_template

from tests.role_values import ROLES, value, variables

(READ, CHECK) = DataLoader().load_from_file(
    str(ROLES / "datastore" / "tasks" / "preflight.yml"), trusted_as_template=True
)


def database(image: str, name: str = "user-db", *, volume: bool = True) -> dict[str, Any]:
    containers = [{"name": "istio-proxy", "image": "istio/proxyv2:1.31.0"}, {"name": "postgresql", "image": image}]
    spec: dict[str, Any] = {"template": {"spec": {"containers": containers}}}
    if volume:
        spec["volumeClaimTemplates"] = [{"metadata": {"name": "data"}}]
    labels = {"app.kubernetes.io/component": "datastore"}
    return {"metadata": {"name": name, "labels": labels}, "spec": spec}


def running(*items: dict[str, Any]) -> list[str]:
    found = value("datastore", "__datastore_with_volumes", __datastore_running={"results": [list(items)]})
    return [one["metadata"]["name"] for one in found]


def test_only_databases_of_the_role_with_a_volume_are_looked_at() -> None:
    assert running(database("postgres:15")) == ["user-db"]
    assert running(database("postgres:15", volume=False), database("mysql:8", "their-db")) == []
    assert value("datastore", "__datastore_with_volumes", __datastore_running={"skipped": True}) == []


@pytest.mark.parametrize(
    ("there", "wanted", "fits"),
    [
        ("localhost/library/postgres:15", "docker.io/library/postgres:17", False),
        ("docker.io/library/postgres:15.4-alpine", "docker.io/library/postgres:15", True),
        ("docker.io/library/postgres:17", "docker.io/library/postgres:17.6", True),
        ("registry.example.com:5000/pg:v16", "registry.example.com:5000/pg:v17", False),
        ("docker.io/library/postgres:15@sha256:00", "docker.io/library/postgres:17", False),
        # A digest alone says nothing, and neither does a name of one's own.
        ("registry.example.com:5000/pg@sha256:00", "docker.io/library/postgres:17", True),
        ("docker.io/library/postgres:15", "registry.example.com:5000/pg:stable", True),
    ],
)
def test_another_major_version_is_refused(there: str, wanted: str, fits: bool) -> None:
    given = {"__datastore_item": database(there), "datastore_postgresql_image": wanted}
    templar = variables("datastore", **given, **CHECK["vars"])
    asserted = CHECK["ansible.builtin.assert"]
    assert templar.template(trust_as_template("{{ " + asserted["that"] + " }}")) is fits
    message = templar.template(asserted["fail_msg"])
    assert f"datastore_postgresql_image is '{wanted}'" in message
    assert f"it runs '{there}'" in message
