# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The routes of callers outside as the gateway has them: those of a root, and in the place of each delegation those of its delegate."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._canary.delegation import merged

Obj = dict[str, Any]


def ingress_routes(root: Obj, manifests: Iterable[Obj]) -> Iterator[Obj]:
    """HTTP routes in the order in which they take requests; Istio drops one of a delegate that does not lie within its root's match."""
    by_name = {item["metadata"]["name"]: item for item in manifests if item["kind"] == "VirtualService"}
    for above in root["spec"]["http"]:
        if "delegate" not in above:
            yield above
            continue
        for route in by_name[above["delegate"]["name"]]["spec"]["http"]:
            if found := merged(above["match"], route["match"]):
                yield {**route, "match": found}


def takes(route: Obj, path: str, header: str = "") -> bool:
    """Whether a route takes a request. ``header``: path and query, as in ``:path``; without it, there is no query."""
    return any(_fits(match, path, header or path) for match in route["match"])


def _fits(match: Obj, path: str, header: str) -> bool:
    known = {key: value for key, value in match.items() if value}
    uri, with_, without = (known.pop(key, {}) for key in ("uri", "headers", "withoutHeaders"))
    assert not known, known
    assert {*with_, *without} <= {":path"}, match
    return (
        (not uri or _string(uri, path))
        and all(_string(text, header) for text in with_.values())
        and not any(_string(text, header) for text in without.values())
    )


def _string(match: Obj, text: str) -> bool:
    ((kind, wanted),) = match.items()
    return {
        "exact": lambda: text == wanted,
        "prefix": lambda: text.startswith(wanted),
        "regex": lambda: re.fullmatch(wanted, text) is not None,
    }[kind]()
