# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drive a canary until it has ended: short calls of the module, a line for each step, and a clean end when the run is told to stop."""

from __future__ import annotations

import contextlib
import getpass
import os
import socket
import time
import typing as t
import uuid
from collections.abc import Mapping

from ansible import constants
from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.servicemesh.platform.plugins.module_utils import _parent
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.operations import STAYING, Operation
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.state import Phase, Stage
from ansible_collections.servicemesh.platform.plugins.module_utils._text import clean
from ansible_collections.servicemesh.platform.plugins.modules import canary
from ansible_collections.servicemesh.platform.plugins.plugin_utils import _canary_lines as lines
from ansible_collections.servicemesh.platform.plugins.plugin_utils._canary_files import CanaryFiles, cluster_of
from ansible_collections.servicemesh.platform.plugins.plugin_utils._canary_outage import Outage
from ansible_collections.servicemesh.platform.plugins.plugin_utils._canary_settings import SettingsError, expanded
from ansible_collections.servicemesh.platform.plugins.plugin_utils._in_process import (
    InProcessAction,
    as_module_sees,
)
from ansible_collections.servicemesh.platform.plugins.plugin_utils._worker import Printer, Stop, end_with_parent

display = Display()
Result = dict[str, t.Any]

_TELL = 15.0  # seconds between two lines about the same wait
_BACK = 18.0  # seconds that taking a step back, or a rollback, may take after the run was told to stop
_LETTING_GO = 8.0  # seconds that giving the lease up may take after that
_LEASE_LOOK = 2.0  # seconds between two looks at the lease of another run
_LEASE_SPARE = 2.0  # seconds that a lease may be waited for after its expiry
_SHOWN = 10.0  # seconds that the last lines may take until they are shown, before the result of the task


def user() -> str:
    """Name of the user that runs Ansible, or its number: in a container it may have no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return f"uid{os.getuid()}"


class ActionModule(InProcessAction):
    """Action plugin of ``servicemesh.platform.canary``; the module of that name documents it."""

    MODULE = canary
    _stop = Stop()
    _printer = Printer()
    _apart = False
    _fencing_token = 0
    _changed = False
    _push_told = False
    _last_tell = ("", 0.0)
    _files = CanaryFiles()

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> Result:
        """The module's result, that of the last call when there were several."""
        try:
            self._task.args = expanded(self._task.args)
        except SettingsError as error:
            raise AnsibleActionFail(f"Nothing was changed: {error}") from error
        operation = str(self._task.args.get("operation") or Operation.RUN.value)
        name, self._printer = "", Printer()
        if operation in STAYING:
            name = self._files_checked(Operation(operation), task_vars or {})
        if operation not in STAYING or self._task.check_mode or self._task.async_val:
            called = super().run(tmp, task_vars)
            self._push_told = False
            self._tell_push(called)
            self._printer.flush(_SHOWN)
            return {**called, **lines.ending(called, name)} if operation in STAYING else called
        end_with_parent()
        result: Result = ActionBase.run(self, tmp, task_vars)
        self._vars = task_vars or {}
        self._apart = bool(self._reason_for_a_process(self._vars))
        self._args = as_module_sees(self._task.args)
        self._stop, self._push_told = Stop(apart=self._apart), False
        with self._stop:
            try:
                result.update(lines.ending(self._stay(Operation(operation)), name))
            finally:
                self._printer.flush(_SHOWN if not self._stop.reason else 1.0)
        return result

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
        self._tell_push(done)
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
                    with contextlib.suppress(Exception), _parent.cleaning_up(_LETTING_GO):
                        self._call(last, reason=f"its driver stopped at an unexpected error, {type(error).__name__}")
            if isinstance(error, AnsibleError):
                raise
            raise AnsibleActionFail(
                f"The run of the canary of {service} stopped at an unexpected error: {type(error).__name__}: {error}. A step without a "
                "verdict was taken back. Run again to continue, or roll back (rollback.yml); please report this error"
            ) from error

    def _driven(self, operation: Operation, service: str) -> Result:
        lease, outage = self._seconds("lease_duration"), Outage(self._seconds("outage_limit"))
        first = result = self._first(Operation.START if operation is Operation.RUN else operation)
        if not result.get("failed"):
            self._say(lines.heading(result, service))
        good = result
        while not result.get("failed") and not result.get("done"):
            self._tell(result.get("notes") or [], result)
            self._stop.sleep(min(float(result.get("next_in") or 0), lease / 3))
            if self._stop.heard():
                break
            result = self._step()
            if result.get("outage"):
                result = {**good, **result}  # the rollout's own values may be missing
                self._tell(result.pop("notes", None) or [], result)
            if news := outage.look(result, time.monotonic()):
                self._say(f"     {news}")
            if why := outage.why_end(time.monotonic()):
                text = f"{why}. {lines.summary(good, service)} Run again to continue, or roll back (rollback.yml)"
                # The lease is kept, so that it expires and a watchdog takes over.
                return self._ended(operation, {**good, "failed": True, "msg": text}, service, give_up_lease=False)
            good = good if result.get("failed") else result
        if self._stop.heard() and not result.get("done"):
            return self._stopped(good, service)
        self._tell(result.get("notes") or [], result)
        result.setdefault("diff", {}).update(before=(first.get("diff") or {}).get("before", {}))
        return self._ended(operation, result, service)

    def _seconds(self, option: str) -> float:
        """An option's value, or its default: the arguments are those of the task."""
        given = self._args.get(option)
        return float(canary.ARGUMENTS[option]["default"] if given is None else given)

    def _step(self) -> Result:
        try:
            return self._call(Operation.STEP)
        except AnsibleError:
            if not self._stop.heard():  # else the module's process was ended
                raise
            return {"failed": True}

    def _first(self, operation: Operation) -> Result:
        """Result of the first call. Waits for the lease of a run that was killed; a run that renews its lease is another live one."""
        result = self._call(operation)
        lease: t.Any = result.get("lease")
        if not result.get("failed") or not lease:
            return result
        renewed = lease["renewed"]
        end = time.monotonic() + lease["expires_in"] + _LEASE_SPARE
        self._say(
            f"waiting {max(1, round(lease['expires_in']))} s for the lease of {lease['holder']}, which has not renewed it since "
            f"{str(lease['renewed']).partition('.')[0].partition('T')[2]} UTC"
        )
        while lease and lease["renewed"] == renewed and time.monotonic() < end:
            self._stop.sleep(min(_LEASE_LOOK, max(0.2, lease["expires_in"] + 0.2)))
            if self._stop.heard():
                break
            result = self._call(operation)
            lease = result.get("lease")
        return result

    def _stopped(self, result: Result, service: str) -> Result:
        """After a signal or the end of ansible-playbook: takes back a step without a verdict, continues a rollback to weight 0, gives the
        lease up. `result`: that of the last call that was not cut short.
        """
        why = self._stop.reason
        if self._fencing_token or (self._apart and not result.get("lease")):
            with contextlib.suppress(AnsibleError), _parent.cleaning_up(_BACK):
                end = time.monotonic() + _BACK
                result = self._call(Operation.INTERRUPT, reason=why)
                while (
                    result.get("phase") == Phase.ROLLING_BACK
                    and result.get("stage") in (Stage.RESTORE, Stage.CAPACITY)
                    and not result.get("failed")
                    and time.monotonic() < end
                ):
                    time.sleep(min(1.0, float(result.get("next_in") or 0)))
                    result = self._call(Operation.STEP)
            with contextlib.suppress(AnsibleError), _parent.cleaning_up(_LETTING_GO):
                self._call(Operation.GIVE_UP_LEASE)
        state = lines.summary(result, service) if result.get("phase") else str(result.get("msg") or "Nothing was done.")
        text = f"stopped, {why}: {state} Run the playbook again to continue."
        # Short: after Ctrl-C, ansible-playbook waits for this process, but does not read what it sends.
        short: Result = {key: result[key] for key in ("phase", "weight", "version", "reason") if key in result}
        return {**short, "failed": True, "changed": self._changed, "msg": text}

    # What people see -----------------------------------------------------------------------------------------------

    def _say(self, text: str, colour: str | None = None) -> None:
        self._printer.say(display.display, "  " + clean(text).replace("\n", "\n  "), color=colour)

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

    def _tell_push(self, result: Result) -> None:
        """Warns of the first push of a run that failed; the next ones are made all the same, and say what is then."""
        if (wrong := result.get("push_error")) and not self._push_told:
            self._push_told = True
            self._warn(f"The metrics of the canary were not pushed, which changes nothing else: {wrong}")

    def _warn(self, text: str) -> None:
        self._printer.say(display.warning, clean(text))

    def _ended(self, operation: Operation, result: Result, service: str, *, give_up_lease: bool = True) -> Result:
        if self._fencing_token and give_up_lease:
            with _parent.cleaning_up(_LETTING_GO):
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
