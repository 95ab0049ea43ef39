# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The only client of Prometheus: queries by URL, or through the API server's proxy to a Service.

Results are returned unchanged: an answer may be empty, and `NaN` stays text. The caller decides what that means.
"""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode, urlsplit

from ansible.module_utils.urls import ConnectionError as UrlConnectionError
from ansible.module_utils.urls import SSLValidationError, open_url
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import Client
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import (
    ApiError,
    KubeError,
    UnreachableError,
)

_API = "/api/v1/"
_TIMEOUT = 15.0  # seconds for one answer


class Failure(StrEnum):
    """Why a query has no answer."""

    UNREACHABLE = "unreachable"  # no answer, or not one of Prometheus
    REFUSED = "refused"  # 401, 403
    QUERY = "query"  # Prometheus cannot parse the query
    EXECUTION = "execution"  # the query failed or took too long


class PrometheusError(KubeError):
    """A query without an answer."""

    def __init__(self, kind: Failure, message: str) -> None:
        self.kind = kind
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where Prometheus is: `url`, or without it `service` through the API server.

    `service` is `namespace/name:port`, the port a number or a name, with the prefix `https:` for a server with TLS
    (`https:monitoring/prometheus:9090`). `headers` are sent with every query by URL (a bearer token, a tenant).
    """

    url: str = ""
    service: str = ""
    headers: Mapping[str, str] | None = field(default=None, repr=False)
    username: str = ""
    password: str = field(default="", repr=False)
    validate_certs: bool = True
    ca_cert: str = ""

    def __str__(self) -> str:
        if self.url:  # without a password that the URL may contain
            parts = urlsplit(self.url)
            return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
        return f"service {self.service} through the API server"


@dataclass(frozen=True, slots=True)
class Answer:
    """Result of a query.

    `series` are Prometheus' own objects, `{"metric": {label: value}, "value": [seconds, "1.5"]}` (native histograms: `histogram`).
    A scalar becomes one series without labels. `warnings` are the server's own texts.
    """

    kind: str
    series: list[dict[str, Any]]
    warnings: tuple[str, ...] = ()


class Prometheus:
    """Queries to one server. Safe to use from several threads."""

    def __init__(self, endpoint: Endpoint, client: Client | None = None) -> None:
        self.endpoint = endpoint
        self._client = client
        self.queries = 0
        if endpoint.url:
            if urlsplit(endpoint.url).scheme not in ("http", "https"):
                raise PrometheusError(
                    Failure.UNREACHABLE, f"Prometheus' URL is '{endpoint}'. Expected http:// or https:// and a host."
                )
            self._root = endpoint.url.rstrip("/") + _API
        else:
            if client is None:
                raise ValueError("a client is required to query Prometheus through the API server")
            self._root = _proxy_path(endpoint.service) + _API

    def query(
        self, promql: str, *, at: float | None = None, timeout: float = _TIMEOUT, budget: float = _TIMEOUT
    ) -> Answer:
        """Instant query; `at` is Unix time in seconds, now by default. Retried for `budget` seconds where that can help."""
        return self._ask("query", {"query": promql, **({} if at is None else {"time": f"{at:.3f}"})}, timeout, budget)

    def _ask(self, path: str, query: dict[str, str], timeout: float, budget: float) -> Answer:
        self.queries += 1
        query["timeout"] = f"{timeout:.0f}s"
        asked = f"{self._root}{path}?{urlencode(query)}"
        body = self._by_url(asked, timeout, budget) if self.endpoint.url else self._by_proxy(asked, budget)
        data = body.get("data")
        if body.get("status") != "success" or not isinstance(data, dict) or "result" not in data:
            raise self._error(
                Failure.UNREACHABLE, f"the answer is not one of Prometheus' query API: {json.dumps(body)[:200]}"
            )
        kind, result = str(data.get("resultType") or ""), data["result"]
        series = [{"metric": {}, "value": result}] if kind in ("scalar", "string") else list(result)
        return Answer(kind, series, (*(body.get("warnings") or []), *(body.get("infos") or [])))

    def _by_proxy(self, path: str, budget: float) -> dict[str, Any]:
        if self._client is None:
            raise AssertionError("without a client, the endpoint has a URL")
        try:
            return self._client.request("GET", path, budget=budget)[1]
        except ApiError as error:
            if error.status == 403 and error.reason == "Forbidden":
                raise self._error(Failure.REFUSED, f"{error}. Expected the right to get services/proxy there") from None
            if error.status == 404 and error.reason == "NotFound":
                raise self._error(Failure.UNREACHABLE, f"{error}") from None
            raise self._error(_kind(error.status), str(error)) from None
        except UnreachableError as error:
            raise self._error(Failure.UNREACHABLE, str(error)) from None

    def _by_url(self, url: str, timeout: float, budget: float) -> dict[str, Any]:
        end, wait = time.monotonic() + budget, 0.2
        while True:
            try:
                return self._open(url, timeout)
            except PrometheusError as error:
                if error.kind != Failure.UNREACHABLE or time.monotonic() + wait > end:
                    raise
            time.sleep(wait)
            wait = min(2.0, wait * 2)

    def _open(self, url: str, timeout: float) -> dict[str, Any]:
        end = self.endpoint
        try:
            answer = open_url(
                url,
                headers=dict(end.headers or {}),
                timeout=timeout,
                url_username=end.username or None,
                url_password=end.password or None,
                force_basic_auth=bool(end.username),
                validate_certs=end.validate_certs,
                ca_path=end.ca_cert or None,
                follow_redirects="safe",
                http_agent="servicemesh-platform",
            )
            data = answer.read()
        except HTTPError as error:
            raise self._error(_kind(error.code), _words(error.read(), f"HTTP {error.code}")) from None
        except (OSError, ssl.SSLError, UrlConnectionError, SSLValidationError) as error:  # URLError is an OSError
            raise self._error(Failure.UNREACHABLE, str(getattr(error, "reason", error))) from None
        try:
            body = json.loads(data)
        except ValueError:
            raise self._error(
                Failure.UNREACHABLE, f"the answer is not JSON: {data[:120].decode(errors='replace')!r}"
            ) from None
        return body if isinstance(body, dict) else {}

    def _error(self, kind: Failure, why: str) -> PrometheusError:
        return PrometheusError(kind, f"Prometheus ({self.endpoint}): {why}")


def _kind(status: int) -> Failure:
    """Prometheus answers 400 to a query that it cannot parse, and 422 to one that fails (web/api/v1/api.go, respondError)."""
    if status in (401, 403):
        return Failure.REFUSED
    if status == 400:
        return Failure.QUERY
    if status == 422:
        return Failure.EXECUTION
    return Failure.UNREACHABLE


def _words(data: bytes, otherwise: str) -> str:
    try:
        body = json.loads(data)
    except ValueError:
        return f"{otherwise}: {data[:200].decode(errors='replace').strip()}"
    return str(body.get("error") or otherwise) if isinstance(body, dict) else otherwise


def _proxy_path(service: str) -> str:
    """Path of a Service's proxy. Raises PrometheusError for a text that is not `[https:]namespace/name:port`."""
    scheme, text = ("https:", service[6:]) if service.startswith("https:") else ("", service.removeprefix("http:"))
    namespace, _slash, rest = text.partition("/")
    name, _colon, port = rest.partition(":")
    if not (namespace and name and port) or "/" in port:
        raise PrometheusError(
            Failure.UNREACHABLE,
            f"Prometheus' service is '{service}'. Expected namespace/name:port, for example monitoring/prometheus:9090.",
        )
    return f"/api/v1/namespaces/{namespace}/services/{scheme}{name}:{port}/proxy"
