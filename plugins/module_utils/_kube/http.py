# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an HTTP answer of the API server says: its body, when to try again, and its warnings. No I/O."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import Any

# The longest that a server may ask us to wait before the next try (seconds).
_LONGEST = 60.0
# One warning: code, agent, text in quotes, perhaps a date (RFC 9111, 5.5; apimachinery, pkg/util/net/http.go).
_WARNING = re.compile(r'(\d{3}) (\S+) "((?:[^"\\]|\\.)*)"(?: "[^"]*")?\s*(?:,|\Z)\s*')
_ESCAPED = re.compile(r"\\(.)")


def parsed(data: bytes) -> dict[str, Any]:
    """Body as a mapping; what is no JSON comes as `text`, and other JSON than a mapping as `value`."""
    try:
        body = json.loads(data) if data else {}
    except ValueError:
        return {"text": data.decode(errors="replace")}
    return body if isinstance(body, dict) else {"value": body}


def status_body(data: bytes) -> dict[str, Any]:
    """The `Status` of an answer that is no success, or a `message` with what else it says."""
    body = parsed(data)
    if body.get("kind") == "Status":
        return body
    # Somebody behind the API server's proxy: its words are under a name of its own (`error` with Prometheus).
    return {"message": str(body.get("text") or body.get("message") or body.get("error") or "")[:500]}


def typed(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Items of a list, which the server sends without apiVersion and kind."""
    kind, api_version = str(body.get("kind", "")).removesuffix("List"), body.get("apiVersion")
    return [{"apiVersion": api_version, "kind": kind, **item} for item in body.get("items") or []]


def retry_after(headers: Mapping[str, str]) -> float:
    """Seconds until the server wants to be asked again, 60 at most; 0 when it does not say."""
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
    """Texts of the `Warning` headers of an answer; what follows something malformed in a header is left out."""
    for raw in headers:
        header, position = raw.strip(), 0
        while match := _WARNING.match(header, position):
            position = match.end()
            # 299 is what the API server sends; other codes tell of caches.
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
