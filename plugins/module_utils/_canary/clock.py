# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The API server's clock: controllers whose own clocks differ agree on it.

Lease and record share one clock, so that each answer that one of them gets corrects the times of both.
"""

from __future__ import annotations

import time
from email.utils import parsedate_to_datetime
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._kube.api import Api


class ServerClock:
    """The API server's time, from the `Date` header of the last answer."""

    def __init__(self, client: Api) -> None:
        self._client = client
        self._offset = 0.0

    def now(self) -> float:
        """Unix seconds."""
        return time.time() + self._offset

    def get(self, path: str) -> dict[str, Any] | None:
        """An object, or None; the answer's header corrects the clock."""
        headers: dict[str, str] = {}
        found = self._client.get(path, headers_to=headers)
        date = next((value for key, value in headers.items() if key.lower() == "date"), "")
        if date:
            # The header has whole seconds: on average half a second has passed since then.
            self._offset = parsedate_to_datetime(date).timestamp() + 0.5 - time.time()
            if abs(self._offset) < 1.0:
                self._offset = 0.0
        return found
