# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drive a canary until it has ended: short calls of the module, a line for each step, and a clean end after a signal."""

from __future__ import annotations

import contextlib
import getpass
import os
import signal
import socket
import time
import types
import typing as t
import uuid
from collections.abc import Mapping

from ansible import constants
from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.operations import STAYING, Operation
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.state import Phase, Stage
from ansible_collections.servicemesh.platform.plugins.modules import canary
from ansible_collections.servicemesh.platform.plugins.plugin_utils import _canary_lines as lines
from ansible_collections.servicemesh.platform.plugins.plugin_utils._canary_files import CanaryFiles, cluster_of
from ansible_collections.servicemesh.platform.plugins.plugin_utils._canary_settings import SettingsError, expanded
from ansible_collections.servicemesh.platform.plugins.plugin_utils._in_process import (
    InProcessAction,
    as_module_sees,
)

display = Display()
Result = dict[str, t.Any]

_NAP = 0.2  # seconds between two looks for a signal
_TELL = 15.0  # seconds between two lines about the same wait
_BACK = 30.0  # seconds that a rollback may take after a signal


def user() -> str:
    """Name of the user that runs Ansible, or its number: in a container it may have no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return f"uid{os.getuid()}"


class ActionModule(InProcessAction):
    """Action plugin of ``servicemesh.platform.canary``; the module of that name documents it."""

    MODULE = canary
    _signal = 0  # number of the signal that was received
    _fencing_token = 0
    _changed = False
    _last_tell = ("", 0.0)
    _files = CanaryFiles()

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> Result:
        """The module's result, that of the last call when there were several."""
        try:
            self._task.args = expanded(self._task.args)
        except SettingsError as error:
            raise AnsibleActionFail(f"Nothing was changed: {error}") from error
        operation = str(self._task.args.get("operation") or Operation.RUN.value)
        name = ""
        if operation in STAYING:
            name = self._files_checked(Operation(operation), task_vars or {})
        if operation not in STAYING or self._task.check_mode or self._task.async_val:
            called = super().run(tmp, task_vars)
            return {**called, **lines.ending(called, name)} if operation in STAYING else called
        result: Result = ActionBase.run(self, tmp, task_vars)
        self._vars = task_vars or {}
        self._apart = bool(self._reason_for_a_process(self._vars))
        self._args = as_module_sees(self._task.args)
        before = {number: signal.signal(number, self._hear) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            result.update(lines.ending(self._stay(Operation(operation)), name))
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        return result

    def _hear(self, number: int, _frame: types.FrameType | None) -> None:
        self._signal = number

    # Calls -------------------------------------------------------------------------------------------------------

    def _call(self, operation: Operation, **more: t.Any) -> Result:
        """Result of one call of the module, with this run's name and fencing token."""
        args = {**self._args, "operation": operation.value, "holder": self._holder, **more}
        if self._fencing_token:
            args["fencing_token"] = self._fencing_token
        if self._apart:
            done: Result = self._execute_module(module_args=args, task_vars=self._vars)
            done.pop("invocation", None)
        else:
            done = self._worked(self._validated(args), check_mode=False)
        self._fencing_token = done.get("fencing_token") or self._fencing_token
        self._changed = self._changed or bool(done.get("changed"))
        return done

    def _stay(self, operation: Operation) -> Result:
        service = str(self._args.get("service"))
        self._holder = f"{user()}@{socket.gethostname()}/{os.getpid()}/{uuid.uuid4().hex[:6]}"
        try:
            return self._driven(operation, service)
        except Exception as error:
            # Without this, the canary would keep its traffic and nobody would judge it until the lease expires and somebody runs again.
            if self._fencing_token:
                for last in (Operation.INTERRUPT, Operation.GIVE_UP_LEASE):
                    with contextlib.suppress(Exception):
                        self._call(last)
            if isinstance(error, AnsibleError):
                raise
            raise AnsibleActionFail(
                f"The run of the canary of {service} stopped at an unexpected error: {type(error).__name__}: {error}. A step without a "
                "verdict was taken back. Run again to continue, or roll back (rollback.yml); please report this error"
            ) from error

    def _driven(self, operation: Operation, service: str) -> Result:
        lease = float(self._args.get("lease_duration") or 30)
        first = result = self._call(Operation.START if operation is Operation.RUN else operation)
        notes = result.get("notes") or []
        if not result.get("failed"):
            self._say(lines.heading(result, service))
        while not result.get("failed") and not result.get("done"):
            self._tell(notes, result)
            self._sleep(min(float(result.get("next_in") or 0), lease / 3))
            if self._heard():
                return self._stopped(result, service)
            result = self._call(Operation.STEP)
            notes = result.get("notes") or []
        self._tell(notes, result)
        result.setdefault("diff", {}).update(before=(first.get("diff") or {}).get("before", {}))
        return self._ended(operation, result, service)

    def _heard(self) -> bool:
        """Whether a signal was received."""
        return self._signal != 0

    def _sleep(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while not self._heard() and (left := end - time.monotonic()) > 0:
            time.sleep(min(_NAP, left))

    def _stopped(self, result: Result, service: str) -> Result:
        """After SIGTERM or SIGINT: takes back a step without a verdict, continues a rollback to weight 0, gives the lease up."""
        name = signal.Signals(self._signal).name
        if result.get("phase") == Phase.ROLLING_BACK:
            end = time.monotonic() + _BACK
            while (
                result.get("stage") in (Stage.RESTORE, Stage.CAPACITY)
                and not result.get("failed")
                and time.monotonic() < end
            ):
                time.sleep(min(1.0, float(result.get("next_in") or 0)))
                result = self._call(Operation.STEP)
        else:
            result = self._call(Operation.INTERRUPT)
        self._call(Operation.GIVE_UP_LEASE)
        text = f"stopped by {name}: {lines.summary(result, service)} Run the playbook again to continue."
        self._say(text)
        return {**result, "failed": True, "changed": self._changed, "msg": text}

    # What people see -----------------------------------------------------------------------------------------------

    def _say(self, text: str, colour: str | None = None) -> None:
        # After a signal, the parent process that prints may have exited.
        with contextlib.suppress(OSError, ValueError):
            display.display("  " + text.replace("\n", "\n  "), color=colour)

    def _tell(self, notes: t.Iterable[Mapping[str, t.Any]], result: Result) -> None:
        for note in notes:
            try:
                text = lines.line(note, result)
            except Exception as error:  # a line that cannot be made must not end a run
                text = f"{note.get('event')}: {note.get('message')} ({type(error).__name__} in the line)"
            if text:
                self._say(text, constants.COLOR_ERROR if lines.is_bad(note) else None)
        waiting, seconds = str(result.get("waiting") or ""), float(result.get("next_in") or 0)
        busy = result.get("phase") in (Phase.PREPARING, Phase.PROMOTING, Phase.ROLLING_BACK)
        text, since = self._last_tell
        if busy and waiting and seconds <= _TELL and (waiting != text or time.monotonic() - since > _TELL):
            self._say(f"     {str(result['phase']).replace('_', ' ')}: {waiting}")
            self._last_tell = (waiting, time.monotonic())

    def _files_checked(self, operation: Operation, task_vars: Mapping[str, t.Any]) -> str:
        """The rollout's name. Raises AnsibleActionFail when a file that is asked for cannot be written, before anything is done.

        A rollback is not refused for that: what it writes goes to a temporary file.
        """
        args, cluster = as_module_sees(self._task.args), cluster_of(task_vars)
        self._files = CanaryFiles.of(args, cluster)
        service = str(args.get("service"))
        if self._files.refused and operation is not Operation.ROLLBACK:
            raise AnsibleActionFail(
                f"Nothing was changed, and {service} has no new canary: {self._files.refused}. Give a file in a folder that can be "
                "written, or omit the option"
            )
        for finding in self._files.findings:
            self._warn(finding)
        return f"{cluster}/{service}" if cluster else service

    def _warn(self, text: str) -> None:
        # As in `_say`: nobody may be there to read it.
        with contextlib.suppress(OSError, ValueError):
            display.warning(text)

    def _ended(self, operation: Operation, result: Result, service: str) -> Result:
        if self._fencing_token:
            self._call(Operation.GIVE_UP_LEASE)
        result = {**result, "changed": self._changed}
        if result.get("history") and self._changed:
            found, wrong = self._files.write(result, service, str(self._args.get("namespace") or "ecommerce"))
            for text in wrong:
                self._warn(text)
            for option, path in found.items():
                self._say(f"{option.replace('_', ' ')}: {path}")
            result |= found
        if not result.get("failed"):
            phase = result.get("phase")
            result["msg"] = lines.summary(result, service)
            if phase == Phase.FROZEN or (phase == Phase.ROLLED_BACK and operation is not Operation.ROLLBACK):
                result["failed"] = True  # and Ansible prints the sentence
            else:
                self._say(result["msg"])
        return result
