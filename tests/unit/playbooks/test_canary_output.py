# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person sees of canary.yml, promote.yml and rollback.yml: the real playbooks, roles and callback, with scripted modules."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.contract.tree import ROOT

Obj = dict[str, Any]
STUBS = Path(__file__).parent / "stubs"
REASON = (
    "success_rate/destination: 0.8312 is below 0.95 (1203 requests in 60 s); success_rate/source: 0.8298 is below 0.95"
)
MOST_LINES = 40
GIVEN = {"platform_kubeconfig": "", "platform_image_registry": "registry.example.com/shop"}


def checks(verdict: str) -> list[Obj]:
    value = 0.8312 if verdict == "fail" else 0.9993
    return [
        {"name": f"{name}/{side}", "reporter": side, "verdict": verdict, "value": value, "stable": 0.9997, "requests": 1203,
         "reason": f"{name}: {value}", "critical": False, "query": f'sum(rate(x{{reporter="{side}"}}[60s]))'}
        for name in ("success_rate", "p99") for side in ("destination", "source")
    ]  # fmt: skip


def window(step: int, weight: int, verdict: str) -> Obj:
    shown = {who: {"requests": 1203.0, "success_rate": 0.9993, "p99": 231.0} for who in ("canary", "stable")}
    message = REASON if verdict == "fail" else "4 metrics pass"
    return {"time": 1000.0 + step, "event": "window", "weight": weight, "step": step, "verdict": verdict, "message": message,
            "shown": shown, "checks": checks(verdict)}  # fmt: skip


def note(event: str, weight: int, message: str) -> Obj:
    return {"time": 1000.0, "event": event, "weight": weight, "message": message}


def result(phase: str, weight: int, history: list[Obj], **more: Any) -> Obj:
    """A call's result as the module returns it."""
    values = {
        "changed": True, "phase": phase, "stage": "", "weight": weight, "step": 0, "run": "1f0c9a7be2d4", "version": "v1.1",
        "old_version": "v1.0", "steps": [10, 50], "interval": 60.0, "started": 1000.0, "since": 1000.0, "deadline": 9000.0,
        "blind_since": 0.0, "blind_limit": 180.0, "reason": "", "proof": {"proved": True, "proxies": ["a/b"]},
        "virtual_services": ["ecommerce/user-service"], "metrics": "x 1\n" * 20, "history": history, "notes": [], "done": False,
        "next_in": 0.0, "waiting": "", "seconds": 0.2, "requests": 14, "holder": "a@b", "fencing_token": 3,
    }  # fmt: skip
    return {**values, **more}


START = note("start", 0, "v1.0 -> v1.1")
UP = [START, note("step", 10, "weight 0 % -> 10 %"), window(0, 10, "pass"), note("step", 50, "weight 10 % -> 50 %")]
GOOD = [*UP, window(1, 50, "pass")]
BAD = [*UP, window(1, 50, "fail"), note("rolling_back", 50, REASON)]
BACK = [*BAD, note("rolled_back", 0, REASON)]
BEGIN = {"user-service start": [result("preparing", 0, [START], notes=[START])]}
SENTENCE = f"The canary of user-service was rolled back to v1.0 from v1.1: {REASON}. Rollback proved"

ENDS: dict[str, Obj] = {
    "rolled back": {**BEGIN, "user-service step": [
        result("analysing", 50, UP, notes=UP[1:]),
        result("rolled_back", 0, BACK, notes=BACK[4:], reason=REASON, done=True)]},
    "frozen": {**BEGIN, "user-service step": [
        result("frozen", 50, [*UP, note("frozen", 50, REASON)], notes=[note("frozen", 50, REASON)], reason=REASON, done=True)]},
    "refused": {"user-service start": [{"failed": True, "msg": f"The canary cannot start; nothing was changed: {REASON}"}]},
    "promoted": {**BEGIN, "user-service step": [
        result("promoting", 50, GOOD, notes=GOOD[1:]),
        result("promoted", 0, [*GOOD, note("promoted", 0, "v1.1 is live")], notes=[note("promoted", 0, "v1.1 is live")], done=True)]},
    "paused": {**BEGIN, "user-service step": [
        result("paused", 50, GOOD, notes=GOOD[1:], reason="paused at 50 % as planned", done=True)]},
}  # fmt: skip


@dataclass(frozen=True)
class Run:
    """A run of a playbook: exit code, output, the calls of modules, and what set_stats carries to the next node of a workflow."""

    code: int
    text: str
    calls: list[Obj]
    stats: Obj

    @property
    def lines(self) -> list[str]:
        return self.text.strip().splitlines()

    @property
    def recap(self) -> dict[str, int]:
        """Counters of the only host."""
        counters = dict(re.findall(r"(changed|failed|rescued)=(\d+)", self.text.partition("PLAY RECAP")[2]))
        return {name: int(number) for name, number in counters.items()}

    @property
    def words(self) -> str:
        """The output in one line: the callback breaks long messages where it likes."""
        return " ".join(self.text.split())


class Bench:
    """Runs playbooks with scripted results of modules, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.scripts = folder, folder.parent / f"{folder.name}-answers"
        folder.mkdir()
        self.scripts.mkdir()

    def __call__(
        self, playbook: str, canary: Obj, *args: str, info: Obj | None = None, root: Path = ROOT, **values: Any
    ) -> Run:
        plan = values.get("release_plan") or [{"service": values["service"]}]
        services = [entry["service"] for entry in plan]
        nothing = {
            "active": False,
            "phase": "",
            "weight": 0,
            "changed": False,
            "live": {"image": "x:v1.0", "version": "v1.0"},
        }
        states = {name: {**nothing, **(info or {}).get(name, {})} for name in services}
        read = {"changed": False, "secrets": {"user-service-secrets": "1"}, "ingress": []}
        answers = {
            "apply": {"changed": False},
            "service_info": {name: {**read, "canary": states[name]} for name in services},
            "canary_info": states,
            "canary": canary,
        }
        script = self.scripts / "answers.json"
        script.write_text(json.dumps(answers), encoding="utf-8")
        (self.scripts / "answers.json.calls").unlink(missing_ok=True)
        environment = {
            "ANSWERS": str(script),
            "ANSIBLE_CONFIG": str(root / "ansible.cfg"),
            "ANSIBLE_COLLECTIONS_PATH": str(root / ".collections"),
            "ANSIBLE_CALLBACK_PLUGINS": str(STUBS),
            "ANSIBLE_CALLBACKS_ENABLED": "without_cluster",
            "ANSIBLE_NOCOLOR": "1",
            "KUBECONFIG": "",
        }
        done = subprocess.run(
            [str(Path(sys.executable).parent / "ansible-playbook"), str(root / "playbooks" / playbook),
             "-i", str(root / "inventories" / "dev"), "-e", json.dumps({**GIVEN, **values}), *args],
            cwd=self.folder, env={**os.environ, **environment}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, timeout=120, check=False,
        )  # fmt: skip
        log = self.scripts / "answers.json.calls"
        calls = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
        stats = json.loads((self.scripts / "answers.json.stats").read_text(encoding="utf-8"))
        return Run(done.returncode, done.stdout, [json.loads(line) for line in calls], stats.get("canary_results", {}))


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "here")


def canary(bench: Bench, end: str, *args: str, **more: Any) -> Run:
    return bench("canary.yml", ENDS[end], *args, service="user-service", version="v1.1", **more)


def test_a_canary_that_fails_says_so_once_and_in_few_lines(bench: Bench) -> None:
    run = canary(bench, "rolled back", "--diff")
    assert run.code == 2, run.text
    after = run.text.partition("  canary of user-service: v1.0 -> v1.1")[2]
    assert len(after.strip().splitlines()) <= MOST_LINES, run.text
    # Ansible shows what a task failed with as an error and as the task's result.
    tasks = run.text.split("\nTASK [")
    saying = [task.partition("]")[0] for task in tasks if SENTENCE in " ".join(task.partition("\n")[2].split())]
    assert saying == ["servicemesh.platform.microservice : Demand that the canary ended well"], run.text
    for word in ("history:", "fencing_token", "virtual_services", "metrics:", "blind_since"):
        assert word not in run.text
    assert run.recap == {"changed": 1, "failed": 1, "rescued": 0}


@pytest.mark.parametrize(("end", "changed"), [("frozen", 1), ("refused", 0)])
def test_the_failing_task_has_the_sentence_and_the_loop_says_what_it_changed(
    bench: Bench, end: str, changed: int
) -> None:
    run = canary(bench, end)
    assert run.code == 2, run.text
    assert run.recap == {"changed": changed, "failed": 1, "rescued": 0}, run.text
    assert len(run.lines) <= 80, run.text
    assert run.text.count("FAILED! =>") == 1
    assert REASON in " ".join(run.text.partition("FAILED! =>")[2].split())
    assert run.stats["user-service"]["phase"] == ("frozen" if end == "frozen" else "")


@pytest.mark.parametrize(
    ("end", "words"), [("promoted", "user-service v1.1 is live."), ("paused", "is paused at 50 %")]
)
def test_a_canary_that_ends_well_is_as_short(bench: Bench, end: str, words: str) -> None:
    run = canary(bench, end, "-v")
    assert run.code == 0, run.text
    assert words in run.text
    loop = run.text.partition("  canary of user-service")[2].partition(
        "TASK [servicemesh.platform.microservice : Apply the service]"
    )[0]
    assert len(loop.splitlines()) <= MOST_LINES * 2, run.text
    assert "history:" not in run.text
    report = str(bench.folder / "canary-user-service.html")
    assert run.stats == {"user-service": {
        "phase": end, "version": "v1.1", "weight": 0 if end == "promoted" else 50, "report": report}}  # fmt: skip
    assert "<svg" in Path(report).read_text(encoding="utf-8")


PAUSED = {"active": True, "phase": "paused", "version": "v1.1", "run": "r", "release": {"version": "v1.1", "image": ""}}


def test_promote_and_rollback_tell_the_next_node_and_write_where_they_are_told(bench: Bench) -> None:
    steps = ENDS["promoted"]["user-service step"]
    script = {"user-service promote": [result("analysing", 50, UP)], "user-service step": steps}
    run = bench(
        "promote.yml", script, service="user-service", info={"user-service": PAUSED}, report="here/promoted.html"
    )
    assert run.code == 0, run.text
    report = bench.folder / "here" / "promoted.html"
    assert run.stats["user-service"] == {"phase": "promoted", "version": "v1.1", "weight": 0, "report": str(report)}
    assert report.is_file()

    back = {"user-service rollback": [result("rolled_back", 0, BACK, reason="tickets", done=True)]}
    run = bench("rollback.yml", back, service="user-service", reason="tickets", report="")
    assert run.code == 0, run.text
    assert "was rolled back to v1.0 from v1.1: tickets. Rollback proved" in run.text
    assert run.stats["user-service"] == {"phase": "rolled_back", "version": "v1.1", "weight": 0, "report": ""}
    assert [path.name for path in bench.folder.iterdir()] == ["here"]

    refused = {
        "user-service rollback": [{"failed": True, "msg": "There is no canary of ecommerce/user-service to rollback"}]
    }
    run = bench("rollback.yml", refused, service="user-service")
    assert (run.code, run.recap) == (2, {"changed": 0, "failed": 1, "rescued": 0})
    assert run.text.count("FAILED! =>") == 1
    assert "There is no canary" in run.text.partition("FAILED! =>")[2]


PLAN = [{"service": name, "version": "v1.1"} for name in ("product-service", "user-service", "order-service")]


def test_services_of_a_release_plan_are_rolled_back_and_nothing_else(bench: Bench) -> None:
    """product-service is paused by this play; user-service fails; order-service was promoted last week and did not get its turn."""
    paused = result("paused", 50, GOOD, reason="at its last step", done=True)
    script = {
        "product-service start": [paused],
        "product-service rollback": [result("rolled_back", 0, BACK, reason="another service of the release plan failed", done=True)],
        "order-service rollback": [{"failed": True, "msg": "this was live"}],
        **ENDS["rolled back"],
    }  # fmt: skip
    info = {
        "product-service": {"active": True, "phase": "paused", "version": "v1.1", "run": "a"},
        "user-service": {"active": False, "phase": "rolled_back", "version": "v1.1", "run": "b"},
        "order-service": {"active": False, "phase": "promoted", "version": "v1.1", "run": "c"},
    }
    run = bench("canary.yml", script, release_plan=PLAN, info=info, report="out/release.html")
    assert run.code == 2, run.text
    called = [(call["service"], call["operation"]) for call in run.calls if call["module"] == "canary"]
    assert [service for service, operation in called if operation == "rollback"] == ["product-service"]
    assert run.text.count("FAILED! =>") == 1
    assert "product-service was rolled back to v1.0" in run.words
    found = {name: entry["phase"] for name, entry in run.stats.items()}
    assert found == {"product-service": "rolled_back", "user-service": "rolled_back"}
    files = sorted(path.name for path in (bench.folder / "out").iterdir())
    assert files == ["release-product-service.html", "release-user-service.html"]


def test_a_service_of_a_release_plan_that_is_not_rolled_back_is_named(bench: Bench) -> None:
    paused = result("paused", 50, GOOD, reason="at its last step", done=True)
    script = {
        "product-service start": [paused],
        "product-service rollback": [{"failed": True, "msg": "the API server does not answer"}],
        **ENDS["rolled back"],
    }
    info = {"product-service": {"active": True, "phase": "paused", "version": "v1.1", "run": "a"}}
    run = bench("canary.yml", script, release_plan=PLAN[:2], info=info)
    assert run.code == 2, run.text
    assert "product-service was not rolled back with the others: the API server does not answer" in run.words


def test_a_report_that_cannot_be_written_is_refused_before_anything_is_changed(bench: Bench) -> None:
    run = canary(bench, "promoted", report="/dev/null/report.html")
    assert run.code == 2, run.text
    assert "report: /dev/null/report.html cannot be written: /dev/null is no folder" in run.words
    assert "canary" not in {call["module"] for call in run.calls}
    assert run.recap["changed"] == 0


def test_a_report_by_default_never_decides_and_stays_out_of_an_installed_collection(
    bench: Bench, tmp_path: Path
) -> None:
    """The playbook runs in the folder of a collection as ansible-galaxy installs it."""
    installed = tmp_path / "ansible_collections" / "servicemesh" / "platform"
    shutil.copytree(
        ROOT, installed, symlinks=True, ignore=shutil.ignore_patterns(".*", "tests", "build", "docs", "molecule")
    )
    (installed / "MANIFEST.json").write_text("{}", encoding="utf-8")
    (installed / ".collections").symlink_to(tmp_path)
    before = sorted(path.name for path in installed.iterdir())
    bench.folder = installed
    run = canary(bench, "promoted", root=installed)
    assert run.code == 0, run.text
    assert "canary-user-service.html cannot be written: it is in the installed collection" in run.words
    report = Path(run.stats["user-service"]["report"])
    assert f"report: {report}" in run.text
    assert "<svg" in report.read_text(encoding="utf-8")
    assert sorted(path.name for path in installed.iterdir()) == before
    shutil.rmtree(report.parent)


def test_a_rollback_is_not_refused_for_its_report(bench: Bench) -> None:
    back = {"user-service rollback": [result("rolled_back", 0, BACK, reason="tickets", done=True)]}
    run = bench("rollback.yml", back, service="user-service", report="/dev/null/report.html")
    assert run.code == 0, run.text
    assert "cannot be written" in run.words
    report = Path(run.stats["user-service"]["report"])
    assert report.name == "report.html"
    shutil.rmtree(report.parent)
