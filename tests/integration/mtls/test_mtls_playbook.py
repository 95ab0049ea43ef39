# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""verify_mtls.yml fails with the finding where there is one; test_mtls_wire.py has all cases."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.integration.mtls.bed import Bed
from tests.integration.mtls.cases import CASES
from tests.support import ansible_playbook

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("cluster")]


# Cases that break a demand of STRICT: at a service, at a service and its workload, at a service and the workload of another one. And one
# that meets it. A run takes ten seconds, and all that comes before its report is shown by test_mtls_wire.py.
BROKEN = ("port exception", "un-injected pod", "headless with a pod without sidecar")
WHOLE = ("strict",)


@pytest.mark.parametrize("case", [*BROKEN, *WHOLE])
def test_the_playbook_fails_with_the_finding_where_there_is_one(bed: Bed, tmp_path: Path, case: str) -> None:
    make, service, port, *_verdicts = CASES[case]
    bed.policies(*make(bed))
    # All other deviations of this namespace are excepted, without those of the service in question.
    others = {"bare", "aside", "web-headless", "mixed", "liar", "shy", "web"} - {service}
    workloads = {"bare", "outside", "meshed", "aside", "liar", "shy", "aloof"} - {service}
    named = {service, "bare"} if service == "mixed" else {service}  # a pod of it, which is not excepted then
    workloads -= named
    exceptions = [{"service": f"{bed.namespace}/{name}"} for name in sorted(others)]
    exceptions += [{"workload": f"{bed.namespace}/{name}"} for name in sorted(workloads)]
    if case in WHOLE:  # a call that does not pass its caller's sidecar is a deviation in each case
        exceptions.append({"service": f"{bed.namespace}/web", "port": bed.kept, "client": f"{bed.namespace}/aloof"})
    options = {
        "verify_mtls_want": {bed.namespace: "strict"},
        "verify_mtls_exceptions": exceptions,
        "verify_mtls_namespaces": [bed.namespace],
        "verify_mtls_probes": ["listener"],
        "verify_mtls_report_directory": str(tmp_path),
    }
    run = ansible_playbook("verify_mtls.yml", "-i", "inventories/local", "-e", json.dumps(options))
    report = json.loads((tmp_path / "mtls-local.json").read_text())
    junit = (tmp_path / "mtls-local.xml").read_text().splitlines()[1]
    if case in WHOLE:
        assert run.returncode == 0, run.told
        assert report["compliant"] is True
        assert 'failures="0"' in junit
        return
    assert run.returncode == 2, run.told
    about = f"Service {bed.namespace}/{service} port {port}"
    findings = [f for f in report["violations"] if f["object"] == about]
    assert findings, report["findings"]
    shown = " ".join(run.text.split())
    for finding in findings:
        assert f"{about}: {' '.join(finding['message'].split())}" in shown, finding
    assert report["compliant"] is False
    told = {f["object"].split()[1] for f in report["violations"]}
    assert told == {f"{bed.namespace}/{name}" for name in named}, "what is excepted is not reported"
    assert 'failures="0"' not in junit
