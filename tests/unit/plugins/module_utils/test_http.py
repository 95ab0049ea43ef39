# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""GET requests to servers that answer anything: each ends in its time, with an answer or a reason."""

from __future__ import annotations

import socket
import time
from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils import _http
from ansible_collections.servicemesh.platform.plugins.module_utils._http import NoReplyError

from tests.unit.plugins.module_utils.conftest import RawServer

SECONDS, MOST = 0.4, 2000
OK = b"HTTP/1.1 200 OK\r\n"


def answer(body: bytes, *headers: bytes, status: bytes = OK) -> bytes:
    return status + b"".join(header + b"\r\n" for header in headers) + b"\r\n" + body


def lasting(first: bytes, piece: bytes) -> Any:
    """A talk that never ends by itself."""

    def talk(connection: socket.socket) -> None:
        connection.sendall(first)
        while True:
            connection.sendall(piece)
            time.sleep(0.02)

    return talk


def get(raw: RawServer, **options: Any) -> _http.Reply:
    return _http.get(raw.url + "/x?token=t", **{"seconds": 5.0, "most": MOST, **options})


BROKEN = {
    "a short body": (answer(b"12345", b"Content-Length: 100"), "ended after 5 of 100 bytes"),
    "no HTTP": (b"HELLO\r\n\r\n", "not valid HTTP"),
    "nothing": (b"", "not valid HTTP"),
    "a broken chunk": (answer(b"zz\r\n1\r\n", b"Transfer-Encoding: chunked"), "not valid HTTP"),
    "a chunk that is cut off": (answer(b"5\r\n12", b"Transfer-Encoding: chunked"), "not valid HTTP"),
    "no last chunk": (answer(b"2\r\n12\r\n", b"Transfer-Encoding: chunked"), "not valid HTTP"),
    "a length that is none": (answer(b"1", b"Content-Length: one"), "no valid Content-Length"),
    "a negative length": (answer(b"1", b"Content-Length: -1"), "no valid Content-Length"),
    "two lengths": (answer(b"12", b"Content-Length: 1", b"Content-Length: 2"), "no valid Content-Length"),
    "100 MB, announced": (answer(b"1", b"Content-Length: 100000000"), f"longer than {MOST} bytes"),
    "too long": (answer(b"1" * (MOST + 1)), f"longer than {MOST} bytes"),
    "too long in chunks": (
        answer(b"%x\r\n" % (MOST + 1) + b"1" * (MOST + 1) + b"\r\n0\r\n\r\n", b"Transfer-Encoding: chunked"),
        f"longer than {MOST} bytes",
    ),
    "compressed": (answer(b"\x1f\x8b", b"Content-Encoding: gzip"), r"compressed \(gzip\)"),
    "too many headers": (answer(b"1", *[b"X: y"] * 200), "not valid HTTP"),
    "a long header": (answer(b"1", b"X: " + b"y" * 70000), "not valid HTTP"),
    "a redirect loop": (answer(b"", b"Location: /x", status=b"HTTP/1.1 302 Found\r\n"), "redirects more than 5 times"),
    "a redirect to a file": (
        answer(b"", b"Location: file:///etc/passwd", status=b"HTTP/1.1 301 X\r\n"),
        "from http to file",
    ),
    "a redirect to ftp": (answer(b"", b"Location: ftp://x/y", status=b"HTTP/1.1 307 X\r\n"), "from http to ftp"),
    "a redirect to no URL": (answer(b"", b"Location: http://[x", status=b"HTTP/1.1 302 X\r\n"), "not valid"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_answer_has_a_reason(raw: RawServer, case: str) -> None:
    sent, reason = BROKEN[case]
    raw.says(sent)
    with pytest.raises(NoReplyError, match=reason):
        get(raw)


SLOW = {
    "silence": lasting(b"", b""),
    "a status line without an end": lasting(b"HTTP/1.1 2", b"0"),
    "headers without an end": lasting(OK, b"X"),
    "continued for ever": lasting(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "a byte now and then": lasting(answer(b""), b"1"),
    "a byte of a known length": lasting(answer(b"", b"Content-Length: 1999"), b"1"),
    "a chunk now and then": lasting(answer(b"", b"Transfer-Encoding: chunked"), b"1\r\n1\r\n"),
}


@pytest.mark.parametrize("case", SLOW)
def test_the_time_limit_is_for_the_whole_answer(raw: RawServer, case: str) -> None:
    raw.talk = SLOW[case]
    start = time.monotonic()
    with pytest.raises(NoReplyError, match=r"no complete answer within 0\.4 s"):
        get(raw, seconds=SECONDS)
    assert time.monotonic() - start < SECONDS + 2


def test_redirects_and_slow_resolvers_have_the_same_time(raw: RawServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def redirect(connection: socket.socket) -> None:
        time.sleep(0.15)
        connection.sendall(answer(b"", b"Location: /x", status=b"HTTP/1.1 302 X\r\n"))

    raw.talk = redirect
    with pytest.raises(NoReplyError, match=r"within 0\.4 s"):
        get(raw, seconds=SECONDS)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_options: time.sleep(3))
    with pytest.raises(NoReplyError, match=r"within 0\.4 s"):
        get(raw, seconds=SECONDS)


def test_what_cannot_be_reached_has_a_reason(raw: RawServer, monkeypatch: pytest.MonkeyPatch) -> None:
    raw.says(answer(b"1"))
    for url, reason in (
        (raw.url.replace("http:", "https:"), "."),
        ("http://127.0.0.1:1/", "refused"),
        ("ftp://x", "scheme 'ftp'"),
        ("http://", "."),
        ("http://a b/", "not valid"),
    ):
        with pytest.raises(NoReplyError, match=reason):
            _http.get(url, seconds=5.0, most=MOST)
    with pytest.raises(NoReplyError) as caught:
        get(raw, headers={"Authorization": "Bearer secret\n"})
    assert "secret" not in str(caught.value)

    def unknown(*_args: Any, **_options: Any) -> Any:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(NoReplyError, match=r"the name nobody\.example cannot be resolved"):
        _http.get("http://nobody.example/", seconds=5.0, most=MOST)


@pytest.mark.parametrize("status", [200, 404, 500])
@pytest.mark.parametrize(
    "headers",
    [(b"Content-Length: 2",), (), (b"Transfer-Encoding: chunked",)],
    ids=["length", "until the end", "chunks"],
)
def test_a_complete_answer_comes_back(raw: RawServer, status: int, headers: tuple[bytes, ...]) -> None:
    body = b"2\r\n{}\r\n0\r\n\r\n" if b"Transfer-Encoding: chunked" in headers else b"{}"
    raw.says(answer(body, *headers, status=b"HTTP/1.1 %d X\r\n" % status))
    assert get(raw, headers={"X-A": "b"}) == _http.Reply(status, b"{}")
    assert raw.seen[0].startswith(b"GET /x?token=t HTTP/1.1\r\n")
    assert b"X-A: b" in raw.seen[0]


def test_another_host_gets_no_credentials(raw: RawServer) -> None:
    other = RawServer()
    other.says(answer(b"1"))
    redirect = b"Location: http://u:p@localhost:%d/y" % other.port
    raw.talk = lambda connection: connection.sendall(
        answer(b"", redirect, status=b"HTTP/1.1 302 X\r\n")
        if len(raw.seen) > 1
        else answer(b"", b"Location: /z", status=b"HTTP/1.1 302 X\r\n")
    )
    assert get(raw, headers={"X-Token": "s"}, username="user", password="p").body == b"1"
    assert [b"Basic" in seen and b"X-Token: s" in seen for seen in (*raw.seen, *other.seen)] == [True, True, False]
    assert b"Basic" not in other.seen[0]
    other.close()


def test_a_proxy_of_the_environment_is_used(raw: RawServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", raw.url)
    monkeypatch.setenv("no_proxy", "")
    raw.says(answer(b"1"))
    assert _http.get("http://far.example/x", seconds=5.0, most=MOST).body == b"1"
    assert raw.seen[0].startswith(b"GET http://far.example/x HTTP/1.1\r\n")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"<html>", "not JSON: '<html>'"),
        (b'{"a": "\xff"}', "not text in UTF-8"),
        (b"[" * 200_000, "nested too deep"),
        (b"1" * 5000, "too long"),
        (b'{"a": {"b": 1, "b": 2}}', "key 'b' twice"),
    ],
)
def test_what_is_no_clear_json_has_a_reason(data: bytes, reason: str) -> None:
    with pytest.raises(NoReplyError, match=reason):
        _http.json_of(data, unique=True)
