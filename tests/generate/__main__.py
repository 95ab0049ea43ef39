# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m tests.generate` writes all generated files; with `--check` it names those that differ, writes nothing and fails."""

from __future__ import annotations

import sys

from tests.generate.registry import GENERATED


def main(arguments: list[str]) -> int:
    """Exit code."""
    if arguments not in ([], ["--check"]):
        print(f"{' '.join(arguments)} is not an argument; expected none, or --check", file=sys.stderr)
        return 2
    if arguments:
        differ = sorted({entry.path for entry in GENERATED if entry.text() != entry.current()})
        for path in differ:
            print(f"{path} differs from the code that it is made of: run make generate", file=sys.stderr)
        return 1 if differ else 0
    for entry in GENERATED:
        if entry.write():
            print(entry.path)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
