# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The load of demo.yml, against a server of this process."""

from __future__ import annotations

import collections
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.contract.tree import ROOT

SCRIPT = ROOT / "playbooks" / "files" / "demo_load.py"


class Gateway:
    """Answers 200 to /good and /other, 401 to /closed, and counts by path and host."""

    def __init__(self) -> None:
        self.seen: collections.Counter[tuple[str, str]] = collections.Counter()
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:  # the name that http.server looks for
                owner.seen[self.path, self.headers["Host"]] += 1
                self.send_response(200 if self.path in ("/good", "/other") else 401)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"ok")

            def log_message(self, *_args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.address = f"127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    found = Gateway()
    yield found
    found.server.shutdown()


def run(gateway: str, rate: int, seconds: float, *paths: str, **changed: str) -> subprocess.CompletedProcess[str]:
    """The script as a pod runs it, with another port and shorter times."""
    text = SCRIPT.read_text(encoding="utf-8").replace("READY_PORT = 8080", "READY_PORT = 0")
    for name, value in changed.items():
        text = text.replace(f"\n{name} = ", f"\n{name} = {value}  # ")
    command = [
        sys.executable,
        "-I",
        "-S",
        "-B",
        "-c",
        text,
        gateway,
        "shop.example.com",
        str(rate),
        str(seconds),
        *paths,
    ]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def test_the_first_path_gets_two_thirds_at_an_even_pace_and_it_ends(gateway: Gateway) -> None:
    begin = time.monotonic()
    done = run(gateway.address, 60, 2.0, "/good", "/closed", "/other")
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - begin < 10
    assert {host for _path, host in gateway.seen} == {"shop.example.com"}
    seen = {path: count for (path, _host), count in gateway.seen.items()}
    assert seen["/closed"] == 1, "it is tried once, and left out"
    assert 60 <= sum(seen.values()) <= 125, seen
    assert 1.5 <= seen["/good"] / seen["/other"] <= 2.5, seen
    assert sum(json.loads(done.stdout).values()) == sum(seen.values())


def test_it_does_not_begin_where_the_first_path_has_no_good_answer(gateway: Gateway) -> None:
    done = run(gateway.address, 50, 60, "/closed", "/good", BEGIN="0.0")
    assert done.returncode == 1
    assert (
        f"GET http://{gateway.address}/closed for host shop.example.com has no good answer: {{'/closed 401': 1}}"
        in done.stdout
    )
    assert set(gateway.seen) == {("/closed", "shop.example.com")}
