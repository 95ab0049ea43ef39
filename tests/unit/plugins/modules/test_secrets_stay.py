# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Values of Secrets stay out of the system log and of the invocation that Ansible shows with -vvv."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible.module_utils.common.parameters import PASS_VARS
from ansible.module_utils.testing import patch_module_args
from ansible_collections.servicemesh.platform.plugins.module_utils import _module
from ansible_collections.servicemesh.platform.plugins.modules import apply

PLANTED = "pl4nted-s3cret-value"
SECRET = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {"name": "s", "namespace": "n"},
    "stringData": {"a": PLANTED},
}
KUBECONFIG = {"users": [{"name": "u", "user": {"token": PLANTED}}], "contexts": [], "clusters": []}


@pytest.mark.parametrize(
    "arguments",
    [
        {"definitions": [SECRET, [SECRET]]},
        {"definitions": {"apiVersion": "v1", "kind": "List", "items": [SECRET]}},
        {
            "definitions": {
                "apiVersion": "v1",
                "kind": "SecretList",
                "items": [{"metadata": {}, "data": {"a": PLANTED}}],
            }
        },
        {"definitions": {**SECRET, "stringData": {"a": {PLANTED: PLANTED}}}},
        {"definitions": {**SECRET, "data": [PLANTED]}},
        {"definitions": json.dumps(SECRET)},
        {"definitions": f"apiVersion: v1\nkind: Secret\nmetadata: {{name: s}}\nstringData: {{a: !!int {PLANTED}}}"},
        {"definitions": [], "retired": SECRET},
        {"definitions": [], "kubeconfig": KUBECONFIG},
        {"definitions": [], "kubeconfig": "/nowhere", "api_key": PLANTED},
    ],
)
def test_nothing_planted_comes_out(
    arguments: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    logged: list[str] = []
    monkeypatch.setattr(
        _module.PlatformModule, "log", lambda _self, msg, log_args=None: logged.append(f"{msg} {log_args}")
    )
    # As with -vvv: newer versions of ansible-core return the invocation only when they are asked to, which older ones do not know.
    asked = {"_ansible_inject_invocation": True} if "inject_invocation" in PASS_VARS else {}
    with patch_module_args({"kubeconfig": "/nowhere", **asked, **arguments}), pytest.raises(SystemExit):
        apply.main()
    shown = capsys.readouterr().out
    assert json.loads(shown)["invocation"]["module_args"]["state"] == "present"
    assert PLANTED not in shown
    assert logged
    assert PLANTED not in "".join(logged)


def test_what_is_no_secret_stays_readable() -> None:
    config = {"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "b"}}
    shown = _module.hidden([config, SECRET])
    assert shown[0] == config
    assert shown[1]["metadata"] == SECRET["metadata"]
    assert _module.hidden(None) is None
