# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The only client of the Kubernetes API: requests with plain dicts, retried where that is safe, and counted.

The `kubernetes` package finds the identity and the TLS settings. Its generated models are not used, because they are slow.
Which requests are retried is decided in `retry`, how many run at once in `limiter`.
"""

from __future__ import annotations

import contextlib
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

from ansible_collections.servicemesh.platform.plugins.module_utils import _parent
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.config import (
    IMPORT_ERROR,
    identity_of,
    missing,
    options_of,
    pool_of,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.discovery import (
    ACCEPT,
    Catalog,
    Resource,
    resources_in,
    resources_in_legacy,
    root_of,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import (
    ApiError,
    KubeError,
    StoppedError,
    UnreachableError,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.exec_plugin import Credential
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.http import (
    Limit,
    body_of,
    limited_body,
    parsed,
    retry_after,
    status_body,
    typed,
    warnings_in,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.limiter import Limiter, Outage
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.retry import (
    BUDGET,
    RETRIED,
    Budget,
    NoAnswer,
    pause,
)

with contextlib.suppress(ImportError):  # config.IMPORT_ERROR holds the error; Client reports it
    import urllib3

T = TypeVar("T")
R = TypeVar("R")

APPLY = "application/apply-patch+yaml"
_CONNECT_TIMEOUT = 10.0  # seconds
_LOOK = 1.0  # seconds between two looks whether the work has to end
_READ_TIMEOUT = 60.0  # seconds; the API server's own limit for a request
_TLS_SETTINGS = frozenset({"ssl_context", "server_hostname"})


class Client:
    """Requests to one cluster. Safe to use from several threads."""

    def __init__(
        self, params: Mapping[str, Any], *, concurrency: int = 16, environ: Mapping[str, str] | None = None
    ) -> None:
        if IMPORT_ERROR is not None:
            raise missing(IMPORT_ERROR)
        self.concurrency = concurrency
        self.requests = 0
        self.catalog = Catalog()
        self._options, self._origin = options_of(params, os.environ if environ is None else environ)
        # Called with the path before each try of a request that writes; what it raises ends the request.
        self.before_write: Callable[[str], None] | None = None
        self.warnings: dict[str, None] = {}  # the server's warnings, each once, in order
        self._limiter, self._outage = Limiter(concurrency), Outage()
        self._lock = threading.Lock()
        self._reached = False
        self._renewed_at = 0.0
        self._connect()

    def _connect(self, refused: Credential | None = None) -> None:
        """Finds the identity and makes the connection pool. `refused`: a login that the server did not accept."""
        identity = identity_of(self._options, self._origin, refused)
        self._configuration, self.source, self._login = identity.configuration, identity.source, identity.login
        self._acts_as = identity.acts_as
        self._configuration.connection_pool_maxsize = self.concurrency + 8
        self._pool = pool_of(self._configuration)
        if not self._configuration.verify_ssl:
            warnings.filterwarnings("ignore", category=urllib3.exceptions.InsecureRequestWarning)

    @property
    def insecure(self) -> bool:
        """Whether the server's certificate is not verified."""
        return str(self._configuration.host).startswith("https") and not self._configuration.verify_ssl

    @property
    def server(self) -> str:
        """URL of the API server, without a slash at its end."""
        return str(self._configuration.host)

    @property
    def proxy(self) -> tuple[str, int] | None:
        """Host and port of the HTTP proxy to the server; None without one."""
        found = self._pool.proxy
        return (found.host, found.port) if found else None

    @property
    def tls(self) -> dict[str, Any]:
        """TLS settings of the connections, as urllib3 names them; for a connection that urllib3 does not make (WebSocket)."""
        return {name: value for name, value in self._pool.connection_pool_kw.items() if name in _TLS_SETTINGS}

    def count_request(self) -> None:
        """Counts a request in `requests`; `request` and `stream` do it themselves."""
        with self._lock:
            self.requests += 1

    def headers(self, accept: str, content_type: str | None = None) -> Any:
        """Headers of a request, with the credentials."""
        headers = urllib3.HTTPHeaderDict({"Accept": accept, "User-Agent": "servicemesh-platform"})
        if content_type:
            headers["Content-Type"] = content_type
        self._keep_logged_in()
        with self._lock:  # the hook that renews a token is not thread-safe
            for entry in self._configuration.auth_settings().values():
                if entry.get("value"):
                    headers[entry["key"]] = entry["value"]
        if self._configuration.username and "authorization" not in headers:
            headers["authorization"] = self._configuration.get_basic_auth_token()
        for name, value in self._acts_as:
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
        *,
        read_timeout: float,
        stream: bool,
    ) -> Any:
        self.count_request()
        data = None
        if body is not None:
            data = body if isinstance(body, bytes) else body_of(body)
            content_type = content_type or "application/json"
        headers = self.headers(accept, content_type)  # may make a new pool
        return self._pool.request(
            method,
            self._configuration.host + path + ("?" + urlencode(query) if query else ""),
            body=data,
            headers=headers,
            timeout=urllib3.Timeout(connect=min(_CONNECT_TIMEOUT, read_timeout), read=read_timeout),
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
        budget: float = BUDGET,
        webhook_budget: float = 0.0,
        headers_to: dict[str, str] | None = None,
    ) -> tuple[int, dict[str, Any]]:
        """Status and body of one answer. Raises ApiError or UnreachableError.

        Retried with jitter for `budget` seconds: 429, 5xx and broken connections. The seconds count from the server's last
        good answer to any request, so that an outage ends a call once and not once for each object.
        Every request made here is safe to send twice: reads, server-side apply, deletion by uid, creation under a name.
        `webhook_budget` (seconds) holds instead while an admission webhook cannot be called.
        """

        def sent() -> tuple[Any, bytes]:
            answer = self._send(
                method, path, query, body, accept, content_type, read_timeout=_READ_TIMEOUT, stream=False
            )
            return answer, answer.data

        answer, data = self._retried(sent, method, path, Budget(budget, webhook_budget), headers_to)
        return answer.status, parsed(data)

    def read(self, path: str, *, seconds: float, most: int, budget: float = 0.0) -> bytes:
        """Body of a GET of something behind the API server's proxy, which may answer anything. Raises KubeErrors.

        The answer is complete within `seconds`, and has at most `most` bytes; else AnswerError is raised. Within these seconds, it is
        retried for `budget` seconds.
        """
        return self._through("GET", path, None, None, Limit(seconds, most), budget)

    def send(
        self, method: str, path: str, data: bytes | None, content_type: str, *, seconds: float, most: int
    ) -> bytes:
        """Body of the answer to one request to something behind the API server's proxy. It is never sent twice. Raises as `read`."""
        return self._through(method, path, data, content_type, Limit(seconds, most), 0.0)

    def _through(
        self, method: str, path: str, data: bytes | None, content_type: str | None, limit: Limit, budget: float
    ) -> bytes:

        def sent() -> tuple[Any, bytes]:
            answer = self._send(
                method, path, None, data, "application/json", content_type, read_timeout=limit.left(), stream=True
            )
            return answer, limited_body(answer, limit)

        try:
            return self._retried(sent, method, path, Budget(min(budget, limit.seconds)), None)[1]
        except UnreachableError:
            limit.left()  # it is the time that is over
            raise

    def _retried(
        self,
        send: Callable[[], tuple[Any, bytes]],
        method: str,
        path: str,
        budgets: Budget,
        headers_to: dict[str, str] | None,
    ) -> tuple[Any, bytes]:
        """(answer, its body) of a success."""
        start, attempt, renewed = time.monotonic(), 0, False
        while True:
            attempt += 1
            error: KubeError
            asked, webhook = 0.0, False
            go_on()
            if method != "GET" and self.before_write is not None:
                self.before_write(path)  # not under the limiter: it may make requests itself
            try:
                with self._limiter:
                    answer, data = send()
            except (urllib3.exceptions.HTTPError, OSError) as cause:
                error = UnreachableError(self._unreachable(_in_words(cause)))
                limit = budgets.without_answer(_why(cause), reached=self._reached)
            else:
                self._note(answer, headers_to)
                if answer.status < 400:
                    return answer, data
                error = ApiError(method, path, answer.status, status_body(data))
                if answer.status == 401:
                    if not renewed and self._renew_identity(start):
                        renewed = True
                        continue
                    self._explain_refusal(error)
                limit = budgets.after_answer(error)
                asked, webhook = retry_after(answer.headers), error.by_webhook
            if limit is None:
                raise error
            wait = pause(attempt, random.random(), asked=asked, webhook=webhook)  # noqa: S311  # spreads load, no secret
            if self._outage.lasted(start) + wait > limit:
                raise error
            _pause(wait)

    def _note(self, answer: Any, headers_to: dict[str, str] | None) -> None:
        """Takes note of what any answer says about the server, whatever was requested."""
        self._reached = True
        if headers_to is not None:
            headers_to.update(answer.headers)
        for text in warnings_in(answer.headers.getlist("Warning")):
            self.warnings[text] = None
        if answer.status not in RETRIED:
            self._outage.over()
            self._limiter.served()
        elif answer.status == 429:
            self._limiter.slow_down()

    def stream(self, path: str, query: Mapping[str, Any], read_timeout: float) -> Any:
        """Open answer of a watch. The caller reads it with `events_of` and closes it."""
        go_on()
        start, renewed = time.monotonic(), False
        while True:
            answer = self._send(
                "GET", path, query, None, "application/json", None, read_timeout=read_timeout, stream=True
            )
            if answer.status != 401 or renewed or not self._renew_identity(start):
                break
            answer.drain_conn()
            answer.release_conn()
            renewed = True
        if answer.status >= 400:
            body = status_body(answer.read())
            answer.release_conn()
            raise ApiError("GET", path, answer.status, body)
        return answer

    def get(self, path: str, **options: Any) -> dict[str, Any] | None:
        """One object, or None when it does not exist."""
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
        """As `list_all`, but keeps only what `reduce` returns for each object; a page is reduced as soon as it arrives."""
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
                if error.status != 410:  # 410: the page's token has expired; start again, so that the list is complete
                    raise
        raise KubeError(
            f"The list {path} changes faster than its pages can be read. Run again when fewer objects change."
        )

    def discover(self, wanted: Iterable[tuple[str, str]] = ()) -> Catalog:
        """Reads which kinds the server knows.

        `wanted`: (apiVersion, kind) that the caller needs. For a kind that the aggregated documents lack, the document of its
        version is read: the aggregated ones follow new CRDs with a delay, and are stale where a part of the server did not answer.
        """
        found = self.each(self._discover_root, ["/api", "/apis"])
        self.catalog = Catalog([resource for resources in found for resource in resources])
        lacking = sorted({version for version, kind in wanted if self.catalog.find(version, kind) is None})
        self.catalog.add(self._discover_versions(lacking))
        return self.catalog

    def _discover_root(self, root: str) -> list[Resource]:
        body = self.request("GET", root, accept=ACCEPT)[1]
        if body.get("kind") == "APIGroupDiscoveryList":
            return resources_in(body)
        names = [version for version in body.get("versions") or [] if isinstance(version, str)]
        for group in body.get("groups") or []:
            versions = [group.get("preferredVersion") or {}, *group.get("versions", [])]
            names += [version["groupVersion"] for version in versions if version]
        return self._discover_versions(dict.fromkeys(names))

    def _discover_versions(self, versions: Iterable[str]) -> list[Resource]:
        """Resources of each version, in the order of `versions`; none for a version that does not exist."""
        bodies = self.each(self.get, map(root_of, versions))
        return [resource for body in bodies if body for resource in resources_in_legacy(body)]

    def each(self, function: Callable[[T], R], items: Any) -> list[R]:
        """Results of a function for all items, in their order; the calls run at once. The first error is raised after all calls ended."""
        items = list(items)
        if len(items) < 2:
            return [function(item) for item in items]
        with ThreadPoolExecutor(max_workers=min(self.concurrency, len(items))) as pool:
            return list(pool.map(function, items))

    def _renew_identity(self, start: float) -> bool:
        """Reads the kubeconfig again after a 401, because a token may have expired. False: the token is an option, nothing to read."""
        if self._options.get("api_key"):
            return False
        with self._lock:
            if self._renewed_at <= start:  # else another thread did it after this request started
                self._renewed_at = time.monotonic()
                self._connect(self._login)
        return True

    def _keep_logged_in(self) -> None:
        """Logs in again before a request whose credential of an exec plugin has expired."""
        if self._login is not None and self._login.expired():
            with self._lock:
                if self._login is not None and self._login.expired():
                    self._connect()

    def _explain_refusal(self, error: ApiError) -> None:
        """Says in the message of a 401 which credentials were refused, and what to do."""
        error.args = (
            f"The API server does not accept these credentials ({self.source}). Expected a valid token or client "
            "certificate. Log in again, or use another kubeconfig or context "
            "(platform_kubeconfig, platform_context in the inventory).",
        )

    def _unreachable(self, why: str) -> str:
        return (
            f"The Kubernetes API cannot be reached ({self.source}): {why}. Expected an API server at this address. "
            "Check that the cluster runs and that this machine can reach it, or set another kubeconfig or context "
            "(platform_kubeconfig, platform_context in the inventory)."
        )


def _pause(seconds: float) -> None:
    """Sleeps; raises StoppedError when the work has to end meanwhile."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        time.sleep(min(left, _LOOK))
        go_on()


def go_on() -> None:
    """Raises StoppedError when the work of this process has to end."""
    if why := _parent.why_stop():
        raise StoppedError(why)


def _why(error: Exception) -> NoAnswer:
    if isinstance(error, urllib3.exceptions.SSLError):
        # A handshake that the other side ended in the middle says nothing about TLS: a load balancer without a server behind it does so.
        ended = any(isinstance(cause, (ssl.SSLEOFError, ssl.SSLZeroReturnError)) for cause in error.args)
        return NoAnswer.CONNECTION if ended else NoAnswer.TLS
    return NoAnswer.NAME if isinstance(error, urllib3.exceptions.NameResolutionError) else NoAnswer.CONNECTION


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
