# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes that end with the run that started them: real small processes, which are killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils import _parent
from ansible_collections.servicemesh.platform.plugins.plugin_utils._worker import Printer

ROOT = Path(__file__).parents[4]
HEAD = f"""
import multiprocessing, os, signal, subprocess, sys, time
sys.path[:0] = [{str(ROOT / ".collections")!r}, {str(ROOT)!r}]
from ansible_collections.servicemesh.platform.plugins.module_utils import _parent
from ansible_collections.servicemesh.platform.plugins.plugin_utils import _worker
def say(text):
    with open(sys.argv[1], "a") as out:
        out.write(text + chr(10))
"""
# As ansible-core's worker: a session of its own, and a handler that ends its process group.
WORKER = """
def term(number, frame):
    signal.signal(number, signal.SIG_DFL)
    os.killpg(os.getpid(), number)
def work():
    os.setsid()
    signal.signal(signal.SIGTERM, term)
    if KERNEL == "0":
        _worker._told_by_kernel = lambda: False
        _worker._LOOK = 0.1
    BEFORE
    _worker.end_with_parent()
    BODY
worker = multiprocessing.get_context("fork").Process(target=work)
worker.start()
say(f"worker {worker.pid}")
worker.join()
"""
# Under nohup, what tests start would ignore SIGHUP as they do.
HEARS = ("env", "--default-signal=HUP")


def wait_for(condition: Callable[[], object], what: str, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.02)


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class Run:
    """A parent with a worker; `said`: the words that they wrote, with the number behind each."""

    def __init__(self, folder: Path, script: str) -> None:
        self.out = folder / "said"
        self.process = subprocess.Popen([*HEARS, sys.executable, "-c", HEAD + script, str(self.out)])

    @property
    def said(self) -> dict[str, str]:
        text = self.out.read_text() if self.out.exists() else ""
        return dict(line.split(" ", 1) for line in text.splitlines() if " " in line)

    def number(self, word: str) -> int:
        wait_for(lambda: word in self.said, f"{word} is not said")
        return int(self.said[word])


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[str], Run]]:
    runs: list[Run] = []

    def begin(script: str) -> Run:
        runs.append(Run(tmp_path, script))
        return runs[-1]

    yield begin
    for run in runs:
        run.process.kill()
        run.process.wait()
        for number in run.said.values():
            if number.isdecimal() and lives(int(number)):
                os.kill(int(number), signal.SIGKILL)


def worker(body: str, before: str = "pass", kernel: str = "1") -> str:
    return WORKER.replace("BODY", body).replace("BEFORE", before).replace("KERNEL", repr(kernel))


CHILD = 'child = subprocess.Popen(["sleep", "300"]); say(f"child {child.pid}"); child.wait()'


@pytest.mark.parametrize("kernel", ["1", "0"])
def test_a_worker_and_its_children_end_when_the_playbook_is_killed(start: Callable[[str], Run], kernel: str) -> None:
    run = start(worker(CHILD, kernel=kernel))
    processes = [run.number("worker"), run.number("child")]
    assert all(map(lives, processes))
    run.process.kill()
    wait_for(lambda: not any(map(lives, processes)), "they go on")


@pytest.mark.parametrize("kernel", ["1", "0"])
def test_a_playbook_that_ended_before_the_watch_began_is_noticed(start: Callable[[str], Run], kernel: str) -> None:
    before = 'say(f"begun {os.getpid()}"); parent = os.getppid()\n    while os.getppid() == parent: time.sleep(0.01)'
    run = start(worker("time.sleep(300)", before, kernel))
    begun = run.number("begun")
    run.process.kill()
    wait_for(lambda: not lives(begun), "it goes on")


def test_a_process_that_is_no_worker_is_not_watched(start: Callable[[str], Run]) -> None:
    run = start('_worker.end_with_parent(); say(f"ended {int(_parent.ended())}")')
    assert run.number("ended") == 0


def test_the_fork_of_a_watched_process_is_not_watched(start: Callable[[str], Run]) -> None:
    run = start(
        "_parent.watch(os.getppid())\n"
        'if os.fork() == 0: say(f"fork {int(_parent.ended())}"); os._exit(0)\n'
        'os.wait(); say(f"itself {int(_parent.ended())}")'
    )
    assert (run.number("itself"), run.said["fork"]) == (0, "0")


LOOP = """
    stop = _worker.Stop()
    with stop:
        say(f"loop {os.getpid()}")
        while not stop.heard():
            stop.sleep(5)
        _worker._SEND = 1.0
        say("reason " + stop.reason)
        say("next " + _parent.why_stop())
        with _parent.cleaning_up(5):
            say("cleaning -" + _parent.why_stop())
    say("after 1")
    time.sleep(60)
"""


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP"])
def test_a_signal_ends_the_loop_and_what_nobody_reads_does_not_hold_it(start: Callable[[str], Run], name: str) -> None:
    run = start(worker(LOOP))
    pid = run.number("loop")
    os.kill(pid, getattr(signal, name))
    wait_for(lambda: not lives(pid), "it hangs")
    assert (run.said["reason"], run.said["next"]) == (f"it got {name}", f"it got {name}")
    assert run.said["cleaning"] == "-"
    assert run.said["after"] == "1", "while ansible-playbook lives, the result is sent"


def test_the_playbooks_end_ends_the_loop_and_the_process(start: Callable[[str], Run]) -> None:
    run = start(worker(LOOP))
    pid = run.number("loop")
    run.process.kill()
    wait_for(lambda: not lives(pid), "it goes on")
    assert run.said["reason"] == _parent.ENDED
    assert "after" not in run.said, "nobody reads its result"


def test_nohup_holds(start: Callable[[str], Run]) -> None:
    run = start(worker(LOOP, before="signal.signal(signal.SIGHUP, signal.SIG_IGN)"))
    pid = run.number("loop")
    os.kill(pid, signal.SIGHUP)
    time.sleep(0.3)
    assert lives(pid)
    assert "reason" not in run.said


# Each way in which a module's process hangs on the worker: the shells of the connection, and `sudo`, which has a session of its own.
CHAINS = [
    ["MODULE"],
    ["/bin/sh", "-c", "/bin/sh -c 'MODULE && sleep 0'"],
    ["/bin/sh", "-c", "setsid -w /bin/sh -c 'MODULE; true'"],
]
MODULE = """
_parent.watch(os.getppid(), output=1)
say(f"module {os.getpid()}")
end = time.monotonic() + 60
while not (why := _parent.why_stop()) and time.monotonic() < end:
    time.sleep(0.05)
say("why " + why)
"""


@pytest.mark.parametrize("chain", CHAINS)
def test_a_module_in_its_own_process_notices_the_workers_end(
    start: Callable[[str], Run], tmp_path: Path, chain: list[str]
) -> None:
    module = tmp_path / "module.py"
    module.write_text(HEAD + MODULE)
    command = f"{sys.executable} {module} {tmp_path / 'said'}"
    argv = [word.replace("MODULE", command) for word in chain] if len(chain) > 1 else command.split()
    run = start(
        f'process = subprocess.Popen({argv!r}, stdout=subprocess.PIPE); say(f"worker {{os.getpid()}}"); process.communicate()'
    )
    pid = run.number("module")
    time.sleep(0.2)
    assert lives(pid)
    run.process.kill()  # the worker
    wait_for(lambda: "why" in run.said, "it goes on")
    assert run.said["why"] == _parent.ENDED


def test_a_line_that_nobody_takes_holds_nothing() -> None:
    blocked, shown = threading.Event(), []

    def show(text: str, **_options: object) -> None:
        shown.append(text)
        blocked.wait(10)

    printer = Printer()
    begin = time.monotonic()
    for number in range(1000):
        printer.say(show, f"line {number}")
    printer.flush(0.2)
    assert time.monotonic() - begin < 2
    assert shown == ["line 0"]
    blocked.set()
    printer.flush(5)
    assert shown == [f"line {number}" for number in range(1000)]


def test_a_line_that_cannot_be_shown_ends_nothing() -> None:
    shown = []

    def show(text: str, **_options: object) -> None:
        if text == "bad":
            raise RuntimeError("no terminal")
        shown.append(text)

    printer = Printer()
    for text in ("bad", "good"):
        printer.say(show, text)
    printer.flush(5)
    assert shown == ["good"]


PLAY = [
    {
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "tasks": [
            {
                "servicemesh.platform.build": {
                    "cache": "{{ folder }}/cache",
                    "steps": [{"name": "long", "argv": ["/bin/sh", "-c", "echo $$ > {{ folder }}/child; sleep 300"]}],
                }
            }
        ],
    }
]


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_a_long_build_ends_with_the_playbook(tmp_path: Path, how: signal.Signals) -> None:
    (tmp_path / "play.yml").write_text(json.dumps(PLAY))
    argv = [
        *HEARS,
        str(Path(sys.executable).parent / "ansible-playbook"),
        "-i",
        "localhost,",
        str(tmp_path / "play.yml"),
    ]
    play = subprocess.Popen([*argv, "-e", f"folder={tmp_path}"], cwd=ROOT, stdout=subprocess.DEVNULL)
    child = tmp_path / "child"
    try:
        wait_for(lambda: child.exists() and child.read_text().strip(), "the build does not start", 60)
        pid = int(child.read_text())
        play.send_signal(how)
        wait_for(lambda: not lives(pid), "the build goes on")
    finally:
        play.kill()
        play.wait()
