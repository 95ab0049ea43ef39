# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long the run of a canary goes on trying in an outage of the API server, or of a webhook that it calls. Pure: no I/O, no clock."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping


class Outage:
    """The outage that a run is in, if any. `limit`: seconds after which the run ends; times are seconds of a clock that never jumps."""

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._since: float | None = None
        self._what = ""

    def look(self, result: Mapping[str, t.Any], now: float) -> str:
        """What is new for people after a call, empty for nothing: it waits, or it goes on."""
        self._what = str(result.get("outage") or "")
        if bool(self._what) == (self._since is not None):
            return ""
        if self._since is None:
            self._since = now
            return f"waiting, at most {self._limit:.0f} s: {self._what}" if self._limit else ""
        waited, self._since = now - self._since, None
        return f"goes on after {waited:.0f} s"

    def why_end(self, now: float) -> str:
        """Why the run ends now; empty while it may go on."""
        if self._since is None or now - self._since < self._limit:
            return ""
        lasted = f"{now - self._since:.0f} s (outage_limit {self._limit:g})"
        return f"The API server, or what it calls, has not worked for {lasted}: {self._what}"
