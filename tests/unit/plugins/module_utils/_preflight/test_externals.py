# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether what somebody else runs is there; what cannot be read is named and no error."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._preflight import externals as e
from ansible_collections.servicemesh.platform.plugins.module_utils._preflight.externals import Gateway, Mesh
from ansible_collections.servicemesh.platform.plugins.module_utils._prometheus import Failure

GATEWAY = Gateway("front", "istio-ingress", "istio-ingress", {"istio": "ingress"})


def injector(*expressions: dict[str, Any], labels: dict[str, str] | None = None, **match: str) -> dict[str, Any]:
    selector = {"matchExpressions": list(expressions), "matchLabels": match}
    return {
        "metadata": {"name": "injector", "labels": {"app": "sidecar-injector"} if labels is None else labels},
        "webhooks": [{"namespaceSelector": selector}],
    }


# As istiod's chart writes them, for the default revision and for another one.
BY_DEFAULT = injector(
    {"key": "istio-injection", "operator": "In", "values": ["enabled"]},
    {"key": "istio.io/rev", "operator": "DoesNotExist"},
)
BY_REVISION = injector(
    {"key": "istio.io/rev", "operator": "In", "values": ["1-31-0"]},
    {"key": "istio-injection", "operator": "DoesNotExist"},
)


def pod(account: str | None) -> dict[str, Any]:
    return {"spec": {"serviceAccountName": account} if account else {}}


THERE = Mesh(frozenset(e.GROUPS), [BY_DEFAULT], True, [pod("istio-ingress")])


def told(mesh: Mesh, revision: str = "") -> list[tuple[str, str]]:
    return [(str(f.severity), str(f)) for f in e.mesh_findings(mesh, GATEWAY, revision)]


def test_a_mesh_that_is_there_has_no_findings() -> None:
    assert told(THERE) == []
    assert told(dataclasses.replace(THERE, injectors=[BY_REVISION]), "1-31-0") == []


@pytest.mark.parametrize(
    ("change", "revision", "words"),
    [
        (
            {"groups": frozenset({"networking.istio.io", "apps"})},
            "",
            "does not know security.istio.io, telemetry.istio.io",
        ),
        ({"injectors": []}, "", "no sidecar injector selects namespaces with this label; injectors: none"),
        ({"injectors": [BY_REVISION]}, "", "injection of sidecars by istio-injection=enabled: no sidecar injector"),
        ({"injectors": [BY_REVISION]}, "1-30-0", "injection of sidecars by istio.io/rev=1-30-0: no sidecar injector"),
        ({"injectors": [injector(labels={"app": "policy"})]}, "", "injectors: none"),
        ({"injectors": [injector({"key": "istio-injection", "operator": "Near"})]}, "", "injectors: injector"),
        ({"service": False}, "", "ingress gateway front/istio-ingress: there is no such Service"),
        ({"pods": []}, "", "no pod has istio=ingress in its namespace"),
        ({"pods": [pod("istio-ingress"), pod("other")]}, "", "its pods have the ServiceAccount istio-ingress, other"),
        ({"pods": [pod(None)]}, "", "its pods have the ServiceAccount default"),
    ],
)
def test_what_is_missing_is_one_error(change: dict[str, Any], revision: str, words: str) -> None:
    ((severity, text),) = told(dataclasses.replace(THERE, **change), revision)
    assert severity == "error"
    assert words in text


@pytest.mark.parametrize("unread", ["groups", "injectors", "service", "pods"])
def test_what_may_not_be_read_is_a_warning_with_its_name(unread: str) -> None:
    ((severity, text),) = told(dataclasses.replace(THERE, **{unread: None}))
    assert severity == "warning"
    assert "whether it is there is unknown, because this identity may not" in text


def test_namespaces_of_others_have_to_exist() -> None:
    there = [{"metadata": {"name": "a"}}]
    assert list(e.namespace_findings(there, ["a"])) == []
    assert list(e.namespace_findings(None, [])) == []
    (missing,) = e.namespace_findings(there, ["a", "b", "b"])
    assert (missing.severity, missing.subject) == ("error", "Namespace b")
    (unread,) = e.namespace_findings(None, ["b"])
    assert (unread.severity, unread.subject) == ("warning", "Namespace b")


@pytest.mark.parametrize("proxied", [True, False])
@pytest.mark.parametrize("failure", [None, *Failure])
def test_a_prometheus_that_does_not_answer(failure: Failure | None, proxied: bool) -> None:
    found = [str(f.severity) for f in e.prometheus_findings("a/b:1", failure, "why", proxied=proxied)]
    if failure is None:
        assert found == []
    else:
        # Another identity may have the right; wrong credentials are wrong for all.
        assert found == (["warning"] if failure is Failure.REFUSED and proxied else ["error"])


@pytest.mark.parametrize(
    ("expression", "selected"),
    [
        ({"key": "a", "operator": "In", "values": ["1"]}, True),
        ({"key": "a", "operator": "In", "values": ["2"]}, False),
        ({"key": "b", "operator": "In", "values": ["1"]}, False),
        ({"key": "a", "operator": "NotIn", "values": ["1"]}, False),
        ({"key": "b", "operator": "NotIn", "values": ["1"]}, True),
        ({"key": "a", "operator": "Exists"}, True),
        ({"key": "b", "operator": "Exists"}, False),
        ({"key": "a", "operator": "DoesNotExist"}, False),
        ({"key": "b", "operator": "DoesNotExist"}, True),
        ({"key": "a", "operator": "Gt", "values": ["0"]}, False),
    ],
)
def test_selectors(expression: dict[str, Any], selected: bool) -> None:
    assert e.selects({"matchExpressions": [expression]}, {"a": "1"}) is selected
    assert e.selects({"matchExpressions": [expression], "matchLabels": {"a": "1"}}, {"a": "1"}) is selected
    assert not e.selects({"matchExpressions": [expression], "matchLabels": {"c": "1"}}, {"a": "1"})
