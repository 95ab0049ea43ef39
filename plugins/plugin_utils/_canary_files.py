# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: may change at any time without notice; only this collection may import it.
"""The files that a rollout leaves on the controller, its report and its metrics, and the name of the rollout among others."""

from __future__ import annotations

import os
import typing as t
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ansible_collections.servicemesh.platform.plugins.plugin_utils._files import (
    NOWHERE,
    Destination,
    destination,
)
from ansible_collections.servicemesh.platform.plugins.plugin_utils._reports.canary import html


@dataclass(frozen=True, slots=True)
class CanaryFiles:
    """Where report and metrics are going to be. `refused`: why paths that were given cannot be written."""

    report: Destination = NOWHERE
    metrics_file: Destination = NOWHERE
    refused: str = ""

    @classmethod
    def of(cls, args: Mapping[str, t.Any], cluster: str) -> CanaryFiles:
        """Those that the module's arguments name, and the report in `report_folder` when it has no name. Looks at the folders."""
        given = {name: destination(str(args.get(name) or "")) for name in ("report", "metrics_file")}
        refused = "; ".join(f"{name}: {file.finding}" for name, file in given.items() if file.finding)
        report, folder = given["report"], str(args.get("report_folder") or "")
        if folder and not report.path:
            report = destination(os.path.join(folder, report_name(str(args.get("service")), cluster)))
        return cls(report, given["metrics_file"], refused)

    @property
    def findings(self) -> list[str]:
        """What will not be where it is meant to be."""
        named = {"report": self.report, "metrics_file": self.metrics_file}
        return [f"{name}: {file.finding}; it will be a temporary file" for name, file in named.items() if file.finding]

    def write(self, result: Mapping[str, t.Any], service: str, namespace: str) -> tuple[dict[str, str], list[str]]:
        """(file of each option that was written, what went wrong). The rollout has ended, and its end stays whatever happens here."""
        found: dict[str, str] = {}
        wrong = []
        texts: dict[str, tuple[Destination, Callable[[], str]]] = {
            "report": (self.report, lambda: html(result, service, namespace)),
            "metrics_file": (self.metrics_file, lambda: str(result.get("metrics") or "")),
        }
        for name, (file, text) in texts.items():
            if not file.path:
                continue
            try:
                done = file.write(text())
            except Exception as error:
                wrong.append(f"{name}: it cannot be made: {type(error).__name__}: {error}")
                continue
            if done.finding and (done.finding != file.finding or not done.path):
                wrong.append(f"{name}: {done.finding}")
            if done.path:
                found[name] = done.path
        return found, wrong


def report_name(service: str, cluster: str) -> str:
    """Name of the report of a service's canary. `cluster`: empty where a play has one."""
    return "-".join(filter(None, ("canary", service, cluster))) + ".html"


def cluster_of(task_vars: Mapping[str, t.Any]) -> str:
    """The cluster's name where a play has several, so that their files and results are told apart; empty for one."""
    hosts = task_vars.get("ansible_play_hosts_all") or []
    return str(task_vars.get("inventory_hostname") or "") if len(hosts) > 1 else ""
