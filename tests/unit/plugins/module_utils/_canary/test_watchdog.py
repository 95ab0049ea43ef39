# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When the watchdog acts, what it does to a killed run, and what its archive consists of."""

from __future__ import annotations

import ast
import copy
import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any, cast

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._canary import plan as plans
from ansible_collections.servicemesh.platform.plugins.module_utils._canary import state as states
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.decide import ObservedState
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.lease import LeaseHolder, Seen
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.observe import Observation
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.state import Phase, Stage, State
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.watchdog import (
    bundle,
    entry,
    job,
    manifests,
    takeover,
    watch,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.watchdog.duty import (
    GRACE,
    Duty,
    duty,
    nothing_to_do,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.api import Api
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import ApiError
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.plugins.module_utils._canary.test_decide import Cluster, KilledError, begin, ended, plan_of_some
from tests.unit.plugins.module_utils._canary.test_decide import run as driven
from tests.unit.plugins.module_utils._canary.test_parts import AIM

Obj = dict[str, Any]
SETTINGS: Obj = {
    "service": "web",
    "namespace": "shop",
    "virtual_services": ["shop/web", "ingress/shop", "ingress/other"],
    "stable_deployment": "web",
    "canary_deployment": "web-canary",
    "watchdog": {"image": "registry.example.com/python:3.12"},
}
STATE = State("1f0c9a7be2d4", "web", "shop", plans.Plan((50,)), phase=Phase.ANALYSING, settings=SETTINGS)
MINE = "watchdog/pod"


# Act or not --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lease", "expected"),
    [
        (None, Duty.WAIT),
        (Seen("", 1000.0), Duty.WAIT),  # given up
        (Seen("", None), Duty.WAIT),
        (Seen("ann@host/1", -5.0), Duty.WAIT),
        (Seen("ann@host/1", 0.0), Duty.WAIT),
        (Seen("ann@host/1", GRACE - 0.1), Duty.WAIT),
        (Seen("ann@host/1", GRACE), Duty.TAKE_OVER),
        (Seen("ann@host/1", None), Duty.WAIT),  # nobody knows when it expires
        (Seen("watchdog/former", -5.0), Duty.WAIT),
        (Seen("watchdog/former", GRACE), Duty.TAKE_OVER),
        (Seen(MINE, -5.0), Duty.TAKE_OVER),  # it was interrupted, and has the lease still
    ],
)
def test_it_acts_on_an_expired_holder_only(lease: Seen | None, expected: Duty) -> None:
    assert duty(STATE, lease, STATE.run, MINE).duty is expected


DEAD = Seen("ann@host/1", 100.0)
LEFT_ALONE = {Phase.PAUSED, Phase.FROZEN}
AFTER = {Stage.WATCH, Stage.DRAIN, Stage.REMOVE, Stage.FINISH}


@pytest.mark.parametrize("phase", list(Phase))
@pytest.mark.parametrize("stage", [None, *Stage])
def test_which_phases_it_takes_over(phase: Phase, stage: Stage | None) -> None:
    state = STATE.replace(phase=phase, stage=stage)
    found = duty(state, DEAD, STATE.run, MINE)
    if phase in states.FINAL:
        assert found.duty is Duty.END
    elif phase in LEFT_ALONE or (phase in (Phase.PROMOTING, Phase.ROLLING_BACK) and stage in AFTER):
        assert found.duty is Duty.WAIT
    else:
        assert found.duty is Duty.TAKE_OVER
    assert job.wanted(state) == (found.duty is Duty.TAKE_OVER)


@pytest.mark.parametrize("state", [None, STATE.replace(run="another"), STATE.replace(phase=Phase.ROLLED_BACK)])
def test_it_ends_with_its_run(state: State | None) -> None:
    assert duty(state, DEAD, STATE.run, MINE).duty is Duty.END


# What it does to a killed run ----------------------------------------------------------------------------------------------


class FakeLease:
    def acquire(self, name: str, _duration: float) -> LeaseHolder:
        return LeaseHolder(name, 7)

    def renew(self, _holder: LeaseHolder, _duration: float) -> None:
        pass

    def give_up(self, _holder: LeaseHolder) -> None:
        pass


class FakeRecord:
    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self.events: list[str] = []

    def read(self) -> State:
        return states.from_json(self._cluster.stored)

    def write(self, state: State) -> None:
        self._cluster.write({"stored": states.to_json(state)})

    def event(self, reason: str, message: str, _subject: Any, *, warning: bool) -> None:
        assert (reason, warning) == ("CanaryWatchdog", True)
        self.events.append(message)


class FakeWriter:
    def __init__(self, cluster: Cluster) -> None:
        self._cluster, self._token_written = cluster, False

    def check_annotation(self, _items: Any) -> bool:
        return self._token_written

    def put_annotation(self, _items: Any) -> None:
        self._token_written = True

    def set_weight(self, _items: Any, _aim: Any, weight: int) -> None:
        assert self._token_written, "a late write of the driver would not fail"
        self._cluster.write({"weight": weight})

    def scale(self, name: str, number: int) -> None:
        assert name == "web"
        self._cluster.write({"stable_pods": number})

    def restore(self, _stable: Any, _saved: Any) -> None:
        self._cluster.write({"stable_version": "old"})


def acting(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> tuple[takeover.Takeover, FakeRecord]:
    """A watchdog that takes runs over without a pause, and what it records."""

    def observed(_api: Any, _settings: Any, *_more: Any) -> Observation:
        seen: ObservedState = cluster.observed()
        cluster.now += 0.1
        return Observation(AIM, [], [], None, {"metadata": {"name": "web"}}, None, [], seen)

    def slept(seconds: float) -> None:
        cluster.now += seconds
        cluster.stable_pods = max(cluster.stable_pods, cluster.replicas)

    class Clock:
        def now(self) -> float:
            return cluster.now

    monkeypatch.setattr(takeover, "observe", observed)
    monkeypatch.setattr(takeover, "ClusterWriter", lambda *_args: FakeWriter(cluster))
    monkeypatch.setattr(takeover, "ServerClock", lambda _api: Clock())
    monkeypatch.setattr(takeover.time, "sleep", slept)
    made = takeover.Takeover(cast(Api, None), "r", (MINE, "n", "s"), lambda _text: None)
    record = FakeRecord(cluster)
    made.lease, made.record = cast(Any, FakeLease()), cast(Any, record)
    return made, record


def taken(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> FakeRecord:
    """The watchdog takes the run over."""
    made, record = acting(cluster, monkeypatch)
    made.take("the driver has not renewed its lease")
    return record


def with_settings(cluster: Cluster, **changes: Any) -> None:
    state = states.from_json(cluster.stored).replace(settings=SETTINGS, restore={"template": {}}, **changes)
    cluster.stored = states.to_json(state)


@settings(max_examples=200)
@given(
    plan_of_some,
    st.integers(1, 3),
    st.lists(st.sampled_from(["pass", "pass", "fail"]), min_size=1, max_size=5),
    st.integers(0, 40),
    st.booleans(),
    st.integers(-1, 6),
)
def test_killed_at_any_write_the_weight_is_0_and_the_next_run_ends_it(
    plan: plans.Plan, replicas: int, verdicts: list[str], number: int, after: bool, second: int
) -> None:
    """`second`: the write at which the first watchdog is killed as well."""
    cluster = Cluster(replicas)
    begin(cluster, plan)
    with_settings(cluster)
    cluster.kill_at, cluster.after = number, after
    verdicts = list(verdicts)
    try:
        driven(cluster, verdicts)
    except KilledError:
        with pytest.MonkeyPatch.context() as monkeypatch:
            cluster.now += 60
            cluster.writes, cluster.kill_at = 0, second
            try:
                taken(cluster, monkeypatch)
            except KilledError:
                cluster.kill_at = -1
                if not nothing_to_do(states.from_json(cluster.stored)):
                    taken(cluster, monkeypatch)
        left = states.from_json(cluster.stored)
        assert cluster.weight == 0
        assert left.phase not in (Phase.SHIFTING, Phase.ANALYSING), "it would go on by itself"
    cluster.kill_at = -1
    ended(cluster, driven(cluster, verdicts))
    assert cluster.worst == 100


def dead(phase: Phase, weight: int, **changes: Any) -> Cluster:
    cluster = Cluster(4)
    begin(cluster, plans.Plan((50,), on_failure=plans.OnFailure.FREEZE))
    with_settings(cluster, phase=phase, weight=weight, before=0, index=0, **changes)
    cluster.weight, cluster.canary_version, cluster.canary_pods = weight, "new", 4
    return cluster


def test_it_records_why_and_does_not_freeze(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = dead(Phase.ANALYSING, 50)
    record = taken(cluster, monkeypatch)
    state = states.from_json(cluster.stored)
    assert (state.phase, state.weight, cluster.weight) == (Phase.ROLLING_BACK, 0, 0)
    assert state.reason == "the watchdog took over: the driver has not renewed its lease"
    assert [entry["event"] for entry in state.history] == ["watchdog", "watchdog"]
    assert record.events[-1].startswith("the weight is 0 %")


def test_the_canary_keeps_the_share_that_stable_cannot_carry_until_it_can(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = dead(Phase.ANALYSING, 50)
    cluster.stable_pods = 3
    weights: list[int] = []
    write = cluster.write
    monkeypatch.setattr(cluster, "write", lambda change: (weights.append(change.get("weight", -1)), write(change)))
    taken(cluster, monkeypatch)
    assert [weight for weight in weights if weight >= 0] == [25, 0]


def test_a_promotion_whose_stable_is_complete_only_lacks_the_weight(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = dead(Phase.PROMOTING, 0, stage=Stage.RETURN, touched=True, applied=True)
    cluster.weight, cluster.stable_version = 100, "new"
    with_settings(cluster, before=100)
    taken(cluster, monkeypatch)
    state = states.from_json(cluster.stored)
    assert (state.phase, state.stage, cluster.weight) == (Phase.PROMOTING, Stage.RETURN, 0)
    assert cluster.stable_version == "new"


def test_a_run_whose_canary_had_no_requests_is_left_to_the_next_one(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = dead(Phase.PREPARING, 0)
    taken(cluster, monkeypatch)
    assert states.from_json(cluster.stored).phase is Phase.PREPARING
    cluster = dead(Phase.RESETTING, 0)
    cluster.weight = 20  # of a run that this one replaces
    taken(cluster, monkeypatch)
    assert (states.from_json(cluster.stored).phase, cluster.weight) == (Phase.ROLLING_BACK, 0)


@pytest.mark.parametrize(
    ("what", "order"), [("weight", ["begun", "refused", "done"]), ("stored", ["refused", "begun", "done"])]
)
def test_a_write_that_is_refused_is_tried_again_and_told_once(
    what: str, order: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`what`: the weight, or the record. Nothing is told of a takeover that is not recorded."""
    cluster = dead(Phase.ANALYSING, 50)
    refusals = [ApiError("PUT", "/vs/web", 403, {"message": "a webhook says no"})] * 2
    write = cluster.write

    def refusing(change: Obj) -> None:
        if what in change and refusals:
            raise refusals.pop()
        write(change)

    monkeypatch.setattr(cluster, "write", refusing)
    made, record = acting(cluster, monkeypatch)
    taken_now = [made.attempt("the driver has not renewed its lease") for _try in range(3)]
    assert (taken_now, cluster.weight) == ([False, False, True], 0)
    assert [entry["event"] for entry in states.from_json(cluster.stored).history] == ["watchdog", "watchdog"]
    told = dict(zip(order, record.events, strict=True))
    assert told["begun"].startswith("the watchdog took over")
    assert "a webhook says no" in told["refused"]
    assert told["done"].startswith("the weight is 0 %")


# Its archive ---------------------------------------------------------------------------------------------------------------

LOADED = """
import sys
sys.path.insert(0, sys.argv[1])
before = set(sys.modules)
import ansible_collections.servicemesh.platform.plugins.module_utils._canary.watchdog.watch as watch
print("\\n".join(sorted(set(sys.modules) - before)))
"""


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("watchdog") / "watchdog.zip"
    path.write_bytes(bundle.archive())
    return path


def test_the_archive_imports_nothing_but_the_standard_library_and_itself(archive: Path) -> None:
    argv = [sys.executable, "-I", "-S", "-c", LOADED, str(archive)]
    names = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.split()
    ours = [name for name in names if name.startswith(bundle.PACKAGE + ".")]
    others = {name.partition(".")[0] for name in names} - sys.stdlib_module_names - {"ansible_collections"}
    assert others == set()
    assert watch.__name__ in ours
    assert not [name for name in ours if name.endswith(("_kube.client", "._apply", "_prometheus"))]


def test_the_same_files_make_the_same_archive_and_it_is_small() -> None:
    first = bundle.archive()
    bundle.archive.cache_clear()
    assert bundle.archive() == first
    assert len(first) < bundle.LIMIT / 4
    with zipfile.ZipFile(io.BytesIO(first)) as packed:
        assert packed.namelist() == sorted(packed.namelist())
        assert packed.read("__main__.py").decode() == Path(str(entry.__file__)).read_text(encoding="utf-8")


def test_what_is_not_in_the_standard_library_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle, "source_of", lambda _module: "def f():\n    import yaml\n")
    with pytest.raises(ValueError, match="imports yaml"):
        bundle.sources("a.module")


def test_it_starts_without_any_package_and_looks_again_when_nobody_answers(archive: Path) -> None:
    environ = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": "1"}
    environ |= {f"WATCHDOG_{name}": "x" for name in ("NAMESPACE", "SERVICE", "RUN", "POD")}
    argv = [sys.executable, "-I", "-S", "-B", str(archive)]
    with subprocess.Popen(argv, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        assert "watches run x of the canary of x/x" in process.stdout.readline()
        process.terminate()
        out, _err = process.communicate(timeout=10)
    assert process.returncode == watch.MOVED, out  # a success would end its Job
    assert "Traceback" not in out


def test_an_older_python_can_read_the_start_and_says_what_is_needed(archive: Path) -> None:
    source = Path(str(entry.__file__)).read_text(encoding="utf-8")
    ast.parse(source, feature_version=(3, 7))
    script = (
        f"import sys; sys.version_info = (3, 9, 2); import runpy; runpy.run_path({str(archive)!r}, run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-I", "-S", "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == entry.WRONG_PYTHON
    assert "expected 3.11 or newer" in done.stdout


# Its objects ---------------------------------------------------------------------------------------------------------------


class Server:
    """Objects by path; DELETE leaves what the deleted one owns, as the API server does until its collector comes."""

    def __init__(self) -> None:
        self.objects: dict[str, Obj] = {}
        self.uid = 0
        self.refuse: ApiError | None = None

    def get(self, path: str, **_more: Any) -> Obj | None:
        return copy.deepcopy(self.objects.get(path))

    def list_all(self, _path: str, _query: Any = None) -> tuple[list[Obj], str]:
        return [], ""

    def request(self, method: str, path: str, *, body: Obj, **_more: Any) -> tuple[int, Obj]:
        if self.refuse is not None:
            raise self.refuse
        if method == "DELETE":
            assert body["preconditions"]["uid"] == self.objects[path]["metadata"]["uid"]
            return 200, self.objects.pop(path)
        if method == "PATCH":
            self.objects[path]["spec"] |= body["spec"]
            return 200, copy.deepcopy(self.objects[path])
        full = f"{path}/{body['metadata']['name']}"
        if full in self.objects:
            raise ApiError(method, path, 409, {})
        self.uid += 1
        self.objects[full] = {**body, "metadata": {**body["metadata"], "uid": str(self.uid)}}
        return 201, copy.deepcopy(self.objects[full])


def ensured(server: Server, state: State = STATE) -> Any:
    return job.ensure(cast(Api, server), state)


def test_it_is_created_once_and_all_of_it_is_removed() -> None:
    server = Server()
    found = ensured(server, STATE.replace(phase=Phase.PREPARING))
    assert found.lost == "", "the first one"
    assert (found.pod.ready, found.pod.waiting, found.pod.failure) == (0, "its Job has no pod yet", "")
    kinds = sorted((item["metadata"]["namespace"], item["kind"]) for item in server.objects.values())
    here = ["ConfigMap", "Job", "Role", "RoleBinding", "ServiceAccount"]
    assert kinds == [("ingress", "Role"), ("ingress", "RoleBinding"), *(("shop", kind) for kind in here)]
    (made,) = [item for item in server.objects.values() if item["kind"] == "Job"]
    assert made["spec"]["suspend"] is False
    for item in server.objects.values():
        owners = [owner["uid"] for owner in item["metadata"].get("ownerReferences") or []]
        mine = item["metadata"]["namespace"] == "shop" and item["kind"] != "Job"
        assert owners == ([made["metadata"]["uid"]] if mine else [])
    before = copy.deepcopy(server.objects)
    assert ensured(server).lost == ""
    assert server.objects == before
    job.remove(cast(Api, server), STATE)
    assert server.objects == {}


@pytest.mark.parametrize("number", range(1, 9))
def test_a_driver_that_is_killed_while_it_creates_it_leaves_what_the_next_one_completes(number: int) -> None:
    server, seen = Server(), 0
    request = server.request

    def killed(method: str, path: str, **more: Any) -> tuple[int, Obj]:
        nonlocal seen
        seen += 1
        if seen == number:
            raise KilledError
        return request(method, path, **more)

    server.request = killed  # type: ignore[method-assign]
    with pytest.raises(KilledError):
        ensured(server)
    server.request = request  # type: ignore[method-assign]
    ensured(server)
    assert len(server.objects) == 7
    job.remove(cast(Api, server), STATE)
    assert server.objects == {}


def test_one_that_ended_is_made_again_with_objects_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job.time, "sleep", lambda _seconds: None)
    server = Server()
    ensured(server)
    (path,) = [path for path in server.objects if "/jobs/" in path]
    server.objects[path]["status"] = {"conditions": [{"type": "Complete", "status": "True"}]}
    former = server.objects[path]["metadata"]["uid"]
    assert ensured(server).lost == "its Job had ended"
    uid = server.objects[path]["metadata"]["uid"]
    assert uid != former
    owned = [item for item in server.objects.values() if item["metadata"].get("ownerReferences")]
    assert {item["metadata"]["ownerReferences"][0]["uid"] for item in owned} == {uid}
    server.objects[path]["status"] = {"conditions": [{"type": "Failed", "status": "True", "message": "no node"}]}
    assert ensured(server).lost == "its Job had failed: no node"
    del server.objects[path]
    assert ensured(server).lost == "its Job was gone"
    assert ensured(server).lost == ""


def test_what_is_refused_fails_the_run_before_its_first_step_and_stops_no_rollback() -> None:
    server = Server()
    server.refuse = ApiError("POST", "/x", 403, {"message": "jobs is forbidden"})
    for phase in (Phase.PREPARING, Phase.ANALYSING, Phase.ROLLING_BACK):
        assert ensured(server, STATE.replace(phase=phase)).pod.failure == "jobs is forbidden"
    server.refuse = ApiError("POST", "/x", 503, {})
    with pytest.raises(ApiError):
        ensured(server, STATE.replace(phase=Phase.PREPARING))
    assert ensured(server, STATE.replace(phase=Phase.ROLLING_BACK)).pod.failure


def test_none_is_made_without_the_option_or_when_nobody_has_to_drive() -> None:
    server = Server()
    assert ensured(server, STATE.replace(settings={**SETTINGS, "watchdog": None})) is None
    assert ensured(server, STATE.replace(phase=Phase.PAUSED)) is None
    assert server.objects == {}


def test_everything_that_its_account_may_write_has_a_name() -> None:
    state = STATE.replace(restore={"template": {}, "configs": [{"name": "web-config", "data": {}}]})
    written = {"get", "list"}
    for namespace in manifests.namespaces_of(state):
        for rule in manifests.rules(state, namespace):
            if set(rule["verbs"]) - written and rule["resources"] != ["events"]:
                assert rule["resourceNames"], rule
    ingress = manifests.rules(state, "ingress")
    assert [rule["resourceNames"] for rule in ingress] == [["other", "shop"]]
    assert "secrets" not in json.dumps(ingress + manifests.rules(state, "shop"))


def test_a_given_account_is_used_as_it_is() -> None:
    option = {"image": "x", "service_account": "mine", "run_as_user": 0, "image_pull_secrets": ["key"]}
    state = STATE.replace(settings={**SETTINGS, "watchdog": option})
    made = manifests.job(state)
    pod = made["spec"]["template"]["spec"]
    assert (pod["serviceAccountName"], pod["imagePullSecrets"]) == ("mine", [{"name": "key"}])
    assert "runAsUser" not in pod["securityContext"]
    owned = manifests.owned(state, {"metadata": {"uid": "1"}}, b"zip")
    assert [item["kind"] for item in owned] == ["ConfigMap"]
