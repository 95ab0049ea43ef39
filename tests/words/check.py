# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Words that may not come back: the list, and where one is written all the same."""

from __future__ import annotations

import dataclasses
import fnmatch
import re
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import yaml

# Texts of others, and the list itself.
_LEFT_OUT = (
    "tests/cases/fields/*",  # names of Istio and Kubernetes
    *("LICENSE", "tests/words/*", "tests/unit/test_words.py", "*.png", "*.svg"),
)


@dataclasses.dataclass(frozen=True)
class Word:
    """One entry: a regular expression, what to write instead, and where the word is looked for (`only`; empty: everywhere).

    `files` are path patterns and `phrases` expressions in which it is right all the same.
    """

    pattern: re.Pattern[str]
    instead: str
    only: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    phrases: tuple[re.Pattern[str], ...] = ()


@dataclasses.dataclass(frozen=True, order=True)
class Finding:
    """A word at a line."""

    path: str
    line: int
    word: str
    instead: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.word!r}; write {self.instead}"


def load(text: str) -> list[Word]:
    """The list as ``words.yml`` has it. Raises ValueError for an entry that is not understood."""
    found = []
    for entry in yaml.safe_load(text):
        unknown = set(entry) - {"word", "instead", "only", "files", "phrases", "why"}
        if unknown or not entry.get("word") or not entry.get("instead"):
            raise ValueError(f"{entry}: expected word and instead, and perhaps only, files, phrases and why")
        if (entry.get("files") or entry.get("phrases")) and not entry.get("why"):
            raise ValueError(f"{entry['word']}: an exception needs a why")
        found.append(
            Word(
                # A word inside an identifier counts as well: `_` and capitals separate words there.
                re.compile(rf"(?<![a-z])(?:{entry['word']})(?![a-z])", re.IGNORECASE),
                entry["instead"],
                tuple(entry.get("only") or ()),
                tuple(entry.get("files") or ()),
                tuple(re.compile(phrase, re.IGNORECASE) for phrase in entry.get("phrases") or ()),
            )
        )
    return found


def findings(words: Iterable[Word], files: Mapping[str, str]) -> list[Finding]:
    """Every word of the list in ``files`` (path -> text)."""
    words = list(words)
    return sorted(finding for path, text in files.items() for finding in _in_file(words, path, text))


def _concerns(word: Word, path: str) -> bool:
    if any(fnmatch.fnmatch(path, pattern) for pattern in word.files):
        return False
    return not word.only or any(fnmatch.fnmatch(path, pattern) for pattern in word.only)


def _in_file(words: list[Word], path: str, text: str) -> Iterator[Finding]:
    for word in words:
        if not _concerns(word, path) or not word.pattern.search(text):
            continue
        for number, line in enumerate(text.splitlines(), 1):
            bare = line
            for phrase in word.phrases:
                bare = phrase.sub("", bare)
            for match in word.pattern.finditer(bare):
                yield Finding(path, number, match.group(), word.instead)


def tracked(root: Path) -> dict[str, str]:
    """Path -> text of the files under version control that are this project's own words."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, text=True, check=True).stdout
    found = {}
    for name in filter(None, listed.split("\0")):
        path = root / name
        if (
            not any(fnmatch.fnmatch(name, pattern) for pattern in _LEFT_OUT)
            and path.is_file()
            and not path.is_symlink()
        ):
            found[name] = path.read_text(encoding="utf-8", errors="replace")
    return found
