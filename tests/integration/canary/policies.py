# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules of the API server that refuse writes in the namespace of a test."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import ApiError

from tests.integration.canary.bed import Bed, Obj, delete, wait_for

MERGE_PATCH = "application/merge-patch+json"
_DEPLOYMENTS = "/apis/apps/v1/namespaces/{}/deployments"
_SLICES = "/apis/discovery.k8s.io/v1/namespaces/{}/endpointslices"


@contextlib.contextmanager
def for_deployments(bed: Bed, expression: str) -> Iterator[None]:
    """`expression` has to hold for each Deployment that is updated. It must refuse version v2 of stable."""
    template = {"spec": {"template": {"metadata": {"labels": {"version": "v2"}}}}}
    with _rule(bed, "apps", "deployments", expression, f"{_DEPLOYMENTS.format(bed.namespace)}/web", template):
        yield


@contextlib.contextmanager
def without_new_endpoints(bed: Bed) -> Iterator[None]:
    """No EndpointSlice changes, as when their controller is late: a pod that becomes ready gets no requests."""
    path = _SLICES.format(bed.namespace)
    (first, *_others), _version = bed.client.list_all(path, {"labelSelector": "kubernetes.io/service-name=web"})
    tried = {"metadata": {"annotations": {"tried": "yes"}}}
    name = first["metadata"]["name"]
    with _rule(bed, "discovery.k8s.io", "endpointslices", "false", f"{path}/{name}", tried):
        yield
    # The controller waits longer after each write that was refused; a change of the Service ends the wait.
    service = f"/api/v1/namespaces/{bed.namespace}/services/web"
    noticed = {"metadata": {"annotations": {"noticed": str(time.time())}}}
    bed.client.request("PATCH", service, body=noticed, content_type=MERGE_PATCH)


@contextlib.contextmanager
def _rule(bed: Bed, group: str, resource: str, expression: str, path: str, refused: Obj) -> Iterator[None]:
    """In force inside of the block. `refused`: a merge patch of the object at `path` that it refuses."""
    root, name = "/apis/admissionregistration.k8s.io/v1", bed.namespace
    head = {"apiVersion": "admissionregistration.k8s.io/v1", "metadata": {"name": name}}
    rules = [{"apiGroups": [group], "apiVersions": ["v1"], "operations": ["UPDATE"], "resources": [resource]}]
    space = {"matchLabels": {"kubernetes.io/metadata.name": name}}
    bodies = {
        "validatingadmissionpolicies": {
            "kind": "ValidatingAdmissionPolicy",
            "spec": {"matchConstraints": {"resourceRules": rules}, "validations": [{"expression": expression}]},
        },
        "validatingadmissionpolicybindings": {
            "kind": "ValidatingAdmissionPolicyBinding",
            "spec": {"policyName": name, "validationActions": ["Deny"], "matchResources": {"namespaceSelector": space}},
        },
    }

    def holds() -> bool:
        try:
            bed.client.request("PATCH", path, query={"dryRun": "All"}, body=refused, content_type=MERGE_PATCH)
        except ApiError as error:
            return error.status == 422
        return False

    try:
        for kind, body in bodies.items():
            bed.client.request("POST", f"{root}/{kind}", body={**head, **body})
        wait_for(holds, "the policy")
        yield
    finally:
        for kind in bodies:
            delete(bed, f"{root}/{kind}/{name}")
