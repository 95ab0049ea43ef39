#!/usr/bin/python
# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: platform_page
short_description: Write a page that tells how the platform is
version_added: 0.1.0
author:
  - servicemesh.platform contributors (@servicemesh)
description:
  - Makes one HTML page, which loads nothing, of what M(servicemesh.platform.platform_info) and M(servicemesh.platform.traffic_info) found.
    It says whether the platform is up, fast and encrypted, who calls whom, what is going out, which alerts fire, and what is left of error
    budgets.
  - What was not read is named as unknown, and never shown as well.
  - Runs on the controller and needs no cluster. A page that cannot be written at its place goes to a temporary file, with a warning.
options:
  path:
    description: File of the page. Missing folders are created. Empty writes none.
    type: str
    required: true
  cluster:
    description: Name of the cluster.
    type: str
    required: true
  platform:
    description: Result of M(servicemesh.platform.platform_info).
    type: dict
    required: true
  traffic:
    description: Result of M(servicemesh.platform.traffic_info).
    type: dict
    required: true
  p95_ms:
    description: A service whose 95th percentile of the duration is above this is slow. In milliseconds.
    type: float
    default: 1000
  error_ratio:
    description: A service of which a larger share of the requests fails is not well.
    type: float
    default: 0.05
  telemetry:
    description:
      - Hosts that take traces and access logs, as the lookup P(servicemesh.platform.mesh_telemetry#lookup) names them.
      - Everybody calls them, so what is mutual TLS of this is not drawn. It is in the table of calls, and part of the answer.
    type: list
    elements: str
    default: []
  mtls_report:
    description: HTML report of M(servicemesh.platform.mtls_probe). The page has a link to it when it is there.
    type: str
    default: ""
  canary_reports:
    description: Folder with reports of canaries. The page has links to those of its services that are there. Empty for none.
    type: str
    default: .
  reports:
    description: Name and file of other reports. The page has links to those that are there.
    type: dict
    default: {}
extends_documentation_fragment:
  - action_common_attributes
  - action_common_attributes.flow
attributes:
  action:
    support: full
  async:
    support: none
  bypass_host_loop:
    support: none
  check_mode:
    support: full
    description: Never changes a managed host. In check mode nothing is written.
  diff_mode:
    support: none
  platform:
    platforms: posix
seealso:
  - module: servicemesh.platform.platform_info
  - module: servicemesh.platform.traffic_info
"""

EXAMPLES = r"""
- name: Read the platform's workloads
  servicemesh.platform.platform_info:
  register: __platform

- name: Read how the services do
  servicemesh.platform.traffic_info:
    prometheus: "{{ lookup('servicemesh.platform.prometheus_address') }}"
  register: __traffic

- name: Write the page
  servicemesh.platform.platform_page:
    path: reports/status.html
    cluster: "{{ inventory_hostname }}"
    platform: "{{ __platform }}"
    traffic: "{{ __traffic }}"
"""

RETURN = r"""
path:
  description: The page, empty when none was written.
  returned: success
  type: str
  sample: /srv/reports/status.html
answer:
  description: V(yes) when everything is well, V(no) when something is not, V(unknown) when not everything is known.
  returned: success
  type: str
  sample: "yes"
text:
  description: The same in a sentence.
  returned: success
  type: str
  sample: Up, fast enough, and every call that was seen is mutual TLS.
reports:
  description: Reports that the page has links to.
  returned: success
  type: list
  elements: str
  sample: [/srv/reports/mtls-prod-eu-1.html]
"""
