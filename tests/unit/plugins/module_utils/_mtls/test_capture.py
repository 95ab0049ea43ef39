# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which traffic of a pod passes its sidecar, by what istio-iptables was told."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.model import (
    MeshConfig,
    in_mesh,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parse.capture import capture
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.pods import (
    Capture,
    Redirection,
)

TRAFFIC = "traffic.sidecar.istio.io/"
# As the injector writes them, with its template of 1.31.
TOLD = ["istio-iptables", "-p", "15001", "-z", "15006", "-u", "1337", "-m", "REDIRECT", "-i", "*", "-x", "", "-b", "*"]
OWN = ["-d", "15090,15021,15020", "--log_output_level=default:info"]


def of(
    args: list[str] | None = None,
    *,
    annotations: dict[str, str] | None = None,
    name: str = "istio-init",
    app: dict[str, Any] | None = None,
    pod: dict[str, Any] | None = None,
    **init: Any,
) -> Capture:
    containers = [{"name": "app", "securityContext": app or {}}, {"name": "istio-proxy"}]
    spec: dict[str, Any] = {"containers": containers, "securityContext": pod or {}}
    if args is not None:
        spec["initContainers"] = [{"name": name, "args": args, **init}]
    return capture({"metadata": {"annotations": annotations or {}}, "spec": spec})


def test_the_injectors_own_arguments_capture_everything() -> None:
    found = of([*TOLD, *OWN], env=[{"name": "CLOUD_PLATFORM", "value": "aws"}])
    assert found == Capture(mode="REDIRECT", exclude_in=frozenset({15090, 15021, 15020}))
    assert found.takes_inbound(8080)
    assert not found.takes_inbound(15020)


@pytest.mark.parametrize(
    ("words", "taken", "left"),
    [
        (["-b", "*", "-d", "8080"], {80}, {8080}),
        (["--istio-inbound-ports=*", "--istio-local-exclude-ports", "8080"], {80}, {8080}),
        (["-b", "80,443", "-d", "80"], {80, 443}, {8080}),  # exclusions count only with *
        (["-b", ""], set(), {80, 8080}),
        ([], set(), {80, 8080}),  # istio-iptables' own default
    ],
)
def test_inbound(words: list[str], taken: set[int], left: set[int]) -> None:
    found = of(["istio-iptables", *words])
    assert {port for port in taken | left if found.takes_inbound(port)} == taken


def test_outbound_ports_and_ranges() -> None:
    found = of(["istio-iptables", "-i", "10.0.0.0/8,fd00::/8", "-x", "10.1.0.0/16", "-q", "80", "-o", "9000"])
    assert (found.include_out_ranges, found.exclude_out_ranges) == (("10.0.0.0/8", "fd00::/8"), ("10.1.0.0/16",))
    assert (found.include_out, found.exclude_out) == ({80}, {9000})


@pytest.mark.parametrize(
    ("args", "more"),
    [
        (["istio-iptables", "--owner-groups", "java"], {}),  # an argument that this version does not know
        (["istio-iptables", "stray"], {}),
        (["istio-iptables", "--skip-rule-apply"], {}),
        (["istio-iptables", "--dry-run"], {}),
        (["istio-iptables", "-c", "eth1"], {}),
        (["istio-iptables", "-m", "SOMETHING"], {}),
        (["istio-iptables", "-b", "http"], {}),
        (["istio-iptables", "-i", "everything"], {}),
        (TOLD, {"env": [{"name": "ISTIO_OUTBOUND_OWNER_GROUPS", "value": "java"}]}),
        (TOLD, {"envFrom": [{"configMapRef": {"name": "x"}}]}),
    ],
)
def test_what_is_not_understood_is_unclear(args: list[str], more: dict[str, Any]) -> None:
    found = in_mesh(of(args, **more), MeshConfig())
    assert found.unclear


def test_with_istio_cni_the_annotations_count() -> None:
    notes = {
        "sidecar.istio.io/interceptionMode": "REDIRECT",
        TRAFFIC + "excludeInboundPorts": "8080",
        TRAFFIC + "includeOutboundPorts": "80",
    }
    found = of(TOLD, name="istio-validation", annotations=notes)
    assert (found.by, found.exclude_in, found.include_out) == (Redirection.CNI, {8080}, {80})
    assert of(annotations=notes) == found, "without istio-validation the injector's annotation is the mark"


def test_with_istio_init_annotations_do_not_count() -> None:
    assert of([*TOLD, *OWN], annotations={TRAFFIC + "excludeInboundPorts": "8080"}).takes_inbound(8080)


@pytest.mark.parametrize(
    ("annotations", "interception", "known", "expected"),
    [
        ({}, "NONE", True, (True, False)),
        ({}, "REDIRECT", True, (False, True)),  # nothing says that anybody redirected
        ({}, "NONE", False, (False, True)),
        ({"proxy.istio.io/config": "interceptionMode: NONE"}, "REDIRECT", True, (True, False)),
        ({"proxy.istio.io/config": "{"}, "REDIRECT", True, (False, True)),
        ({"sidecar.istio.io/interceptionMode": "NONE"}, "REDIRECT", True, (True, False)),
    ],
)
def test_a_sidecar_without_any_redirection(
    annotations: dict[str, str], interception: str, known: bool, expected: tuple[bool, bool]
) -> None:
    found = in_mesh(of(annotations=annotations), MeshConfig(interception=interception, known=known))
    assert (found.none, bool(found.unclear)) == expected


@pytest.mark.parametrize(
    ("pod", "app", "name"),
    [
        ({}, {}, ""),
        ({}, {"runAsUser": 1337}, "app"),
        ({"runAsUser": 1337}, {}, "app"),
        ({"runAsUser": 1337}, {"runAsUser": 1000}, ""),
        ({}, {"runAsGroup": 1337}, "app"),
        ({"fsGroup": 1337}, {}, ""),  # a supplementary group is not the owner's
    ],
)
def test_an_application_that_runs_as_the_proxy(pod: dict[str, Any], app: dict[str, Any], name: str) -> None:
    assert of([*TOLD, *OWN], pod=pod, app=app).as_proxy == name
    assert of([*TOLD, "-u", "1000"], app={"runAsUser": 1000}).as_proxy == "app"
