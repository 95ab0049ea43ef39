# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""secret_versions asks for these Secrets, and for their metadata only."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.servicemesh.platform.plugins.module_utils import _module
from ansible_collections.servicemesh.platform.plugins.modules import secret_versions


class Fake:
    """A client that has one Secret, and notes what it is asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    @property
    def requests(self) -> int:
        return len(self.asked)

    def each(self, function: Any, items: Any) -> list[Any]:
        return [function(item) for item in items]

    def get(self, path: str, accept: str) -> dict[str, Any] | None:
        self.asked.append((path, accept))
        return {"metadata": {"resourceVersion": "7"}} if path.endswith("/user-db") else None


def test_only_metadata_of_the_named_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    client = Fake()
    monkeypatch.setattr(_module, "connected", lambda _module: client)
    with patch_module_args({"namespace": "n", "names": ["user-db", "a/b", "user-db"]}), pytest.raises(SystemExit):
        secret_versions.main()
    result = json.loads(capsys.readouterr().out)
    assert (result["versions"], result["changed"], result["requests"]) == ({"user-db": "7"}, False, 2)
    assert [path for path, _accept in client.asked] == [
        "/api/v1/namespaces/n/secrets/a%2Fb",
        "/api/v1/namespaces/n/secrets/user-db",
    ]
    accepted = {accept for _path, accept in client.asked}
    assert accepted == {"application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=1,application/json"}
