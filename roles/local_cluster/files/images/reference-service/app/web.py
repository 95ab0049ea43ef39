"""The ASGI application: routes, probes, metrics, and the middleware that every request passes."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import re
import time
import typing as t
import uuid

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.cache import Cache
from app.calls import trace
from app.errors import ApiError
from app.services import Service
from app.settings import Settings
from app.table import Store
from app.telemetry import TRACE_HEADERS, Metrics
from app.tracing import Span, Tracer

log = logging.getLogger("app.web")

NOT_MATCHED = "unmatched"
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class State:
    """State that changes while the process runs."""

    def __init__(self) -> None:
        self.draining = False


def create_app(
    settings: Settings, service: Service, store: Store, cache: Cache, metrics: Metrics, state: State, tracer: Tracer
) -> ASGIApp:
    """The complete application of its parts."""

    async def health(_request: Request) -> Response:
        return JSONResponse({"status": "ok", "service": settings.service, "version": settings.version})

    async def ready(_request: Request) -> Response:
        failure = await store.failure()
        body = {"status": "ready", "service": settings.service, "version": settings.version}
        checks = {"database": failure or "ok", "cache": await cache.state()}
        if state.draining:
            failure = "the process is ending"
        if failure:
            body |= {"status": "not ready", "reason": failure if state.draining else f"database: {failure}"}
        # A cache that is down only slows reads, so the service stays ready.
        return JSONResponse({**body, "checks": checks}, 503 if failure else 200)

    async def show_metrics(_request: Request) -> Response:
        return Response(metrics.render(), media_type="text/plain; version=0.0.4; charset=utf-8")

    @contextlib.asynccontextmanager
    async def lifespan(_app: t.Any) -> t.AsyncIterator[None]:
        await store.open()
        await tracer.open()
        yield
        await service.close()
        await store.close()
        await tracer.close()

    routes = [
        ("/health", health, ["GET"]),
        ("/ready", ready, ["GET"]),
        ("/metrics", show_metrics, ["GET"]),
        *service.routes(),
    ]
    app = Starlette(
        routes=[_remembered(path, handler, methods) for path, handler, methods in routes],
        exception_handlers={
            ApiError: _answer_api_error,
            HTTPException: _answer_http_error,
            Exception: _answer_unforeseen,
        },
        lifespan=lifespan,
    )
    # No redirect to the URL with a slash: it would not match the mesh's route.
    app.router.redirect_slashes = False
    return Envelope(app, settings, metrics, state, tracer)


def _remembered(path: str, handler: t.Callable[[Request], t.Awaitable[Response]], methods: list[str]) -> Route:
    """A route that stores its template for the metrics: `/api/users/{id}`, instead of one series for each id."""

    async def endpoint(request: Request) -> Response:
        request.scope["app.route"] = path
        return await handler(request)

    return Route(path, endpoint, methods=methods)


async def _answer_api_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    if error.status >= 500:
        request.scope["app.error"] = error.message
    return JSONResponse(error.body(), error.status)


async def _answer_http_error(request: Request, error: Exception) -> Response:
    """Starlette's 404 and 405 in the form of our errors."""
    assert isinstance(error, HTTPException)
    message = {
        404: f"there is nothing at {request.url.path}",
        405: f"{request.method} is not allowed at {request.url.path}",
    }
    code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "error")
    body = {"error": {"code": code, "message": message.get(error.status_code, str(error.detail))}}
    return JSONResponse(body, error.status_code, headers=error.headers)


async def _answer_unforeseen(request: Request, _error: Exception) -> Response:
    message = "the service failed; its log has the reason under this request's id"
    body = {"error": {"code": "internal", "message": message, "request_id": request.scope["app.request_id"]}}
    return JSONResponse(body, 500)


class Envelope:
    """Around every request: trace headers, injected faults, the version header, one metric, one log line, and JSON for every error."""

    def __init__(self, app: ASGIApp, settings: Settings, metrics: Metrics, state: State, tracer: Tracer) -> None:
        self._app, self._settings, self._metrics, self._state = app, settings, metrics, state
        self._tracer = tracer
        # Python's default generator: the choice of failing requests needs no secure randomness.
        self._dice = random.Random()  # noqa: S311

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        request_id = headers.get("x-request-id", "")
        if not re.fullmatch(r"[\w.:/+=-]{1,128}", request_id, re.ASCII):
            request_id = str(uuid.uuid4())
        trace.set({name: headers[name] for name in TRACE_HEADERS if name in headers} | {"x-request-id": request_id})
        scope["app.request_id"] = request_id
        with self._tracer.request(headers.get("traceparent", ""), _method(scope)) as span:
            await self._run(scope, receive, send, request_id, span)

    async def _run(self, scope: Scope, receive: Receive, send: Send, request_id: str, span: Span | None) -> None:
        """Answer a request, and record that it was answered."""
        started, status, complete = time.perf_counter(), 0, False

        async def answer(message: Message) -> None:
            nonlocal status, complete
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": [*message["headers"], *self._headers(request_id)]}
            elif message["type"] == "http.response.body":
                complete = not message.get("more_body", False)
            await send(message)

        try:
            await self._answer(scope, receive, answer)
        except Exception:
            fields = {"fields": {"request_id": request_id}}
            log.exception("a request failed unexpectedly", extra=fields)
            # Starlette has answered before it raised this again. An incomplete answer must end the connection.
            if not complete:
                raise
        finally:
            self._record(scope, status, time.perf_counter() - started, request_id, span)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The application's answer, or an injected fault.

        Requests for probes, metrics and the public keys never fail this way.
        """
        path = scope["path"]
        if path.startswith("/api/") and "/.well-known/" not in path:
            if self._settings.latency_ms:
                await asyncio.sleep(self._settings.latency_ms / 1000)
            if self._dice.random() < self._settings.error_rate:
                scope["app.route"] = _template(path)
                body = {
                    "error": {
                        "code": "injected_fault",
                        "message": f"this version fails {self._settings.error_rate:.0%} of requests (ERROR_RATE)",
                    }
                }
                await JSONResponse(body, 500)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _headers(self, request_id: str) -> list[tuple[bytes, bytes]]:
        headers = [(b"x-service-version", self._settings.version.encode()), (b"x-request-id", request_id.encode())]
        if self._state.draining:
            # Callers that keep connections open have to open a new one, to another pod.
            headers.append((b"connection", b"close"))
        return headers

    def _record(self, scope: Scope, status: int, seconds: float, request_id: str, span: Span | None) -> None:
        method = _method(scope)
        route = scope.get("app.route", NOT_MATCHED)
        self._metrics.answered(method, route, status, seconds)
        level = logging.DEBUG if route in ("/health", "/ready", "/metrics") and status == 200 else logging.INFO
        fields = {
            "method": method,
            "path": scope["path"],
            "status": status,
            "duration_ms": round(seconds * 1000, 1),
            "request_id": request_id,
        }
        if "app.error" in scope:
            fields["reason"] = scope["app.error"]
        if span:
            fields["trace_id"] = span.context.trace_id
            span.name, span.failed = f"{method} {route}", status >= 500 or not status
            span.attributes |= {
                "http.request.method": method,
                "http.route": route,
                "url.path": scope["path"],
                "http.response.status_code": status,
            }
        log.log(level, "request", extra={"fields": fields})


def _method(scope: Scope) -> str:
    """The request's method. One that a client invents must not create a new time series."""
    return scope["method"] if scope["method"] in METHODS else "OTHER"


def _template(path: str) -> str:
    """A path without ids, for requests that never reach the router."""
    return re.sub(r"/\d+(?=/|$)", "/{id}", path) if len(path) < 100 and path.isascii() else NOT_MATCHED
