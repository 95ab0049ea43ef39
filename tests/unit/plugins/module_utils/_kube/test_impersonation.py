# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whom requests act as, by options and by the user of a kubeconfig, whatever reads that."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import Client
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import KubeError
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.impersonation import headers_of, settings_of

from tests.unit.plugins.module_utils.conftest import FaultyServer, ok

EVE = {"as": "eve", "as-uid": "7", "as-groups": ["a", "b"], "as-user-extra": {"x/y": ["1", "2"]}}


def test_everything_becomes_headers() -> None:
    assert headers_of({}, settings_of({"token": "t", **EVE})) == [
        ("Impersonate-User", "eve"),
        ("Impersonate-Uid", "7"),
        ("Impersonate-Group", "a"),
        ("Impersonate-Group", "b"),
        ("Impersonate-Extra-x%2Fy", "1"),
        ("Impersonate-Extra-x%2Fy", "2"),
    ]
    assert headers_of({}, settings_of({"as": "", "as-groups": None, "as-user-extra": {}})) == []


def test_an_option_replaces_its_setting_and_leaves_the_others() -> None:
    found = headers_of({"impersonate_user": "bob", "impersonate_groups": ["c"]}, EVE)
    assert found[:3] == [("Impersonate-User", "bob"), ("Impersonate-Uid", "7"), ("Impersonate-Group", "c")]


def test_names_and_values_beyond_ascii_are_what_go_sends() -> None:
    found = headers_of({}, {"as": "zoë", "as-user-extra": {"é %": ["1"]}})
    assert [(name, value.encode("latin-1").decode()) for name, value in found] == [
        ("Impersonate-User", "zoë"),
        ("Impersonate-Extra-%C3%A9%20%25", "1"),
    ]


@pytest.mark.parametrize(
    ("options", "settings", "words"),
    [
        ({}, {"as-groups": ["a"]}, "kubeconfig /k: as-groups of the user is given without a user to act as"),
        ({"impersonate_groups": ["a"]}, {}, "impersonate_groups is given without a user to act as"),
        ({}, {"as": ["eve"]}, "kubeconfig /k: as of the user is .*Expected a text"),
        ({}, {"as": "eve\r\nImpersonate-Group: a"}, "without control characters"),
        ({}, {"as": "eve", "as-groups": "a"}, "as-groups of the user is 'a'. Expected a list of texts"),
        ({}, {"as": "eve", "as-user-extra": {"a": "b"}}, "Expected a mapping to lists of texts"),
    ],
)
def test_what_cannot_be_is_refused(options: dict[str, Any], settings: dict[str, Any], words: str) -> None:
    with pytest.raises(KubeError, match=words):
        headers_of(options, settings, "/k")


@pytest.mark.parametrize("way", ["mapping", "file", "two files", "not static", "login", "default"])
def test_a_kubeconfig_is_obeyed_whatever_reads_it(
    faulty: FaultyServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    user: dict[str, Any] = {"token": "t", "as": "eve", "as-groups": ["a"]}
    if way == "not static":
        (tmp_path / "token").write_text("t", encoding="utf-8")
        user = {**user, "token": None, "tokenFile": str(tmp_path / "token")}
    if way == "login":
        answer = {
            "apiVersion": "client.authentication.k8s.io/v1",
            "kind": "ExecCredential",
            "status": {"token": "t"},
        }
        plugin = {"apiVersion": answer["apiVersion"], "command": "echo", "interactiveMode": "Never"}
        user = {**user, "token": None, "exec": {**plugin, "args": [json.dumps(answer)]}}
    config = {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
        "clusters": [{"name": "k", "cluster": {"server": faulty.url}}],
        "users": [{"name": "u", "user": {name: value for name, value in user.items() if value}}],
    }
    path = tmp_path / ".kube" / "config"
    path.parent.mkdir()
    path.write_text(json.dumps(config), encoding="utf-8")
    monkeypatch.setenv("HOME", str(tmp_path))
    given = {"mapping": config, "two files": f"{path}{os.pathsep}{tmp_path / 'none'}", "default": None}
    faulty.answers = [ok()]
    Client({"kubeconfig": given.get(way, str(path))}, environ={}).request("GET", "/x")
    sent = {name.lower(): value for name, value in faulty.seen[0][2].items()}
    assert (sent["authorization"], sent["impersonate-user"], sent["impersonate-group"]) == ("Bearer t", "eve", "a")
