#!/usr/bin/env python3
"""Copy a folder and add files of another one: a file that exists in both is the first one followed by the second.

A chart that gets files gets a version of its own: releases are compared by the versions of their charts.
"""

from __future__ import annotations

import argparse
import hashlib
import pathlib
import re
import shutil
import sys


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=pathlib.Path)
    parser.add_argument("source", type=pathlib.Path)
    parser.add_argument("additions", type=pathlib.Path)
    options = parser.parse_args()
    shutil.copytree(options.source, options.output, dirs_exist_ok=True)
    digest = hashlib.sha256()
    for path in sorted(options.additions.rglob("*")):
        if path.is_file():
            digest.update(path.read_bytes())
            with (options.output / path.relative_to(options.additions)).open("ab") as target:
                target.write(path.read_bytes())
    for chart in options.output.rglob("Chart.yaml"):
        if (options.additions / chart.relative_to(options.output)).parent.is_dir():
            own = rf"version: \1+{digest.hexdigest()[:8]}"
            chart.write_text(re.sub(r"(?m)^version: (\S+)$", own, chart.read_text()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
