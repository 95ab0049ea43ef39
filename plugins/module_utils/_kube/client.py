# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one way to the Kubernetes API: raw requests with plain dicts, retried where that is safe, counted.

The `kubernetes` package finds identity and TLS settings; its generated models are left out, because they are the slow part.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import ssl
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar
from urllib.parse import urlencode

from ansible_collections.servicemesh.platform.plugins.module_utils._kube import config as _connection
from ansible_collections.servicemesh.platform.plugins.module_utils._kube import discovery as _discovery
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import (
    ApiError,
    KubeError,
    UnreachableError,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.http import (
    parsed,
    retry_after,
    status_body,
    typed,
    warnings_in,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.limiter import Gate, Outage

with contextlib.suppress(ImportError):  # _connection.IMPORT_ERROR tells it
    import urllib3

T = TypeVar("T")
R = TypeVar("R")

APPLY = "application/apply-patch+yaml"
_CONNECT_TIMEOUT = 10.0  # seconds
_READ_TIMEOUT = 60.0  # seconds; the API server itself gives up after 60
_BUDGET = 30.0  # seconds that one request may be retried for
_FIRST_BUDGET = 5.0  # seconds, until the server has answered once
_RETRIED = frozenset({429, 500, 502, 503, 504})
_BUDGET_500 = 10.0  # seconds


class Client:
    """Requests to one cluster. Safe to use from several threads."""

    def __init__(
        self, params: Mapping[str, Any], *, concurrency: int = 16, environ: Mapping[str, str] | None = None
    ) -> None:
        if _connection.IMPORT_ERROR is not None:
            raise _connection.missing(_connection.IMPORT_ERROR)
        self.concurrency = concurrency
        self.requests = 0
        self.catalog = _discovery.Catalog()
        self._options, self._origin = _connection.options_of(params, os.environ if environ is None else environ)
        self.warnings: dict[str, None] = {}  # what the server warned of, once each, in order
        self._gate, self._outage = Gate(concurrency), Outage()
        self._lock = threading.Lock()
        self._reached = False
        self._renewed_at = 0.0
        self._connect()

    def _connect(self) -> None:
        self._configuration, self.source = _connection.load(self._options, self._origin)
        self._configuration.connection_pool_maxsize = self.concurrency + 8
        self._pool = _connection.pool_of(self._configuration)
        if not self._configuration.verify_ssl:
            warnings.filterwarnings("ignore", category=urllib3.exceptions.InsecureRequestWarning)

    @property
    def insecure(self) -> bool:
        """Whether the server's certificate goes unchecked."""
        return str(self._configuration.host).startswith("https") and not self._configuration.verify_ssl

    def _headers(self, accept: str, content_type: str | None) -> Any:
        headers = urllib3.HTTPHeaderDict({"Accept": accept, "User-Agent": "servicemesh-platform"})
        if content_type:
            headers["Content-Type"] = content_type
        with self._lock:  # the hook that renews a token is not made for several threads
            for entry in self._configuration.auth_settings().values():
                if entry.get("value"):
                    headers[entry["key"]] = entry["value"]
        if self._configuration.username and "authorization" not in headers:
            headers["authorization"] = self._configuration.get_basic_auth_token()
        for name, value in _connection.impersonation(self._options):
            headers.add(name, value)
        return headers

    def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any] | None,
        body: Any,
        accept: str,
        content_type: str | None,
        read_timeout: float,
        stream: bool,
    ) -> Any:
        with self._lock:
            self.requests += 1
        data = None
        if body is not None:
            data = json.dumps(body).encode()
            content_type = content_type or "application/json"
        return self._pool.request(
            method,
            self._configuration.host + path + ("?" + urlencode(query) if query else ""),
            body=data,
            headers=self._headers(accept, content_type),
            timeout=urllib3.Timeout(connect=_CONNECT_TIMEOUT, read=read_timeout),
            preload_content=not stream,
            retries=False,
            redirect=False,
        )

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        content_type: str | None = None,
        accept: str = "application/json",
        budget: float = _BUDGET,
        webhook_budget: float = 0.0,
        headers_to: dict[str, str] | None = None,
    ) -> tuple[int, dict[str, Any]]:
        """Status and body of one answer. Raises ApiError, or UnreachableError.

        Retried with jitter while `budget` (seconds) lasts: 429, 5xx and broken connections. The budget counts from when
        the server gave its last good answer to any request, so an outage ends a call once and not for each object.
        Everything sent here is safe to send twice: reads, server-side apply, deletion by uid, creation under a name.
        `webhook_budget` (seconds) holds instead while an admission webhook cannot be reached.
        """
        start, attempt, renewed = time.monotonic(), 0, False
        while True:
            attempt += 1
            wait = min(8.0, 0.1 * 2 ** min(attempt, 8)) * random.uniform(0.5, 1.0)  # noqa: S311  # jitter, no secret
            error: KubeError
            limit = budget
            try:
                with self._gate:
                    answer = self._send(method, path, query, body, accept, content_type, _READ_TIMEOUT, False)
            except (urllib3.exceptions.HTTPError, OSError) as cause:
                error = UnreachableError(self._unreachable(_in_words(cause)))
                if isinstance(cause, urllib3.exceptions.SSLError) and not _hung_up(cause):
                    raise error from None
                limit = budget if self._reached else min(budget, _FIRST_BUDGET)
                if isinstance(cause, urllib3.exceptions.NameResolutionError):
                    limit = 0.0 if not self._reached else limit
            else:
                self._note(answer, headers_to)
                if answer.status < 400:
                    return answer.status, parsed(answer.data)
                error = ApiError(method, path, answer.status, status_body(answer.data))
                if answer.status == 401 and not renewed and self._renew_identity(start):
                    renewed = True
                    continue
                if answer.status not in _RETRIED or error.by_sender:
                    raise self._explained(error)
                if answer.status == 500:
                    limit = min(limit, _BUDGET_500)
                if answer.status == 429:
                    self._gate.slow_down()
                if error.by_webhook:
                    limit, wait = max(webhook_budget, 0.0), max(wait, 0.5)
                if asked := retry_after(answer.headers):  # all that were sent away together must not come back so
                    wait = max(wait, asked + random.uniform(0.0, min(1.0, asked / 4)))  # noqa: S311
            if self._outage.lasted(start) + wait > limit:
                raise error
            time.sleep(wait)

    def _note(self, answer: Any, headers_to: dict[str, str] | None) -> None:
        """What every answer tells about the server, whatever was asked."""
        self._reached = True
        if headers_to is not None:
            headers_to.update(answer.headers)
        for text in warnings_in(answer.headers.getlist("Warning")):
            self.warnings[text] = None
        if answer.status not in _RETRIED:
            self._outage.over()
            self._gate.served()

    def stream(self, path: str, query: Mapping[str, Any], read_timeout: float) -> Any:
        """Open answer of a watch; read it with `events_of` and close it."""
        answer = self._send("GET", path, query, None, "application/json", None, read_timeout, True)
        if answer.status >= 400:
            body = status_body(answer.read())
            answer.release_conn()
            raise ApiError("GET", path, answer.status, body)
        return answer

    def get(self, path: str, **options: Any) -> dict[str, Any] | None:
        """One object, or null when it is not there."""
        try:
            return self.request("GET", path, **options)[1]
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def list_all(
        self, path: str, query: Mapping[str, Any] | None = None, headers_to: dict[str, str] | None = None
    ) -> tuple[list[dict[str, Any]], str]:
        """All objects of a collection, in pages of 500, and the resourceVersion to watch from."""
        return self.list_reduced(path, query, lambda obj: obj, headers_to)

    def list_reduced(
        self,
        path: str,
        query: Mapping[str, Any] | None,
        reduce: Callable[[dict[str, Any]], T],
        headers_to: dict[str, str] | None = None,
    ) -> tuple[list[T], str]:
        """As `list_all`, of what `reduce` makes of each object as its page arrives, so that no more is ever held."""
        for _attempt in range(3):
            items: list[T] = []
            token = ""
            try:
                while True:
                    page = {**(query or {}), "limit": 500, **({"continue": token} if token else {})}
                    body = self.request("GET", path, query=page, headers_to=headers_to)[1]
                    items += [reduce(obj) for obj in typed(body)]
                    token = body["metadata"].get("continue") or ""
                    if not token:
                        return items, str(body["metadata"].get("resourceVersion") or "")
            except ApiError as error:
                if error.status != 410:  # the page's token is too old: begin again, never half a list
                    raise
        raise KubeError(
            f"The list {path} changes faster than it can be read. Run again when fewer objects are changed."
        )

    def discover(self, wanted: Iterable[tuple[str, str]] = ()) -> _discovery.Catalog:
        """Asks the server which kinds it knows.

        `wanted`: (apiVersion, kind) that the caller needs. What the documents of all kinds lack is asked of its own version: they
        follow new CRDs with a delay, and are stale where a part of the server could not be asked.
        """
        found = self.each(self._discover_root, ["/api", "/apis"])
        self.catalog = _discovery.Catalog([resource for resources in found for resource in resources])
        lacking = sorted({version for version, kind in wanted if self.catalog.find(version, kind) is None})
        self.catalog.add(self._discover_versions(lacking))
        return self.catalog

    def _discover_root(self, root: str) -> list[_discovery.Resource]:
        body = self.request("GET", root, accept=_discovery.ACCEPT)[1]
        if body.get("kind") == "APIGroupDiscoveryList":
            return _discovery.resources_in(body)
        names = [version for version in body.get("versions") or [] if isinstance(version, str)]
        for group in body.get("groups") or []:
            versions = [group.get("preferredVersion") or {}, *group.get("versions", [])]
            names += [version["groupVersion"] for version in versions if version]
        return self._discover_versions(dict.fromkeys(names))

    def _discover_versions(self, versions: Iterable[str]) -> list[_discovery.Resource]:
        """What each version says of itself, in their order; nothing where there is no such version."""
        bodies = self.each(self.get, map(_discovery.root_of, versions))
        return [resource for body in bodies if body for resource in _discovery.resources_in_legacy(body)]

    def each(self, function: Callable[[T], R], items: Any) -> list[R]:
        """Results of a function for all items, at once, in their order. The first error is raised after all ended."""
        items = list(items)
        if len(items) < 2:
            return [function(item) for item in items]
        with ThreadPoolExecutor(max_workers=min(self.concurrency, len(items))) as pool:
            return list(pool.map(function, items))

    def _renew_identity(self, start: float) -> bool:
        """Reads the kubeconfig once more after a 401, because a token may have run out. False: there is nothing to read."""
        if self._options.get("api_key"):
            return False
        with self._lock:
            if self._renewed_at <= start:  # else another thread did it after this request began
                self._renewed_at = time.monotonic()
                self._connect()
        return True

    def _explained(self, error: ApiError) -> ApiError:
        if error.status == 401:
            error.args = (
                f"The API server does not accept these credentials ({self.source}). Expected a valid token or client "
                "certificate. Log in again, or use another kubeconfig or context "
                "(platform_kubeconfig, platform_context in the inventory).",
            )
        return error

    def _unreachable(self, why: str) -> str:
        return (
            f"The Kubernetes API cannot be reached ({self.source}): {why}. Expected an API server that answers there. "
            "Check that the cluster runs and that this machine may reach it, or set another kubeconfig or context "
            "(platform_kubeconfig, platform_context in the inventory)."
        )


def _hung_up(error: Exception) -> bool:
    """Whether a handshake ended in the middle, as before a load balancer without a server behind it; it says nothing of TLS."""
    return any(isinstance(cause, (ssl.SSLEOFError, ssl.SSLZeroReturnError)) for cause in error.args)


def _in_words(error: Exception) -> str:
    if isinstance(error, urllib3.exceptions.SSLError):
        return f"TLS: {error}"
    if isinstance(error, urllib3.exceptions.NameResolutionError):
        return f"the name {error.host} cannot be resolved" if hasattr(error, "host") else "its name cannot be resolved"
    refused = isinstance(error, urllib3.exceptions.NewConnectionError)  # itself a ConnectTimeoutError
    if not refused and isinstance(error, urllib3.exceptions.TimeoutError):
        return "no answer in time"
    text = re.sub(r"\[Errno \d+\] ", "", str(error).rpartition(": ")[2] or str(error))
    return text.strip("()'\"") or type(error).__name__
