#!/usr/bin/env python3
"""Query a DNS server until it resolves a name: SERVER NAME SECONDS. Prints the address; exits with 1 after the timeout.

After a restart the API server still returns the state from before it, but an answer of the DNS server is current.
"""

from __future__ import annotations

import socket
import struct
import sys
import time


def query(name: str) -> bytes:
    """A query for the name's IPv4 address (RFC 1035, 4.1)."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.strip(".").split("."))
    return struct.pack(">HHHHHH", 1, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">HH", 1, 1)


def address(answer: bytes) -> str | None:
    """The last four bytes of a successful answer are the address of its only record."""
    _identity, flags, _questions, answers, _authorities, _additional = struct.unpack(">HHHHHH", answer[:12])
    return socket.inet_ntoa(answer[-4:]) if flags & 0x000F == 0 and answers else None


def ask(server: str, name: str) -> str | None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as talk:
        talk.settimeout(1.0)
        try:
            talk.sendto(query(name), (server, 53))
            return address(talk.recv(512))
        except OSError:
            return None


def main(server: str, name: str, seconds: float) -> int:
    deadline = time.monotonic() + seconds
    while True:
        found = ask(server, name)
        if found:
            print(found)
            return 0
        if time.monotonic() > deadline:
            print(f"{server} did not resolve {name} within {seconds:.0f} s", file=sys.stderr)
            return 1
        time.sleep(0.2)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], float(sys.argv[3])))
