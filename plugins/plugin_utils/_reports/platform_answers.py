# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: may change at any time without notice; only this collection may import it.
"""The questions that the page of a platform answers: yes, no, unknown, or none where there is nothing to say.

Yes needs everything to have been read that could change it; no needs one thing that is bad.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ansible_collections.servicemesh.platform.plugins.module_utils._mesh.traffic import UNKNOWN, Part, Security
from ansible_collections.servicemesh.platform.plugins.plugin_utils._canary_lines import duration
from ansible_collections.servicemesh.platform.plugins.plugin_utils._reports.platform_seen import (
    Seen,
    amount,
    arriving,
    call_of,
    latest_of,
    leaving,
    percent,
    phase_of,
    present,
    service_of,
    short,
    some,
    versions_of,
    weight_of,
)

YES, NO, OPEN, NOTHING = "yes", "no", "unknown", "none"
_BELOW = "Not known; why is said below."
FAST, ENCRYPTED = "Fast", "Encrypted"


@dataclass(frozen=True, slots=True)
class Card:
    """A question and its answer, with a link to the section that has more. `short`: what is not well, in a few words."""

    name: str
    answer: str
    text: str
    link: str
    short: str = ""


def headline(cards: Iterable[Card], seen: Seen) -> tuple[str, str]:
    """The answer to all questions together, and a sentence."""
    cards = list(cards)
    bad = [card for card in cards if card.answer == NO]
    unsure = [card for card in cards if card.answer == OPEN]
    releases = [service_of(entry) for entry in seen.platform["canaries"] if entry["active"]]
    out = f" A canary of {', '.join(releases)} is under way." if releases else ""
    open_ = f" Not known: {_names(unsure)}." if unsure else ""
    if bad:
        return NO, f"Not well: {'; '.join(card.short for card in bad)}.{open_}{out}"
    if unsure:
        good = [card for card in cards if card.answer == YES]
        return OPEN, f"{open_.strip()}{f' Well: {_names(good)}.' if good else ''}{out}"
    told = {card.name: card for card in cards}
    parts = [
        "Up",
        "fast enough" if told[FAST].answer == YES else "",
        "encrypted" if told[ENCRYPTED].answer == YES else "",
    ]
    quiet = [told[name].text for name in (FAST, ENCRYPTED) if told[name].answer == NOTHING]
    return YES, f"{' '.join([f'{_joined([part for part in parts if part])}.', *quiet])}{out}"


def _names(cards: Iterable[Card]) -> str:
    return ", ".join(card.name.lower() for card in cards)


def _joined(parts: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(parts[:-1]), parts[-1])))


def cards_of(seen: Seen) -> list[Card]:
    return [_up(seen), _fast(seen), _encrypted(seen), _who(seen), _going_out(seen), _alerts(seen), _budgets(seen)]


def _up(seen: Seen) -> Card:
    platform = seen.platform
    out, name = leaving(platform), "Up"
    rows = [row for row in platform["services"] if f"{row['namespace']}/{row['name']}" not in out]
    coming = arriving(platform)
    starting = [row for row in rows if not row["healthy"] and f"{row['namespace']}/{row['name']}" in coming]
    rows = [row for row in rows if row not in starting]
    bad = [short(str(row["name"])) for row in rows if not row["healthy"]]
    if bad:
        verb = "is" if len(bad) == 1 else "are"
        text = f"{len(bad)} of {len(rows)} workloads {verb} not healthy: {some(bad)}."
        return Card(name, NO, text, "#services", f"{some(bad)} not healthy")
    if not rows or platform["missing_namespaces"]:
        return Card(name, OPEN, str(platform["summary"]), "#services")
    ready = "".join(f" {short(str(row['name']))} gets ready." for row in starting)
    return Card(name, YES, f"All {len(rows)} workloads are healthy.{ready}", "#services")


def _fast(seen: Seen) -> Card:
    name, link = FAST, "#services"
    now = [(entry, latest_of(entry, seen)) for entry in present(seen.platform, seen.traffic)]
    loaded = [(short(str(entry["workload"])), *values) for entry, values in now if values[0]]
    slow = [
        f"{who} p95 {p95:.0f} ms" for who, _rate, _errors, p95 in loaded if p95 is not None and p95 > seen.limits.p95
    ]
    failing = [
        f"{who} {100 * errors:.3g} % errors"
        for who, _rate, errors, _p95 in loaded
        if errors is not None and errors > seen.limits.errors
    ]
    if slow or failing:
        who = "errors" if not slow else "slow" if not failing else "errors, slow"
        return Card(name, NO, f"{some([*failing, *slow])}.", link, who)
    if seen.missing(Part.REQUESTS, Part.DURATIONS):
        return Card(name, OPEN, _BELOW, "#unknown")
    if not loaded:
        return Card(name, NOTHING, "No requests in the last two minutes, so there is nothing to measure.", link)
    total = sum(rate or 0.0 for _who, rate, _errors, _p95 in loaded)
    worst = max(((p95, who) for who, _rate, _errors, p95 in loaded if p95 is not None), default=None)
    errors = max((errors or 0.0 for _who, _rate, errors, _p95 in loaded), default=0.0)
    durations = f"p95 up to {worst[0]:.0f} ms ({worst[1]}), " if worst else ""
    return Card(name, YES, f"{durations}errors up to {100 * errors:.3g} %, {amount(total)} requests/s.", link)


def _encrypted(seen: Seen) -> Card:
    name, link, calls = ENCRYPTED, "#calls", seen.traffic["calls"]
    plain = [call_of(call) for call in calls if call["security"] == Security.NONE]
    if plain:
        return Card(name, NO, f"Plain text: {some(plain)}.", link, "calls in plain text")
    if seen.missing(Part.CALLS, Part.CONNECTIONS):
        return Card(name, OPEN, _BELOW, "#unknown")
    unsure = [call_of(call) for call in calls if call["security"] != Security.MUTUAL_TLS]
    if unsure:
        return Card(name, OPEN, f"Not reported by the destination: {some(unsure)}.", link)
    if not calls:
        return Card(name, NOTHING, "No calls were seen in 30 minutes.", link)
    return Card(name, YES, "All calls between services were mutual TLS in the last 30 minutes.", link)


def _who(seen: Seen) -> Card:
    name, link, calls = "Who calls whom", "#calls", seen.traffic["calls"]
    if not calls and seen.missing(Part.CALLS, Part.CONNECTIONS):
        return Card(name, OPEN, _BELOW, "#unknown")
    members = {call[side] for call in calls for side in ("source", "destination")}
    paths = len({(call["source"], call["destination"]) for call in calls})
    text = f"{len(members)} callers and services, {paths} ways between them." if calls else "No calls were seen."
    return Card(name, NOTHING, text, link)


def _going_out(seen: Seen) -> Card:
    name, link, releases = "Going out", "#releases", seen.platform["canaries"]
    active = [entry for entry in releases if entry["active"]]
    texts = [f"{service_of(entry)} {versions_of(entry)}: {weight_of(entry)}, {phase_of(entry)}" for entry in active]
    if any(entry["phase"] == UNKNOWN for entry in active) or seen.missing(""):
        below = [_BELOW] if seen.missing("") else []
        return Card(name, OPEN, "; ".join([*texts, *below]), "#unknown" if below else link)
    if texts:
        return Card(name, NOTHING, f"{some(texts)}.", link)
    last = max(releases, key=lambda entry: float(entry["since"]), default=None)
    if last is None:
        return Card(name, NOTHING, "Nothing.", link)
    ago = duration(float(seen.traffic["time"]) - float(last["since"]))
    return Card(name, NOTHING, f"Nothing. Last: {service_of(last)} {last['version']} {phase_of(last)} {ago} ago.", link)


def _alerts(seen: Seen) -> Card:
    name, link, traffic = "Alerts", "#alerts", seen.traffic
    firing = [alert for alert in traffic["alerts"] if alert["own"] and alert["state"] == "firing"]
    serious = [alert for alert in firing if alert["severity"] != "info"]
    names = list(dict.fromkeys(alert["name"] for alert in serious))
    if serious:
        fire = f"{len(serious)} {'alerts fire' if len(serious) > 1 else 'alert fires'}"
        return Card(name, NO, f"{fire}: {some(names)}.", link, fire)
    if seen.missing(Part.ALERTS):
        return Card(name, OPEN, _BELOW, "#unknown")
    told = f", {len(firing)} for information" if firing else ""
    return Card(name, YES, f"None of {traffic['alert_rules']} rules fires{told}.", link)


def _budgets(seen: Seen) -> Card:
    name, link, budgets = "Error budget", "#services", seen.traffic["budgets"]
    if seen.missing(Part.BUDGETS):
        return Card(name, OPEN, _BELOW, "#unknown")
    if not budgets:
        return Card(name, NOTHING, "No objective.", link)
    spent = [
        f"{service_of(entry)} ({entry['sli']})" for entry in budgets if entry["left"] is not None and entry["left"] <= 0
    ]
    if spent:
        return Card(name, NO, f"Spent: {some(spent)}.", link, "an error budget is spent")
    left = [entry for entry in budgets if entry["left"] is not None]
    if not left:
        if any(entry["requested"] for entry in budgets):
            text = (
                f"{len(budgets)} objectives. Requests are recorded, and budgets with the next evaluation of the rules."
            )
        else:
            text = f"{len(budgets)} objectives. No requests to their services yet, so nothing is spent or recorded."
        return Card(name, NOTHING, text, link)
    least = min(left, key=lambda entry: float(entry["left"]))
    idle, late = (
        sum(1 for entry in budgets if entry["left"] is None and entry["requested"] is requested)
        for requested in (False, True)
    )
    rest = (f"; {idle} without requests yet" if idle else "") + (f"; {late} not recorded yet" if late else "")
    return Card(name, YES, f"{percent(least['left'])} left at least ({service_of(least)}, {least['sli']}){rest}.", link)
