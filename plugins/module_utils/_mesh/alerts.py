# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Alerting rules of Prometheus and their alerts, for people. No I/O.

PRIVATE: may change at any time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

FIRING = "firing"
# What names the object of an alert, in this order; the other labels are few words for people.
_SUBJECT = ("namespace", "destination_service_namespace"), ("service", "destination_service_name", "app", "pod", "host")


def alerts(groups: Iterable[Mapping[str, Any]], prefix: str) -> dict[str, Any]:
    """What the groups of `/api/v1/rules` say. `prefix`: of the names of the platform's groups.

    `rules`: number of the platform's rules. `broken`: those of them that Prometheus cannot evaluate, or has not yet, with why; their
    silence says nothing. `alerts`: pending and firing ones of all rules, the platform's first.
    """
    found: list[dict[str, Any]] = []
    broken: list[str] = []
    number = 0
    for group in groups:
        own = str(group.get("name") or "").startswith(prefix)
        for rule in group["rules"]:
            if own:
                number += 1
                if rule.get("health") != "ok":
                    broken.append(f"{rule.get('name')}: {rule.get('lastError') or 'not evaluated yet'}")
            found += [_alert(rule, alert, own) for alert in rule.get("alerts") or []]
    found.sort(key=lambda entry: (not entry["own"], entry["state"] != FIRING, entry["name"], entry["subject"]))
    return {"rules": number, "broken": broken, "alerts": found}


def _alert(rule: Mapping[str, Any], alert: Mapping[str, Any], own: bool) -> dict[str, Any]:
    labels = {str(name): str(value) for name, value in (alert.get("labels") or {}).items()}
    notes = {**(rule.get("annotations") or {}), **(alert.get("annotations") or {})}
    names = (next((labels[key] for key in keys if labels.get(key)), "") for keys in _SUBJECT)
    return {
        "name": str(labels.get("alertname") or rule.get("name") or ""),
        "state": str(alert.get("state") or ""),
        "severity": labels.get("severity", ""),
        "subject": "/".join(name for name in names if name),
        "summary": str(notes.get("summary") or ""),
        "description": str(notes.get("description") or ""),
        "runbook": str(notes.get("runbook_url") or ""),
        "since": str(alert.get("activeAt") or ""),
        "own": own,
    }
