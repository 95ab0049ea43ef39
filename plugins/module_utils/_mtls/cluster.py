# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A mesh read from a cluster: about sixteen LISTs in pages, side by side, each object reduced as its page arrives."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import Client
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.discovery import root_of
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import ApiError
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.objects import group_of
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.model import Missing, MissingCause
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parse.metadata import Obj
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.source import (
    KINDS,
    TAGS,
    WEBHOOKS,
    Everything,
    Kind,
    Reducers,
    Workload,
    tag_of,
)


class Cluster:
    """The cluster of a client. Raises KubeError only when the API server cannot be reached or does not know the caller."""

    def __init__(self, client: Client) -> None:
        self._client = client

    @property
    def requests(self) -> int:
        """Requests of the client so far."""
        return self._client.requests

    def everything(self, reducers: Reducers, istio_namespace: str, kinds: Sequence[Kind] = KINDS) -> Everything:
        """All objects that decide, reduced."""
        offered = self._offered(kinds)
        jobs: list[Callable[[], Any]] = [
            functools.partial(self._listed, kind, reducers[kind.name], offered.get(kind.name)) for kind in kinds
        ]
        jobs.append(lambda: self._istiods(istio_namespace))
        *lists, istiods = self._client.each(_run, jobs)
        found, missing = {}, {}
        for kind, items in zip(kinds, lists, strict=True):
            found[kind.name] = [] if isinstance(items, Missing) else items
            if isinstance(items, Missing) and not (kind.optional and items.cause is MissingCause.NOT_INSTALLED):
                missing[kind.name] = items
        return Everything(found, missing, istiods)

    def _offered(self, kinds: Sequence[Kind]) -> dict[str, tuple[str, ...]]:
        """The versions of each optional kind that may be tried: one request for each group, not one for each version of each kind."""
        optional = [kind for kind in kinds if kind.optional]
        groups = dict.fromkeys(group_of(version) for kind in optional for version in kind.versions)
        served = {group: self._served(group) for group in groups}

        def tried(version: str) -> bool:
            known = served[group_of(version)]
            return known is None or version in known

        return {kind.name: tuple(filter(tried, kind.versions)) for kind in optional}

    def _served(self, group: str) -> frozenset[str] | None:
        """The versions of an API group that the API server has, None when it does not say."""
        try:
            body = self._client.get(f"/apis/{group}")
        except ApiError as error:
            if error.status == 401:
                raise
            return None
        if body is None:
            return frozenset()
        return frozenset(entry["groupVersion"] for entry in body["versions"]) if "versions" in body else None

    def _listed(
        self, kind: Kind, reduce: Callable[[Obj], Any], versions: tuple[str, ...] | None = None
    ) -> list[Any] | Missing:
        """Reduced objects of a kind, or why it cannot be read. `versions` are those to try, if not all of the kind."""
        for version in kind.versions if versions is None else versions:
            try:
                return self._client.list_reduced(f"{root_of(version)}/{kind.plural}", kind.query, reduce)[0]
            except ApiError as error:
                if error.status == 401:
                    raise
                if error.status == 404 or (error.status == 403 and not self._known(version, kind.plural)):
                    continue
                if error.status == 403:
                    group = group_of(version)
                    where = "" if kind is TAGS else " in all namespaces"
                    right = f"verb list on {kind.plural}{'.' if group else ''}{group}{where}"
                    return Missing(kind.name, MissingCause.NO_PERMISSION, f"no permission: {right} is missing", right)
                return Missing(kind.name, MissingCause.FAILED, f"reading {kind.plural} failed: {error}")
        text = f"the API server does not know {kind.plural} in {' or '.join(kind.versions)}"
        return Missing(kind.name, MissingCause.NOT_INSTALLED, text)

    def _known(self, version: str, plural: str) -> bool:
        """Whether the API server has a resource. It refuses lists of resources that it does not have, and everybody may ask what it has."""
        try:
            body = self._client.get(root_of(version))
        except ApiError:
            return True
        if body is None:
            return False
        return "resources" not in body or any(entry.get("name") == plural for entry in body["resources"])

    def _istiods(self, namespace: str) -> list[Obj] | None:
        path = f"/apis/apps/v1/namespaces/{namespace}/deployments"
        try:
            body = self._client.get(path, query={"labelSelector": "app=istiod"})
        except ApiError as error:
            if error.status == 401:
                raise
            return None
        return list((body or {}).get("items") or [])

    def revision_tags(self) -> Mapping[str, str] | Missing:
        """Revision tags and the revisions that they stand for, or why they cannot be read."""
        found = self._listed(TAGS, tag_of)
        return found if isinstance(found, Missing) else dict(found)

    def config_map(self, namespace: str, name: str) -> Obj | Missing:
        """One ConfigMap, or why it is not there."""
        return self._one("ConfigMap", "configmaps", "v1", namespace, name)

    def workload(self, workload: Workload, namespace: str, name: str) -> Obj | Missing:
        """One Deployment, or another object that has pods made, or why it is not there."""
        return self._one(workload.name, workload.plural, workload.version, namespace, name)

    def webhooks(self) -> list[Obj] | Missing:
        """All MutatingWebhookConfigurations, or why they are not known."""
        return self._listed(WEBHOOKS, _itself)

    def _one(self, kind: str, plural: str, version: str, namespace: str, name: str) -> Obj | Missing:
        where = f"{kind} {namespace}/{name}"
        try:
            found = self._client.get(f"{root_of(version)}/namespaces/{namespace}/{plural}/{name}")
        except ApiError as error:
            if error.status == 401:
                raise
            if error.status == 403:
                group = group_of(version)
                right = f"verb get on {plural}{'.' if group else ''}{group} in namespace {namespace}"
                return Missing(where, MissingCause.NO_PERMISSION, f"no permission: {right} is missing", right)
            return Missing(where, MissingCause.FAILED, str(error))
        return found if found is not None else Missing(where, MissingCause.NOT_INSTALLED, "it does not exist")


def _run(job: Callable[[], Any]) -> Any:
    return job()


def _itself(obj: Obj) -> Obj:
    return obj
