# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bounded load for demo.yml, in a pod: GET requests at an even pace to the platform's own gateway, until a deadline.

Arguments: gateway (host:port), host of the platform, requests a second, seconds, paths. The first path gets two thirds of the requests, the
others share the rest; of these, those that do not answer 2xx at first (a token is needed, for example) are left out. Only Python's standard
library is used: it runs in any image with Python 3.
"""

from __future__ import annotations

import collections
import http.client
import json
import socket
import sys
import threading
import time

WORKERS = 8
TIMEOUT = 10.0  # seconds for one answer
BEGIN = 60.0  # seconds within which the first path has to answer 2xx
READY_PORT = 8080  # open once it did: the pod's readiness


class Load:
    """Requests of several threads to one gateway."""

    def __init__(self, gateway: str, host: str) -> None:
        self.gateway, self.host = gateway, host
        self.seen: collections.Counter[str] = collections.Counter()

    def get(self, connection: http.client.HTTPConnection, path: str) -> int:
        """Status of an answer, 0 without one; it is counted."""
        try:
            connection.request("GET", path, headers={"Host": self.host, "User-Agent": "servicemesh-demo"})
            answer = connection.getresponse()
            answer.read()
            status = answer.status
        except (OSError, http.client.HTTPException):
            connection.close()  # the next request opens it again
            status = 0
        self.seen[f"{path} {status}"] += 1
        return status

    def connection(self) -> http.client.HTTPConnection:
        """A new connection to the gateway."""
        return http.client.HTTPConnection(self.gateway, timeout=TIMEOUT)

    def works(self, path: str, seconds: float) -> bool:
        """Whether a path answers 2xx within a time."""
        end = time.monotonic() + seconds
        while True:
            if 200 <= self.get(self.connection(), path) < 300:
                return True
            if time.monotonic() > end:
                return False
            time.sleep(1)

    def run(self, paths: list[str], pause: float, first: float, end: float) -> None:
        """Requests of one thread, one each `pause` seconds from `first` (seconds from now) on."""
        connection = self.connection()
        due = time.monotonic() + first
        number = 0
        while due < end:
            time.sleep(max(0.0, due - time.monotonic()))
            self.get(connection, paths[number % len(paths)])
            number += 1
            due = max(due + pause, time.monotonic() - pause)  # what was missed is not made up for


def mixed(first: str, others: list[str]) -> list[str]:
    """Paths in the order of the requests: two of the first, and one of the others in turn."""
    return [path for other in others or [first] for path in (first, first, other)]


def main(gateway: str, host: str, rate: str, seconds: str, *paths: str) -> int:
    """Exit status: 1 when the first path does not work."""
    load, end = Load(gateway, host), time.monotonic() + float(seconds)
    if not load.works(paths[0], BEGIN):
        print(f"GET http://{gateway}{paths[0]} for host {host} has no good answer: {dict(load.seen)}", flush=True)
        return 1
    order = mixed(paths[0], [path for path in paths[1:] if load.works(path, 0)])
    ready = socket.create_server(("", READY_PORT))
    pause = WORKERS / float(rate)
    threads = [
        threading.Thread(target=load.run, args=(order[number:] + order[:number], pause, pause * number / WORKERS, end))
        for number in range(WORKERS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ready.close()
    print(json.dumps(load.seen, sort_keys=True), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
