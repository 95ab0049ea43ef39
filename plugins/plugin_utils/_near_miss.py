# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names that are almost other names, for messages and refusals. No I/O.

PRIVATE: may change at any time.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection

SUGGESTED = 0.6  # similarity (0 to 1) from which a name that is refused anyway gets a suggestion
ARGUMENT = 0.8  # from which a name counts as a misspelt argument: `imgae` is image, `app_version` is a name of its own
PREFIXED = 0.88  # likewise for long names with a prefix, which resemble each other more: `cart_service_replicas`


def _plain(name: str) -> str:
    """What a person may change in a name without noticing it: case, and the characters between words."""
    return name.lower().replace("-", "").replace("_", "")


def closest(name: str, known: Collection[str], cutoff: float = SUGGESTED) -> str | None:
    """The known name that is most similar to `name`, None when none is similar enough. Case, `-` and `_` do not count."""
    same = {_plain(other): other for other in sorted(known, reverse=True)}
    if meant := same.get(_plain(name)):
        return meant
    matches = difflib.get_close_matches(name, sorted(known), n=1, cutoff=cutoff)
    return matches[0] if matches else None


def suggestion(name: str, known: Collection[str]) -> str:
    """The end of a message about an unknown name: `; did you mean version?`, empty when no known name is similar."""
    match = closest(name, known)
    return f"; did you mean {match}?" if match else ""
