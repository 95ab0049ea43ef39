# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Print a list of dicts as an aligned table."""

from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.servicemesh.platform.plugins.plugin_utils._table import table

display = Display()


class ActionModule(ActionBase):
    """Action plugin of ``servicemesh.platform.platform_table``; the module of that name documents it."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True
    _VALID_ARGS = frozenset({"rows", "columns", "title", "footer", "max_width"})

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        dummy, args = self.validate_argument_spec(
            argument_spec={
                "rows": {"type": "list", "elements": "dict", "required": True},
                "columns": {"type": "list", "elements": "str", "required": True},
                "title": {"type": "str", "default": ""},
                "footer": {"type": "str", "default": ""},
                "max_width": {"type": "int", "default": 0},
            }
        )
        lines = table(args["rows"], args["columns"], args["max_width"]) if args["rows"] else []
        parts = [[args["title"]] if args["title"] else [], lines, [args["footer"]] if args["footer"] else []]
        lines = [line for part in parts if part for line in ("", *part)]
        display.display("\n".join([*lines, ""]))
        result.update(changed=False, lines=lines)
        return result
