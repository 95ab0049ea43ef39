# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the live state of a set in few requests."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import Client
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.discovery import Resource
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import ApiError
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.objects import Ref, ref_of

Obj = dict[str, Any]
Live = dict[tuple[str, str, str, str], Obj]
# From this number of objects of one kind and namespace on, one LIST is cheaper than a GET for each.
_LIST_FROM = 6


def read_live(client: Client, objects: Iterable[Mapping[str, Any]], live: Live) -> None:
    """Adds to `live` all objects that exist and are not in it yet. Objects of kinds that the server does not know are left out."""
    groups: dict[str, list[tuple[Ref, Resource]]] = {}
    for obj in objects:
        ref = ref_of(obj)
        resource = client.catalog.find(ref.api_version, ref.kind)
        if resource is not None and ref.key not in live:
            groups.setdefault(resource.collection(ref.namespace), []).append((ref, resource))
    singles: list[tuple[Ref, Resource]] = []
    lists: list[tuple[str, list[tuple[Ref, Resource]]]] = []
    for path, members in groups.items():
        # A LIST of Secrets would read the Secrets of others too, so each is read by itself.
        if len(members) < _LIST_FROM or members[0][0].kind == "Secret":
            singles += members
        else:
            lists.append((path, members))
    work: list[functools.partial[None]] = [functools.partial(_read_list, client, live, *entry) for entry in lists]
    work += [functools.partial(_read_one, client, live, entry) for entry in singles]
    client.each(functools.partial.__call__, work)


def _read_one(client: Client, live: Live, entry: tuple[Ref, Resource]) -> None:
    ref, resource = entry
    obj = client.get(resource.path(ref))
    if obj is not None:
        live[ref.key] = obj


def _read_list(client: Client, live: Live, path: str, members: list[tuple[Ref, Resource]]) -> None:
    try:
        items, _version = client.list_all(path)
    except ApiError as error:
        if error.status != 403:
            raise
        client.each(functools.partial(_read_one, client, live), members)  # the identity may get them but not list them
        return
    by_name = {item["metadata"]["name"]: item for item in items}
    for ref, _resource in members:
        if ref.name in by_name:
            live[ref.key] = by_name[ref.name]
