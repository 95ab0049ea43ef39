# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How requests meet faults, and how a cluster that cannot be reached is told."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.servicemesh.platform.plugins.module_utils import _parent
from ansible_collections.servicemesh.platform.plugins.module_utils._kube import config as kube_config
from ansible_collections.servicemesh.platform.plugins.module_utils._kube import watch as _watch
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import Client
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import (
    ApiError,
    KubeError,
    StoppedError,
    UnreachableError,
)

from tests.unit.plugins.module_utils.conftest import RESET, FaultyServer, events, ok, status

TOKEN = "s3cr3t-t0ken"


def client(server: FaultyServer, **params: Any) -> Client:
    return Client({"host": server.url, "api_key": TOKEN, **params}, environ={}, concurrency=4)


def test_identity_and_impersonation_are_sent(faulty: FaultyServer) -> None:
    faulty.answers = [ok()]
    client(faulty, impersonate_user="eve").request("GET", "/x")
    headers = {name.lower(): value for name, value in faulty.seen[0][2].items()}
    assert headers["authorization"] == f"Bearer {TOKEN}"
    assert headers["impersonate-user"] == "eve"


@pytest.mark.parametrize("code", [429, 500, 502, 503, 504])
def test_what_passes_is_tried_again(faulty: FaultyServer, code: int) -> None:
    faulty.answers = [status(code), status(code), ok(done=True)]
    assert client(faulty).request("PATCH", "/x", body={})[1] == {"done": True}
    assert len(faulty.seen) == 3


def test_retry_after_is_obeyed(faulty: FaultyServer) -> None:
    faulty.answers = [status(429, Retry_After="1"), ok()]
    start = time.monotonic()
    client(faulty).request("GET", "/x")
    assert time.monotonic() - start >= 1.0


def test_a_broken_connection_is_tried_again(faulty: FaultyServer) -> None:
    faulty.answers = [ok(), RESET, RESET, ok(done=True)]
    api = client(faulty)
    api.request("GET", "/x")
    assert api.request("PATCH", "/x", body={})[1] == {"done": True}
    assert api.requests == 4


@pytest.mark.parametrize("code", [400, 403, 404, 409, 422])
def test_what_does_not_pass_is_told_at_once(faulty: FaultyServer, code: int) -> None:
    faulty.answers = [status(code, "no way", "Because")]
    with pytest.raises(ApiError, match="no way") as caught:
        client(faulty).request("PATCH", "/x", body={})
    assert (caught.value.status, caught.value.reason) == (code, "Because")


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Why the work has to end, once there is an entry."""
    why: list[str] = []
    monkeypatch.setattr(_parent, "why_stop", lambda: "".join(why))
    yield why
    why.append("the test is over")


def test_work_whose_run_has_ended_makes_no_request(faulty: FaultyServer, told: list[str]) -> None:
    told.append("killed")
    with pytest.raises(StoppedError, match="killed"):
        client(faulty).request("GET", "/x")
    with pytest.raises(StoppedError):
        client(faulty).stream("/x", {}, 5)
    assert faulty.seen == []


def test_a_request_that_is_tried_again_ends_with_its_run(faulty: FaultyServer, told: list[str]) -> None:
    faulty.script = lambda *_: status(429, Retry_After="30")
    threading.Timer(0.3, told.append, ("killed",)).start()
    start = time.monotonic()
    with pytest.raises(StoppedError):
        client(faulty).request("GET", "/x", budget=60)
    assert time.monotonic() - start < 5


def test_a_wait_ends_with_its_run(faulty: FaultyServer, told: list[str]) -> None:
    threading.Timer(0.3, told.append, ("killed",)).start()
    start = time.monotonic()
    with pytest.raises(StoppedError):
        _watch.Watcher(client(faulty)).news(60)
    assert time.monotonic() - start < 5


def test_each_try_of_a_write_is_asked_for_and_no_read(faulty: FaultyServer) -> None:
    faulty.answers = [ok(), status(503), ok(), ok()]
    api, asked = client(faulty), []
    api.before_write = asked.append
    api.request("GET", "/read")
    api.request("PATCH", "/write", body={})
    assert asked == ["/write", "/write"]

    def refuse(_path: str) -> None:
        raise KubeError("no lease")

    api.before_write = refuse
    with pytest.raises(KubeError, match="no lease"):
        api.request("PATCH", "/write", body={})
    assert len(faulty.seen) == 3


def test_the_budget_ends_it_with_the_last_error(faulty: FaultyServer) -> None:
    faulty.script = lambda *_: status(503, "still down")
    start = time.monotonic()
    with pytest.raises(ApiError, match="still down"):
        client(faulty).request("GET", "/x", budget=1.0)
    assert time.monotonic() - start < 2.0


def test_a_webhook_gets_its_own_budget(faulty: FaultyServer) -> None:
    message = 'Internal error occurred: failed calling webhook "w": connect: connection refused'
    faulty.answers = [status(500, message), status(500, message), ok()]
    client(faulty).request("PATCH", "/x", body={}, budget=0.0, webhook_budget=20.0)
    faulty.answers = [status(500, message)]
    with pytest.raises(ApiError, match="failed calling webhook"):
        client(faulty).request("PATCH", "/x", body={}, budget=20.0, webhook_budget=0.0)


def test_refused_credentials_name_where_they_come_from(faulty: FaultyServer, tmp_path: Path) -> None:
    path = kubeconfig(tmp_path, faulty.url)
    faulty.script = lambda *_: status(401, "Unauthorized")
    with pytest.raises(ApiError, match="does not accept these credentials") as caught:
        Client({"kubeconfig": str(path)}, environ={}).request("GET", "/x")
    assert len(faulty.seen) == 2, "the kubeconfig is read once more, because a token may have run out"
    assert str(path) in str(caught.value)
    assert TOKEN not in str(caught.value)


def test_requests_slow_down_when_the_server_asks_for_it(faulty: FaultyServer) -> None:
    running, most = 0, 0
    lock = threading.Lock()
    asked = iter(range(100))

    def script(_method: str, _path: str) -> Any:
        nonlocal running, most
        if next(asked) < 4:
            return status(429)
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.02)
        with lock:
            running -= 1
        return ok()

    faulty.script = script
    api = client(faulty)
    api.each(lambda number: api.request("GET", f"/{number}"), range(20))
    assert most <= 2


def test_pages_are_read_to_the_end_and_from_the_beginning_when_they_expire(faulty: FaultyServer) -> None:
    first = ok(kind="PodList", apiVersion="v1", metadata={"continue": "t"}, items=[{"metadata": {"name": "a"}}])
    last = ok(kind="PodList", apiVersion="v1", metadata={"resourceVersion": "9"}, items=[{"metadata": {"name": "b"}}])
    faulty.answers = [first, status(410, "Expired"), first, last]
    items, version = client(faulty).list_all("/pods")
    assert [(item["kind"], item["metadata"]["name"]) for item in items] == [("Pod", "a"), ("Pod", "b")]
    assert version == "9"


def discovered(group: str, version: str, freshness: str, *kinds: str) -> dict[str, Any]:
    """One group of an aggregated discovery document."""
    resources = [
        {"resource": f"{kind.lower()}s", "responseKind": {"kind": kind}, "scope": "Namespaced"} for kind in kinds
    ]
    return {
        "metadata": {"name": group},
        "versions": [{"version": version, "freshness": freshness, "resources": resources}],
    }


def test_what_the_discovery_document_lacks_is_asked_of_its_own_version(faulty: FaultyServer) -> None:
    """A document lags behind CRDs, and is stale while a part of the server cannot be asked."""
    lists = {"kind": "APIGroupDiscoveryList"}
    own = [{"name": "routes", "kind": "Route", "namespaced": True}, {"name": "routes/status", "kind": "Route"}]
    answers = {
        "/api": ok(**lists, items=[discovered("", "v1", "Current", "Pod")]),
        "/apis": ok(**lists, items=[discovered("mesh.io", "v1", "Stale"), discovered("old.io", "v1", "Current", "A")]),
        "/apis/mesh.io/v1": ok(kind="APIResourceList", groupVersion="mesh.io/v1", resources=own),
    }
    faulty.script = lambda _method, path: answers.get(path, status(404))
    api = client(faulty)
    wanted = [("v1", "Pod"), ("mesh.io/v1", "Route"), ("mesh.io/v1", "Door"), ("none.io/v1", "Thing")]
    catalog = api.discover(wanted)
    assert [catalog.find(*kind) is not None for kind in wanted] == [True, True, False, False]
    found = catalog.find("mesh.io/v1", "Route")
    assert found is not None
    assert found.collection("a") == "/apis/mesh.io/v1/namespaces/a/routes"
    assert sorted(path for _method, path, _headers in faulty.seen) == [
        "/api", "/apis", "/apis/mesh.io/v1", "/apis/none.io/v1",
    ]  # fmt: skip
    faulty.seen.clear()
    assert api.discover([("v1", "Pod"), ("old.io/v1", "A")]).find("old.io/v1", "A")
    assert len(faulty.seen) == 2, "what the documents have costs no request"


def pods(version: str, *names: str) -> Any:
    return ok(
        kind="PodList",
        apiVersion="v1",
        metadata={"resourceVersion": version},
        items=[{"metadata": {"name": n}} for n in names],
    )


def event(kind: str, name: str, version: str) -> dict[str, Any]:
    return {"type": kind, "object": {"metadata": {"name": name, "resourceVersion": version}}}


def follow(faulty: FaultyServer, until: set[str]) -> list[set[str]]:
    """Sets of names that a watcher told, until one is `until`."""
    told: list[set[str]] = []
    with _watch.Watcher(client(faulty)) as watcher:
        watcher.follow(_watch.Topic("/pods"))
        end = time.monotonic() + 10
        while time.monotonic() < end:
            for change in watcher.news(1.0):
                assert change.error is None
                told.append({key.lstrip("/") for key in change.objects or {}})
            if told and told[-1] == until:
                return told
    raise AssertionError(f"told only {told}")


def idle(_method: str, _path: str) -> Any:
    time.sleep(0.2)
    return events()


def test_a_watch_goes_on_where_a_cut_line_ended_it(faulty: FaultyServer) -> None:
    faulty.answers = [pods("1", "a"), events(event("ADDED", "b", "2"), None), events(event("DELETED", "a", "3"))]
    faulty.script = lambda m, p: faulty.answers.pop(0) if faulty.answers else idle(m, p)
    assert follow(faulty, {"b"}) == [{"a"}, {"a", "b"}, {"b"}]
    assert "resourceVersion=2" in faulty.seen[2][1]


def test_a_watch_that_is_too_old_lists_again(faulty: FaultyServer) -> None:
    gone = {"type": "ERROR", "object": {"kind": "Status", "code": 410}}
    faulty.answers = [pods("1", "a"), events(gone), pods("7", "c"), status(410, "too old"), pods("9", "d")]
    faulty.script = lambda m, p: faulty.answers.pop(0) if faulty.answers else idle(m, p)
    assert follow(faulty, {"d"}) == [{"a"}, {"c"}, {"d"}]


def test_bookmarks_move_a_watch_and_change_nothing(faulty: FaultyServer) -> None:
    bookmark = {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "50"}}}
    faulty.answers = [pods("1", "a"), events(bookmark), events(event("ADDED", "b", "51"))]
    faulty.script = lambda m, p: faulty.answers.pop(0) if faulty.answers else idle(m, p)
    assert follow(faulty, {"a", "b"}) == [{"a"}, {"a", "b"}]
    assert "resourceVersion=50" in faulty.seen[2][1]


def test_a_watch_without_the_right_to_it_says_so(faulty: FaultyServer) -> None:
    faulty.script = lambda *_: status(403, "forbidden")
    with _watch.Watcher(client(faulty)) as watcher:
        watcher.follow(_watch.Topic("/pods"))
        (change,) = watcher.news(5.0)
    assert change.objects is None
    assert "forbidden" in str(change.error)


# Connections -----------------------------------------------------------------------------------------------------------


def kubeconfig(folder: Path, server: str, **changed: Any) -> Path:
    content = {
        "apiVersion": "v1", "kind": "Config", "current-context": "one",
        "contexts": [{"name": name, "context": {"cluster": "c", "user": "u"}} for name in ("one", "two")],
        "clusters": [{"name": "c", "cluster": {"server": server}}],
        "users": [{"name": "u", "user": {"token": TOKEN}}], **changed,
    }  # fmt: skip
    path = folder / "kubeconfig"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


def message(params: dict[str, Any], **environ: str) -> str:
    with pytest.raises(KubeError) as caught:
        Client(params, environ=environ).request("GET", "/version")
    assert TOKEN not in str(caught.value)
    return str(caught.value)


def test_options_win_over_the_environment_and_empty_ones_do_not_count() -> None:
    environ = {"K8S_AUTH_KUBECONFIG": "/a", "KUBECONFIG": "/b", "K8S_AUTH_VERIFY_SSL": "no", "K8S_AUTH_CONTEXT": "c"}
    options, origin = kube_config.options_of({"kubeconfig": "", "context": "d"}, environ)
    assert options == {"kubeconfig": "/a", "validate_certs": False, "context": "d"}
    assert origin == "environment variable K8S_AUTH_KUBECONFIG"
    assert kube_config.options_of({}, {"KUBECONFIG": "/b"}) == ({"kubeconfig": "/b"}, "environment variable KUBECONFIG")
    assert kube_config.options_of({}, {"K8S_AUTH_IMPERSONATE_GROUPS": "a,b"})[0] == {"impersonate_groups": ["a", "b"]}


def test_a_kubeconfig_that_is_not_there(tmp_path: Path) -> None:
    text = message({"kubeconfig": f"{tmp_path}/none"})
    assert f"kubeconfig is '{tmp_path}/none'" in text
    assert "no such file" in text
    assert "platform_kubeconfig" in text
    assert "environment variable KUBECONFIG" in message({}, KUBECONFIG=f"{tmp_path}/none")
    assert "not a file" in message({"kubeconfig": str(tmp_path)})


def test_a_context_that_is_not_there(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path, "http://127.0.0.1:1")
    text = message({"kubeconfig": str(path), "context": "three"})
    assert "context (platform_context in the inventory) is 'three'" in text
    assert "one, two" in text


def test_a_kubeconfig_without_a_current_context(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path, "http://127.0.0.1:1", **{"current-context": ""})
    assert "names no current-context" in message({"kubeconfig": str(path)})


@pytest.mark.parametrize("content", [f"token: [{TOKEN}", "", "[]", "just text", "contexts: [{}]\ncurrent-context: x"])
def test_a_kubeconfig_that_is_none(tmp_path: Path, content: str) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(content, encoding="utf-8")
    assert str(path) in message({"kubeconfig": str(path)})


def test_a_kubeconfig_given_as_a_mapping(faulty: FaultyServer, tmp_path: Path) -> None:
    faulty.answers = [ok(gitVersion="v1")]
    content = yaml.safe_load(kubeconfig(tmp_path, faulty.url).read_text())
    api = Client({"kubeconfig": content, "context": "two"}, environ={})
    assert api.request("GET", "/version")[1] == {"gitVersion": "v1"}
    assert TOKEN not in str(api.source)


def test_a_cluster_that_does_not_answer(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path, "http://127.0.0.1:1")
    start = time.monotonic()
    with pytest.raises(UnreachableError) as caught:
        Client({"kubeconfig": str(path), "context": "two"}, environ={}).request("GET", "/version")
    assert time.monotonic() - start < 7
    for part in ("http://127.0.0.1:1", str(path), "context two", "Connection refused", "platform_kubeconfig"):
        assert part in str(caught.value)


def test_nothing_given_at_all(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert "No cluster is given" in message({})
