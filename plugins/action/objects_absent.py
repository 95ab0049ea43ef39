# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the module ``objects_absent`` in the process of its task."""

from __future__ import annotations

from ansible_collections.servicemesh.platform.plugins.modules import objects_absent
from ansible_collections.servicemesh.platform.plugins.plugin_utils._in_process import InProcessAction


class ActionModule(InProcessAction):
    """Action plugin of ``servicemesh.platform.objects_absent``; the module of that name documents it."""

    MODULE = objects_absent
