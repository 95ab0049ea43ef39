#!/usr/bin/python
# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: chart_check
short_description: Check that Helm and charts exist before anything is changed
version_added: 0.1.0
author:
  - servicemesh.platform contributors (@servicemesh)
description:
  - Runs C(helm version), checks that the charts that are paths exist, and that C(helm) can fetch the others. Fails with all
    findings, each with the variable that it comes from.
  - Changes nothing.
attributes:
  check_mode:
    description: Can run in C(check_mode) and return changed status prediction without modifying anything.
    support: full
    details:
      - Does the same as without check mode.
  diff_mode:
    description: Returns details on what has changed (or possibly needs changing in C(check_mode)), when in diff mode.
    support: N/A
  idempotent:
    description: A second run with the same arguments reports no change.
    support: full
options:
  binary:
    description:
      - The C(helm) command, version 3, or 4 with C(kubernetes.core) 6.4 or newer.
    type: str
    default: helm
  binary_variable:
    description:
      - Variable that the command comes from, for messages.
    type: str
    default: binary
  kubernetes_core:
    description:
      - Version of the collection C(kubernetes.core), which runs C(helm) later. By default the one that the controller has.
    type: str
    default: ""
  charts:
    description:
      - The charts to check.
    type: list
    elements: dict
    default: []
    suboptions:
      variable:
        description: Variable that the chart comes from, for messages.
        type: str
        required: true
      chart:
        description: Path of a folder or C(.tgz), or an C(oci://) or C(https://) reference.
        type: str
        required: true
      version:
        description: Version of a chart that is fetched; the newest without it.
        type: str
        default: ""
seealso:
  - module: servicemesh.platform.helm_release_info
"""

EXAMPLES = r"""
- name: Check helm and the chart of istiod
  servicemesh.platform.chart_check:
    charts:
      - variable: istio_istiod_chart
        chart: "{{ istio_istiod_chart }}"
        version: 1.31.0
"""

RETURN = r"""
helm_version:
  description: Version of the C(helm) command.
  returned: success
  type: str
  sample: v3.18.4
"""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils import _module
from ansible_collections.servicemesh.platform.plugins.module_utils._helm.chart_release import is_fetched
from ansible_collections.servicemesh.platform.plugins.module_utils._helm.charts import (
    finding_of_fetched,
    helm_version,
    local_chart,
    version_finding,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import KubeError

ARGUMENTS: dict[str, dict[str, Any]] = {
    "binary": {"type": "str", "default": "helm"},
    "binary_variable": {"type": "str", "default": "binary"},
    "kubernetes_core": {"type": "str", "default": ""},
    "charts": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "variable": {"type": "str", "required": True},
            "chart": {"type": "str", "required": True},
            "version": {"type": "str", "default": ""},
        },
    },
}


def _finding(binary: str, entry: dict[str, str]) -> str:
    """What is wrong with a chart; empty when nothing is."""
    said = f"{entry['variable']} is '{entry['chart']}'"
    if not is_fetched(entry["chart"]):
        try:
            local_chart(entry["chart"])
        except ValueError as error:
            return f"{said}, but {error}. Give the folder or .tgz of a chart, or an oci:// or https:// reference."
        return ""
    finding = finding_of_fetched(binary, entry["chart"], entry["version"])
    if not finding:
        return ""
    return (
        f"{said}, version '{entry['version']}', but helm cannot read it: {finding}. Check the reference, the version and the "
        "connection to the registry, or give the path of a local copy."
    )


def work(module: _module.Invocation) -> dict[str, Any]:
    """The module's result."""
    binary, charts = module.params["binary"], module.params["charts"]
    try:
        version = helm_version(binary)
    except KubeError as error:
        raise KubeError(
            f"helm cannot be run: {module.params['binary_variable']} is '{binary}' ({error}). Install Helm on the controller, "
            "or set the variable to its path."
        ) from None
    found = version_finding(version, module.params["kubernetes_core"])
    findings = [f"{module.params['binary_variable']} is '{binary}', {found}"] if found else []
    with ThreadPoolExecutor(max_workers=8) as pool:
        findings += [finding for finding in pool.map(lambda entry: _finding(binary, entry), charts) if finding]
    if findings:
        raise KubeError(" ".join(findings))
    return {"changed": False, "helm_version": version}


def main() -> None:
    """Entry point."""
    _module.run(_module.PlatformModule(argument_spec=ARGUMENTS, supports_check_mode=True), work)


if __name__ == "__main__":
    main()
