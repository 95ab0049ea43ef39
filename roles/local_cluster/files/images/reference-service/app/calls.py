"""Calls to other services through the mesh: plain HTTP here, mutual TLS between the sidecars."""

from __future__ import annotations

import contextvars
import logging
import typing as t

import httpx

from app import tracing
from app.errors import CalleeFailedError
from app.telemetry import Metrics

log = logging.getLogger("app.calls")

# The trace headers of the current request.
trace: contextvars.ContextVar[dict[str, str] | None] = contextvars.ContextVar("trace", default=None)


class Calls:
    """One client for all callees. Every call ends within the timeout; every failure is a CalleeFailedError with the callee's name."""

    def __init__(
        self,
        urls: t.Mapping[str, str],
        timeout_seconds: float,
        metrics: Metrics,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._urls, self._metrics = urls, metrics
        # Calls inside the mesh must not use the proxies of the environment.
        self._client = httpx.AsyncClient(timeout=timeout_seconds, trust_env=False, transport=transport)

    async def get(self, callee: str, path: str, **query: t.Any) -> t.Any:
        """The JSON answer of a GET; None if the callee answers 404."""
        return await self._call(callee, "GET", path, params=query)

    async def post(self, callee: str, path: str, body: t.Mapping[str, t.Any]) -> t.Any:
        """The JSON answer of a POST."""
        answer = await self._call(callee, "POST", path, json=body)
        if answer is None:
            raise CalleeFailedError(callee, f"answered 404 to POST {path}")
        return answer

    async def close(self) -> None:
        await self._client.aclose()

    async def _call(self, callee: str, method: str, path: str, **options: t.Any) -> t.Any:
        attributes: dict[str, tracing.Value] = {
            "http.request.method": method,
            "server.address": callee,
            "url.path": path,
        }
        with tracing.span(f"{method} {callee}", attributes) as span:
            return await self._answer(callee, method, path, options, span)

    async def _answer(
        self, callee: str, method: str, path: str, options: t.Mapping[str, t.Any], span: tracing.Span | None
    ) -> t.Any:
        headers = trace.get() or {}
        if span:
            headers = {**headers, "traceparent": span.context.header()}
        try:
            response = await self._client.request(method, self._urls[callee] + path, headers=headers, **options)
        except httpx.HTTPError as error:
            self._metrics.called(callee, "none")
            reason = (
                "did not answer in time"
                if isinstance(error, httpx.TimeoutException)
                else f"could not be reached ({type(error).__name__})"
            )
            raise CalleeFailedError(callee, reason) from error
        self._metrics.called(callee, str(response.status_code))
        if span:
            span.attributes["http.response.status_code"] = response.status_code
        # Only a 404 with JSON is the callee's answer: the 404 of the mesh for a missing route has no body.
        if response.status_code == 404 and response.headers.get("content-type", "").startswith("application/json"):
            return None
        if response.status_code >= 300:
            raise CalleeFailedError(callee, f"answered {response.status_code} to {method} {path}")
        try:
            return response.json()
        except ValueError as error:
            raise CalleeFailedError(callee, f"answered {method} {path} with something that is not JSON") from error
