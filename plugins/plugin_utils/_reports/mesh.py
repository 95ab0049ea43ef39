# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: may change at any time without notice; only this collection may import it.
"""The report of a diagnosis: what it says, from a result of mesh_info. How it looks is in templates/mesh.*."""

from __future__ import annotations

import typing as t
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ansible_collections.servicemesh.platform.plugins.module_utils._mesh.diagnose.findings import Answer
from ansible_collections.servicemesh.platform.plugins.module_utils._mesh.diagnose.sync import State
from ansible_collections.servicemesh.platform.plugins.plugin_utils._reports.page import page

OPEN_ROWS = 25  # a table with more rows is closed at first
_ANSWERS = {Answer.HEALTHY: "yes", Answer.FINDINGS: "no", Answer.UNKNOWN: "unknown"}
_TYPES = ("CDS", "LDS", "EDS", "RDS", "ECDS")
_BAD = (State.REJECTED, State.STALE, State.NOT_CONNECTED, State.NOT_SENT)
_STATES = {"read": "read", "unknown": "could not be read as a whole", "not_asked": "not asked"}

Obj = Mapping[str, t.Any]


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell with a class of the style sheet."""

    text: str
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """A table below the findings. `open`: whether its rows are shown at first."""

    title: str
    columns: tuple[str, ...]
    rows: list[list[Cell]]
    note: str = ""
    open: bool = True


def html(report: Obj) -> str:
    """The page of a report: a result of mesh_info with `cluster` and `time`."""
    summary = report["summary"]
    return page(
        "mesh.html.j2",
        title=f"Diagnosis of {report['cluster']}",
        question=f"Diagnosis of {report['cluster']}: is anything wrong with the mesh?",
        answer=_ANSWERS[Answer(summary["answer"])],
        text=summary["text"],
        facts=[(row["section"], _fact(row)) for row in summary["sections"]],
        below=f"{report['time']} · {len(report['istiods'])} istiod, {len(report['proxies'])} proxies · "
        f"read in {report['stats'].get('seconds', 0)} s",
        findings=_findings(report["findings"]),
        tables=[table for table in _tables(report) if table.rows],
    )


def _fact(row: Obj) -> str:
    """What is to be said of a section in one line."""
    numbers = [
        f"{row[key]} {key[:-1] if row[key] == 1 else key}" for key in ("errors", "warnings", "infos") if row[key]
    ]
    state = "" if row["state"] == "read" else _STATES[row["state"]]
    return " · ".join(part for part in (row["text"], ", ".join(numbers), state) if part)


def _cells(values: Sequence[t.Any], kinds: Mapping[int, str] | None = None) -> list[Cell]:
    return [Cell(str(value), (kinds or {}).get(number, "")) for number, value in enumerate(values)]


def _words(value: str) -> str:
    return value.replace("_", " ")


def _findings(findings: Sequence[Obj]) -> Table:
    rows = [
        _cells([f["severity"], f["code"], f["object"], f["message"], f["change"]], {0: f["severity"]}) for f in findings
    ]
    return Table("Findings", ("severity", "code", "object", "what", "change"), rows)


def _tables(report: Obj) -> Iterator[Table]:
    """What was read, besides the findings."""
    yield from _proxies(report["proxies"])
    yield _table(
        "istiod",
        ("pod", "version", "revision", "proxies", "not read because"),
        [_cells([i["pod"], i["version"], i["revision"], i["proxies"], i["error"]]) for i in report["istiods"]],
    )
    yield from (_config(entry) for entry in report["proxy_configs"])
    yield _table(
        "Calls",
        ("caller", "service", "calls", "failed", "share"),
        [
            _cells(
                [c["caller"], c["service"], f"{c['calls']:.0f}", f"{c['failed']:.0f}", f"{100 * c['share']:.1f} %"],
                {3: "error" if c["failed"] else ""},
            )
            for c in report["calls"]
        ],
    )
    yield _table(
        "Pods that restarted or are not ready",
        ("pod", "phase", "ready", "restarts"),
        [
            _cells([f"{p['namespace']}/{p['pod']}", p["phase"], "yes" if p["ready"] else "no", p["restarts"]])
            for p in report["pods"]
        ],
    )
    yield _table(
        "Certificates",
        ("for", "name", "where", "expires", "days left"),
        [_cells([c["use"], c["name"], c["where"], c["expires"], c["days_left"]]) for c in report["certificates"]],
    )
    yield _table(
        "Warnings of Kubernetes",
        ("UTC", "object", "reason", "times", "message"),
        [
            _cells([e["last"], f"{e['namespace']} {e['object']}".strip(), e["reason"], e["count"], e["message"]])
            for e in report["events"]
        ],
    )


def _table(title: str, columns: tuple[str, ...], rows: list[list[Cell]], note: str = "") -> Table:
    return Table(title, columns, rows, note, len(rows) <= OPEN_ROWS)


def _proxies(proxies: Sequence[Obj]) -> Iterator[Table]:
    """Proxies that are not synced first, in a table of their own; the others may be many."""
    for title, synced in (("Proxies that are not synced", False), ("Synced proxies", True)):
        mine = [proxy for proxy in proxies if (proxy["state"] == State.SYNCED) is synced]
        rows = [
            [
                *_cells([f"{p['namespace']}/{p['pod']}"]),
                Cell(_words(p["state"]), _kind(p["state"])),
                *(_type(p["types"].get(name)) for name in _TYPES),
                *_cells([p["istiod"], p["version"]]),
            ]
            for p in mine
        ]
        yield _table(title, ("proxy", "state", *_TYPES, "istiod", "version"), rows)


def _kind(state: str) -> str:
    if state in _BAD:
        return "error"
    return {State.UNKNOWN: "warning", State.SYNCED: "pass"}.get(t.cast(State, state), "")


def _type(entry: Obj | None) -> Cell:
    """State of a type, and the seconds since it was sent where it is not synced."""
    if entry is None:
        return Cell("-")
    since = f" ({entry['seconds']:.0f} s)" if entry["seconds"] is not None and entry["state"] != State.SYNCED else ""
    return Cell(_words(entry["state"]) + since, _kind(entry["state"]))


def _config(entry: Obj) -> Table:
    """What a chosen proxy runs, and how it differs from what istiod would send."""
    summary: Obj = entry["summary"] or {}
    rows = [_cells([_words(name), _text(value)]) for name, value in summary.items() if value not in ([], {})]
    for difference in entry["differences"]:
        only, fields = difference["only"], ", ".join(difference["fields"])
        what = f"{difference['kind']}: {difference['name']}: " + (f"only in {only}" if only else f"differs in {fields}")
        rows.insert(0, [Cell("difference", "error"), Cell(what)])
    if entry["known"] and not entry["differences"]:
        rows.insert(0, [Cell("difference", "pass"), Cell("none: Envoy runs what istiod would send now")])
    if not entry["known"]:
        rows.insert(0, [Cell("difference", "warning"), Cell("unknown: see the findings")])
    return Table(f"Configuration of {entry['namespace']}/{entry['pod']}", ("what", "value"), rows)


def _text(value: t.Any) -> str:
    if isinstance(value, Mapping):
        return "; ".join(f"{key}: {_text(entry)}" for key, entry in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
