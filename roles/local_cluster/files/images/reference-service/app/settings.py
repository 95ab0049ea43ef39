"""The environment, read once and checked before anything starts."""

from __future__ import annotations

import dataclasses
import typing as t

SERVICES = (
    "user-service",
    "product-service",
    "order-service",
    "payment-service",
    "review-service",
    "recommendation-service",
)
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
SHORTEST_SECRET = 16


class SettingsError(ValueError):
    """The environment is invalid; the message names the variable, its value and what was expected."""


@dataclasses.dataclass(frozen=True)
class Settings:
    """Settings of one process. The names of times contain their units."""

    service: str
    version: str
    port: int
    database_url: str = dataclasses.field(repr=False)
    database_connections: int
    cache_url: str = dataclasses.field(repr=False)
    cache_ttl_seconds: int
    jwt_secret: str = dataclasses.field(repr=False)
    jwt_issuer: str
    jwt_audience: str
    jwt_ttl_seconds: int
    callees: t.Mapping[str, str]
    call_timeout_seconds: float
    error_rate: float
    latency_ms: float
    drain_seconds: float
    log_level: str
    otlp_endpoint: str


def from_environment(environment: t.Mapping[str, str]) -> Settings:
    """Settings of {variable: text}, or SettingsError for the first invalid variable."""
    service = _choice(environment, "SERVICE_NAME", SERVICES)
    secret = environment.get("JWT_SECRET", "")
    if service == "user-service" and len(secret) < SHORTEST_SECRET:
        raise SettingsError(
            f"JWT_SECRET has {len(secret)} characters, expected at least {SHORTEST_SECRET}: "
            "user-service derives from it the key that signs tokens"
        )
    return Settings(
        service=service,
        version=environment.get("SERVICE_VERSION", "") or "v0",
        port=int(_number(environment, "PORT", 8080, 1, 65535, whole=True)),
        database_url=environment.get("DATABASE_URL", ""),
        database_connections=int(_number(environment, "DATABASE_CONNECTIONS", 5, 1, 50, whole=True)),
        cache_url=environment.get("CACHE_URL", ""),
        cache_ttl_seconds=int(_number(environment, "CACHE_TTL_SECONDS", 30, 1, 86400, whole=True)),
        jwt_secret=secret,
        jwt_issuer=environment.get("JWT_ISSUER", "") or "https://ecommerce.example.com",
        jwt_audience=environment.get("JWT_AUDIENCE", "") or "ecommerce-api",
        jwt_ttl_seconds=int(_number(environment, "JWT_TTL_SECONDS", 3600, 1, 86400, whole=True)),
        callees={
            f"{name}-service": _url(environment, f"{name.upper()}_URL", f"http://{name}-service")
            for name in ("user", "product", "payment", "review")
        },
        call_timeout_seconds=_number(environment, "CALL_TIMEOUT_SECONDS", 3, 0.05, 60),
        error_rate=_number(environment, "ERROR_RATE", 0, 0, 1),
        latency_ms=_number(environment, "LATENCY_MS", 0, 0, 60000),
        drain_seconds=_number(environment, "DRAIN_SECONDS", 3, 0, 60),
        log_level=_choice(environment, "LOG_LEVEL", LOG_LEVELS, "INFO"),
        otlp_endpoint=_url(environment, "OTEL_EXPORTER_OTLP_ENDPOINT", ""),
    )


def _choice(environment: t.Mapping[str, str], name: str, choices: t.Sequence[str], default: str = "") -> str:
    value = environment.get(name, "") or default
    if value not in choices:
        raise SettingsError(f"{name} is {value!r}, expected one of {', '.join(choices)}")
    return value


def _number(
    environment: t.Mapping[str, str], name: str, default: float, lowest: float, highest: float, whole: bool = False
) -> float:
    text = environment.get(name, "")
    if not text:
        return default
    try:
        value = int(text) if whole else float(text)
    except ValueError:
        value = float("nan")
    if not lowest <= value <= highest:
        raise SettingsError(
            f"{name} is {text!r}, expected {'a whole number' if whole else 'a number'} from {lowest:g} to {highest:g}"
        )
    return value


def _url(environment: t.Mapping[str, str], name: str, default: str) -> str:
    value = environment.get(name, "") or default
    if not value and not default:
        return ""
    if not value.startswith(("http://", "https://")):
        raise SettingsError(f"{name} is {value!r}, expected a URL that begins with http:// or https://")
    return value.rstrip("/")
