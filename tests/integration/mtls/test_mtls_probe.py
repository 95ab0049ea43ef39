# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""mtls_probe: what it proves, what it refutes, and what it leaves behind."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls import cells as _mtls_cells
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls import server as _mtls_server
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.model import Mode, ServerMode

from tests.integration.conftest import run_module
from tests.integration.mtls.bed import Bed

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("cluster")]


def probe(bed: Bed, **options: Any) -> dict[str, Any]:
    result = run_module("mtls_probe", namespaces=[bed.namespace], **{"patience": 15, **options})
    assert not result.get("failed"), result["msg"]
    return result


def by_service(result: dict[str, Any], client: str) -> dict[tuple[str, int], tuple[str, str]]:
    calls = [call for call in result["calls"] if call["client"] == client]
    return {(e["service"].partition("/")[2], e["port"]): (e["verdict"], e["proof"]) for e in calls}


def probes_left(bed: Bed) -> list[str]:
    """Jobs and pods of probes in the namespace."""
    selector = {"labelSelector": "app.kubernetes.io/part-of=mtls-probe"}
    found = []
    for path in (f"/apis/batch/v1/namespaces/{bed.namespace}/jobs", f"/api/v1/namespaces/{bed.namespace}/pods"):
        items = bed.client.list_all(path, selector)[0]
        found += [entry["metadata"]["name"] for entry in items if not entry["metadata"].get("deletionTimestamp")]
    return found


def gone(bed: Bed, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while probes_left(bed):
        if time.monotonic() > end:
            return False
        time.sleep(0.5)
    return True


def test_strict_is_proved_and_nothing_stays(bed: Bed) -> None:
    bed.policies(bed.peer())
    result = probe(bed)
    assert by_service(result, "*")[("web", 80)] == ("strict", "proved")
    assert by_service(result, "plaintext")[("web", 80)] == ("broken", "proved")
    assert by_service(result, "plaintext")[("bare", 80)] == ("plaintext", "proved"), (
        "an un-injected pod answers plain text"
    )
    assert by_service(result, "*")[("aside", 80)] == ("broken", "proved"), (
        "TLS to a port that the sidecar does not take"
    )
    assert "violated" not in {call["proof"] for call in result["calls"]}, result["findings"]
    identity = f"spiffe://cluster.local/ns/{bed.namespace}/sa/default"
    (row,) = [
        entry for entry in result["probe_calls"] if (entry["service"], entry["port"]) == (f"{bed.namespace}/web", 80)
    ]
    assert (row["plaintext"], row["control"], row["meshed"]["mtls"]) == ("refused", identity, True)
    assert {entry["identity"] for entry in result["certificates"]} == {identity}
    assert all(0 < entry["hours_left"] <= 24 for entry in result["certificates"])
    assert len({tuple(entry["roots"]) for entry in result["certificates"]}) == 1
    assert gone(bed, 15), probes_left(bed)


@pytest.mark.parametrize(
    ("mode", "star", "plain"),
    [
        ("PERMISSIVE", ("encrypted_not_enforced", "proved"), ("plaintext_allowed", "proved")),
        ("DISABLE", ("plaintext", "proved"), ("plaintext", "proved")),
    ],
)
def test_weaker_modes_are_proved_as_what_they_are(
    bed: Bed, mode: str, star: tuple[str, str], plain: tuple[str, str]
) -> None:
    bed.policies(bed.peer(mode=mode))
    result = probe(bed, services=[f"{bed.namespace}/web"], want={bed.namespace: "strict"})
    assert by_service(result, "*")[("web", 80)] == star
    assert by_service(result, "plaintext")[("web", 80)] == plain
    assert result["compliant"] is False


def test_a_wrong_computation_is_refuted_by_the_wire(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that takes every server for STRICT must not get away with it, neither by the listener nor by calls."""
    bed.policies(bed.peer(mode="PERMISSIVE"))
    lie = ServerMode(Mode.STRICT, "", "a lie")
    monkeypatch.setattr(_mtls_server, "of_group", lambda *_: lie)
    monkeypatch.setattr(_mtls_cells, "of_group", lambda *_: lie)
    for probes in (["listener"], ["calls"]):
        result = probe(
            bed, services=[f"{bed.namespace}/web"], want={bed.namespace: "strict"}, probes=probes, patience=1
        )
        assert by_service(result, "plaintext")[("web", 80)] == ("broken", "violated"), probes
        assert result["compliant"] is False
        assert {"error"} == {f["severity"] for f in result["findings"] if f["code"] == "violated"}


def test_listeners_alone_start_no_pod(bed: Bed) -> None:
    bed.policies(bed.peer())
    result = probe(bed, probes=["listener"])
    assert by_service(result, "*")[("web", 80)] == ("strict", "claimed")
    assert (result["probe_calls"], result["stats"]["probe_calls"]) == ([], 0)
    assert probes_left(bed) == []


def test_check_mode_makes_no_call(bed: Bed) -> None:
    result = run_module("mtls_probe", namespaces=[bed.namespace], check=True)
    assert result["probe_calls"] == []


def call_of(result: dict[str, Any], client: str, service: str, port: int = 80) -> dict[str, Any]:
    (found,) = [
        call for call in result["calls"] if (call["client"], call["service"], call["port"]) == (client, service, port)
    ]
    return dict(found)


def test_each_kind_of_endpoint_is_reached_or_named(bed: Bed) -> None:
    """Pods that are STRICT and a WorkloadEntry without a sidecar, behind one Service."""
    web = f"{bed.namespace}/web"
    bed.policies(bed.peer(), bed.entry("web", bed.ip("bare")))
    result = probe(bed, services=[web])
    star = call_of(result, "*", web)
    assert (star["verdict"], star["proof"]) == ("plaintext", "proved"), star
    assert "likewise at" in star["evidence"]
    rows = {row["kind"]: row for row in result["probe_calls"] if row["port"] == 80}
    assert {kind: (row["plaintext"], row["meshed"]["mtls"]) for kind, row in rows.items()} == {
        next(kind for kind in rows if kind.startswith(f"pods of {web}")): ("refused", True),
        "WorkloadEntry vm-web": ("accepted", False),
    }
    result = probe(bed, services=[web], probes=["calls"], max_calls=3)
    star, plain = (call_of(result, client, web) for client in ("*", "plaintext"))
    assert star["proof"] == "unproved"
    assert "WorkloadEntry vm-web: max_calls" in star["evidence"], star[
        "evidence"
    ]  # whether the pod was reached is the load balancer's
    assert (plain["verdict"], plain["proof"]) == ("broken", "proved"), (
        "a caller without a sidecar does not get to the entry"
    )


def test_backends_that_differ_are_proved_by_their_own_outcomes(bed: Bed) -> None:
    bed.policies(bed.peer())
    result = probe(bed, services=[f"{bed.namespace}/mixed"], probes=["calls"])
    assert by_service(result, "*")[("mixed", 8080)] == ("broken", "proved"), result["calls"]
    assert by_service(result, "plaintext")[("mixed", 8080)] == ("plaintext", "proved"), result["calls"]
    assert len(result["probe_calls"]) == 2


def test_a_subset_with_a_traffic_policy_is_a_kind_of_its_own(bed: Bed) -> None:
    web = f"{bed.namespace}/web"
    bed.policies(bed.peer(), bed.subset_rule("web", "ISTIO_MUTUAL"))
    star = call_of(probe(bed, services=[web], probes=["calls"]), "*", web)
    assert (star["verdict"], star["proof"]) == ("strict", "unproved")
    assert "in subset all" in star["evidence"], star["evidence"]
    bed.policies(bed.peer(), bed.subset_rule("web", "ISTIO_MUTUAL"), bed.route("web", "all"))
    star = call_of(probe(bed, services=[web], probes=["calls"]), "*", web)
    assert (star["verdict"], star["proof"]) == ("strict", "proved"), "now all calls are those of the subset"


def test_a_probe_with_rules_of_its_own_does_not_speak_for_others(bed: Bed) -> None:
    web = f"{bed.namespace}/web"
    bed.policies(bed.peer(), bed.destination_rule("web", "ISTIO_MUTUAL", namespace=bed.far))
    result = probe(bed, services=[web], probes=["calls"], probe_namespace=bed.far)
    assert call_of(result, "plaintext", web)["proof"] == "proved"
    star = call_of(result, "*", web)
    assert star["proof"] == "unproved"
    assert f"DestinationRule is {bed.far}/rule-web" in star["evidence"], star["evidence"]
    assert call_of(result, f"{bed.far}/far", web)["proof"] == "unproved"


def test_calls_are_bounded(bed: Bed) -> None:
    bed.policies(bed.peer())
    result = probe(bed, probes=["calls"], max_calls=6)
    assert len(result["probe_calls"]) == 2
    assert result["stats"]["probe_calls"] == 6


def test_a_namespace_without_injection_cannot_speak_for_the_mesh(bed: Bed) -> None:
    result = probe(bed, probes=["calls"], probe_namespace="t-mtls-not-there")
    (finding,) = [f for f in result["findings"] if f["code"] == "unproved"]
    assert "t-mtls-not-there" in finding["message"]
    assert {call["proof"] for call in result["calls"]} == {"unproved"}


def test_a_killed_probe_leaves_nothing(bed: Bed) -> None:
    """SIGKILL in the middle of the calls: the Job's deadline ends the pod, and the control plane deletes the Job."""
    root = Path(__file__).parents[3]
    code = (
        "import sys; sys.path[:0] = ['.', '.collections']; import tests.conftest\n"
        "from tests.integration.conftest import run_module\n"
        f"run_module('mtls_probe', namespaces=['{bed.namespace}'], probes=['calls'], rate=0.2, deadline=30)\n"
    )
    running = subprocess.Popen([sys.executable, "-c", code], cwd=root)
    end = time.monotonic() + 60
    try:
        while not probes_left(bed):
            assert time.monotonic() < end, "no probe was started"
            assert running.poll() is None
            time.sleep(0.2)
    finally:
        running.send_signal(signal.SIGKILL)
        running.wait()
    assert probes_left(bed), "killed before it could clean up"
    assert gone(bed, 60), probes_left(bed)
