# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A new version of a platform's service goes live by canary.yml, and site.yml knows; a bad one goes back."""

from __future__ import annotations

import json
import math
import os
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.releases import NAMESPACE, SERVICE, as_in_inventory, live, state
from tests.e2e.undivided import ROOT_NAME, START, in_one, route
from tests.support import ROOT, Cluster, Ingress, Run, ansible_playbook

pytestmark = pytest.mark.changes

# Prometheus looks every 15 s.
CANARY = {
    "steps": [50],
    "interval": 35,
    "drain": 5,
    "analysis": [{"metric": "success_rate", "min": 0.95, "min_requests": 20}],
}
SEEN = "example.com/seen"
RATE = 12  # requests a second from outside, one after another

# USER COUNT -> versions that answered so many calls of the product service through its own sidecar.
CALLS = """
import collections, http.client, json, sys
seen = collections.Counter()
for _ in range(int(sys.argv[2])):
    connection = http.client.HTTPConnection("user-service", timeout=15)
    connection.request("GET", f"/api/users/{sys.argv[1]}/profile")
    answer = connection.getresponse()
    answer.read()
    seen[f"{answer.getheader('x-service-version')} {answer.status}"] += 1
print(json.dumps(seen))
"""


class Stream:
    """Requests from outside at an even pace, until it is closed; every answer is kept with its time."""

    def __init__(self, ingress: Ingress, path: str) -> None:
        self._ingress, self._path = ingress, path
        self.answers: list[tuple[float, str, int]] = []
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._work, daemon=True) for _number in range(4)]
        for thread in self._threads:
            thread.start()

    def _work(self) -> None:
        while not self._ended.wait(4 / RATE):
            try:
                answer = self._ingress("GET", self._path)
                seen = (time.time(), answer.headers.get("x-service-version", ""), answer.status)
            except OSError:
                seen = (time.time(), "", 0)
            self.answers.append(seen)

    def close(self) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join(40)

    def wait_for(self, count: int, begin: float) -> None:
        """Waits for so many answers since a time."""
        deadline = time.monotonic() + 60
        while (seen := self.between(begin, time.time()).total()) < count:
            assert time.monotonic() < deadline, f"{seen} answers in a minute"
            time.sleep(0.5)

    def between(self, begin: float, end: float) -> Counter[str]:
        """Answers of a time by version and status."""
        return Counter(
            f"{version} {status}" for moment, version, status in list(self.answers) if begin <= moment <= end
        )


@pytest.fixture
def args(kubeconfig: str) -> tuple[str, ...]:
    return ("-i", "inventories/local", "-e", f"platform_kubeconfig={kubeconfig}")


@pytest.fixture
def as_before(args: tuple[str, ...], cluster: Cluster) -> Iterator[None]:
    """The services run the inventory's version before and after, and no canary of them was ever."""
    for service in (SERVICE, "product-service"):
        as_in_inventory(cluster, args, service)
    yield
    for service in (SERVICE, "product-service"):
        as_in_inventory(cluster, args, service)


@pytest.fixture
def stream(ingress: Ingress, account: dict[str, Any]) -> Iterator[Stream]:
    stream = Stream(ingress, f"/api/users/{account['id']}")
    yield stream
    stream.close()


def routes(cluster: Cluster, service: str = SERVICE) -> dict[str, Any]:
    found: dict[str, Any] = cluster.get(
        f"/apis/networking.istio.io/v1/namespaces/{NAMESPACE}/virtualservices/{service}"
    )
    return found


class Playbook(threading.Thread):
    """A playbook that runs while the test looks on."""

    def __init__(self, name: str, *args: str) -> None:
        super().__init__(daemon=True)
        self._name, self._args = name, args
        self.result: Run | None = None
        self.start()

    def run(self) -> None:
        self.result = ansible_playbook(self._name, *self._args)

    def ended(self) -> Run:
        self.join(600)
        assert self.result is not None, f"{self._name} does not end"
        return self.result


def canary(args: tuple[str, ...], version: str, report: Path, **more: Any) -> Playbook:
    values = {"service": SERVICE, "version": version, "report": str(report), "platform_canary": CANARY, **more}
    return Playbook("canary.yml", *args, "-e", json.dumps(values))


def approve(cluster: Cluster, value: str | None) -> None:
    """Sets the annotation on the Deployment, or removes it."""
    from kubernetes.client import AppsV1Api

    body = {"metadata": {"annotations": {SEEN: value}}}
    AppsV1Api(cluster.core.api_client).patch_namespaced_deployment(SERVICE, NAMESPACE, body)


def until_analysing(cluster: Cluster, playbook: Playbook) -> None:
    """Waits until the first window is open."""
    while state(cluster).get("phase") != "analysing":
        assert playbook.is_alive(), playbook.ended().text
        time.sleep(0.5)


def assert_half(seen: Counter[str], old: str, new: str) -> None:
    """About half of the answers are the new version's: five standard deviations."""
    total, found = seen[f"{old} 200"] + seen[f"{new} 200"], seen[f"{new} 200"]
    assert total >= 50, seen
    assert abs(found - total / 2) <= 5 * math.sqrt(total / 4), seen


@pytest.mark.slow
@pytest.mark.usefixtures("as_before")
def test_a_version_goes_live_and_site_yml_knows(
    args: tuple[str, ...], cluster: Cluster, stream: Stream, account: dict[str, Any], tmp_path: Path
) -> None:
    report, spec, outside = (
        tmp_path / "report.html",
        routes(cluster)["spec"],
        routes(cluster, f"{SERVICE}-ingress")["spec"],
    )
    # It stays at 50 % until the test has seen all of it, however busy the machine is.
    waits = {"interval": 20, "approvals": [{"before": "promotion", "annotation": SEEN, "timeout": 600}]}
    playbook = canary(args, "v1.1", report, platform_canary={**CANARY, **waits})
    until_analysing(cluster, playbook)
    begin = time.time()
    # site.yml in the middle leaves the weights and the pods to the canary.
    under_way = generations(cluster)
    meanwhile = Playbook("site.yml", *args, "--tags", "user_service")
    # From outside and from inside the mesh, half of the calls reach the new version.
    pod, container = cluster.app_container(NAMESPACE, "product-service")
    done = cluster.execute(NAMESPACE, pod, container, ["python3", "-c", CALLS, str(account["id"]), "150"])
    assert done.code == 0, done.out
    inside = Counter(json.loads(done.out.splitlines()[-1]))
    assert_half(inside, "v1.0", "v1.1")
    site = meanwhile.ended()
    assert site.returncode == 0, site.told
    assert generations(cluster) == under_way, site.told
    assert "a canary to v1.1 is under way" in site.text
    # Callers outside and in the mesh have routes of their own; the weight is in both, and proved in the proxies of both.
    assert [route["route"][1]["weight"] for route in routes(cluster)["spec"]["http"]] == [50, 50]
    assert [route["route"][1]["weight"] for route in routes(cluster, f"{SERVICE}-ingress")["spec"]["http"]] == [50]
    proof = state(cluster)["proof"]
    assert proof["proved"]
    assert set(proof["places"]) == {"istio-system/ecommerce-gateway", "mesh"}
    assert all(proof["places"].values()), proof
    stream.wait_for(100, begin)
    assert_half(stream.between(begin, time.time()), "v1.0", "v1.1")
    approve(cluster, "true")
    run = playbook.ended()
    approve(cluster, None)
    assert run.returncode == 0, run.told
    assert "PASS" in run.text
    assert "user-service v1.1 is live." in run.text
    assert live(cluster) == "v1.1"
    after = routes(cluster)
    assert after["spec"] == spec
    assert routes(cluster, f"{SERVICE}-ingress")["spec"] == outside
    assert "servicemesh-canary" not in [entry["manager"] for entry in after["metadata"]["managedFields"]]
    assert "<svg" in report.read_text()
    stream.close()
    failed = [answer for answer in stream.answers if answer[2] != 200]
    assert failed == [], f"{len(failed)} of {len(stream.answers)} requests failed"

    promoted = generations(cluster)
    old = ansible_playbook("site.yml", *args, "--tags", "user_service")
    assert old.returncode == 0, old.told
    assert generations(cluster) == promoted, old.told
    assert old.text.count("v1.1 is live by a promotion, but the inventory still states v1.0") == 1
    assert "user_service_version: v1.1" in old.text
    new = ansible_playbook("site.yml", *args, "--tags", "user_service", "-e", "user_service_version=v1.1")
    assert new.returncode == 0, new.told
    assert generations(cluster) == promoted, new.told
    assert "promotion" not in new.text
    # The inventory has caught up: from now on its edits win, the way back too.
    back = ansible_playbook("site.yml", *args, "--tags", "user_service")
    assert back.returncode == 0, back.told
    assert all(counters["changed"] >= 1 for counters in back.recap.values()), back.told
    assert live(cluster) == "v1.0"


def generations(cluster: Cluster, service: str = SERVICE) -> dict[str, int]:
    """Of what is the service's alone. The root of the host is shared with services that other tests add and remove meanwhile.

    A run that comes between such a service's delegate and its entry in the root writes the root, and reports a change; so `changed=0` is
    asserted where no other test runs (test_converge).
    """
    return {
        f"{kind}/{item['metadata']['name']}": item["metadata"]["generation"]
        for kind in (
            f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments",
            f"/apis/networking.istio.io/v1/namespaces/{NAMESPACE}/destinationrules",
            f"/apis/networking.istio.io/v1/namespaces/{NAMESPACE}/virtualservices",
            f"/apis/security.istio.io/v1/namespaces/{NAMESPACE}/authorizationpolicies",
        )
        for item in cluster.get(f"{kind}?labelSelector=app.kubernetes.io/part-of%3D{service}")["items"]
        if "deletionTimestamp" not in item["metadata"]  # a canary's pods may take their time to end
    }


@pytest.mark.slow
@pytest.mark.usefixtures("as_before")
def test_a_bad_version_goes_back_and_the_play_fails(
    args: tuple[str, ...], cluster: Cluster, stream: Stream, tmp_path: Path
) -> None:
    report, spec = tmp_path / "report.html", routes(cluster)["spec"]
    run = canary(args, "v2.0-bad", report).ended()
    assert run.returncode == 2, run.told
    assert "FAIL" in run.text
    assert "was rolled back to v1.0" in run.text
    assert "Rollback proved" in run.text
    assert live(cluster) == "v1.0"
    assert routes(cluster)["spec"] == spec
    own = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/{SERVICE}-canary"
    end = time.monotonic() + 90
    while (left := cluster.raw.get(own)) is not None:  # its pods may take their time to end
        assert "deletionTimestamp" in left["metadata"]
        assert time.monotonic() < end
        time.sleep(1)
    page = report.read_text()
    assert "was rolled back to" in page
    assert "is below 0.95" in page
    # Every failed request was the bad version's, and none came after the decision but those that were under way.
    decided = next(entry["time"] for entry in state(cluster)["history"] if entry["event"] == "rolling_back")
    failed = [answer for answer in stream.answers if answer[2] != 200]
    assert failed, "the version is not bad at all"
    assert {version for _time, version, _status in failed} == {"v2.0-bad"}
    assert max(moment for moment, _version, _status in failed) < decided + 3
    before = generations(cluster)
    site = ansible_playbook("site.yml", *args, "--tags", "user_service")
    assert site.returncode == 0, site.told
    assert generations(cluster) == before, site.told


# Says nothing about the version: for what has to do with people and other services.
AT_ONCE = {"steps": [50], "interval": 1, "drain": 1, "analysis": [{"name": "x", "query": "vector(1)", "max": 1}]}


@pytest.mark.slow
@pytest.mark.usefixtures("as_before")
def test_a_person_lets_it_go_on_and_takes_it_back(args: tuple[str, ...], cluster: Cluster, tmp_path: Path) -> None:
    """canary.yml -e pause_at, an approval, promote.yml: the parts of an approval in AWX. Then rollback.yml."""
    spec, report = routes(cluster)["spec"], str(tmp_path / "report.html")
    paused = canary(args, "v1.1", tmp_path / "report.html", platform_canary=AT_ONCE, pause_at=50).ended()
    assert paused.returncode == 0, paused.told
    assert "is paused at 50 %" in paused.text
    assert state(cluster)["phase"] == "paused"
    given_ = ("-e", f"service={SERVICE}", "-e", f"report={report}")
    promoted = ansible_playbook("promote.yml", *args, *given_, "-e", json.dumps({"platform_canary": AT_ONCE}))
    assert promoted.returncode == 0, promoted.told
    assert (live(cluster), routes(cluster)["spec"]) == ("v1.1", spec)
    back = ansible_playbook("rollback.yml", *args, *given_, "-e", "reason=tickets")
    assert back.returncode == 0, back.told
    assert (live(cluster), routes(cluster)["spec"]) == ("v1.0", spec)
    again = ansible_playbook("rollback.yml", *args, *given_)
    assert again.returncode == 0, again.told
    assert all(counters["changed"] == 0 for counters in again.recap.values()), again.told


@pytest.mark.slow
@pytest.mark.usefixtures("as_before")
def test_services_of_a_release_go_back_together(args: tuple[str, ...], cluster: Cluster, tmp_path: Path) -> None:
    parts = [{"service": "product-service", "version": "v1.1"}, {"service": SERVICE, "version": "v9-nowhere"}]
    values = {"release_plan": parts, "platform_canary": AT_ONCE, "report": str(tmp_path / "report.html")}
    run = ansible_playbook("canary.yml", *args, "-e", json.dumps(values))
    assert run.returncode == 2, run.told
    assert "product-service is paused at 50 %" in run.text
    assert "The canary of user-service was rolled back to v1.0" in run.text
    assert (
        "The canary of product-service was rolled back to v1.0 from v1.1: another service of the release plan failed"
        in run.text
    )
    for service in ("product-service", SERVICE):
        assert live(cluster, service) == "v1.0"
        http = [*routes(cluster, service)["spec"]["http"], *routes(cluster, f"{service}-ingress")["spec"]["http"]]
        assert {route["route"][1]["weight"] for route in http} == {0}


@pytest.mark.parametrize(
    ("playbook", "values", "words"),
    [
        (
            "canary.yml",
            {"service": "user-service", "version": "v1.1", "platform_canary": {"steps": [50, 20]}, "pause_at": 7},
            "20 is not above 50",
        ),
        ("promote.yml", {"service": "review-service"}, "no canary of review-service is under way"),
        ("rollback.yml", {"service": "review-service"}, "There is no canary of ecommerce/review-service"),
    ],
)
def test_wrong_input_changes_nothing(
    args: tuple[str, ...], cluster: Cluster, playbook: str, values: dict[str, Any], words: str
) -> None:
    before = routes(cluster)["metadata"]["resourceVersion"]
    run = ansible_playbook(playbook, *args, "-e", json.dumps(values))
    assert run.returncode == 2, run.told
    assert words in " ".join(run.text.split()), run.text
    assert routes(cluster)["metadata"]["resourceVersion"] == before
    assert cluster.raw.get(f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/{SERVICE}-canary") is None


# The routes of earlier versions ---------------------------------------------------------------------------------------


@pytest.fixture
def divided_again(cluster: Cluster, args: tuple[str, ...]) -> Iterator[None]:
    yield
    if not all(route(cluster, f"{service}-ingress") for service in (SERVICE, "product-service")):
        run = ansible_playbook("site.yml", *args, "--tags", "user_service,product_service")
        assert run.returncode == 0, run.told


def divided(cluster: Cluster) -> dict[str, Any]:
    """The routes of both services, and what the host's root has of them: other tests add and remove services there meanwhile."""
    both = (SERVICE, "product-service")
    own = {name: (route(cluster, name) or {}).get("spec") for name in (*both, *(f"{name}-ingress" for name in both))}
    root = (route(cluster, ROOT_NAME) or {})["spec"]
    return {**own, "root": [entry for entry in root["http"] if (entry.get("delegate") or {}).get("name") in own]}


@pytest.mark.slow
@pytest.mark.usefixtures("as_before", "divided_again")
def test_a_running_platform_gets_its_routes_divided_without_a_failed_request(
    args: tuple[str, ...],
    cluster: Cluster,
    ingress: Ingress,
    account: dict[str, Any],
    product: dict[str, Any],
    tmp_path: Path,
) -> None:
    """Outside first. A service in the middle of a canary is divided when that has ended: a new VirtualService would get no weight of it."""
    before = divided(cluster)
    in_one(cluster, SERVICE, "product-service")
    streams = [Stream(ingress, f"/api/users/{account['id']}"), Stream(ingress, f"/api/products/{product['id']}")]
    settings = {**AT_ONCE, "pause_at": 50, "prometheus": {"service": "monitoring/prometheus:9090"}}
    playbook = tmp_path / "start.yml"
    playbook.write_text(START)
    more = ("-e", json.dumps({"root": str(ROOT), "given": settings}))
    started = ansible_playbook(os.path.relpath(playbook, ROOT / "playbooks"), *args, *more)
    assert started.returncode == 0, started.told
    former = route(cluster, SERVICE)
    assert former is not None

    site = ansible_playbook("site.yml", *args, "--tags", "user_service,product_service")
    assert site.returncode == 0, site.told
    assert divided(cluster)["product-service"] == before["product-service"]
    during = route(cluster, SERVICE)
    assert during is not None
    assert during["metadata"]["resourceVersion"] == former["metadata"]["resourceVersion"], "the canary's routes changed"
    assert {entry["route"][1]["weight"] for entry in during["spec"]["http"]} == {50}
    assert route(cluster, f"{SERVICE}-ingress") is None

    given = ("-e", json.dumps({"service": SERVICE, "platform_canary": AT_ONCE, "report": str(tmp_path / "r.html")}))
    promoted = ansible_playbook("promote.yml", *args, *given)
    assert promoted.returncode == 0, promoted.told
    assert (live(cluster), state(cluster)["phase"]) == ("v1.1", "promoted")
    assert divided(cluster) == before
    for stream in streams:
        stream.close()
        failed = [answer for answer in stream.answers if answer[2] != 200]
        assert failed == [], f"{len(failed)} of {len(stream.answers)} requests failed"
    assert {version for _time, version, _status in streams[0].answers} == {"v1.0", "v1.1"}
