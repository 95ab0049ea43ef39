# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The arguments of a playbook: what may be given with `-e`, and what is wrong with what was given. No I/O.

Arguments stand in `<playbook>.meta.yml` beside the playbook, in the format of ansible-core's `validate_argspec` (2.20 and later).

PRIVATE: may change at any time.
"""

from __future__ import annotations

import re
import shlex
import typing as t
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.servicemesh.platform.plugins.plugin_utils import _near_miss as near
from ansible_collections.servicemesh.platform.plugins.plugin_utils._option_values import (
    Entry,
    checked,
    example,
    short,
    text_of,
)

SERVICE = "service"  # an argument, or an option of one, with this name is the name of a service
# Variables that no playbook reads and somebody else gives: AWX and its predecessor, Ansible itself.
_OTHERS = re.compile(r"(awx|tower|ansible)_\w+|_\w*")
# AWX gives the variables of a workflow, and the artifacts of earlier nodes, to every node of it.
_IN_A_WORKFLOW = ("awx_workflow_job_id", "tower_workflow_job_id")
# Names that arguments had in earlier versions.
_FORMER = {"hold_at": "pause_at"}
# Tags that mean the same in every playbook.
_SPECIAL_TAGS = frozenset({"all", "always", "never", "tagged", "untagged"})


@dataclass(frozen=True, slots=True)
class Arguments:
    """What one playbook takes. `options`: an argument specification; each entry may have an `example`."""

    playbook: str
    options: Mapping[str, Entry]
    mutually_exclusive: list[list[str]] = field(default_factory=list)
    required_one_of: list[list[str]] = field(default_factory=list)


def arguments_of(playbook: str, meta: Mapping[str, t.Any], settings: Mapping[str, Entry] | None = None) -> Arguments:
    """The arguments of a playbook with one play. `meta`: content of its `.meta.yml`. `settings`: more options that it takes."""
    (spec,) = meta["argument_specs"].values()
    return Arguments(
        playbook,
        {**(settings or {}), **(spec.get("options") or {})},
        spec.get("mutually_exclusive") or [],
        spec.get("required_one_of") or [],
    )


def given_as(name: str, entry: Entry) -> str:
    """How an argument is given: `-e version=v1.1`, in quotes where a shell needs them."""
    value = example(entry)
    if isinstance(value, (dict, list)):
        return "-e " + shlex.quote(text_of({name: value}))
    return "-e " + shlex.quote(f"{name}={text_of(value)}")


# Values ------------------------------------------------------------------------------------------------------------


def value_findings(arguments: Arguments, given: Mapping[str, object], services: Collection[str]) -> Iterator[str]:
    """Values of the wrong type, unknown services, and arguments that are missing or exclude each other."""
    for name, value in given.items():
        entry = arguments.options[name]
        found = checked(name, value, entry).findings
        if found:
            # One example is enough, for this argument as a whole.
            yield f"{found[0]} ({given_as(name, entry)})"
            yield from found[1:]
        else:
            yield from _service_findings(name, value, services)
    for name, entry in arguments.options.items():
        if entry.get("required") and name not in given:
            yield _missing({name: entry}, services)
    for names in arguments.required_one_of:
        if not set(names) & set(given):
            yield _missing({name: arguments.options[name] for name in names}, services)
    for names in arguments.mutually_exclusive:
        if len(both := [name for name in names if name in given]) > 1:
            yield f"{' and '.join(both)}: are given both; expected one of them"


def _missing(options: Mapping[str, Entry], services: Collection[str]) -> str:
    ways = " or ".join(given_as(name, entry) for name, entry in options.items())
    told = f". Services: {', '.join(sorted(services))}" if SERVICE in options else ""
    return f"{next(iter(options))}: is not given; expected for example {ways}{told}"


def _service_findings(name: str, value: object, services: Collection[str]) -> Iterator[str]:
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _service_findings(f"{name}[{index}]", item, services)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _service_findings(f"{name}.{key}", item, services)
    elif name.rsplit(".", 1)[-1] == SERVICE and value not in services:
        close = near.suggestion(str(value), services) or "."
        yield f"{name}: there is no service {short(value)}{close} Services: {', '.join(sorted(services))}"


def values(arguments: Arguments, given: Mapping[str, object]) -> dict[str, t.Any]:
    """All arguments with the types of their options, and the defaults of those that were not given. `given` has no findings."""
    spec = {name: {**entry, "required": False} for name, entry in arguments.options.items()}
    return dict(ArgumentSpecValidator(spec).validate(dict(given)).validated_parameters)


# Names -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Known:
    """Names that may be given. `taken`: arguments of the playbooks of this run. `others`: argument -> other playbooks of the
    collection that take it. `prefixed`: variables of roles and `platform_` variables. `prefixes`: of these, which another check covers.
    """

    taken: Collection[str]
    others: Mapping[str, Collection[str]]
    prefixed: Collection[str]
    prefixes: tuple[str, ...]


def unknown_names(names: Iterable[str], known: Known) -> list[str]:
    """Names that no playbook or role of this run reads, and that neither AWX nor Ansible gives."""
    return [
        name
        for name in sorted(names)
        if name not in known.taken
        and name not in known.prefixed
        and not name.startswith(known.prefixes)
        and not _OTHERS.fullmatch(name)
    ]


def name_findings(names: Iterable[str], playbook: str, known: Known, *, workflow: bool) -> Iterator[tuple[str, str]]:
    """(name, finding) of each unknown name that was probably meant for this collection.

    `names`: unknown names that are not in the inventory either. `workflow`: whether AWX runs this as a node of a workflow; then
    arguments of other playbooks are for other nodes.
    """
    for name in names:
        if name in known.others:
            if not workflow:
                having = ", ".join(sorted(known.others[name]))
                yield (
                    name,
                    f"{name}: {playbook} has no such argument, it is one of {having}. Arguments here: {_listed(known.taken)}",
                )
        elif meant := _meant(name, known):
            yield (
                name,
                f"{name}: nothing reads this variable; did you mean {meant}? If it is yours, define it in the inventory as well",
            )


def _listed(names: Collection[str]) -> str:
    return ", ".join(sorted(names)) or "none"


def _meant(name: str, known: Known) -> str | None:
    if f"platform_{name}" in known.prefixed:
        return f"platform_{name}"
    if (now := _FORMER.get(name)) in known.taken:
        return now
    return near.closest(name, known.taken, near.ARGUMENT) or near.closest(name, known.prefixed, near.PREFIXED)


def in_a_workflow(names: Collection[str]) -> bool:
    """Whether AWX runs this as a node of a workflow."""
    return any(name in names for name in _IN_A_WORKFLOW)


def mentions(name: str, texts: Iterable[str]) -> bool:
    """Whether a text uses the name, as a whole word."""
    word = re.compile(rf"(?<!\w){re.escape(name)}(?!\w)")
    return any(word.search(text) for text in texts)


# Tags --------------------------------------------------------------------------------------------------------------


def tags_in(node: object) -> Iterator[str]:
    """All tags in a playbook or a file of tasks."""
    if isinstance(node, list):
        for item in node:
            yield from tags_in(item)
    elif isinstance(node, Mapping):
        given = node.get("tags") or []
        yield from (
            tag.strip() for text in ([given] if isinstance(given, str) else given) for tag in str(text).split(",")
        )
        for item in node.values():
            yield from tags_in(item)


def roles_in(node: object) -> Iterator[str]:
    """Names of the roles that a playbook or a file of tasks runs, as far as they are stated literally."""
    if isinstance(node, list):
        for item in node:
            yield from roles_in(item)
    elif isinstance(node, Mapping):
        for key, item in node.items():
            if key == "role" and isinstance(item, str):
                yield item
            elif key.endswith(("import_role", "include_role")) and isinstance(item, Mapping):
                yield str(item.get("name") or "")
            yield from roles_in(item)


def tag_findings(option: str, given: Iterable[str], known: Collection[str], playbook: str) -> Iterator[str]:
    """Tags that no task has, for which Ansible would run nothing, or skip nothing, without a word. `option`: `--tags` or `--skip-tags`."""
    tags = set(known) - _SPECIAL_TAGS
    for tag in sorted(set(given) - tags - _SPECIAL_TAGS):
        listed = f"Tags of {playbook}: {', '.join(sorted(tags))}" if tags else f"{playbook} has no tags"
        yield f"{option} {tag}: no task has this tag{near.suggestion(tag, tags) or '.'} {listed}"
