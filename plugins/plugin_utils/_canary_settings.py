# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The settings of a canary as one dict: merged from several variables, checked against the options of the module `canary`. No I/O.

Which settings there are stands in the module's argument specification and nowhere else.

PRIVATE: may change at any time.
"""

from __future__ import annotations

import typing as t
from collections.abc import Mapping

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.servicemesh.platform.plugins.module_utils._canary import settings as canary_settings
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.options import OPTIONS, SETTINGS
from ansible_collections.servicemesh.platform.plugins.plugin_utils._near_miss import suggestion
from ansible_collections.servicemesh.platform.plugins.plugin_utils._option_values import checked, short

EXAMPLE = "{steps: [5, 20, 50], interval: 60}"
# What a rule between settings needs of the options that are none.
_CALL = {"service": "service", "namespace": "namespace", "stable_subset": "stable", "canary_subset": "canary"}
# Stands for the address that the roles give by default. That it is none where there is no Prometheus is a finding of its own (_components).
_PROMETHEUS = {"service": "monitoring/prometheus:9090"}

Settings = dict[str, t.Any]
# Variable -> its value, in the order of precedence, the last one wins.
Sources = Mapping[str, object]


class SettingsError(ValueError):
    """Settings have findings; the text has one line for each."""


def findings(sources: Sources) -> list[str]:
    """Everything that is wrong with the settings of each variable, and with all of them together."""
    found = [finding for name, value in sources.items() for finding in source_findings(name, value)]
    return found or together_findings(sources)


def source_findings(name: str, value: object) -> list[str]:
    """Unknown settings and values of the wrong type in one variable."""
    if value is None:
        return []
    if not isinstance(value, Mapping):
        return [f"{name}: {short(value)} is not a dict; expected settings of a canary, for example {EXAMPLE}"]
    found = []
    for key, item in value.items():
        if key in SETTINGS:
            if item is not None:
                found += checked(f"{name}.{key}", item, SETTINGS[key]).findings
        elif key in OPTIONS:
            found.append(
                f"{name}.{key}: this option of the module canary is no setting; the roles and playbooks set it"
            )
        else:
            found.append(f"{name}.{key}: a canary has no such setting{suggestion(str(key), SETTINGS)}")
    return found


def together_findings(sources: Sources) -> list[str]:
    """What is wrong with the values of well-formed settings, and between them: ranges, steps, analysis, approvals."""
    values = ArgumentSpecValidator(SETTINGS).validate(merged(sources)).validated_parameters
    values["prometheus"] = values.get("prometheus") or _PROMETHEUS
    names = ", ".join(name for name, value in sources.items() if value)
    return [f"{names}: {finding}" for finding in canary_settings.findings({**values, **_CALL})]


def asking_prometheus(sources: Sources) -> list[str]:
    """Metrics and approvals of well-formed settings that ask the default Prometheus; none when the settings name another one."""
    values = ArgumentSpecValidator(SETTINGS).validate(merged(sources)).validated_parameters
    return [] if canary_settings.prometheus_given(values) else canary_settings.asking_prometheus(values)


def merged(sources: Sources) -> Settings:
    """The settings of all variables. The last variable wins; a list or dict is replaced as a whole."""
    result: Settings = {}
    for value in sources.values():
        if isinstance(value, Mapping):
            result.update({key: item for key, item in value.items() if item is not None})
    return result


def last_step(settings: Mapping[str, t.Any]) -> int:
    """Weight of the last step of well-formed settings."""
    validated = ArgumentSpecValidator({"steps": SETTINGS["steps"]}).validate(
        {"steps": settings["steps"]} if "steps" in settings else {}
    )
    return int(validated.validated_parameters["steps"][-1])


def expanded(args: Mapping[str, t.Any]) -> dict[str, t.Any]:
    """A task's arguments with `settings` replaced by the options in it. Options that are given by themselves win.

    Raises SettingsError when `settings` is malformed.
    """
    rest = {key: value for key, value in args.items() if key != "settings"}
    if found := source_findings("settings", args.get("settings")):
        raise SettingsError("\n".join(found))
    return {**merged({"settings": args.get("settings")}), **rest}
