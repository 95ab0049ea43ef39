# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Start of the watchdog in its pod, as __main__.py of its archive: says which Python it needs before it uses any of it."""

import os
import sys

NEEDED = (3, 11)
WRONG_PYTHON = 3  # exit code


def main():  # type: ignore[no-untyped-def]  # any Python 3 must be able to read this file
    """Returns the exit code."""
    if sys.version_info[:2] < NEEDED:
        text = "The image's Python is {}; expected {}.{} or newer. Set watchdog.image to another image."
        sys.stdout.write(text.format(sys.version.split()[0], *NEEDED) + "\n")
        return WRONG_PYTHON
    from ansible_collections.servicemesh.platform.plugins.module_utils._canary.watchdog.watch import run

    return run(os.environ)


if __name__ == "__main__":
    raise SystemExit(main())
