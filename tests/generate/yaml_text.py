# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""YAML as yamllint wants it."""

from __future__ import annotations

from typing import Any

import yaml


class _Dumper(yaml.SafeDumper):
    """Lists are indented, and a list that occurs twice is written twice."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, indentless and False)

    def ignore_aliases(self, _data: Any) -> bool:
        return True


def dumped(data: Any, indent: int = 0, width: int = 140) -> str:
    """A value as YAML in block style, each line after `indent` spaces. Lines are broken after the first word beyond `width`."""
    text = yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=width - indent)
    return "".join(" " * indent + line for line in text.splitlines(keepends=True))
