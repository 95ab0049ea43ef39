# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A client of the Kubernetes API for code that runs in a pod, with the standard library alone."""

from __future__ import annotations

import http.client
import json
import random
import ssl
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlencode

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
)
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.retry import BUDGET, Budget, NoAnswer, pause
from ansible_collections.servicemesh.platform.plugins.module_utils._tls import verify_as_go

T = TypeVar("T")
R = TypeVar("R")

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_TIMEOUT = 10.0  # seconds for one answer
_PAGE = 500


class PodClient:
    """An `api.Api` with the identity of the pod's ServiceAccount.

    Token and certificate are read for each request, because the kubelet renews them.
    """

    def __init__(self, environ: Mapping[str, str], account: Path = ACCOUNT) -> None:
        self._host, self._port = environ["KUBERNETES_SERVICE_HOST"], int(environ["KUBERNETES_SERVICE_PORT"])
        self._account = account

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        content_type: str | None = None,
        budget: float = BUDGET,
        headers_to: dict[str, str] | None = None,
    ) -> tuple[int, dict[str, Any]]:
        """See `api.Api`. What is retried is decided in `retry`."""
        begin, attempt, budgets = time.monotonic(), 0, Budget(budget)
        target = path + ("?" + urlencode(query) if query else "")
        while True:
            attempt += 1
            error: KubeError
            asked = 0.0
            try:
                answer, data = self._send(method, target, body, content_type)
            except (OSError, http.client.HTTPException) as cause:
                error = UnreachableError(f"the API server gave no answer: {type(cause).__name__}: {cause}")
                limit = budgets.without_answer(NoAnswer.CONNECTION, reached=True)
            else:
                if headers_to is not None:
                    headers_to.update(answer.headers)
                if answer.status < 400:
                    return answer.status, parsed(data)
                error = ApiError(method, path, answer.status, status_body(data))
                limit = budgets.after_answer(error)
                asked = retry_after({"Retry-After": answer.headers.get("Retry-After", "")})
            wait = pause(attempt, random.random(), asked=asked)  # noqa: S311  # spreads load, no secret
            if limit is None or time.monotonic() - begin + wait > limit:
                raise error
            time.sleep(wait)

    def _send(
        self, method: str, target: str, body: Any, content_type: str | None
    ) -> tuple[http.client.HTTPResponse, bytes]:
        headers = {
            "Accept": "application/json",
            "Authorization": f"Bearer {(self._account / 'token').read_text(encoding='ascii').strip()}",
            "User-Agent": "servicemesh-platform-watchdog",
        }
        data = None
        if body is not None:
            data, headers["Content-Type"] = json.dumps(body).encode(), content_type or "application/json"
        context = verify_as_go(ssl.create_default_context(cafile=str(self._account / "ca.crt")))
        connection = http.client.HTTPSConnection(self._host, self._port, timeout=_TIMEOUT, context=context)
        try:
            connection.request(method, target, body=data, headers=headers)
            answer = connection.getresponse()
            return answer, answer.read()
        finally:
            connection.close()

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
        """All objects of a collection. A list that changed between its pages (410) is an error; the caller looks again soon anyway."""
        items: list[dict[str, Any]] = []
        token = ""
        while True:
            page = {**(query or {}), "limit": _PAGE, **({"continue": token} if token else {})}
            body = self.request("GET", path, query=page, headers_to=headers_to)[1]
            items += typed(body)
            token = body["metadata"].get("continue") or ""
            if not token:
                return items, str(body["metadata"].get("resourceVersion") or "")

    def each(self, function: Callable[[T], R], items: Any) -> list[R]:
        """Results of a function for all items, one after the other."""
        return [function(item) for item in items]
