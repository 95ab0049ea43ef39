# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A kubeconfig whose user acts as somebody else: the API server sees from us whom it sees from kubectl."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
import yaml
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import Client
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import ApiError

pytestmark = [pytest.mark.cluster]
ACTS_AS = {
    "as": "zoë",
    "as-uid": "u-1",
    "as-groups": ["shop:readers", "system:authenticated"],
    "as-user-extra": {"example.com/reason": ["a", "b"], "Per%Cent": ["c"]},
}
REVIEW = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}


def test_the_server_sees_the_same_user_as_from_kubectl(tmp_path: Path) -> None:
    source = Path(os.environ["KUBECONFIG"])
    config = yaml.safe_load(source.read_text(encoding="utf-8"))
    for entry in config["users"]:
        entry["user"] |= ACTS_AS
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    program = os.environ.get("KUBECTL") or str(source.parent / "bin" / "kubectl")
    told = subprocess.run(
        [program, "--kubeconfig", path, "auth", "whoami", "-o", "json"], check=True, capture_output=True, text=True
    ).stdout
    client = Client({"kubeconfig": str(path)}, environ={})
    seen = client.request("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", body=REVIEW)[1]
    assert seen["status"] == json.loads(told)["status"]
    assert seen["status"]["userInfo"]["username"] == ACTS_AS["as"]
    assert seen["status"]["userInfo"]["extra"]["example.com/reason"] == ["a", "b"]
    with pytest.raises(ApiError) as refused:
        client.request("GET", "/api/v1/namespaces/kube-system/secrets")
    assert refused.value.status == 403
