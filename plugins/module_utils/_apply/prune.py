# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The inventory of a set in the cluster: read, written before the set, and updated after it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._apply import inventory as _inventory
from ansible_collections.servicemesh.platform.plugins.module_utils._apply.inventory import Key, Members, Plan
from ansible_collections.servicemesh.platform.plugins.module_utils._apply.live import Live
from ansible_collections.servicemesh.platform.plugins.module_utils._apply.options import Options
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import Client
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.discovery import Catalog
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import ApiError, KubeError, numbered
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.objects import Ref, delete_options, ref_of

Obj = dict[str, Any]
_ATTEMPTS = 5


class Pruner:
    """The inventory of one set during one call: one request to read it, and one for each change of it."""

    def __init__(self, client: Client, options: Options) -> None:
        self._client, self._options = client, options
        self._collection = f"/api/v1/namespaces/{options.inventory_namespace}/configmaps"
        self._path = f"{self._collection}/{_inventory.name_of(options.name)}"
        self._found: Obj | None = None
        self._listed: Members = {}
        self._wanted: Members = {}
        self.set_id = _inventory.id_of(options.name, options.inventory_namespace)
        self.plan = Plan()

    def look(self) -> None:
        """Reads what the set once applied. Raises KubeError for a ConfigMap of that name that is not an inventory."""
        self._found = self._client.get(self._path)
        try:
            self._listed = (
                _inventory.read(self._found, self._options.name, self._options.inventory_namespace)
                if self._found
                else {}
            )
        except ValueError as error:
            raise KubeError(str(error)) from None

    def candidates(self, objects: Iterable[Obj], retired: Iterable[Obj], catalog: Catalog) -> list[Obj]:
        """Objects that the set once applied and does not contain any more, enough of each to address it."""
        self._wanted = _inventory.members(map(ref_of, objects))
        decided = set(self._wanted) | {ref_of(obj).key for obj in retired}
        return [stub(_served(ref, catalog)) for key, ref in self._listed.items() if key not in decided]

    def decide(self, candidates: Iterable[Obj], live: Live, catalog: Catalog) -> None:
        """Makes the plan. Raises KubeError when it deletes something that `prune_allow` has to name."""
        absent = self._options.state == "absent"
        refs = [ref_of(obj) for obj in candidates]
        # A kind that the server does not know now may return later, and its objects with it.
        known = _inventory.members(r for r in refs if absent or catalog.find(r.api_version, r.kind))
        self.plan = _inventory.plan(known, (), live, self.set_id, self._options.field_manager)
        findings = _inventory.refusals(
            self.plan, self._listed, self._options.name, self._options.prune_allow, whole=absent
        )
        if findings:
            title = f"Pruning of set '{self._options.name}' is refused; nothing was sent"
            raise KubeError(numbered(title, findings))

    def write_ahead(self) -> None:
        """Adds the objects that are about to be written, so that a call that is killed loses none."""
        self._write(lambda listed: _inventory.ahead(listed, self._wanted))

    def finish(self, gone: Collection[Key]) -> None:
        """Lists the set as it is now. `gone`: what this call deleted or did not find."""
        left = {*gone, *(ref.key for ref in self.plan.forget)}
        self._write(lambda listed: _inventory.after(listed, self._wanted, left))

    def _write(self, change: Callable[[Members], Members]) -> None:
        """Writes the inventory; when another call has changed it meanwhile, reads it again and applies the change to it."""
        for attempt in range(_ATTEMPTS):
            listed = change(self._listed)
            if listed == self._listed:
                return
            try:
                self._send(listed)
            except ApiError as error:
                if error.status == 404 and not self._found:
                    raise KubeError(
                        f"inventory_namespace is '{self._options.inventory_namespace}': no such namespace. Expected one "
                        "that exists or is part of the set"
                    ) from None
                if error.status not in (404, 409) or attempt == _ATTEMPTS - 1:
                    raise
                self.look()
            else:
                self._listed = listed
                return

    def _send(self, listed: Members) -> None:
        if not listed and self._found:
            self._client.request("DELETE", self._path, body=delete_options(self._found))
            self._found = None
            return
        try:
            body = _inventory.document(self._options.name, self._options.inventory_namespace, listed)
        except ValueError as error:
            raise KubeError(str(error)) from None
        query = {"fieldManager": self._options.field_manager}
        if self._found:
            body["metadata"]["resourceVersion"] = self._found["metadata"]["resourceVersion"]
            self._found = self._client.request("PUT", self._path, query=query, body=body)[1]
        else:
            self._found = self._client.request("POST", self._collection, query=query, body=body)[1]


def stub(ref: Ref) -> Obj:
    """An object with only its identity."""
    meta = {"name": ref.name, **({"namespace": ref.namespace} if ref.namespace else {})}
    return {"apiVersion": ref.api_version, "kind": ref.kind, "metadata": meta}


def _served(ref: Ref, catalog: Catalog) -> Ref:
    """The same object in a version that the server has."""
    if catalog.find(ref.api_version, ref.kind) is None and (versions := catalog.versions_of(ref.group, ref.kind)):
        return Ref(versions[0], ref.kind, ref.namespace, ref.name)
    return ref
