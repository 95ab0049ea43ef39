# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What to do when the API server refuses an object for one of its fields. No I/O.

A hint is chosen by the field and the reason of a cause in the answer's Status, by the kind, and by the two objects, never by a message.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._apply.adoption import adoption
from ansible_collections.servicemesh.platform.plugins.module_utils._apply.field_sets import Fields, child_of, holds
from ansible_collections.servicemesh.platform.plugins.module_utils._apply.merge import merged, shape_of
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import ApiError
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.objects import is_secret, ref_of

Obj = dict[str, Any]
# Reasons of causes (apimachinery, pkg/util/validation/field/errors.go).
_INVALID, _FORBIDDEN, _DUPLICATE = "FieldValueInvalid", "FieldValueForbidden", "FieldValueDuplicate"
# In a namespace that is being deleted nothing can be created (api/core/v1/types.go, NamespaceTerminatingCause).
_TERMINATING = "NamespaceTerminating"
_STEP = re.compile(r"\.?([^.\[\]]+)|\[([^\]]*)\]")
_KEEP = "keep the old value, or delete the object first"


@dataclass(frozen=True, slots=True)
class _Fixed:
    """Fields that cannot be changed once the object exists, and what to do."""

    fields: tuple[str, ...]
    todo: str = _KEEP


_SELECTOR = _Fixed(("spec.selector",), "keep the old value, or delete the object first; its pods go with it")
_ROLE_REF = _Fixed(("roleRef",), "keep the old value, delete the binding first, or give the new one another name")
# Kubernetes: pkg/apis/*/validation/validation.go; apiextensions-apiserver: pkg/apis/apiextensions/validation/validation.go.
_FIXED: Mapping[tuple[str, str], _Fixed] = {
    ("apps", "Deployment"): _SELECTOR,
    ("apps", "ReplicaSet"): _SELECTOR,
    ("apps", "DaemonSet"): _SELECTOR,
    ("apps", "StatefulSet"): _Fixed(
        ("spec.selector", "spec.serviceName", "spec.podManagementPolicy", "spec.volumeClaimTemplates"),
        "keep the old value, or delete the StatefulSet first with `kubectl delete --cascade=orphan`, which keeps its pods and claims; "
        "claims that exist keep their size and class in any case, so change those by themselves",
    ),
    ("batch", "Job"): _Fixed(
        (
            "spec.selector", "spec.template", "spec.completions", "spec.completionMode", "spec.podFailurePolicy",
            "spec.successPolicy", "spec.backoffLimitPerIndex", "spec.managedBy",
        ),
        "delete the Job first, or give the new one another name",
    ),
    ("", "Service"): _Fixed(
        ("spec.clusterIP", "spec.clusterIPs", "spec.ipFamilies", "spec.loadBalancerClass"),
        "leave the field out to keep what the Service has, or delete the Service first, as for a change from or to clusterIP: None",
    ),
    ("", "PersistentVolumeClaim"): _Fixed(
        (
            "spec.accessModes", "spec.storageClassName", "spec.volumeName", "spec.volumeMode", "spec.selector",
            "spec.dataSource", "spec.dataSourceRef",
        ),
        "keep the old value, or use a claim with another name; deleting the claim may delete its data",
    ),
    ("", "Pod"): _Fixed(("spec",), "delete the Pod first, or let a Deployment create it"),
    ("", "Secret"): _Fixed(("type",)),
    ("", "ResourceQuota"): _Fixed(("spec.scopes",)),
    ("rbac.authorization.k8s.io", "RoleBinding"): _ROLE_REF,
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"): _ROLE_REF,
    ("storage.k8s.io", "StorageClass"): _Fixed(
        ("provisioner", "parameters", "reclaimPolicy", "volumeBindingMode"),
        "delete the StorageClass first (volumes that exist are not changed), or give the new one another name",
    ),
    ("scheduling.k8s.io", "PriorityClass"): _Fixed(("value", "preemptionPolicy")),
    ("networking.k8s.io", "IngressClass"): _Fixed(("spec.controller",)),
    ("discovery.k8s.io", "EndpointSlice"): _Fixed(("addressType",)),
    ("node.k8s.io", "RuntimeClass"): _Fixed(("handler",)),
    ("apiextensions.k8s.io", "CustomResourceDefinition"): _Fixed(
        ("spec.group", "spec.scope", "spec.names.kind", "spec.names.plural"),
        "keep the old value; deleting the CustomResourceDefinition deletes all objects of its kind",
    ),
}  # fmt: skip

# By group, kind, reason and field, where the field alone says what to do.
_ALONE: tuple[tuple[str, str, str, re.Pattern[str], str], ...] = (
    (
        "", "Service", _INVALID, re.compile(r"spec\.(ports\[\d+\]\.nodePort|healthCheckNodePort)\Z"),
        "expected a port that no other Service has, in the range of the API server (--service-node-port-range, 30000-32767 by default); "
        "leave the field out to get a free one",
    ),
    (
        "", "Service", _INVALID, re.compile(r"spec\.clusterIPs?(\[\d+\])?\Z"),
        "expected an address that no other Service has, in the range of the cluster's Services; leave the field out to get a free one",
    ),
    (
        "", "PersistentVolumeClaim", _FORBIDDEN, re.compile(r"spec\.resources\.requests\.storage\Z"),
        "a claim may grow, if its class allows that, and never shrinks; keep the size, or use a claim with another name",
    ),
    (
        "apiextensions.k8s.io", "CustomResourceDefinition", _INVALID, re.compile(r"status\.storedVersions\b"),
        "objects may be stored in a version that the definition leaves out; keep it with `served: false`, until they are stored in "
        "another one and it is removed from status.storedVersions",
    ),
)  # fmt: skip


def hint_of(error: ApiError, wanted: Mapping[str, Any], live: Mapping[str, Any] | None, manager: str) -> str:
    """What to do when an object was refused, mostly about single fields; empty when nothing is known.

    `live`: the object in the cluster; `manager`: who applies the definition.
    """
    causes = [cause for cause in error.details.get("causes") or [] if isinstance(cause, Mapping) and cause.get("field")]
    if any(cause.get("reason") == _TERMINATING for cause in causes):
        return "the namespace is being deleted; run again when it is gone"
    if error.status == 403:
        return "the identity of this kubeconfig lacks the right, or an admission rule refused the object"
    if error.status == 404 and error.details.get("kind") == "namespaces":
        return "the object's namespace does not exist"
    found: dict[str, None] = {}
    for cause in causes:
        field, reason = str(cause["field"]), str(cause.get("reason"))
        for hint in _hints(field, reason, wanted, live, manager):
            found[hint] = None
            break  # the first says most
    return "; ".join(found)


def _hints(
    field: str, reason: str, wanted: Mapping[str, Any], live: Mapping[str, Any] | None, manager: str
) -> Iterator[str]:
    ref = ref_of(wanted)
    if live is not None:
        yield from _frozen(field, reason, live)
        yield from _changed(field, reason, wanted, live)
        yield from _left_over(field, reason, wanted, live, manager)
    for group, kind, expected, pattern, todo in _ALONE:
        if (ref.group, ref.kind, reason) == (group, kind, expected) and pattern.match(field):
            yield f"{field}: {todo}"


def _frozen(field: str, reason: str, live: Mapping[str, Any]) -> Iterator[str]:
    frozen = ref_of(live).kind in ("ConfigMap", "Secret") and live.get("immutable") is True
    if frozen and reason == _FORBIDDEN and field in ("data", "binaryData", "immutable"):
        yield (
            "the object was made immutable and can only be deleted; give the new content another name, to which the pods then refer, "
            "or delete the object first"
        )


def _changed(field: str, reason: str, wanted: Mapping[str, Any], live: Mapping[str, Any]) -> Iterator[str]:
    ref = ref_of(wanted)
    fixed = _FIXED.get((ref.group, ref.kind))
    if fixed is None or reason not in (_INVALID, _FORBIDDEN):
        return
    base = field.partition("[")[0]  # the server names the field, or one above it, or an item of it
    changed = []
    for path in fixed.fields:
        value, before = _at(wanted, path), _at(live, path)
        named = base in (path, f"{path}s")  # clusterIP is the first of clusterIPs
        if (named or path.startswith(f"{base}.")) and (_differs(value, before) or (path == field and value is None)):
            changed.append(path)
    if changed:
        yield f"{', '.join(changed)} cannot be changed after the creation: {fixed.todo}"


def _at(obj: Any, path: str) -> Any:
    for name in path.split("."):
        obj = obj.get(name) if isinstance(obj, Mapping) else None
    return obj


def _differs(wanted: Any, live: Any) -> bool:
    """Whether a definition asks for another value; what it omits may have a default."""
    if isinstance(wanted, Mapping) and isinstance(live, Mapping):
        return any(_differs(value, live.get(key)) for key, value in wanted.items())
    if isinstance(wanted, list) and isinstance(live, list):
        return len(wanted) != len(live) or any(map(_differs, wanted, live))
    return wanted is not None and wanted != live


# Values that the definition does not have ---------------------------------------------------------------------------


def _left_over(
    field: str, reason: str, wanted: Mapping[str, Any], live: Mapping[str, Any], manager: str
) -> Iterator[str]:
    """For a field that does not go with another one that stays in the object: a default, or another manager's."""
    if reason not in (_INVALID, _FORBIDDEN, _DUPLICATE):
        return
    # The indices in the field are those of the object that was refused.
    node: Any = merged(live, wanted, shape_of(live)).result
    adopted = adoption(live, manager)
    entries = [
        (str(entry.get("manager")), entry.get("fieldsV1") or {})
        for entry in (adopted.entries if adopted else live["metadata"].get("managedFields") or [])
        if not entry.get("subresource")
    ]
    steps = [match.group(1) or int(match.group(2)) for match in _STEP.finditer(field) if _is_step(match)]
    if reason == _DUPLICATE:  # of two items of a list
        steps = steps[: max((at + 1 for at, step in enumerate(steps) if isinstance(step, int)), default=0)]
    path, there = "", wanted
    for step in steps[:-1]:
        key, shown = _element(node, step, [fields for _name, fields in entries])
        node, there = _child(node, step), child_of(there, key)[1]
        entries = [(name, fields[key]) for name, fields in entries if key in fields]
        path += shown
    if not steps or there is None:
        return
    last = steps[-1]
    owned = any(f"f:{last}" in fields for _name, fields in entries)
    if isinstance(last, str) and not owned and _has(node, last) and not _has(there, last):
        yield _default(f"{path}.{last}", steps[:-1], there, wanted)
        return
    for name, fields in entries:
        for key in fields if name != manager else ():
            if key != "." and holds(fields, key) and child_of(node, key)[0] and not child_of(there, key)[0]:
                yield (
                    f"{path}{_shown(key)} belongs to manager '{name}' and stays, although the definition does not have it; let that "
                    "manager give it up, remove it from the object (kubectl edit), or delete the object first"
                )
                return


def _default(shown: str, parent: list[str | int], there: Any, wanted: Mapping[str, Any]) -> str:
    ref = ref_of(wanted)
    where = f" -n {ref.namespace}" if ref.namespace else ""
    todo = "remove it from the object (kubectl edit) together with the change"
    if not is_secret(wanted) and not any(isinstance(step, int) for step in parent):
        place = "".join(f"/{step}" for step in parent)
        patch = json.dumps([{"op": "replace", "path": place, "value": there}], separators=(",", ":"))
        todo = f"make the change once with: kubectl{where} patch {ref.kind.lower()} {ref.name} --type=json -p '{patch}'"
    return f"{shown} is a default that the server set for the old value; no manager owns it, so no definition removes it: {todo}"


def _is_step(match: re.Match[str]) -> bool:
    return bool(match.group(1)) or match.group(2).isdigit()


def _child(node: Any, step: str | int) -> Any:
    if isinstance(step, int):
        return node[step] if isinstance(node, list) and step < len(node) else None
    return node.get(step) if isinstance(node, Mapping) else None


def _has(node: Any, name: str) -> bool:
    return isinstance(node, Mapping) and node.get(name) is not None


def _element(node: Any, step: str | int, known: list[Fields]) -> tuple[str, str]:
    """The element of a path in a set of fields, and as it is shown."""
    if isinstance(step, str):
        return f"f:{step}", f".{step}"
    item = _child(node, step)
    named = f'k:{{"name":{json.dumps(item["name"])}}}' if _has(item, "name") else f"i:{step}"
    key = next(
        (key for fields in known for key in fields if key[:2] in ("k:", "v:") and child_of([item], key)[0]), named
    )
    return key, _shown(key)


def _shown(key: str) -> str:
    kind, _colon, rest = key.partition(":")
    if kind == "f":
        return f".{rest}"
    if kind == "k":
        return "[" + ",".join(f"{name}={json.dumps(value)}" for name, value in json.loads(rest).items()) + "]"
    return f"[={rest}]" if kind == "v" else f"[{rest}]"
