# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A TCP proxy on loopback that delays a server's answers: `python -m tests.benchmarks._delay_proxy HOST PORT SECONDS`.

It prints its port and ends when its standard input ends, so it cannot outlive its parent.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import selectors
import socket
import sys

_CHUNK = 1 << 18


async def _now(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: float) -> None:
    """To the server: the first bytes wait for the time that the handshake of a connection would need."""
    await asyncio.sleep(delay)
    while data := await reader.read(_CHUNK):
        writer.write(data)
        await writer.drain()
    writer.write_eof()


async def _later(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: float) -> None:
    """To the client: send each piece `delay` seconds after it arrived, in order, with any number waiting at the same time."""
    loop = asyncio.get_running_loop()
    under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

    async def read() -> None:
        data = b"x"
        while data:
            data = await reader.read(_CHUNK)
            under_way.put_nowait((loop.time() + delay, data))

    reading = asyncio.create_task(read())
    try:
        while True:
            due, data = await under_way.get()
            if (wait := due - loop.time()) > 0:
                await asyncio.sleep(wait)
            if not data:
                writer.write_eof()
                return
            writer.write(data)
            await writer.drain()
    finally:
        reading.cancel()


async def _serve(host: str, port: int, delay: float) -> None:
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            to_reader, to_writer = await asyncio.open_connection(host, port)
            for end in (writer, to_writer):
                end.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                await asyncio.gather(_now(reader, to_writer, delay), _later(to_reader, writer, delay))
            finally:
                to_writer.close()
                writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    ended = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), ended.set)
    await ended.wait()
    os._exit(0)  # the kernel closes open connections; no reader is left


def main() -> None:
    """Entry point."""
    host, port, delay = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    # select() takes microseconds, epoll rounds up to the next millisecond.
    loop = asyncio.SelectorEventLoop(selectors.SelectSelector())
    loop.run_until_complete(_serve(host, port, delay))


if __name__ == "__main__":
    main()
