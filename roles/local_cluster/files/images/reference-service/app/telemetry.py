"""Metrics and logs. A log line is one JSON object without bodies, query strings and credentials."""

from __future__ import annotations

import datetime
import json
import logging
import sys
import typing as t

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

# Names of the mesh's trace headers: every call forwards them, so that a request stays one trace.
TRACE_HEADERS = (
    "x-request-id",
    "traceparent",
    "tracestate",
    "baggage",
    "b3",
    "x-b3-traceid",
    "x-b3-spanid",
    "x-b3-parentspanid",
    "x-b3-sampled",
    "x-b3-flags",
)


class Metrics:
    """Metrics of one process, in a separate registry so that a test can create several."""

    def __init__(self, service: str, version: str) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self._own = (service, version)
        labels = ("service", "version", "method", "route", "code")
        self._requests = Counter("http_requests_total", "Requests answered.", labels, registry=self.registry)
        self._duration = Histogram(
            "http_request_duration_seconds", "Time to answer.", labels, buckets=BUCKETS, registry=self.registry
        )
        self._calls = Counter(
            "http_client_requests_total",
            "Calls to other services.",
            ("service", "version", "callee", "code"),
            registry=self.registry,
        )
        self._cache = Counter(
            "cache_reads_total", "Reads through the cache.", ("service", "version", "result"), registry=self.registry
        )
        info = Gauge(
            "service_info",
            "Always 1; its labels name the running service and version.",
            ("service", "version"),
            registry=self.registry,
        )
        info.labels(*self._own).set(1)

    def answered(self, method: str, route: str, code: int, seconds: float) -> None:
        self._requests.labels(*self._own, method, route, str(code)).inc()
        self._duration.labels(*self._own, method, route, str(code)).observe(seconds)

    def called(self, callee: str, code: str) -> None:
        self._calls.labels(*self._own, callee, code).inc()

    def cache_read(self, result: str) -> None:
        self._cache.labels(*self._own, result).inc()

    def render(self) -> bytes:
        return generate_latest(self.registry)


class JsonFormatter(logging.Formatter):
    """One line for each record; `extra={"fields": {...}}` adds fields."""

    def __init__(self, service: str, version: str) -> None:
        super().__init__()
        self._own = {"service": service, "version": version}

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.datetime.fromtimestamp(record.created, datetime.UTC).isoformat(timespec="milliseconds")
        line: dict[str, t.Any] = {"time": time, "level": record.levelname, **self._own, "message": record.getMessage()}
        line.update(getattr(record, "fields", {}))
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def set_up_logging(service: str, version: str, level: str) -> None:
    """All loggers write to stdout in one format. Libraries log only warnings and errors."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter(service, version))
    logging.basicConfig(handlers=[handler], level=level, force=True)
    # httpx logs whole URLs at INFO; the pool logs a WARNING each second that /ready reports too.
    for name, quiet in (
        ("httpx", "WARNING"),
        ("httpcore", "WARNING"),
        ("psycopg.pool", "ERROR"),
        ("asyncio", "WARNING"),
    ):
        logging.getLogger(name).setLevel(quiet)
