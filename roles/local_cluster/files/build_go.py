#!/usr/bin/env python3
"""Build one pinned Go module of binaries/ and gather what else the cluster needs from its dependencies.

The module names its commands in `tool` lines (or is a command itself). --asset TARGET=MODULE:PATH copies a file or folder
out of a dependency's source, so that charts, CRDs and templates are of the very version that was compiled.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys


def run(go: str, *words: str) -> str:
    """Run go with these words and return what it printed."""
    done = subprocess.run([go, *words], check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout


def copy_asset(go: str, spec: str, output: pathlib.Path) -> None:
    """Copy TARGET=MODULE:PATH; the module cache is read-only, the copy is not."""
    target, source = spec.split("=", 1)
    module, path = source.split(":", 1)
    folder = pathlib.Path(run(go, "list", "-m", "-f", "{{.Dir}}", module).strip())
    destination = output / target
    destination.parent.mkdir(parents=True, exist_ok=True)
    if (folder / path).is_dir():
        shutil.copytree(folder / path, destination, copy_function=shutil.copyfile)
    else:
        shutil.copyfile(folder / path, destination)
    for item in [destination, *destination.rglob("*")]:
        item.chmod(0o755 if item.is_dir() else 0o644)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("module", type=pathlib.Path, help="folder with go.mod")
    parser.add_argument("output", type=pathlib.Path)
    parser.add_argument("--ldflags", default="-s -w")
    parser.add_argument("--asset", action="append", default=[], metavar="TARGET=MODULE:PATH")
    options = parser.parse_args()
    output = options.output.resolve()
    (output / "bin").mkdir(parents=True)
    os.chdir(options.module)
    go = os.environ.get("GO", "go")
    os.environ.update(CGO_ENABLED="0", GOFLAGS="-mod=readonly -trimpath", GOTOOLCHAIN="local", GOWORK="off")
    tools = [tool["Path"] for tool in json.loads(run(go, "mod", "edit", "-json")).get("Tool") or []] or ["."]
    print(f"downloading modules and compiling {' '.join(tools)}", flush=True)
    subprocess.run([go, "build", "-ldflags", options.ldflags, "-o", f"{output}/bin/", *tools], check=True)
    for spec in options.asset:
        copy_asset(go, spec, output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
