# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bodies of requests to the API server, and its answers: body, Retry-After and warnings. Makes no requests.

How long an answer may take and how long it may be is for `_http` as well, which asks others than the API server.
"""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import AnswerError

# Upper limit for Retry-After (seconds).
_LONGEST = 60.0
# One warning: code, agent, text in quotes, optional date (RFC 9111, 5.5; apimachinery, pkg/util/net/http.go).
_WARNING = re.compile(r'(\d{3}) (\S+) "((?:[^"\\]|\\.)*)"(?: "[^"]*")?\s*(?:,|\Z)\s*')
_ESCAPED = re.compile(r"\\(.)")

_NOT_ASCII = re.compile("[\x7f-\uffff]")

_CHUNK = 65536  # bytes


def body_of(value: Any) -> bytes:
    """The body of a request: JSON that is YAML as well.

    The server reads a server-side apply as YAML (apiserver, pkg/endpoints/handlers/patch.go). There, characters beyond U+FFFF cannot be
    written as two escapes, and most of the others beyond ASCII cannot or need not stand as they are.
    """
    text = json.dumps(value, ensure_ascii=False)
    if not text.isascii() or "\x7f" in text:
        text = _NOT_ASCII.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
    return text.encode()


class Deadline:
    """The time that is left for something with several steps."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds, more than 0. Raises TimeoutError when the time is over."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left


class Limit(Deadline):
    """Of one answer: it is complete within `seconds` from now, and has at most `most` bytes."""

    def __init__(self, seconds: float, most: int) -> None:
        super().__init__(seconds)
        self.most = most

    def left(self) -> float:
        """Seconds, more than 0. Raises AnswerError when the time is over."""
        try:
            return super().left()
        except TimeoutError:
            raise AnswerError(too_late(self.seconds)) from None


def too_late(seconds: float) -> str:
    """Why there is no answer: it is not complete in time."""
    return f"no complete answer within {seconds:g} s"


def too_long(most: int) -> str:
    """Why there is no answer: it has more bytes than the caller takes."""
    return f"the answer is longer than {most} bytes"


def too_short(read: int, stated: int) -> str:
    """Why there is no answer: it has less bytes than it says."""
    return f"the answer ended after {read} of {stated} bytes"


def bytes_of(read: Callable[[int], bytes], most: int, left: Callable[[], float]) -> bytes:
    """What `read` (of a number of bytes) returns until its end, or one byte more than `most`. `left` raises when the time is over."""
    data = bytearray()
    while len(data) <= most and (chunk := read(min(_CHUNK, most + 1 - len(data)))):
        data += chunk
        left()
    return bytes(data)


def limited_body(answer: Any, limit: Limit) -> bytes:
    """Body of an open answer of urllib3. Raises AnswerError."""
    length = str(answer.headers.get("Content-Length") or "")
    # Without `read1` (urllib3 1), a read waits for a whole chunk, so that the time is only checked between chunks.
    read = getattr(answer, "read1", None) or answer.read
    sock = getattr(getattr(answer, "connection", None), "sock", None)

    def chunk(size: int) -> bytes:
        if sock is not None:
            sock.settimeout(limit.left())
        return bytes(read(size, decode_content=False))

    try:
        data = bytes_of(chunk, limit.most, limit.left)
    except BaseException:
        answer.close()
        raise
    if len(data) > limit.most:
        answer.close()
        raise AnswerError(too_long(limit.most))
    answer.release_conn()
    if length.isdecimal() and len(data) < int(length):
        raise AnswerError(too_short(len(data), int(length)))
    return data


def parsed(data: bytes) -> dict[str, Any]:
    """Body as a mapping: a body that is not JSON as `text`, JSON that is not a mapping as `value`."""
    try:
        body = json.loads(data) if data else {}
    except (ValueError, RecursionError):
        return {"text": data.decode(errors="replace")}
    return body if isinstance(body, dict) else {"value": body}


def status_body(data: bytes) -> dict[str, Any]:
    """The `Status` of an answer that is not a success; another body as `message`."""
    body = parsed(data)
    if body.get("kind") == "Status":
        return body
    # An answer from behind the API server's proxy, whose message may have another key (Prometheus: `error`).
    return {"message": str(body.get("text") or body.get("message") or body.get("error") or "")[:500]}


def typed(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Items of a list, which the server sends without apiVersion and kind."""
    kind, api_version = str(body.get("kind", "")).removesuffix("List"), body.get("apiVersion")
    return [{"apiVersion": api_version, "kind": kind, **item} for item in body.get("items") or []]


def retry_after(headers: Mapping[str, str]) -> float:
    """Seconds that the server asks to wait, 60 at most; 0 when it does not ask."""
    text = headers.get("Retry-After") or "0"
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(text).timestamp() - time.time()
        except ValueError:
            return 0.0
    return min(_LONGEST, max(0.0, seconds)) if math.isfinite(seconds) else 0.0


def warnings_in(headers: Iterable[str]) -> Iterator[str]:
    """Texts of the `Warning` headers of an answer; the rest of a header after a malformed part is left out."""
    for raw in headers:
        header, position = raw.strip(), 0
        while match := _WARNING.match(header, position):
            position = match.end()
            # The API server sends 299; other codes come from caches.
            if match.group(1) == "299" and (text := _ESCAPED.sub(r"\1", match.group(3)).strip()):
                yield text


def events_of(answer: Any) -> Iterator[dict[str, Any]]:
    """Events of an open watch, as they arrive."""
    rest = b""
    for chunk in answer.stream(decode_content=True):
        rest += chunk
        *lines, rest = rest.split(b"\n")
        for line in lines:
            if line.strip():
                yield json.loads(line)
