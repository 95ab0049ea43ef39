# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the collection's own files say about variables: roles, their options, playbooks, their arguments and tags.

PRIVATE: may change at any time.
"""

from __future__ import annotations

import typing as t
from collections.abc import Iterable, Mapping
from pathlib import Path

import yaml
from ansible_collections.servicemesh.platform.plugins.plugin_utils._arguments import (
    Arguments,
    arguments_of,
    roles_in,
    tags_in,
)
from ansible_collections.servicemesh.platform.plugins.plugin_utils._variable_check import platform_names, platform_of

COLLECTION = "servicemesh.platform."
ROOT = Path(__file__).parent.parent.parent
META = ".meta.yml"
IGNORED = "platform_ignored_variables"  # names of the user's own variables, which the checks of names leave out
# The parser of libyaml takes a tenth of the time of the one in Python.
_LOADER: t.Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

Options = dict[str, dict[str, t.Any]]


def _loaded(path: Path) -> t.Any:
    return yaml.load(path.read_text(encoding="utf-8"), _LOADER)  # noqa: S506  # a safe loader


def role_options(root: Path = ROOT) -> dict[str, Options]:
    """Role name -> options of its `main` entry point, for every role of the collection that has an argument specification."""
    return {
        path.parent.parent.name: ((_loaded(path) or {}).get("argument_specs") or {}).get("main", {}).get("options")
        or {}
        for path in sorted(root.glob("roles/*/meta/argument_specs.yml"))
    }


def known_platform_names(root: Path = ROOT) -> frozenset[str]:
    """Every `platform_x` that a role's defaults, a playbook or a check of variables reads."""
    paths = [*root.glob("roles/*/defaults/main.yml"), *root.glob("playbooks/*.yml")]
    return platform_names(path.read_text(encoding="utf-8") for path in paths) | {IGNORED}


class FromPlatform(t.NamedTuple):
    """What the roles say of a platform variable whose value they take: their options, without a default, and the default as a template."""

    entries: list[dict[str, t.Any]]
    default: str


def platform_options(options: Mapping[str, Options], root: Path = ROOT) -> dict[str, FromPlatform]:
    """Platform variable -> entries of the role variables that have its value by default."""
    found: dict[str, FromPlatform] = {}
    for role, entries in options.items():
        path = root / "roles" / role / "defaults" / "main.yml"
        for name, value in ((_loaded(path) or {}) if path.is_file() else {}).items():
            source = platform_of(value)
            if source and name in entries:
                # The default of the entry is the template; as a value it says nothing.
                entry = {key: item for key, item in entries[name].items() if key not in ("default", "required")}
                if entry not in found.setdefault(source, FromPlatform([], value)).entries:
                    found[source].entries.append(entry)
    return found


def arguments(root: Path = ROOT, settings: Mapping[str, t.Any] | None = None) -> dict[str, Arguments]:
    """Playbook (`canary.yml`) -> its arguments. `settings`: options that are arguments of canary.yml as well."""
    found = {}
    for path in sorted((root / "playbooks").glob(f"*{META}")):
        playbook = path.name.removesuffix(META) + ".yml"
        found[playbook] = arguments_of(playbook, _loaded(path), settings if playbook == "canary.yml" else None)
    return found


def play_variables(playbooks: Iterable[str], root: Path = ROOT) -> frozenset[str]:
    """Names of the variables that plays of these playbooks set."""
    plays = (play for playbook in playbooks for play in _loaded(root / "playbooks" / playbook))
    return frozenset(name for play in plays for name in play.get("vars") or {})


def playbook_tags(playbook: str, root: Path = ROOT) -> frozenset[str]:
    """Tags in a playbook and in the roles that it runs."""
    content = _loaded(root / "playbooks" / playbook)
    tags, waiting, seen = set(tags_in(content)), list(roles_in(content)), set()
    while waiting:
        role = waiting.pop().removeprefix(COLLECTION)
        if role in seen or "{" in role:
            continue
        seen.add(role)
        for path in (root / "roles" / role / "tasks").glob("**/*.yml"):
            tasks = _loaded(path)
            tags.update(tags_in(tasks))
            waiting.extend(roles_in(tasks))
    return frozenset(tags)


def split_playbooks(given: Iterable[str], root: Path = ROOT) -> tuple[list[str], list[Path]]:
    """(this collection's playbooks, files of others) of a command line, given as paths or as `servicemesh.platform.site`."""
    own: list[str] = []
    foreign: list[Path] = []
    folder = (root / "playbooks").resolve()
    for text in given:
        path = Path(text)
        if text.startswith(COLLECTION) and not path.exists():
            own.append(text.removeprefix(COLLECTION).removesuffix(".yml") + ".yml")
        elif path.resolve().parent == folder:
            own.append(path.name)
        else:
            foreign.append(path)
    return own, foreign
