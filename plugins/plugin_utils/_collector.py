# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration of the OpenTelemetry collector that the role observability runs: what it has, and what could not start. No I/O.

PRIVATE: may change at any time.
"""

from __future__ import annotations

import typing as t
from collections.abc import Iterator, Mapping

from ansible.utils.vars import merge_hash

# Sections whose components a pipeline names, by the key of the pipeline (opentelemetry-collector, service/pipelines/config.go). A connector
# ends one pipeline and begins another.
_SECTIONS: Mapping[str, tuple[str, ...]] = {
    "receivers": ("receivers", "connectors"),
    "processors": ("processors",),
    "exporters": ("exporters", "connectors"),
}
# Ports of health and of the collector's own metrics.
HEALTH_PORT, METRICS_PORT = 13133, 8888
_ANYWHERE = "0.0.0.0"  # of the pod  # noqa: S104
_JAEGER, _OUTPUT = "otlp_grpc/jaeger", "debug/output"
# The mesh encrypts: the collector speaks plain gRPC to its own proxy. The queue is counted in spans; a full one refuses.
_SENDER: Mapping[str, t.Any] = {
    "tls": {"insecure": True},
    "timeout": "5s",
    "retry_on_failure": {"enabled": True, "initial_interval": "1s", "max_interval": "30s", "max_elapsed_time": "300s"},
    "sending_queue": {
        "enabled": True,
        "num_consumers": 4,
        "sizer": "items",
        "queue_size": 50_000,
        "batch": {"flush_timeout": "1s", "min_size": 1024, "max_size": 4096},
    },
}
# Names as Prometheus has them: units, and _total of counters.
_OWN_METRICS: Mapping[str, t.Any] = {
    "host": _ANYWHERE,
    "port": METRICS_PORT,
    "without_scope_info": True,
    "without_type_suffix": False,
    "without_units": False,
}


def configuration(signals: Mapping[str, str], given: Mapping[str, t.Any]) -> dict[str, t.Any]:
    """The collector's configuration.

    ``signals``: {`traces` or `logs`: `host:port` of who keeps them}; empty for what ``given`` has to say. ``given`` is merged last;
    its lists replace those that are here. Access logs are written to the collector's own output, unless ``given`` has another exporter
    for them.
    """
    pipelines: dict[str, t.Any] = {}
    exporters: dict[str, t.Any] = {}
    for signal, address in signals.items():
        pipelines[signal] = {"receivers": ["otlp"], "processors": ["memory_limiter"], "exporters": []}
        if address:
            exporters[_JAEGER] = {"endpoint": address, **_SENDER}
            pipelines[signal]["exporters"] = [_JAEGER]
        elif signal == "logs":
            exporters[_OUTPUT] = {"verbosity": "normal", "use_internal_logger": False}
            pipelines[signal]["exporters"] = [_OUTPUT]
    own = {
        "extensions": {"health_check": {"endpoint": f"{_ANYWHERE}:{HEALTH_PORT}"}},
        "receivers": {
            "otlp": {
                "protocols": {"grpc": {"endpoint": f"{_ANYWHERE}:4317"}, "http": {"endpoint": f"{_ANYWHERE}:4318"}}
            }
        },
        # Refuses before the container's limit of memory is reached; senders try again. There is no batch processor: it would take spans
        # that a full queue then loses without a word to the sender.
        "processors": {
            "memory_limiter": {"check_interval": "1s", "limit_percentage": 75, "spike_limit_percentage": 20}
        },
        "exporters": exporters,
        "service": {
            "extensions": ["health_check"],
            "pipelines": pipelines,
            "telemetry": {
                "logs": {"level": "warn", "encoding": "json"},
                "metrics": {"level": "basic", "readers": [{"pull": {"exporter": {"prometheus": _OWN_METRICS}}}]},
            },
        },
    }
    return dict(merge_hash(own, dict(given)))


def findings(signals: Mapping[str, str], config: Mapping[str, t.Any]) -> Iterator[str]:
    """What the collector would not start with, as `.key: what is wrong`.

    A pipeline without an end, and components that are named and not there. What a component's own keys may be, only the collector knows.
    """
    service = config.get("service")
    pipelines = service.get("pipelines") if isinstance(service, Mapping) else None
    if not isinstance(pipelines, Mapping):
        yield ".service.pipelines: is no dict of pipelines; expected for example {traces: {exporters: [otlp_grpc/store]}}"
        return
    extensions = service.get("extensions") or [] if isinstance(service, Mapping) else []
    yield from _missing(".service.extensions", extensions, config, ("extensions",))
    for name, pipeline in pipelines.items():
        place = f".service.pipelines.{name}"
        if not isinstance(pipeline, Mapping):
            yield f"{place}: {pipeline!r} is no dict; expected lists of receivers, processors and exporters"
            continue
        for key, sections in _SECTIONS.items():
            yield from _missing(f"{place}.{key}", pipeline.get(key) or [], config, sections)
        for key in ("receivers", "exporters"):
            if not pipeline.get(key):
                example = (
                    "[otlp_grpc/store], and exporters: {otlp_grpc/store: {endpoint: ...}}"
                    if key == "exporters"
                    else "[otlp]"
                )
                yield f"{place}.{key}: names none; expected for example {example}"
    for signal in signals:
        if not any(str(name).partition("/")[0] == signal for name in pipelines):
            yield f".service.pipelines: has no pipeline for {signal}, which the mesh sends; expected one named {signal}"


def _missing(place: str, names: t.Any, config: Mapping[str, t.Any], sections: tuple[str, ...]) -> Iterator[str]:
    if not isinstance(names, (list, tuple)):
        yield f"{place}: {names!r} is no list; expected names of components"
        return
    known = sorted({str(name) for section in sections for name in (config.get(section) or {})})
    for name in names:
        if name not in known:
            there = ", ".join(known) or "none"
            yield f"{place}: {name!r} is not defined in {' or '.join(sections)} (there is {there}); define it, or remove it"
