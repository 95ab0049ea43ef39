# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The real Pushgateway on loopback, built from its Go module: a minute without caches, once for each state of go.mod and go.sum."""

from __future__ import annotations

import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType

from tests.go_program import built

_HERE = Path(__file__).parent
_SOURCES = (_HERE / "go.mod", _HERE / "go.sum")


class Server:
    """A Pushgateway that forgets what it had when it ends. It starts at the same address again."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._program = built("pushgateway", _SOURCES, "github.com/prometheus/pushgateway")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{probe.getsockname()[1]}"
        self.url = f"http://{self.address}"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Server:
        self.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        with self._log.open("ab") as log:
            command = [str(self._program), f"--web.listen-address={self.address}"]
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        end = time.monotonic() + 20
        while True:
            try:
                self.page()
                return
            except (urllib.error.URLError, ConnectionError):
                assert self._process.poll() is None, self._log.read_text()
                assert time.monotonic() < end, self._log.read_text()
                time.sleep(0.05)

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def page(self) -> str:
        """What it is scraped for."""
        with urllib.request.urlopen(f"{self.url}/metrics", timeout=5) as answer:
            return str(answer.read().decode())

    def series(self, prefix: str = "servicemesh_canary_") -> dict[str, str]:
        """{series: value} of what was pushed."""
        lines = [line.rpartition(" ") for line in self.page().split("\n") if line.startswith(prefix)]
        return {name: value for name, _space, value in lines}
