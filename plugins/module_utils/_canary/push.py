# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is pushed to a Pushgateway, and when: nothing but the recorded state decides. Pure.

A group of a Pushgateway stays until it is deleted. So a rollout that waits for somebody keeps its series after its driver has ended, and
one that has ended has none: they would say for ever what was true once.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, assert_never
from urllib.parse import quote

from ansible_collections.servicemesh.platform.plugins.module_utils._canary import series
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.operations import Operation
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.state import State

OPTION = "metrics_push"
JOB = "servicemesh_canary"  # the label `job` of what is pushed, where a scrape has the name of its job
EXAMPLE = "monitoring/pushgateway:9091"
_PLAIN = re.compile(r"[A-Za-z0-9_.~-]+")


@dataclass(frozen=True, slots=True)
class Push:
    """One request: the series of a group replace those that it had; without `text` they are deleted.

    `group`: the labels that name the group, `job` first.
    """

    group: Mapping[str, str]
    text: str = ""


def due(operation: Operation, state: State | None, *, written: bool) -> Push | None:
    """What a call has to push at its end. `written`: whether the call has written the record.

    A step that changed nothing pushes nothing. All others push what the record says even when they changed nothing: the push before may
    have failed, and the Pushgateway may have started again without what it had.
    """
    match operation:
        case Operation.STATUS | Operation.FORGET_PROMOTION:
            return None
        case Operation.STEP if not written:
            return None
        case (
            Operation.RUN | Operation.START | Operation.STEP | Operation.PAUSE | Operation.RESUME | Operation.PROMOTE
            | Operation.ROLLBACK | Operation.FREEZE | Operation.INTERRUPT | Operation.GIVE_UP_LEASE
        ):  # fmt: skip
            if state is None or not state.settings.get(OPTION):
                return None
            return Push(group_of(state), series.page(state, namespaced=False) if state.active else "")
        case _:
            assert_never(operation)


def group_of(state: State) -> dict[str, str]:
    """The group of a service's rollouts. A scrape of the watchdog's pod gives its series the same namespace."""
    return {"job": JOB, "namespace": state.namespace, "service": state.service}


def path_of(group: Mapping[str, str]) -> str:
    """Path of a group below the address of a Pushgateway, as its README (API, URL) and handler/push.go (splitLabels) have it.

    What is no plain text of a URL is given in base64: a slash would end the value, and an empty one would be lost.
    """
    return "/metrics/" + "/".join(_pair(name, value) for name, value in group.items())


def _pair(name: str, value: str) -> str:
    if _PLAIN.fullmatch(value) and set(value) != {"."}:  # `.` and `..` are segments of their own in a path
        return f"{quote(name)}/{value}"
    encoded = base64.urlsafe_b64encode(value.encode()).decode().rstrip("=")
    return f"{quote(name)}@base64/{encoded or '='}"


def is_pushgateway(status: Any) -> bool:
    """Whether an answer of /api/v1/status is one of a Pushgateway (api/v1/api.go)."""
    data = status.get("data") if isinstance(status, dict) else None
    return isinstance(data, dict) and status.get("status") == "success" and "build_information" in data
