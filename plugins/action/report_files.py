# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write reports on the controller."""

from __future__ import annotations

import os
import typing as t

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.servicemesh.platform.plugins.plugin_utils._files import findings_of_path, written

display = Display()


class ActionModule(ActionBase):
    """Action plugin of ``servicemesh.platform.report_files``; the module of that name documents it."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True
    _VALID_ARGS = frozenset({"folder", "files", "state", "fallback"})

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        dummy, args = self.validate_argument_spec(
            argument_spec={
                "folder": {"type": "str", "required": True},
                "files": {"type": "dict", "required": True},
                "state": {"type": "str", "choices": ["checked", "written"], "default": "written"},
                "fallback": {"type": "bool", "default": False},
            }
        )
        files = {os.path.join(args["folder"], name): str(text) for name, text in args["files"].items()}
        write = args["state"] == "written" and not self._task.check_mode
        paths, findings = self._write(files) if write else self._check(files)
        if findings and args["state"] == "checked" and not args["fallback"]:
            raise AnsibleActionFail(
                f"Nothing was done. {'; '.join(findings)}. Give a folder that can be written, or none to get no report"
            )
        for finding in findings:
            display.warning(finding if write else f"{finding}; it will be a temporary file")
        result.update(changed=False, paths=paths)
        return result

    @staticmethod
    def _check(files: dict[str, str]) -> tuple[list[str], list[str]]:
        return list(files), [finding for path in files for finding in findings_of_path(path)]

    @staticmethod
    def _write(files: dict[str, str]) -> tuple[list[str], list[str]]:
        done = [written(path, text) for path, text in files.items()]
        findings = [
            f"{file.finding}; it is now {file.path}" if file.path else file.finding for file in done if file.finding
        ]
        return [file.path for file in done if file.path], findings
