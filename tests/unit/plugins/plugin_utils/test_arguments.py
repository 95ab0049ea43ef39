# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Arguments of playbooks: names, values and tags."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.plugin_utils import _arguments as arguments
from ansible_collections.servicemesh.platform.plugins.plugin_utils._near_miss import closest

SERVICES = ["user-service", "order-service"]
BOOK = arguments.Arguments(
    "x.yml",
    {
        "service": {"type": "str", "example": "user-service"},
        "version": {"type": "str", "default": "", "example": "v1.1"},
        "pause_at": {"type": "int", "default": 0},
        "plan": {
            "type": "list",
            "elements": "dict",
            "example": [{"service": "user-service"}],
            "options": {"service": {"type": "str", "required": True}, "version": {"type": "str"}},
        },
    },
    [["service", "plan"]],
    [["service", "plan"]],
)
KNOWN = arguments.Known(
    BOOK.options,
    {"reason": ["rollback.yml"]},
    {"platform_namespace", "platform_domain", "user_service_replicas"},
    ("platform_", "user_service_"),
)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"service": "user-service", "pause_at": "abc"}, "pause_at: 'abc' is not a whole number; expected for example 20 (-e pause_at=20)"),
        ({"service": "user-service", "pause_at": [1]}, "pause_at: [1] is not a whole number"),
        ({"service": "usr-service"}, "there is no service 'usr-service'; did you mean user-service? Services: order-service, user-service"),
        ({"service": "zzz"}, "there is no service 'zzz'. Services: order-service, user-service"),
        ({}, "service: is not given; expected for example -e service=user-service or -e '{\"plan\""),
        ({"service": "user-service", "plan": [{"service": "order-service"}]}, "service and plan: are given both"),
        ({"plan": "user-service"}, "plan: 'user-service' is not a list of dicts"),
        ({"plan": [{"servce": "x", "service": "order-service"}]}, "plan[0].servce: there is no such option; did you mean service?"),
        ({"plan": [{"version": "v1"}]}, "plan[0].service: is not given"),
        ({"plan": [{"service": "order"}]}, "plan[0].service: there is no service 'order'"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_told_with_an_example(given: dict[str, Any], words: str) -> None:
    (finding,) = arguments.value_findings(BOOK, given, SERVICES)
    assert words in finding


def test_values_have_the_types_of_their_options() -> None:
    given = {"service": "user-service", "pause_at": "20"}
    assert list(arguments.value_findings(BOOK, given, SERVICES)) == []
    assert arguments.values(BOOK, given) == {"service": "user-service", "version": "", "pause_at": 20, "plan": None}


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("verison", "version"),
        ("Version", "version"),
        ("pause-at", "pause_at"),
        ("servce", "service"),
        ("namespace", "platform_namespace"),
        ("platfrom_namespace", "platform_namespace"),
        ("user_servce_replicas", "user_service_replicas"),
    ],
)
def test_a_near_miss_is_refused_with_what_was_meant(name: str, meant: str) -> None:
    unknown = arguments.unknown_names([name], KNOWN)
    ((_name, finding),) = arguments.name_findings(unknown, "x.yml", KNOWN, workflow=False)
    assert f"did you mean {meant}?" in finding


@pytest.mark.parametrize("name", ["app_version", "cart_service_replicas", "contact", "team", "aversion_therapy"])
def test_a_name_of_its_own_passes(name: str) -> None:
    unknown = arguments.unknown_names([name], KNOWN)
    assert list(arguments.name_findings(unknown, "x.yml", KNOWN, workflow=False)) == []


@pytest.mark.parametrize(
    "name", ["awx_job_id", "tower_user_name", "ansible_user", "_mine", "version", "platform_domain", "platform_nspace"]
)
def test_known_names_are_not_unknown(name: str) -> None:
    assert arguments.unknown_names([name], KNOWN) == []


def test_an_argument_of_another_playbook_is_refused_except_in_a_workflow() -> None:
    ((_name, finding),) = arguments.name_findings(["reason"], "x.yml", KNOWN, workflow=False)
    assert (
        "x.yml has no such argument, it is one of rollback.yml. Arguments here: pause_at, plan, service, version"
        in finding
    )
    assert list(arguments.name_findings(["reason"], "x.yml", KNOWN, workflow=True)) == []


def test_a_workflow_of_awx_is_known_by_its_variables() -> None:
    assert arguments.in_a_workflow({"awx_workflow_job_id": 7})
    assert not arguments.in_a_workflow({"awx_job_id": 7})


@pytest.mark.parametrize(
    ("text", "found"), [("{{ team }}", True), ("{{ my_team }}", False), ("teams", False), ("a: team", True)]
)
def test_a_mention_is_a_whole_word(text: str, found: bool) -> None:
    assert arguments.mentions("team", [text]) is found


def test_tags_and_roles_are_found_wherever_they_stand() -> None:
    play = {
        "pre_tasks": [{"name": "a", "tags": ["always", "verify"]}, {"block": [{"tags": "one, two"}]}],
        "roles": [{"role": "servicemesh.platform.istio", "tags": ["istio"]}],
        "tasks": [{"ansible.builtin.include_role": {"name": "x", "apply": {"tags": ["inner"]}}}],
    }
    assert set(arguments.tags_in([play])) == {"always", "verify", "one", "two", "istio", "inner"}
    assert set(arguments.roles_in([play])) == {"servicemesh.platform.istio", "x"}


@pytest.mark.parametrize("tags", [["all"], ["istio"], ["never", "tagged"], []])
def test_a_known_tag_passes(tags: list[str]) -> None:
    assert list(arguments.tag_findings("--tags", tags, ["istio", "always"], "site.yml")) == []


def test_an_unknown_tag_is_told_with_the_tags_that_there_are() -> None:
    (finding,) = arguments.tag_findings("--tags", ["istoi"], ["istio", "always"], "site.yml")
    assert finding == "--tags istoi: no task has this tag; did you mean istio? Tags of site.yml: istio"
    (finding,) = arguments.tag_findings("--skip-tags", ["x"], ["always"], "canary.yml")
    assert finding == "--skip-tags x: no task has this tag. canary.yml has no tags"


def test_of_two_similar_names_the_more_similar_one_is_meant() -> None:
    assert closest("user_service_replica", ["user_service_replicas", "user_service_image"]) == "user_service_replicas"
    assert closest("zzz", ["version"]) is None
