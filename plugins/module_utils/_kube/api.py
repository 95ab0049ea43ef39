# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What code needs of a client of the Kubernetes API that also runs where the `kubernetes` package is not installed. Types only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class Api(Protocol):
    """Requests with plain dicts. `client.Client` is one; the watchdog of a canary has another one of the standard library alone."""

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        content_type: str | None = None,
        budget: float = ...,
        headers_to: dict[str, str] | None = None,
    ) -> tuple[int, dict[str, Any]]:
        """Status and body of one answer, retried for `budget` seconds. Raises ApiError or UnreachableError.

        `headers_to`: takes the headers of the answer.
        """

    def get(self, path: str, **options: Any) -> dict[str, Any] | None:
        """One object, or None when it does not exist; `options` are those of `request`."""

    def list_all(
        self, path: str, query: Mapping[str, Any] | None = None, headers_to: dict[str, str] | None = None
    ) -> tuple[list[dict[str, Any]], str]:
        """All objects of a collection, and the resourceVersion to watch from."""

    def each(self, function: Callable[[T], R], items: Any) -> list[R]:
        """Results of a function for all items, in their order."""
