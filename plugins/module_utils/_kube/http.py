# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads HTTP answers of the API server: body, Retry-After and warnings. No I/O."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import Any

# Upper limit for Retry-After (seconds).
_LONGEST = 60.0
# One warning: code, agent, text in quotes, optional date (RFC 9111, 5.5; apimachinery, pkg/util/net/http.go).
_WARNING = re.compile(r'(\d{3}) (\S+) "((?:[^"\\]|\\.)*)"(?: "[^"]*")?\s*(?:,|\Z)\s*')
_ESCAPED = re.compile(r"\\(.)")


def parsed(data: bytes) -> dict[str, Any]:
    """Body as a mapping: a body that is not JSON as `text`, JSON that is not a mapping as `value`."""
    try:
        body = json.loads(data) if data else {}
    except ValueError:
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
