# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a pod itself says about its proxy: proxyless gRPC, ambient's annotations, the mode that the proxy was told, its revision."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.compliance import Level, Wanted, violations
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.engine import Engine
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parse.pod import pod as parsed

from tests.unit.plugins.module_utils._mtls.mtls_objects import (
    calls,
    mesh,
    peer_authentication,
    pick,
    pod,
    service,
)

AMBIENT = "ambient.istio.io/redirection"


def around(it: dict[str, Any], **config: Any) -> dict[str, str]:
    """Calls to the pod from a sidecar and from a caller without one, and its own call to a pod with a sidecar; all of them STRICT."""
    web = pod("a", "web")
    objects = [it, web, service("a", "it", [it]), service("a", "web", [web]), peer_authentication("a")]
    found = calls(objects, config)
    own = pick(found, "a/web", "a/it")
    return {
        "in": str(pick(found, "a/it", "a/web").verdict),
        "plain": str(pick(found, "a/it", "plaintext").verdict),
        "out": str(own.verdict),
    }


def given(*, app: list[Any] | None = None, proxy: list[Any] | None = None, **more: Any) -> dict[str, Any]:
    """A pod with environment variables of its application and of its proxy."""
    made = pod("a", "it", **more)
    for container in [*made["spec"]["containers"], *made["spec"].get("initContainers", [])]:
        entries = (proxy if container["name"] == "istio-proxy" else app if container["name"] == "app" else None) or []
        container["env"] = [{"name": name, "value": value} for name, value in entries]
    return made


STRICT = {"in": "strict", "plain": "broken", "out": "strict"}
OPEN = {"in": "unknown", "plain": "unknown", "out": "unknown"}
MODE, BOOT = "ISTIO_META_INTERCEPTION_MODE", "GRPC_XDS_BOOTSTRAP"


@pytest.mark.parametrize(
    ("it", "expected"),
    [
        (given(), STRICT),
        (given(proxy=[(MODE, "REDIRECT")]), STRICT),
        (given(proxy=[(MODE, "REDIRECT")], native=True), STRICT),
        (given(proxy=[(MODE, "TPROXY")]), OPEN),  # what was redirected goes to a listener that is not there
        (given(proxy=[(MODE, "NONE")]), OPEN),
        (given(proxy=[(MODE, "NONE")], native=True), OPEN),
        (given(proxy=[("DISABLE_ENVOY", "false")]), STRICT),
        (given(proxy=[("DISABLE_ENVOY", "true")]), OPEN),
        (given(app=[(BOOT, "/etc/istio/proxy/grpc-bootstrap.json")]), OPEN),
        (given(app=[(BOOT, "/bootstrap.json")], sidecar=False), OPEN),  # template grpc-simple has no agent
        (given(annotations={AMBIENT: "enabled"}), OPEN),  # a sidecar, and ztunnel
        (given(annotations={AMBIENT: "disabled"}), STRICT),
        (given(annotations={"k8s.v1.cni.cncf.io/networks": "other"}), STRICT),  # the rules are for all interfaces
    ],
)
def test_what_a_pod_says(it: dict[str, Any], expected: dict[str, str]) -> None:
    assert around(it) == expected


@pytest.mark.parametrize(
    ("annotations", "labels", "expected"),
    [
        ({AMBIENT: "enabled"}, {}, {"in": "strict", "plain": "broken", "out": "broken"}),
        (
            {AMBIENT: "enabled", "ambient.istio.io/bypass-inbound-capture": "true"},
            *({}, {"in": "encrypted_not_enforced", "plain": "plaintext_allowed", "out": "broken"}),
        ),
        (
            {AMBIENT: "enabled", "ambient.istio.io/bypass-inbound-capture": "false"},
            *({}, {"in": "strict", "plain": "broken", "out": "broken"}),
        ),
        (
            {AMBIENT: "enabled", "ambient.istio.io/dns-capture": "false"},
            *({}, {"in": "strict", "plain": "broken", "out": "broken"}),
        ),
        # The annotation is what is, and the label what is wanted.
        ({AMBIENT: "enabled"}, {"istio.io/dataplane-mode": "none"}, {"in": "strict", "plain": "broken", "out": "broken"}),
        ({AMBIENT: "pending"}, {}, {"in": "unknown", "plain": "unknown", "out": "unknown"}),
    ],
)  # fmt: skip
def test_ambient(annotations: dict[str, str], labels: dict[str, str], expected: dict[str, str]) -> None:
    it = pod("a", "it", sidecar=False, annotations=annotations, labels=labels)
    web = pod("a", "web")
    found = calls(
        [it, web, service("a", "it", [it]), service("a", "web", [web]), peer_authentication("a")],
        environment={"PILOT_ENABLE_AMBIENT": "true"},
    )
    told = {
        "in": str(pick(found, "a/it", "a/web").verdict),
        "plain": str(pick(found, "a/it", "plaintext").verdict),
        "out": str(pick(found, "a/web", "a/it").verdict),
    }
    assert told == expected


def test_the_proxy_says_that_nothing_is_redirected_to_it() -> None:
    """Without istio-init and without istio-cni, the mode that the proxy was told tells it for certain."""
    it = given(proxy=[(MODE, "NONE")])
    del it["spec"]["initContainers"]
    assert around(it) == {"in": "broken", "plain": "plaintext", "out": "broken"}
    sure = given(proxy=[(MODE, "REDIRECT")])
    del sure["spec"]["initContainers"]
    assert around(sure, defaultConfig={"interceptionMode": "NONE"}) == OPEN


def test_ports_of_no_service_of_a_proxy_that_is_not_one() -> None:
    wanted = Wanted({"a": Level.STRICT})
    for it, expected in ((given(), []), (given(proxy=[("DISABLE_ENVOY", "1")]), ["Workload a/it"])):
        engine = Engine(mesh([it, peer_authentication("a")]))
        assert [entry.object for entry in violations(engine, [], wanted)] == expected


@pytest.mark.parametrize(
    ("annotations", "labels", "expected"),
    [
        ({"istio.io/rev": "canary"}, {"istio.io/rev": "tag"}, "canary"),
        ({"istio.io/rev": "", "sidecar.istio.io/status": '{"revision": "canary"}'}, {"istio.io/rev": "tag"}, "canary"),
        ({"istio.io/rev": "", "sidecar.istio.io/status": "{}"}, {"istio.io/rev": "tag"}, "tag"),
        ({"istio.io/rev": "", "sidecar.istio.io/status": "?"}, {"istio.io/rev": "tag"}, "tag"),
        ({"istio.io/rev": ""}, {"istio.io/rev": "tag"}, "tag"),
        ({"istio.io/rev": ""}, {}, ""),
    ],
)
def test_the_revision_that_serves_a_pod(annotations: dict[str, str], labels: dict[str, str], expected: str) -> None:
    assert parsed(pod("a", "it", annotations=annotations, labels=labels)).group.revision == expected
