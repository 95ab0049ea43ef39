# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The loop that drives a canary: what it does when a part of it fails."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from typing import Any, cast

import pytest
from ansible.errors import AnsibleActionFail
from ansible_collections.servicemesh.platform.plugins.action import canary
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.operations import Operation
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.config import identity_of
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import KubeError
from ansible_collections.servicemesh.platform.plugins.plugin_utils import _canary_files
from ansible_collections.servicemesh.platform.plugins.plugin_utils._canary_files import CanaryFiles
from ansible_collections.servicemesh.platform.plugins.plugin_utils._worker import Stop

from tests.users import UID, as_unknown_user

Obj = dict[str, Any]
GOING: Obj = {"phase": "analysing", "weight": 50, "fencing_token": 7, "next_in": 0, "notes": []}
DONE: Obj = {**GOING, "phase": "promoted", "version": "v2", "done": True, "history": [{"time": 1.0, "event": "start"}]}


class Loop(canary.ActionModule):
    """The action plugin with calls of the module that a test scripts: results, or errors that are raised."""

    def __init__(self, script: list[Any], **args: Any) -> None:
        self._args, self.script = {"service": "web", **args}, script
        self._files = CanaryFiles.of(self._args, "")
        self.calls: list[Operation] = []
        self.said: list[str] = []

    def _call(self, operation: Operation, **_more: Any) -> Obj:
        self.calls.append(operation)
        found = self.script.pop(0) if self.script else DONE
        if isinstance(found, Exception):
            raise found
        self._fencing_token, self._changed = found.get("fencing_token", 0), True
        return dict(found)

    def _say(self, text: str, _colour: str | None = None) -> None:
        self.said.append(text)


@pytest.mark.parametrize("error", [TypeError("odd"), AnsibleActionFail("no connection")])
def test_an_error_in_the_loop_takes_the_step_back_and_gives_the_lease_up(error: Exception) -> None:
    loop = Loop([GOING, error])
    with pytest.raises(AnsibleActionFail, match=r"unexpected error: TypeError: odd|^no connection") as raised:
        loop._stay(Operation.RUN)
    assert "\n" not in str(raised.value)
    assert loop.calls == [Operation.START, Operation.STEP, Operation.INTERRUPT, Operation.GIVE_UP_LEASE]


def test_the_lease_is_given_up_though_the_step_cannot_be_taken_back() -> None:
    loop = Loop([GOING, TypeError("odd"), TypeError("odd"), TypeError("odd")])
    with pytest.raises(AnsibleActionFail):
        loop._stay(Operation.RUN)
    assert loop.calls[-1] is Operation.GIVE_UP_LEASE


def test_nothing_is_given_up_before_there_is_a_lease() -> None:
    loop = Loop([TypeError("odd")])
    with pytest.raises(AnsibleActionFail):
        loop._stay(Operation.RUN)
    assert loop.calls == [Operation.START]


def refused(renewed: str, expires_in: float = 0.1, holder: str = "ci@host/1") -> Obj:
    lease = {"holder": holder, "renewed": renewed, "expires_in": expires_in, "fencing_token": 3, "age": 9.0}
    return {"failed": True, "msg": f"under way: {holder}", "lease": lease}


def test_a_restart_waits_for_the_lease_of_a_dead_holder_and_says_so() -> None:
    loop = Loop([refused("2026-01-02T03:04:05.6Z"), refused("2026-01-02T03:04:05.6Z"), GOING])
    assert loop._stay(Operation.RUN)["phase"] == "promoted"
    assert loop.calls[:3] == [Operation.START] * 3
    waiting = "waiting 1 s for the lease of ci@host/1, which has not renewed it since 03:04:05 UTC"
    assert [text for text in loop.said if text.startswith("waiting")] == [waiting]


@pytest.mark.parametrize("second", [refused("b", 15), refused("b", 15, "other"), refused("a", 0.1)])
def test_a_holder_that_renews_its_lease_is_refused_by_name(second: Obj) -> None:
    """The last one: a lease that does not expire when it should is not waited for without end."""
    loop = Loop([refused("a", 0.1), second, *[refused("a", 0.1)] * 30])
    begin = time.monotonic()
    result = loop._stay(Operation.RUN)
    assert result["failed"]
    assert second["lease"]["holder"] in result["msg"]
    assert Operation.INTERRUPT not in loop.calls
    assert time.monotonic() - begin < 5


class Told(Stop):
    """Told to stop after a number of looks."""

    def __init__(self, looks: int) -> None:
        super().__init__()
        self.looks = looks

    def heard(self) -> bool:
        self.looks -= 1
        if self.looks < 0:
            self.reason = "it got SIGTERM"
        return bool(self.reason)


PAUSED: Obj = {
    **GOING,
    "phase": "paused",
    "weight": 0,
    "reason": "it got SIGTERM",
    "history": [{"message": "x" * 200_000}],
}


def test_told_to_stop_it_takes_the_step_back_and_returns_little() -> None:
    loop = Loop([GOING, PAUSED, PAUSED])
    loop._stop = Told(0)
    result = loop._stay(Operation.RUN)
    assert loop.calls == [Operation.START, Operation.INTERRUPT, Operation.GIVE_UP_LEASE]
    assert (result["failed"], result["phase"]) == (True, "paused")
    assert "stopped, it got SIGTERM" in result["msg"]
    assert len(str(result)) < 2000, "nobody may read the pipe any more"


OUT: Obj = {"outage": "PATCH /x: 500, no webhook", "next_in": 0, "done": False, "changed": False, "notes": []}


def test_it_goes_on_after_an_outage_and_says_so_once() -> None:
    loop = Loop([GOING, {**OUT, "notes": [{"event": "stage", "message": "update"}]}, OUT, GOING, OUT, DONE])
    result = loop._stay(Operation.RUN)
    assert (result["phase"], result.get("failed")) == ("promoted", None)
    waits = [text.strip() for text in loop.said if "waiting" in text or "goes on" in text]
    assert waits == ["waiting, at most 600 s: PATCH /x: 500, no webhook", "goes on after 0 s"] * 2
    assert Operation.INTERRUPT not in loop.calls


@pytest.mark.parametrize("limit", [0, 0.3])
def test_an_outage_that_lasts_ends_the_run_with_the_lease_kept_for_the_watchdog(limit: float, tmp_path: Path) -> None:
    report, history = tmp_path / "report.html", [{"time": 1.0, "event": "start"}]
    loop = Loop(
        [{**GOING, "history": history}, *[{**OUT, "next_in": 0.05}] * 100], outage_limit=limit, report=str(report)
    )
    result = loop._stay(Operation.RUN)
    assert (result["failed"], result["weight"]) == (True, 50)
    assert "has not worked for" in result["msg"]
    assert "PATCH /x: 500, no webhook" in result["msg"]
    assert "is at 50 % (analysing)" in result["msg"]
    assert {Operation.GIVE_UP_LEASE, Operation.INTERRUPT} & set(loop.calls) == set()
    assert report.exists()


def test_told_to_stop_while_it_waits_for_a_lease_it_does_nothing() -> None:
    loop = Loop([refused("a", 60)])
    loop._stop = Told(0)
    result = loop._stay(Operation.RUN)
    assert loop.calls == [Operation.START]
    assert "under way: ci@host/1" in result["msg"]


def test_told_to_stop_in_a_rollback_it_goes_on_to_weight_0() -> None:
    back = {**GOING, "phase": "rolling_back", "stage": "capacity"}
    loop = Loop([back, back, back, {**back, "stage": "watch", "weight": 0}, back])
    loop._stop = Told(0)
    loop._stay(Operation.RUN)
    steps = [Operation.STEP, Operation.STEP]
    assert loop.calls == [Operation.START, Operation.INTERRUPT, *steps, Operation.GIVE_UP_LEASE]


def test_a_run_that_has_ended_is_reported_as_such_though_it_was_told_to_stop() -> None:
    loop = Loop([DONE])
    loop._stop = Told(0)
    assert loop._stay(Operation.RUN).get("failed") is None


@pytest.mark.parametrize("part", ["line", "html"])
def test_what_people_see_never_ends_a_run(part: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    def broken(*_args: Any) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr(canary.lines if part == "line" else cast(Any, _canary_files), part, broken)
    note = {"event": "step", "message": "weight 0 % -> 50 %"}
    loop = Loop([{**GOING, "notes": [note]}], report=str(tmp_path / "report.html"))
    result = loop._stay(Operation.RUN)
    assert (result.get("failed"), result["phase"]) == (None, "promoted")
    assert any("weight 0 % -> 50 %" in text for text in loop.said)
    assert (tmp_path / "report.html").exists() == (part == "line")


FROZEN: Obj = {**GOING, "phase": "frozen", "done": True, "version": "v2", "reason": "bad", "history": DONE["history"]}


@pytest.mark.parametrize(
    ("operation", "end", "succeeded"),
    [
        (Operation.RUN, DONE, True),
        (Operation.RUN, {**FROZEN, "phase": "paused"}, True),
        (Operation.RUN, FROZEN, False),
        (Operation.RUN, {**FROZEN, "phase": "rolled_back"}, False),
        (Operation.ROLLBACK, {**FROZEN, "phase": "rolled_back"}, True),
        (Operation.RUN, {**FROZEN, "failed": True, "msg": "The canary stopped: bad"}, False),
    ],
)
def test_a_whole_runs_result_is_short_and_says_its_sentence_once(
    operation: Operation, end: Obj, succeeded: bool
) -> None:
    loop = Loop([GOING, end])
    result = canary.lines.ending(loop._stay(operation), "web")
    assert set(result) <= {
        "changed", "failed", "msg", "phase", "weight", "version", "reason", "succeeded", "workflow",
    }  # fmt: skip
    assert (result["succeeded"], result["changed"]) == (succeeded, True)
    assert loop.said.count(result["msg"]) == (1 if succeeded else 0), "a failed task shows its message itself"
    assert result["workflow"] == {"web": {"phase": end["phase"], "version": "v2", "weight": 50, "report": ""}}


class Called(Loop):
    """A loop whose calls are made, and whose module is scripted."""

    _call = canary.ActionModule._call  # type: ignore[assignment]

    def _validated(self, args: Obj) -> Obj:
        return args

    def _worked(self, params: Obj, *, check_mode: bool) -> Obj:
        assert not check_mode
        return Loop._call(self, Operation(params["operation"]))


def test_pushes_that_fail_are_told_once_and_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    warned: list[str] = []
    monkeypatch.setattr(canary.display, "warning", warned.append)
    lost = {"push_error": "metrics_push (http://push): Connection refused"}
    loop = Called([GOING, {**GOING, **lost}, GOING, {**DONE, **lost}, {**DONE, **lost}])
    result = canary.lines.ending(loop._stay(Operation.RUN), "web")
    loop._printer.flush(5)
    assert (result.get("failed"), result["phase"]) == (None, "promoted")
    assert loop.calls[-1] is Operation.GIVE_UP_LEASE
    (warning,) = warned
    assert warning.endswith("which changes nothing else: metrics_push (http://push): Connection refused")


def test_what_becomes_unwritable_is_in_a_temporary_file_and_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    warned: list[str] = []
    monkeypatch.setattr(canary.display, "warning", warned.append)
    folder = tmp_path / "gone"
    loop = Loop([GOING, DONE], report=str(folder / "report.html"), metrics_file=str(folder / "canary.prom"))
    assert loop._files.refused == ""
    folder.write_text("a file by now")
    result = loop._stay(Operation.RUN)
    assert (result.get("failed"), result["phase"]) == (None, "promoted")
    loop._printer.flush(5)
    assert [text.partition(": ")[0] for text in warned] == ["report", "metrics_file"]
    for name in ("report", "metrics_file"):
        assert Path(result[name]).is_file()
        assert f"{name.replace('_', ' ')}: {result[name]}" in loop.said
        shutil.rmtree(Path(result[name]).parent)


@pytest.mark.parametrize(("cluster", "name"), [("", "canary-web.html"), ("prod", "canary-web-prod.html")])
def test_the_default_report_has_the_name_of_the_service(cluster: str, name: str, tmp_path: Path) -> None:
    files = CanaryFiles.of({"service": "web", "report_folder": str(tmp_path)}, cluster)
    assert (files.report.path, files.findings) == (str(tmp_path / name), [])
    assert CanaryFiles.of({"service": "web", "report": "", "report_folder": ""}, cluster).report.path == ""
    assert CanaryFiles.of({"service": "web", "report": "x", "report_folder": "y"}, cluster).report.path == "x"


@pytest.mark.parametrize("environment", [{}, {"HOME": "/"}, {"HOME": "/root"}])
def test_a_user_without_a_name_may_run_a_canary(environment: dict[str, str]) -> None:
    """As in a container of OpenShift, and in an execution environment of AWX."""

    def work() -> list[str]:
        loop = Loop([GOING, DONE])
        loop._stay(Operation.RUN)
        try:
            identity_of({}, "")
        except KubeError as error:
            return [loop._holder, str(error)]
        return [loop._holder, ""]

    with pytest.raises(KubeError, match="no such file"):  # imports what that user may not be able to read
        identity_of({"kubeconfig": "/nowhere"}, "")
    holder, error = as_unknown_user(work, **environment)
    assert holder.startswith(f"uid{UID if os.getuid() == 0 else os.getuid()}@")
    assert "No cluster is given" in error
