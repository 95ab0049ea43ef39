#!/usr/bin/python
# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: platform_table
short_description: Print a list of dicts as an aligned table
version_added: 0.1.0
author:
  - servicemesh.platform contributors (@servicemesh)
description:
  - Prints a heading and one line for each row, independent of the format in which Ansible shows results.
  - Runs on the controller and needs no cluster.
options:
  rows:
    description: The rows.
    type: list
    elements: dict
    required: true
  columns:
    description: Keys of the rows, in the order of the columns.
    type: list
    elements: str
    required: true
  title:
    description: A line above the table.
    type: str
    default: ""
  footer:
    description: A line below the table.
    type: str
    default: ""
  max_width:
    description: Number of characters after which the text of a cell is cut, V(0) for no limit.
    type: int
    default: 0
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
    description: Never changes anything.
  diff_mode:
    support: none
  platform:
    platforms: posix
seealso:
  - module: servicemesh.platform.platform_info
"""

EXAMPLES = r"""
- name: Print the platform's workloads
  servicemesh.platform.platform_table:
    title: Services
    columns: [name, version, health]
    rows:
      - {name: user-service, version: v1.0, health: healthy}
"""

RETURN = r"""
lines:
  description: The printed lines.
  returned: always
  type: list
  elements: str
  sample: ["NAME          VERSION  HEALTH", "user-service  v1.0     healthy"]
"""
