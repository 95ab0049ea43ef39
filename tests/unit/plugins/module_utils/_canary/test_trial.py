# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that can be tried is tried before the first change, by the code that writes."""

from __future__ import annotations

from typing import Any, cast

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._canary import observe as observing
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.context import Context
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.findings import Finding, FindingCode
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.rights import Review, Right
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.start import start
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.trial import rights
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import Client
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.dry_run import DryRunClient
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import ApiError, KubeError

from tests.unit.plugins.module_utils._canary.test_start import DEPLOYMENT, META, REVIEWS, Reader, options

Obj = dict[str, Any]
NO_DRY_RUN = 'admission webhook "x" does not support dry run'
CANARY = f"{DEPLOYMENT}-canary"


class Refusing(Reader):
    """Refuses some requests: (method, end of the path) -> (status, body)."""

    def __init__(self, refused: dict[tuple[str, str], tuple[int, Obj]], *, writes: bool = False) -> None:
        super().__init__(writes=writes)
        self.refused = refused
        self.bodies: list[tuple[str, str, Any]] = []

    def request(
        self, method: str, path: str, query: Obj | None = None, body: Any = None, **more: Any
    ) -> tuple[int, Obj]:
        self.bodies.append((method, path, body))
        for (wanted, end), (status, answer) in self.refused.items():
            applies = isinstance(body, dict) and (query or {}).get("force") != "true"
            if method == wanted and path.endswith(end) and (applies or "details" not in answer):
                raise ApiError(method, path, status, answer)
        return super().request(method, path, query, body, **more)


def run(reader: Reader, **more: Any) -> list[Obj]:
    """Notes of a start in check mode: all of it are dry runs."""
    given = {**options(), **more}
    return [dict(note) for note in start(Context(cast(Client, reader), given, check=True)).notes]


def canary() -> Obj:
    template = {"metadata": {"labels": {"version": "v2"}}, "spec": {"containers": [{"image": "x:v2"}]}}
    meta = {
        **META,
        "name": "user-service-canary",
        "uid": "u",
        "labels": {"app.kubernetes.io/managed-by": "servicemesh-platform"},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": meta,
        "spec": {"replicas": 1, "template": template, "selector": {}},
    }


# Writes ----------------------------------------------------------------------------------------------------------------


def test_a_client_of_dry_runs_stores_nothing_whatever_is_sent() -> None:
    seen: list[tuple[str, Obj]] = []

    class Server:
        def request(self, method: str, _path: str, **given: Any) -> tuple[int, Obj]:
            seen.append((method, given))
            return 200, {}

    client = DryRunClient(cast(Client, Server()))
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        client.request(method, "/x", query={"fieldManager": "m"}, body=[{}] if method == "PATCH" else None)
    client.request("DELETE", "/x", body={"preconditions": {}})
    client.request("GET", "/x")
    assert [given["query"] for _method, given in seen[:4]] == [{"fieldManager": "m", "dryRun": "All"}] * 4
    # With a body, the API server does not look at the query.
    assert seen[4][1]["body"] == {"preconditions": {}, "dryRun": ["All"]}
    assert seen[5] == ("GET", {})


def test_each_write_of_the_run_is_tried() -> None:
    reader = Reader()
    reader.objects[CANARY] = canary()
    run(reader, steps=[10, 50])
    tried = {(method, path.rpartition("/")[2]) for method, path in reader.tried}
    assert {
        ("POST", "leases"),
        ("POST", "configmaps"),
        ("POST", "events"),
        ("POST", "jobs"),
        ("PATCH", "user-service"),
        ("PATCH", "user-service-canary"),
        ("PATCH", "scale"),
        ("DELETE", "user-service-canary"),
    } == tried
    routes = [path for _method, path in reader.tried if "virtualservices" in path]
    assert len(routes) == 4, "weights 0, 10, 50 and 100"
    assert len(reader.tried) < 20


@pytest.mark.parametrize(
    ("method", "end", "named"),
    [
        ("POST", "/leases", "the Lease"),
        ("POST", "/configmaps", "the record"),
        ("PATCH", "/virtualservices/user-service", "weight 50 %"),
        ("PATCH", "/deployments/user-service-canary", "the canary"),
        ("PATCH", "/deployments/user-service", "the promotion"),
        ("PATCH", "/deployments/user-service/scale", "the scale of Deployment ecommerce/user-service"),
        ("DELETE", "/deployments/user-service-canary", "the end of the canary"),
    ],
)
@pytest.mark.parametrize("status", [403, 422])
def test_a_write_that_is_refused_is_told_before_anything_changes(
    method: str, end: str, named: str, status: int
) -> None:
    reader = Refusing({(method, end): (status, {"message": "not here"})})
    reader.objects[CANARY] = canary()
    with pytest.raises(KubeError, match="cannot start; nothing was changed") as error:
        run(reader, steps=[50])
    assert f"the API server refuses {named}: " in str(error.value)
    assert "not here" in str(error.value)


def test_what_no_dry_run_can_try_is_named_and_does_not_stop_the_run() -> None:
    refused = {("PATCH", "/deployments/user-service"): (400, {"message": NO_DRY_RUN})}
    notes = [note["message"] for note in run(Refusing(refused))]
    assert any(note.startswith("the promotion could not be tried") for note in notes), notes
    assert notes[-1].startswith(
        "not tried: scale and end of Deployment ecommerce/user-service-canary, which does not exist yet; pods"
    )
    quiet = [note["message"] for note in run(Refusing({("POST", "/events"): (403, {"message": "no"})}))]
    assert any(note.startswith("an Event cannot be written: no") for note in quiet), quiet


@pytest.mark.parametrize(
    ("manager", "operation", "taken"),
    [
        ("kubectl-create", "Update", True),
        ("kubectl", "Update", True),
        ("kubectl", "Apply", False),
        ("helm", "Update", False),
        ("kubectlish", "Update", False),
    ],
)
def test_single_commands_of_kubectl_are_released_over_and_others_refused(
    manager: str, operation: str, taken: bool
) -> None:
    cause = {
        "reason": "FieldManagerConflict",
        "field": ".spec.replicas",
        "message": f'conflict with "{manager}" using apps/v1',
    }
    body = {"message": "conflict", "reason": "Conflict", "details": {"causes": [cause]}}
    reader = Refusing({("PATCH", "/deployments/user-service"): (409, body)})
    reader.objects[DEPLOYMENT]["metadata"] = {**META, "managedFields": [{"manager": manager, "operation": operation}]}
    if taken:
        notes = [note["message"] for note in run(reader)]
        assert f"the promotion: Deployment ecommerce/user-service: .spec.replicas taken over from '{manager}'" in notes
        return
    with pytest.raises(KubeError, match=f".spec.replicas belongs to manager '{manager}'"):
        run(reader)


def test_proxies_that_cannot_be_read_stop_the_run_before_it_starts() -> None:
    with pytest.raises(KubeError, match=r"the proxies do not show the present weight of 0 %.*no ready proxy"):
        run(Reader(), proof_samples=2)


# Rights ----------------------------------------------------------------------------------------------------------------

NEEDED = Review(Right("patch", "apps", "deployments", "the promotion"), "shop", "web")
WISHED = Review(Right("create", "", "events", "Events are not written", needed=False), "shop")


def reviewed(status: int, answer: Obj) -> tuple[list[Finding], list[Finding]]:
    class Server(Reader):
        def request(self, method: str, path: str, **_more: Any) -> tuple[int, Obj]:
            assert (method, path) == ("POST", REVIEWS)
            if status >= 400:
                raise ApiError(method, path, status, answer)
            return status, answer

    return rights(cast(Client, Server()), [NEEDED, WISHED])


def test_a_missing_right_is_told_by_name_and_an_unknown_one_is_no_reason_to_stop() -> None:
    assert reviewed(201, {"status": {"allowed": True}}) == ([], [])
    missing, notes = reviewed(201, {"status": {"allowed": False}})
    assert [finding.code for finding in missing + notes] == [FindingCode.RIGHT, FindingCode.RIGHT_UNKNOWN]
    assert str(missing[0]).startswith(
        "no right to patch deployments.apps web in namespace shop (the promotion). Grant what is missing"
    )
    for status, answer in (
        (201, {"status": {"allowed": False, "evaluationError": "x"}}),
        (201, {}),
        (403, {"message": "no"}),
        (404, {}),
    ):
        missing, notes = reviewed(status, answer)
        assert missing == []
        assert "does not say whether this identity has the rights: patch deployments.apps web" in str(notes[0])
    with pytest.raises(ApiError):
        reviewed(503, {})


def test_all_missing_rights_are_told_at_once_and_before_anything_else() -> None:
    class NoRights(Reader):
        def request(self, method: str, path: str, **more: Any) -> tuple[int, Obj]:
            if path == REVIEWS:
                return 201, {"status": {"allowed": False}}
            return super().request(method, path, **more)

        def list_all(self, path: str, _query: Any = None, _headers_to: Any = None) -> tuple[list[Obj], str]:
            raise ApiError("GET", path, 403, {"message": "no"})

    with pytest.raises(KubeError, match="cannot start; nothing was changed") as error:
        run(NoRights())
    for words in ("patch virtualservices.networking.istio.io", "list pods in namespace", "update leases.coordination"):
        assert words in str(error.value)


# Times -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("now", "failed"), [(1_767_225_605.0, False), (1_767_226_200.0, True)])
def test_the_age_of_a_pod_is_by_the_clock_of_the_api_server(now: float, failed: bool) -> None:
    """The pod is of 2026-01-01T00:00:00Z; an image that cannot be pulled is final when it is old."""
    reader = Reader()
    reader.objects[DEPLOYMENT]["spec"]["selector"] = {"matchLabels": {"app": "user-service"}}
    pod = reader.objects["/api/v1/namespaces/ecommerce/pods/pod"]
    waiting = {"reason": "ImagePullBackOff", "message": "no answer"}
    pod["status"]["containerStatuses"] = [{"name": "x", "state": {"waiting": waiting}}]
    settings = {
        "service": "user-service", "namespace": "ecommerce", "stable_subset": "stable", "canary_subset": "canary", "port": 0,
        "cluster_domain": "cluster.local", "routes": [], "virtual_services": [], "stable_deployment": "user-service",
        "canary_deployment": "user-service-canary",
    }  # fmt: skip
    stable = observing.observe(cast(Client, reader), settings, now).observed.stable
    assert stable is not None
    assert bool(stable.failure) == failed
