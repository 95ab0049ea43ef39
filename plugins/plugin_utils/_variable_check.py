# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks role variables before any role runs. No I/O.

PRIVATE: may change at any time.
"""

from __future__ import annotations

import contextlib
import re
import typing as t
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

from ansible_collections.servicemesh.platform.plugins.plugin_utils._near_miss import PREFIXED, closest, suggestion
from ansible_collections.servicemesh.platform.plugins.plugin_utils._service import checks as is_

_PLATFORM_NAME = re.compile(r"\bplatform_[a-z0-9_]+")
_WHOLE = re.compile(r"-?\d{1,18}")


class _Rule(t.NamedTuple):
    """For variables whose path matches: the type of the value, and a check that returns what was expected, or None.

    The path is the variable and the keys below it, without indices of lists: `istio_ingress_gateway_ports.port`.
    """

    pattern: re.Pattern[str]
    kind: type
    check: Callable[[t.Any], str | None]


def _number(low: float, high: float, what: str) -> Callable[[t.Any], str | None]:
    def check(value: float) -> str | None:
        return None if low <= value <= high else f"{what} from {low:g} to {high:g}"

    return check


def _rule(pattern: str, kind: type, check: Callable[[t.Any], str | None]) -> _Rule:
    return _Rule(re.compile(pattern), kind, check)


_PROMETHEUS_DURATION = re.compile(r"(?=\d)(\d+y)?(\d+w)?(\d+d)?(\d+h)?(\d+m)?(\d+s)?(\d+ms)?")


def _prometheus_duration(value: str) -> str | None:
    """Duration as Prometheus reads it (prometheus/common, model/time.go): 15d, 1h30m."""
    return None if _PROMETHEUS_DURATION.fullmatch(value) else "a duration of Prometheus such as 15s, 1h30m or 15d"


# The first rule that matches a path counts. Variables of a role that are a number, and have neither `choices` nor a rule, fail
# tests/contract/test_roles.py. `\w+_` matches variables only; keys of dicts that are free for users to fill have few rules.
_RULES: tuple[_Rule, ...] = (
    _rule(r"(.*[._])?port|(\w+_)?node_ports\.\w+|(.*\.)?nodePort", int, is_.port),
    _rule(r"(.*[._])?weight", int, is_.between(0, 100, "a weight")),
    _rule(r"(.*[._])?(replicas|autoscale_m(in|ax))", int, is_.between(0, 10_000, "a number of pods")),
    _rule(r"\w+_autoscale_cpu", int, is_.between(1, 1000, "a percentage")),
    _rule(
        r"observability_((alertmanager_)?retention|scrape_interval|scrape_timeout|slo_window)",
        str,
        _prometheus_duration,
    ),
    _rule(r"observability_slo\.(availability|latency)", float, is_.objective),
    _rule(r"observability_slo\.latency_ms", int, is_.latency_bound),
    _rule(r"\w+_(timeout|interrupted_wait|window)", int, is_.between(0, 7 * 86400, "a number of seconds")),
    _rule(r"\w+_days", int, is_.between(1, 36500, "a number of days")),
    _rule(r"\w+_hours", int, is_.between(1, 8760, "a number of hours")),
    _rule(r"observability_push_seconds", int, is_.between(1, 30, "a number of seconds")),
    _rule(r"\w+_minutes", int, is_.between(1, 525_600, "a number of minutes")),
    _rule(r"\w+_ms", int, is_.between(1, 3_600_000, "a number of milliseconds")),
    _rule(r"\w+_ratio", float, _number(0, 1, "a number")),
    _rule(r"\w+_rate", float, _number(0, 10_000, "a number")),
    _rule(r"\w+_(samples|max_calls)", int, is_.between(0, 100_000, "a number")),
    _rule(r"\w+_max_traces", int, is_.between(1, 10_000_000, "a number of traces")),
    _rule(r"istio_ingress_gateway_trusted_proxies", int, is_.between(0, 100, "a number of proxies")),
    _rule(r"\w+_sampling\.\w+", float, _number(0, 100, "a percentage")),
    _rule(r"\w+_reporting_interval\.\w+", str, is_.duration),
    _rule(r"(\w+_storage_size|datastore_databases\.size)", str, is_.positive_quantity),
    _rule(r"(.*[._])?namespace", str, is_.label),
    _rule(r"(.*[._])?service_account", str, is_.service_account),
    _rule(r"(.*[._])?(domain|tls_secret)", str, is_.subdomain),
)


def has_range(path: str) -> bool:
    """Whether a rule says something about a variable, or a key below one."""
    return any(rule.pattern.fullmatch(path) for rule in _RULES)


def _converted(rule: _Rule, value: object) -> object:
    """Variables given with `-e x=80` are strings."""
    if isinstance(value, str) and rule.kind is int and _WHOLE.fullmatch(value):
        return int(value)
    if rule.kind is float and isinstance(value, (str, int)) and not isinstance(value, bool):
        with contextlib.suppress(ValueError):
            return float(value)
    return value


def _expected(rule: _Rule, value: object) -> str | None:
    """What was expected instead of ``value``, None when it is valid."""
    value = _converted(rule, value)
    if isinstance(value, bool) or not isinstance(value, rule.kind):
        # The check of an invalid value of the right type returns what is expected.
        return rule.check("?" if rule.kind is str else -1)
    return rule.check(value)


def range_findings(name: str, value: object) -> Iterator[str]:
    """Values out of range in a variable and, when it is a dict or list, in everything below it.

    The path selects the rule: ``*_port``, ``*_namespace`` … The role checks empty values.
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
    path = re.sub(r"\[\d+\]", "", name)
    for rule in _RULES:
        if rule.pattern.fullmatch(path):
            if expected := _expected(rule, value):
                yield f"{name}: {value!r} is not {expected}"
            return


def order_findings(values: Mapping[str, object]) -> Iterator[str]:
    """Limits of autoscalers of which the lower is above the upper. ``values``: variables with valid values."""
    for name, least in values.items():
        most = values.get(f"{name.removesuffix('_min')}_max") if name.endswith("_autoscale_min") else None
        if most is not None and int(str(least)) > int(str(most)):
            yield f"{name}: {least} is above {name.removesuffix('_min')}_max, which is {most}; expected at most {most}"


_FLAVOUR = re.compile(r"__nginx_ingress_([a-z0-9]+)_class_controller")


def flavour_findings(flavour: object, names: Iterable[str]) -> Iterator[str]:
    """An ingress flavour that has no file. ``names``: of all variables, those of the files in roles/nginx_ingress/vars/main among them."""
    known = sorted(match[1] for name in names if (match := _FLAVOUR.fullmatch(name)))
    if flavour not in known:
        expected = f"expected one of {', '.join(known)}{suggestion(str(flavour), known)}"
        yield f"nginx_ingress_flavour: {flavour!r} is no flavour of the ingress; {expected}"


def owner_of(name: str, roles: Iterable[str]) -> str | None:
    """The role whose prefix a variable has; the longest prefix wins."""
    return max((role for role in roles if name.startswith(f"{role}_")), key=len, default=None)


# A default that is nothing but a platform variable's value.
_FROM_PLATFORM = re.compile(r"\{\{\s*(platform_[a-z0-9_]+)\s*\|\s*default\([^()]*\)\s*\}\}")


def platform_of(default: object) -> str | None:
    """The platform variable whose value a variable has by default; None when there is none, or when the value is made from it."""
    match = _FROM_PLATFORM.fullmatch(default) if isinstance(default, str) else None
    return match[1] if match else None


def sources(raw: Mapping[str, object]) -> dict[str, str]:
    """Variable -> the platform variable whose value it has. Messages name the variable that the user has set.

    ``raw``: variables before templating. Only platform variables that are set count.
    """
    found = {}
    for name, value in raw.items():
        source = platform_of(value)
        if source and source in raw:
            found[name] = source
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


# Names that were variables once, and what says the same now.
_TRACES = "platform_tracing (jaeger, collector, or external with platform_tracing_address), which the mesh and its Telemetry follow"
_FORMER = {
    "istio_tracing_provider": f"{_TRACES}; observability_tracing_provider names the provider",
    "istio_tracing_service": _TRACES,
    "istio_tracing_port": _TRACES,
    "microservice_canary_monitoring_namespace": (
        "platform_monitoring_namespace where this collection runs Prometheus, else platform_prometheus and platform_prometheus_address"
    ),
}
# (variable, value) that was a choice once.
_FORMER_VALUES = {
    (
        "observability_prometheus",
        "external",
    ): "platform_prometheus: external, with its address in platform_prometheus_address",
}


def former_value(name: str, value: object) -> str | None:
    """What to set instead of a value that a variable does not take any more; None for all others."""
    instead = _FORMER_VALUES.get((name, value)) if isinstance(value, str) else None
    return f"{name}: {value!r} is no value any more; set {instead}" if instead else None


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
            if name in _FORMER:
                yield f"{name}: this variable is not read any more; set {_FORMER[name]}"
            elif name not in options[role]:
                yield f"{name}: role {role} has no such variable{suggestion(name, options[role])}"
        elif name.startswith("platform_") and name not in platform:
            yield f"{name}: nothing reads this variable{suggestion(name, platform)}"


def lookalikes(
    names: Iterable[str], options: Mapping[str, Collection[str]], platform: Collection[str]
) -> Iterator[tuple[str, str]]:
    """(name, known variable) for names without a known prefix that resemble a known variable: ``user_servce_replicas``."""
    known = set(platform).union(*options.values()) if options else set(platform)
    for name in sorted(names):
        if name in known or name.startswith(("_", "ansible_", "platform_")) or owner_of(name, options):
            continue
        if match := closest(name, known, PREFIXED):
            yield name, match


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
