# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The reference service with parts that a test controls: rows in a dict, other services as functions, a Redis that can be down."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "roles/local_cluster/files/images/reference-service"))

import httpx
from app.cache import Cache
from app.calls import Calls
from app.errors import ConflictError, DatabaseUnavailableError
from app.services import SERVICES, Parts
from app.settings import from_environment
from app.telemetry import Metrics
from app.tracing import Tracer
from app.web import State, create_app
from starlette.testclient import TestClient

SECRET = "a secret for tests only"


class Rows:
    """The Store protocol in memory. `down`: the reason why the database does not answer."""

    def __init__(self, unique: str = "") -> None:
        self.rows: dict[int, dict[str, Any]] = {}
        self.down = ""
        self._ids = itertools.count(1)
        self._unique = unique

    async def open(self) -> None:
        pass

    async def close(self) -> None:
        pass

    async def failure(self) -> str | None:
        return self.down or None

    async def find(self, filters: Mapping[str, Any], limit: int, offset: int) -> list[dict[str, Any]]:
        self._answer()
        found = [row for row in self.rows.values() if all(row[name] == value for name, value in filters.items())]
        return found[offset : offset + limit]

    async def get(self, identifier: int) -> dict[str, Any] | None:
        self._answer()
        return self.rows.get(identifier)

    async def create(self, values: Mapping[str, Any]) -> dict[str, Any]:
        self._answer()
        if self._unique and any(row[self._unique] == values[self._unique] for row in self.rows.values()):
            raise ConflictError(f"{self._unique} exists")
        row = {"id": next(self._ids), "payment_id": None, "created_at": None, **values}
        self.rows[row["id"]] = row
        return row

    async def update(self, identifier: int, values: Mapping[str, Any]) -> dict[str, Any] | None:
        self._answer()
        if identifier in self.rows:
            self.rows[identifier] = {**self.rows[identifier], **values}
        return self.rows.get(identifier)

    async def delete(self, identifier: int) -> bool:
        self._answer()
        return self.rows.pop(identifier, None) is not None

    def _answer(self) -> None:
        if self.down:
            raise DatabaseUnavailableError(self.down)


class FakeRedis:
    """The methods of Redis that the cache uses, with a flag that makes them fail."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self.down = False
        self.commands = 0

    async def get(self, name: str) -> bytes | None:
        self._answer()
        value = self.values.get(name)
        return None if value is None else value.encode()

    async def set(self, name: str, value: str, ex: int) -> None:
        self._answer()
        assert ex > 0
        self.values[name] = value

    async def delete(self, *names: str) -> None:
        self._answer()
        for name in names:
            self.values.pop(name, None)

    async def ping(self) -> None:
        self._answer()

    def _answer(self) -> None:
        self.commands += 1
        if self.down:
            raise ConnectionRefusedError("down")


class Running:
    """One service and its parts."""

    def __init__(
        self, name: str, callees: Callable[[httpx.Request], httpx.Response], environment: Mapping[str, str]
    ) -> None:
        settings = from_environment(
            {
                "SERVICE_NAME": name,
                "SERVICE_VERSION": "v1.0",
                "JWT_SECRET": SECRET,
                "CACHE_URL": "redis://cache",
                **environment,
            }
        )
        self.rows = Rows(unique="username" if name == "user-service" else "")
        self.redis = FakeRedis()
        self.state = State()
        self.requests: list[httpx.Request] = []
        self.metrics = Metrics(settings.service, settings.version)

        def answer(request: httpx.Request) -> httpx.Response:
            self.requests.append(request)
            return callees(request)

        # Ten seconds pass between two readings of the clock, so the pause after a failure of Redis is always over.
        clock = itertools.count(0, 10)
        cache = Cache(self.redis, 30, clock=lambda: float(next(clock)))
        calls = Calls(settings.callees, 1, self.metrics, httpx.MockTransport(answer))
        service = SERVICES[name](Parts(settings, self.rows, cache, calls, self.metrics))
        # What the collector got, and with what it answers.
        self.exports: list[httpx.Request] = []
        self.collector = 200

        def collect(request: httpx.Request) -> httpx.Response:
            self.exports.append(request)
            return httpx.Response(self.collector, json={})

        tracer = Tracer(settings.service, settings.version, settings.otlp_endpoint, httpx.MockTransport(collect))
        self.app = create_app(settings, service, self.rows, cache, self.metrics, self.state, tracer)
        self.http = TestClient(self.app, raise_server_exceptions=False)


Start = Callable[..., Running]


@pytest.fixture
def start() -> Iterator[Start]:
    """start(name, callees, **environment) -> a service that runs until the test ends."""
    running: list[Running] = []

    def nobody(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("nobody listens", request=request)

    def begin(name: str, callees: Callable[[httpx.Request], httpx.Response] = nobody, **environment: str) -> Running:
        one = Running(name, callees, environment)
        one.http.__enter__()
        running.append(one)
        return one

    yield begin
    for one in running:
        one.http.__exit__(None, None, None)
