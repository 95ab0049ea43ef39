# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A mesh out of files: lists of all sorts, what is not there, and what is wrong."""

from __future__ import annotations

import contextlib
import copy
from typing import Any

import pytest
import yaml
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import KubeError
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.kubectl_yaml import read as documents_of
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.engine import Engine
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.given import Given
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parse.metadata import identity
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.read import read
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.source import KINDS

from tests.unit.plugins.module_utils._mtls.mtls_objects import namespace, peer_authentication, pod, service

VERSIONS = {
    "EndpointSlice": "discovery.k8s.io/v1",
    "PeerAuthentication": "security.istio.io/v1",
    "DestinationRule": "networking.istio.io/v1",
}
CONFIG = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "istio", "namespace": "istio-system"},
    "data": {"mesh": "rootNamespace: istio-system"},
}


def objects() -> list[dict[str, Any]]:
    web = pod("a", "web")
    made = [web, *service("a", "web", [web], selector={"app": "web"}), namespace("a"), peer_authentication("a")]
    return [{"apiVersion": VERSIONS.get(one["kind"], "v1"), **one} for one in made] + [CONFIG]


def verdicts(documents: list[Any], *, complete: bool = True) -> dict[str, str]:
    snapshot = read(Given(documents, complete=complete), "istio-system", "cluster.local")
    return {call.client: str(call.verdict) for call in Engine(snapshot.mesh).calls() if call.service == "a/web"}


STRICT = {"*": "strict", "plaintext": "broken"}


def test_documents_lists_and_typed_lists_are_alike() -> None:
    whole = objects()
    untyped = [{key: value for key, value in one.items() if key not in ("apiVersion", "kind")} for one in whole]
    by_kind = [
        {"apiVersion": one["apiVersion"], "kind": f"{one['kind']}List", "items": [bare]}
        for one, bare in zip(whole, untyped, strict=True)
    ]
    nested = [None, {"apiVersion": "v1", "kind": "List", "items": [{"kind": "List", "items": whole}]}]
    for documents in (whole, [{"kind": "List", "items": whole}], by_kind, nested, [*whole, *whole]):
        assert verdicts(documents) == STRICT


@pytest.mark.parametrize(
    "kind",
    [
        *("PeerAuthentication", "DestinationRule", "Sidecar", "WorkloadEntry", "EndpointSlice", "Pod", "ConfigMap"),
        *("VirtualService", "EnvoyFilter"),
    ],
)
def test_a_kind_that_is_not_there_was_not_read(kind: str) -> None:
    """Every kind is there, as an empty list, but for one: no verdict is strict then."""
    lists = [{"apiVersion": entry.versions[0], "kind": f"{entry.name}List", "items": []} for entry in KINDS]
    whole = [*objects(), *lists]
    assert verdicts(whole, complete=False) == STRICT
    less = [one for one in whole if one["kind"].removesuffix("List") != kind]
    assert "strict" not in verdicts(less, complete=False).values()


def test_pods_that_ended_do_not_count() -> None:
    whole = objects()
    whole[0]["status"] = {"phase": "Succeeded"}
    assert set(verdicts(whole).values()) == {"unknown"}


def test_another_groups_kind_of_the_same_name_is_not_meant() -> None:
    other = {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "Gateway",
        "metadata": {"name": "g"},
        "spec": {"listeners": 7},
    }
    assert verdicts([*objects(), other]) == STRICT


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ("just text", "'just text', which is no object"),
        ({"items": []}, "which is no object"),
        ({"kind": "Pod"}, "kind Pod without metadata.name"),
        ({"kind": "List", "items": [7]}, "'7', which is no object"),
    ],
)
def test_what_is_no_object_is_named(document: Any, words: str) -> None:
    with pytest.raises(KubeError, match=words):
        Given([document], complete=True)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("kind: Pod\nmetadata: {name: a}\n---\n- text\n", "mesh.yml, document 2, line 4 has '['text']', which is no object"),
        ("kind: Pod\nmetadata: {}\n", "mesh.yml, document 1, line 1 has an object of kind Pod without metadata.name"),
        ("kind: Pod\nmetadata:\n  name: a\n  labels: {on: on}\n", "mesh.yml, document 1, line 4 has Pod a with labels: {'true': True}"),
        ("kind: PodList\nitems:\n- metadata: {name: a}\n- metadata: {name: b}\n  spec: 7\n", "document 1, line 5 has Pod b with spec: 7"),
        ("kind: Secret\nmetadata: {name: a}\ndata: [planted]\n", "Secret a with data: a value that is not shown"),
        (
            "kind: Pod\nmetadata: {name: a}\n---\nkind: Pod\nmetadata: {name: a}\nspec: {}\n",
            "mesh.yml, document 2, line 4 has Pod a twice (first in mesh.yml, document 1, line 1)",
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_in_a_file_is_named_with_its_place(text: str, words: str) -> None:
    with pytest.raises(KubeError) as caught:
        Given(documents_of(text, "mesh.yml"), complete=True)
    assert words in str(caught.value)
    assert "planted" not in str(caught.value)


def test_a_time_without_quotes_is_the_same_time() -> None:
    forms = ("'2026-01-01T00:00:01Z'", "2026-01-01T00:00:01Z")
    quoted, plain = (yaml.safe_load(f"metadata: {{creationTimestamp: {form}}}") for form in forms)
    assert identity(quoted) == identity(plain) == ("", "", "2026-01-01T00:00:01Z")


def test_two_of_one_name_are_refused() -> None:
    one, two = objects()[-2], objects()[-2]
    two["spec"] = {"mtls": {"mode": "DISABLE"}}
    with pytest.raises(KubeError, match="PeerAuthentication a/default twice"):
        Given([one, two], complete=True)


JSON_TYPES = (None, True, 7, "text", [], [7], ["text"], {}, {"a": 1})


def places(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [found for key, child in children for found in [(*path, key), *places(child, (*path, key))]]


def changed(obj: Any, path: tuple[Any, ...], value: Any) -> Any:
    """A copy with another value at one place."""
    made = copy.deepcopy(obj)
    node = made
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    return made


def everything() -> list[dict[str, Any]]:
    """One object of each kind that is read, with all fields that are parsed."""
    meta = {"namespace": "a", "creationTimestamp": "2026-01-01T00:00:01Z"}
    networking = "networking.istio.io/v1"
    tls = {"tls": {"mode": "ISTIO_MUTUAL"}, "portLevelSettings": [{"port": {"number": 81}, "tls": {"mode": "DISABLE"}}]}
    rule = {"host": "web", "trafficPolicy": tls, "subsets": [{"name": "s", "labels": {"v": "1"}, "trafficPolicy": tls}]}
    scope = {
        "egress": [{"hosts": ["*/*"]}],
        "ingress": [{"port": {"number": 9}}],
        "outboundTrafficPolicy": {"mode": "ALLOW_ANY"},
    }
    server = {"port": {"number": 80}, "hosts": ["*"], "tls": {"mode": "SIMPLE"}}
    outside = {"hosts": ["x.y"], "ports": [{"number": 1, "name": "n", "protocol": "TCP"}], "resolution": "STATIC"}
    more = [
        ("DestinationRule", networking, rule),
        ("Sidecar", networking, {"workloadSelector": {"labels": {"app": "other"}}, **scope}),
        ("Gateway", networking, {"selector": {"istio": "g"}, "servers": [server]}),
        ("ServiceEntry", networking, {**outside, "endpoints": [{"address": "192.0.2.1", "ports": {"n": 2}}]}),
        ("WorkloadEntry", networking, {"address": "192.0.2.1", "labels": {"app": "vm"}}),
    ]
    return objects() + [
        {"apiVersion": version, "kind": kind, "metadata": {**meta, "name": "one"}, "spec": spec}
        for kind, version, spec in more
    ]


def test_no_shape_of_any_field_is_a_traceback() -> None:
    """Each field of each object with a value of each JSON type: verdicts, or a refusal by name, and no other error."""
    whole = everything()
    assert verdicts(whole)["*"] == "strict"
    tried = 0
    for number, one in enumerate(whole):
        for path in places(one):
            for value in JSON_TYPES:
                documents = [*whole[:number], changed(one, path, value), *whole[number + 1 :]]
                with contextlib.suppress(KubeError):
                    verdicts(documents)
                tried += 1
    assert tried > 1000
