# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Helm takes of a chart's files, and how that differs from what it has recorded of an installed chart. No I/O.

Sources: helm.sh/helm pkg/chart/v2/loader/load.go (which file is what), pkg/chart/v2/chart.go (what is recorded), internal/ignore/rules.go
(.helmignore), Go's path/filepath/match.go (its patterns).
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._kube import kubectl_yaml

# Name of a file in a chart, as templates/all.yaml -> its bytes.
Files = Mapping[str, bytes]

_BOM = b"\xef\xbb\xbf"
# Not recorded as files: what they say is in the metadata, or is recorded in another form.
_APART = frozenset({"Chart.yaml", "Chart.lock"})
_VALUES, _SCHEMA = "values.yaml", "values.schema.json"


@dataclass(frozen=True, slots=True)
class _Rule:
    pattern: re.Pattern[str]
    negated: bool
    only_folders: bool
    whole: bool  # looks at the whole path, otherwise at the last part of it

    def matches(self, path: str) -> bool:
        return bool(self.pattern.fullmatch(path if self.whole else path.rpartition("/")[2]))


class Ignored:
    """The rules of a .helmignore, and Helm's own. Raises ValueError for a rule that Helm refuses."""

    def __init__(self, text: str = "") -> None:
        lines = [line.strip() for line in [*text.removeprefix("\ufeff").splitlines(), "templates/.?*"]]
        self._rules = [_rule(line) for line in lines if line and not line.startswith("#")]

    def __call__(self, path: str, *, folder: bool = False) -> bool:
        """Whether Helm leaves out a file, or a folder with everything in it. A negative rule leaves out what it does not match."""
        for rule in self._rules:
            if rule.negated:
                if (rule.only_folders and not folder) or not rule.matches(path):
                    return True
            elif (folder or not rule.only_folders) and rule.matches(path):
                return True
        return False


def _rule(line: str) -> _Rule:
    if "**" in line:
        raise ValueError(f"its .helmignore has '{line}', and Helm knows no **")
    text = line.removeprefix("!")
    bare = text.removesuffix("/")
    return _Rule(_translated(bare.removeprefix("/")), text != line, bare != text, "/" in bare)


def _translated(pattern: str) -> re.Pattern[str]:
    """A pattern of Go's filepath.Match as a regular expression."""
    parts, rest = [], pattern
    while rest:
        char, rest = rest[0], rest[1:]
        if char == "*":
            parts.append("[^/]*")
        elif char == "?":
            parts.append("[^/]")
        elif char == "\\" and rest:
            parts.append(re.escape(rest[0]))
            rest = rest[1:]
        elif char == "[":
            found = re.match(r"(\^?)((?:\\.|[^\]\\])+)\]", rest)
            if found is None:
                raise ValueError(f"its .helmignore has '{pattern}', which is no pattern")
            # The class without what has a meaning in Python alone; a dash and an escape mean the same in both.
            inner = re.sub(r"(?<!\\)([\[&~|])", r"\\\1", found[2])
            parts.append(f"(?!/)[{found[1]}{inner}]")
            rest = rest[found.end() :]
        else:
            parts.append(re.escape(char))
    return re.compile("".join(parts), re.DOTALL)


def differing(files: Files, chart: Mapping[str, Any]) -> list[str]:
    """Names of the files that differ from the chart of a record, sorted; `files` has what `Ignored` leaves.

    Compared are templates, other files, the schema and the default values. Helm does not record the charts that a chart depends on, and
    records default values with theirs, so both are left out. Raises KubeError when values.yaml is not YAML.
    """
    recorded = {
        str(entry["name"]): str(entry.get("data") or "")
        for kind in ("templates", "files")
        for entry in chart.get(kind) or []
    }
    if chart.get("schema"):
        recorded[_SCHEMA] = str(chart["schema"])
    here = dict(_encoded(files))
    found = {name for name in {*recorded, *here} if recorded.get(name) != here.get(name)}
    depends = (chart.get("metadata") or {}).get("dependencies") or any(name.startswith("charts/") for name in files)
    if not depends and (chart.get("values") or {}) != _values(files.get(_VALUES, b"")):
        found.add(_VALUES)
    return sorted(found)


def _encoded(files: Files) -> Iterator[tuple[str, str]]:
    """The files that Helm records as they are, in base64 as it records them."""
    for name, data in files.items():
        if name not in _APART and name != _VALUES and (not name.startswith("charts/") or name.endswith(".prov")):
            yield name, base64.b64encode(data.removeprefix(_BOM)).decode("ascii")


def _values(data: bytes) -> dict[str, Any]:
    """The default values; of several documents the later ones win (load.go, LoadValues)."""
    text = data.removeprefix(_BOM).decode(errors="replace")
    return _merged(kubectl_yaml.value(part) for part in re.split(r"(?m)^---\s*$", text))


def _merged(documents: Iterable[Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for document in documents:
        for key, value in (document or {}).items():
            old = found.get(key)
            found[key] = _merged([old, value]) if isinstance(old, dict) and isinstance(value, dict) else value
    return found
