# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes the ClusterRole of a canary from the table of its rights: `python -m tests.canary_role`."""

from __future__ import annotations

from pathlib import Path

import yaml

from tests import conftest  # noqa: F401  # the collection can be imported from here on

# isort: split
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.rights import cluster_role

FILE = Path(__file__).resolve().parents[1] / "docs" / "canary-clusterrole.yml"
HEAD = """---
# All rights of the module servicemesh.platform.canary; docs/canary.md ("Rights") says where each of them is needed, and why.
# Written by `python -m tests.canary_role` from plugins/module_utils/_canary/rights.py.
"""


class _Dumper(yaml.SafeDumper):
    """Lists are indented, as yamllint wants them."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, indentless and False)


def text() -> str:
    """Content of the file."""
    return HEAD + yaml.dump(cluster_role(), Dumper=_Dumper, sort_keys=False, width=120)


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
