# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Serves the watchdog's page of metrics, in a thread of its own: one client at a time, one path, nothing that changes anything."""

from __future__ import annotations

import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

from ansible_collections.servicemesh.platform.plugins.module_utils._canary.series import CONTENT_TYPE

# The port at which Prometheus finds the proxies: a NetworkPolicy that lets it reach those lets it reach the watchdog.
PORT = 15020
PATH = "/metrics"
_PATIENCE = 2.0  # seconds for a client to send its request: others wait meanwhile


class Page:
    """The text that is served; empty until there is one."""

    text = ""


def serve(page: Page, port: int = PORT) -> HTTPServer | None:
    """Starts the thread. None when there is no address to listen at; the watchdog does its work without."""

    class Handler(BaseHTTPRequestHandler):
        """Answers GET of one path."""

        timeout = _PATIENCE
        server_version, sys_version = "watchdog", ""

        def do_GET(self) -> None:
            """The page, 404 for another path, 503 before the rollout was read."""
            body = page.text.encode()
            found = self.path == PATH
            self.send_response(200 if found and body else 503 if found else 404)
            self.send_header("Content-Type", CONTENT_TYPE)
            self.send_header("Content-Length", str(len(body) if found else 0))
            self.end_headers()
            if found:
                self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """The log is about the rollout."""

    for family, address in ((socket.AF_INET6, "::"), (socket.AF_INET, "")):
        try:
            server = type("Server", (HTTPServer,), {"address_family": family})((address, port), Handler)
        except OSError:
            continue
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return server
    return None
