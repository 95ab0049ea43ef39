# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Canaries on the real cluster, under a steady stream of requests: good versions, bad ones, and runs that are killed."""

from __future__ import annotations

import http.server
import json
import math
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis import metrics, queries
from ansible_collections.servicemesh.platform.plugins.module_utils._prometheus import Endpoint, Prometheus

from tests.integration.canary.bed import (
    ERRORS,
    IMAGE,
    RATE,
    Bed,
    apply,
    assert_back,
    assert_untouched,
    events,
    failed,
    finish,
    spec_of,
    up,
    wait_for,
)
from tests.pushgateway.server import Server

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("cluster")]
ROOT = Path(__file__).parents[3]
Obj = dict[str, Any]


# Good versions ---------------------------------------------------------------------------------------------------------


def test_a_good_version_is_promoted_without_a_failed_request(bed: Bed) -> None:
    spec, begin = spec_of(bed), time.time()
    header = {"headers": {"x-tester": {"exact": "yes"}}}
    names: list[str] = []

    def look(result: Obj) -> bool:
        if result["phase"] == "analysing" and not names:
            names.extend(route["name"] for route in bed.virtual_service()["spec"]["http"])
        return False

    result = bed.drive(until=look, **bed.options(steps=[20, 60], interval=8, match=header, drain=20))
    assert result["phase"] == "promoted", result
    when = {note["message"]: note["time"] for note in result["all_notes"] if note["event"] == "stage"}
    drained = when["promoting: remove"] - when["promoting: drain"]
    assert 1 <= drained < 15, "the pods have no requests any more, which their proxies say"
    assert names == [f"work-canary-match-{result['run']}", "work", f"mesh-canary-match-{result['run']}", "mesh"]
    assert (bed.weights(), bed.version()) == ([0, 0], "v2")
    assert_untouched(bed, spec)
    wait_for(lambda: bed.deployment("web-canary") is None, "the canary's end")
    time.sleep(1.5)
    bed.assert_none_failed(begin)
    assert {"CanaryStarted", "CanaryStep", "CanaryPass", "CanaryPromoted"} <= events(bed)
    # What clients saw in each window follows its weight: five standard deviations are one run in two million.
    # A window whose scrapes were late on a busy machine is inconclusive, and another one follows at the same weight.
    judged = [note for note in result["all_notes"] if note["event"] == "window"]
    assert "fail" not in {note["verdict"] for note in judged}
    windows = [note for note in judged if note["verdict"] == "pass"]
    proved = [note["time"] for note in result["all_notes"] if note["event"] == "proved"]
    assert [note["weight"] for note in windows] == [20, 60]
    for start, window in zip(proved, windows, strict=True):
        seen = bed.answers(start + 1, window["time"])
        total, new = sum(seen.values()), seen["v2 200"]
        share = window["weight"] / 100
        assert total > RATE
        assert abs(new - share * total) <= 5 * math.sqrt(total * share * (1 - share)), (window["weight"], seen)
        assert window["checks"][0]["query"].startswith('istio_requests_total{reporter="destination"')
    again = bed.call("start", **bed.options(steps=[20, 60], interval=8, match=header))
    assert (again["changed"], again["done"], again["phase"]) == (False, True, "promoted")


def test_a_step_that_is_taken_back_leaves_the_testers_their_version_and_users_their_routes(bed: Bed) -> None:
    theirs = users_routes(bed)
    before = whole_of(bed)
    header = {"headers": {"x-tester": {"exact": "yes"}}}
    second = {"phase": "analysing", "weight": 60}
    options = bed.options(
        steps=[20, 60], interval=3, match=header, analysis=[{"name": "x", "query": "vector(1)", "max": 1}]
    )
    refused = bed.call("start", **options, mirror=10)
    assert "http route work: has mirror, mirrorPercentage already" in refused["msg"]
    result = bed.drive(until=lambda found: second.items() <= found.items(), **options)
    assert result["weight"] == 60, result
    assert bed.call("interrupt", service="web", namespace=bed.namespace)["changed"]
    during, run = bed.virtual_service()["spec"]["http"], result["run"]
    names = [route["name"] for route in during]
    assert names == ["beta-canary-match", f"work-canary-match-{run}", "work", f"mesh-canary-match-{run}", "mesh"]
    assert [route["route"][1]["weight"] for route in during[2::2]] == [20, 20]
    assert during[0] == theirs[0]
    assert during[2]["mirror"] == theirs[1]["mirror"]
    assert bed.call("rollback", service="web", namespace=bed.namespace)["changed"]
    assert_back(bed, before["spec"], finish(bed))
    assert whole_of(bed) == before


def users_routes(bed: Bed) -> list[Obj]:
    """Gives the service's VirtualService a route and a mirror of the user's, and a destination without a weight."""
    virtual_service = bed.routes()[2]
    http: list[Obj] = virtual_service["spec"]["http"]
    stable = {"host": bed.host, "subset": "stable", "port": {"number": 80}}
    http[0]["mirror"] = {**stable, "subset": "canary"}
    http[0]["mirrorPercentage"] = {"value": 1}
    http[1] = {**http[1], "route": [http[1]["route"][0], {"destination": {**stable, "subset": "canary"}}]}
    http.insert(
        0, {"name": "beta-canary-match", "match": [{"uri": {"exact": "/beta"}}], "route": [{"destination": stable}]}
    )
    apply(bed, [virtual_service])
    return http


def whole_of(bed: Bed) -> Obj:
    """The VirtualService without what every write changes."""
    live = bed.virtual_service()
    meta = {
        key: value
        for key, value in live["metadata"].items()
        if key not in ("resourceVersion", "managedFields", "generation")
    }
    return {**live, "metadata": meta}


# Bad versions ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("new", "options", "words"),
    [
        # Prometheus finds a new pod some seconds after it is there. What it had counted until then is a doubt at the destination, which
        # may be most of a window of 4 s.
        ({"ERROR_RATE": 0.5}, {"interval": 10, "analysis": ERRORS}, "success_rate/destination: 0."),
        (
            {"LATENCY_MS": 400},
            {"interval": 10, "on_failure": "freeze", "analysis": [{"metric": "p50", "max": 200, "min_requests": 20}]},
            "is above 200",
        ),
        ({"image": "localhost/ecommerce/nowhere:v9"}, {}, "nowhere:v9"),
        ({"CRASH_AFTER": 20}, {"interval": 10, "analysis": ERRORS}, "no pod is ready"),
    ],
    ids=["errors", "slow and frozen", "not starting", "crashing at 50 %"],
)
def test_a_bad_version_goes_back(bed: Bed, new: Obj, options: Obj, words: str) -> None:
    spec, begin = spec_of(bed), time.time()
    result = bed.drive(**bed.options(new=new, **options))
    assert words in result["reason"]
    if options.get("on_failure") == "freeze":
        assert (result["phase"], bed.weights()) == ("frozen", [50, 50])
        assert bed.call("freeze", service="web", namespace=bed.namespace)["changed"] is False
        assert bed.call("rollback", service="web", namespace=bed.namespace)["changed"] is True
        assert_back(bed, spec, finish(bed))
        return
    assert_back(bed, spec, result)
    assert result["proof"]["proved"], result["proof"]
    time.sleep(1.5)
    answers = bed.answers(begin)
    shifted = next((note["time"] for note in result["all_notes"] if note["event"] == "step"), None)
    if shifted is None:
        bed.assert_none_failed(begin)
        return
    back = next(note["time"] for note in result["all_notes"] if note["event"] == "rolling_back")
    # From the shift to 3 s after the decision every second request can have reached the bad version, and no other.
    assert failed(answers) <= 0.5 * RATE * (back - shifted + 3) * 1.3, answers


@pytest.mark.parametrize("kind", ["no traffic and NaN", "Prometheus down"])
def test_what_is_not_known_is_no_pass(bed: Bed, kind: str) -> None:
    spec = spec_of(bed)
    nan = {"name": "odd", "query": "vector(0) / vector(0)", "max": 1}
    # Only the route that nobody calls is shifted.
    quiet = {"routes": ["mesh"], "analysis": [*ERRORS, nan]}
    more = quiet if kind == "no traffic and NaN" else {"analysis": ERRORS}
    scale = f"/apis/apps/v1/namespaces/{bed.namespace}/deployments/prometheus/scale"

    def interfere(result: Obj) -> bool:
        if kind == "Prometheus down" and result["phase"] == "analysing":
            bed.client.request(
                "PATCH", scale, body={"spec": {"replicas": 0}}, content_type="application/merge-patch+json"
            )
        return False

    try:
        result = bed.drive(until=interfere, **bed.options(inconclusives=2, interval=3, **more))
    finally:
        bed.client.request("PATCH", scale, body={"spec": {"replicas": 1}}, content_type="application/merge-patch+json")
        wait_for(lambda: up(bed), "Prometheus")
    assert_back(bed, spec, result)
    assert "2 windows in a row were inconclusive" in result["reason"]
    verdicts = [note["verdict"] for note in result["all_notes"] if note["event"] == "window"]
    assert verdicts[-2:] == ["inconclusive", "inconclusive"]
    assert "pass" not in verdicts
    if kind == "no traffic and NaN":
        assert "no requests to web-canary in" in result["reason"]
        assert "odd: the value is NaN" in result["reason"]
    assert result["proof"]["proved"] == (kind != "Prometheus down"), "what was not measured is not proved"


# Other ways to judge ---------------------------------------------------------------------------------------------------


class Numbers(http.server.BaseHTTPRequestHandler):
    """Answers every request with the same JSON."""

    def do_GET(self) -> None:
        body = json.dumps({"checks": [{"name": "basket", "share": 0.93}], "asked": self.path}).encode()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: Any) -> None:
        """Says nothing."""


def test_an_endpoint_a_job_and_an_approval_have_their_say(bed: Bed) -> None:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Numbers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    script = "import urllib.request; urllib.request.urlopen('http://web/work', timeout=9)"
    container = {"name": "test", "image": IMAGE, "imagePullPolicy": "Never", "command": ["python3", "-c", script]}
    pod = {"restartPolicy": "Never", "containers": [container]}
    meta = {"labels": {"sidecar.istio.io/inject": "false"}}
    options = bed.options(
        analysis=[
            {
                "name": "basket",
                "url": f"http://127.0.0.1:{server.server_address[1]}/numbers?of=$subset",
                "value": "checks[?name=='basket'].share | [0]",
                "min": 0.9,
            },
            {"name": "smoke", "job": {"spec": {"template": {"metadata": meta, "spec": pod}}}},
            {"name": "odd", "query": "vector(7)", "max": 1, "dry_run": True},
        ],
        approvals=[{"before": "50", "annotation": "example.com/approved"}],
        steps=[50, 80],
        pause_at=50,
        mirror=20,
    )
    spec = spec_of(bed)
    asked: list[str] = []

    def approve(result: Obj) -> bool:
        if result["phase"] == "shifting" and not asked:
            asked.append(result["waiting"])
            assert bed.weights() == [0, 0]
            meta = {"metadata": {"annotations": {"example.com/approved": "true"}}}
            path = f"/apis/apps/v1/namespaces/{bed.namespace}/deployments/web"
            bed.client.request("PATCH", path, body=meta, content_type="application/merge-patch+json")
        return False

    try:
        result = bed.drive(until=approve, **options)
    finally:
        server.shutdown()
    assert result["phase"] == "paused", result
    assert asked == ["a check has not finished"], "nothing waited for the approval"
    (window,) = [note for note in result["all_notes"] if note["event"] == "window"]
    verdicts = {check["name"]: check["verdict"] for check in window["checks"]}
    assert verdicts == {"basket": "pass", "smoke": "pass", "odd": "fail"}, window
    assert window["verdict"] == "pass", "a dry run has no say"
    mirrored = [(route["mirror"]["subset"], route["mirrorPercentage"]) for route in spec_of(bed)["http"]]
    assert mirrored == [("canary", {"value": 20})] * 2
    assert bed.call("rollback", service="web", namespace=bed.namespace)["changed"]
    assert_back(bed, spec, finish(bed))


# Others in the middle --------------------------------------------------------------------------------------------------


def test_somebody_elses_weight_stops_the_run_and_somebody_elses_timeout_does_not(bed: Bed) -> None:
    spec = spec_of(bed)
    options = bed.options(steps=[30, 60], interval=3, analysis=ERRORS)
    path = f"/apis/networking.istio.io/v1/namespaces/{bed.namespace}/virtualservices/web"

    def edit(*ops: Obj) -> None:
        bed.client.request("PATCH", path, body=list(ops), content_type="application/json-patch+json")

    def interfere(result: Obj) -> bool:
        if result["phase"] == "analysing" and result["weight"] == 30:
            edit({"op": "replace", "path": "/spec/http/0/timeout", "value": "7s"})
        if result["phase"] == "analysing" and result["weight"] == 60:
            edit(
                {"op": "replace", "path": "/spec/http/1/route/0/weight", "value": 95},
                {"op": "replace", "path": "/spec/http/1/route/1/weight", "value": 5},
            )
        return False

    result = bed.drive(until=interfere, **options)
    assert result["failed"]
    assert "the canary's weight is 5 %, but this run had set 60 %" in result["msg"]
    assert bed.weights() == [60, 5], "nothing was done"
    assert bed.virtual_service()["spec"]["http"][0]["timeout"] == "7s"
    assert bed.call("rollback", service="web", namespace=bed.namespace)["changed"]
    done = finish(bed)
    spec["http"][0]["timeout"] = "7s"
    assert_back(bed, spec, done)


def pushed(server: Server, name: str) -> list[str]:
    """Labels and values of one metric, without those of its group."""
    found = server.series(f"servicemesh_canary_{name}{{")
    return [re.sub(r'^.*namespace="[^"]*",', "", f"{series} {value}") for series, value in sorted(found.items())]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with Server(tmp_path / "pushgateway.log") as one:
        yield one


def test_a_rollback_brings_stables_pods_back_before_its_traffic(bed: Bed, server: Server) -> None:
    """What is pushed stays while it is paused, nothing waits for a Pushgateway that is gone, and nothing is left."""
    apply(bed, [bed.app("stable", "v1", replicas=2)])
    spec, begin = spec_of(bed), time.time()
    given = bed.options(steps=[50, 80], pause_at=50, analysis=ERRORS, metrics_push={"url": server.url})
    paused = bed.drive(**given)
    assert paused.get("phase") == "paused", paused
    assert pushed(server, "phase") == ['phase="paused",service="web",version="v2"} 1']
    assert pushed(server, "weight") == ['service="web",version="v2"} 50']
    assert pushed(server, "verdicts_total")[-1] == 'service="web",verdict="pass",version="v2"} 1'
    # As an autoscaler does that sees half of the load.
    scale = f"/apis/apps/v1/namespaces/{bed.namespace}/deployments/web/scale"
    bed.client.request("PATCH", scale, body={"spec": {"replicas": 1}}, content_type="application/merge-patch+json")
    wait_for(lambda: (bed.deployment() or {})["status"].get("replicas") == 1, "the pod's end")
    server.stop()
    back = bed.call("rollback", service="web", namespace=bed.namespace)
    assert (back["changed"], back.get("failed")) == (True, None)
    assert back["push_error"] == f"metrics_push ({server.url}): Connection refused"
    server.start()
    bed.call("give_up_lease", service="web", namespace=bed.namespace)  # as a driver does at its end
    assert pushed(server, "phase") == ['phase="rolling_back",service="web",version="v2"} 1']
    first = bed.call("step", service="web", namespace=bed.namespace)
    assert (first["phase"], first["weight"]) == ("rolling_back", 50), "one pod of two carries half"
    watched = finish(bed)
    assert server.series() == {}
    assert watched["phase"] == "rolled_back"
    assert (bed.deployment() or {})["status"]["readyReplicas"] == 2
    assert_back(bed, spec, watched)
    bed.assert_none_failed(begin)


def test_another_version_in_the_middle_is_refused_or_starts_again(bed: Bed) -> None:
    spec = spec_of(bed)
    options = bed.options(steps=[50, 60], pause_at=50, analysis=ERRORS)
    assert bed.drive(**options)["phase"] == "paused"
    other = {**options, **bed.options(version="v3", steps=[50, 60], pause_at=50, analysis=ERRORS)}
    refused = bed.call("start", **other)
    assert refused["failed"]
    assert "another version (v2) is under way" in refused["msg"]
    again = bed.drive(**other, on_new_version="restart")
    assert (again["phase"], again["version"], again["weight"]) == ("paused", "v3", 50), again["reason"]
    # No weight before the subset was re-pointed: the pods of v2 had no requests any more.
    weights = [note["weight"] for note in again["all_notes"] if note["event"] in ("preparing", "step")]
    assert weights == [0, 50]
    assert bed.call("rollback", service="web", namespace=bed.namespace)["changed"]
    assert_back(bed, spec, finish(bed))


# Wrong input -----------------------------------------------------------------------------------------------------------


def test_all_that_is_wrong_is_told_at_once_and_nothing_changes(bed: Bed) -> None:
    before = bed.virtual_service()["metadata"]["resourceVersion"]
    wrong = bed.options(steps=[50, 20, 200], interval=0, pause_at=7, analysis=[{"name": "x", "query": "up"}])
    result = bed.call("start", **wrong)
    assert result["failed"]
    for words in ("200 is not a weight", "interval: 0.0", "pause_at: 7", "has no limit"):
        assert words in result["msg"], result["msg"]
    later = bed.options(
        virtual_services=["web", "nobody"],
        stable_deployment="nothing",
        analysis=[{"name": "broken", "query": "sum(", "max": 1}],
    )
    result = bed.call("start", **later)
    for words in ("/nobody does not exist", "the stable Deployment does not exist", "cannot parse the query"):
        assert words in result["msg"], result["msg"]
    assert "no such service" not in result["msg"]
    assert bed.call("start", **bed.options(service="nobody"))["failed"]
    assert bed.call("start", **bed.options(canary_subset="third"))["failed"]
    assert bed.virtual_service()["metadata"]["resourceVersion"] == before
    assert bed.client.get(f"/api/v1/namespaces/{bed.namespace}/configmaps/canary-web") is None
    assert bed.deployment("web-canary") is None


def test_prometheus_understands_every_built_in_query(whole: Bed) -> None:
    prometheus = Prometheus(Endpoint(service=f"{whole.namespace}/prometheus:9090"), whole.client)
    subject = metrics.Subject("web", whole.namespace, "stable", "web")
    for metric in (metrics.REQUESTS, *metrics.BUILT_IN):
        for query in (queries.promql(metric, subject, 5), queries.trust(metric, subject, 5)):
            assert prometheus.query(query).kind == "vector", metric
    for query in (queries.freshness(subject), queries.oldest(subject), queries.inside(subject, 5)):
        prometheus.query(query)
