#!/usr/bin/env python3
"""Import the image archive into containerd once: ARCHIVE STAMP.

The file STAMP contains the path of the archive, which identifies its content.
"""

from __future__ import annotations

import pathlib
import subprocess
import sys


def main(archive: str, stamp: pathlib.Path) -> int:
    if stamp.exists() and stamp.read_text() == archive:
        return 0
    # Does not wait: while containerd starts, this fails and the supervisor runs it again.
    ended = subprocess.run(["ctr", "--namespace", "k8s.io", "images", "import", archive], check=False)
    if ended.returncode == 0:
        stamp.write_text(archive)
    return ended.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], pathlib.Path(sys.argv[2])))
