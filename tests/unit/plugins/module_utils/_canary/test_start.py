# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a start checks, and what it does with a run that is recorded already."""

from __future__ import annotations

import copy
from typing import Any, cast

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._canary import plan as plans
from ansible_collections.servicemesh.platform.plugins.module_utils._canary import state as states
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.context import Context
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.findings import FindingCode
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.start import start
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.start_checks import checked_settings
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.state import PauseCause, Phase, State
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import Client
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import ApiError, KubeError
from ansible_collections.servicemesh.platform.plugins.plugin_utils import _canary_lines as lines

from tests.unit.plugins.module_utils._canary.test_parts import params
from tests.unit.plugins.module_utils.conftest import FaultyServer, ok

Obj = dict[str, Any]
HOST = "user-service.ecommerce.svc.cluster.local"
META = {
    "name": "user-service",
    "namespace": "ecommerce",
    "resourceVersion": "1",
    "creationTimestamp": "2026-01-01T00:00:00Z",
}
VIRTUAL_SERVICES = "/apis/networking.istio.io/v1/namespaces/ecommerce/virtualservices"
RULES = "/apis/networking.istio.io/v1/namespaces/ecommerce/destinationrules"
DEPLOYMENT = "/apis/apps/v1/namespaces/ecommerce/deployments/user-service"
CONFIG = "/api/v1/namespaces/ecommerce/configmaps/canary-user-service"
JOB = {"spec": {"template": {"spec": {}}}}


REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


def kinds(version: str, **names: str) -> Obj:
    """What the API server says of a version: name of a resource -> its kind."""
    resources = [{"name": name, "kind": kind, "namespaced": True, "verbs": ["get"]} for name, kind in names.items()]
    return {"kind": "APIResourceList", "groupVersion": version, "resources": resources}


class Reader:
    """A cluster with one service; a write that is no dry run is an error, unless `writes`. All rights are given."""

    def __init__(self, weight: int = 0, *, writes: bool = False) -> None:
        self.writes, self.tried = writes, list[tuple[str, str]]()
        split = [
            {"destination": {"host": HOST, "subset": subset}, "weight": share}
            for subset, share in (("stable", 100 - weight), ("canary", weight))
        ]
        subsets = [{"name": track, "labels": {"track": track}} for track in ("stable", "canary")]
        pod = {
            "metadata": {**META, "name": "pod", "labels": {"app": "user-service", "track": "stable"}},
            "status": {"conditions": [{"type": "Ready", "status": "True"}]},
        }
        template = {"metadata": {"labels": {"version": "v1"}}, "spec": {"containers": [{"image": "x:v1"}]}}
        self.objects: dict[str, Obj] = {
            f"{VIRTUAL_SERVICES}/user-service": {
                "metadata": META,
                "spec": {"hosts": [HOST], "http": [{"route": split}]},
            },
            f"{RULES}/user-service": {"metadata": META, "spec": {"host": HOST, "subsets": subsets}},
            "/api/v1/namespaces/ecommerce/services/user-service": {
                "metadata": META,
                "spec": {"selector": {"app": "user-service"}},
            },
            "/api/v1/namespaces/ecommerce/pods/pod": pod,
            DEPLOYMENT: {"metadata": META, "spec": {"replicas": 1, "template": template, "selector": {}}},
            "/apis/apps/v1": kinds("apps/v1", deployments="Deployment"),
            "/api/v1": kinds("v1", configmaps="ConfigMap"),
        }

    def get(self, path: str, **_more: Any) -> Obj | None:
        return copy.deepcopy(self.objects.get(path))

    def list_all(self, path: str, _query: Any = None, _headers_to: Any = None) -> tuple[list[Obj], str]:
        folder = path.replace("/v1/", "/v1/namespaces/ecommerce/") if "/namespaces/" not in path else path
        return [copy.deepcopy(item) for name, item in self.objects.items() if name.startswith(f"{folder}/")], "1"

    def each(self, work: Any, items: Any) -> list[Any]:
        return [work(item) for item in items]

    def request(
        self, method: str, path: str, query: Obj | None = None, body: Any = None, **_more: Any
    ) -> tuple[int, Obj]:
        if method == "GET":
            return 200, {"metadata": META, "spec": {"replicas": 1}} if path.endswith("/scale") else {}
        if path == REVIEWS:
            return 201, {"status": {"allowed": True}}
        dry_run = (query or {}).get("dryRun") == "All"
        assert dry_run or self.writes, f"{method} {path}: a check writes nothing"
        self.tried.append((method, path))
        live = copy.deepcopy(self.objects.get(path)) or {"metadata": META}
        return 200, live if isinstance(body, list) or "metadata" not in (body or {}) else body


def definition(name: str) -> Obj:
    meta = {"name": name, "namespace": "ecommerce"}
    template = {"metadata": {"labels": {"version": "v2"}}, "spec": {}}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": {"template": template}}


def options(**more: Any) -> Obj:
    definitions = {"canary_definitions": [definition("user-service-canary")]}
    given = {"stable_definitions": [definition("user-service")], "proof_samples": 0, **more}
    return params(**definitions, analysis=[{"name": "smoke", "job": JOB}], **given)


def codes(reader: Reader, given: Obj, *, restarting: bool = False) -> list[FindingCode]:
    found = checked_settings(cast(Client, reader), given, 0.0, restarting=restarting)[2]
    assert all(str(finding) == finding.text for finding in found)
    return [finding.code for finding in found]


def test_a_cluster_in_order_has_no_findings() -> None:
    assert codes(Reader(), options()) == []


def test_only_a_restart_accepts_the_weight_that_the_run_before_it_set() -> None:
    assert codes(Reader(20), options()) == [FindingCode.WEIGHT]
    assert codes(Reader(20), options(), restarting=True) == []
    reader = Reader(20)
    del reader.objects[f"{RULES}/user-service"]
    del reader.objects[DEPLOYMENT]
    assert FindingCode.WEIGHT in codes(reader, options())
    left = codes(reader, options(), restarting=True)
    assert FindingCode.WEIGHT not in left
    assert {FindingCode.DESTINATION_RULE, FindingCode.DEPLOYMENT_MISSING} <= set(left)


def test_a_promotion_without_definitions_of_stable_is_refused_at_the_start() -> None:
    assert codes(Reader(), options(stable_definitions=None)) == [FindingCode.DEFINITIONS]


def test_findings_have_the_code_of_what_they_are_about() -> None:
    assert codes(Reader(), options(virtual_services=["user-service", "nobody"])) == [
        FindingCode.VIRTUAL_SERVICE_MISSING
    ]
    assert codes(Reader(), params(analysis=[{"name": "smoke", "job": JOB}])) == [FindingCode.DEPLOYMENT_MISSING]
    metric = {"name": "x", "url": "http://x", "value": "a[", "min": 1}
    assert codes(Reader(), {**options(), "analysis": [metric]}) == [FindingCode.MEASUREMENT]
    approval = {"before": "promotion", "url": "http://x", "value": "a[", "min": 1}
    assert codes(Reader(), options(approvals=[approval])) == [FindingCode.MEASUREMENT]
    reader = Reader()
    reader.objects[DEPLOYMENT]["metadata"] = {**META, "labels": {"flagger.app/x": "y"}}
    assert codes(reader, options()) == [FindingCode.OTHER_TOOL]
    reader = Reader()
    reader.objects[f"{VIRTUAL_SERVICES}/user-service"]["spec"]["http"][0]["mirror"] = {"host": "shadow"}
    assert codes(reader, options(mirror=5)) == [FindingCode.MIRROR]


def test_a_match_that_cannot_be_copied_is_refused_before_anything_changes() -> None:
    tester = {"headers": {"x-tester": {"exact": "yes"}}}
    assert codes(Reader(), options(match=tester)) == []
    assert codes(Reader(), options(match={"uri": {"prefix": "/a"}})) == []
    reader = Reader()
    route = reader.objects[f"{VIRTUAL_SERVICES}/user-service"]["spec"]["http"][0]
    route["match"] = [{"uri": {"regex": "/a.*"}}]
    assert codes(reader, options(match={"uri": {"prefix": "/a"}})) == [FindingCode.ROUTE]
    route["match"] = [{"headers": {"x-tester": {"exact": "no"}}}]
    assert codes(reader, options(match=tester)) == [FindingCode.ROUTE]  # no request can match


def test_a_delegate_is_refused_where_what_delegates_to_it_is_not_known() -> None:
    reader = Reader()
    del reader.objects[f"{VIRTUAL_SERVICES}/user-service"]["spec"]["hosts"]
    given = options(match={"headers": {"x-tester": {"exact": "yes"}}}, virtual_services=["user-service"])
    assert codes(reader, given) == []
    root = {"hosts": ["x"], "http": [{"delegate": {"name": "user-service"}, "match": [{"sourceNamespace": "a"}]}]}
    reader.objects[f"{VIRTUAL_SERVICES}/root"] = {"metadata": {**META, "name": "root"}, "spec": root}
    assert codes(reader, given) == [FindingCode.ROUTE]
    listed = reader.list_all

    def refused(path: str, query: Any = None) -> tuple[list[Obj], str]:
        if path.endswith("istio.io/v1/virtualservices"):
            raise ApiError("GET", path, 403, {})
        return listed(path, query)

    reader.list_all = refused  # type: ignore[method-assign]
    assert codes(reader, given) == [FindingCode.ROUTE]
    assert codes(reader, {**given, "match": None}) == []


def test_a_run_records_what_it_shifts_and_who_delegates_to_it() -> None:
    reader = Reader()
    mesh = reader.objects[f"{VIRTUAL_SERVICES}/user-service"]
    delegate = {
        "metadata": {**META, "name": "user-service-ingress"},
        "spec": {"http": copy.deepcopy(mesh["spec"]["http"])},
    }
    delegates = [{"delegate": {"name": name}} for name in ("user-service-ingress", "order-service-ingress")]
    root = {"metadata": {**META, "name": "shop"}, "spec": {"hosts": ["x"], "gateways": ["gw"], "http": delegates}}
    reader.objects |= {f"{VIRTUAL_SERVICES}/{item['metadata']['name']}": item for item in (delegate, root)}
    for named in (None, ["user-service", "shop"]):
        given = options(virtual_services=named)
        settings, observation, findings, _notes = checked_settings(cast(Client, reader), given, 0.0, restarting=False)
        assert findings == []
        assert set(settings["virtual_services"]) == {"ecommerce/user-service", "ecommerce/user-service-ingress"}
        assert settings["roots"] == ["ecommerce/shop"]
        assert settings["route_records"].keys() == set(settings["virtual_services"])
        assert observation.observed.weights == {0}


def test_a_run_takes_over_only_the_routes_that_it_shifts_itself() -> None:
    reader = Reader(20)
    settings = checked_settings(cast(Client, Reader()), options(), 0.0, restarting=False)[0]
    again = {**options(), "routes": []}
    found = checked_settings(cast(Client, reader), again, 0.0, restarting=True, replaced=settings)
    assert found[2] == []
    assert found[1].virtual_services[0]["spec"]["http"][0]["route"][1]["weight"] == 0  # what it was before
    other = {**settings, "virtual_services": ["ecommerce/user-service", "shop/gone"]}
    (finding,) = checked_settings(cast(Client, reader), again, 0.0, restarting=True, replaced=other)[2]
    assert "VirtualService shop/gone" in finding.text


def test_a_pushgateway_that_cannot_be_reached_refuses_the_start() -> None:
    given = options(metrics_push={"url": "http://127.0.0.1:1/"})
    (finding,) = checked_settings(cast(Client, Reader()), given, 0.0, restarting=False)[2]
    assert finding.code is FindingCode.METRICS_PUSH
    assert finding.text.startswith(
        "metrics_push: the Pushgateway (http://127.0.0.1:1/) cannot be used: Connection refused"
    )


def test_all_findings_are_in_the_error_of_a_start() -> None:
    reader = Reader(20)
    del reader.objects[DEPLOYMENT]
    context = Context(cast(Client, reader), options(), check=True)
    with pytest.raises(KubeError, match="cannot start; nothing was changed") as error:
        start(context)
    for words in ("has weight 20", "the stable Deployment does not exist"):
        assert words in str(error.value)


@pytest.mark.parametrize("check", [True, False])
def test_what_a_start_finds_out_about_metrics_is_noted(faulty: FaultyServer, check: bool) -> None:
    faulty.script = lambda _method, path: ok(
        status="success", data={"resultType": "vector", "result": []} if "/query" in path else []
    )
    given = {**options(prometheus={"url": faulty.url}), "analysis": [{"metric": "success_rate", "min": 0.9}]}
    notes = start(Context(cast(Client, Reader(writes=not check)), given, check=check)).notes
    assert [note["event"] for note in notes] == ["start", "note", "note"]
    assert "Prometheus has no istio_requests_total yet" in notes[1]["message"]
    assert " ".join(lines.line(notes[1], {}).split()).endswith(notes[1]["message"])


@pytest.mark.parametrize(
    ("cause", "passes", "pause_at", "resumes"),
    [
        (PauseCause.INTERRUPTED, 0, 10, True),
        (PauseCause.PLANNED, 1, 10, False),
        (PauseCause.PLANNED, 1, 0, True),
        (PauseCause.PLANNED, 1, 50, True),
        (PauseCause.BY_HAND, 0, 0, False),
        (PauseCause.BY_HAND, 1, 0, True),
    ],
)
def test_a_paused_run_resumes_by_its_cause_and_never_by_its_reason(
    cause: PauseCause, passes: int, pause_at: int, resumes: bool
) -> None:
    state = State(
        "run", "user-service", "ecommerce", plans.Plan((10, 50)), phase=Phase.PAUSED, pause_cause=cause, index=0, weight=10,
        passes=passes, reason="the step was taken back after a signal",
    )  # fmt: skip
    reader = Reader(10)
    reader.objects[CONFIG] = {"metadata": META, "data": {"state": states.to_json(state)}}
    result = start(Context(cast(Client, reader), options(steps=[10, 50], pause_at=pause_at), check=True))
    assert (result.changed, result.done) == (resumes, not resumes)
