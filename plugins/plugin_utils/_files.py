# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: may change at any time without notice; only this collection may import it.
"""Files that a run leaves on the controller: whether they can be written is known before the run, and never decides its end."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
import tempfile
import uuid
from dataclasses import dataclass
from pathlib import Path

_COLLECTION = Path(__file__).resolve().parents[2]
# What a file needs at least: a probe of this size finds a disk that is full.
_PROBE = b"\0" * 65536
_NAME = 100  # characters of a name that are kept in a temporary folder
# Errors of a folder in which nothing can be replaced, although the file in it may be writable: a file that is mounted by itself, for one.
_NO_REPLACEMENT = frozenset({errno.EACCES, errno.EPERM, errno.EBUSY, errno.EROFS, errno.EXDEV})


@dataclass(frozen=True, slots=True)
class Written:
    """Where a text is now (empty: nowhere), and why it is not where it was meant to be (empty: it is)."""

    path: str
    finding: str = ""


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a text is going to be written (empty: nowhere). `finding`: why it will be in a temporary file instead."""

    path: str
    finding: str = ""

    def write(self, text: str) -> Written:
        """Writes a text there, or to a temporary file. Raises no error of the system."""
        if not self.path:
            return Written("")
        return temporary(Path(self.path).name, text, self.finding) if self.finding else written(self.path, text)


NOWHERE = Destination("")


def destination(path: str) -> Destination:
    """Where a text for a path is going to be: what cannot be written is known before the run."""
    return Destination(path, "; ".join(findings_of_path(path)) if path else "")


def absolute(path: str) -> Path:
    """The file that a path means: relative to the current directory, with links followed, so that a link stays one.

    `~` and variables of the environment are replaced as in all of Ansible's options that are paths.

    Raises OSError, RuntimeError or ValueError for a path that means none.
    """
    return Path(os.path.expandvars(path)).expanduser().resolve()


def findings_of_path(path: str) -> list[str]:
    """Why no file can be written at a path; empty when one can. It creates nothing, but writes to a file without a name."""
    try:
        target = absolute(path)
        finding = _finding(target)
    except (OSError, RuntimeError, ValueError) as error:
        finding = _reason(error)
    return [f"{path} cannot be written: {finding}"] if finding else []


def _finding(target: Path) -> str:
    """Why a file cannot be written there, found out by a file without a name in the nearest folder that exists."""
    if finding := _kind_finding(target):
        return finding
    folder = next(parent for parent in target.parents if os.path.lexists(parent))
    if not folder.is_dir():
        return f"{folder} is no folder"
    try:
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(_PROBE)
    except OSError as error:
        if error.errno in _NO_REPLACEMENT and target.is_file() and os.access(target, os.W_OK):
            return ""
        return f"{_reason(error)} (folder {folder})"
    return ""


def _kind_finding(target: Path) -> str:
    """Why nothing may be written there, whoever writes."""
    if _COLLECTION in target.parents and (_COLLECTION / "MANIFEST.json").is_file():
        return f"it is in the installed collection ({_COLLECTION})"
    try:
        mode = target.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return ""
    if stat.S_ISDIR(mode):
        return "it is a folder; expected a file"
    return "" if stat.S_ISREG(mode) else "it is no regular file"


def written(path: str, text: str) -> Written:
    """Writes a text at a path, whole or not at all; where that is not possible, to a temporary file. Raises no error of the system."""
    try:
        target = absolute(path)
        _replace(target, text.encode(errors="replace"))
    except (OSError, RuntimeError, ValueError) as error:
        return temporary(Path(path).name, text, f"{path} cannot be written: {_reason(error)}")
    return Written(str(target))


def temporary(name: str, text: str, finding: str) -> Written:
    """Writes a text to a new temporary file, whose name ends with `name`. `finding`: why it is not where it was meant to be."""
    try:
        folder = tempfile.mkdtemp(prefix="servicemesh-")
        path = Path(folder, re.sub(r"[^\w.-]", "_", name)[-_NAME:] or "report")
        path.write_text(text, encoding="utf-8", errors="replace")
    except (OSError, ValueError) as error:
        return Written("", f"{finding}; nor can a temporary file: {_reason(error)}")
    return Written(str(path), finding)


def _replace(target: Path, data: bytes) -> None:
    if finding := _kind_finding(target):
        raise ValueError(finding)
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{uuid.uuid4().hex[:12]}.partial")
    try:
        partial.write_bytes(data)
        if target.exists():
            partial.chmod(stat.S_IMODE(target.stat().st_mode))
        partial.replace(target)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        if error.errno not in _NO_REPLACEMENT or not target.is_file():
            raise
        target.write_bytes(data)


def _reason(error: Exception) -> str:
    """What is wrong, in the system's words where it has some."""
    return (error.strerror if isinstance(error, OSError) else "") or str(error)
