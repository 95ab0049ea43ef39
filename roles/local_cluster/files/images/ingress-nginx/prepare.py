#!/usr/bin/env python3
"""Create the build context of the ingress-nginx image: remove the template's stream block, add writable folders.

Debian's nginx has no Lua for streams, so nginx could not start with that block. This image does not support TCP and UDP services.
"""

from __future__ import annotations

import pathlib
import sys


def without_stream(template: str) -> str:
    """Return the template without its top-level `stream { ... }`."""
    lines = template.splitlines(keepends=True)
    start = next(number for number, line in enumerate(lines) if line.startswith("stream {"))
    end = next(number for number, line in enumerate(lines[start:], start) if line.startswith("}"))
    return "".join(lines[:start] + lines[end + 1 :])


def main(context: pathlib.Path) -> None:
    template = context / "assets/etc-nginx/template/nginx.tmpl"
    template.write_text(without_stream(template.read_text()))
    writable = context / "writable"
    for folder in (
        "etc/ingress-controller/ssl",
        "etc/ingress-controller/auth",
        "etc/ingress-controller/telemetry",
        "tmp/nginx",
        "var/lib/nginx/body",
        "var/log/nginx",
    ):
        (writable / folder).mkdir(parents=True)
        (writable / folder / ".keep").touch()
    (writable / "var/log/nginx/access.log").symlink_to("/dev/stdout")
    (writable / "var/log/nginx/error.log").symlink_to("/dev/stderr")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
