# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates for what talks TLS."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CA, and certificates of a client, of a server with address and name, and of a server with a name only."""
    room = tmp_path_factory.mktemp("tls")
    new = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-sha256"]
    signed = ["-CA", "ca.pem", "-CAkey", "ca.key", "-addext", "basicConstraints=critical,CA:FALSE"]
    for name, more in (
        ("ca", []),
        ("server", [*signed, "-addext", "subjectAltName=IP:127.0.0.1,DNS:api.example.com"]),
        ("named", [*signed, "-addext", "subjectAltName=DNS:api.example.com"]),
        ("client", [*signed, "-addext", "subjectAltName=DNS:eve"]),
    ):
        argv = [*new, *more, "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.pem"]
        subprocess.run(argv, cwd=room, check=True, capture_output=True, timeout=60)
    return room
