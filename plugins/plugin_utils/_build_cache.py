# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""PRIVATE: build steps, and the keys under which their results are cached. Can change at any time."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import re
import typing as t

KEY_LENGTH = 12
_NAME = re.compile(r"[a-z0-9][a-z0-9-]*\Z")
_KNOWN = {"name", "title", "argv", "chdir", "environment", "inputs"}


@dataclasses.dataclass(frozen=True)
class Step:
    """One step: ``argv`` makes ``{output}``, a folder, out of ``inputs`` (files, folders, or plain strings)."""

    name: str
    title: str
    argv: tuple[str, ...]
    chdir: str = ""
    environment: dict[str, str] = dataclasses.field(default_factory=dict)
    inputs: tuple[str, ...] = ()


def parse_steps(raw: t.Any) -> list[Step]:
    """Check and convert the ``steps`` argument; raise ValueError with all findings."""
    if not isinstance(raw, list) or not raw:
        raise ValueError("expected a list of at least one step")
    findings: list[str] = []
    steps: list[Step] = []
    for number, item in enumerate(raw):
        if not isinstance(item, dict):
            findings.append(f"item {number} is {item!r}, expected a dict")
            continue
        findings += [f"item {number} has an unknown key {key!r}" for key in sorted(set(item) - _KNOWN)]
        name = str(item.get("name", ""))
        if not _NAME.match(name):
            findings.append(f"item {number} has the name {name!r}, expected lower case letters, digits and '-'")
        if name in {step.name for step in steps}:
            findings.append(f"item {number} repeats the name {name!r}")
        if not isinstance(item.get("argv"), list) or not item["argv"]:
            findings.append(f"item {number} ({name}) has no argv")
            continue
        steps.append(
            Step(
                name=name,
                title=str(item.get("title") or name),
                argv=tuple(str(word) for word in item["argv"]),
                chdir=str(item.get("chdir") or ""),
                environment={str(key): str(value) for key, value in (item.get("environment") or {}).items()},
                inputs=tuple(str(path) for path in item.get("inputs") or ()),
            )
        )
    if findings:
        raise ValueError("; ".join(findings))
    return steps


def expand(text: str, output: str, outputs: t.Mapping[str, str]) -> str:
    """Replace ``{output}`` by this step's folder and ``{output:NAME}`` by that of an earlier step."""

    def earlier(match: re.Match[str]) -> str:
        name = match.group(1)
        if name not in outputs:
            raise ValueError(f"{{output:{name}}} names no earlier step")
        return outputs[name]

    return re.sub(r"\{output:([a-z0-9-]+)\}", earlier, text.replace("{output}", output))


def _feed_path(digest: t.Any, path: str) -> None:
    """Add a file's or a folder's names, modes and contents to the digest, sorted by name."""
    if os.path.isfile(path):
        digest.update(b"x" if os.access(path, os.X_OK) else b"-")
        with open(path, "rb") as handle:
            for chunk in iter(lambda: handle.read(1 << 20), b""):
                digest.update(chunk)
        return
    for root, folders, files in os.walk(path):
        folders[:] = sorted(name for name in folders if name != "__pycache__")
        for name in sorted(files):
            full = os.path.join(root, name)
            digest.update(os.path.relpath(full, path).encode() + b"\0")
            if os.path.islink(full):
                digest.update(os.readlink(full).encode())
            else:
                _feed_path(digest, full)


def step_key(step: Step, outputs: t.Mapping[str, str]) -> str:
    """Key of a step: changes when its command, environment, an input's content or an earlier result changes."""
    digest = hashlib.sha256()
    for text in (*step.argv, *(f"{key}={value}" for key, value in sorted(step.environment.items()))):
        # An earlier result counts by its own key, not by the path of the cache.
        names = {name: os.path.basename(path) for name, path in outputs.items()}
        digest.update(expand(text, "", names).encode() + b"\0")
    for item in step.inputs:
        if os.path.isabs(item):
            if not os.path.exists(item):
                raise ValueError(f"input {item!r} of step {step.name!r} does not exist")
            _feed_path(digest, item)
        else:
            digest.update(item.encode() + b"\0")
    return digest.hexdigest()[:KEY_LENGTH]


def last_lines(path: str, count: int, window: int = 16384) -> list[str]:
    """The last ``count`` lines of a log that are not empty, read from its last ``window`` bytes."""
    with open(path, "rb") as handle:
        handle.seek(0, os.SEEK_END)
        handle.seek(max(0, handle.tell() - window))
        text = handle.read().decode("utf-8", "replace")
    return [line for line in text.splitlines() if line.strip()][-count:]
