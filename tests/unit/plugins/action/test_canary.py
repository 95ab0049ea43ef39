# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The loop that drives a canary: what it does when a part of it fails."""

from __future__ import annotations

from typing import Any, cast

import pytest
from ansible.errors import AnsibleActionFail
from ansible_collections.servicemesh.platform.plugins.action import canary
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.operations import Operation

Obj = dict[str, Any]
GOING: Obj = {"phase": "analysing", "weight": 50, "fencing_token": 7, "next_in": 0, "notes": []}
DONE: Obj = {**GOING, "phase": "promoted", "version": "v2", "done": True, "history": [{"time": 1.0, "event": "start"}]}


class Loop(canary.ActionModule):
    """The action plugin with calls of the module that a test scripts: results, or errors that are raised."""

    def __init__(self, script: list[Any], **args: Any) -> None:
        self._args, self.script = {"service": "web", **args}, script
        self.calls: list[Operation] = []
        self.said: list[str] = []

    def _call(self, operation: Operation, **_more: Any) -> Obj:
        self.calls.append(operation)
        found = self.script.pop(0) if self.script else DONE
        if isinstance(found, Exception):
            raise found
        self._fencing_token, self._changed = found["fencing_token"], True
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


@pytest.mark.parametrize("part", ["line", "page"])
def test_what_people_see_never_ends_a_run(part: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    def broken(*_args: Any) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr(canary.lines if part == "line" else cast(Any, canary), part, broken)
    note = {"event": "step", "message": "weight 0 % -> 50 %"}
    loop = Loop([{**GOING, "notes": [note]}], report=str(tmp_path / "report.html"))
    result = loop._stay(Operation.RUN)
    assert (result.get("failed"), result["phase"]) == (None, "promoted")
    assert any("weight 0 % -> 50 %" in text for text in loop.said)
    assert (tmp_path / "report.html").exists() == (part == "line")
