# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ClusterRole of a canary, from the table of its rights."""

from __future__ import annotations

from ansible_collections.servicemesh.platform.plugins.module_utils._canary.rights import cluster_role

from tests.generate.yaml_text import dumped

HEAD = """---
# All rights of the module servicemesh.platform.canary; docs/canary.md ("Rights") says where each of them is needed, and why.
# Written by `make generate` from plugins/module_utils/_canary/rights.py.
"""


def text() -> str:
    """Content of the file."""
    return HEAD + dumped(cluster_role())
