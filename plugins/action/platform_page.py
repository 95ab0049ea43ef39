# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the page of a platform on the controller, with links to the reports that are there."""

from __future__ import annotations

import os
import typing as t
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.servicemesh.platform.plugins.plugin_utils._canary_files import cluster_of, report_name
from ansible_collections.servicemesh.platform.plugins.plugin_utils._files import Destination, absolute, destination
from ansible_collections.servicemesh.platform.plugins.plugin_utils._in_process import as_module_sees
from ansible_collections.servicemesh.platform.plugins.plugin_utils._reports import platform

display = Display()
ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "path": {"type": "str", "required": True},
    "cluster": {"type": "str", "required": True},
    "platform": {"type": "dict", "required": True},
    "traffic": {"type": "dict", "required": True},
    "p95_ms": {"type": "float", "default": 1000.0},
    "error_ratio": {"type": "float", "default": 0.05},
    "telemetry": {"type": "list", "elements": "str", "default": []},
    "mtls_report": {"type": "str", "default": ""},
    "canary_reports": {"type": "str", "default": "."},
    "reports": {"type": "dict", "default": {}},
}


class ActionModule(ActionBase):
    """Action plugin of ``servicemesh.platform.platform_page``; the module of that name documents it."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True
    _VALID_ARGS = frozenset(ARGUMENTS)

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        dummy, args = self.validate_argument_spec(argument_spec=ARGUMENTS)
        args = as_module_sees(args)
        place = destination(str(args["path"]))
        reports = list(_reports(args, cluster_of(task_vars or {}), place))
        text, answer, sentence = platform.html(
            args["cluster"],
            args["platform"],
            args["traffic"],
            platform.Limits(float(args["p95_ms"]), float(args["error_ratio"])),
            [(name, url) for name, url, _path in reports],
            args["telemetry"],
        )
        written = ""
        if not self._task.check_mode:
            done = place.write(text)
            written = done.path
            if done.finding:
                display.warning(f"{done.finding}; it is now {done.path}" if done.path else done.finding)
        result.update(
            changed=False, path=written, answer=answer, text=sentence, reports=[path for _name, _url, path in reports]
        )
        return result


def _reports(args: dict[str, t.Any], cluster: str, place: Destination) -> Iterator[tuple[str, str, str]]:
    """(name, URL, file) of the reports that are there. URLs are relative to the page, so that both can be moved together."""
    folder = str(args["canary_reports"])
    services = [str(row["name"]) for row in args["platform"]["services"]]
    wanted = [("Mutual TLS", str(args["mtls_report"]))] if args["mtls_report"] else []
    if folder:
        wanted += [(f"Canary of {name}", os.path.join(folder, report_name(name, cluster))) for name in services]
    wanted += [(str(name), str(path)) for name, path in args["reports"].items()]
    for name, path in wanted:
        try:
            target = absolute(path)
            moment = datetime.fromtimestamp(target.stat().st_mtime, UTC).strftime("%Y-%m-%d %H:%M UTC")
        except (OSError, RuntimeError, ValueError):
            continue
        yield f"{name}, {moment}", _url(target, place), str(target)


def _url(target: Path, place: Destination) -> str:
    """URL of a file for the page. A page without a place, or in a temporary one, has the whole path."""
    if not place.path or place.finding:
        return target.as_uri()
    return quote(os.path.relpath(target, absolute(place.path).parent))
