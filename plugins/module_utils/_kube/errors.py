# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The errors of everything that talks to a cluster, and the message for several findings at once. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

# The server words some mistakes of the sender as its own (apimachinery, managedfields/internal/typeconverter.go).
_SENDERS_FAULT = (
    "failed to create typed patch object",
    "failed to create manager for existing fields",
    "unable to decode",
    "illegal base64",
    "cannot unmarshal",
    "failed to convert",
)
_WEBHOOK = ("failed calling webhook", "failed to call webhook", "conversion webhook for")


class KubeError(Exception):
    """A message for the user: what was tried, what was found, what to do."""


class ApiError(KubeError):
    """An answer of the API server that is not a success."""

    def __init__(self, method: str, path: str, status: int, body: Mapping[str, Any]) -> None:
        self.method, self.path, self.status, self.body = method, path, status, body
        self.reason = str(body.get("reason") or "")
        self.message = str(body.get("message") or f"HTTP {status}")
        super().__init__(self.message)

    @property
    def by_webhook(self) -> bool:
        """Whether a webhook could not be asked; it may be about to start."""
        return self.status in (500, 503, 504) and any(hint in self.message for hint in _WEBHOOK)

    @property
    def by_sender(self) -> bool:
        """Whether what was sent is wrong, though the status says that the server is."""
        return self.status == 500 and any(hint in self.message for hint in _SENDERS_FAULT)

    @property
    def by_outage(self) -> bool:
        """Whether the server had no time for it or is not there, whatever was asked."""
        return self.status in (429, 502, 503, 504) and not self.by_webhook


class UnreachableError(KubeError):
    """No answer at all."""


def numbered(title: str, findings: Sequence[str]) -> str:
    """One message for all `findings`: on the title's line when there is one, else counted and listed below it."""
    if len(findings) == 1:
        return f"{title}: {findings[0]}"
    return f"{title} ({len(findings)} findings):\n" + "\n".join(f"  - {finding}" for finding in findings)
