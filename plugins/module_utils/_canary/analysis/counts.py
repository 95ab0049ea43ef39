# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the answer to a query of a built-in metric says: a number between two bounds, and what forbids a verdict. Pure.

Counters that may have begun before the window, labels that are not understood and calls that reached no pod are counted each way that
they can be. When all ways have the same verdict it stands, otherwise the window is inconclusive.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis import faults, queries, verdict
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.faults import Failures, Outcome
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.metrics import (
    MAX_AGE,
    QUANTILES,
    SUCCESS,
    TCP_SUCCESS,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.queries import Part
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.verdict import (
    Limits,
    Sample,
    Status,
    Verdict,
)

MAX_UNCOUNTED = 0.3  # share of a window's requests

Series = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Reading:
    """One version's metric in a window. `low` and `high` are its bounds, equal where the counters are sure; `value` counts what is sure.

    `requests_low`, `requests_high`: number of requests, or of connections. `margins`: why the bounds differ. `doubts`: reasons for which it
    may fail but not pass. `broken`: reasons for which it can do neither. `ways`: whose fault it was, for people: `server: UF (3)`, largest
    first.
    """

    value: Sample
    low: Sample
    high: Sample
    requests_low: float = 0.0
    requests_high: float = 0.0
    margins: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    broken: tuple[str, ...] = ()
    ways: tuple[str, ...] = ()


@dataclass(slots=True)
class _Tally:
    """Requests of a window by outcome; `more` are those that may have been in it, `nowhere` those that reached no pod of any version."""

    sure: dict[Outcome, float] = field(default_factory=lambda: dict.fromkeys(Outcome, 0.0))
    more: dict[Outcome, float] = field(default_factory=lambda: dict.fromkeys(Outcome, 0.0))
    nowhere: float = 0.0
    liked: float = 0.0  # answers that do not blame the request
    unknown: set[str] = field(default_factory=set)
    ways: dict[str, float] = field(default_factory=dict)


def unmeasured(why: Sample) -> Reading:
    """A reading without a number."""
    return Reading(why, why, why)


def reading(
    metric: str,
    series: Series,
    reporter: str = faults.DESTINATION,
    *,
    failures: Failures | None = None,
    max_uncounted: float = MAX_UNCOUNTED,
    max_age: float = MAX_AGE,
    checked: bool = True,
) -> Reading:
    """The reading of the series of two answers, to `queries.promql` and to `queries.trust`.

    Rates are 0 to 1, percentiles are in ms, else it is a count. `max_uncounted`: the largest share of requests of which nobody knows
    whether the version would have served them. `max_age`: seconds after which the newest sample is stale. `checked`: False for a number for
    people, of the first answer alone.
    """
    parts: dict[Part, list[Mapping[str, Any]]] = {part: [] for part in Part}
    for entry in series:
        name = (entry.get("metric") or {}).get("part", "")
        if name not in tuple(Part) or verdict.sample_of_value(_value(entry)).value is None:
            return _unreadable(f"the answer has a series that was not asked for: {str(dict(entry))[:120]}")
        parts[Part(name)].append(entry)
    if checked and not parts[Part.ASKED]:
        return _unreadable("the query whether the counters can be trusted has no answer")
    broken = tuple(_broken(parts))
    if not broken and (stale := _stale(parts[Part.NEWEST], max_age)):
        return unmeasured(Sample(Status.STALE, detail=stale))
    if metric in QUANTILES:
        return _percentile(QUANTILES[metric], parts, broken)
    tally = _tallied(parts, reporter, failures or Failures())
    if metric in (SUCCESS, TCP_SUCCESS):
        return _rate(tally, broken, max_uncounted)
    if not parts[Part.SURE] and not parts[Part.DOUBT]:
        return Reading(_missing(), _missing(), _missing(), broken=broken)
    low, high = sum(tally.sure.values()), sum(tally.sure.values()) + sum(tally.more.values())
    return Reading(_ok(low), _ok(low), _ok(high), low, high, _margins(high - low), (), broken, _ways(tally))


def _stale(newest: Series, max_age: float) -> str:
    """Why the samples are too old; empty when they are not, or when there are none. Both times are of Prometheus' own clock."""
    ages = [float(entry["value"][0]) - _number(entry) for entry in newest]
    if not ages or min(ages) <= max_age:
        return ""
    return f"the newest sample is {min(ages):.0f} s old; expected at most {max_age:g} s"


def judge(limits: Limits, canary: Reading, stable: Reading | None = None, window: float = 0.0) -> tuple[Verdict, str]:
    """(verdict, reason) of a built-in metric. `stable` is needed when limits compare. `window`: its length in seconds, for the reason.

    A reading that is not sure is judged at its bounds and at each limit between them.
    """
    compared = [stable] if stable and limits.compares else []
    readings = (canary, *compared)
    if broken := [reason for entry in readings for reason in entry.broken]:
        return Verdict.INCONCLUSIVE, "; ".join(dict.fromkeys(broken))
    found = {
        verdict.judge(limits, one, other, requests, window)[0]
        for other in (_bounds(compared[0]) if compared else (None,))
        for one in (*_bounds(canary), *_between(limits, canary, other))
        for requests in (_requests(canary, canary.requests_low), _requests(canary, canary.requests_high))
    }
    doubts = list(dict.fromkeys(doubt for entry in readings for doubt in entry.doubts))
    if len(found) > 1:
        shown = [_shown(canary, "the new version"), *(_shown(entry, "stable") for entry in compared)]
        return Verdict.INCONCLUSIVE, "; ".join(dict.fromkeys((*shown, *doubts)))
    (only,) = found
    if only is Verdict.PASS and doubts:
        return Verdict.INCONCLUSIVE, "; ".join(doubts)
    other = compared[0].high if compared else None
    reason = verdict.judge(limits, canary.high, other, _requests(canary, canary.requests_high), window)[1]
    return only, "; ".join((reason, *canary.ways)) if only is Verdict.FAIL else reason


def _bounds(found: Reading) -> tuple[Sample, ...]:
    """Its bounds and what is between them: without a request that is known to be of the window, there may be no number at all."""
    return found.low, found.high, found.value


def _requests(found: Reading, count: float) -> Sample:
    """The number of requests, missing where the metric itself is: what the user wants then decides."""
    if found.requests_high == 0 and found.value.status is not Status.OK:
        return found.value
    return Sample(Status.OK, count)


def _between(limits: Limits, found: Reading, stable: Sample | None) -> Iterable[Sample]:
    """Values between the bounds at which a verdict may change: a value between two limits passes where both bounds fail."""
    low, high = found.low.value, found.high.value
    if low is None or high is None:
        return
    points = [limits.min, limits.max]
    if stable is not None and stable.value is not None:
        points += [ratio * stable.value for ratio in (limits.min_ratio, limits.max_ratio) if ratio is not None]
        points += [more + stable.value for more in (limits.min_difference, limits.max_difference) if more is not None]
    yield from (Sample(Status.OK, point) for point in points if point is not None and low < point < high)


def _shown(found: Reading, who: str) -> str:
    requests = verdict.number(found.requests_low)
    if found.requests_high > found.requests_low:
        requests += f" to {verdict.number(found.requests_high)}"
    span = str(found.low) if found.low == found.high else f"between {found.low} and {found.high}"
    return "; ".join((f"{who}: {span}, {requests} requests", *found.margins))


# Counts ---------------------------------------------------------------------------------------------------------------


def _tallied(parts: Mapping[Part, Series], reporter: str, failures: Failures) -> _Tally:
    tally = _Tally()
    for part in (Part.SURE, Part.DOUBT):
        for entry in parts[part]:
            labels, count = entry["metric"], max(0.0, _number(entry))
            ruling = faults.classify(labels, reporter, failures)
            if count == 0:  # a counter that did not grow says nothing about this window
                continue
            if labels.get("destination_workload") == queries.UNKNOWN:
                if ruling.outcome in (Outcome.FAILED, Outcome.UNKNOWN):
                    tally.nowhere += count
                continue
            (tally.sure if part is Part.SURE else tally.more)[ruling.outcome] += count
            if ruling.outcome is Outcome.UNKNOWN:
                tally.unknown.add(ruling.by)
            if ruling.fault is faults.Fault.NOBODY:
                tally.liked += count
            if ruling.fault is not faults.Fault.NOBODY and part is Part.SURE:
                way = f"{ruling.fault}: {ruling.by}"
                tally.ways[way] = tally.ways.get(way, 0.0) + count
    return tally


def _ways(tally: _Tally) -> tuple[str, ...]:
    ordered = sorted(tally.ways.items(), key=lambda item: (-item[1], item[0]))
    return tuple(f"{way} ({verdict.number(count)})" for way, count in ordered)


def _rate(tally: _Tally, broken: tuple[str, ...], max_uncounted: float) -> Reading:
    sure, more = tally.sure, tally.more
    requests_low = sum(sure.values())
    requests_high = requests_low + sum(more.values())
    unsure = sure[Outcome.UNKNOWN] + more[Outcome.UNKNOWN]
    doubts = [f"requests that are not understood: {', '.join(sorted(tally.unknown))}"] if tally.unknown else []
    uncounted = sure[Outcome.UNCOUNTED] + more[Outcome.UNCOUNTED]
    too_many = requests_high > 0 and uncounted > max_uncounted * requests_high
    if too_many:
        doubts.append(
            f"{verdict.number(100 * uncounted / requests_high)} % of the requests ended by neither the version's nor a known success"
            f" ({', '.join(way for way in _ways(tally) if not way.startswith('server'))}); expected at most"
            f" {100 * max_uncounted:g} %"
        )
    # The best case has all that is not known served, the worst has it failed. Hang-ups are only counted when there are too many of them.
    served, failed = sure[Outcome.SERVED], sure[Outcome.FAILED]
    best = served + more[Outcome.SERVED] + unsure + (uncounted if too_many else 0.0)
    worst = failed + more[Outcome.FAILED] + unsure + tally.nowhere
    if served + more[Outcome.SERVED] > 0 and tally.liked == 0:
        doubts.append("every answer blames its request (codes 400 to 499); expected one that does not")
    return Reading(
        _ratio(served, failed),
        _ratio(served, worst) if served + worst > 0 else _ratio(best, failed),
        _ratio(best, failed) if best + failed > 0 else _ratio(served, worst),
        requests_low,
        requests_high,
        _margins(sum(more.values()), tally.nowhere),
        tuple(doubts),
        broken,
        _ways(tally),
    )


def _margins(more: float, nowhere: float = 0.0) -> tuple[str, ...]:
    found = []
    if more > 0:
        found.append(
            f"{verdict.number(more)} requests may be older than the window: no scrape before it shows where their counters began"
        )
    if nowhere > 0:
        found.append(f"{verdict.number(nowhere)} requests to the Service reached no pod, so they have no version")
    return tuple(found)


def _ratio(served: float, failed: float) -> Sample:
    return _ok(served / (served + failed)) if served + failed > 0 else _missing()


def _ok(value: float) -> Sample:
    return Sample(Status.OK, value)


def _missing() -> Sample:
    return Sample(Status.MISSING, detail="no request was counted in the window")


def _unreadable(detail: str) -> Reading:
    return unmeasured(Sample(Status.ERROR, detail=detail))


def _broken(parts: Mapping[Part, Series]) -> Iterable[str]:
    """Why neither success nor failure can be read from these counters, by the names of what is in the way."""
    for part, text in (
        (Part.RESTARTED, "counters began again in the window, so what they had counted is lost: pod {}"),
        (Part.UNSCRAPED, "no scrape of the window succeeded: pod {}"),
        (
            Part.TWICE,
            "several servers scrape the same targets, told apart by a label that is not one of "
            + ", ".join(queries.REPLICAS)
            + ": job {}",
        ),
        (Part.PODLESS, "there are series without the label pod, so their counters cannot be told apart{}"),
    ):
        labels = [entry["metric"].get("pod") or entry["metric"].get("job") or "" for entry in parts[part]]
        if labels:
            yield text.format(", ".join(sorted(labels)[:5]))


def _value(entry: Mapping[str, Any]) -> Any:
    pair = entry.get("value")
    return pair[1] if isinstance(pair, (list, tuple)) and len(pair) == 2 else None


def _number(entry: Mapping[str, Any]) -> float:
    return float(_value(entry))


# Percentiles ----------------------------------------------------------------------------------------------------------

_Buckets = list[
    tuple[float, float]
]  # (upper bound in ms, requests in this bucket alone), rising, the last bound infinite


def _percentile(share: float, parts: Mapping[Part, Series], broken: tuple[str, ...]) -> Reading:
    """A percentile. Its bounds are taken over each way to add the doubtful requests: only those above a time, or only those up to it."""
    sure, more = _buckets(parts[Part.SURE]), dict(_buckets(parts[Part.DOUBT]))
    bounds = sorted({bound for bound, _count in sure} | set(more))
    alone = dict(sure)
    slow, fast = [], []
    for cut in (0.0, *bounds):
        slow.append([(b, alone.get(b, 0.0) + (more.get(b, 0.0) if b > cut else 0.0)) for b in bounds])
        fast.append([(b, alone.get(b, 0.0) + (more.get(b, 0.0) if b <= cut else 0.0)) for b in bounds])
    highs = [value for way in slow if (value := _quantile(share, way)) is not None]
    lows = [value for way in fast if (value := _quantile(share, way)) is not None]
    value = _quantile(share, sure)
    known = sum(count for _bound, count in sure)
    return Reading(
        _missing() if value is None else _ok(value),
        _ok(min(lows)) if lows else _missing(),
        _ok(max(highs)) if highs else _missing(),
        known,
        known + sum(more.values()),
        _margins(sum(more.values())),
        (),
        broken,
    )


def _buckets(series: Series) -> _Buckets:
    """Buckets that count on their own, of buckets that count all below them. A bound that is not a number is left out."""
    total: dict[float, float] = {}
    for entry in series:
        bound = verdict.sample_of_value(entry["metric"].get("le"))
        if bound.status is Status.INFINITE:
            total[math.inf] = _number(entry)
        elif bound.value is not None:
            total[bound.value] = _number(entry)
    found, before = [], 0.0
    for upper in sorted(total):
        found.append((upper, max(0.0, total[upper] - before)))
        before = max(before, total[upper])
    return found


def _quantile(share: float, buckets: _Buckets) -> float | None:
    """As Prometheus' histogram_quantile (promql/quantile.go, BucketQuantile): linear within a bucket, the last finite bound above it."""
    whole = sum(count for _bound, count in buckets)
    if whole <= 0 or not buckets or buckets[-1][0] != math.inf or len(buckets) < 2:
        return None
    rank, below, lower = share * whole, 0.0, 0.0
    for upper, count in buckets[:-1]:
        if below + count >= rank and count > 0:
            return lower + (upper - lower) * (rank - below) / count
        below, lower = below + count, upper
    return buckets[-2][0]
