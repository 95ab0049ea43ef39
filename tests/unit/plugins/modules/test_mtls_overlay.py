# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""mtls_info with an overlay, as a pull-request check runs it: on files, and on a cluster that is read once."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.testing import patch_module_args
from ansible_collections.servicemesh.platform.plugins.modules import mtls_info

from tests.unit.plugins.module_utils._mtls.mtls_objects import namespace, obj, peer_authentication
from tests.unit.plugins.module_utils._mtls.overlay_objects import STATE, absent, deployment, flat
from tests.unit.plugins.module_utils.conftest import FaultyServer, faulty, status  # noqa: F401  # pylint: disable=unused-import  # a fixture
from tests.unit.plugins.modules.test_mtls_info import PLURALS, Api

STRICT = peer_authentication("a")
OPEN = peer_authentication("a", mode="PERMISSIVE")
Ask = Callable[..., dict[str, Any]]


@pytest.fixture
def ask(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Ask:
    """Runs the module on files: objects of the state, and those of a pull request."""

    def run(state: list[Any], request: list[Any] | None = None, **params: Any) -> dict[str, Any]:
        (tmp_path / "state.yaml").write_text(yaml.safe_dump_all(flat(state)), encoding="utf-8")
        if request is not None:
            (tmp_path / "request.yaml").write_text(yaml.safe_dump_all(flat(request)), encoding="utf-8")
            params["overlay_src"] = [str(tmp_path / "req*.yaml")]
        with (
            patch_module_args({"src": [str(tmp_path / "state.yaml")], "src_complete": True, **params}),
            pytest.raises(SystemExit),
        ):
            mtls_info.main()
        return json.loads(capsys.readouterr().out)

    return run


def test_a_pull_request_that_weakens_is_refused_with_its_whole_result(ask: Ask) -> None:
    result = ask([*STATE, STRICT], [OPEN], fail_on=["weaker", "broken"], want={"a": "strict"})
    assert result["failed"]
    assert "* -> a/web:80 strict -> encrypted_not_enforced (weaker)" in result["msg"]
    assert [(row["client"], row["direction"]) for row in result["changes"]] == [
        ("*", "weaker"),
        ("plaintext", "weaker"),
    ]
    first = result["changes"][0]
    assert (first["before"]["verdict"], first["after"]["verdict"]) == ("strict", "encrypted_not_enforced")
    assert (first["before"]["server_policy"], first["after_restart"]) == ("a/default", None)
    assert result["compliant"] is False, "the result is that of the state with the overlay"
    assert {row["verdict"] for row in result["calls"]} == {"encrypted_not_enforced", "plaintext_allowed"}


def test_a_pull_request_that_changes_nothing_passes(ask: Ask) -> None:
    more = obj("AuthorizationPolicy", "a", "rights")
    result = ask([*STATE, STRICT], [STRICT, more, deployment("a", "web")], fail_on=["weaker", "broken", "unknown"])
    assert not result.get("failed"), result["msg"]
    assert result["changes"] == []
    assert result["msg"] == "4 calls compared, 0 entries differ"
    assert [(one["object"], one["effect"]) for one in result["overlay"]["objects"]] == [
        ("PeerAuthentication a/default", "unchanged"),
        ("AuthorizationPolicy a/rights", "nothing"),
        ("Deployment a/web", "replaced"),
    ]
    assert [(one["severity"], one["code"]) for one in result["findings"] if one["code"].startswith("overlay")] == [
        ("info", "overlay_no_effect")
    ]


def test_a_deletion_and_a_restart(ask: Ask) -> None:
    deleted = ask([*STATE, STRICT], overlay=[absent(STRICT)])
    assert [row["direction"] for row in deleted["changes"]] == ["weaker", "weaker"]
    later = ask([*STATE, STRICT], [namespace("a")], fail_on=["weaker"])
    assert [(row["direction"], row["after_restart"]["direction"]) for row in later["changes"]] == [
        ("same", "weaker")
    ] * 2
    assert "plaintext after a restart" in later["msg"]
    assert {row["verdict"] for row in later["calls"]} == {"strict", "broken"}, (
        "pods stay as they are until they restart"
    )


def test_a_kind_that_nobody_knows_is_inconclusive(ask: Ask) -> None:
    mystery = {"apiVersion": "example.com/v1", "kind": "Mystery", "metadata": {"name": "m"}}
    result = ask([*STATE, STRICT], [mystery], want={"a": "strict"}, fail_on=["broken"])
    assert result["failed"]
    assert "Mystery m: kind Mystery of example.com/v1 is not known here" in result["msg"]
    assert (result["changes"], result["compliant"]) == ([], False)


def test_without_an_overlay_there_are_no_changes(ask: Ask) -> None:
    result = ask([*STATE, STRICT])
    assert (result["changes"], result["overlay"], "msg" in result) == (None, None, False)


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"fail_on": ["weaker"]}, "fail_on: there is nothing to compare"),
        ({"overlay": [absent(OPEN)], "prometheus": {"url": "http://x"}}, "prometheus:"),
        ({"overlay": [absent(OPEN)]}, "overlay: PeerAuthentication a/default is to be absent, and is not there"),
        ({"overlay": [{"state": "gone", "resource": {}}]}, "value of state must be one of: present, absent"),
        ({"overlay": [{"state": "present"}]}, "missing required arguments: resource"),
        ({"overlay": [{"resource": {"kind": "Pod"}}]}, "overlay has an object of kind Pod without metadata.name"),
        ({"overlay_src": ["/nowhere/*.yaml"]}, "overlay_src is '/nowhere/*.yaml': no such file"),
        ({"overlay": [absent(OPEN)], "fail_on": ["stronger"]}, "value of fail_on must be one or more of"),
    ],
)
def test_what_is_refused(ask: Ask, params: dict[str, Any], expected: str) -> None:
    result = ask(STATE, **params)
    assert result["failed"]
    assert expected in result["msg"]


def test_no_secret_of_an_overlay_is_shown(ask: Ask) -> None:
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "s", "namespace": "a"},
        "stringData": {"key": "hunter2"},
    }
    result = ask(
        STATE, overlay=[{"resource": secret}, {"resource": {"apiVersion": "v1", "kind": "List", "items": [secret]}}]
    )
    assert not result.get("failed"), result
    assert "hunter2" not in json.dumps(result)


@pytest.fixture
def ask_cluster(faulty: FaultyServer, capsys: pytest.CaptureFixture[str]) -> Callable[..., dict[str, Any]]:  # noqa: F811
    """Runs the module against a server."""

    def run(api: Api, **params: Any) -> dict[str, Any]:
        faulty.script = api
        with (
            patch_module_args({"host": faulty.url, "api_key": "s3cr3t-t0ken", "_ansible_check_mode": True, **params}),
            pytest.raises(SystemExit),
        ):
            mtls_info.main()
        return json.loads(capsys.readouterr().out)

    return run


def test_a_cluster_is_read_once(ask_cluster: Callable[..., dict[str, Any]]) -> None:
    objects = [one for one in flat([*STATE, STRICT]) if one["kind"] in PLURALS.values()]
    alone = ask_cluster(Api(*objects))["stats"]["requests"]
    result = ask_cluster(Api(*objects), overlay=[{"resource": flat([OPEN])[0]}], fail_on=["broken"])
    assert not result.get("failed"), result
    assert result["stats"]["requests"] == alone
    assert {row["direction"] for row in result["changes"]} == {"weaker"}


def test_a_workload_needs_few_requests_more_and_a_missing_right_is_named(
    ask_cluster: Callable[..., dict[str, Any]],
) -> None:
    api = Api(*(one for one in flat([*STATE, STRICT]) if one["kind"] in PLURALS.values()))
    alone = ask_cluster(api)["stats"]["requests"]
    api.answer("web", status(404, reason="NotFound"))
    api.answer("mutatingwebhookconfigurations", status(403, "forbidden", "Forbidden"))
    labels = {"sidecar.istio.io/inject": "true"}
    result = ask_cluster(api, overlay=[{"resource": deployment("a", "web", labels=labels)}], fail_on=["weaker"])
    assert result["stats"]["requests"] == alone + 3, "the webhooks, whether there are any, and the Deployment"
    assert result["failed"]
    reason = result["changes"][0]["after"]["reason"]
    assert (
        "verb list on mutatingwebhookconfigurations.admissionregistration.k8s.io in all namespaces is missing" in reason
    )
