# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ClusterRole of a canary, from the table of its rights."""

from __future__ import annotations

import yaml
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.rights import cluster_role

HEAD = """---
# All rights of the module servicemesh.platform.canary; docs/canary.md ("Rights") says where each of them is needed, and why.
# Written by `make generate` from plugins/module_utils/_canary/rights.py.
"""


class IndentedDumper(yaml.SafeDumper):
    """Lists are indented, as yamllint wants them."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, indentless and False)


def text() -> str:
    """Content of the file."""
    return HEAD + yaml.dump(cluster_role(), Dumper=IndentedDumper, sort_keys=False, width=120)
