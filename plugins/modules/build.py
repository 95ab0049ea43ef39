#!/usr/bin/python
# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: build
short_description: (internal) Run long build steps, cached by their inputs, with progress
version_added: 0.1.0
author:
  - servicemesh.platform contributors (@servicemesh)
description:
  - "B(Internal:) serves the role P(servicemesh.platform.local_cluster#role) only. Its options and results may change with every version."
  - Runs build steps one after the other on the controller. A step's result is a folder in O(cache) whose name holds a digest of
    the step's command, environment and inputs. A step whose result exists is not run again.
  - While a step runs, a line every 15 seconds shows the number of the step, how long it has been running, and the last line of its log.
  - A result gets its name only when the step has succeeded. A run that is killed leaves no incomplete result.
options:
  cache:
    description: Absolute path of the folder that keeps the results.
    type: path
    required: true
  steps:
    description: The steps, in order.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the step and of its result; lower case letters, digits and V(-).
        type: str
        required: true
      title:
        description: Title of the step in the progress lines. O(steps[].name) by default.
        type: str
      argv:
        description:
          - Command and arguments. V({output}) is the folder for the result, V({output:NAME}) that of an earlier step,
            V({python}) the Python that runs Ansible.
        type: list
        elements: str
        required: true
      chdir:
        description: Folder to run in.
        type: path
      environment:
        description: Environment variables in addition to the controller's own, with the same placeholders.
        type: dict
      inputs:
        description: Files and folders (absolute paths), or plain strings, whose content the result depends on.
        type: list
        elements: str
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
  diff_mode:
    support: none
  idempotent:
    support: full
    description: A step runs only when its result is not in the cache.
  platform:
    support: full
    platforms: posix
"""

EXAMPLES = r"""
- name: Build helm once
  servicemesh.platform.build:
    cache: /var/cache/binaries
    steps:
      - name: helm
        title: helm 3.22
        argv: [go, build, -o, "{output}/helm", helm.sh/helm/v3/cmd/helm]
        chdir: /srv/build/helm
        inputs: [/srv/build/helm/go.sum]
  register: __built
"""

RETURN = r"""
outputs:
  description: Folder of each step's result, by the step's name.
  returned: always
  type: dict
  sample: {helm: /var/cache/binaries/helm-0d4f2ac91be3}
built:
  description: Names of the steps that ran (in check mode, would run).
  returned: always
  type: list
  elements: str
seconds:
  description: Time of all steps together.
  returned: always
  type: float
"""
# The work is done on the controller by plugins/action/build.py.
