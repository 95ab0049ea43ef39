# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of the module `canary`, which documents them, and which of them are settings of a canary."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.approvals import (
    TIMEOUT,
    OnTimeout,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.providers import registry
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.verdict import BOUNDS
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.operations import Operation
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.plan import OnFailure
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.preconditions import TOOLS
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.watchdog.manifests import USER
from ansible_collections.servicemesh.platform.plugins.module_utils._prometheus import OPTION as PROMETHEUS

Option = dict[str, Any]


def _text(**more: Any) -> Option:
    return {"type": "str", **more}


def _number(**more: Any) -> Option:
    return {"type": "float", **more}


def _values(choices: type[StrEnum]) -> list[str]:
    return [choice.value for choice in choices]


METRIC: dict[str, Option] = {
    "name": _text(),
    **registry.OPTIONS,
    **{name: _number() for name in BOUNDS},
    "min_requests": {"type": "int"},
    "otherwise": {"type": "dict"},
    "critical": {"type": "bool", "default": False},
    "dry_run": {"type": "bool", "default": False},
}

APPROVAL: dict[str, Option] = {
    "before": _text(required=True),
    "annotation": _text(),
    "equals": _text(default="true"),
    **registry.APPROVAL_OPTIONS,
    "min": _number(),
    "max": _number(),
    "timeout": _number(default=int(TIMEOUT)),
    "on_timeout": _text(choices=_values(OnTimeout), default=OnTimeout.ROLLBACK.value),
}

WATCHDOG: dict[str, Option] = {
    "image": _text(required=True),
    "image_pull_secrets": {"type": "list", "elements": "str", "no_log": False},  # names
    "python": _text(default="python3"),
    "run_as_user": {"type": "int", "default": USER},
    "service_account": _text(),
}

OPTIONS: dict[str, Option] = {
    "operation": _text(choices=_values(Operation), default=Operation.RUN.value),
    "service": _text(required=True),
    "namespace": _text(default="ecommerce"),
    "cluster_domain": _text(default="cluster.local"),
    "stable_subset": _text(default="stable"),
    "canary_subset": _text(default="canary"),
    "stable_deployment": _text(),
    "canary_deployment": _text(),
    "port": {"type": "int", "default": 0},
    "virtual_services": {"type": "list", "elements": "str"},
    "routes": {"type": "list", "elements": "str"},
    "canary_definitions": {"type": "list", "elements": "dict"},
    "stable_definitions": {"type": "list", "elements": "dict"},
    "version": _text(default=""),
    "release": {"type": "dict"},
    "steps": {"type": "list", "elements": "int", "default": [5, 20, 50]},
    "interval": _number(default=60),
    "warmup": _number(default=0),
    "max_duration": _number(default=3600),
    "progress_deadline": _number(default=300),
    "drain": _number(default=10),
    "pause_at": {"type": "int", "default": 0},
    "on_failure": _text(choices=_values(OnFailure), default=OnFailure.ROLLBACK.value),
    "failures": {"type": "int", "default": 1},
    "inconclusives": {"type": "int", "default": 3},
    "passes": {"type": "int", "default": 1, "no_log": False},  # a number, not a password
    "blind_limit": _number(),
    "on_new_version": _text(choices=["refuse", "restart"], default="refuse"),
    "analysis": {"type": "list", "elements": "dict", "options": METRIC},
    "approvals": {"type": "list", "elements": "dict", "options": APPROVAL},
    "prometheus": PROMETHEUS,
    "match": {"type": "dict"},
    "mirror": _number(default=0),
    "takeover": {"type": "list", "elements": "str", "choices": list(TOOLS)},
    "proof_samples": {"type": "int", "default": 3},
    "proof_timeout": _number(default=30),
    "watchdog": {"type": "dict", "options": WATCHDOG},
    "metrics_push": PROMETHEUS,
    "full": {"type": "bool", "default": False},
    "reason": _text(default=""),
    "report": {"type": "path"},
    "report_folder": {"type": "path"},
    "metrics_file": {"type": "path"},
    "lease_duration": _number(default=15),
    "outage_limit": _number(default=600),
    "holder": _text(),
    "fencing_token": {"type": "int", "no_log": False},  # a number, not a secret
    "settings": {"type": "dict"},
}

# What one call states for one service. The caller (the role `microservice`, a playbook, a driver) knows these values; all other options
# are settings, which an inventory or a command line gives.
_OF_A_CALL = frozenset({
    "operation", "service", "namespace", "cluster_domain", "stable_subset", "canary_subset", "stable_deployment", "canary_deployment",
    "canary_definitions", "stable_definitions", "version", "release", "full", "reason", "holder", "fencing_token", "settings",
})  # fmt: skip

SETTINGS: dict[str, Option] = {name: option for name, option in OPTIONS.items() if name not in _OF_A_CALL}
