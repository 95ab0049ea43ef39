# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks role variables before any role runs. No I/O.

PRIVATE: may change at any time.
"""

from __future__ import annotations

import difflib
import re
import typing as t
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

from ansible_collections.servicemesh.platform.plugins.plugin_utils._service import checks as is_

_PLATFORM_NAME = re.compile(r"\bplatform_[a-z0-9_]+")
_CLOSE_ENOUGH = 0.6
_ALMOST_EQUAL = 0.88


class _Rule(t.NamedTuple):
    """For variables whose name matches: the type of the value, and a check that returns what was expected, or None."""

    pattern: re.Pattern[str]
    kind: type
    check: Callable[[t.Any], str | None]


_RULES: tuple[_Rule, ...] = (
    _Rule(re.compile(r"(^|.*_)port"), int, is_.port),
    _Rule(re.compile(r"(^|.*_)weight"), int, is_.between(0, 100, "a weight")),
    _Rule(re.compile(r"(^|.*_)(replicas|autoscale_m(in|ax))"), int, is_.between(0, 10_000, "a number of pods")),
    _Rule(re.compile(r"(^|.*_)namespace"), str, is_.label),
    _Rule(re.compile(r"(^|.*_)service_account"), str, is_.service_account),
    _Rule(re.compile(r"(^|.*_)(domain|tls_secret)"), str, is_.subdomain),
)


def _expected(rule: _Rule, value: object) -> str | None:
    """What was expected instead of ``value``, None when it is valid. Variables given with ``-e x=80`` are strings."""
    if rule.kind is int and isinstance(value, str) and re.fullmatch(r"-?\d{1,18}", value):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, rule.kind):
        # The check of an invalid value of the right type returns what is expected.
        return rule.check(-1 if rule.kind is int else "?")
    return rule.check(value)


def range_findings(name: str, value: object) -> Iterator[str]:
    """Values out of range in a variable and, when it is a dict or list, in everything below it.

    The last part of the name selects the rule: ``*_port``, ``*_namespace`` … The role checks empty values.
    """
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from range_findings(f"{name}.{key}", item)
        return
    if isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from range_findings(f"{name}[{index}]", item)
        return
    if value is None or value == "":
        return
    last = re.sub(r"\[\d+\]$", "", name).rsplit(".", 1)[-1]
    for rule in _RULES:
        if rule.pattern.fullmatch(last):
            if expected := _expected(rule, value):
                yield f"{name}: {value!r} is not {expected}"
            return


def owner_of(name: str, roles: Iterable[str]) -> str | None:
    """The role whose prefix a variable has; the longest prefix wins."""
    return max((role for role in roles if name.startswith(f"{role}_")), key=len, default=None)


_FROM_PLATFORM = re.compile(r"\{\{\s*(platform_[a-z0-9_]+)\s*\|\s*default\([^()]*\)\s*\}\}")


def sources(raw: Mapping[str, object]) -> dict[str, str]:
    """Variable -> the platform variable whose value it has. Messages name the variable that the user has set.

    ``raw``: variables before templating. Only platform variables that are set count.
    """
    found = {}
    for name, value in raw.items():
        match = _FROM_PLATFORM.fullmatch(value) if isinstance(value, str) else None
        if match and match[1] in raw:
            found[name] = match[1]
    return found


def renamed(message: str, names: Mapping[str, str]) -> str:
    """A message with other names for variables; only whole words are replaced."""
    return re.sub(r"\w+", lambda word: names.get(word[0], word[0]), message)


def platform_names(texts: Iterable[str]) -> frozenset[str]:
    """All ``platform_x`` in the YAML texts, outside of comments."""
    lines = (
        line.split(" #", 1)[0] for text in texts for line in text.splitlines() if not line.lstrip().startswith("#")
    )
    return frozenset(match for line in lines for match in _PLATFORM_NAME.findall(line))


def _closest(name: str, known: Collection[str]) -> str:
    matches = difflib.get_close_matches(name, sorted(known), n=1, cutoff=_CLOSE_ENOUGH)
    return f"; did you mean {matches[0]}?" if matches else ""


def unknown_findings(
    names: Iterable[str],
    options: Mapping[str, Collection[str]],
    platform: Collection[str],
    ignore: Collection[str] = (),
) -> Iterator[str]:
    """Variables with a role's prefix, or ``platform_``, that nothing reads.

    ``options``: role name -> its variables. ``platform``: the platform-wide names. ``ignore``: names with another purpose.
    """
    for name in sorted(set(names) - set(ignore)):
        role = owner_of(name, options)
        if role is not None:
            if name not in options[role]:
                yield f"{name}: role {role} has no such variable{_closest(name, options[role])}"
        elif name.startswith("platform_") and name not in platform:
            yield f"{name}: nothing reads this variable{_closest(name, platform)}"


def lookalikes(
    names: Iterable[str], options: Mapping[str, Collection[str]], platform: Collection[str]
) -> Iterator[tuple[str, str]]:
    """(name, known variable) for names without a known prefix that resemble a known variable: ``user_servce_replicas``."""
    known = set(platform).union(*options.values()) if options else set(platform)
    for name in sorted(names):
        if name in known or name.startswith(("_", "ansible_", "platform_")) or owner_of(name, options):
            continue
        if match := difflib.get_close_matches(name, known, n=1, cutoff=_ALMOST_EQUAL):
            yield name, match[0]


def looks_like_path(value: object) -> bool:
    """Whether a chart's source is a local path rather than a repository's chart name or an OCI address."""
    return isinstance(value, str) and value.startswith(("/", "./", "../", "~"))


def chart_paths(name: str, value: object) -> Iterator[tuple[str, str]]:
    """(variable, path) of each chart source that is a local path: ``*_chart``, ``*_chart_ref``, or any string in ``*_charts``."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from chart_paths(f"{name}.{key}", item)
    elif re.search(r"_charts?(_ref)?(\.|$)", name) and looks_like_path(value):
        yield name, t.cast(str, value)
