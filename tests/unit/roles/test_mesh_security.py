# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Objects of the role mesh_security."""

from __future__ import annotations

from typing import Any

from tests.role_values import value

JWT = {"issuer": "https://issuer.example.com", "jwks": "{}"}


def retired(*routes: dict[str, Any]) -> set[tuple[str, str]]:
    service = {"name": "user-service", "image": "a/b:v1", "jwt": JWT, "routes": list(routes)}
    found = value("mesh_security", "__mesh_security_retired", mesh_security_services=[service])
    flat = [entry for part in found for entry in (part if isinstance(part, list) else [part])]
    return {(entry["kind"], entry["metadata"]["name"]) for entry in flat}


def test_the_policy_of_closed_paths_goes_when_nothing_is_closed_any_more() -> None:
    policy = ("AuthorizationPolicy", "user-service-closed-paths")
    assert policy in retired({"prefix": "/api/users"})
    assert policy not in retired({"prefix": "/api/users/admin", "require_jwt": True}, {"prefix": "/api/users"})


def test_the_gateway_serves_the_domain_with_any_port_and_hosts_below_it_without_one() -> None:
    (rule,) = value("mesh_security", "__mesh_security_gateway")["spec"]["rules"]
    assert rule["to"][0]["operation"]["hosts"] == [
        "ecommerce.example.com",
        "ecommerce.example.com:*",
        "*.ecommerce.example.com",
    ]
