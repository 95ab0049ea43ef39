# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: may change at any time without notice; only this collection may import it.
"""The HTML report of mutual TLS: what it says, from a result of mtls_probe. How it looks is in templates/mtls.*."""

from __future__ import annotations

import typing as t
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.headline import Answer
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.verdict import (
    ANYBODY,
    WITHOUT_SIDECAR,
    Verdict,
    badness,
)
from ansible_collections.servicemesh.platform.plugins.plugin_utils._reports.page import page

OPEN_ROWS = 25  # a table with more rows is closed at first
REFUSED = "refused"
# How a call is shown: sign and words. A caller without a sidecar that is refused is good, and has a kind of its own.
KINDS: Mapping[str, tuple[str, str]] = {
    Verdict.STRICT: ("✓", "mutual TLS, enforced"),
    REFUSED: ("R", "plain text is refused"),
    Verdict.ENCRYPTED_NOT_ENFORCED: ("E", "mutual TLS, not enforced"),
    Verdict.PLAINTEXT_ALLOWED: ("A", "plain text, though mutual TLS is accepted"),
    Verdict.PLAINTEXT: ("P", "plain text"),
    Verdict.BROKEN: ("✕", "broken"),
    Verdict.NOT_ENFORCED: ("\u2013", "outside of the mesh"),
    Verdict.UNKNOWN: ("?", "unknown"),
}
MARKS = (("•", "proved"), ("!", "contradicted by what was seen"))
NAMES = {ANYBODY: "any other meshed workload", WITHOUT_SIDECAR: "caller without a sidecar"}
_ANSWERS = {Answer.YES: "yes", Answer.NO: "no", Answer.UNKNOWN: "unknown", Answer.NOTHING_DEMANDED: "none"}

Obj = Mapping[str, t.Any]
Cell = str | int | dict[str, str]


@dataclass(frozen=True, slots=True)
class Table:
    """A table below the matrix. The columns of `long` hold sentences."""

    title: str
    columns: tuple[str, ...]
    rows: list[list[Cell]]
    long: tuple[str, ...] = ()
    note: str = ""
    open: bool = False


def html(report: Obj) -> str:
    """The page of a report: a result with `cluster`, `time`, `want` and `exceptions`."""
    summary, mesh = report["summary"], report["mesh"]
    services = len({call["service"] for call in report["calls"]})
    title = f"Mutual TLS of {report['cluster']}"
    return page(
        "mtls.html.j2",
        title=title,
        question=f"{title}: is everything that is demanded mutual TLS?",
        answer=_ANSWERS[Answer(summary["answer"])],
        text=summary["text"],
        facts=[
            ("Demanded", summary["demanded"]),
            ("Calls", summary["calls"]),
            ("Outside of the demand", summary["outside"]),
            ("Under STRICT", summary["what_if"]),
        ],
        below=f"{report['time']} · {len(report['workloads'])} workloads and {services} services are shown · "
        f"trust domain {mesh['trust_domain']}, root namespace {mesh['root_namespace']}, "
        f"auto mTLS {'on' if mesh['auto_mtls'] else 'off'}",
        kinds=[(kind, *shown) for kind, shown in KINDS.items()],
        marks=MARKS,
        view=view(report),
    )


def view(report: Obj) -> dict[str, t.Any]:
    """What the script of the page draws."""
    meshed = {entry["workload"] for entry in report["workloads"] if entry["proxy"] != "none"}
    return {
        "names": NAMES,
        "anybody": ANYBODY,
        "bare": WITHOUT_SIDECAR,
        "signs": {kind: sign for kind, (sign, _words) in KINDS.items()},
        "calls": [
            {**call, "kind": kind_of(call), "badness": badness(Verdict(call["verdict"]), call["client"])}
            for call in report["calls"]
        ],
        "meshed": sorted(meshed),
        "against": _made([_against(report["violations"])]),
        "strict": _strict(report),
        "tables": _made(_tables(report)),
    }


def kind_of(call: Obj) -> str:
    """How a call is shown."""
    refused = call["client"] == WITHOUT_SIDECAR and call["verdict"] == Verdict.BROKEN
    return REFUSED if refused else str(call["verdict"])


def _made(tables: Iterable[Table]) -> list[dict[str, t.Any]]:
    """Tables with rows, as the script takes them. Long ones are closed."""
    return [asdict(table) | {"open": table.open or len(table.rows) <= OPEN_ROWS} for table in tables if table.rows]


def _against(violations: Sequence[Obj]) -> Table:
    """One row for what is to be changed at an object: the callers that it concerns may be many."""
    grouped: dict[tuple[str, str], list[Obj]] = {}
    for entry in violations:
        grouped.setdefault((entry["object"], entry["change"]), []).append(entry)
    rows: list[list[Cell]] = [
        [name, same[0]["message"] + (f" (and {len(same) - 1} more, see Findings)" if len(same) > 1 else ""), change]
        for (name, change), same in grouped.items()
    ]
    columns = ("object", "what", "change")
    return Table("Not as demanded, or not known", columns, rows, long=columns[1:], open=True)


def _words(value: str) -> str:
    return value.replace("_", " ")


def _named(client: str) -> str:
    return NAMES.get(client, client)


def _strict(report: Obj) -> dict[str, t.Any] | None:
    """What STRICT would break; None when that was not asked."""
    what = report["what_if"]
    if not what:
        return None
    subject = "the mesh" if what["mesh"] else f"namespace {', '.join(what['namespaces'])}"
    tables = [
        _broken("Calls that would break", what["breaks"]),
        _broken("Calls of which it is not known", what.get("unknown") or []),
        Table(
            "Other callers",
            ("kind", "caller", "target", "port", "now", "then", "why"),
            [
                [*(_words(e["kind"]), e["caller"], e["target"], e["port"], _words(e["was"])), _then(e), e["reason"]]
                for e in what.get("named_callers") or []
            ],
            long=("why",),
        ),
        Table(
            "Requests of the kubelet",
            ("workload", "port", "probe or hook", "now", "then"),
            [[e["workload"], e["port"], e["probe"], e["was"], _then(e)] for e in what["probes"]],
        ),
        Table(
            "Ports that would refuse callers without a sidecar",
            ("service", "port", "now"),
            [[e["service"], e["port"], _words(e["was"])] for e in what["refuses"]],
            note=f"Workloads without a sidecar: {', '.join(what['callers'])}" if what["callers"] else "",
        ),
        Table(
            "Others that may call without a sidecar",
            ("kind", "caller", "why"),
            [[_words(e["kind"]), e["caller"], e["reason"]] for e in what.get("possible_callers") or []],
            long=("why",),
        ),
    ]
    notes = {
        "Looked at:": what.get("looked_at"),
        "Not looked at, so nothing is known of it:": what.get("not_looked_at"),
    }
    return {
        "title": f"What if {subject} were STRICT?",
        "text": report["summary"]["what_if"],
        "tables": _made(tables),
        "notes": [[name, items] for name, items in notes.items() if items],
    }


def _broken(title: str, entries: Sequence[Obj]) -> Table:
    rows: list[list[Cell]] = [
        [_named(e["client"]), e["service"], e["port"], _words(e["was"]), e["reason"]] for e in entries
    ]
    return Table(title, ("caller", "service", "port", "now", "why"), rows, long=("why",))


def _then(entry: Obj) -> str:
    """What becomes of a caller under STRICT; entries without a verdict are of those that break."""
    return str(entry.get("verdict") or Verdict.BROKEN)


def _tables(report: Obj) -> list[Table]:
    """What was found and read, besides the calls."""
    return [
        Table(
            "Findings",
            ("severity", "object", "what", "change"),
            [
                [{"class": f["severity"], "text": f["severity"]}, f["object"], f["message"], f["change"]]
                for f in report["findings"]
            ],
            long=("what", "change"),
        ),
        Table(
            "Callers, by metrics",
            ("service", "caller", "mutual TLS", "plain text", "share"),
            [
                [c["service"], c["caller"], c["mutual"], c["plaintext"], f"{100 * c['share']:.1f} %"]
                for c in report["callers"]
            ],
        ),
        Table(
            "Namespaces",
            ("namespace", "mode", "policy", "pods", "without proxy", "ports open to plain text"),
            [
                [
                    *(n["namespace"], n["mode"], n["policy"], n["pods"]),
                    *(n["pods_without_proxy"], n["ports_open_to_plaintext"]),
                ]
                for n in report["namespaces"]
            ],
        ),
        Table(
            "Workloads",
            ("workload", "pods", "proxy", "mode", "ports", "policy"),
            [
                [
                    *(w["workload"], w["pods"], w["proxy"] + (f" ({w['why']})" if w["why"] else ""), w["mode"]),
                    *(", ".join(f"{port} {mode}" for port, mode in w["ports"].items()), w["policy"]),
                ]
                for w in report["workloads"]
            ],
        ),
        Table(
            "Certificates",
            ("pod", "identity", "hours left"),
            [
                [
                    c["pod"],
                    c["identity"] + ("" if c["identity"] == c["expected"] else f" (expected {c['expected']})"),
                    c["hours_left"],
                ]
                for c in report["certificates"]
            ],
        ),
    ]
