"""Spans of this service in the traces that the mesh's proxies begin: W3C trace context in, OTLP (JSON over HTTP) out.

Nothing here begins a trace: how many requests are traced is the mesh's decision, which the flag `sampled` of `traceparent` tells.
Without an endpoint, or without that flag, the header passes through as it came.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import contextvars
import dataclasses
import logging
import re
import secrets
import time
import typing as t

import httpx

log = logging.getLogger("app.tracing")

SERVER, CLIENT = 2, 3  # opentelemetry/proto/trace/v1/trace.proto, Span.SpanKind
FAILED = 2  # the same file, Status.StatusCode
SAMPLED = 0x01
# Spans that wait; the oldest are dropped when the collector does not take them. Spans of one request to it. Seconds between two.
WAITING, BATCH, INTERVAL = 2048, 512, 1.0
EXPORT_TIMEOUT = 2.0

# W3C Trace Context, level 1: version, trace id, parent id, flags. Later versions may add fields behind a dash.
_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")

Value = str | int


@dataclasses.dataclass(frozen=True)
class Context:
    """What `traceparent` says. Ids are lower-case hexadecimal: 32 digits of the trace, 16 of the span."""

    trace_id: str
    span_id: str
    sampled: bool

    def header(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-{SAMPLED if self.sampled else 0:02x}"


def parse(header: str) -> Context | None:
    """The context of a `traceparent`; None for one that the specification tells to ignore."""
    match = _TRACEPARENT.fullmatch(header.strip())
    if match is None:
        return None
    version, trace_id, span_id, flags, more = match.groups()
    if version == "ff" or (version == "00" and more) or not int(trace_id, 16) or not int(span_id, 16):
        return None
    return Context(trace_id, span_id, bool(int(flags, 16) & SAMPLED))


@dataclasses.dataclass
class Span:
    """One piece of work. Times are nanoseconds since 1970."""

    name: str
    kind: int
    context: Context
    parent: str
    start: int
    end: int = 0
    failed: bool = False
    attributes: dict[str, Value] = dataclasses.field(default_factory=dict)

    def as_otlp(self) -> dict[str, t.Any]:
        """The span as OTLP's JSON has it: ids in hexadecimal, 64-bit numbers as text."""
        return {
            "traceId": self.context.trace_id,
            "spanId": self.context.span_id,
            "parentSpanId": self.parent,
            "flags": SAMPLED,
            "name": self.name,
            "kind": self.kind,
            "startTimeUnixNano": str(self.start),
            "endTimeUnixNano": str(self.end),
            "attributes": _attributes(self.attributes),
            "status": {"code": FAILED} if self.failed else {},
        }


def _attributes(values: t.Mapping[str, Value]) -> list[dict[str, t.Any]]:
    return [
        {"key": key, "value": {"stringValue": value} if isinstance(value, str) else {"intValue": str(value)}}
        for key, value in values.items()
    ]


# The span that is open in this task, and who takes it when it ends. None: this request is not traced.
_open: contextvars.ContextVar[tuple[Tracer, Span] | None] = contextvars.ContextVar("span", default=None)


@contextlib.contextmanager
def span(name: str, attributes: t.Mapping[str, Value]) -> t.Iterator[Span | None]:
    """A span of a call to somebody else, below the open one; an exception marks it as failed. None when this request is not traced."""
    above = _open.get()
    if above is None:
        yield None
        return
    tracer, parent = above
    with tracer.run(name, CLIENT, parent.context) as made:
        made.attributes |= attributes
        yield made


class Tracer:
    """Makes spans and sends them in batches. An empty endpoint records nothing."""

    def __init__(
        self, service: str, version: str, endpoint: str, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self._endpoint = endpoint
        self._resource = {"service.name": service, "service.version": version}
        self._waiting: collections.deque[Span] = collections.deque(maxlen=WAITING)
        self._client = httpx.AsyncClient(timeout=EXPORT_TIMEOUT, trust_env=False, transport=transport)
        self._sender: asyncio.Task[None] | None = None
        self._failing = False

    async def open(self) -> None:
        if self._endpoint:
            self._sender = asyncio.create_task(self._send_always())

    async def close(self) -> None:
        """Send what waits, and end."""
        if self._sender:
            self._sender.cancel()
            await asyncio.gather(self._sender, return_exceptions=True)
            await self.flush()
        await self._client.aclose()

    @contextlib.contextmanager
    def request(self, traceparent: str, name: str) -> t.Iterator[Span | None]:
        """The span of a request that came in; None when it is not traced here."""
        parent = parse(traceparent) if self._endpoint else None
        if parent is None or not parent.sampled:
            yield None
            return
        with self.run(name, SERVER, parent) as made:
            yield made

    @contextlib.contextmanager
    def run(self, name: str, kind: int, parent: Context) -> t.Iterator[Span]:
        """A span from now to the end of the block."""
        own = Context(parent.trace_id, secrets.token_hex(8), True)
        made = Span(name, kind, own, parent.span_id, time.time_ns())
        started, token = time.perf_counter_ns(), _open.set((self, made))
        try:
            yield made
        except BaseException as error:
            made.failed = True
            made.attributes.setdefault("error.type", type(error).__name__)
            raise
        finally:
            _open.reset(token)
            made.end = made.start + time.perf_counter_ns() - started
            self._waiting.append(made)

    async def flush(self) -> None:
        """Send what waits. What was not sent waits for the next time, as far as there is room: newer spans are worth more."""
        sent = True
        while self._waiting and sent:
            batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
            sent = False
            try:
                sent = await self._send(batch)
            finally:
                if not sent and (room := WAITING - len(self._waiting)):
                    self._waiting.extendleft(reversed(batch[-room:]))

    async def _send_always(self) -> None:
        while True:
            await asyncio.sleep(INTERVAL)
            await self.flush()

    async def _send(self, batch: t.Sequence[Span]) -> bool:
        body = {
            "resourceSpans": [
                {
                    "resource": {"attributes": _attributes(self._resource)},
                    "scopeSpans": [{"scope": {"name": "app.tracing"}, "spans": [one.as_otlp() for one in batch]}],
                }
            ]
        }
        # "Not sampled", so that the sidecar does not begin a trace for the request that brings spans.
        unsampled = Context(secrets.token_hex(16), secrets.token_hex(8), False).header()
        try:
            url = f"{self._endpoint}/v1/traces"
            response = await self._client.post(url, json=body, headers={"traceparent": unsampled})
            response.raise_for_status()
        except httpx.HTTPError as error:
            if not self._failing:
                fields = {"fields": {"endpoint": self._endpoint, "reason": str(error) or type(error).__name__}}
                log.warning("the collector does not take spans", extra=fields)
            self._failing = True
            return False
        self._failing = False
        return True
