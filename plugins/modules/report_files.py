#!/usr/bin/python
# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: report_files
short_description: Write reports on the controller, so that they never decide how a run ends
version_added: 0.1.0
author:
  - servicemesh.platform contributors (@servicemesh)
description:
  - Writes files into a folder on the controller. When a file cannot be written there, it goes to a temporary folder, a warning names both,
    and the task does not fail.
  - With O(state=checked) nothing is written. A folder that cannot be written is then a failure, so that a playbook can find out before it
    does anything.
  - Nothing is written into the folder of an installed collection, to devices or over folders.
options:
  folder:
    description: The folder. It is created. A relative path is relative to the current directory of C(ansible-playbook).
    type: str
    required: true
  files:
    description: Name of each file, and its content.
    type: dict
    required: true
  state:
    description: Whether to write the files, or only to find out whether they can be written.
    type: str
    choices: [checked, written]
    default: written
  fallback:
    description: Whether O(state=checked) only warns. This is for a default that nobody chose.
    type: bool
    default: false
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
  - module: servicemesh.platform.mtls_probe
"""

EXAMPLES = r"""
- name: Check that the report can be written
  servicemesh.platform.report_files:
    folder: reports
    files: {mtls.json: ""}
    state: checked

- name: Write the report
  servicemesh.platform.report_files:
    folder: reports
    files:
      mtls.json: "{{ __mtls | to_nice_json }}"
"""

RETURN = r"""
paths:
  description: The files. With O(state=written), those that were written.
  returned: success
  type: list
  elements: str
  sample: [/runner/project/reports/mtls.json]
"""
