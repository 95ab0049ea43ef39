# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The other parts of the benchmarks that need no cluster."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from ansible_collections.servicemesh.platform.plugins.module_utils._apply.result import checked

from tests.benchmarks import _delay, _sets
from tests.benchmarks._harness import ROOT, BenchmarkError, Done, Harness, kubeconfig_at, local_kubeconfig
from tests.benchmarks._race import BUSY, FIRST, SERVER, START, why_slow
from tests.benchmarks._server_count import counted, counting_objects, processor_seconds

METRICS = """# TYPE apiserver_flowcontrol_dispatched_requests_total counter
apiserver_flowcontrol_dispatched_requests_total{flow_schema="bench-1",priority_level="global-default"} 259
apiserver_flowcontrol_dispatched_requests_total{flow_schema="bench-1",priority_level="exempt"} 1
apiserver_flowcontrol_dispatched_requests_total{flow_schema="bench-12",priority_level="global-default"} 7
apiserver_flowcontrol_dispatched_requests_total{flow_schema="exempt",priority_level="exempt"} 1.4e+06
apiserver_request_total{code="200",resource="services",verb="APPLY"} 50
"""
RECAP = "PLAY RECAP ***\nlocalhost                  : ok=1    changed={}    unreachable=0    failed={}    skipped=0\n"


def test_the_set_has_the_objects_that_the_issue_names() -> None:
    objects = checked(_sets.services("n", 50))
    assert len(objects) == 251
    kinds = [obj["kind"] for obj in objects]
    assert {kind: kinds.count(kind) for kind in kinds} == {
        "Namespace": 1, "ServiceAccount": 50, "ConfigMap": 50, "Service": 50, "VirtualService": 50, "DestinationRule": 50,
    }  # fmt: skip
    assert list(yaml.safe_load_all(_sets.text(objects))) == objects


def test_the_server_counts_for_one_schema() -> None:
    assert counted(METRICS, "bench-1") == 260
    assert counted(METRICS, "bench-2") == 0
    assert {obj["metadata"]["name"] for obj in counting_objects("bench-1")} == {"bench-1"}


def test_changed_is_read_from_the_recap_and_a_failed_playbook_has_none() -> None:
    assert Done(1.0, RECAP.format(1, 0)).changed == 1
    for text in (RECAP.format(1, 1), "ok: changed=3"):
        with pytest.raises(BenchmarkError, match="a playbook did not succeed"):
            assert Done(1.0, text).changed


def test_any_cluster_but_a_local_one_is_refused(tmp_path: Path) -> None:
    config = tmp_path / "kubeconfig"
    for environ in ({}, {"KUBECONFIG": str(config)}):
        with pytest.raises(BenchmarkError, match="make bench"):
            local_kubeconfig(environ)
    config.write_text("{}")
    with pytest.raises(BenchmarkError, match="make bench"):
        local_kubeconfig({"KUBECONFIG": str(config)})
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "node.json").write_text("{}")
    assert local_kubeconfig({"KUBECONFIG": str(config)}) == config


def test_a_command_runs_without_what_a_shell_set_for_ansible(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANSIBLE_FORKS", "1")
    harness = Harness(tmp_path / "kubeconfig", tmp_path)
    done = harness.timed([sys.executable, "-c", "import os, time; time.sleep(0.2); print(sorted(os.environ))"])
    assert "ANSIBLE_FORKS" not in done.text
    assert "KUBECONFIG" in done.text
    assert 0.2 <= done.seconds < 10
    with pytest.raises(BenchmarkError, match="ended with 3"):
        harness.timed([sys.executable, "-c", "raise SystemExit(3)"])


def test_the_peak_is_that_of_the_largest_process_among_all(tmp_path: Path) -> None:
    harness = Harness(tmp_path / "kubeconfig", tmp_path)
    code = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'x = bytearray(60_000_000)'], check=True)"
    _done, peak = harness.peak([sys.executable, "-c", code])
    _done, small = harness.peak([sys.executable, "-c", "pass"])
    assert 60 < peak < 120
    assert small < 40


def test_a_reason_says_when_ansible_and_the_server_alone_take_more_than_the_target_leaves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    times = {
        ("apply", FIRST): [1.2], ("apply", SERVER + FIRST): [0.75], ("apply", BUSY + FIRST): [1.8],
        (START.name, FIRST): [0.8], (START.name, SERVER + FIRST): [0.1],
    }  # fmt: skip
    assert "whatever the module does" in why_slow(times, FIRST, [4.0], 4)
    text = (
        "4x would be 1.20 s for everything. ansible-playbook with one debug task takes 0.800 s; the API server computes "
        "0.600 s for these requests, which 2 cores do in 0.300 s at best; apply takes 1.20 s altogether, in which all that "
        "runs here (the client, the control plane, what stands between them) computes 1.80 s of 2.40 s that there are"
    )
    assert why_slow(times, FIRST, [4.8], 4) == text
    times["apply", BUSY + FIRST] = [2.41]
    assert why_slow(times, FIRST, [4.8], 4) == text.replace("1.80 s of", "2.41 s of") + (
        ": 1.21 s at best, more than the target leaves where one machine is all of these"
    )


def test_the_servers_processor_time_is_its_own_metric() -> None:
    assert processor_seconds("x 1\nprocess_cpu_seconds_total 97.25\nprocess_cpu_seconds_total_more 3\n") == 97.25
    with pytest.raises(ValueError, match="no process_cpu"):
        processor_seconds("x 1\n")


def test_a_copy_of_the_kubeconfig_leads_elsewhere_and_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump({"clusters": [{"name": "c", "cluster": {"server": "https://198.18.0.2:6443"}}]}))
    copy = kubeconfig_at(Harness(path, tmp_path), "https://127.0.0.1:1", "198.18.0.2")
    assert copy.stat().st_mode & 0o077 == 0
    (entry,) = yaml.safe_load(copy.read_text())["clusters"]
    assert entry["cluster"] == {"server": "https://127.0.0.1:1", "tls-server-name": "198.18.0.2"}


# Distance ------------------------------------------------------------------------------------------------------------


def test_what_was_done_is_undone_at_the_end_and_after_an_error(tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    with _delay.undone_at_the_end(["touch", str(flag)], ["rm", str(flag)]):
        assert flag.exists()
    assert not flag.exists()
    with pytest.raises(ZeroDivisionError), _delay.undone_at_the_end(["touch", str(flag)], ["rm", str(flag)]):
        raise ZeroDivisionError
    assert not flag.exists()
    with pytest.raises(BenchmarkError, match="false failed"), _delay.undone_at_the_end(["false"], ["rm", str(flag)]):
        pytest.fail("it was not done")


def test_what_was_done_is_undone_though_the_benchmark_is_killed(tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    code = (
        "import time; from tests.benchmarks._delay import undone_at_the_end\n"
        f"with undone_at_the_end(['touch', {str(flag)!r}], ['rm', {str(flag)!r}]):\n    print('in', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "in\n"
        assert flag.exists()
        os.kill(process.pid, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while flag.exists():
        assert time.monotonic() < deadline, "it was not undone"
        time.sleep(0.02)


@contextlib.contextmanager
def echo() -> Iterator[int]:
    """A server on loopback that sends everything back and closes when its client does."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    talk, _address = server.accept()
                except OSError:
                    return
                with talk:
                    while data := talk.recv(1 << 16):
                        talk.sendall(data)

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


def _send(talk: socket.socket, data: bytes) -> None:
    talk.sendall(data)
    talk.shutdown(socket.SHUT_WR)


def test_the_proxy_gives_answers_later_in_order_and_whole() -> None:
    sent = bytes(range(256)) * 4000
    with echo() as port, _delay.proxy("127.0.0.1", port, 0.1) as near:
        with socket.create_connection(("127.0.0.1", near), timeout=10) as talk:
            start = time.monotonic()
            talk.sendall(b"first")
            assert talk.recv(100) == b"first"
            assert 0.2 <= time.monotonic() - start < 1.0, "the handshake and the answer"
            start = time.monotonic()
            talk.sendall(b"second")
            assert talk.recv(100) == b"second"
            assert 0.1 <= time.monotonic() - start < 0.6
            threading.Thread(target=_send, args=(talk, sent), daemon=True).start()
            got = b""
            while data := talk.recv(1 << 16):
                got += data
        assert got == sent


def test_the_proxy_ends_with_its_parent() -> None:
    with echo() as port, _delay.proxy("127.0.0.1", port, 0.01) as near:
        pass
    with pytest.raises(OSError, match=r"refused|reset"):
        socket.create_connection(("127.0.0.1", near), timeout=5)
