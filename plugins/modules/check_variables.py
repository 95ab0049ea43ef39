#!/usr/bin/python
# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: check_variables
short_description: Check the variables of all roles of a play before the first of them runs
version_added: 0.1.0
author:
  - servicemesh.platform contributors (@servicemesh)
description:
  - Fails with all findings at once when a variable has the prefix of a role of this collection, or C(platform_), but nothing reads it;
    when a value does not fit a role's argument specification; when a port, weight, number of pods, time or name is out of range; when
    variables of a role do not go together; when the settings of a canary (C(platform_canary)) are unknown or out of range; when a chart's
    local path or the kubeconfig does not exist; when Istio, the ingress or Prometheus is C(absent) (C(platform_istio),
    C(platform_ingress), C(platform_prometheus)) and the run uses it.
  - With O(playbook), also checks the arguments of a playbook of this collection, and fails when an extra variable is an argument of
    another one or a misspelt argument, or when no task has a tag of C(--tags) or C(--skip-tags).
  - Extra variables of AWX (C(awx_), C(tower_)), those that the inventory defines or uses, and those in O(ignore) pass. A warning names
    other extra variables that nothing reads.
  - Ansible itself checks the arguments of a role when the role starts, after the roles before it have changed the cluster, and it ignores
    a misspelt variable.
  - Runs on the controller and needs no cluster.
options:
  roles:
    description:
      - Roles whose values are checked, with or without the collection's name. All roles of the play by default.
      - Unknown variables are always searched under the prefixes of all roles.
    type: list
    elements: str
  ignore:
    description: Names of variables that have a role's prefix and another purpose.
    type: list
    elements: str
    default: []
  playbook:
    description: Playbook of this collection whose arguments are checked, for example V(canary). They are in its file C(canary.meta.yml).
    type: str
  canary_settings:
    description: Whether the playbook takes settings of a canary as extra variables, see RV(canary_settings).
    type: bool
    default: false
  kubeconfig:
    description: Whether the files in C(platform_kubeconfig) must exist.
    type: bool
    default: true
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
"""

EXAMPLES = r"""
- name: Check the variables of every role of the play
  servicemesh.platform.check_variables:

- name: Check the variables of two roles, and ignore a variable of the inventory
  servicemesh.platform.check_variables:
    roles: [istio, datastore]
    ignore: [istio_team_contact]

- name: Check the arguments of status.yml, and the variables
  servicemesh.platform.check_variables:
    playbook: status
"""

RETURN = r"""
roles:
  description: The roles whose values were checked.
  returned: always
  type: list
  elements: str
  sample: [istio, datastore]
arguments:
  description: Arguments of O(playbook) with the types of their options, and the defaults of those that were not given.
  returned: when nothing is wrong
  type: dict
  sample: {service: user-service, version: v1.1}
canary_settings:
  description: Settings of a canary that were given as extra variables.
  returned: when nothing is wrong
  type: dict
  sample: {pause_at: 20}
"""
