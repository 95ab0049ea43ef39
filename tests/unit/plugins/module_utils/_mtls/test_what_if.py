# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whom STRICT would break: each kind of caller, what was looked at, and the answer in a word."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.assemble import Misread, assembled, reducers
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.engine import Engine
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.given import Given
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.model import MeshConfig
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.read import read
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.source import CALLER_KINDS, KINDS
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.verdict import ANYBODY, WITHOUT_SIDECAR
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.what_if import made_strict, what_if
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.plugins.module_utils._mtls.mtls_objects import (
    destination_rule,
    mesh,
    namespace,
    obj,
    peer_authentication,
    pod,
    service,
)
from tests.unit.plugins.module_utils._mtls.test_properties import meshes

VERSIONS = {kind.name: kind.versions[0] for kind in (*KINDS, *CALLER_KINDS)}
CONFIG = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "istio", "namespace": "istio-system"},
    "data": {"mesh": "rootNamespace: istio-system"},
}
A = namespace("a", **{"istio-injection": "enabled"})


def snapshot_of(*objects: Any, complete: bool = True) -> Any:
    flat = [one for entry in objects for one in (entry if isinstance(entry, list) else [entry])]
    documents = [{"apiVersion": VERSIONS[one["kind"]], **one} for one in [A, namespace("b"), *flat]]
    return read(Given([*documents, CONFIG], complete=complete), "istio-system", "cluster.local", callers=True)


def told(*objects: Any, mesh: bool = False, complete: bool = True) -> dict[str, Any]:
    """What would break if namespace a were STRICT."""
    snapshot = snapshot_of(*objects, complete=complete)
    engine = Engine(snapshot.mesh)
    return what_if(engine, engine.calls(), [] if mesh else ["a"], mesh, snapshot.callers)


def web(**more: Any) -> list[Any]:
    """A workload with a sidecar behind Service a/web, port 80 (or others) to 8080."""
    made = pod("a", "web", **{key: more.pop(key) for key in ("sidecar", "annotations", "native") if key in more})
    made["spec"]["containers"][0]["ports"] = [{"name": "http", "containerPort": 8080}]
    return [made, *service("a", "web", [made], **more)]


# Calls of which an object names the target ----------------------------------------------------------------------------

TARGET = {"namespace": "a", "name": "web", "port": 80}


def hook(kind: str, **config: Any) -> dict[str, Any]:
    return {**obj(kind, "", "guard"), "webhooks": [{"name": "x.example.com", "clientConfig": config}]}


def crd(strategy: str = "Webhook") -> dict[str, Any]:
    conversion = {"strategy": strategy, "webhook": {"clientConfig": {"service": TARGET}}}
    return obj("CustomResourceDefinition", "", "things.example.com", {"conversion": conversion})


def ingress(port: dict[str, Any], **spec: Any) -> dict[str, Any]:
    paths = {"paths": [{"path": "/", "backend": {"service": {"name": "web", "port": port}}}]}
    return obj("Ingress", "a", "front", {"ingressClassName": "nginx", "rules": [{"http": paths}], **spec})


CLASS = obj("IngressClass", "", "nginx", {"controller": "example.com/nginx"})


def controller(words: list[str], *, sidecar: bool) -> list[Any]:
    """A controller's Deployment and its pod."""
    made = pod("b", "nginx", sidecar=sidecar)
    return [made, obj("StatefulSet", "b", "nginx", {"template": {"spec": {"containers": [{"args": words}]}}})]


def monitor(kind: str, part: dict[str, Any], labels: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    field = "endpoints" if kind == "ServiceMonitor" else "podMetricsEndpoints"
    spec = {"selector": {"matchLabels": labels or {"app": "web"}}, field: [part], **spec}
    return obj(kind, "a", "watch", spec)


def labelled(made: list[Any]) -> list[Any]:
    """The Service with a label, as ServiceMonitors choose it."""
    made[1]["metadata"]["labels"] = {"app": "web"}
    return made


def scraped(**annotations: str) -> list[Any]:
    return web(annotations={f"prometheus.io/{name}": value for name, value in annotations.items()})


NAMED: list[Any] = [
    ("webhook, validating", [web(), hook("ValidatingWebhookConfiguration", service=TARGET)], ("webhook", 80, "broken")),
    ("webhook, mutating", [web(), hook("MutatingWebhookConfiguration", service=TARGET)], ("webhook", 80, "broken")),
    (
        "webhook on the default port",
        [web(ports={443: 8443}), hook("MutatingWebhookConfiguration", service={"namespace": "a", "name": "web"})],
        ("webhook", 443, "broken"),
    ),
    (
        "webhook by URL",
        [web(), hook("ValidatingWebhookConfiguration", url="https://web.a.svc:80/check")],
        ("webhook", 80, "broken"),
    ),
    (
        "webhook by the URL of an address",
        [web(), hook("ValidatingWebhookConfiguration", url="https://10.96.0.1:80/check")],
        ("webhook", 80, "broken"),
    ),
    ("webhook elsewhere", [web(), hook("ValidatingWebhookConfiguration", url="https://example.com/")], None),
    (
        "webhook on another port",
        [web(), hook("ValidatingWebhookConfiguration", service={**TARGET, "port": 81})],
        None,
    ),
    (
        "webhook to pods without a sidecar",
        [web(sidecar=False), hook("ValidatingWebhookConfiguration", service=TARGET)],
        None,
    ),
    (
        "webhook to an excluded port",
        [
            web(annotations={"traffic.sidecar.istio.io/excludeInboundPorts": "8080"}),
            hook("ValidatingWebhookConfiguration", service=TARGET),
        ],
        None,
    ),
    ("conversion", [web(), crd()], ("conversion_webhook", 80, "broken")),
    ("no conversion", [web(), crd("None")], None),
    (
        "aggregated API",
        [web(), obj("APIService", "", "v1.metrics", {"service": TARGET})],
        ("aggregated_api", 80, "broken"),
    ),
    ("an API of the API server's own", [web(), obj("APIService", "", "v1.apps", {"service": None})], None),
    (
        "ingress whose controller has no sidecar",
        [web(), ingress({"number": 80}), CLASS, controller(["-ingress-class=nginx"], sidecar=False)],
        ("ingress", 80, "broken"),
    ),
    (
        "ingress by the controller's own name, and the port's name",
        [
            web(),
            ingress({"name": "p80"}),
            CLASS,
            controller(["--controller-class", "example.com/nginx"], sidecar=False),
        ],
        ("ingress", 80, "broken"),
    ),
    (
        "ingress whose controller has a sidecar",
        [web(), ingress({"number": 80}), CLASS, controller(["-ingress-class=nginx"], sidecar=True)],
        ("ingress", 80, "unknown"),
    ),
    ("ingress of somebody", [web(), ingress({"number": 80})], ("ingress", 80, "unknown")),
    (
        "default backend of an ingress",
        [
            web(),
            ingress(
                {"number": 81},
                defaultBackend={"service": {"name": "web", "port": {"number": 80}}},
                ingressClassName=None,
            ),
        ],
        ("ingress", 80, "unknown"),
    ),
    ("Istio's own ingress", [web(), ingress({"number": 80}, ingressClassName="istio")], None),
    ("ingress to a port that is not there", [web(), ingress({"number": 81})], None),
    ("annotation", [scraped(scrape="true", port="9102")], ("scrape", 9102, "broken")),
    ("annotation without a port", [scraped(scrape="true")], ("scrape", 8080, "broken")),
    ("annotation with TLS", [scraped(scrape="true", port="8080", scheme="https")], ("scrape", 8080, "broken")),
    ("annotation that is merged", [scraped(scrape="true", port="15020", path="/stats/prometheus")], None),
    ("annotation that says no", [scraped(scrape="false", port="9102")], None),
    (
        "ServiceMonitor by the port's name",
        [labelled(web()), monitor("ServiceMonitor", {"port": "p80"})],
        ("scrape", 8080, "broken"),
    ),
    (
        "ServiceMonitor by the container port's name",
        [labelled(web()), monitor("ServiceMonitor", {"targetPort": "http"})],
        ("scrape", 8080, "broken"),
    ),
    (
        "ServiceMonitor by the container port's number",
        [labelled(web()), monitor("ServiceMonitor", {"targetPort": 9102})],
        ("scrape", 9102, "broken"),
    ),
    (
        "ServiceMonitor with a certificate",
        [
            labelled(web()),
            monitor("ServiceMonitor", {"port": "p80", "scheme": "https", "tlsConfig": {"certFile": "/certs/cert.pem"}}),
        ],
        ("scrape", 8080, "unknown"),
    ),
    ("ServiceMonitor of other labels", [web(), monitor("ServiceMonitor", {"port": "p80"})], None),
    (
        "ServiceMonitor of another namespace",
        [labelled(web()), monitor("ServiceMonitor", {"port": "p80"}, namespaceSelector={"matchNames": ["b"]})],
        None,
    ),
    (
        "ServiceMonitor of a headless service",
        [labelled(web(headless=True)), monitor("ServiceMonitor", {"port": "p80"})],
        ("scrape", 8080, "unknown"),
    ),
    ("PodMonitor", [web(), monitor("PodMonitor", {"port": "http"})], ("scrape", 8080, "broken")),
    ("PodMonitor by number", [web(), monitor("PodMonitor", {"portNumber": 9102})], ("scrape", 9102, "broken")),
    ("PodMonitor of other pods", [web(), monitor("PodMonitor", {"port": "http"}, {"app": "other"})], None),
    ("node port", [web(type="NodePort")], ("outside", 80, "broken")),
    ("load balancer", [web(type="LoadBalancer")], ("outside", 80, "broken")),
    ("external address", [web(externalIPs=["192.0.2.1"])], ("outside", 80, "broken")),
    ("cluster address only", [web(type="ClusterIP")], None),
]


@pytest.mark.parametrize(("objects", "found"), [case[1:] for case in NAMED], ids=[case[0] for case in NAMED])
def test_a_call_that_an_object_names(objects: list[Any], found: tuple[str, int, str] | None) -> None:
    """Before: the mesh is PERMISSIVE and the call passes. After: it does not. In a namespace that is STRICT already nothing changes."""
    flat = [one for entry in objects for one in (entry if isinstance(entry, list) else [entry])]
    result = told(*flat)
    rows = [(row["kind"], row["port"], row["verdict"]) for row in result["named_callers"]]
    assert rows == ([found] if found else [])
    if found:
        assert result["verdict"] == ("breaks" if found[2] == "broken" else "unknown")
        assert result["named_callers"][0]["target"] == "a/web"
    assert told(*flat, peer_authentication("a"))["named_callers"] == [], "it fails already"
    exception = peer_authentication(
        "a", "web", None, selector={"app": "web"}, ports={8080: "DISABLE", 9102: "PERMISSIVE"}
    )
    open_ports = {8080, 9102} if found and found[1] != 443 else set()
    if open_ports:
        assert told(*flat, exception)["named_callers"] == [], "the workload's own exception stays"


def test_a_host_port_is_called_from_outside() -> None:
    made = web()
    made[0]["spec"]["containers"][0]["ports"][0]["hostPort"] = 80
    (row,) = told(*made)["named_callers"]
    assert (row["kind"], row["target"], row["port"], row["was"]) == ("outside", "a/web", 8080, "plaintext_allowed")


def test_a_service_that_is_scraped_by_its_annotations() -> None:
    made = web()
    made[1]["metadata"]["annotations"] = {"prometheus.io/scrape": "true", "prometheus.io/port": "8080"}
    (row,) = told(*made)["named_callers"]
    assert row["caller"] == "annotation prometheus.io/scrape of Service a/web"


def test_tls_to_a_port_that_is_declared_as_http_fails_already() -> None:
    made = web()
    for node in (made[1]["spec"]["ports"][0], made[2]["ports"][0]):
        node["name"] = "http"
    assert told(*made, hook("ValidatingWebhookConfiguration", service=TARGET))["named_callers"] == []


def test_a_webhook_of_several_backends_breaks_where_one_has_a_sidecar() -> None:
    pods = [pod("a", "web"), pod("a", "bare", sidecar=False)]
    result = told(*pods, *service("a", "web", pods), hook("ValidatingWebhookConfiguration", service=TARGET))
    assert [row["verdict"] for row in result["named_callers"]] == ["broken"]
    assert result["refuses"] == [{"service": "a/web", "port": 80, "was": "plaintext_allowed"}]


# Callers of which nobody knows whom they call -------------------------------------------------------------------------


def init(name: str = "migrate", **more: Any) -> dict[str, Any]:
    return {"name": name, **more}


USER = {"securityContext": {"runAsUser": 1337}}
INITS: list[Any] = [
    ("before istio-init", lambda own: [init(), *own], {}, "before istio-init"),
    ("after istio-init, no proxy is up", lambda own: [*own, init()], {}, ""),
    ("after istio-init, as the proxy's user", lambda own: [*own, init(**USER)], {}, "proxy's user"),
    ("after a native sidecar", lambda own: [*own, init()], {"native": True}, ""),
    ("before a native sidecar", lambda own: [init(), *own], {"native": True}, "before istio-init"),
    ("after a native sidecar, as its user", lambda own: [*own, init(**USER)], {"native": True}, "proxy's user"),
    (
        "with istio-cni",
        lambda _own: [{"name": "istio-validation"}, init()],
        {"annotations": {"sidecar.istio.io/interceptionMode": "REDIRECT"}},
        "",
    ),
    (
        "interception NONE",
        lambda own: [*own, init()],
        {"annotations": {"sidecar.istio.io/interceptionMode": "NONE"}},
        "interceptionMode NONE",
    ),
    ("nobody knows", lambda _own: [init()], {}, "not known"),
    ("without a sidecar", lambda own: [init(), *own], {"sidecar": False}, ""),
]


@pytest.mark.parametrize(("order", "more", "found"), [case[1:] for case in INITS], ids=[case[0] for case in INITS])
def test_an_init_container(order: Any, more: dict[str, Any], found: str) -> None:
    job = pod("b", "job", **more)
    job["spec"]["initContainers"] = order(job["spec"].get("initContainers") or [])
    rows = [row for row in told(*web(), job)["possible_callers"] if row["kind"] == "init_container"]
    assert [row["caller"] for row in rows] == (["b/job, init container migrate"] if found else [])
    assert all(found in row["reason"] for row in rows)


def test_another_user_of_the_proxy() -> None:
    """OpenShift gives the proxy another user, and istio-init is told."""
    job = pod("b", "job")
    (own,) = job["spec"]["initContainers"]
    own["args"][own["args"].index("1337")] = "1000700001"
    job["spec"]["initContainers"] = [own, init(securityContext={"runAsUser": 1000700001})]
    (row,) = told(*web(), job)["possible_callers"]
    assert "proxy's user" in row["reason"]


def workload(kind: str, space: str = "b", spec: dict[str, Any] | None = None, **meta: Any) -> dict[str, Any]:
    template = {"metadata": meta, "spec": {"containers": [{"name": "app"}], **(spec or {})}}
    outer = {"jobTemplate": {"spec": {"template": template}}} if kind == "CronJob" else {"template": template}
    return obj(kind, space, "night", outer)


TRUE, FALSE = {"sidecar.istio.io/inject": "true"}, {"sidecar.istio.io/inject": "false"}
WAITING: list[Any] = [
    ("no injection", workload("CronJob"), "no injection"),
    ("injection by the namespace", workload("CronJob", "a"), ""),
    ("injection by the template", workload("CronJob", labels=TRUE), ""),
    ("no injection by the template", workload("CronJob", "a", labels=FALSE), "inject is false"),
    ("no injection by its annotation", workload("CronJob", "a", annotations=FALSE), "inject is false"),
    ("the annotation alone is not seen by the webhook", workload("CronJob", annotations=TRUE), "no injection"),
    ("injection of a revision", workload("CronJob", labels={"istio.io/rev": "1-31"}), ""),
    ("a sidecar of its own", workload("Job", spec={"containers": [{"name": "istio-proxy"}]}), ""),
    ("hostNetwork", workload("Job", "a", {"hostNetwork": True}), "hostNetwork"),
    ("a namespace of the system", workload("Job", "kube-system", labels=TRUE), "nothing is injected"),
    ("a Job", workload("Job"), "no injection"),
    ("a Deployment", workload("Deployment"), "no injection"),
    ("a DaemonSet", workload("DaemonSet"), "no injection"),
    (
        "an init container",
        workload("Deployment", "a", {"initContainers": [init()]}),
        "init container migrate may run before",
    ),
    (
        "excluded ports",
        workload("Deployment", "a", annotations={"traffic.sidecar.istio.io/excludeOutboundPorts": "80"}),
        "excludeOutboundPorts",
    ),
    ("the proxy's user", workload("Deployment", "a", USER), "proxy's user"),
    ("a Job that has run", {**workload("Job"), "status": {"conditions": [{"type": "Complete", "status": "True"}]}}, ""),
]


@pytest.mark.parametrize(("entry", "found"), [case[1:] for case in WAITING], ids=[case[0] for case in WAITING])
def test_a_workload_that_does_not_run(entry: dict[str, Any], found: str) -> None:
    result = told(*web(), entry)
    rows = result["possible_callers"]
    assert [row["caller"] for row in rows] == (
        [f"{entry['kind']} {entry['metadata']['namespace']}/night"] if found else []
    )
    assert all(found in row["reason"] for row in rows)
    assert result["verdict"] == ("unknown" if found else "nothing_found"), "whether it calls is not known"


def test_a_workload_in_ambient_mode_that_does_not_run() -> None:
    """ztunnel sends plain text to pods that do not accept HBONE."""
    result = told(*web(), workload("Job", labels={"istio.io/dataplane-mode": "ambient"}))
    assert result["possible_callers"] == []
    assert [(row["client"], row["was"]) for row in result["breaks"]] == [("b/night", "plaintext_allowed")]


def test_a_workload_that_runs_is_not_listed_twice() -> None:
    assert told(*web(), pod("b", "night"), workload("StatefulSet"))["possible_callers"] == []


def test_without_the_namespaces_injection_is_not_known() -> None:
    documents = [{"apiVersion": VERSIONS[one["kind"]], **one} for one in [*web(), workload("CronJob")]]
    snapshot = read(Given([*documents, CONFIG], complete=False), "istio-system", "cluster.local", callers=True)
    engine = Engine(snapshot.mesh)
    (row,) = what_if(engine, engine.calls(), ["a"], False, snapshot.callers)["possible_callers"]
    assert "not known" in row["reason"]


def test_a_workload_that_does_not_run_calls_with_the_rules_of_its_namespace() -> None:
    """A DestinationRule that turns TLS off, and a Sidecar object that hides the service: nothing else runs in the namespace."""
    for rule in (
        destination_rule("b", "web.a.svc.cluster.local", "DISABLE"),
        obj("Sidecar", "b", "default", {"egress": [{"hosts": ["./*"]}]}),
    ):
        result = told(*web(), rule, workload("CronJob", labels=TRUE))
        assert [(row["client"], row["service"]) for row in result["breaks"]] == [("b/night", "a/web")]
        assert result["verdict"] == "breaks"
    assert told(*web(), workload("CronJob", labels=TRUE))["breaks"] == []


# Calls of meshed workloads --------------------------------------------------------------------------------------------

BYPASSES: list[Any] = [
    ({"traffic.sidecar.istio.io/excludeOutboundPorts": "80"}, {}),
    ({"traffic.sidecar.istio.io/excludeOutboundIPRanges": "10.96.0.0/16"}, {}),
    ({"traffic.sidecar.istio.io/includeOutboundIPRanges": "192.168.0.0/16"}, {}),
    ({"traffic.sidecar.istio.io/includeOutboundIPRanges": ""}, {}),
    ({"sidecar.istio.io/interceptionMode": "NONE"}, {}),
    ({}, USER),
    ({}, {"securityContext": {"runAsGroup": 1337}}),
]


@pytest.mark.parametrize(("annotations", "context"), BYPASSES)
def test_a_caller_that_bypasses_its_own_proxy(annotations: dict[str, str], context: dict[str, Any]) -> None:
    caller = pod("b", "far", annotations=annotations)
    caller["spec"]["containers"][0] |= context
    result = told(*web(), caller)
    assert [(row["client"], row["was"]) for row in result["breaks"]] == [("b/far", "plaintext_allowed")]
    assert told(*web(), caller, peer_authentication("a"))["breaks"] == [], "it fails already"
    assert told(*web(), pod("b", "far"))["breaks"] == []


def test_a_call_that_is_broken_for_another_backend_breaks_further() -> None:
    """Of two backends one is STRICT already; STRICT for the namespace breaks the calls to the other one as well."""
    pods = [pod("a", "web"), pod("a", "shut")]
    made = [*pods, pod("b", "far"), *service("a", "web", pods)]
    shut = peer_authentication("a", "shut", selector={"app": "shut"})
    plain = destination_rule("a", "web.a.svc.cluster.local", "DISABLE")
    assert [(row["client"], row["was"]) for row in told(*made, shut, plain)["breaks"]] == [("*", "broken")]
    assert told(*made, peer_authentication("a"), plain)["breaks"] == []


@settings(max_examples=150, deadline=None)
@given(objects=meshes(), whole=st.booleans())
def test_what_becomes_broken_is_listed_and_nothing_else(objects: list[Any], whole: bool) -> None:
    """Against two engines that are asked for every workload by name, without `*`."""
    base = mesh(objects)
    names = [] if whole else ["a"]
    now, strict = Engine(base), Engine(made_strict(base, names, whole))
    result = what_if(now, now.calls(), names, whole)
    clients = [ANYBODY, WITHOUT_SIDECAR, *sorted({group.key for group in base.groups if group.meshed})]

    def of(engine: Engine) -> dict[tuple[str, str, int], Any]:
        found = {call.id: call for call in engine.calls(clients)}
        places = {key[1:] for key in found}
        return {
            (one, *place): found.get((one, *place)) or found[(ANYBODY, *place)] for one in clients for place in places
        }

    before, after = of(now), of(strict)
    listed = {(row["client"], row["service"], row["port"]): row for row in result["breaks"]}
    unknown = {(row["client"], row["service"], row["port"]) for row in result["unknown"]}
    refused = {(row["service"], row["port"]) for row in result["refuses"]}
    points = {
        (one.key, port.number): [
            (now.cells.accepts(e, port.number).mode, strict.cells.accepts(e, port.number).mode) for e in port.endpoints
        ]
        for one in base.services
        for port in one.ports
    }
    for (client, *rest), call in after.items():
        place, was = (str(rest[0]), int(rest[1])), before[(client, *rest)].verdict
        if call.verdict == "unknown" != was:
            assert {(client, *place), (ANYBODY, *place)} & unknown
        elif call.verdict == "broken" != was:
            assert (
                place in refused if client == WITHOUT_SIDECAR else {(client, *place), (ANYBODY, *place)} & listed.keys()
            )
    for key, row in listed.items():
        assert after[key].verdict == "broken"
        assert row["was"] == before[key].verdict
        assert row["was"] != "broken" or key[1:] in refused, "broken already, and now at further endpoints"
    for place, modes in points.items():
        assert (place in refused) == any(old != "STRICT" and new == "STRICT" for old, new in modes)


# What was looked at, and the answer -----------------------------------------------------------------------------------


def test_nothing_found() -> None:
    result = told(*web(), pod("b", "far"))
    assert (result["verdict"], result["not_looked_at"]) == ("nothing_found", [])
    assert "ServiceMonitor: 0" in result["looked_at"]


def test_a_caller_without_a_sidecar_leaves_it_open() -> None:
    result = told(*web(), pod("b", "far", sidecar=False))
    assert (result["verdict"], result["callers"], result["breaks"]) == ("unknown", ["b/far"], [])


@pytest.mark.parametrize("kind", CALLER_KINDS, ids=lambda kind: kind.name)
def test_a_kind_that_was_not_read_leaves_it_open(kind: Any) -> None:
    lists = [
        {"apiVersion": one.versions[0], "kind": f"{one.name}List", "items": []}
        for one in (*KINDS, *CALLER_KINDS)
        if one != kind
    ]
    documents = [{"apiVersion": VERSIONS[one["kind"]], **one} for one in [A, *web()]]
    snapshot = read(Given([*documents, *lists, CONFIG], complete=False), "istio-system", "cluster.local", callers=True)
    engine = Engine(snapshot.mesh)
    result = what_if(engine, engine.calls(), ["a"], False, snapshot.callers)
    assert result["not_looked_at"] == [f"{kind.name}: src has no {kind.plural}, so they were not read"]
    assert result["verdict"] == "unknown"
    assert kind.name not in snapshot.mesh.missing, "verdicts do not depend on it"


@pytest.mark.parametrize("kind", ["Probe", "ScrapeConfig"])
def test_objects_that_are_not_understood_leave_it_open(kind: str) -> None:
    result = told(*web(), obj(kind, "b", "box"))
    assert (result["verdict"], result["not_looked_at"]) == (
        "unknown",
        [f"{kind}: 1, such as b/box, which are not understood here"],
    )


@pytest.mark.parametrize(
    ("kind", "broken"),
    [
        ("ValidatingWebhookConfiguration", {"webhooks": [{"name": "x"}]}),
        ("APIService", {"spec": {"service": {"name": "x"}}}),
        ("CustomResourceDefinition", {"spec": {"conversion": {"strategy": "Webhook"}}}),
        ("Ingress", {"spec": {"rules": 3}}),
        ("Deployment", {"spec": {"template": "x"}}),
        ("ServiceMonitor", {"spec": {"selector": {"matchExpressions": [{"key": "x", "operator": "Like"}]}}}),
    ],
)
def test_an_object_of_another_shape_is_named(kind: str, broken: dict[str, Any]) -> None:
    result = told(*web(), {**obj(kind, "b", "odd"), **broken})
    assert result["verdict"] == "unknown"
    (line,) = result["not_looked_at"]
    assert line.startswith(f"{kind}: b/odd")


ODD: list[Any] = [None, True, 7, 1.5, "x", "", [], ["x"], [{}], {}, {"x": "y"}, {"x": {}}]
WHOLE = [
    hook("ValidatingWebhookConfiguration", service=TARGET),
    hook("MutatingWebhookConfiguration", url="https://web.a.svc:80/check"),
    crd(),
    obj("APIService", "", "v1.metrics", {"service": TARGET}),
    ingress({"number": 80}, defaultBackend={"service": {"name": "web", "port": {"name": "p80"}}}),
    CLASS,
    monitor("ServiceMonitor", {"port": "p80", "scheme": "https", "tlsConfig": {"certFile": "x"}}),
    monitor("PodMonitor", {"portNumber": 8080}, namespaceSelector={"any": True}),
    workload("CronJob", "a", {"initContainers": [init(args=["--ingress-class", "x"], **USER)]}, labels=TRUE),
    workload("Job", "b", USER, annotations=FALSE),
]


def leaves(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Paths of everything in an object."""
    if path:
        yield path
    parts = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, part in parts:
        yield from leaves(part, (*path, key))


@pytest.mark.parametrize("whole", WHOLE, ids=lambda whole: whole["kind"])
def test_no_value_of_any_type_ends_it(whole: dict[str, Any]) -> None:
    for path in leaves({key: part for key, part in whole.items() if key in ("spec", "webhooks", "status")}):
        for odd in ODD:
            changed = copy.deepcopy(whole)
            node: Any = changed
            for key in path[:-1]:
                node = node[key]
            node[path[-1]] = odd
            reduced = reducers("cluster.local", callers=True)[whole["kind"]](changed)
            parts: dict[str, list[Any]] = {kind: [] for kind in reducers("cluster.local", callers=True)}
            base = [namespace("a"), *labelled(web())]
            for entry in base:
                parts[entry["kind"]].append(reducers("cluster.local", callers=True)[entry["kind"]](entry))
            if not isinstance(reduced, Misread):
                parts[whole["kind"]].append(reduced)
            snapshot = assembled(parts, {}, MeshConfig(), {}, "cluster.local")
            engine = Engine(snapshot.mesh)
            assert what_if(engine, engine.calls(), ["a"], False, snapshot.callers)["verdict"]


def test_calls_that_are_not_known_are_listed() -> None:
    caller = pod("b", "far")
    caller["spec"]["initContainers"] = []
    result = told(*web(), caller)
    assert [(row["client"], row["service"]) for row in result["unknown"]] == [("b/far", "a/web")]
    assert result["verdict"] == "unknown"
    assert told(*web(sidecar=False), caller)["unknown"] == [], "nobody there becomes STRICT"
    assert told(*web(), caller, peer_authentication("a"))["unknown"] == [], "nothing changes"


def test_a_gateway_reads_no_policies() -> None:
    gateway = pod("a", "front", role="router")
    result = told(gateway, *service("a", "front", [gateway], type="LoadBalancer"))
    assert (result["unknown"], result["named_callers"], result["verdict"]) == ([], [], "nothing_found")


def test_the_root_namespace_is_the_mesh() -> None:
    snapshot = snapshot_of(*web(), namespace("istio-system"), hook("ValidatingWebhookConfiguration", service=TARGET))
    engine = Engine(snapshot.mesh)
    rows = what_if(engine, engine.calls(), ["istio-system"], False, snapshot.callers)["named_callers"]
    assert [row["verdict"] for row in rows] == ["broken"]


def test_each_revisions_root_namespace_is_made_strict() -> None:
    made = mesh([pod("a", "web")])
    other = dataclasses.replace(made.config, revision="new", root_namespace="new-root")
    both = dataclasses.replace(made, configs={"new": other})
    assert {policy.namespace for policy in made_strict(both, [], True).policies} == {"istio-system", "new-root"}
