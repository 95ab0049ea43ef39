# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Overlays: what a change does before it is made, and what is refused."""

from __future__ import annotations

import contextlib
import copy
import random
from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import KubeError
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.source import KINDS
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.plugins.module_utils._mtls.mtls_objects import (
    ROOT,
    destination_rule,
    namespace,
    obj,
    peer_authentication,
    pod,
    service,
    stamp,
)
from tests.unit.plugins.module_utils._mtls.overlay_objects import (
    STATE,
    absent,
    config,
    deployment,
    flat,
    overlay,
    owned,
    rows,
    told,
    web,
)
from tests.unit.plugins.module_utils._mtls.test_given import JSON_TYPES, changed, places
from tests.unit.plugins.module_utils._mtls.test_properties import destination_rules, meshes, policies

STRICT = [*STATE, peer_authentication("a")]
ENABLED = {"istio-injection": "enabled"}
STAR, PLAIN, CALLER = ("*", "a/web"), ("plaintext", "a/web"), ("b/caller", "a/web")
BARE = [web(sidecar=False), STATE[1], namespace("a"), *STATE[3:]]
# What becomes of a/web when its sidecar goes.
BARE_NOW = {STAR: "strict > plaintext", PLAIN: "broken > plaintext"}
BARE_LATER = {STAR: "strict > strict | plaintext", PLAIN: "broken > broken | plaintext"}
OPENED = {STAR: "strict > encrypted_not_enforced", PLAIN: "broken > plaintext_allowed"}
UNKNOWN_LATER = {STAR: "strict > strict | unknown", PLAIN: "broken > broken | unknown"}


def selecting(name: str, app: str, ports: dict[int, int] | None = None) -> dict[str, Any]:
    """A Service of namespace `a` without endpoints, as a pull request has it."""
    return service("a", name, [], ports, selector={"app": app})[0]


def webhook(revision: str, *, tag: str = "", name: str = "", **labels: str) -> dict[str, Any]:
    """The injector's webhook for namespaces with these labels."""
    expressions = [{"key": key, "operator": "In", "values": [value]} for key, value in labels.items()]
    meta = {
        "name": name or f"istio-sidecar-injector-{tag or revision}",
        "labels": {"app": "sidecar-injector", "istio.io/rev": revision},
    }
    return {
        "kind": "MutatingWebhookConfiguration",
        "metadata": meta,
        "webhooks": [
            {"name": "namespace.sidecar-injector.istio.io", "namespaceSelector": {"matchExpressions": expressions}}
        ],
    }


CANARY = {"istio.io/rev": "canary"}
OBJECTS: dict[str, tuple[list[Any], list[Any], dict[tuple[str, str], str]]] = {
    "a policy is added": (
        STATE,
        [peer_authentication("a")],
        {STAR: "encrypted_not_enforced > strict", PLAIN: "plaintext_allowed > broken"},
    ),
    "a policy is deleted": (STRICT, [absent(peer_authentication("a"))], OPENED),
    "a policy is replaced": (STRICT, [peer_authentication("a", mode="PERMISSIVE")], OPENED),
    "the mesh's policy": (
        STATE,
        [peer_authentication(ROOT)],
        {STAR: "encrypted_not_enforced > strict", PLAIN: "plaintext_allowed > broken"},
    ),
    "an added policy is the youngest": (STRICT, [peer_authentication("a", "aaa", mode="DISABLE", age=0)], {}),
    "a replaced policy keeps its age": (
        [*STATE, peer_authentication("a", "old", age=1), peer_authentication("a", "new", mode="DISABLE", age=2)],
        [peer_authentication("a", "old", mode="PERMISSIVE", age=50)],
        OPENED,
    ),
    "of two added policies the first by name applies": (
        STATE,
        [peer_authentication("a", "z", mode="PERMISSIVE"), peer_authentication("a", "m")],
        {STAR: "encrypted_not_enforced > strict", PLAIN: "plaintext_allowed > broken"},
    ),
    "a DestinationRule": (STRICT, [destination_rule("a", "web", "DISABLE")], {STAR: "strict > broken"}),
    "a DestinationRule of one client": (
        STRICT,
        [destination_rule("b", "web.a.svc.cluster.local", "DISABLE")],
        {CALLER: "strict > broken"},
    ),
    "a Sidecar object that hides a service": (
        STRICT,
        [obj("Sidecar", "b", "default", {"egress": [{"hosts": ["./*"]}]})],
        {CALLER: "strict > broken"},
    ),
    "the MeshConfig": (STRICT, [config(f"rootNamespace: {ROOT}\nenableAutoMtls: false")], {STAR: "strict > broken"}),
    "the MeshConfig, with a boolean that YAML 1.1 has and PyYAML has not": (
        STRICT,
        [config(f"rootNamespace: {ROOT}\nenableAutoMtls: n")],
        {STAR: "strict > broken"},
    ),
    "a Service that selects other pods": (
        [*STRICT, web("other", sidecar=False)],
        [selecting("web", "other")],
        BARE_NOW,
    ),
    "a Service that selects nothing": (
        STRICT,
        [selecting("web", "nobody")],
        {STAR: "strict > unknown", PLAIN: "broken > unknown"},
    ),
    "a Service that is new": (
        STRICT,
        [selecting("more", "web")],
        {("*", "a/more"): "- > strict", ("plaintext", "a/more"): "- > broken"},
    ),
    "a Service that goes": (STRICT, [absent(selecting("web", "web"))], {STAR: "strict > -", PLAIN: "broken > -"}),
    "a port that the sidecar does not take": (
        [web(annotations={"traffic.sidecar.istio.io/excludeInboundPorts": "9090"}), *STRICT[1:]],
        [selecting("web", "web", {80: 9090})],
        {STAR: "strict > broken", PLAIN: "broken > plaintext"},
    ),
    "a Deployment as it is": (STRICT, [deployment("a", "web")], {}),
    "a Deployment without a sidecar": (
        STRICT,
        [deployment("a", "web", labels={"sidecar.istio.io/inject": "false"})],
        BARE_NOW,
    ),
    "a Deployment on the host's network": (STRICT, [deployment("a", "web", hostNetwork=True)], BARE_NOW),
    "a Deployment with other labels": (
        STRICT,
        [deployment("a", "web", labels={"app": "other"})],
        {STAR: "strict > unknown", PLAIN: "broken > unknown"},
    ),
    "a Deployment with an excluded port": (
        STRICT,
        [deployment("a", "web", annotations={"traffic.sidecar.istio.io/excludeInboundPorts": "8080"})],
        {STAR: "strict > broken", PLAIN: "broken > plaintext"},
    ),
    "a client whose calls do not pass its sidecar": (
        STRICT,
        [deployment("b", "caller", annotations={"traffic.sidecar.istio.io/excludeOutboundPorts": "80"})],
        {CALLER: "strict > broken"},
    ),
    "a client without a sidecar": (
        STRICT,
        [deployment("b", "caller", annotations={"sidecar.istio.io/inject": "false"})],
        {CALLER: "strict > broken"},
    ),
    "a Deployment that runs as the proxy": (
        STRICT,
        [deployment("b", "caller", securityContext={"runAsUser": 1337})],
        {CALLER: "strict > broken"},
    ),
    "a Deployment of no pods": (
        STRICT,
        [deployment("a", "web", replicas=0)],
        {STAR: "strict > unknown", PLAIN: "broken > unknown"},
    ),
    "a Deployment that goes": (
        STRICT,
        [absent(deployment("a", "web"))],
        {STAR: "strict > unknown", PLAIN: "broken > unknown"},
    ),
    "pods beside those of a Service": (
        STRICT,
        [deployment("a", "more", labels={"app": "web", "sidecar.istio.io/inject": "false"})],
        BARE_NOW,
    ),
    "a StatefulSet": (
        [pod("a", "web"), *service("a", "web", [pod("a", "web")], selector={"app": "web"}), *STRICT[1:]],
        [deployment("a", "web", kind="StatefulSet", labels={"sidecar.istio.io/inject": "false"})],
        BARE_NOW,
    ),
    "a CronJob": (
        [*STRICT[:1], owned(pod("b", "caller-2931"), "Job"), *STRICT[2:]],
        [deployment("b", "caller", kind="CronJob", labels={"sidecar.istio.io/inject": "false"})],
        {("b/caller-2931", "a/web"): "strict > broken"},
    ),
    "a bare pod": (STRICT, [obj("Pod", "a", "lone", {"containers": []}, labels={"app": "web"})], {}),
    "a bare pod that wants no sidecar": (
        STRICT,
        [obj("Pod", "a", "lone", {"containers": []}, labels={"app": "web", "sidecar.istio.io/inject": "false"})],
        BARE_NOW,
    ),
    "a namespace that goes": (STRICT, [absent(namespace("a"))], {STAR: "strict > -", PLAIN: "broken > -"}),
    "a namespace as it is": (STRICT, [namespace("a", **ENABLED)], {}),
    "the label of a server's namespace": (STRICT, [namespace("a")], BARE_LATER),
    "the label of a client's namespace": (STRICT, [namespace("b")], {CALLER: "strict > strict | broken"}),
    "the label that asks for injection": (
        BARE,
        [namespace("a", **ENABLED)],
        {
            STAR: "plaintext > plaintext | encrypted_not_enforced",
            PLAIN: "plaintext > plaintext | plaintext_allowed",
        },
    ),
    "a namespace of a revision that no pod knows": (STRICT, [namespace("a", **CANARY)], UNKNOWN_LATER),
    "a Deployment and its namespace's label": (STRICT, [namespace("a"), deployment("a", "web")], BARE_NOW),
    "a webhook goes": (
        [*STRICT, webhook("default", **ENABLED)],
        [absent(webhook("default", **ENABLED))],
        BARE_LATER,
    ),
    "a tag that moves to a revision that no pod knows": (
        [
            web(),
            *STATE[1:2],
            namespace("a", **{"istio.io/rev": "prod"}),
            *STRICT[3:],
            webhook("default", tag="prod", **{"istio.io/rev": "prod"}),
        ],
        [webhook("next", tag="prod", **{"istio.io/rev": "prod"})],
        UNKNOWN_LATER,
    ),
    "ambient mode that nothing shows": (
        BARE,
        [namespace("a", **{"istio.io/dataplane-mode": "ambient"})],
        {STAR: "plaintext > unknown", PLAIN: "plaintext > unknown"},
    ),
}


@pytest.mark.parametrize("name", OBJECTS)
def test_an_overlay(name: str) -> None:
    state, given_, expected = OBJECTS[name]
    assert told(overlay(state, *given_)) == expected


EFFECTS = {
    "added": (STATE, [peer_authentication("a")]),
    "replaced": (STRICT, [peer_authentication("a", mode="DISABLE")]),
    "unchanged": (STRICT, [peer_authentication("a", age=9)]),
    "deleted": (STRICT, [absent(peer_authentication("a"))]),
    "nothing": (STRICT, [obj("AuthorizationPolicy", "a", "rights")]),
    "unknown": (STRICT, [{"apiVersion": "example.com/v1", "kind": "Mystery", "metadata": {"name": "m"}}]),
}


@pytest.mark.parametrize("effect", EFFECTS)
def test_what_an_object_does_is_told(effect: str) -> None:
    state, given_ = EFFECTS[effect]
    found = overlay(state, *given_)
    assert [entry["effect"] for entry in found.objects] == [effect]
    assert [str(entry.code) for entry in found.findings] == {
        "nothing": ["overlay_no_effect"],
        "unknown": ["overlay_unknown"],
    }.get(effect, [])


WRONG: dict[str, tuple[list[Any], str]] = {
    "no kind": ([{"resource": {"apiVersion": "v1", "metadata": {"name": "x"}}, "state": "present"}], "is no object"),
    "no name": ([{"kind": "Pod", "metadata": {"namespace": "a", "generateName": "x-"}}], "without metadata.name"),
    "no apiVersion": (
        [{"apiVersion": "", "kind": "Pod", "metadata": {"namespace": "a", "name": "x"}}],
        "without apiVersion",
    ),
    "no namespace": ([{"kind": "PeerAuthentication", "metadata": {"name": "x"}}], "without metadata.namespace"),
    "not there": ([absent(peer_authentication("a"))], "is not there"),
    "a workload that is not there": ([absent(deployment("a", "nobody"))], "is not there"),
    "labels of numbers": ([obj("Service", "a", "x", labels={"v": 1})], "Expected a mapping of texts"),
    "a spec that is no mapping": ([{**obj("Service", "a", "x"), "spec": [1]}], "Expected a mapping"),
    "twice": ([peer_authentication("a"), peer_authentication("a", mode="DISABLE")], "twice"),
    "present and absent": ([peer_authentication("a"), absent(peer_authentication("a"))], "twice"),
    "an object in a namespace that goes": (
        [absent(namespace("a")), peer_authentication("a")],
        "its namespace is to be absent",
    ),
    "a shape that is not understood": (
        [obj("Service", "a", "x", {"ports": [{"port": "x"}]})],
        "cannot be understood",
    ),
    "a Deployment without a template": ([obj("Deployment", "a", "x")], "no pod template"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_applied_is_refused(name: str) -> None:
    given_, expected = WRONG[name]
    with pytest.raises(KubeError, match=expected):
        overlay(STATE, *given_)


def test_lists_and_files_are_entries_too() -> None:
    listed = {"apiVersion": "v1", "kind": "List", "items": flat([peer_authentication("a")])}
    once = told(overlay(STATE, peer_authentication("a")))
    assert told(overlay(STATE, {"state": "present", "resource": listed})) == once
    assert told(overlay(STATE, files=[None, listed])) == once


def test_a_new_version_of_a_kind_is_not_known() -> None:
    found = overlay(STATE, {**peer_authentication("a"), "apiVersion": "security.istio.io/v9"})
    assert [entry["effect"] for entry in found.objects] == ["unknown"]


@pytest.mark.parametrize(
    "kind", [kind.name for kind in KINDS if kind.name not in ("Pod", "EndpointSlice", "Gateway", "Service")]
)
def test_what_was_not_read_is_not_known(kind: str) -> None:
    lists = [
        {"apiVersion": one.versions[0], "kind": f"{one.name}List", "items": []} for one in KINDS if one.name != kind
    ]
    state = [*(one for one in flat(STRICT) if one["kind"] != kind), *lists]
    found = overlay(state, destination_rule("a", "web", "ISTIO_MUTUAL"), complete=False)
    assert any(text.startswith(kind) for text in found.inconclusive)
    assert found.failure(["weaker"])
    assert not found.failure([])


def test_an_absent_object_of_a_kind_that_was_not_read_is_not_known() -> None:
    found = overlay(STATE, absent(peer_authentication("a")), complete=False)
    assert [entry["effect"] for entry in found.objects] == ["unknown"]


def test_a_deployment_of_a_mesh_whose_webhooks_were_not_read() -> None:
    """It goes on as it does while the injector reads the same; else nobody knows."""
    lists = [{"apiVersion": one.versions[0], "kind": f"{one.name}List", "items": []} for one in KINDS]
    state = [*STRICT, *lists]
    same = overlay(state, deployment("a", "web"), complete=False)
    assert told(same) == {}
    other = overlay(state, namespace("a"), complete=False)
    lines = told(other)
    assert lines == UNKNOWN_LATER
    assert "mutatingwebhookconfigurations" in other.as_dict()["changes"][0]["after_restart"]["reason"]


FAILS = {
    "a weaker call": (STRICT, [peer_authentication("a", mode="PERMISSIVE")], {"weaker"}),
    "a broken call": (STRICT, [destination_rule("a", "web", "DISABLE")], {"broken"}),
    "a stronger one": (STATE, [peer_authentication("a")], set()),
    "a call that is not known": (STRICT, [selecting("web", "nobody")], {"weaker", "broken", "unknown"}),
    "a kind that is not known": (STRICT, EFFECTS["unknown"][1], {"weaker", "broken", "unknown"}),
    "a kind without effect": (STRICT, EFFECTS["nothing"][1], set()),
    "a weaker call after a restart": (STRICT, [namespace("a")], {"weaker"}),
    "a broken call after a restart": (STRICT, [namespace("b")], {"broken"}),
    "a new broken call": (STRICT, [selecting("more", "web"), destination_rule("a", "more", "DISABLE")], {"broken"}),
    "a new Service without pods": (STRICT, [selecting("more", "nobody")], set()),
    "calls that nobody knows": (
        [*STRICT, pod("a", "gw", role="router"), service("a", "gw", [pod("a", "gw", role="router")])],
        [],
        {"unknown"},
    ),
}


@pytest.mark.parametrize("name", FAILS)
def test_a_check_fails(name: str) -> None:
    state, given_, expected = FAILS[name]
    found = overlay(state, *given_)
    assert {choice for choice in ("weaker", "broken", "unknown") if found.failure([choice])} == expected


def test_what_is_in_a_namespace_that_goes_may_be_named_as_well() -> None:
    one, two, three = peer_authentication("a"), selecting("web", "web"), deployment("a", "web")
    found = overlay(STRICT, absent(namespace("a")), absent(one), absent(two), absent(three))
    assert {entry["effect"] for entry in found.objects} == {"deleted"}


def test_what_a_mesh_config_gives_to_new_pods_is_not_computed() -> None:
    mode = "defaultConfig: {interceptionMode: TPROXY}"
    found = overlay(STRICT, config(f"rootNamespace: {ROOT}\n{mode}"))
    assert "defaultConfig differs" in found.failure(["weaker"])
    assert not overlay(
        [*STATE[:-1], config(f"{mode}\nrootNamespace: {ROOT}")], config(f"rootNamespace: {ROOT}\n{mode}")
    ).inconclusive


@pytest.mark.parametrize("kind", ["ProxyConfig"])
def test_a_kind_whose_effect_is_not_computed_lets_no_check_pass(kind: str) -> None:
    found = overlay(STRICT, {**obj(kind, "a", "x"), "apiVersion": "networking.istio.io/v1beta1"})
    assert found.failure(["weaker"])


def test_messages_say_what_was_compared_and_what_differs() -> None:
    nothing = overlay(STRICT, peer_authentication("a"))
    assert nothing.message == "4 calls compared, 0 entries differ"
    broken = overlay(STRICT, destination_rule("a", "web", "DISABLE"))
    assert "* -> a/web:80 strict -> broken" in broken.message
    assert broken.failure(["broken"]) == (
        "fail_on broken: 1 entries of changes are not accepted: * -> a/web:80 strict -> broken (broken)."
    )


def test_named_ports_are_looked_up_at_each_pod() -> None:
    named = deployment("a", "web", ports=[{"name": "http", "containerPort": 9090}])
    front = selecting("web", "web")
    front["spec"]["ports"][0]["targetPort"] = "http"
    found = rows(STRICT, named, front)
    assert {row["target_port"] for row in found if row["service"] == "a/web"} == {9090}


def test_other_services_keep_their_endpoints() -> None:
    """A Service whose slices say something else than its selector, for pods that are not ready for example."""
    one, other = web(), web("other", sidecar=False)
    odd = service("a", "odd", [one[0]], selector={"app": "other"})
    state = [*STRICT[1:], one, other, odd]
    assert told(overlay(state, deployment("b", "caller"))) == {}
    bare = deployment("a", "other", labels={"sidecar.istio.io/inject": "false"})
    assert ("*", "a/odd") not in told(overlay(state, bare))
    assert ("*", "a/odd") in told(overlay(state, bare, selecting("odd", "other", {80: 81})))


def test_no_shape_of_an_object_is_a_traceback() -> None:
    """Each field of objects of an overlay, and of the state, with a value of each JSON type."""
    annotated = deployment(
        "a", "web", annotations={"proxy.istio.io/config": "x: 1"}, ports=[{"name": "h", "containerPort": 1}]
    )
    hook = webhook("default", **ENABLED)
    injector = {**config(name="istio-sidecar-injector"), "data": {"config": "policy: enabled"}}
    objects = flat(
        [annotated, hook, namespace("a"), obj("Pod", "a", "lone", annotated["spec"]["template"]["spec"]), injector]
    )
    tried = 0
    for number, one in enumerate(objects):
        for path in places(one):
            for value in JSON_TYPES:
                broken = [*objects[:number], changed(one, path, value), *objects[number + 1 :]]
                for state, entries_ in (
                    (STRICT, broken),
                    ([*STRICT[:2], *STRICT[3:], *broken], [namespace("a", **ENABLED)]),
                ):
                    with contextlib.suppress(KubeError):
                        overlay(state, *({"state": "present", "resource": entry} for entry in entries_))
                    tried += 1
    assert tried > 500


@settings(max_examples=60, deadline=None)
@given(objects=meshes(), seed=st.integers(0, 2**32))
def test_an_object_that_is_there_already_changes_nothing(objects: list[Any], seed: int) -> None:
    state = [*objects, config(), *(namespace(name) for name in ("a", "b", ROOT))]
    whole = flat(state)
    chosen = random.Random(seed).sample(whole, min(5, len(whole)))  # noqa: S311  # order, no secret
    assert told(overlay(state, *chosen)) == {}


@settings(max_examples=60, deadline=None)
@given(objects=meshes(), more=st.one_of(policies(), destination_rules()), seed=st.integers(0, 2**32))
def test_an_overlay_equals_the_state_that_it_makes(objects: list[Any], more: list[Any], seed: int) -> None:
    """Present objects as if they were in the files, the youngest; absent ones as if they were not; in any order."""
    state = [*objects, config(), *(namespace(name) for name in ("a", "b", ROOT))]
    there = {
        (one["kind"], one["metadata"]["namespace"], one["metadata"]["name"]): one
        for one in objects
        if one["kind"] in ("PeerAuthentication", "DestinationRule")
    }
    made, entries_ = dict(there), []
    for one in more:
        key = one["kind"], one["metadata"]["namespace"], one["metadata"]["name"]
        age = there[key]["metadata"]["creationTimestamp"] if key in there else stamp(59)
        made[key] = {**one, "metadata": {**one["metadata"], "creationTimestamp": age}}
        entries_.append(one)
    new = {(one["kind"], one["metadata"]["namespace"], one["metadata"]["name"]) for one in more}
    for key in sorted(set(there) - new)[:2]:
        del made[key]
        entries_.append(absent(there[key]))
    others = [one for one in state if one["kind"] not in ("PeerAuthentication", "DestinationRule")]
    shuffled = copy.deepcopy(entries_)
    random.Random(seed).shuffle(shuffled)  # noqa: S311
    assert rows(state, *entries_) == rows([*others, *made.values()])
    assert rows(state, *shuffled) == rows(state, *entries_)
