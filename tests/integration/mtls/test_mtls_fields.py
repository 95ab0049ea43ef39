# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fields that the table of fields is held against are those of the CRDs that the cluster has."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import Client

from tests.fields.schema import of_crd
from tests.support import ROOT

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("cluster")]
KINDS: dict[str, Any] = json.loads((ROOT / "tests/cases/fields/istio.json").read_text(encoding="utf-8"))["kinds"]
CRDS = {
    "PeerAuthentication": "peerauthentications.security.istio.io",
    "DestinationRule": "destinationrules.networking.istio.io",
    "Sidecar": "sidecars.networking.istio.io",
    "ServiceEntry": "serviceentries.networking.istio.io",
    "WorkloadEntry": "workloadentries.networking.istio.io",
    "Gateway": "gateways.networking.istio.io",
    "VirtualService": "virtualservices.networking.istio.io",
    "EnvoyFilter": "envoyfilters.networking.istio.io",
}


@pytest.mark.parametrize("kind", CRDS)
def test_the_cluster_has_the_fields_of_the_list(client: Client, kind: str) -> None:
    crd = client.get(f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{CRDS[kind]}")
    assert crd is not None
    for version, fields in of_crd(crd).items():
        assert fields == KINDS[kind], version
