# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Routes and receivers of an inventory as Alertmanager's configuration: no secret is written down, none is left out."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.plugin_utils._alertmanager import (
    configuration,
    findings,
    secrets,
)

HOOK = {"secret": "alerts", "key": "hook"}
TEAM: dict[str, Any] = {"name": "team", "webhook_configs": [{"url_file": HOOK, "send_resolved": True}]}
MAIL: dict[str, Any] = {"name": "mail", "email_configs": [{"to": "ops@example.com"}]}
SMTP: dict[str, Any] = {"smtp_smarthost": "smtp:25", "smtp_auth_password_file": {"secret": "smtp", "key": "password"}}


def test_references_become_files_and_the_secrets_to_mount() -> None:
    made = configuration([TEAM, MAIL], {"routes": [{"receiver": "mail"}], "group_wait": "1s"}, SMTP, [])
    assert made["receivers"] == [
        {"name": "team", "webhook_configs": [{"url_file": "/etc/alertmanager/secrets/alerts/hook", "send_resolved": True}]},
        MAIL,
    ]  # fmt: skip
    assert made["global"]["smtp_auth_password_file"] == "/etc/alertmanager/secrets/smtp/password"
    assert (made["route"]["receiver"], made["route"]["group_wait"], made["route"]["group_interval"]) == (
        "team",
        "1s",
        "5m",
    )
    assert secrets([TEAM, MAIL], SMTP) == {"alerts": ["hook"], "smtp": ["password"]}
    assert list(findings([TEAM, MAIL], {"routes": [{"receiver": "mail"}]}, SMTP)) == []


def test_without_receivers_alerts_are_shown_and_sent_to_nobody() -> None:
    made = configuration([], {}, {}, [])
    assert (made["route"]["receiver"], made["receivers"]) == ("nobody", [{"name": "nobody"}])
    assert secrets([], {}) == {}


def one(kind: str, **settings: Any) -> list[dict[str, Any]]:
    return [{"name": "team", f"{kind}_configs": [settings]}]


@pytest.mark.parametrize(
    "receivers",
    [
        one("webhook", url="http://sink.tools.svc:8080/alerts"),
        one("webhook", url="http://sink:8080"),
        one("webhook", url="http://sink.tools.svc.cluster.local/alerts"),
        one("telegram", api_url="https://api.telegram.org", bot_token_file=HOOK),
        one("email", to="a@example.com", auth_username="me", auth_password_file=HOOK),
        one("webhook", url_file=HOOK, http_config={"basic_auth": {"username": "me", "password_file": HOOK}}),
    ],
)
def test_what_holds_no_secret_may_be_written_down(receivers: list[dict[str, Any]]) -> None:
    assert list(findings(receivers, {}, {})) == []


@pytest.mark.parametrize(
    ("receivers", "place"),
    [
        (one("webhook", url="https://hooks.example.com/T1"), "webhook_configs.url: is written down, and the URL"),
        (one("webhook", url="http://me:secret@sink.tools.svc/"), "webhook_configs.url: is written down"),
        (one("webhook", url="http://sink.tools.svc/?token=1"), "webhook_configs.url: is written down"),
        (one("webhook", url=""), "webhook_configs.url: is written down"),
        (one("webhook", url="http://["), "webhook_configs.url: is written down"),
        (one("slack", api_url="https://slack"), "slack_configs.api_url: is written down; expected"),
        (one("pagerduty", routing_key="x"), "pagerduty_configs.routing_key: is written down"),
        (one("email", auth_password="x"), "email_configs.auth_password: is written down"),
        (one("discord", webhook_url="https://d"), "discord_configs.webhook_url: is written down"),
        (one("later", some_token="x"), "later_configs.some_token: is written down"),
        (one("webhook", url_file=HOOK, http_config={"authorization": {"credentials": "x"}}), "authorization.credentials: is written"),
        (one("webhook", url_file="/etc/hook"), "webhook_configs.url_file: is a text; expected a reference"),
        (one("webhook", url_file={"secret": "a"}), "webhook_configs.url_file: is something else"),
        (one("webhook", url_file={"secret": "Up", "key": "a"}), "webhook_configs.url_file.secret: 'Up' is not"),
        (one("webhook", url_file={"secret": "a", "key": "../a"}), "webhook_configs.url_file.key: '../a' is no key"),
        ([TEAM, TEAM], "observability_alert_receivers[1]: has the name 'team', as one before it"),
        ([{}], "observability_alert_receivers[0]: has no name"),
    ],
)  # fmt: skip
def test_what_may_be_secret_is_refused_without_showing_it(receivers: list[dict[str, Any]], place: str) -> None:
    (found,) = findings(receivers, {}, {})
    assert place in found
    assert "example.com/T1" not in found
    assert "me:secret" not in found


@pytest.mark.parametrize("route", [{"receiver": "teem"}, {"routes": [{"routes": [{"receiver": "teem"}]}]}])
def test_a_route_to_nobody_is_a_finding(route: dict[str, Any]) -> None:
    (found,) = findings([TEAM], route, {})
    assert "'teem' is no receiver (there are team)" in found


def test_global_settings_follow_the_same_rules() -> None:
    (found,) = findings([TEAM], {}, {"smtp_auth_password": "x"})
    assert found.startswith("observability_alert_global.smtp_auth_password: is written down")
