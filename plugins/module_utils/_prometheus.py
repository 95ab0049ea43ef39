# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The only client of Prometheus: queries by URL, or through the API server's proxy to a Service.

Results are returned unchanged: an answer may be empty, and `NaN` stays text. The caller decides what that means. An answer that has not the
shape of Prometheus' API is an error, as is one that is too long or takes too long.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from urllib.parse import urlencode, urlsplit

from ansible_collections.servicemesh.platform.plugins.module_utils import _http
from ansible_collections.servicemesh.platform.plugins.module_utils._http import NoReplyError, TooLongError
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import Client
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import (
    AnswerError,
    ApiError,
    KubeError,
    UnreachableError,
)

_API = "/api/v1/"
_TIMEOUT = 15.0  # seconds for one answer
MOST = 32 * 1024 * 1024  # bytes of one answer
_LATEST = 1e11  # Unix time in seconds: the year 5138
_RESULT_TYPES = ("vector", "scalar", "string", "matrix")  # promql/parser/value.go


class Failure(StrEnum):
    """Why a query has no answer."""

    UNREACHABLE = "unreachable"  # no answer, or not one of Prometheus
    REFUSED = "refused"  # 401, 403
    QUERY = "query"  # Prometheus cannot parse the query
    EXECUTION = "execution"  # the query failed or took too long, or its answer is too long


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

    def send(
        self,
        method: str,
        url: str,
        *,
        seconds: float,
        most: int,
        data: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> _http.Reply:
        """The answer to a request by URL with this login, as `_http.send` has it. Raises NoReplyError."""
        return _http.send(
            method,
            url,
            seconds=seconds,
            most=most,
            data=data,
            headers={**(self.headers or {}), **(headers or {})},
            username=self.username,
            password=self.password,
            validate_certs=self.validate_certs,
            ca_cert=self.ca_cert,
        )


# The address among the options of a module, as the documentation fragment `_prometheus` documents it.
OPTIONS: dict[str, dict[str, Any]] = {
    "url": {"type": "str"},
    "service": {"type": "str"},
    "headers": {"type": "dict", "no_log": True},
    "username": {"type": "str"},
    "password": {"type": "str", "no_log": True},
    "validate_certs": {"type": "bool", "default": True},
    "ca_cert": {"type": "path"},
}
OPTION: dict[str, Any] = {"type": "dict", "options": OPTIONS}
EXAMPLE = "monitoring/prometheus:9090"  # of a service
_CREDENTIALS = ("headers", "username", "password")


def findings_of(options: Mapping[str, Any] | None, *, required: bool = False, example: str = EXAMPLE) -> list[str]:
    """What is wrong with the option `prometheus` of a module. It may give nothing, unless `required`: then there is no Prometheus."""
    given = options or {}
    if not required and not any(given.get(name) for name in ("url", "service", "ca_cert", *_CREDENTIALS)):
        return []
    secret = any(given.get(name) for name in _CREDENTIALS)
    url, service = str(given.get("url") or ""), str(given.get("service") or "")
    return address_findings(url, service, credentials=secret, example=example)


def given_endpoint(options: Mapping[str, Any] | None) -> Endpoint | None:
    """The address that the option `prometheus` of a module gives, None for none. Raises KubeError for one that cannot be."""
    if wrong := findings_of(options):
        raise KubeError("; ".join(f"prometheus: {finding}" for finding in wrong))
    endpoint = endpoint_of(options or {})
    return endpoint if endpoint.url or endpoint.service else None


def endpoint_of(options: Mapping[str, Any]) -> Endpoint:
    """The address that well-formed options of a module give; what is not given there is empty."""
    return Endpoint(
        url=options.get("url") or "",
        service=options.get("service") or "",
        headers=options.get("headers"),
        username=options.get("username") or "",
        password=options.get("password") or "",
        validate_certs=options.get("validate_certs", True) is not False,
        ca_cert=options.get("ca_cert") or "",
    )


def address_findings(url: str, service: str, *, credentials: bool = False, example: str = EXAMPLE) -> list[str]:
    """What is wrong with an address that somebody gives. `credentials`: whether headers, a user or a password are given with it."""
    if bool(url) == bool(service):
        both = "both a url and a service" if url else "neither a url nor a service"
        return [f"{both} is given; expected one of them, such as service: {example}"]
    found = []
    if url:
        parts = urlsplit(url)
        shown = Endpoint(url=url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            found.append(f"url is '{shown}'; expected http:// or https:// and a host")
        if "@" in parts.netloc:
            found.append("url contains a user or password; expected username and password")
    else:
        if proxy_path(service) is None:
            found.append(f"service is '{service}'; expected namespace/name:port, for example {example}")
        if credentials:
            found.append(
                "headers, username and password are for a url; the API server does not pass them on to a service"
            )
    return found


@dataclass(frozen=True, slots=True)
class Answer:
    """Result of a query.

    `series` are Prometheus' own objects, `{"metric": {label: value}, "value": [seconds, "1.5"]}` (native histograms: `histogram`, a result
    of the type `matrix`: `values`). A scalar or a string is one series without labels. `warnings` are the server's own texts, or
    `isPartial` (VictoriaMetrics): parts of the data were not read, or left out. `infos` are hints about the query.
    """

    kind: str
    series: list[dict[str, Any]]
    warnings: tuple[str, ...] = ()
    infos: tuple[str, ...] = ()


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
            path = proxy_path(endpoint.service)
            if path is None:
                raise PrometheusError(
                    Failure.UNREACHABLE,
                    f"Prometheus' service is '{endpoint.service}'. Expected namespace/name:port, for example monitoring/prometheus:9090.",
                )
            self._root = path + _API

    def query(
        self,
        promql: str,
        *,
        at: float | None = None,
        timeout: float = _TIMEOUT,
        budget: float = _TIMEOUT,
        most: int = MOST,
    ) -> Answer:
        """Instant query; `at` is Unix time in seconds, now by default. Raises PrometheusError.

        One try takes up to `timeout` seconds. It is repeated where that can help, for `budget` seconds with everything. `most` is in bytes.
        """
        asked = {"query": promql, "timeout": f"{max(1.0, timeout):.0f}s"}
        if at is not None:
            asked["time"] = f"{at:.3f}"
        return self._answer(self._ask("query", asked, timeout, budget, most))

    def query_range(
        self,
        promql: str,
        *,
        start: float,
        end: float,
        step: float,
        timeout: float = _TIMEOUT,
        budget: float = _TIMEOUT,
    ) -> Answer:
        """Values of a query from `start` to `end` (Unix time), one each `step` seconds: series with `values`. Raises PrometheusError."""
        asked = {
            "query": promql,
            "start": f"{start:.3f}",
            "end": f"{end:.3f}",
            "step": f"{step:g}",
            "timeout": f"{max(1.0, timeout):.0f}s",
        }
        body = self._ask("query_range", asked, timeout, budget, MOST)
        answer = self._answer(body)
        if answer.kind != "matrix":
            raise self._shape(body)
        return answer

    def alerting_rules(self, *, timeout: float = _TIMEOUT, budget: float = _TIMEOUT) -> list[dict[str, Any]]:
        """The groups of alerting rules with their alerts, as web/api/v1/api.go has them (RuleDiscovery). Raises PrometheusError.

        Groups without an alerting rule come without rules. An answer that is not complete is an error.
        """
        body = self._ask("rules", {"type": "alert"}, timeout, budget, MOST)
        data = body["data"]
        groups = data.get("groups") if isinstance(data, dict) else None
        if not isinstance(groups, list) or not all(_is_group(group) for group in groups):
            raise self._shape(body)
        if warnings := _warnings(body):
            raise self._error(Failure.EXECUTION, f"the rules are not complete: {'; '.join(warnings)[:200]}")
        return groups

    def metric_names(self) -> list[str]:
        """Names of all metrics that are stored, of all times. Raises PrometheusError, also when the list is not complete."""
        return self._listed("label/__name__/values", {})

    def label_names(self, selector: str) -> list[str]:
        """Names of the labels of the series that match, of all times. Raises PrometheusError, also when the list is not complete."""
        return self._listed("labels", {"match[]": selector})

    def parsed(self, promql: str) -> Any:
        """The syntax tree of a query, as web/api/v1/translate_ast.go of Prometheus 3 has it. Raises PrometheusError."""
        return self._ask("parse_query", {"query": promql}, _TIMEOUT, 0.0, MOST)["data"]

    def _answer(self, body: dict[str, Any]) -> Answer:
        data = body["data"]
        kind, result = (data.get("resultType"), data.get("result")) if isinstance(data, dict) else (None, None)
        series = _series(kind, result)
        if series is None:
            raise self._shape(body)
        return Answer(str(kind), series, _warnings(body), _texts(body.get("infos")))

    def _listed(self, path: str, query: dict[str, str]) -> list[str]:
        body = self._ask(path, query, _TIMEOUT, _TIMEOUT, MOST)
        names = body["data"]
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise self._shape(body)
        if warnings := _warnings(body):
            raise self._error(Failure.EXECUTION, f"the list is not complete: {'; '.join(warnings)[:200]}")
        return names

    def _ask(self, path: str, query: dict[str, str], timeout: float, budget: float, most: int) -> dict[str, Any]:
        """Body of a successful answer."""
        self.queries += 1
        asked = f"{self._root}{path}" + (f"?{urlencode(query)}" if query else "")
        if self.endpoint.url:
            data = self._by_url(asked, timeout, budget, most)
        else:
            data = self._by_proxy(asked, timeout, budget, most)
        body = self._json(data)
        if not isinstance(body, dict) or body.get("status") != "success" or "data" not in body:
            raise self._shape(body)
        return body

    def _json(self, data: bytes) -> Any:
        try:
            return _http.json_of(data)
        except NoReplyError as error:
            raise self._error(Failure.UNREACHABLE, str(error)) from None

    def _shape(self, body: Any) -> PrometheusError:
        return self._error(
            Failure.UNREACHABLE, f"the answer is not one of Prometheus' query API: {json.dumps(body)[:200]}"
        )

    def _by_proxy(self, path: str, timeout: float, budget: float, most: int) -> bytes:
        if self._client is None:
            raise AssertionError("without a client, the endpoint has a URL")
        try:
            return self._client.read(path, seconds=budget if budget > 0 else timeout, budget=budget, most=most)
        except ApiError as error:
            if error.status == 403 and error.reason == "Forbidden":
                raise self._error(Failure.REFUSED, f"{error}. Expected the right to get services/proxy there") from None
            if error.status == 404 and error.reason == "NotFound":
                raise self._error(Failure.UNREACHABLE, f"{error}") from None
            raise self._error(_kind(error.status), str(error)) from None
        except (UnreachableError, AnswerError) as error:
            raise self._error(Failure.UNREACHABLE, str(error)) from None

    def _by_url(self, url: str, timeout: float, budget: float, most: int) -> bytes:
        end, wait = time.monotonic() + budget, 0.2
        seconds = timeout if budget <= 0 else min(timeout, budget)
        while True:
            try:
                return self._open(url, seconds, most)
            except PrometheusError as error:
                if error.kind != Failure.UNREACHABLE or time.monotonic() + wait > end:
                    raise
            time.sleep(wait)
            wait, seconds = min(2.0, wait * 2), min(timeout, end - time.monotonic())

    def _open(self, url: str, seconds: float, most: int) -> bytes:
        try:
            reply = self.endpoint.send("GET", url, seconds=seconds, most=most)
        except NoReplyError as error:
            kind = Failure.EXECUTION if isinstance(error, TooLongError) else Failure.UNREACHABLE
            raise self._error(kind, str(error)) from None
        if reply.status != 200:
            raise self._error(_kind(reply.status), _words(reply.body, f"HTTP {reply.status}"))
        return reply.body

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


def _series(kind: Any, result: Any) -> list[dict[str, Any]] | None:
    """The series of a result; None when it has another shape than those of web/api/v1/json_codec.go."""
    if kind not in _RESULT_TYPES:
        return None
    series = [{"metric": {}, "value": result}] if kind in ("scalar", "string") else result
    if not isinstance(series, list):
        return None
    for entry in series:
        if not isinstance(entry, dict) or not isinstance(entry.get("metric", {}), dict):
            return None
        value = entry.get("value")
        if value is None and (kind == "matrix" or "histogram" in entry):
            continue
        if not isinstance(value, list) or len(value) != 2 or not isinstance(value[1], str):
            return None
        if not isinstance(value[0], (int, float)) or isinstance(value[0], bool) or not 0 <= value[0] < _LATEST:
            return None
    return series


def _is_group(group: Any) -> bool:
    """Whether something is a group of rules, each of which has a list of alerts."""
    rules = group.get("rules") if isinstance(group, dict) else None
    return isinstance(rules, list) and all(
        isinstance(rule, dict) and isinstance(rule.get("alerts") or [], list) for rule in rules
    )


def _warnings(body: Mapping[str, Any]) -> tuple[str, ...]:
    return (*_texts(body.get("warnings")), *(("isPartial",) if body.get("isPartial") else ()))


def _texts(found: Any) -> tuple[str, ...]:
    """The texts of a list; what is no list of texts is one text, so that it is not lost."""
    if not found:
        return ()
    return tuple(map(str, found)) if isinstance(found, list) else (str(found)[:200],)


def _words(data: bytes, otherwise: str) -> str:
    try:
        body = _http.json_of(data)
    except NoReplyError:
        return f"{otherwise}: {data[:200].decode(errors='replace').strip()}"
    return str(body.get("error") or otherwise)[:1000] if isinstance(body, dict) else otherwise


def proxy_path(service: str) -> str | None:
    """Path of a Service's proxy; None for a text that is not `[https:]namespace/name:port`."""
    scheme, text = ("https:", service[6:]) if service.startswith("https:") else ("", service.removeprefix("http:"))
    namespace, _slash, rest = text.partition("/")
    name, _colon, port = rest.partition(":")
    if not (namespace and name and port) or "/" in port:
        return None
    return f"/api/v1/namespaces/{namespace}/services/{scheme}{name}:{port}/proxy"
