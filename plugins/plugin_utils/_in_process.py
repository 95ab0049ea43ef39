# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a module's work in the process that runs its task, where a process of its own would have the same result.

A module in its own process is packed, unpacked, and imports everything again: 0.5 s and more for each task, compared with
0.05 s for the work of a task that changes nothing. Nearly every cluster is managed from the controller itself
(``ansible_connection: local``), and Ansible's strategies load an action plugin in the parent of all workers, so that the
imports of this file happen once for all tasks.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import types
import typing as t
from collections.abc import Iterator, Mapping

from ansible.errors import AnsibleActionFail
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.common.json import Direction, get_module_decoder, get_module_encoder
from ansible.module_utils.common.parameters import remove_values
from ansible.module_utils.errors import UnsupportedError
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.servicemesh.platform.plugins.module_utils import _module
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import KubeError
from ansible_collections.servicemesh.platform.plugins.module_utils._text import clean
from ansible_collections.servicemesh.platform.plugins.plugin_utils._worker import end_with_parent

display = Display()
# 0: every module runs in its own process.
SWITCH = "SERVICEMESH_IN_PROCESS"


class FailedError(Exception):
    """The module failed; the argument is its result."""


class InProcess:
    """The call as a module's work sees it, with the interface of :class:`_module.PlatformModule`."""

    def __init__(self, params: dict[str, t.Any], *, check_mode: bool, diff: bool) -> None:
        self.params, self.check_mode, self._diff = params, check_mode, diff
        self.warnings: list[str] = []

    def warn(self, warning: str) -> None:
        """Shows a warning to the user, with the result."""
        if (text := clean(warning)) not in self.warnings:
            self.warnings.append(text)

    def fail_json(self, msg: str, **result: t.Any) -> t.NoReturn:
        """Ends the call as failed."""
        raise FailedError({**result, "failed": True, "msg": msg})


def as_module_sees(args: Mapping[str, t.Any]) -> dict[str, t.Any]:
    """A task's arguments as a module receives them: plain values, without tags and lazy templates."""
    text = json.dumps(dict(args), cls=get_module_encoder("legacy", Direction.CONTROLLER_TO_MODULE))
    plain: dict[str, t.Any] = json.loads(text, cls=get_module_decoder("legacy", Direction.CONTROLLER_TO_MODULE))
    return plain


def secrets_in(params: Mapping[str, t.Any], spec: Mapping[str, t.Any]) -> Iterator[str]:
    """Credentials among a module's parameters: the arguments with ``no_log``. They must not appear in a result."""
    for name, entry in spec.items():
        value = params.get(name)
        if entry.get("no_log") and isinstance(value, str) and value:
            yield value
        for inner in value if isinstance(value, list) else [value]:
            if isinstance(inner, Mapping) and "options" in entry:
                yield from secrets_in(inner, entry["options"])


def same_python(interpreter: t.Any, running: str = sys.executable) -> bool:
    """Whether a host's ``ansible_python_interpreter`` is the Python that runs Ansible.

    Links are not followed: a virtualenv's Python is a link, and its path determines the packages.
    An unset value, or discovery (``auto``), accepts any Python.
    """
    text = str(interpreter or "auto")
    return text.startswith("auto") or os.path.abspath(os.path.expanduser(text)) == os.path.abspath(running)


class InProcessAction(ActionBase):
    """An action plugin that does the work of the module of the same name.

    A subclass sets the module, which has ``ARGUMENTS`` and ``work``.
    """

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _supports_async = True
    MODULE: types.ModuleType

    def __init_subclass__(cls, **kwargs: t.Any) -> None:
        """Excludes all objects of the parent from the workers' garbage collections, as Python's documentation advises before a fork.

        Each worker is a fork, and each of its full garbage collections visited all objects that Ansible has imported: a
        seventh of the time of site.yml. Plugins are loaded in the parent, so this runs once for each plugin and for all workers.
        """
        super().__init_subclass__(**kwargs)
        gc.freeze()

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """The module's result."""
        end_with_parent()
        task_vars = task_vars or {}
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        if reason := self._reason_for_a_process(task_vars):
            display.vvv(f"{self._task.action} runs in its own process: {reason}")
            name = f"servicemesh.platform.{self.MODULE.__name__.rpartition('.')[2]}"
            result.update(self._execute_module(name, task_vars=task_vars, wrap_async=bool(self._task.async_val)))
            return result
        params = self._validated(as_module_sees(self._task.args))
        done = self._worked(params, check_mode=bool(self._task.check_mode))
        done.setdefault("changed", False)
        if display.verbosity >= 3:
            shown = {"module_args": self._shown(params)}
            done["invocation"] = remove_values(shown, self._secrets(params))
        result.update(done)
        return result

    def _worked(self, params: dict[str, t.Any], *, check_mode: bool) -> dict[str, t.Any]:
        """Result of the module's work, or its failure, without credentials."""
        call = InProcess(params, check_mode=check_mode, diff=bool(self._task.diff))
        try:
            done = dict(self.MODULE.work(call))
        except FailedError as failure:
            done = failure.args[0]
        except KubeError as error:
            done = {"failed": True, "msg": str(error)}
        if isinstance(done.get("msg"), str):
            done["msg"] = clean(done["msg"])
        if call.warnings:
            done["warnings"] = call.warnings
        return dict(remove_values(done, self._secrets(params)))

    def _secrets(self, params: Mapping[str, t.Any]) -> list[str]:
        return [*secrets_in(params, self.MODULE.ARGUMENTS), *_module.kubeconfig_secrets(params.get("kubeconfig"))]

    def _validated(self, args: dict[str, t.Any]) -> dict[str, t.Any]:
        """The module's parameters."""
        return self.checked_arguments(args, self.MODULE.ARGUMENTS)

    def checked_arguments(self, args: dict[str, t.Any], spec: Mapping[str, t.Any]) -> dict[str, t.Any]:
        """Arguments with the types and defaults of a specification.

        ``validate_argument_spec`` is not used: its error would show all arguments, Secrets included.
        """
        found = ArgumentSpecValidator(spec).validate(args)
        if found.error_messages:
            name = self._task.action
            messages = (
                f"Unsupported parameters for ({name}) module: {error.msg}"
                if isinstance(error, UnsupportedError)
                else str(error.msg)
                for error in found.errors
            )
            raise AnsibleActionFail("; ".join(messages))
        return {name: found.validated_parameters.get(name) for name in spec}

    def _shown(self, params: Mapping[str, t.Any]) -> dict[str, t.Any]:
        shown = _module.shown_params(params)
        for name, spec in self.MODULE.ARGUMENTS.items():
            if spec.get("no_log") and shown.get(name) is not None:
                shown[name] = "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER"
        return shown

    def _reason_for_a_process(self, task_vars: Mapping[str, t.Any]) -> str:
        """Why the module needs its own process; empty when it does not."""
        if os.environ.get(SWITCH) == "0":
            return f"{SWITCH} is 0"
        if self._connection.transport != "local":
            return f"the connection is {self._connection.transport}"
        if self._task.async_val:
            return "the task is asynchronous"
        if self._connection.become is not None:
            return "the task becomes another user"
        if any(self._task.environment or []):
            return "the task has an environment"
        interpreter = task_vars.get("ansible_python_interpreter")
        if not same_python(self._templar.template(interpreter)):
            return f"ansible_python_interpreter is {interpreter}"
        return ""
