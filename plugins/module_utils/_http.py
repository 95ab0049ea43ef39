# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests to HTTP endpoints that may answer anything, within a total time and a number of bytes.

The time limit of a socket holds for each read, so that a server with a byte a minute keeps a reader for days. Here each step of a request
gets only what is left of its time: name resolution, connections, TLS, a proxy's answer, redirects, headers and body.
"""

from __future__ import annotations

import base64
import functools
import http.client
import io
import json
import socket
import ssl
import threading
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.error import URLError
from urllib.parse import unquote, urljoin, urlsplit, urlunsplit

from ansible_collections.servicemesh.platform.plugins.module_utils._kube.http import (
    Deadline,
    bytes_of,
    too_late,
    too_long,
    too_short,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._tls import verify_as_go

MAX_REDIRECTS = 5
SCHEMES = ("http", "https")
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_AGENT = "servicemesh-platform"


class NoReplyError(Exception):
    """A request without a complete answer, or an answer that cannot be read. The message is the reason."""


class TooLongError(NoReplyError):
    """An answer with more bytes than the caller takes, as it will have the next time."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A complete answer, whatever its status is."""

    status: int
    body: bytes


def send(
    method: str,
    url: str,
    *,
    seconds: float,
    most: int,
    data: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    username: str = "",
    password: str = "",
    validate_certs: bool = True,
    ca_cert: str = "",
) -> Reply:
    """The answer to a request. Raises NoReplyError when it is not complete within `seconds`, or longer than `most` bytes.

    Only a GET follows redirects: what writes has its own address. They lead to http and https only, and never from https to http. Another
    host does not get `headers` and the password. The proxies of the environment are used, as `urllib.request` reads them.
    """
    try:
        deadline = Deadline(seconds)
        opener = urllib.request.OpenerDirector()
        opener.add_handler(urllib.request.ProxyHandler())
        opener.add_handler(_Handler(deadline, _tls_context(validate_certs, ca_cert)))
        bare, given = _without_password(url)
        sent = {"User-Agent": _AGENT, **(headers or {})}
        if username:
            given = (username, password)
        if given:
            sent["Authorization"] = "Basic " + base64.b64encode(":".join(given).encode()).decode()
        return _followed(opener, bare, (method, data, sent), deadline, most)
    except (
        OSError,
        http.client.HTTPException,
        ValueError,
    ) as error:  # URLError, TimeoutError and SSLError are OSErrors
        raise NoReplyError(_reason(error, seconds)) from None


get = functools.partial(send, "GET")


def json_of(data: bytes, *, unique: bool = False) -> Any:
    """The JSON of a body. `unique`: an object with a key twice has no clear value. Raises NoReplyError."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise NoReplyError("the answer is not text in UTF-8") from None
    try:
        return json.loads(text, object_pairs_hook=_unique if unique else None)
    except json.JSONDecodeError:
        raise NoReplyError(
            f"the answer is not JSON: {text[:80]!r}" if text.strip() else "the answer is empty"
        ) from None
    except RecursionError:
        raise NoReplyError("the answer is JSON that is nested too deep") from None
    except ValueError:  # Python does not read integers of more than 4300 digits
        raise NoReplyError("the answer has a number that is too long") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _value in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise NoReplyError(f"the answer has the key {twice[:60]!r} twice")
    return found


def _tls_context(validate_certs: bool, ca_cert: str) -> ssl.SSLContext:
    context = verify_as_go(ssl.create_default_context(cafile=ca_cert or None))
    if not validate_certs:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _without_password(url: str) -> tuple[str, tuple[str, str] | None]:
    """(URL without user and password, (user, password) if it has them)."""
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    if not at:
        return url, None
    name, _colon, password = user.partition(":")
    return urlunsplit((parts.scheme, host, parts.path, parts.query, parts.fragment)), (unquote(name), unquote(password))


def _followed(
    opener: urllib.request.OpenerDirector,
    url: str,
    request_of: tuple[str, bytes | None, Mapping[str, str]],
    deadline: Deadline,
    most: int,
) -> Reply:
    """`request_of`: its method, its body and its headers."""
    method, data, headers = request_of
    sent = dict(headers)
    for _turn in range(MAX_REDIRECTS + 1):
        if urlsplit(url).scheme not in SCHEMES:
            raise NoReplyError(f"the URL has the scheme {urlsplit(url).scheme!r}; expected http or https")
        request = urllib.request.Request(url, data, sent, method=method)  # noqa: S310  # the scheme is checked
        with opener.open(request, timeout=deadline.left()) as answer:
            moved = method == "GET" and answer.status in _REDIRECTS
            target = answer.headers.get("Location") if moved else None
            if not target:
                return Reply(answer.status, _body(answer, deadline, most))
        old, url = url, _without_password(urljoin(url, target))[0]
        before, after = urlsplit(old), urlsplit(url)
        if after.scheme not in SCHEMES or (before.scheme, after.scheme) == ("https", "http"):
            raise NoReplyError(f"it redirects from {before.scheme} to {after.scheme[:20]}")
        if (before.scheme, before.netloc) != (after.scheme, after.netloc):
            sent = {"User-Agent": _AGENT}
    raise NoReplyError(f"it redirects more than {MAX_REDIRECTS} times")


def _body(answer: Any, deadline: Deadline, most: int) -> bytes:
    encoding = str(answer.headers.get("Content-Encoding") or "identity").strip().lower()
    if encoding != "identity":
        raise NoReplyError(f"the answer is compressed ({encoding[:20]}), which was not asked for")
    expected = None
    if not answer.chunked and (stated := {text.strip() for text in answer.headers.get_all("Content-Length") or []}):
        length = stated.pop()
        if stated or not length.isascii() or not length.isdecimal() or len(length) > 18:
            raise NoReplyError("the answer has no valid Content-Length")
        expected = int(length)
    if (expected or 0) > most:
        raise TooLongError(too_long(most))
    data = bytes_of(answer.read1, most, deadline.left)
    if len(data) > most:
        raise TooLongError(too_long(most))
    if expected is not None and len(data) < expected and answer.status not in (204, 304):
        raise NoReplyError(too_short(len(data), expected))
    return data


def _reason(error: Exception, seconds: float) -> str:
    if isinstance(error, URLError) and isinstance(error.reason, Exception):
        error = error.reason
    if isinstance(error, TimeoutError):
        return too_late(seconds)
    if isinstance(error, ValueError) and not isinstance(error, OSError):
        return "the URL or a header is not valid"  # the error's text may contain the header
    if isinstance(error, http.client.HTTPException):
        return f"the answer is not valid HTTP ({type(error).__name__})"
    text = str(getattr(error, "strerror", None) or getattr(error, "reason", None) or error) or type(error).__name__
    return text[:200]


# Connections that have only what is left of the time ---------------------------------------------------------------------


class _Handler(urllib.request.AbstractHTTPHandler):
    def __init__(self, deadline: Deadline, context: ssl.SSLContext) -> None:
        super().__init__()
        self._deadline, self._context = deadline, context

    def http_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(functools.partial(_Plain, deadline=self._deadline), request)

    def https_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        secure = functools.partial(_Secure, deadline=self._deadline, context=self._context)
        return self.do_open(secure, request)

    http_request = https_request = urllib.request.AbstractHTTPHandler.do_request_


class _Plain(http.client.HTTPConnection):
    def __init__(self, host: str, *, deadline: Deadline, **options: Any) -> None:
        super().__init__(host, **options)
        self._create_connection = functools.partial(_connected, deadline)
        self.response_class = functools.partial(_Response, deadline)  # type: ignore[assignment]


class _Secure(http.client.HTTPSConnection):
    def __init__(self, host: str, *, deadline: Deadline, **options: Any) -> None:
        super().__init__(host, **options)
        self._create_connection = functools.partial(_connected, deadline)
        self.response_class = functools.partial(_Response, deadline)  # type: ignore[assignment]


class _Response(http.client.HTTPResponse):
    def __init__(self, deadline: Deadline, sock: socket.socket, *args: Any, **options: Any) -> None:
        super().__init__(sock, *args, **options)
        self.fp.close()
        self.fp = io.BufferedReader(_Incoming(sock, deadline))


class _Incoming(io.RawIOBase):
    """What arrives at a socket, until the deadline."""

    def __init__(self, sock: socket.socket, deadline: Deadline) -> None:
        self._socket, self._deadline = sock, deadline
        self._raw = sock.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._socket.settimeout(self._deadline.left())
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


def _connected(deadline: Deadline, address: tuple[str, int], *_ignored: Any) -> socket.socket:
    """Socket to the first address of a host that accepts. Each address gets its share of the time that is left."""
    found = _addresses(*address, deadline)
    error = OSError("its name has no address")
    for index, (family, kind, protocol, _name, where) in enumerate(found):
        sock = socket.socket(family, kind, protocol)
        try:
            sock.settimeout(deadline.left() / (len(found) - index))
            sock.connect(where)
            sock.settimeout(deadline.left())  # of the TLS handshake
        except OSError as failed:
            sock.close()
            error = failed
        else:
            return sock
    raise error


def _addresses(host: str, port: int, deadline: Deadline) -> list[Any]:
    """Addresses of a host. A resolver has no time limit, so it works in a thread that is left to itself after the deadline."""
    found: list[Any] = []

    def resolve() -> None:
        try:
            found.append(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            found.append(error)

    thread = threading.Thread(target=resolve, daemon=True)
    thread.start()
    thread.join(deadline.left())
    if not found:
        raise TimeoutError
    if isinstance(found[0], UnicodeError):
        raise OSError("its name is not valid")
    if isinstance(found[0], OSError):
        raise OSError(f"the name {host[:100]} cannot be resolved")
    return list(found[0])
