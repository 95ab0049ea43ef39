# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests as counted by the API server. No I/O.

Its metric of requests by kind does not contain the sender. Priority and fairness counts by FlowSchema, and a FlowSchema can match one user:
so a separate user of the benchmark sends the requests, and only these are counted (Kubernetes,
staging/src/k8s.io/apiserver/pkg/util/flowcontrol/metrics/metrics.go).
"""

from __future__ import annotations

import re
from typing import Any

from tests.benchmarks._sets import LABEL

_SAMPLE = re.compile(
    r"^apiserver_flowcontrol_dispatched_requests_total\{(?P<labels>.*)\} (?P<value>[0-9.eE+-]+)$", re.MULTILINE
)
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


_CPU = re.compile(r"^process_cpu_seconds_total (?P<value>[0-9.eE+-]+)$", re.MULTILINE)


def processor_seconds(metrics: str) -> float:
    """Seconds of processor time of the API server's process, from the text of /metrics."""
    found = _CPU.search(metrics)
    if found is None:
        raise ValueError("no process_cpu_seconds_total in the API server's metrics")
    return float(found["value"])


def counting_objects(user: str) -> list[dict[str, Any]]:
    """The FlowSchema that counts the requests of `user` under the user's name, and the permissions of the user."""
    meta = {"name": user, "labels": {LABEL: "true"}}
    subject = {"kind": "User", "user": {"name": user}}
    everything = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "namespaces": ["*"], "clusterScope": True}
    return [
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": meta,
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
        },
        {
            "apiVersion": "flowcontrol.apiserver.k8s.io/v1",
            "kind": "FlowSchema",
            "metadata": meta,
            "spec": {
                # As for every user that is neither a node nor part of the control plane, but with higher precedence.
                "priorityLevelConfiguration": {"name": "global-default"},
                "matchingPrecedence": 50,
                "distinguisherMethod": {"type": "ByUser"},
                "rules": [
                    {
                        "subjects": [subject],
                        "resourceRules": [everything],
                        "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
                    }
                ],
            },
        },
    ]


def counted(metrics: str, schema: str) -> int:
    """Requests that a FlowSchema dispatched, from the text of /metrics."""
    total = 0.0
    for sample in _SAMPLE.finditer(metrics):
        if dict(_LABEL.findall(sample["labels"])).get("flow_schema") == schema:
            total += float(sample["value"])
    return int(total)
