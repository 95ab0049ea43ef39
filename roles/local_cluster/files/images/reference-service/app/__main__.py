"""Run the service that the environment describes: `python3 -m app`."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import types

import uvicorn

from app.cache import connect
from app.calls import Calls
from app.database import Database
from app.services import SERVICES, Parts
from app.settings import Settings, SettingsError, from_environment
from app.telemetry import Metrics, set_up_logging
from app.tracing import Tracer
from app.web import State, create_app

log = logging.getLogger("app")


class Server(uvicorn.Server):
    """uvicorn that reports "not ready" for a while before it shuts down, so that no client sends a request to a closing server."""

    def __init__(self, config: uvicorn.Config, state: State, drain_seconds: float) -> None:
        super().__init__(config)
        self._state, self._drain_seconds = state, drain_seconds

    def handle_exit(self, sig: int, frame: types.FrameType | None) -> None:
        if self._state.draining:
            # The second signal stops the server at once.
            super().handle_exit(sig, frame)
            return
        self._state.draining = True
        log.info("received the signal to end", extra={"fields": {"signal": sig, "drain_seconds": self._drain_seconds}})
        asyncio.get_running_loop().call_later(self._drain_seconds, super().handle_exit, sig, frame)


def build(settings: Settings) -> tuple[uvicorn.Config, State]:
    """The application with real connections. Nothing connects before the server runs."""
    kind = SERVICES[settings.service]
    metrics, state = Metrics(settings.service, settings.version), State()
    store = Database(settings.database_url, kind.table, settings.database_connections, settings.service)
    cache = connect(settings.cache_url, settings.cache_ttl_seconds)
    calls = Calls(settings.callees, settings.call_timeout_seconds, metrics)
    service = kind(Parts(settings, store, cache, calls, metrics))
    tracer = Tracer(settings.service, settings.version, settings.otlp_endpoint)
    app = create_app(settings, service, store, cache, metrics, state, tracer)
    # The application writes the access log (one JSON line per request). Keep-alive is longer than the sidecar's idle timeout; otherwise the
    # sidecar would send requests on closed connections.
    config = uvicorn.Config(
        app,
        host="0.0.0.0",
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=75,
        lifespan="on",
    )
    return config, state


async def run(settings: Settings) -> None:
    # Inside the running loop, because asyncio objects of Python 3.11 and psycopg's pool bind to it when they are created.
    config, state = build(settings)
    log.info(
        "starts",
        extra={"fields": {"port": settings.port, "error_rate": settings.error_rate, "latency_ms": settings.latency_ms}},
    )
    await Server(config, state, settings.drain_seconds).serve()
    log.info("ended")


def main() -> None:
    try:
        settings = from_environment(os.environ)
    except SettingsError as error:
        sys.exit(f"error: {error}")
    set_up_logging(settings.service, settings.version, settings.log_level)
    asyncio.run(run(settings))


if __name__ == "__main__":
    main()
