# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A client whose writes are dry runs: the code that writes is the code that is tried."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import Client

T = TypeVar("T")
R = TypeVar("R")

_ALL = ["All"]


class DryRunClient(Client):
    """Reads as `client` does, and has the API server answer each write as if it were one, without storing it.

    Every request goes through `request`, so that nothing can be written by accident.
    """

    def __init__(self, client: Client) -> None:
        self._real = client

    def __getattr__(self, name: str) -> Any:
        """Attributes that a client sets on itself, such as its catalog."""
        return getattr(self._real, name)

    def request(self, method: str, path: str, **options: Any) -> tuple[int, dict[str, Any]]:
        """As `Client.request`; a write is a dry run."""
        if method != "GET":
            options["query"] = {**(options.get("query") or {}), "dryRun": "All"}
            if method == "DELETE" and options.get("body") is not None:
                # The server ignores the query when there is a body (apiserver, pkg/endpoints/handlers/delete.go, DeleteResource).
                options["body"] = {**options["body"], "dryRun": _ALL}
        return self._real.request(method, path, **options)

    def get(self, path: str, **options: Any) -> dict[str, Any] | None:
        """As `Client.get`."""
        return self._real.get(path, **options)

    def list_all(
        self, path: str, query: Mapping[str, Any] | None = None, headers_to: dict[str, str] | None = None
    ) -> tuple[list[dict[str, Any]], str]:
        """As `Client.list_all`."""
        return self._real.list_all(path, query, headers_to)

    def each(self, function: Callable[[T], R], items: Any) -> list[R]:
        """As `Client.each`."""
        return self._real.each(function, items)

    def count_request(self) -> None:
        """As `Client.count_request`."""
        self._real.count_request()
