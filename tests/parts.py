# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a part of ``make test`` and say how long it took: ``python -m tests.parts run NAME -- COMMAND``, ``python -m tests.parts table``.

A part that only computes runs with ``--background``: it gets the processor time that nobody else wants, and cannot slow down what waits for
pods. The output of parts that run side by side is shown as a whole when the part has ended (``--at-end``). It is kept in
``build/tests``, beside one JSON file for each part and the JUnit file of each pytest run, from which the table takes the slowest tests.
The budgets stand in CONTRIBUTING.md and nowhere else.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "build" / "tests"
SLOWEST = 20
# A row of the table in CONTRIBUTING.md: `make integration` in the first column, "12 min" or "40 s" in the second.
_ROW = re.compile(r"^\| `make ([a-z0-9-]+)` \| (?:(\d+) min)? ?(?:(\d+) s)? \|", re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class Part:
    """One part of a run: seconds that it took, and the exit status of its command."""

    name: str
    seconds: float
    status: int
    started: float  # Unix seconds


@dataclasses.dataclass(frozen=True)
class Case:
    """One test of a JUnit file, with its fixtures."""

    part: str
    name: str
    seconds: float


def budgets(text: str) -> dict[str, int]:
    """Part -> seconds, as the table in CONTRIBUTING.md gives them."""
    return {name: 60 * int(minutes or 0) + int(seconds or 0) for name, minutes, seconds in _ROW.findall(text)}


def duration(seconds: float) -> str:
    """``4 min 5 s``, for people."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def cases(part: str, junit: str) -> list[Case]:
    """The tests of a JUnit file that this repository's own pytest wrote."""
    found = []
    for element in ElementTree.fromstring(junit).iter("testcase"):  # noqa: S314
        file = element.get("classname", "").removeprefix("tests.").replace(".", "/")
        found.append(Case(part, f"{file}::{element.get('name')}", float(element.get("time", 0))))
    return found


def table(parts: Sequence[Part], budget: dict[str, int], tests: Iterable[Case]) -> str:
    """What a run took, part by part in the order of their beginning, and its slowest tests."""
    rows = [("part", "took", "budget", "")]
    for part in sorted(parts, key=lambda part: part.started):
        limit = budget.get(part.name)
        note = "failed" if part.status else "over budget" if limit and part.seconds > limit else ""
        rows.append((part.name, duration(part.seconds), duration(limit) if limit else "none", note))
    if parts:
        whole = max(part.started + part.seconds for part in parts) - min(part.started for part in parts)
        limit = budget.get("test")
        note = "over budget" if limit and whole > limit else ""
        rows.append(("together", duration(whole), duration(limit) if limit else "none", note))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    slowest = sorted(tests, key=lambda case: -case.seconds)[:SLOWEST]
    lines += ["", f"The {len(slowest)} slowest tests:"] if slowest else []
    lines += [f"{case.seconds:7.1f} s  {case.name}" for case in slowest]
    return "\n".join(lines)


def give_way() -> None:
    """Lets this process and its children have what others leave.

    Where Linux groups processes by session (autogroup), a nice value counts inside of the session only: beside the programs and pods of a
    cluster, which are in other groups, a session full of nice processes gets as much as any. So the session has to be nice as well. With 5
    it gets a third of what another session gets: tests with time limits still come on where nothing is left for long.
    """
    os.nice(19)
    with contextlib.suppress(OSError):  # no autogroups here
        Path("/proc/self/autogroup").write_text("5", encoding="ascii")


@contextlib.contextmanager
def ended_with_us(process: subprocess.Popen[str]) -> Iterator[None]:
    """A process in a session of its own gets no signal of the terminal or of make: it ends when this one is told to."""

    def told(number: int, _frame: object) -> None:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, told) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def run(name: str, argv: Sequence[str], *, at_end: bool, background: bool = False) -> int:
    """Runs the command of a part and shows its output, as it comes or at the end. Returns its exit status."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    limit = budgets((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")).get(name)
    _show(f"== {name}: started{f', budget {duration(limit)}' if limit else ''}\n")
    started, clock = time.time(), time.monotonic()
    output: list[str] = []
    with (
        (FOLDER / f"{name}.log").open("w", encoding="utf-8") as log,
        subprocess.Popen(
            argv,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=background,
            preexec_fn=give_way if background else None,  # noqa: PLW1509  # there is no thread
        ) as process,
        ended_with_us(process) if background else contextlib.nullcontext(),
    ):
        assert process.stdout is not None
        for line in process.stdout:
            log.write(line)
            if at_end:
                output.append(line)
            else:
                _show(line)
    status = process.returncode
    part = Part(name, time.monotonic() - clock, status, started)
    (FOLDER / f"{name}.json").write_text(json.dumps(dataclasses.asdict(part)), encoding="utf-8")
    result = f"failed with status {status}" if status else "passed"
    _show(f"{''.join(output)}== {name}: {result} in {duration(part.seconds)}\n")
    return status


def _show(text: str) -> None:
    """One write, so that parts that end in the same moment do not mix their lines."""
    sys.stdout.write(text)
    sys.stdout.flush()


def measured() -> tuple[list[Part], list[Case]]:
    """What the parts of the last run left behind."""
    parts = [Part(**json.loads(path.read_text(encoding="utf-8"))) for path in sorted(FOLDER.glob("*.json"))]
    tests = [case for path in sorted(FOLDER.glob("*.xml")) for case in cases(path.stem, path.read_text("utf-8"))]
    return parts, tests


def main(argv: Sequence[str] | None = None) -> int:
    """Exit status: that of the part, or 0."""
    parser = argparse.ArgumentParser(prog="python -m tests.parts", description=__doc__.partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("run", help="run a part")
    one.add_argument("--at-end", action="store_true", help="show the output when the part has ended")
    one.add_argument("--background", action="store_true", help="take the processor time that others leave")
    one.add_argument("name")
    one.add_argument("argv", nargs="+", metavar="COMMAND")
    commands.add_parser("table", help="show what the parts took")
    commands.add_parser("forget", help="forget what was measured before")
    given = parser.parse_args(argv)
    if given.command == "run":
        return run(given.name, given.argv, at_end=given.at_end, background=given.background)
    if given.command == "forget":
        for path in [*FOLDER.glob("*.json"), *FOLDER.glob("*.xml")]:
            path.unlink()
        return 0
    parts, tests = measured()
    print(table(parts, budgets((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")), tests))
    return 0


if __name__ == "__main__":
    sys.exit(main())
