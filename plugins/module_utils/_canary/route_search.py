# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which VirtualServices a new run shifts, and which ones delegate to them. Reads only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._canary import routes
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.delegation import (
    delegates_of,
    is_delegate,
    roots_of,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.findings import (
    Finding,
    FindingCode,
    findings_of,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.proof_scope import without_root
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.routes import Aim
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import Client
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import ApiError

Obj = dict[str, Any]
ISTIO = "/apis/networking.istio.io/v1"


@dataclass(frozen=True, slots=True)
class Found:
    """`shifted`: those whose weights a run writes. `roots`: those that delegate to them. `findings`: why a run cannot have them.

    `lost`: delegates of which it is not known who delegates to them, because the right to list VirtualServices is missing.
    """

    shifted: list[Obj]
    roots: list[Obj]
    findings: list[Finding]
    lost: Sequence[Mapping[str, Any]] = ()


def search(client: Client, aim: Aim, named: Sequence[str]) -> Found:
    """The VirtualServices of a run: the named ones (`name` or `namespace/name`), or all that lead to the canary subset.

    A named one that delegates stands for those that it delegates to.
    """
    if named:
        return _named(client, aim, named)
    try:
        items, everywhere = _listed(client, aim)
    except ApiError as error:
        if error.status != 404:
            raise
        text = "the API server does not know VirtualServices; expected Istio's networking.istio.io/v1 to be installed"
        return Found([], [], [Finding(FindingCode.VIRTUAL_SERVICE_MISSING, text)])
    chosen = [item for item in items if routes.concerns(item, aim)]
    if not everywhere:
        chosen += _delegates(client, aim, items, optional=True)
    if not chosen:
        text = (
            f"no VirtualService leads to subset {aim.canary} of {aim.host}; expected routes with both subsets, "
            f"{aim.stable} with weight 100 and {aim.canary} with weight 0"
        )
        return Found([], [], [Finding(FindingCode.VIRTUAL_SERVICE_MISSING, text)])
    return _with_roots(chosen, items, [], everywhere)


def _listed(client: Client, aim: Aim) -> tuple[list[Obj], bool]:
    """(VirtualServices, whether those of all namespaces): without the right to list these, those of the service's namespace."""
    try:
        return client.list_all(f"{ISTIO}/virtualservices")[0], True
    except ApiError as error:
        if error.status != 403:
            raise
    return client.list_all(f"{ISTIO}/namespaces/{aim.namespace}/virtualservices")[0], False


def _named(client: Client, aim: Aim, named: Sequence[str]) -> Found:
    full = [name if "/" in name else f"{aim.namespace}/{name}" for name in named]
    read = _read(client, full)
    missing = [name for name, item in zip(full, read, strict=True) if item is None]
    findings = findings_of(
        FindingCode.VIRTUAL_SERVICE_MISSING,
        [f"virtual_services: VirtualService {name} does not exist" for name in missing],
    )
    items = [item for item in read if item is not None]
    shifted = [item for item in items if not _only_delegates(item, aim)] + _delegates(client, aim, items)
    keys = {_key(item) for item in shifted}
    findings += findings_of(
        FindingCode.ROUTE,
        [
            f"virtual_services: {routes.named(item)} delegates to {', '.join(delegates_of(item))}, none of which leads to subset "
            f"{aim.canary} of {aim.host}; expected one that leads to both subsets"
            for item in items
            if _only_delegates(item, aim) and keys.isdisjoint(delegates_of(item))
        ],
    )
    found = _with_roots(shifted, items, findings, everywhere=True)
    if not without_root(shifted, found.roots):
        return found
    try:
        others, everywhere = _listed(client, aim)
    except ApiError as error:
        if not error.refused:
            raise
        others, everywhere = [], False
    return _with_roots(shifted, [*items, *others], findings, everywhere)


def _only_delegates(item: Obj, aim: Aim) -> bool:
    return bool(delegates_of(item)) and not routes.concerns(item, aim)


def _delegates(client: Client, aim: Aim, known: Sequence[Obj], *, optional: bool = False) -> list[Obj]:
    """What the known VirtualServices delegate to and is not among them, as far as it leads to the canary.

    `optional`: one that must not be read is left out. Routes in other namespaces are not seen then, which the start tells.
    """
    there = {_key(item) for item in known}
    wanted = dict.fromkeys(name for root in known for name in delegates_of(root) if name not in there)
    read = _read(client, list(wanted), optional=optional)
    return [item for item in read if item is not None and routes.concerns(item, aim)]


def _read(client: Client, names: Sequence[str], *, optional: bool = False) -> list[Obj | None]:
    def get(name: str) -> Obj | None:
        namespace, _slash, short = name.partition("/")
        try:
            return client.get(f"{ISTIO}/namespaces/{namespace}/virtualservices/{short}")
        except ApiError as error:
            if optional and error.status == 403:
                return None
            raise

    return client.each(get, names)


def _with_roots(shifted: list[Obj], items: Sequence[Obj], findings: list[Finding], everywhere: bool) -> Found:
    """`items`: where roots are looked for, which are all that there are when `everywhere`."""
    keys = {_key(root) for item in shifted if is_delegate(item) for root, _route in roots_of(item, items)}
    roots = list({_key(item): item for item in items if _key(item) in keys}.values())
    return Found(shifted, roots, findings, [] if everywhere else without_root(shifted, roots))


def _key(item: Mapping[str, Any]) -> str:
    return f"{item['metadata'].get('namespace') or ''}/{item['metadata']['name']}"
