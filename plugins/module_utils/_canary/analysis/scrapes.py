# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether Prometheus has scraped the proxies since a moment. Pure.

The increase of a counter over a window begins at the last scrape before the window. When that scrape is older than the proof of a weight,
the window also counts requests of the weight before. So a window begins after a scrape that came after the proof.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.verdict import Sample, Status


@dataclass(frozen=True, slots=True)
class Scrapes:
    """Ages of the newest and of the oldest present sample behind one reporter's request counters, in seconds of Prometheus' own clock."""

    newest: Sample
    oldest: Sample


def why_not_since(found: Sequence[Scrapes], elapsed: float, patience: float) -> str:
    """Why a window may not begin yet; empty when it may. `elapsed`: seconds since the moment that the scrapes must be younger than.

    Without any series no request of an earlier weight can be counted. After `patience` seconds only one scrape of each reporter has to be
    younger: a series of a proxy that is gone stays present for up to five minutes (Prometheus' lookback delta), and is not scraped again.
    """
    for scrapes in found:
        if scrapes.newest.status is Status.MISSING:
            continue
        if scrapes.newest.value is None:
            return f"the time of the last scrape is unknown: {scrapes.newest}"
        if scrapes.newest.value >= elapsed:
            return f"the last scrape was {scrapes.newest.value:.0f} s ago"
        oldest = scrapes.oldest.value
        if elapsed < patience and (oldest is None or oldest >= elapsed):
            return "not all proxies have been scraped"
    return ""
