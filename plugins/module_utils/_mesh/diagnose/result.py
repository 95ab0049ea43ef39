# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What mesh_info makes of all that was read: findings, rows for the report, and the answer. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._mesh.diagnose import (
    calls,
    certificates,
    config,
    events,
    istioctl,
    pods,
    proxy_config,
    sync,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mesh.diagnose.codes import DiagnosisCode, Section
from ansible_collections.servicemesh.platform.plugins.module_utils._mesh.diagnose.findings import (
    FailOn,
    Finding,
    answer_of,
    counted,
    failing,
    finding,
    missing_findings,
    not_read,
    ordered,
    sentence,
    understood,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mesh.diagnose.observed import (
    KINDS,
    Observed,
    ProxyConfig,
    Wanted,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.rules import Severity
from ansible_collections.servicemesh.platform.plugins.module_utils._text import cleaned

_MOST_CALLS = 50  # rows of calls that a result has
_MOST_DIFFERENCES = 5  # that a message names


@dataclass
class _Told:
    """What is collected for the result."""

    findings: list[Finding] = field(default_factory=list)
    rows: dict[str, Any] = field(default_factory=dict)
    looked_at: dict[Section, str] = field(default_factory=dict)


def result(observed: Observed, wanted: Wanted, fail_on: FailOn, stats: Mapping[str, Any]) -> dict[str, Any]:
    """The module's result. Texts of others are cleaned."""
    told = _Told()
    sections = {
        kind.name: section
        for section in reversed(Section)
        if section in wanted.sections
        for kind in KINDS.get(section, ())
    }
    told.findings += missing_findings(observed.missing, sections)
    for section, judge in _JUDGES.items():
        if section not in observed.not_asked:
            judge(observed, wanted, told)
    _proxy_configs(observed.configs, told)
    found = ordered(entry for entry in told.findings if not entry.namespace or wanted.concerns(entry.namespace))
    bad = failing(found, fail_on)
    empty: dict[str, list[Any]] = {
        name: [] for name in ("proxies", "istiods", "pods", "certificates", "events", "calls", "proxy_configs")
    }
    return {
        "changed": False,
        **empty,
        **cleaned(told.rows),
        "findings": cleaned([entry.as_dict() for entry in found]),
        "failing": cleaned([entry.as_dict() for entry in bad]),
        "summary": cleaned(_summary(found, observed, told.looked_at)),
        "stats": dict(stats),
    }


def _summary(found: Sequence[Finding], observed: Observed, looked_at: Mapping[Section, str]) -> dict[str, Any]:
    rows = []
    for section in Section:
        mine = [entry for entry in found if entry.section is section]
        why = observed.not_asked.get(section)
        unread = [entry for entry in mine if not entry.known]
        state = "not_asked" if why is not None else "unknown" if unread else "read"
        text = why if why is not None else looked_at.get(section, "")
        if unread:
            text = f"not read: {', '.join(dict.fromkeys(entry.object for entry in unread))}" + (
                f"; {text}" if text else ""
            )
        known = [entry for entry in mine if entry.known]
        numbers = {f"{severity}s": sum(entry.severity is severity for entry in known) for severity in Severity}
        rows.append({"section": str(section), "state": state, **numbers, "unknown": len(unread), "text": text})
    return {
        "answer": str(answer_of(found)),
        "text": sentence(found),
        "sections": rows,
        "errors": sum(row["errors"] for row in rows),
        "warnings": sum(row["warnings"] for row in rows),
        "infos": sum(row["infos"] for row in rows),
        "unknown": sum(row["unknown"] for row in rows),
    }


def _pods(observed: Observed) -> list[pods.Pod]:
    return observed.found.get("Pod") or []


def _proxies(observed: Observed, wanted: Wanted, told: _Told) -> None:
    if "Pod" in observed.missing:
        return
    expected = sync.expected_of(_pods(observed))
    judged = sync.judge(observed.istiods, expected, wanted.stale_after, observed.istiods_before)
    told.findings += judged.findings
    shown = [entry for entry in judged.proxies if wanted.concerns(entry.namespace)]
    told.rows["proxies"] = [entry.as_dict() for entry in shown]
    told.rows["istiods"] = [
        {
            "pod": istiod.pod,
            "version": istiod.version,
            "revision": istiod.revision,
            "proxies": sum(entry.istiod == istiod.pod for entry in judged.proxies),
            "error": istiod.error,
        }
        for istiod in observed.istiods
    ]
    states = {state: sum(entry.state is state for entry in shown) for state in sync.State}
    parts = [f"{number} {str(state).replace('_', ' ')}" for state, number in states.items() if number]
    told.looked_at[Section.PROXIES] = f"{len(shown)} proxies: {', '.join(parts) or 'none'}"


def _config(observed: Observed, wanted: Wanted, told: _Told) -> None:
    read = observed.mesh_config
    root, trust_domain = (None, None) if read.error else read.value
    if read.error:
        where = f"MeshConfig in {wanted.istio_namespace}"
        told.findings.append(not_read(Section.CONFIG, where, read.error, read.right))
    kinds = {kind.name for kind in KINDS[Section.CONFIG]}
    objects = {name: items for name, items in observed.found.items() if name in kinds and name != "Pod"}
    told.findings += config.config_findings(
        config.Config(
            objects,
            _pods(observed),
            frozenset(observed.missing),
            wanted.domain,
            root,
            wanted.istio_namespace,
            trust_domain,
        )
    )
    numbers = {
        name: sum(wanted.concerns(config.namespace_of(item)) for item in items) for name, items in objects.items()
    }
    some = [
        f"{numbers[name]} {name}"
        for name in ("VirtualService", "DestinationRule", "Gateway", "Service")
        if name in numbers
    ]
    told.looked_at[Section.CONFIG] = ", ".join(some)


def _of_pods(observed: Observed, wanted: Wanted, told: _Told) -> None:
    mine = [pod for pod in _pods(observed) if wanted.concerns(pod.namespace)]
    labels = {
        item["metadata"]["name"]: item["metadata"].get("labels") or {} for item in observed.found.get("Namespace") or []
    }
    told.findings += pods.pods_findings(mine, labels, observed.now, wanted.window)
    told.rows["pods"] = pods.rows(mine)
    if "Pod" not in observed.missing:
        told.looked_at[Section.PODS] = counted(len(mine), "pod")


def _certificates(observed: Observed, wanted: Wanted, told: _Told) -> None:
    found: list[certificates.Certificate] = []
    for where, read in observed.certificates:
        try:
            if read.error:
                raise ValueError(read.error)
            found += understood(certificates.of_proxy, where, read.value)
        except ValueError as error:
            told.findings.append(not_read(Section.CERTIFICATES, where, str(error), read.right))
    for where, read in observed.secrets:
        try:
            if read.error:
                raise ValueError(read.error)
            if read.value is None:
                told.findings.append(
                    finding(DiagnosisCode.SECRET_MISSING, where, "an Ingress names it, and it does not exist")
                )
            else:
                found.append(certificates.of_secret(where, read.value))
        except ValueError as error:
            told.findings.append(not_read(Section.CERTIFICATES, where, str(error), read.right))
    once = certificates.once(found)
    told.findings += certificates.certificates_findings(once, observed.now, wanted.certificate_days)
    told.rows["certificates"] = [entry.as_dict(observed.now) for entry in once]
    able = sum(pod.has_envoy and pod.up and wanted.concerns(pod.namespace) for pod in _pods(observed))
    where = f"{len(observed.certificates)} of {able} proxies and {counted(len(observed.secrets), 'Secret')}"
    told.looked_at[Section.CERTIFICATES] = f"{counted(len(once), 'certificate')}, of {where}"


def _events(observed: Observed, wanted: Wanted, told: _Told) -> None:
    rows = events.rows(observed.found.get("Event") or [], observed.now, wanted.window)
    mine = [row for row in rows if not row["namespace"] or wanted.concerns(row["namespace"])]
    told.findings += events.events_findings(mine)
    told.rows["events"] = mine
    if "Event" not in observed.missing:
        told.looked_at[Section.EVENTS] = f"{counted(sum(row['count'] for row in mine), 'warning')} in {wanted.window} s"


def _calls(observed: Observed, wanted: Wanted, told: _Told) -> None:
    read = observed.calls
    try:
        if read.error:
            raise ValueError(read.error)
        everything = understood(calls.calls_of, *read.value)
    except ValueError as error:
        told.findings.append(not_read(Section.CALLS, "Prometheus", str(error)))
        return
    mine = [entry for entry in everything if wanted.concerns(entry.service.partition("/")[0])]
    told.findings += calls.calls_findings(mine, wanted.failed_share, wanted.min_calls, wanted.window)
    told.rows["calls"] = [entry.as_dict() for entry in mine[:_MOST_CALLS]]
    failed, total = sum(entry.failed for entry in mine), sum(entry.calls for entry in mine)
    told.looked_at[Section.CALLS] = f"{failed:.0f} of {total:.0f} calls failed in {wanted.window} s"


def _istioctl(observed: Observed, _wanted: Wanted, told: _Told) -> None:
    try:
        if observed.istioctl.error:
            raise istioctl.IstioctlError(observed.istioctl.error)
        found = istioctl.istioctl_findings(observed.istioctl.value)
    except istioctl.IstioctlError as error:
        told.findings.append(not_read(Section.ISTIOCTL, "istioctl analyze", str(error)))
        return
    told.findings += found
    told.looked_at[Section.ISTIOCTL] = counted(len(found), "message")


_JUDGES = {
    Section.PROXIES: _proxies,
    Section.CONFIG: _config,
    Section.PODS: _of_pods,
    Section.CERTIFICATES: _certificates,
    Section.EVENTS: _events,
    Section.CALLS: _calls,
    Section.ISTIOCTL: _istioctl,
}


def _proxy_configs(configs: Iterable[ProxyConfig], told: _Told) -> None:
    rows = []
    for entry in configs:
        name, namespace = f"Pod {entry.pod.namespace}/{entry.pod.name}", entry.pod.namespace
        for what, read in entry.unread:
            told.findings.append(not_read(Section.PROXIES, f"{what} of {name}", read.error, read.right))
        if entry.differences:
            more = len(entry.differences) - _MOST_DIFFERENCES
            text = "; ".join(map(str, entry.differences[:_MOST_DIFFERENCES])) + (f"; {more} more" if more > 0 else "")
            told.findings.append(finding(DiagnosisCode.CONFIG_DIFFERS, name, text, namespace=namespace))
        if entry.dump is not None:
            for resource, why in entry.dump.refused.items():
                message = f"Envoy refused a newer listener {resource}: {why}"
                told.findings.append(finding(DiagnosisCode.PROXY_REJECTED, name, message, namespace=namespace))
        rows.append(
            {
                "pod": entry.pod.name,
                "namespace": namespace,
                "workload": entry.pod.workload,
                "known": not entry.unread,
                "summary": None if entry.dump is None else proxy_config.summary(entry.dump, entry.endpoints),
                "differences": [difference.as_dict() for difference in entry.differences],
            }
        )
    told.rows["proxy_configs"] = rows
