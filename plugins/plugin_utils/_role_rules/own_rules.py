# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules of a site's own for Prometheus, the variable `observability_rules`: their form (Prometheus, model/rulefmt/rulefmt.go). Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.servicemesh.platform.plugins.plugin_utils._near_miss import suggestion
from ansible_collections.servicemesh.platform.plugins.plugin_utils._role_rules import promql
from ansible_collections.servicemesh.platform.plugins.plugin_utils._service.schema import show

NAME = "observability_rules"
_GROUP = ("name", "interval", "query_offset", "limit", "labels", "rules")
_RULE = ("alert", "record", "expr", "for", "keep_firing_for", "labels", "annotations")
_DURATION = re.compile(r"(?=\d)(\d+y)?(\d+w)?(\d+d)?(\d+h)?(\d+m)?(\d+s)?(\d+ms)?")
_SERIES = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_OURS = "ecommerce."  # begin the names of this role's groups


def findings(groups: Any) -> Iterator[str]:
    """What Prometheus would refuse, with which it would refuse all rules."""
    if not _is_list(groups):
        yield f"{NAME}: {show(groups)} is not a list; expected groups of rules: [{{name: shop, rules: [...]}}]"
        return
    seen: set[str] = set()
    for index, group in enumerate(groups):
        place = f"{NAME}[{index}]"
        if not isinstance(group, Mapping):
            yield f"{place}: {show(group)} is not a dict; expected a group with the keys {', '.join(_GROUP)}"
            continue
        yield from _unknown(place, group, _GROUP)
        name = group.get("name")
        if not isinstance(name, str) or not name:
            yield f"{place}.name: {show(name)} is not a text; expected a name of the group"
        elif name.startswith(_OURS) or name in seen:
            whose = "groups of this role begin with it" if name.startswith(_OURS) else "another group has it"
            yield f"{place}.name: {show(name)} is taken, {whose}; expected another name"
        seen.add(str(name))
        yield from _durations(place, group, ("interval", "query_offset"))
        rules = group.get("rules")
        if not _is_list(rules) or not rules:
            yield f"{place}.rules: {show(rules)} is not a list with rules; expected alerts and recorded series"
            continue
        for number, rule in enumerate(rules):
            yield from _of_rule(f"{place}.rules[{number}]", rule)


def _of_rule(place: str, rule: Any) -> Iterator[str]:
    if not isinstance(rule, Mapping):
        yield f"{place}: {show(rule)} is not a dict; expected a rule with the keys {', '.join(_RULE)}"
        return
    yield from _unknown(place, rule, _RULE)
    alert, record, query = rule.get("alert"), rule.get("record"), rule.get("expr")
    if bool(alert) == bool(record):
        yield f"{place}: has {'both' if alert else 'neither'} alert and record; expected one of them"
    if record and not _SERIES.fullmatch(str(record)):
        yield f"{place}.record: {show(record)} is not the name of a series; expected letters, digits, '_' and ':', as in shop:orders:rate5m"
    if record:
        for key in ("for", "keep_firing_for", "annotations"):
            if key in rule:
                yield f"{place}.{key}: belongs to alerts, and this rule records a series; expected it left out"
    if not isinstance(query, (str, int, float)) or isinstance(query, bool) or query == "":
        yield f"{place}.expr: {show(query)} is not an expression; expected PromQL"
    elif wrong := promql.check(str(query)):
        yield f"{place}.expr: {show(str(query))} is no PromQL: {wrong}. Try it on the page of Prometheus, or with promtool check rules"
    yield from _durations(place, rule, ("for", "keep_firing_for"))
    for key in ("labels", "annotations"):
        yield from _texts(f"{place}.{key}", rule.get(key, {}))


def _texts(place: str, value: Any) -> Iterator[str]:
    if not isinstance(value, Mapping):
        yield f"{place}: {show(value)} is not a dict; expected names and texts"
        return
    for key, text in value.items():
        if not _LABEL.fullmatch(str(key)):
            yield f"{place}.{key}: is not a name; expected letters, digits and '_'"
        if not isinstance(text, str):
            yield f"{place}.{key}: {show(text)} is not a text; expected it in quotes"


def _durations(place: str, value: Mapping[str, Any], keys: Sequence[str]) -> Iterator[str]:
    for key in keys:
        if key in value and not _DURATION.fullmatch(str(value[key])):
            yield f"{place}.{key}: {show(value[key])} is not a duration of Prometheus; expected one such as 30s, 5m or 1h30m"


def _unknown(place: str, value: Mapping[str, Any], known: Sequence[str]) -> Iterator[str]:
    for key in value:
        if key not in known:
            yield f"{place}.{key}: unknown key{suggestion(str(key), known) or '; known keys: ' + ', '.join(known)}"


def _is_list(value: Any) -> bool:
    return isinstance(value, (list, tuple))
