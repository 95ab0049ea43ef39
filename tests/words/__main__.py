# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find words that this repository does not use: ``python -m tests.words``. Part of ``make lint``.

The list stands in ``words.yml`` beside this file: what not to write, what to write instead, and where the word is right all the same.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.words.check import findings, load, tracked

HERE = Path(__file__).parent
ROOT = HERE.parent.parent


def main() -> int:
    """1 when a word was found, else 0."""
    found = findings(load((HERE / "words.yml").read_text(encoding="utf-8")), tracked(ROOT))
    for finding in found:
        print(finding)
    if found:
        print(
            f"{len(found)} words of tests/words/words.yml. Write what it says instead, or add an exception with its reason."
        )
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
