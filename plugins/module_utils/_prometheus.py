# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one way to Prometheus: queries by URL, or through the API server's proxy to a Service. Series come back as they are.

Nothing is judged here: an empty answer is an empty answer, `NaN` stays text. Whoever asks decides what that means.
"""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
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


class PrometheusError(KubeError):
    """A query without an answer.

    `kind` is `unreachable` (nobody answers there, or somebody who is not Prometheus), `refused` (401, 403), `query` (Prometheus
    does not understand it), `execution` (it understood and failed, or it took too long).
    """

    def __init__(self, kind: str, message: str) -> None:
        self.kind = kind
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where Prometheus is. `url` wins; without it `service` is asked through the API server.

    `service` is `namespace/name:port`, the port a number or a name, with `https:` in front for a server with TLS
    (`https:monitoring/prometheus:9090`). `headers` go with every query by URL (a bearer token, a tenant).
    """

    url: str = ""
    service: str = ""
    headers: Mapping[str, str] | None = field(default=None, repr=False)
    username: str = ""
    password: str = field(default="", repr=False)
    validate_certs: bool = True
    ca_cert: str = ""

    def __str__(self) -> str:
        if self.url:  # never with a password that the URL may hold
            parts = urlsplit(self.url)
            return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
        return f"service {self.service} through the API server"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a query found.

    `series` are Prometheus' own objects: `{"metric": {label: value}, "value": [seconds, "1.5"]}` for an instant query,
    `{"metric": …, "values": [[seconds, "1.5"], …]}` for a range (native histograms: `histogram`, `histograms`).
    A scalar becomes one series without labels. `warnings` are the server's, in its words.
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
                    "unreachable", f"Prometheus' URL is '{endpoint}'. Expected http:// or https:// and a host."
                )
            self._root = endpoint.url.rstrip("/") + _API
        else:
            if client is None:
                raise ValueError("a client is needed to ask Prometheus through the API server")
            self._root = _proxy_path(endpoint.service) + _API

    def query(
        self, promql: str, *, at: float | None = None, timeout: float = _TIMEOUT, budget: float = _TIMEOUT
    ) -> Answer:
        """Instant query; `at` is Unix time in seconds, now by default. Tried again for `budget` seconds when that may help."""
        return self._ask("query", {"query": promql, **({} if at is None else {"time": f"{at:.3f}"})}, timeout, budget)

    def query_range(
        self, promql: str, start: float, end: float, step: float, *, timeout: float = _TIMEOUT, budget: float = _TIMEOUT
    ) -> Answer:
        """Range query from `start` to `end` (Unix time in seconds), a sample every `step` seconds."""
        query = {"query": promql, "start": f"{start:.3f}", "end": f"{end:.3f}", "step": f"{step:.3f}"}
        return self._ask("query_range", query, timeout, budget)

    def _ask(self, path: str, query: dict[str, str], timeout: float, budget: float) -> Answer:
        self.queries += 1
        query["timeout"] = f"{timeout:.0f}s"
        asked = f"{self._root}{path}?{urlencode(query)}"
        body = self._by_url(asked, timeout, budget) if self.endpoint.url else self._by_proxy(asked, budget)
        data = body.get("data")
        if body.get("status") != "success" or not isinstance(data, dict) or "result" not in data:
            raise self._error(
                "unreachable", f"the answer is not one of Prometheus' query API: {json.dumps(body)[:200]}"
            )
        kind, result = str(data.get("resultType") or ""), data["result"]
        series = [{"metric": {}, "value": result}] if kind in ("scalar", "string") else list(result)
        return Answer(kind, series, (*(body.get("warnings") or []), *(body.get("infos") or [])))

    def _by_proxy(self, path: str, budget: float) -> dict[str, Any]:
        if self._client is None:
            raise AssertionError("without a client there is an address")
        try:
            return self._client.request("GET", path, budget=budget)[1]
        except ApiError as error:
            if error.status == 403 and error.reason == "Forbidden":
                raise self._error("refused", f"{error}. Expected the right to get services/proxy there") from None
            if error.status == 404 and error.reason == "NotFound":
                raise self._error("unreachable", f"{error}") from None
            raise self._error(_kind(error.status), str(error)) from None
        except UnreachableError as error:
            raise self._error("unreachable", str(error)) from None

    def _by_url(self, url: str, timeout: float, budget: float) -> dict[str, Any]:
        end, wait = time.monotonic() + budget, 0.2
        while True:
            try:
                return self._open(url, timeout)
            except PrometheusError as error:
                if error.kind != "unreachable" or time.monotonic() + wait > end:
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
            raise self._error("unreachable", str(getattr(error, "reason", error))) from None
        try:
            body = json.loads(data)
        except ValueError:
            raise self._error(
                "unreachable", f"the answer is not JSON: {data[:120].decode(errors='replace')!r}"
            ) from None
        return body if isinstance(body, dict) else {}

    def _error(self, kind: str, why: str) -> PrometheusError:
        return PrometheusError(kind, f"Prometheus ({self.endpoint}): {why}")


def _kind(status: int) -> str:
    """400 and 422 are Prometheus' own words for a bad query and a failed one (web/api/v1/api.go, respondError)."""
    if status in (401, 403):
        return "refused"
    if status == 400:
        return "query"
    if status == 422:
        return "execution"
    return "unreachable"


def _words(data: bytes, otherwise: str) -> str:
    try:
        body = json.loads(data)
    except ValueError:
        return f"{otherwise}: {data[:200].decode(errors='replace').strip()}"
    return str(body.get("error") or otherwise) if isinstance(body, dict) else otherwise


def _proxy_path(service: str) -> str:
    """Path of a Service's proxy. Raises PrometheusError for what is not `[https:]namespace/name:port`."""
    scheme, text = ("https:", service[6:]) if service.startswith("https:") else ("", service.removeprefix("http:"))
    namespace, _slash, rest = text.partition("/")
    name, _colon, port = rest.partition(":")
    if not (namespace and name and port) or "/" in port:
        raise PrometheusError(
            "unreachable",
            f"Prometheus' service is '{service}'. Expected namespace/name:port, as monitoring/prometheus:9090.",
        )
    return f"/api/v1/namespaces/{namespace}/services/{scheme}{name}:{port}/proxy"
