# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: may change at any time without notice; only this collection may import it.
"""The history of a rollout as lines of output while it runs."""

from __future__ import annotations

import textwrap
import typing as t
from collections.abc import Iterable, Mapping, Sequence

from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.metrics import QUANTILES
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.verdict import Verdict, number
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.state import Phase
from ansible_collections.servicemesh.platform.plugins.module_utils._text import clean

BAR = 20  # characters of a whole bar
WIDTH = 138  # characters of a line, without the two that the output is indented by
# Events of the history that get a line: those with the name of a phase, and others.
_SHOWN = frozenset(
    {
        "start",
        "note",
        "step",
        "window",
        "watch",
        "resume",
        "error",
        "interrupted",
        Phase.PAUSED,
        Phase.FROZEN,
        Phase.PROMOTING,
        Phase.PROMOTED,
        Phase.ROLLING_BACK,
        Phase.ROLLED_BACK,
    }
)
BAD = frozenset({Verdict.FAIL, Phase.ROLLING_BACK, Phase.ROLLED_BACK, Phase.FROZEN, "error"})

# What the result of a whole run has. Everything else is in the record, which canary_info returns, and in the report.
_KEPT = frozenset(
    {"changed", "failed", "msg", "phase", "weight", "version", "old_version", "run", "reason", "report", "metrics_file"}
    | {"warnings", "deprecations", "exception", "unreachable"}
)
# What the next node of a workflow gets to know, and what it gets when there is none.
_WORKFLOW: Mapping[str, t.Any] = {"phase": "", "version": "", "weight": 0, "report": ""}

Check = Mapping[str, t.Any]


def meter(weight: float, width: int = BAR) -> str:
    """``[#####...............]`` for 25 (percent); a weight above 0 has at least one ``#``."""
    filled = min(width, max(int(weight > 0), round(width * weight / 100)))
    return "[" + "#" * filled + "." * (width - filled) + "]"


def duration(seconds: float) -> str:
    """``75`` (seconds) -> ``1m15s``."""
    minutes, rest = divmod(max(0, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes:02d}m"
    return f"{minutes}m{rest:02d}s" if minutes else f"{rest}s"


def versions(result: Mapping[str, t.Any]) -> tuple[str, str]:
    """Names of (new version, old version), which are different also when both have the same version or none."""
    new, old = str(result.get("version") or ""), str(result.get("old_version") or "")
    if new == old:
        return f"new {new}".strip(), f"old {old}".strip()
    return new or "new", old or "old"


def heading(result: Mapping[str, t.Any], service: str) -> str:
    """First line of output."""
    steps = " ".join(str(step) for step in result.get("steps") or [])
    new, old = versions(result)
    return f"canary of {service}: {old} -> {new}, steps {steps} %, windows of {duration(result.get('interval') or 0)}"


def seconds_left(result: Mapping[str, t.Any], step: int) -> float:
    """Seconds from the window of `step` (from 0) until the promotion, when all windows pass."""
    steps = result.get("steps") or []
    return max(0, len(steps) - 1 - step) * float(result.get("interval") or 0)


def numbers(shown: Mapping[str, float] | None) -> str:
    """``1203 req 99.92 % p99 231 ms``; a value that was not measured is a dash."""
    shown = shown or {}
    requests = f"{shown['requests']:.0f} req" if "requests" in shown else "- req"
    rate = f"{100 * shown['success_rate']:.2f} %" if "success_rate" in shown else "- %"
    p99 = f"p99 {shown['p99']:.0f} ms" if "p99" in shown else "p99 -"
    return f"{requests} {rate} {p99}"


# What was judged -------------------------------------------------------------------------------------------------------


def metric_of(check: Check) -> tuple[str, str]:
    """(name of a check's metric, its reporter). The check of a built-in metric at both reporters is named `metric/reporter`."""
    name, reporter = str(check.get("name") or ""), str(check.get("reporter") or "")
    for given in (reporter,) if reporter else ("destination", "source"):
        if name.endswith(f"/{given}"):
            return name[: -len(given) - 1], given
    return name, reporter


def measured(checks: Iterable[Check], shown: Mapping[str, Mapping[str, float]], old: str) -> list[str]:
    """A text for each metric that was judged, and that the numbers of the window do not show already: `basket 0.01 (v1.0 0.02)`.

    `shown`: those numbers of both versions. Reporters are named where their values differ.
    """
    by_name: dict[str, list[Check]] = {}
    for check in checks:
        by_name.setdefault(metric_of(check)[0], []).append(check)
    texts = []
    for name, found in by_name.items():
        values = [_text_of(check, old) for check in found]
        if len(set(values)) > 1:
            each = (f"{metric_of(check)[1]} {value}".strip() for check, value in zip(found, values, strict=True))
            texts.append(f"{name} {', '.join(each)}")
        elif not _is_shown(found[0], name, shown):
            texts.append(f"{name} {values[0]}")
    return texts


def _is_shown(check: Check, name: str, shown: Mapping[str, Mapping[str, float]]) -> bool:
    pairs = ((check.get("value"), "canary"), (check.get("stable"), "stable"))
    there = [(float(value), (shown.get(who) or {}).get(name)) for value, who in pairs if value is not None]
    return bool(there) and not check.get("dry_run") and all(round(value, 5) == other for value, other in there)


def value_of(check: Check, field: str = "value") -> str:
    """``99.93 %``, the new version's value or (`field`: ``stable``) the old one's; empty when there is none."""
    value = check.get(field)
    return "" if value is None else _number(check, float(value))


def _text_of(check: Check, old: str) -> str:
    """``0.93 (v1.0 0.95)``; without a number its verdict, as for a Job."""
    text = value_of(check) or str(check.get("verdict") or "-")
    if other := value_of(check, "stable"):
        text += f" ({old} {other})"
    return f"{text} (dry run)" if check.get("dry_run") else text


def _number(check: Check, value: float) -> str:
    """A value with its unit where that is known: only built-in metrics have a reporter."""
    name, reporter = metric_of(check)
    if reporter and name.endswith("success_rate"):
        return f"{100 * value:.2f} %"
    if reporter and name in QUANTILES:
        return f"{value:.0f} ms"
    return number(value)


# Lines -----------------------------------------------------------------------------------------------------------------


def line(note: Mapping[str, t.Any], result: Mapping[str, t.Any]) -> str:
    """An entry of the history, in as many lines as it needs; empty for entries that are not shown while it runs."""
    event, weight = str(note.get("event")), note.get("weight") or 0
    head = f"{weight:3d}% {meter(weight)}"
    if event == "window":
        return _window(note, result, head)
    if event not in _SHOWN:
        return ""
    # The reason of a rollback is said when it begins.
    message = f"all requests go to {versions(result)[1]}" if event == Phase.ROLLED_BACK else note.get("message")
    return _wrapped(f"{head} ", [f"{event.replace('_', ' ')}: {message}"])


def _window(note: Mapping[str, t.Any], result: Mapping[str, t.Any], head: str) -> str:
    shown, step = note.get("shown") or {}, int(note.get("step") or 0)
    new, old = versions(result)
    where = f"step {step + 1}/{len(result.get('steps') or [])}"
    if note.get("verdict") == Verdict.PASS:
        where += f", {duration(seconds_left(result, step))} left"
    first = [f"{new} {numbers(shown.get('canary'))}", f"{old} {numbers(shown.get('stable'))}", where]
    head = f"{head} {str(note.get('verdict')).upper():12} "
    rest = [_wrapped(" " * len(head), texts) for texts in [measured(note.get("checks") or [], shown, old)] if texts]
    if note.get("verdict") != Verdict.PASS:
        rest.append(_wrapped(" " * len(head), [str(note.get("message"))]))
    return "\n".join([_wrapped(head, first), *rest])


def _wrapped(head: str, texts: Sequence[str]) -> str:
    """Texts one after the other, in lines of at most WIDTH characters that are aligned after `head`."""
    lines, width = [""], WIDTH - len(head)
    for text in texts:
        joined = f"{lines[-1]} | {text}" if lines[-1] else text
        if len(joined) <= width:
            lines[-1] = joined
            continue
        parts = textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False) or [""]
        lines += parts if lines[-1] else []
        if not lines[0]:
            lines = parts
    indent = "\n" + " " * len(head)
    return head + indent.join(lines)


def is_bad(note: Mapping[str, t.Any]) -> bool:
    """Whether the line gets the colour of errors."""
    return note.get("verdict") in BAD or note.get("event") in BAD


def summary(result: Mapping[str, t.Any], service: str) -> str:
    """How the rollout ended, in one or two sentences."""
    return clean(_summary(result, service))


def _summary(result: Mapping[str, t.Any], service: str) -> str:
    phase, reason, weight = result.get("phase"), result.get("reason") or "", result.get("weight")
    next_step = "Continue with promote.yml, or roll back with rollback.yml."
    new = str(result.get("version") or "the new version")
    if phase == Phase.PROMOTED:
        return f"{service} {new} is live."
    if phase == Phase.ROLLED_BACK:
        old = result.get("old_version") or "the old version"
        proof = _proof(result.get("proof") or {}, new)
        return f"The canary of {service} was rolled back to {old} from {new}: {reason}. Rollback {proof}."
    if phase == Phase.PAUSED:
        return f"The canary of {service} is paused at {weight} % with {new}: {reason}. {next_step}"
    if phase == Phase.FROZEN:
        return f"The canary of {service} is frozen at {weight} % with {new}: {reason}. {next_step}"
    return f"The canary of {service} to {new} is at {weight} % ({phase})."


def ending(result: Mapping[str, t.Any], name: str) -> dict[str, t.Any]:
    """The result of a whole run: short, because Ansible prints all of it when the task failed, and with ``-v``.

    `name`: of the rollout among those that a workflow knows.
    """
    kept = {key: value for key, value in result.items() if key in _KEPT}
    if "after" in (result.get("diff") or {}):  # only in diff mode
        kept["diff"] = result["diff"]
    known = {key: kept.get(key, nothing) for key, nothing in _WORKFLOW.items()}
    return {**kept, "succeeded": not result.get("failed"), "workflow": {name: known}}


def _proof(proof: Mapping[str, t.Any], new: str) -> str:
    if proof.get("proved"):
        return f"proved: the weight is 0 in the sampled proxies and requests to {new} have ended"
    why = "; ".join(proof.get("missing") or []) or proof.get("errors") or proof.get("why") or "nothing was measured"
    return f"not proved: {why}"
