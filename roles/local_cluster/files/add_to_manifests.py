#!/usr/bin/env python3
"""Copy a folder and add files of another one: a file that exists in both is the first one followed by the second."""

from __future__ import annotations

import argparse
import pathlib
import shutil
import sys


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=pathlib.Path)
    parser.add_argument("source", type=pathlib.Path)
    parser.add_argument("additions", type=pathlib.Path)
    options = parser.parse_args()
    shutil.copytree(options.source, options.output, dirs_exist_ok=True)
    for path in options.additions.rglob("*"):
        if path.is_file():
            with (options.output / path.relative_to(options.additions)).open("ab") as target:
                target.write(path.read_bytes())
    return 0


if __name__ == "__main__":
    sys.exit(main())
