# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The settings of a canary: one dict, checked against the module's options, from variables to the module."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.servicemesh.platform.plugins.filter.canary_settings import canary_settings
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.options import OPTIONS, SETTINGS
from ansible_collections.servicemesh.platform.plugins.modules.canary import ARGUMENTS
from ansible_collections.servicemesh.platform.plugins.plugin_utils import _canary_settings as settings
from ansible_collections.servicemesh.platform.plugins.plugin_utils._option_values import checked, example

from tests.role_values import value


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"stpes": [5]}, "platform_canary.stpes: a canary has no such setting; did you mean steps?"),
        ({"Steps": [5]}, "did you mean steps?"),
        ({"zzz": 1}, "platform_canary.zzz: a canary has no such setting"),
        ({"service": "x"}, "platform_canary.service: this option of the module canary is no setting"),
        ({"steps": ["a"]}, "platform_canary.steps: ['a'] is not a list of whole numbers; expected for example [5, 20, 50]"),
        ({"interval": "soon"}, "platform_canary.interval: 'soon' is not a number; expected for example 60"),
        ({"on_failure": "stop"}, "platform_canary.on_failure: value of on_failure must be one of: rollback, freeze, got: stop"),
        ({"analysis": [{"mtric": "p99"}]}, "platform_canary.analysis[0].mtric: there is no such option; did you mean metric?"),
        ({"analysis": [{"metric": "p99", "max": "low"}]}, "platform_canary.analysis[0].max: 'low' is not a number"),
        ({"approvals": [{}]}, "platform_canary.approvals[0].before: is not given"),
        ({"prometheus": {"ulr": "x"}}, "platform_canary.prometheus.ulr: there is no such option; did you mean url?"),
        ({"steps": [50, 20]}, "platform_canary: steps[1]: 20 is not above 50"),
        ({"steps": [50], "pause_at": 7}, "platform_canary: pause_at: 7 is not one of the steps"),
        ({"mirror": 101}, "platform_canary: mirror: 101 is out of range"),
        ({"port": 99999}, "platform_canary: port: 99999 is out of range"),
        ({"proof_timeout": -1}, "platform_canary: proof_timeout: -1 is out of range"),
        ({"proof_samples": -1}, "platform_canary: proof_samples: -1 is out of range"),
        ({"lease_duration": "nan"}, "platform_canary: lease_duration: nan is out of range"),
        ("steps", "platform_canary: 'steps' is not a dict; expected settings of a canary, for example {steps"),
    ],
)  # fmt: skip
def test_wrong_settings_are_refused_by_name(given: object, words: str) -> None:
    (finding,) = settings.findings({"platform_canary": given})
    assert words in finding


def test_a_password_is_not_told() -> None:
    (finding,) = settings.findings({"x": {"prometheus": {"headers": "Bearer geheim"}}})
    assert "geheim" not in finding
    assert finding.startswith("x.prometheus.headers: not a dict")


def test_texts_of_a_command_line_are_accepted() -> None:
    given = {"steps": "10,50", "interval": "60", "pause_at": "50", "takeover": "argocd"}
    assert settings.findings({"the command line": given}) == []


def test_rules_between_settings_hold_for_all_variables_together() -> None:
    (finding,) = settings.findings({"platform_canary": {"steps": [10, 50]}, "the command line": {"pause_at": "20"}})
    assert finding.startswith("platform_canary, the command line: pause_at: 20 is not one of the steps")


def test_the_last_variable_wins_and_null_is_not_given() -> None:
    sources: dict[str, Any] = {"a": {"steps": [1], "drain": 3}, "b": {"steps": [2], "drain": None}, "c": None}
    assert settings.merged(sources) == {"steps": [2], "drain": 3}


# Valid values where an example of the type is none.
EXAMPLES: dict[str, Any] = {
    "analysis": [{"metric": "p99", "max": 800}],
    "approvals": [{"before": "promotion", "annotation": "example.com/approved"}],
    "blind_limit": 180,
    "match": {"headers": {"x-tester": {"exact": "yes"}}},
    "metrics_push": {"service": "monitoring/pushgateway:9091"},
    "prometheus": {"url": "https://prometheus.example.com"},
}


@pytest.mark.parametrize("name", SETTINGS)
def test_each_setting_reaches_the_module(name: str) -> None:
    """None is lost on its way: proof_timeout, lease_duration, routes and metrics_file were."""
    given = EXAMPLES.get(name, example(SETTINGS[name]))
    assert checked(name, given, SETTINGS[name]).findings == []
    for variable in ("microservice_canary", "microservice_canary_common", "microservice_canary_given"):
        assert settings.findings({variable: {name: given}}) == []
        passed = value("microservice", "__microservice_canary_settings", **{variable: {name: given}})
        args = settings.expanded({"service": "web", "settings": passed})
        assert args[name] == given
        result = ArgumentSpecValidator(ARGUMENTS).validate(args)
        assert result.error_messages == []
        assert result.validated_parameters[name] is not None


def test_what_states_a_call_is_no_setting() -> None:
    assert {"operation", "service", "namespace", "version", "canary_definitions", "holder", "settings"} <= set(
        OPTIONS
    ) - set(SETTINGS)
    assert {
        "steps",
        "analysis",
        "prometheus",
        "proof_timeout",
        "lease_duration",
        "routes",
        "metrics_file",
        "report",
    } <= set(SETTINGS)


def test_an_option_by_itself_wins_over_the_settings() -> None:
    args = {"service": "web", "drain": 1, "settings": {"drain": 2, "passes": 3}}
    assert settings.expanded(args) == {"service": "web", "drain": 1, "passes": 3}
    assert settings.expanded({"service": "web"}) == {"service": "web"}
    with pytest.raises(settings.SettingsError, match=r"settings.darin: .*did you mean drain"):
        settings.expanded({"settings": {"darin": 2}})


ROLE = {
    "microservice_canary_common": {"steps": [10, 40], "drain": 1, "passes": 2},
    "microservice_canary": {"drain": 2},
    "microservice_canary_given": {"passes": 3},
}


def test_the_role_merges_inventory_service_and_command_line() -> None:
    merged = value("microservice", "__microservice_canary_settings", **ROLE)
    assert merged == {
        "prometheus": {"service": "monitoring/prometheus:9090"},
        "steps": [10, 40],
        "drain": 2,
        "passes": 3,
    }


def test_the_platforms_pushgateway_is_that_of_its_canaries_unless_they_name_one() -> None:
    given = {"platform_pushgateway": "tools/pushgateway:9091"}
    merged = value("microservice", "__microservice_canary_settings", **given)
    assert merged["metrics_push"] == {"service": "tools/pushgateway:9091"}
    own = {"metrics_push": {"url": "https://push.example.com"}}
    merged = value("microservice", "__microservice_canary_settings", **given, microservice_canary=own)
    assert merged["metrics_push"] == own["metrics_push"]


@pytest.mark.parametrize(
    ("operation", "own_pause", "paused_at", "waits"),
    [("run", 0, 40, False), ("run", 10, 10, False), ("promote", 0, 0, False), ("promote", 10, 10, True)],
)
def test_a_release_plan_pauses_at_the_last_step_or_where_the_settings_say(
    operation: str, own_pause: int, paused_at: int, waits: bool
) -> None:
    overrides = {
        **ROLE,
        "microservice_canary": {"pause_at": own_pause},
        "microservice_canary_together": True,
        "microservice_canary_operation": operation,
    }
    assert value("microservice", "__microservice_canary_settings", **overrides).get("pause_at") == paused_at
    assert value("microservice", "__microservice_canary_waits", **overrides) is waits


def test_the_filter_pauses_at_the_last_step_of_the_modules_default() -> None:
    assert canary_settings({}, pause_at_end=True) == {"pause_at": OPTIONS["steps"]["default"][-1]}
    with pytest.raises(AnsibleFilterError, match="stpes"):
        canary_settings({"x": {"stpes": 1}})
