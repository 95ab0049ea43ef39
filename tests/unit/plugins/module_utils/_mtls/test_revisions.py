# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Revisions and revision tags: which MeshConfig is that of a pod."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.engine import Engine
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.given import Given
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.read import read

from tests.unit.plugins.module_utils._mtls.mtls_objects import namespace, obj, peer_authentication, pod, service

GROUPS = {
    "EndpointSlice": "discovery.k8s.io/v1",
    "PeerAuthentication": "security.istio.io/v1",
    "MutatingWebhookConfiguration": "admissionregistration.k8s.io/v1",
    "Deployment": "apps/v1",
}


def config(name: str, root: str) -> dict[str, Any]:
    return {**obj("ConfigMap", "istio-system", name), "data": {"mesh": f"rootNamespace: {root}"}}


def tag(name: str, revision: str) -> dict[str, Any]:
    labels = {"istio.io/tag": name, "istio.io/rev": revision}
    return obj("MutatingWebhookConfiguration", "", f"istio-revision-tag-{name}", labels=labels)


def istiod(revision: str) -> dict[str, Any]:
    spec = {"template": {"spec": {"containers": [{"name": "discovery", "env": []}]}}}
    return obj(
        "Deployment", "istio-system", f"istiod-{revision}", spec, labels={"app": "istiod", "istio.io/rev": revision}
    )


def judged(revision: str, *objects: Any, complete: bool = True) -> tuple[str, str, list[str]]:
    """Verdicts on a service whose pod has nothing but a label with its revision, and what is missing."""
    web = pod("a", "web", annotations={"istio.io/rev": ""}, labels={"istio.io/rev": revision})
    policies = [peer_authentication("root-1"), peer_authentication("root-2", mode="PERMISSIVE")]
    whole = [web, *service("a", "web", [web]), namespace("a"), *policies, istiod("one"), istiod("two"), *objects]
    documents = [{"apiVersion": GROUPS.get(one["kind"], "v1"), **one} for one in whole]
    snapshot = read(Given(documents, complete=complete), "istio-system", "cluster.local")
    found = {call.client: str(call.verdict) for call in Engine(snapshot.mesh).calls()}
    return found["*"], found["plaintext"], sorted(entry.text for entry in snapshot.missing_configs)


BOTH = [config("istio-one", "root-1"), config("istio-two", "root-2")]
DEFAULT = tag("default", "one")


@pytest.mark.parametrize(
    ("revision", "tags", "plain"),
    [
        ("one", [DEFAULT], "broken"),
        ("two", [DEFAULT], "plaintext_allowed"),
        ("prod", [DEFAULT, tag("prod", "one")], "broken"),
        ("prod", [DEFAULT, tag("prod", "two")], "plaintext_allowed"),
        ("", [DEFAULT], "broken"),  # `default` is a tag here
        ("", [tag("default", "two")], "plaintext_allowed"),
    ],
)
def test_a_tag_has_the_mesh_config_of_its_revision(revision: str, tags: list[dict[str, Any]], plain: str) -> None:
    star, found, missing = judged(revision, *BOTH, *tags)
    assert (found, missing) == (plain, [])
    assert star == {"broken": "strict", "plaintext_allowed": "encrypted_not_enforced"}[plain]


def test_a_revision_that_nobody_knows() -> None:
    assert judged("prod", *BOTH, DEFAULT)[:2] == ("unknown", "unknown")
    assert judged("prod", *BOTH, DEFAULT, tag("prod", "three"))[:2] == ("unknown", "unknown")


def test_tags_that_were_not_read_are_named() -> None:
    star, plain, missing = judged("prod", *BOTH, complete=False)
    assert (star, plain) == ("unknown", "unknown")
    assert (
        "it is not in src, and whether it is a tag is not known: src has no mutatingwebhookconfigurations" in missing[0]
    )


def test_they_are_read_only_when_a_revision_has_no_mesh_config() -> None:
    assert judged("one", config("istio", "root-2"), *BOTH)[:2] == ("strict", "broken")
