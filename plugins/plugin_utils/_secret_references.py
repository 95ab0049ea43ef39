# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""References to Secrets in variables, `{secret: NAME, key: KEY}`. No I/O.

PRIVATE: may change at any time.
"""

from __future__ import annotations

import typing as t
from collections.abc import Iterable, Mapping


def is_reference(value: t.Any) -> t.TypeGuard[Mapping[str, t.Any]]:
    """Whether a value has the form of a reference; what is in it may be wrong."""
    return isinstance(value, Mapping) and set(value) == {"secret", "key"}


def keys_of(references: Iterable[Mapping[str, t.Any]]) -> dict[str, list[str]]:
    """Secret -> its keys that are referred to, both in alphabetical order."""
    found: dict[str, set[str]] = {}
    for reference in references:
        found.setdefault(str(reference["secret"]), set()).add(str(reference["key"]))
    return {name: sorted(keys) for name, keys in sorted(found.items())}
