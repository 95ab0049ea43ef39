# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""mtls_info against a server that answers what a real one cannot be made to: no rights, old CRDs, expired tokens, no Istio."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.source import CALLER_KINDS, KINDS
from ansible_collections.servicemesh.platform.plugins.modules import mtls_info

from tests.unit.plugins.module_utils._mtls.mtls_objects import namespace, peer_authentication, pod, service
from tests.unit.plugins.module_utils.conftest import Answer, FaultyServer, faulty, status  # noqa: F401  # pylint: disable=unused-import  # a fixture

CONFIG = {"data": {"mesh": "rootNamespace: istio-system\ntrustDomain: td.example\n"}}
PLURALS = {
    "pods": "Pod",
    "services": "Service",
    "endpointslices": "EndpointSlice",
    "namespaces": "Namespace",
    "peerauthentications": "PeerAuthentication",
}


class Api:
    """Lists of objects, in pages; `faults` are answers by plural or path."""

    def __init__(self, *objects: Any, page: int = 500) -> None:
        flat = [one for entry in objects for one in (entry if isinstance(entry, list) else [entry])]
        self.objects = flat
        self.page = page
        self.faults: dict[str, Callable[[str, dict[str, list[str]]], Answer | None]] = {}
        self.config: Answer = (200, CONFIG, {})

    def answer(self, name: str, answer: Answer) -> None:
        """Always the same answer to requests whose path ends so."""
        self.faults[name] = lambda *_: answer

    def __call__(self, _method: str, path: str) -> Answer:
        parts = urlsplit(path)
        query = parse_qs(parts.query)
        name = parts.path.rpartition("/")[2]
        answer = self.faults[name](parts.path, query) if name in self.faults else None
        if answer is not None:
            return answer
        if "/configmaps/" in parts.path:
            return self.config
        found = [one for one in self.objects if one["kind"] == PLURALS.get(name)]
        start = int((query.get("continue") or ["0"])[0])
        end = start + self.page
        meta = {"continue": str(end)} if end < len(found) else {}
        return 200, {"metadata": meta, "items": found[start:end]}, {}


WEB = pod("a", "web")
MESH = [WEB, service("a", "web", [WEB]), namespace("a"), peer_authentication("a")]


@pytest.fixture
def ask(faulty: FaultyServer, capsys: pytest.CaptureFixture[str]) -> Callable[..., dict[str, Any]]:  # noqa: F811
    """Runs the module against an Api."""

    def run(api: Api, **params: Any) -> dict[str, Any]:
        faulty.script = api
        with patch_module_args({"host": faulty.url, "api_key": "s3cr3t-t0ken", **params}), pytest.raises(SystemExit):
            mtls_info.main()
        return json.loads(capsys.readouterr().out)

    return run


def verdict(result: dict[str, Any], client: str = "*") -> str:
    return next(call["verdict"] for call in result["calls"] if call["client"] == client)


def test_the_result(ask: Callable[..., dict[str, Any]]) -> None:
    result = ask(Api(*MESH), want={"a": "strict"})
    assert (verdict(result), verdict(result, "plaintext")) == ("strict", "broken")
    assert (result["compliant"], result["changed"], result["findings"]) == (True, False, [])
    assert result["mesh"]["trust_domain"] == "td.example"
    assert result["stats"]["requests"] == len(KINDS) + 3, "and istiod, its MeshConfig and an API group"
    assert {call["proof"] for call in result["calls"]} == {"unproved"}
    assert [row["workload"] for row in result["workloads"]] == ["a/web"]
    assert [row["namespace"] for row in result["namespaces"]] == ["a"]


def test_nothing_demanded_is_neither_compliant_nor_not(ask: Callable[..., dict[str, Any]]) -> None:
    assert ask(Api(*MESH))["compliant"] is None


def test_a_level_that_is_none_is_named(ask: Callable[..., dict[str, Any]]) -> None:
    result = ask(Api(*MESH), want={"a": "STRICT"})
    assert result["failed"]
    assert "want: 'STRICT' for namespace 'a'. Expected one of: strict, permissive." in result["msg"]


@pytest.mark.parametrize(
    ("plural", "grant"),
    [
        ("peerauthentications", "peerauthentications.security.istio.io"),
        ("destinationrules", "destinationrules.networking.istio.io"),
        ("pods", "pods"),
        ("endpointslices", "endpointslices.discovery.k8s.io"),
        ("virtualservices", "virtualservices.networking.istio.io"),
        ("envoyfilters", "envoyfilters.networking.istio.io"),
        ("httproutes", "httproutes.gateway.networking.k8s.io"),
    ],
)
def test_a_missing_right_is_named_and_leaves_the_verdict_unknown(
    ask: Callable[..., dict[str, Any]], plural: str, grant: str
) -> None:
    api = Api(*MESH)
    api.faults[plural] = lambda *_: status(403, "forbidden", "Forbidden")
    result = ask(api, want={"a": "strict"})
    assert not result.get("failed"), result
    assert verdict(result) == "unknown"
    assert result["compliant"] is False
    finding = next(entry for entry in result["findings"] if entry["code"] == "incomplete")
    assert finding["severity"] == "error"
    assert f"verb list on {grant} in all namespaces is missing" in finding["message"]


@pytest.mark.parametrize("answer", [status(404), (200, {"resources": [{"name": "gateways"}]}, {})])
def test_a_right_on_what_is_not_installed_is_not_missed(ask: Callable[..., dict[str, Any]], answer: Answer) -> None:
    api = Api(*MESH)
    api.faults["httproutes"] = lambda *_: status(403, "forbidden", "Forbidden")
    for version in ("v1", "v1beta1", "v1alpha2"):
        api.faults[version] = lambda path, _query: answer if path.startswith("/apis/gateway.") else None
    result = ask(api, want={"a": "strict"})
    assert (verdict(result), result["compliant"], result["findings"]) == ("strict", True, [])


def test_a_group_that_is_not_installed_costs_one_request(ask: Callable[..., dict[str, Any]]) -> None:
    api = Api(*MESH)
    api.faults["gateway.networking.k8s.io"] = lambda *_: status(404)
    result = ask(api, want={"a": "strict"})
    assert result["compliant"]
    required = sum(not kind.optional for kind in KINDS)
    assert result["stats"]["requests"] == required + 3, "and istiod, its MeshConfig and the group"


@pytest.mark.parametrize("answer", [status(403, "forbidden", "Forbidden"), (200, {"kind": "APIGroup"}, {})])
def test_a_group_that_cannot_be_asked_for_is_tried(ask: Callable[..., dict[str, Any]], answer: Answer) -> None:
    """What is there is read, whatever is said about the group."""
    api = Api(*MESH)
    api.faults["gateway.networking.k8s.io"] = lambda *_: answer
    api.faults["httproutes"] = lambda *_: status(403, "forbidden", "Forbidden")
    assert verdict(ask(api, want={"a": "strict"})) == "unknown"


def test_kinds_of_callers_are_read_for_what_if_only(ask: Callable[..., dict[str, Any]]) -> None:
    api = Api(*MESH)
    asked: list[str] = []

    def noted(plural: str) -> Callable[[str, dict[str, list[str]]], Answer | None]:
        return lambda *_: asked.append(plural)

    for kind in CALLER_KINDS:
        api.faults[kind.plural] = noted(kind.plural)
    istiods = ["deployments"]  # those of Istio's namespace are always read
    ask(api)
    assert asked == istiods
    asked.clear()
    assert ask(api, what_if={"namespaces": ["a"]})["what_if"]["verdict"] == "nothing_found"
    assert sorted(asked) == sorted([*istiods, *(kind.plural for kind in CALLER_KINDS)])


@pytest.mark.parametrize("kind", CALLER_KINDS, ids=lambda kind: kind.name)
def test_a_right_of_what_if_that_is_missing_is_named_there(ask: Callable[..., dict[str, Any]], kind: Any) -> None:
    api = Api(*MESH)
    api.faults[kind.plural] = lambda *_: status(403, "forbidden", "Forbidden")
    result = ask(api, want={"a": "strict"}, what_if={"mesh": True})
    assert not result.get("failed"), result
    assert (result["compliant"], result["findings"]) == (True, []), "no verdict depends on it"
    (line,) = result["what_if"]["not_looked_at"]
    assert line.startswith(f"{kind.name}: no permission: verb list on {kind.plural}.")
    assert result["what_if"]["verdict"] == "unknown"


def test_a_kind_that_the_cluster_does_not_have_was_looked_at(ask: Callable[..., dict[str, Any]]) -> None:
    api = Api(*MESH)
    api.faults["servicemonitors"] = lambda *_: status(404)
    told = ask(api, what_if={"mesh": True})["what_if"]
    assert told["not_looked_at"] == []
    assert "ServiceMonitor: the API server has no such kind" in told["looked_at"]


def test_a_namespace_of_what_if_that_does_not_exist_is_refused(ask: Callable[..., dict[str, Any]]) -> None:
    result = ask(Api(*MESH), what_if={"namespaces": ["a", "b"]})
    assert result["failed"]
    assert result["msg"] == "what_if.namespaces: b does not exist. Expected namespaces of the cluster."


def test_a_namespace_of_what_if_when_the_namespaces_are_not_known(ask: Callable[..., dict[str, Any]]) -> None:
    api = Api(*MESH)
    api.faults["namespaces"] = lambda *_: status(403, "forbidden", "Forbidden")
    told = ask(api, what_if={"namespaces": ["a", "b"]})["what_if"]
    assert "namespace b: nothing of it was read" in told["not_looked_at"]
    assert "namespace a: nothing of it was read" not in told["not_looked_at"]


def test_crds_of_an_older_version_are_read(ask: Callable[..., dict[str, Any]]) -> None:
    api = Api(*MESH)
    api.faults["peerauthentications"] = lambda path, _query: status(404) if "/v1/" in path else None
    result = ask(api)
    assert (verdict(result), result["findings"]) == ("strict", [])


def test_without_istio_nothing_is_strict(ask: Callable[..., dict[str, Any]]) -> None:
    bare = pod("a", "web", sidecar=False)
    api = Api(bare, service("a", "web", [bare]), namespace("a"))
    for plural in (
        "peerauthentications",
        "destinationrules",
        "sidecars",
        "serviceentries",
        "workloadentries",
        "gateways",
        "istio",
    ):
        api.faults[plural] = lambda *_: status(404, reason="NotFound")
    result = ask(api, want={"a": "strict"})
    assert verdict(result, "plaintext") == "plaintext"
    assert verdict(result) == "unknown"
    assert result["compliant"] is False
    assert not result["mesh"]["known"]
    assert "ConfigMap istio-system/istio" in {finding["object"] for finding in result["findings"]}


@pytest.mark.parametrize("mesh", ["- a\n- b\n", "a: [", ""])
def test_a_mesh_config_that_is_none_leaves_auto_mtls_unknown(ask: Callable[..., dict[str, Any]], mesh: str) -> None:
    api = Api(*MESH)
    api.config = (200, {"data": {"mesh": mesh}}, {})
    result = ask(api)
    assert verdict(result) == "unknown"
    assert verdict(result, "plaintext") == "broken", "the namespace's own policy does not hang on the MeshConfig"
    assert result["findings"][0]["code"] == "mesh_config"


def test_pages_are_read_to_the_end(ask: Callable[..., dict[str, Any]]) -> None:
    pods = [pod("a", "web", suffix=str(number)) for number in range(7)]
    result = ask(Api(*pods, service("a", "web", pods), namespace("a"), peer_authentication("a"), page=2))
    assert result["stats"]["objects"]["Pod"] == 7
    assert verdict(result) == "strict"


def test_an_expired_token_begins_the_list_again(ask: Callable[..., dict[str, Any]]) -> None:
    pods = [pod("a", "web", suffix="0"), pod("a", "web", suffix="1", sidecar=False)]
    api = Api(*pods, service("a", "web", pods), namespace("a"), peer_authentication("a"), page=1)
    expired = iter([True, False])

    def fault(_path: str, query: dict[str, list[str]]) -> Answer | None:
        return status(410, "too old", "Expired") if "continue" in query and next(expired, False) else None

    api.faults["pods"] = fault
    result = ask(api)
    assert result["stats"]["objects"]["Pod"] == 2, "neither half nor double"
    assert verdict(result, "plaintext") == "plaintext"


def test_a_list_that_never_holds_still_is_told(ask: Callable[..., dict[str, Any]]) -> None:
    pods = [pod("a", "web", suffix=str(number)) for number in range(3)]
    api = Api(*pods, page=1)
    api.faults["pods"] = lambda _path, query: status(410, "too old", "Expired") if "continue" in query else None
    assert "changes faster than its pages can be read" in ask(api)["msg"]


def test_too_many_requests_are_waited_out(ask: Callable[..., dict[str, Any]]) -> None:
    api = Api(*MESH)
    busy = iter([True, True])
    api.faults["services"] = lambda *_: status(429) if next(busy, False) else None
    assert verdict(ask(api)) == "strict"


def test_a_namespace_that_is_going_is_told(ask: Callable[..., dict[str, Any]]) -> None:
    going = {**namespace("a"), "status": {"phase": "Terminating"}}
    result = ask(Api(*MESH[:2], going, peer_authentication("a")))
    assert [finding["code"] for finding in result["findings"]] == ["terminating"]


def test_credentials_that_are_refused_end_it(ask: Callable[..., dict[str, Any]]) -> None:
    api = Api(*MESH)
    api.faults["pods"] = lambda *_: status(401, "Unauthorized")
    assert "does not accept these credentials" in ask(api)["msg"]


def test_a_prometheus_that_does_not_answer_concludes_nothing(ask: Callable[..., dict[str, Any]]) -> None:
    api = Api(*MESH)
    api.faults["query"] = lambda *_: status(404, "no such service", "NotFound")
    result = ask(api, prometheus={"service": "monitoring/prometheus:9090"}, want={"a": "strict"})
    assert [finding["code"] for finding in result["findings"]] == ["metrics"]
    assert result["compliant"] is True
