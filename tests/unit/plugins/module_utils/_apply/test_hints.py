# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a user is told to do, by the fields of a refusal. The messages are empty: they decide nothing."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._apply.hints import hint_of
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import ApiError

US = "servicemesh-platform"
INVALID, FORBIDDEN, DUPLICATE = "FieldValueInvalid", "FieldValueForbidden", "FieldValueDuplicate"


def refusal(*causes: tuple[str, str]) -> ApiError:
    listed = [{"field": field, "reason": reason} for field, reason in causes]
    return ApiError("PATCH", "/", 422, {"reason": "Invalid", "details": {"causes": listed}})


def obj(api_version: str, kind: str, /, **content: Any) -> dict[str, Any]:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": "x", "namespace": "n"}, **content}


def owned(thing: dict[str, Any], **managers: Any) -> dict[str, Any]:
    entries = [
        {
            "manager": name.replace("_", "-"),
            "operation": "Update",
            "apiVersion": thing["apiVersion"],
            "fieldsV1": fields,
        }
        for name, fields in managers.items()
    ]
    return {**thing, "metadata": {**thing["metadata"], "managedFields": entries}}


def template(**fields: Any) -> dict[str, Any]:
    return {"template": {"spec": {"containers": [{"name": "app", **fields}]}}}


def in_container(fields: dict[str, Any]) -> dict[str, Any]:
    return {"f:spec": {"f:template": {"f:spec": {"f:containers": {'k:{"name":"app"}': {".": {}, **fields}}}}}}


@pytest.mark.parametrize(
    ("live", "wanted", "cause", "expected"),
    [
        (
            obj("apps/v1", "Deployment", spec={"selector": {"matchLabels": {"app": "a"}}}),
            obj("apps/v1", "Deployment", spec={"selector": {"matchLabels": {"app": "b"}}}),
            ("spec.selector", INVALID),
            "spec.selector cannot be changed after the creation: keep the old value, or delete the object first",
        ),
        (
            obj("apps/v1", "StatefulSet", spec={"serviceName": "x", "volumeClaimTemplates": [{"spec": {"size": 1, "mode": "d"}}]}),
            obj("apps/v1", "StatefulSet", spec={"serviceName": "x", "volumeClaimTemplates": [{"spec": {"size": 2}}]}),
            ("spec", FORBIDDEN),
            "spec.volumeClaimTemplates cannot be changed after the creation: keep the old value, or delete the StatefulSet first with "
            "`kubectl delete --cascade=orphan`",
        ),
        (
            obj("v1", "Service", spec={"clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1"]}),
            obj("v1", "Service", spec={"clusterIP": "None"}),
            ("spec.clusterIPs[0]", INVALID),
            "spec.clusterIP cannot be changed after the creation: leave the field out",
        ),
        (
            obj("v1", "ConfigMap", immutable=True, data={"a": "1"}),
            obj("v1", "ConfigMap", immutable=True, data={"a": "2"}),
            ("data", FORBIDDEN),
            "was made immutable",
        ),
        (
            obj("v1", "Secret", type="Opaque", immutable=True),
            obj("v1", "Secret", type="Opaque"),
            ("immutable", FORBIDDEN),
            "was made immutable",
        ),
        (obj("v1", "Secret", type="a/b"), obj("v1", "Secret"), ("type", INVALID), "type cannot be changed"),
        (
            obj("batch/v1", "Job", spec=template(image="a:1")),
            obj("batch/v1", "Job", spec=template(image="a:2")),
            ("spec.template", INVALID),
            "spec.template cannot be changed after the creation: delete the Job first",
        ),
        (
            obj("rbac.authorization.k8s.io/v1", "RoleBinding", roleRef={"name": "a"}),
            obj("rbac.authorization.k8s.io/v1", "RoleBinding", roleRef={"name": "b"}),
            ("roleRef", INVALID),
            "delete the binding first",
        ),
        (
            obj("v1", "PersistentVolumeClaim", spec={"storageClassName": "a"}),
            obj("v1", "PersistentVolumeClaim", spec={"storageClassName": "b"}),
            ("spec", FORBIDDEN),
            "spec.storageClassName cannot be changed",
        ),
        (
            obj("v1", "PersistentVolumeClaim", spec={"resources": {"requests": {"storage": "2Gi"}}}),
            obj("v1", "PersistentVolumeClaim", spec={"resources": {"requests": {"storage": "1Gi"}}}),
            ("spec.resources.requests.storage", FORBIDDEN),
            "never shrinks",
        ),
        (
            obj("apiextensions.k8s.io/v1", "CustomResourceDefinition", spec={"scope": "Cluster"}),
            obj("apiextensions.k8s.io/v1", "CustomResourceDefinition", spec={"scope": "Namespaced"}),
            ("spec.scope", INVALID),
            "deletes all objects of its kind",
        ),
        (
            obj("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
            obj("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
            ("status.storedVersions[0]", INVALID),
            "served: false",
        ),
        (
            None, obj("v1", "Service", spec={"ports": [{"port": 1, "nodePort": 80}]}), ("spec.ports[0].nodePort", INVALID),
            "30000-32767 by default",
        ),
        (
            obj("v1", "Service", spec={"ports": []}), obj("v1", "Service", spec={"ports": [{"port": 1, "nodePort": 80}]}),
            ("spec.ports[0].nodePort", INVALID), "30000-32767 by default",
        ),
        (None, obj("v1", "Service", spec={"clusterIP": "1.2.3.4"}), ("spec.clusterIPs[0]", INVALID), "no other Service has"),
    ],
)  # fmt: skip
def test_what_cannot_be_changed(live: Any, wanted: Any, cause: tuple[str, str], expected: str) -> None:
    assert expected in hint_of(refusal(cause), wanted, live, US)


def test_a_default_of_the_old_strategy() -> None:
    live = owned(
        obj("apps/v1", "Deployment", spec={"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}),
        servicemesh_platform={"f:spec": {"f:replicas": {}}},
    )
    wanted = obj("apps/v1", "Deployment", spec={"strategy": {"type": "Recreate"}})
    cause = ("spec.strategy.rollingUpdate", FORBIDDEN)
    hint = hint_of(refusal(cause), wanted, live, US)
    assert hint == (
        ".spec.strategy.rollingUpdate is a default that the server set for the old value; no manager owns it, so no definition removes "
        "it: make the change once with: kubectl -n n patch deployment x --type=json "
        """-p '[{"op":"replace","path":"/spec/strategy","value":{"type":"Recreate"}}]'"""
    )
    both = obj("apps/v1", "Deployment", spec={"strategy": {"type": "Recreate", "rollingUpdate": {"maxSurge": 2}}})
    assert hint_of(refusal(cause), both, live, US) == "", "here the definition itself is wrong, as the server says"


def test_a_default_that_kubectl_owned_is_nobodys_after_the_takeover() -> None:
    live = owned(
        obj("apps/v1", "Deployment", spec={"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}),
        kubectl_client_side_apply={
            "f:spec": {"f:strategy": {"f:type": {}, "f:rollingUpdate": {".": {}, "f:maxSurge": {}}}}
        },
    )
    live["metadata"]["annotations"] = {
        "kubectl.kubernetes.io/last-applied-configuration": '{"apiVersion": "apps/v1", "spec": {"replicas": 1}}'
    }
    wanted = obj("apps/v1", "Deployment", spec={"strategy": {"type": "Recreate"}})
    assert "is a default" in hint_of(refusal(("spec.strategy.rollingUpdate", FORBIDDEN)), wanted, live, US)


@pytest.mark.parametrize(
    ("live", "wanted", "fields", "cause", "named"),
    [
        (
            {"env": [{"name": "Z", "value": "0"}, {"name": "A", "value": "1"}]},
            {"env": [{"name": "A", "valueFrom": {"fieldRef": {}}}]},
            {"f:env": {'k:{"name":"A"}': {".": {}, "f:value": {}}, 'k:{"name":"Z"}': {".": {}}}},
            ("spec.template.spec.containers[0].env[1].valueFrom", INVALID),
            '.spec.template.spec.containers[name="app"].env[name="A"].value',
        ),
        (
            {"livenessProbe": {"httpGet": {"port": 80}, "periodSeconds": 10}},
            {"livenessProbe": {"tcpSocket": {"port": 80}}},
            {"f:livenessProbe": {"f:httpGet": {"f:port": {}}}},
            ("spec.template.spec.containers[0].livenessProbe.tcpSocket", FORBIDDEN),
            '.spec.template.spec.containers[name="app"].livenessProbe.httpGet',
        ),
    ],
)
def test_what_belongs_to_another_manager_and_stays(live: Any, wanted: Any, fields: Any, cause: Any, named: str) -> None:
    there = owned(obj("apps/v1", "Deployment", spec=template(**live)), kubectl_create=in_container(fields))
    hint = hint_of(refusal(cause), obj("apps/v1", "Deployment", spec=template(**wanted)), there, US)
    assert hint.startswith(f"{named} belongs to manager 'kubectl-create' and stays")
    assert hint_of(refusal(cause), obj("apps/v1", "Deployment", spec=template(**wanted)), there, "kubectl-create") == ""


def test_an_item_of_another_manager() -> None:
    ports = {'k:{"port":80,"protocol":"TCP"}': {".": {}, "f:port": {}}}
    live = owned(
        obj("v1", "Service", spec={"ports": [{"name": "http", "port": 80, "protocol": "TCP"}]}),
        kubectl_create={"f:spec": {"f:ports": ports}},
    )
    wanted = obj("v1", "Service", spec={"ports": [{"name": "http", "port": 81}]})
    hint = hint_of(refusal(("spec.ports[1].name", DUPLICATE)), wanted, live, US)
    assert hint.startswith(".spec.ports[port=80,protocol=\"TCP\"] belongs to manager 'kubectl-create'")


def test_no_value_of_a_secret_is_in_a_command() -> None:
    live = owned(obj("v1", "Secret", data={"a": "pl4nted", "b": {"c": "x"}}))
    hint = hint_of(refusal(("data.b", INVALID)), obj("v1", "Secret", data={"a": "pl4nted"}), live, US)
    assert "kubectl edit" in hint
    assert "pl4nted" not in hint


@pytest.mark.parametrize(
    ("field", "reason"),
    [("spec.replicas", INVALID), ("spec.selector", "FieldValueRequired"), ("", INVALID), ("spec.template.spec", "")],
)
def test_nothing_is_told_where_nothing_is_known(field: str, reason: str) -> None:
    thing = owned(obj("apps/v1", "Deployment", spec={"replicas": 1, "selector": {"matchLabels": {"a": "b"}}}))
    assert hint_of(refusal((field, reason)), thing, thing, US) == ""
    assert hint_of(refusal((field, reason)), thing, None, US) == ""


def test_two_fields_have_two_hints() -> None:
    live = obj("v1", "Secret", type="a/b", immutable=True)
    hint = hint_of(
        refusal(("type", INVALID), ("data", FORBIDDEN), ("immutable", FORBIDDEN)), obj("v1", "Secret"), live, US
    )
    assert hint.count("; give the new content") == 1
    assert "type cannot be changed" in hint


@pytest.mark.parametrize(
    ("status", "details", "expected"),
    [
        (403, {}, "the identity of this kubeconfig lacks the right"),
        (
            403,
            {"causes": [{"reason": "NamespaceTerminating", "field": "metadata.namespace"}]},
            "the namespace is being deleted",
        ),
        (404, {"kind": "namespaces"}, "the object's namespace does not exist"),
        (404, {"kind": "roles"}, ""),
        (409, {}, ""),
    ],
)
def test_what_is_not_about_a_field_of_the_object(status: int, details: dict[str, Any], expected: str) -> None:
    hint = hint_of(ApiError("PATCH", "/", status, {"details": details}), obj("v1", "ConfigMap"), None, US)
    assert hint.startswith(expected)
    assert bool(hint) == bool(expected)
