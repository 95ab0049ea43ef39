# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Unit tests of _mesh/diagnose: pods, events, certificates, calls, istioctl, and the answer."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._mesh.diagnose import (
    calls,
    certificates,
    events,
    istioctl,
    pods,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mesh.diagnose.codes import DiagnosisCode, Section
from ansible_collections.servicemesh.platform.plugins.module_utils._mesh.diagnose.findings import (
    Answer,
    FailOn,
    Finding,
    answer_of,
    failing,
    finding,
    not_read,
    sentence,
)
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

NOW = datetime(2026, 11, 26, 18, 0, 0, tzinfo=UTC)
INJECTED = {"shop": {"istio-injection": "enabled"}}


def at(seconds: float) -> str:
    return (NOW - timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def pod(
    phase: str = "Running", *, proxy: bool = True, age: float = 600, ready: bool = True, **status: Any
) -> dict[str, Any]:
    names = ["app", *(["istio-proxy"] if proxy else [])]
    entries = [{"name": name, "ready": ready, "restartCount": 0, "state": {"running": {}}} for name in names]
    ready_condition = {"type": "Ready", "status": "True" if ready else "False", "lastTransitionTime": at(age)}
    return {
        "metadata": {"name": "web-1", "namespace": "shop", "creationTimestamp": at(age)},
        "spec": {
            "containers": [{"name": name, "args": ["proxy", "sidecar"] if name != "app" else []} for name in names]
        },
        "status": {"phase": phase, "containerStatuses": entries, "conditions": [ready_condition], **status},
    }


def ended(reason: str, seconds: float, restarts: int = 1, *, waiting: str = "") -> list[dict[str, Any]]:
    last = {"terminated": {"reason": reason, "exitCode": 137, "finishedAt": at(seconds)}}
    state = {"waiting": {"reason": waiting}} if waiting else {"running": {}}
    return [{"name": "app", "ready": not waiting, "restartCount": restarts, "state": state, "lastState": last}]


UNSCHEDULABLE = [
    {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes: Insufficient memory"}
]
PODS = {
    "good": (pod(), []),
    "oom": (pod(containerStatuses=ended("OOMKilled", 60)), ["oom_killed"]),
    "oom long ago": (pod(containerStatuses=ended("OOMKilled", 7200)), []),
    "restarted": (pod(containerStatuses=ended("Error", 60)), ["restarted"]),
    "restarted long ago": (pod(containerStatuses=ended("Error", 7200)), []),
    "crashes": (pod(containerStatuses=ended("Error", 60, 5, waiting="CrashLoopBackOff")), ["crash_loop", "restarted"]),
    "unschedulable": (pod("Pending", conditions=UNSCHEDULABLE, containerStatuses=[]), ["pod_pending"]),
    "pending without a reason": (pod("Pending", containerStatuses=[], ready=False), ["pod_pending"]),
    "starting": (pod("Pending", containerStatuses=[], ready=False, age=5), []),
    "no image": (pod("Pending", containerStatuses=ended("", 9e9, 0, waiting="ImagePullBackOff")), ["pod_pending"]),
    "not ready": (pod(ready=False), ["not_ready"]),
    "not ready yet": (pod(ready=False, age=5), []),
    "evicted": (pod("Failed", reason="Evicted"), ["pod_failed"]),
    "done": (pod("Succeeded", ready=False), []),
    "no proxy": (pod(proxy=False), ["proxy_missing"]),
}  # fmt: skip


@pytest.mark.parametrize("name", PODS)
def test_pods(name: str) -> None:
    obj, expected = PODS[name]
    found = pods.pods_findings([pods.reduced(obj)], INJECTED, NOW.timestamp(), 3600)
    assert [str(entry.code) for entry in found] == expected


def test_who_wants_no_proxy_lacks_none() -> None:
    excluded = pod(proxy=False)
    excluded["metadata"]["labels"] = {"sidecar.istio.io/inject": "false"}
    assert pods.pods_findings([pods.reduced(excluded)], INJECTED, NOW.timestamp(), 3600) == []
    assert pods.pods_findings([pods.reduced(pod(proxy=False))], {"shop": {}}, NOW.timestamp(), 3600) == []


def event(seconds: float, name: str = "web-1", **more: Any) -> dict[str, Any]:
    about = {"kind": "Pod", "namespace": "shop", "name": name}
    return {
        "metadata": {},
        "involvedObject": about,
        "reason": "Unhealthy",
        "lastTimestamp": at(seconds),
        "message": "probe failed",
        **more,
    }


def test_warnings_are_grouped_and_old_ones_left_out() -> None:
    rows = events.rows([event(60, count=3), event(10), event(20, "web-2"), event(9999, "web-3")], NOW.timestamp(), 3600)
    assert [(row["object"], row["count"], row["last"]) for row in rows] == [
        ("Pod web-1", 4, at(10)),
        ("Pod web-2", 1, at(20)),
    ]
    (found,) = events.events_findings(rows)
    assert found.message.startswith("Unhealthy: 5 events about 2 objects")


def listed(name: str, begin: float, end: float, serial: str = "1") -> dict[str, Any]:
    return {
        "subject_alt_names": [{"uri" if "://" in name else "dns": name}],
        "serial_number": serial,
        "valid_from": at(begin * 86400),
        "expiration_time": at(-end * 86400),
    }


CERTIFICATES = {
    "young": (listed("spiffe://a", 0.1, 0.9), []),
    "not renewed": (listed("spiffe://a", 0.95, 0.05), ["certificate_not_renewed"]),
    "expired": (listed("spiffe://a", 2, -1), ["certificate_expired"]),
    "serving": (listed("shop.example.com", 100, 265), []),
    "serving, soon": (listed("shop.example.com", 350, 15), ["certificate_expires"]),
    "serving, short-lived": (listed("shop.example.com", 1, 6), []),
    "no time": ({"serial_number": "1", "subject_alt_names": []}, ["not_read"]),
}  # fmt: skip


@pytest.mark.parametrize("name", CERTIFICATES)
def test_certificates(name: str) -> None:
    leaf, expected = CERTIFICATES[name]
    found = certificates.of_proxy("Pod shop/web-1", {"certificates": [{"cert_chain": [leaf]}]})
    assert [str(entry.code) for entry in certificates.certificates_findings(found, NOW.timestamp(), 30)] == expected


def test_a_root_is_told_once() -> None:
    roots = {"certificates": [{"cert_chain": [], "ca_cert": [listed("root", 3640, 10)]}]}
    found = certificates.once([entry for where in ("a", "b") for entry in certificates.of_proxy(where, roots)])
    assert [str(entry.code) for entry in certificates.certificates_findings(found, NOW.timestamp(), 30)] == [
        "certificate_expires"
    ]


@pytest.mark.parametrize("answer", [None, {}, {"certificates": "none"}])
def test_an_answer_without_certificates_is_not_read(answer: Any) -> None:
    with pytest.raises(ValueError, match="/certs"):
        certificates.of_proxy("Pod shop/web-1", answer)


def test_the_certificate_of_a_secret() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "shop")])
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(77)
    made = made.not_valid_before(NOW - timedelta(days=80)).not_valid_after(NOW + timedelta(days=10))
    made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName("shop.example.com")]), critical=False)
    pem = made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    found = certificates.of_secret("Secret shop/tls", base64.b64encode(pem).decode())
    assert found.as_dict(NOW.timestamp()) == {
        "use": "serving",
        "name": "shop.example.com",
        "where": "Secret shop/tls",
        "serial": "4d",
        "expires": at(-864000),
        "days_left": 10.0,
    }
    for text in ("", "bm9uZQ==", "%"):
        with pytest.raises(ValueError, match="no certificate"):
            certificates.of_secret("Secret shop/tls", text)


def series(number: float | str, reporter: str = "source", caller: str = "web", service: str = "cart") -> dict[str, Any]:
    labels = {
        "reporter": reporter,
        "source_workload": caller,
        "source_workload_namespace": "shop",
        "destination_service_name": service,
        "destination_service_namespace": "shop",
    }
    return {"metric": labels, "value": [0, str(number)]}


def test_callers_reports_go_before_those_of_callees() -> None:
    everything = [series(100), series(90, "destination"), series(50, "destination", "unknown")]
    found = calls.calls_of(everything, [series(20), series(10, "destination", "unknown")])
    assert [(entry.caller, entry.service, entry.calls, entry.failed) for entry in found] == [
        ("shop/web", "shop/cart", 100, 20),
        ("shop/unknown", "shop/cart", 50, 10),
    ]
    told = calls.calls_findings(found, 0.1, 10, 3600)
    assert [entry.message for entry in told] == [
        "20 of 100 calls failed (20.0%) in the last 3600 s",
        "10 of 50 calls failed (20.0%) in the last 3600 s",
    ]
    assert calls.calls_findings(found, 0.2, 10, 3600) == []
    assert calls.calls_findings(found, 0.1, 60, 3600) == told[:1]


def test_callers_that_a_callee_does_not_know_are_not_counted_twice() -> None:
    """Without metadata exchange, a callee reports calls of the mesh with an unknown caller."""
    unknown = {
        **series(100, "destination"),
        "metric": {**series(0, "destination")["metric"], "source_workload": "", "source_workload_namespace": ""},
    }
    assert [entry.caller for entry in calls.calls_of([series(100), unknown], [])] == ["shop/web"]
    known = calls.calls_of([series(100), series(90, "destination"), unknown], [])
    assert [entry.caller for entry in known] == ["shop/web", "unknown/unknown"]
    assert [entry.caller for entry in calls.calls_of([unknown], [])] == ["unknown/unknown"]


def test_no_calls_are_told() -> None:
    assert [str(entry.code) for entry in calls.calls_findings(calls.calls_of([], []), 0.1, 10, 3600)] == ["no_calls"]
    with pytest.raises(ValueError, match="no number"):
        calls.calls_of([series("NaN")], [])


def test_what_istioctl_says() -> None:
    said = [
        {"code": "IST0101", "level": "Error", "origin": "VirtualService shop/web", "message": "not found", "documentationUrl": "https://istio.io/x"},
        {"code": "IST0102", "level": "Info", "origin": "Namespace default", "message": "not enabled"},
        {"code": "IST0999", "level": "Dire", "message": "new"},
    ]  # fmt: skip
    found = istioctl.istioctl_findings(json.dumps(said))
    assert [(entry.code, str(entry.severity), entry.object, entry.namespace) for entry in found] == [
        ("IST0101", "error", "VirtualService shop/web", "shop"),
        ("IST0102", "info", "Namespace default", "default"),
        ("IST0999", "warning", "Mesh", ""),
    ]
    assert [istioctl.istioctl_findings(text) for text in ("", "null", "[]")] == [[], [], []]
    for text in ("{}", "Error: x", "[1]"):
        with pytest.raises(istioctl.IstioctlError):
            istioctl.istioctl_findings(text)


def test_whether_istioctl_is_asked() -> None:
    assert (
        istioctl.command("no-such-istioctl", {}, "istio-system")
        == "there is no command no-such-istioctl on the controller"
    )
    with pytest.raises(istioctl.IstioctlError, match="/none/istioctl"):
        istioctl.command("/none/istioctl", {}, "istio-system")
    argv = istioctl.command("true", {"kubeconfig": "/k", "context": "c"}, "istio-system")
    assert argv[1:] == [
        "analyze",
        "--all-namespaces",
        "--output",
        "json",
        "--istioNamespace",
        "istio-system",
        "--kubeconfig",
        "/k",
        "--context",
        "c",
        "--timeout",
        "15s",
    ]
    assert "api_key" in str(istioctl.command("true", {"api_key": "secret"}, "istio-system"))
    assert "secret" not in str(istioctl.command("true", {"api_key": "secret"}, "istio-system"))
    with pytest.raises(istioctl.IstioctlError, match="exit code 1"):
        istioctl.run(["false"])


ERROR = finding(DiagnosisCode.PROXY_STALE, "Pod a/b", "x")
WARNING = finding(DiagnosisCode.NOT_READY, "Pod a/b", "x")
INFO = finding(DiagnosisCode.SUBSET_IDLE, "DestinationRule a/b", "x")
UNREAD = not_read(Section.CALLS, "Prometheus", "no answer")


@pytest.mark.parametrize(
    ("found", "answer", "text", "fails"),
    [
        ([], Answer.HEALTHY, "Nothing is wrong", "0000"),
        ([INFO], Answer.HEALTHY, "Nothing is wrong", "0010"),
        ([UNREAD], Answer.UNKNOWN, "Nothing bad was found, but 1 thing could not be read", "1110"),
        ([WARNING], Answer.FINDINGS, "1 warning found.", "0110"),
        (
            [ERROR, ERROR, WARNING, UNREAD],
            Answer.FINDINGS,
            "2 errors and 1 warning found; 1 thing could not be read",
            "1110",
        ),
    ],
)
def test_the_answer_and_what_fails(found: list[Finding], answer: Answer, text: str, fails: str) -> None:
    assert answer_of(found) is answer
    assert sentence(found).startswith(text)
    assert "".join(str(int(bool(failing(found, fail_on)))) for fail_on in FailOn) == fails
