#!/usr/bin/python
# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: helm_release_info
short_description: Report which chart releases of Helm are as wanted
version_added: 0.1.0
author:
  - servicemesh.platform contributors (@servicemesh)
description:
  - Reads Helm's records, one request for each namespace, and compares chart, versions and values with the wanted ones, and the content of
    a chart that is a folder or an archive on this machine. A playbook then calls C(kubernetes.core.helm) only for the chart releases that
    differ. C(kubernetes.core.helm) itself does not see RV(releases[].changed_files).
  - Of a chart on this machine, templates, other files, the schema and the default values are compared, as C(.helmignore) leaves them.
    Helm records neither the charts that a chart depends on nor its default values apart from theirs; changes in these are not seen.
  - Does not run C(helm). The values of a chart release are compared and not returned.
extends_documentation_fragment:
  - servicemesh.platform._kube
  - servicemesh.platform._attributes
attributes:
  check_mode:
    support: full
    details:
      - Does the same as without check mode.
  diff_mode:
    support: N/A
  idempotent:
    support: full
options:
  releases:
    description:
      - The wanted chart releases.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the chart release.
        type: str
        required: true
      namespace:
        description: Its namespace.
        type: str
        required: true
      chart:
        description:
          - Path of the chart, or the reference that it is fetched from. Without it, the chart release is read and not compared.
        type: str
        default: ""
      version:
        description:
          - Version of a chart that is fetched. Without it, the chart release counts as different, because a newer version may exist.
        type: str
        default: ""
      values:
        description: Values of the chart.
        type: dict
        default: {}
seealso:
  - module: kubernetes.core.helm
  - module: kubernetes.core.helm_info
"""

EXAMPLES = r"""
- name: Find the chart releases that differ
  servicemesh.platform.helm_release_info:
    releases:
      - name: istiod
        namespace: istio-system
        chart: oci://gcr.io/istio-release/charts/istiod
        version: 1.31.0
        values: {global: {logging: {level: "default:info"}}}
  register: found

- name: Upgrade them
  kubernetes.core.helm:
    name: "{{ item.name }}"
    namespace: "{{ item.namespace }}"
    chart_ref: oci://gcr.io/istio-release/charts/istiod
    chart_version: 1.31.0
    values: {global: {logging: {level: "default:info"}}}
  loop: "{{ found.releases | rejectattr('current') }}"
"""

RETURN = r"""
releases:
  description: State of each chart release, in the order of O(releases).
  returned: success
  type: list
  elements: dict
  contains:
    name: {description: Its name., type: str, sample: istiod}
    namespace: {description: Its namespace., type: str, sample: istio-system}
    status: {description: Status of its newest record; empty when it is not installed., type: str, sample: deployed}
    revision: {description: Number of its newest record., type: int, sample: 3}
    chart: {description: Chart and version of its newest record., type: str, sample: istiod-1.31.0}
    app_version: {description: The chart's app version., type: str, sample: 1.31.0}
    managed: {description: Whether its values have the mark of this collection., type: bool, sample: true}
    unfinished:
      description: States of the records of operations that failed, were killed or are running.
      type: list
      elements: str
      sample: [pending-upgrade]
    current: {description: Whether it is as wanted., type: bool, sample: true}
    differs:
      description: What differs, without values.
      type: list
      elements: str
      sample: ["values: global.proxy.logLevel"]
    changed_files:
      description: Files of the chart that differ from what is installed, where it has the same name and version.
      type: list
      elements: str
      sample: [templates/deployment.yaml]
requests:
  description: Number of requests made to the API server.
  returned: success
  type: int
  sample: 1
"""

from typing import Any
from urllib.parse import quote

from ansible_collections.servicemesh.platform.plugins.module_utils import _args, _module
from ansible_collections.servicemesh.platform.plugins.module_utils._helm.chart_release import release_of
from ansible_collections.servicemesh.platform.plugins.module_utils._helm.charts import chart_of, local_files
from ansible_collections.servicemesh.platform.plugins.module_utils._helm.content import Files
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import KubeError

ARGUMENTS = _args.spec(
    releases={
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "name": {"type": "str", "required": True},
            "namespace": {"type": "str", "required": True},
            "chart": {"type": "str", "default": ""},
            "version": {"type": "str", "default": ""},
            "values": {"type": "dict", "default": {}},
        },
    },
)


def _files(name: str, chart: str) -> Files | None:
    """The files of a chart that is here; None for one that is fetched, or does not exist."""
    try:
        return local_files(chart)
    except ValueError as error:
        raise KubeError(f"chart of {name}: {error}. Expected a chart that Helm can load.") from None


def work(module: _module.Invocation) -> dict[str, Any]:
    """The module's result."""
    client = _module.connected(module)
    wanted = module.params["releases"]

    def records(namespace: str) -> list[dict[str, Any]]:
        names = ",".join(sorted({entry["name"] for entry in wanted if entry["namespace"] == namespace}))
        path = f"/api/v1/namespaces/{quote(namespace, safe='')}/secrets"
        return client.list_all(path, {"labelSelector": f"owner=helm,name in ({names}),status!=superseded"})[0]

    namespaces = list(dict.fromkeys(entry["namespace"] for entry in wanted))
    found = dict(zip(namespaces, client.each(records, namespaces), strict=True))
    try:
        releases = [
            release_of(
                entry["name"],
                entry["namespace"],
                [s for s in found[entry["namespace"]] if s["metadata"]["labels"]["name"] == entry["name"]],
                chart_of(entry["chart"], entry["version"]) if entry["chart"] else None,
                entry["values"],
                _files(entry["name"], entry["chart"]),
            )
            for entry in wanted
        ]
    except ValueError as error:
        raise KubeError(f"{error}. Expected a record of Helm 3. Remove the Secret if nothing uses it.") from None
    return {
        "changed": False,
        "releases": [release.as_dict() for release in releases],
        "requests": client.requests,
    }


def main() -> None:
    """Entry point."""
    _module.run(_module.PlatformModule(argument_spec=ARGUMENTS, supports_check_mode=True), work)


if __name__ == "__main__":
    main()
