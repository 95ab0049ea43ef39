# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run long build steps on the controller, cached by their inputs, with progress a person can follow."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import time
import typing as t

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.servicemesh.platform.plugins.module_utils._text import clean
from ansible_collections.servicemesh.platform.plugins.plugin_utils._build_cache import (
    Step,
    expand,
    last_lines,
    parse_steps,
    step_key,
)
from ansible_collections.servicemesh.platform.plugins.plugin_utils._worker import end_with_parent

display = Display()
HEARTBEAT_SECONDS = 15.0
# Stands for the Python that runs Ansible, so that the path of its virtualenv is not part of a step's key.
PYTHON = "{python}"


def _elapsed(seconds: float) -> str:
    """``75.2`` (seconds) -> ``1m15s``."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}m{rest:02d}s" if minutes else f"{rest}s"


class ActionModule(ActionBase):
    """Action plugin of :mod:`servicemesh.platform.build`; see the module of that name for the documentation."""

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        end_with_parent()
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        args = self._task.args
        try:
            steps = parse_steps(args.get("steps"))
        except ValueError as exc:
            raise AnsibleActionFail(f"steps: {exc}") from exc
        cache = os.path.expanduser(str(args.get("cache", "")))
        if not os.path.isabs(cache):
            raise AnsibleActionFail(
                f"cache: {cache!r} is not an absolute path; expected the path of the folder for the results"
            )
        outputs: dict[str, str] = {}
        built: list[str] = []
        started = time.monotonic()
        if not self._task.check_mode:
            os.makedirs(cache, exist_ok=True)
        for number, step in enumerate(steps, 1):
            target = os.path.join(cache, f"{step.name}-{step_key(step, outputs)}")
            outputs[step.name] = target
            if os.path.exists(target):
                continue
            built.append(step.name)
            if not self._task.check_mode:
                self._build(step, target, outputs, f"[{number}/{len(steps)}]")
        result.update(changed=bool(built), outputs=outputs, built=built, seconds=round(time.monotonic() - started, 1))
        return result

    def _build(self, step: Step, target: str, outputs: dict[str, str], label: str) -> None:
        """Run one step under the cache's lock; its result gets its name only when it is complete."""
        with open(os.path.join(os.path.dirname(target), f".{step.name}.lock"), "w", encoding="utf-8") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                display.display(f"  {label} {step.title}: waiting for another run that builds it")
                fcntl.flock(lock, fcntl.LOCK_EX)
            if os.path.exists(target):
                return
            partial = target + ".partial"
            shutil.rmtree(partial, ignore_errors=True)
            os.makedirs(partial)
            argv = [expand(word, partial, outputs).replace(PYTHON, sys.executable) for word in step.argv]
            environment = {key: expand(value, partial, outputs) for key, value in step.environment.items()}
            self._execute(step, argv, environment, target + ".log", label)
            os.rename(partial, target)

    def _execute(self, step: Step, argv: list[str], environment: dict[str, str], log_path: str, label: str) -> None:
        """Run ``argv``, show its progress every 15 seconds, and fail with the end of its log."""
        display.display(f"  {label} {step.title}")
        started = time.monotonic()
        with open(log_path, "wb") as log:
            try:
                process = subprocess.Popen(
                    argv,
                    cwd=step.chdir or None,
                    env={**os.environ, **environment},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                )
            except OSError as exc:
                raise AnsibleActionFail(f"{step.title}: cannot run {argv[0]!r}: {exc.strerror}") from exc
            # Bytes of the log. A line is shown once: a compiler prints nothing for minutes, and an old line would look like a hang.
            shown = 0
            try:
                while True:
                    try:
                        code = process.wait(HEARTBEAT_SECONDS)
                        break
                    except subprocess.TimeoutExpired:
                        written = os.path.getsize(log_path)
                        lines = last_lines(log_path, 1) if written > shown else []
                        shown = written
                        tail = f" - {clean(lines[0])[:100]}" if lines else ""
                        display.display(f"  {label} {step.title}: {_elapsed(time.monotonic() - started)}{tail}")
            finally:
                if process.poll() is None:
                    process.terminate()
                    process.wait()
        if code:
            end = clean("\n".join(last_lines(log_path, 25)))
            raise AnsibleActionFail(
                f"{step.title} ended with code {code} (complete log: {log_path}). Its last lines:\n{end}"
            )
        display.display(f"  {label} {step.title}: done in {_elapsed(time.monotonic() - started)}")
