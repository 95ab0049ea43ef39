#!/usr/bin/env python3
"""Build one pinned Go module of binaries/ and gather what else the cluster needs from its dependencies.

The module names its commands in `tool` lines (or is a command itself). --asset TARGET=MODULE:PATH copies a file or folder
out of a dependency's source, so that charts, CRDs and templates are of the very version that was compiled. --missing MODULE:PATH stands in
for a file that a dependency embeds and its module does not have, such as a web page that its release builds.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile


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


def fill_in(go: str, specs: list[str], scratch: pathlib.Path) -> list[str]:
    """Copy modules into scratch, with an empty file at each MODULE:PATH; return go's flags for a build that takes the copies.

    Files of the module cache itself are read-only, and go refuses overlays for them.
    """
    for name in ("go.mod", "go.sum"):
        shutil.copyfile(name, scratch / name)
    for number, spec in enumerate(specs):
        module, path = spec.split(":", 1)
        # go list has no folder for a module that was not downloaded yet.
        folder = pathlib.Path(json.loads(run(go, "mod", "download", "-json", module))["Dir"])
        copy = scratch / str(number)
        shutil.copytree(folder, copy, copy_function=shutil.copyfile)
        for item in [copy, *copy.rglob("*")]:
            item.chmod(0o755 if item.is_dir() else 0o644)
        (copy / path).parent.mkdir(parents=True, exist_ok=True)
        (copy / path).touch()
        run(go, "mod", "edit", f"-replace={module}={copy}", str(scratch / "go.mod"))
    return [f"-modfile={scratch}/go.mod"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("module", type=pathlib.Path, help="folder with go.mod")
    parser.add_argument("output", type=pathlib.Path)
    parser.add_argument("--ldflags", default="-s -w")
    parser.add_argument("--tags", default="", help="build tags, with commas")
    parser.add_argument("--asset", action="append", default=[], metavar="TARGET=MODULE:PATH")
    parser.add_argument("--missing", action="append", default=[], metavar="MODULE:PATH")
    options = parser.parse_args()
    output = options.output.resolve()
    (output / "bin").mkdir(parents=True)
    os.chdir(options.module)
    go = os.environ.get("GO", "go")
    os.environ.update(CGO_ENABLED="0", GOFLAGS="-mod=readonly -trimpath", GOTOOLCHAIN="local", GOWORK="off")
    tools = [tool["Path"] for tool in json.loads(run(go, "mod", "edit", "-json")).get("Tool") or []] or ["."]
    print(f"downloading modules and compiling {' '.join(tools)}", flush=True)
    flags = [f"-tags={options.tags}"] if options.tags else []
    with tempfile.TemporaryDirectory(dir=output.parent) as scratch:
        flags += fill_in(go, options.missing, pathlib.Path(scratch)) if options.missing else []
        subprocess.run([go, "build", *flags, "-ldflags", options.ldflags, "-o", f"{output}/bin/", *tools], check=True)
    for spec in options.asset:
        copy_asset(go, spec, output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
