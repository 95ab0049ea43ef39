# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A callback plugin that prints nothing. Loading it replaces the work of our modules by results from the file ANSWERS.

It keeps the statistics of set_stats in a file. It is loaded in the parent of all workers, so that they have the replacement.
ANSWERS is JSON: the name of a module -> its result;
for `canary`, `SERVICE OPERATION` -> the results of its calls, one after another.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from ansible.executor.stats import AggregateStats
from ansible.plugins.callback import CallbackBase
from ansible_collections.servicemesh.platform.plugins.plugin_utils._in_process import InProcessAction

DOCUMENTATION = """
name: without_cluster
type: aggregate
short_description: Results of modules without a cluster
description: Replaces the work of the collection's modules.
"""

ANSWERS = json.loads(Path(os.environ["ANSWERS"]).read_text(encoding="utf-8"))


def _worked(self: InProcessAction, params: dict[str, Any], *, check_mode: bool) -> dict[str, Any]:
    name = self.MODULE.__name__.rpartition(".")[2]
    with Path(os.environ["ANSWERS"] + ".calls").open("a", encoding="utf-8") as stream:
        given = {key: params.get(key) for key in ("operation", "service", "reason")}
        stream.write(json.dumps({"module": name, **given, "check_mode": check_mode}) + "\n")
    if name != "canary":
        found = ANSWERS[name]
        return dict(found[params["service"]] if name in ("canary_info", "service_info") else found)
    results = ANSWERS[name].get(f"{params['service']} {params['operation']}", [{}])
    result = dict(results.pop(0) if len(results) > 1 else results[0])
    time.sleep(result.pop("sleep", 0))
    return result


InProcessAction._worked = _worked  # type: ignore[method-assign]


class CallbackModule(CallbackBase):
    """Nothing is printed."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "without_cluster"
    CALLBACK_NEEDS_ENABLED = True

    def v2_playbook_on_stats(self, stats: AggregateStats) -> None:
        """Keeps what set_stats carries to the next node of a workflow."""
        Path(os.environ["ANSWERS"] + ".stats").write_text(json.dumps(stats.custom.get("_run", {})), encoding="utf-8")
